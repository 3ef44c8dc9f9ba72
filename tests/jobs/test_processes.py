"""Processes that can be killed: at the limit, in the middle of C code, and without harm to anybody else's work."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import hostile
import psutil
import pytest

from civicpulse.base.processes import Built, Processes, ProcessLost, TookTooLong


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    made = Processes(size=2)
    yield made
    await made.close()


async def test_a_call_runs_elsewhere_and_answers(processes: Processes) -> None:
    assert await processes.run(len, [1, 2, 3], seconds=5) == 3
    assert await processes.run(os.getpid, seconds=5) != os.getpid()
    assert await processes.run(hostile.chatter, seconds=5) == "answer"


async def test_an_error_comes_back_as_it_was(processes: Processes) -> None:
    with pytest.raises(ValueError, match="no such thing"):
        await processes.run(hostile.fail, "no such thing", seconds=5)
    assert await processes.run(len, "ab", seconds=5) == 2


async def test_what_never_ends_is_ended_and_the_next_call_is_served(processes: Processes) -> None:
    with pytest.raises(TookTooLong):
        await processes.run(hostile.spin, seconds=0.3)
    with pytest.raises(TookTooLong):
        await processes.run(hostile.catastrophe, "a" * 60 + "b", seconds=0.3)
    assert await processes.run(len, "ab", seconds=5) == 2


async def test_a_call_that_spins_holds_up_no_other(processes: Processes) -> None:
    spinning = asyncio.create_task(processes.run(hostile.spin, seconds=3))
    assert await processes.run(len, "ab", seconds=5) == 2
    assert not spinning.done()
    with pytest.raises(TookTooLong):
        await spinning


async def test_one_owner_never_has_every_place(processes: Processes) -> None:
    greedy = [asyncio.create_task(processes.run(hostile.spin, seconds=600, owner="a")) for _ in range(3)]
    assert await processes.run(len, "ab", seconds=60, owner="b") == 2
    assert await processes.run(len, "abc", seconds=60) == 3
    assert not any(task.done() for task in greedy)
    for task in greedy:
        task.cancel()
    assert all(isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*greedy, return_exceptions=True))
    assert await processes.run(len, "abcd", seconds=60, owner="a") == 4


async def test_a_process_that_is_gone_is_told_of_and_replaced(processes: Processes) -> None:
    with pytest.raises(ProcessLost):
        await processes.run(hostile.die, seconds=5)
    assert await processes.run(len, "ab", seconds=5) == 2


async def test_a_call_that_nobody_waits_for_any_more_answers_nobody_else(processes: Processes) -> None:
    waiting = asyncio.create_task(processes.run(hostile.nap, 30, seconds=60))
    await asyncio.sleep(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await processes.run(len, "ab", seconds=5) == 2


async def test_what_is_built_once_stays_in_its_process() -> None:
    processes = Processes(size=1)
    one, two = (Built(word, hostile.build, (word,)) for word in ("one", "two"))
    assert await processes.run(hostile.append, "a", seconds=5, built=one) == ["one", "a"]
    assert await processes.run(hostile.append, "b", seconds=5, built=two) == ["two", "b"]
    assert await processes.run(hostile.append, "c", seconds=5, built=one) == ["one", "a", "c"]
    await processes.close()
    assert await processes.run(hostile.append, "d", seconds=5, built=one) == ["one", "d"]
    await processes.close()


def test_processes_end_with_the_one_that_started_them() -> None:
    """Even when it was killed, and even when they are busy: the kernel ends them at their limit."""
    program = (
        "import asyncio, hostile, sys\n"
        "from civicpulse.base.processes import Processes\n"
        "async def main():\n"
        "    processes = Processes()\n"
        "    calls = [asyncio.create_task(processes.run(hostile.spin, seconds=2)) for _ in range(2)]\n"
        "    await asyncio.sleep(0.5)\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.gather(*calls)\n"
        "asyncio.run(main())\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    assert children
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any(child.is_running() and child.status() != "zombie" for child in children):
        time.sleep(0.1)
    assert [child for child in children if child.is_running() and child.status() != "zombie"] == []
