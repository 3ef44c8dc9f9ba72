"""Every pattern of the package is bounded: what strangers write is read in no time, whatever it is."""

import asyncio
import importlib
import pkgutil
import re

import hostile
import pytest

import civicpulse
from civicpulse.base.processes import Processes, TookTooLong

SECONDS = 3.0  # of CPU time, for all the hostile texts together


def patterns() -> list[tuple[str, str]]:
    """Where each compiled pattern of text stands, once."""
    found: dict[re.Pattern[str], tuple[str, str]] = {}
    for module in pkgutil.walk_packages(civicpulse.__path__, "civicpulse."):
        if ".migrations." in module.name or module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                found.setdefault(value, (module.name, name))
    return list(found.values())


async def test_no_text_of_twenty_thousand_characters_is_hard_to_any_pattern() -> None:
    found = patterns()
    assert len(found) > 50, "the walk must see every room's patterns"
    processes, hard = Processes(), []

    async def check(module: str, name: str) -> None:
        try:
            await processes.run(hostile.try_pattern, module, name, seconds=SECONDS)
        except TookTooLong:
            hard.append(f"{module}.{name}")

    await asyncio.gather(*(check(*place) for place in found))
    await processes.close()
    assert hard == []


async def test_a_careless_pattern_would_be_noticed() -> None:
    processes = Processes(size=1)
    with pytest.raises(TookTooLong):
        await processes.run(hostile.catastrophe, "a" * 60 + "b", seconds=0.5)
    await processes.close()
