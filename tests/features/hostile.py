"""Functions that other processes run for the tests: some of them never end. Imports little, as those processes load it."""

import importlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HOSTILE = "Spin for ever:"


def spinning(analyst: Any, texts: Sequence[Any]) -> Any:
    """Analyses, but never ends when a text is hostile."""
    while any(text.text.startswith(HOSTILE) for text in texts):
        pass
    return analyst.analyse_now(texts)


def stuck_reading(pack: Any, kind: Any, source: str, *more: Any) -> Any:
    """Reads a file of the pipeline, but never ends with one that is hostile."""
    from civicpulse.centre.parsing import read_rows

    if HOSTILE in Path(source).read_text(encoding="utf-8"):
        spin()
    return read_rows(pack, kind, source, *more)


def lost_reading(pack: Any, kind: Any, source: str, *more: Any) -> Any:
    """Reads offices and managers, but ends its process in the middle of tickets."""
    from civicpulse.centre.parsing import read_rows

    if kind == "ticket":
        die()
    return read_rows(pack, kind, source, *more)


def stuck_looking(path: str, columns: Any) -> Any:
    """Looks through a file, but never ends with a hostile one."""
    from civicpulse.centre.reader import look_at

    if HOSTILE in Path(path).read_text(encoding="utf-8"):
        spin()
    return look_at(path, columns)


def spin(*_: Any) -> None:
    """Never ends and uses all the time that there is."""
    while True:
        pass


def catastrophe(text: str) -> bool:
    """A pattern that never ends, inside C code that no Python signal handler interrupts."""
    import re

    return re.match(r"(a+)+$", text) is not None


HARD = [
    *(letter * 20_000 for letter in "aA1@ (+<éй.-\n"),
    *(pair * 10_000 for pair in ("a@", "1 ", "-1", "x1", "a'", "A ", "a-", "1.")),
    *(
        word * (20_000 // len(word))
        for word in ("a.b@c", "http://", "A1 ", "AA11 ", "my name is ", "account ", "pin ", "1.1 ")
    ),
    *(
        word * (20_000 // len(word))
        for word in ("тел 1-", "(at) a ", "Уважением, ", "I live at 1 A, ", "Mr A", "case 1 ", "1/1 ", "Ab: ")
    ),
    *(word * (20_000 // len(word)) for word in ("фио ", "паспорт ", "12 345 ", "Aa ", "район ", "first ", "// ")),
]


def try_pattern(module: str, name: str) -> None:
    """Feeds a pattern what makes careless ones run for ever."""
    pattern = getattr(importlib.import_module(module), name)
    for text in HARD:
        pattern.match(text)
        pattern.fullmatch(text)
        for _ in pattern.finditer(text):
            pass


def die() -> None:
    """Ends its process, as the kernel does when memory is short."""
    os.kill(os.getpid(), 9)


def fail(words: str) -> None:
    """Raises."""
    raise ValueError(words)


def chatter() -> str:
    """Prints, which must not be taken for the answer."""
    print("to whom it may concern")  # noqa: T201
    return "answer"


def build(word: str) -> list[str]:
    """Something that is built once."""
    return [word]


def append(built: list[str], word: str) -> list[str]:
    """What was built, and one more."""
    built.append(word)
    return built


def nap(seconds: float) -> int:
    """Waits; which process it was."""
    time.sleep(seconds)
    return os.getpid()
