"""Work that might never end runs in processes of its own, which are killed at a time limit: a hostile text costs itself alone.

A process keeps what it has built once (a tenant's text model), so that a call sends the texts only. The limit is CPU time,
which a busy machine does not use up: the kernel ends a process at its limit, also when nobody is there any more to do it.
Of the places one owner never has all, so that nobody waits for somebody else's limit.
"""

import asyncio
import os
import pickle
import signal
import struct
import sys
import traceback
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, TypeVar
from weakref import WeakValueDictionary

from civicpulse.base.log import get_logger

log = get_logger(__name__)

T = TypeVar("T")

SIZE: Final = struct.Struct("!Q")
KEEP: Final = 16  # built things that a process holds
START_SECONDS: Final = 120.0
# Of the clock on the wall, for work that waits instead of counting: so many times the limit, and some.
WALL_TIMES, WALL_MORE = 20, 60.0


class TookTooLong(RuntimeError):
    """The work ran into its time limit and was ended."""


class ProcessLost(RuntimeError):
    """The process ended in the middle of the work: out of memory, most likely."""


@dataclass(frozen=True, slots=True)
class Built:
    """What a process builds once and keeps under `key`: `build(*given)`. Its function gets it as first argument."""

    key: Hashable
    build: Callable[..., Any]
    given: tuple[Any, ...] = field(repr=False)


@dataclass(slots=True)
class _Child:
    process: asyncio.subprocess.Process
    built: OrderedDict[Hashable, None] = field(default_factory=OrderedDict)

    async def send(self, message: Any) -> None:
        assert self.process.stdin is not None
        body = pickle.dumps(message, protocol=5)
        self.process.stdin.write(SIZE.pack(len(body)) + body)
        await self.process.stdin.drain()

    async def receive(self) -> Any:
        assert self.process.stdout is not None
        (size,) = SIZE.unpack(await self.process.stdout.readexactly(SIZE.size))
        return pickle.loads(await self.process.stdout.readexactly(size))  # noqa: S301 - what our own process says

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def fate(self) -> int:
        """Says why it is gone: to kill what is dead already would lose the answer."""
        try:
            async with asyncio.timeout(5):
                return await self.process.wait()
        except TimeoutError:
            await self.end()
            return -signal.SIGKILL


class Processes:
    """Up to `size` processes, started when they are needed first. They end with this one, whatever becomes of it."""

    def __init__(self, size: int = 2) -> None:
        self._places = asyncio.Semaphore(size)
        self._share = max(1, size - 1)
        self._shares: WeakValueDictionary[Hashable, asyncio.Semaphore] = WeakValueDictionary()
        self._idle: list[_Child] = []

    async def run(
        self,
        function: Callable[..., T],
        *given: Any,
        seconds: float,
        built: Built | None = None,
        owner: Hashable = None,
    ) -> T:
        """Runs `function(*given)`, or with `built` `function(that, *given)`, in another process; what it returns or raises.

        Function and arguments are pickled: a function of a module, plain values. `owner` is whose work it is: one of them
        leaves a place to the others. Raises TookTooLong after `seconds` of CPU time, ProcessLost when the process is gone.
        """
        async with self._share_of(owner), self._places:
            child = await self._child(built)
            try:
                async with asyncio.timeout(seconds * WALL_TIMES + WALL_MORE):
                    ok, answer = await self._ask(child, function, given, seconds, built)
            except (asyncio.IncompleteReadError, ConnectionError):
                raise _fault(await child.fate(), seconds) from None
            except TimeoutError:
                await child.end()
                raise TookTooLong(f"ended after {seconds:g} s of work and a long wait") from None
            except BaseException:  # the answer is still to come: nobody else may read it
                await child.end()
                raise
            self._idle.append(child)
        if not ok:
            raise answer
        found: T = answer
        return found

    def _share_of(self, owner: Hashable) -> asyncio.Semaphore:
        """Gives the places of one owner, for as long as somebody has or wants one."""
        share = self._shares.get(owner)
        if share is None:
            share = self._shares[owner] = asyncio.Semaphore(self._share)
        return share

    async def close(self) -> None:
        """Ends the processes."""
        while self._idle:
            await self._idle.pop().end()

    async def _child(self, built: Built | None) -> _Child:
        """Finds a process that has nothing to do, best one that has built the thing already."""
        self._idle.sort(key=lambda child: built is not None and built.key in child.built)
        while self._idle:
            child = self._idle.pop()
            if child.process.returncode is None:
                return child
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, stdin=-1, stdout=-1, env=os.environ | single | path
        )
        child = _Child(process)
        try:
            async with asyncio.timeout(START_SECONDS):
                await child.receive()
        except BaseException:
            await child.end()
            raise
        return child

    async def _ask(
        self, child: _Child, function: Callable[..., Any], given: tuple[Any, ...], seconds: float, built: Built | None
    ) -> tuple[bool, Any]:
        key = None
        if built is not None:
            key = built.key
            if key not in child.built:
                drop = child.built.popitem(last=False)[0] if len(child.built) >= KEEP else None
                await child.send(("build", key, built.build, built.given, drop))
                ok, answer = await child.receive()
                if not ok:
                    return ok, answer
            child.built[key] = None
            child.built.move_to_end(key)
        await child.send(("call", key, function, given, seconds))
        ok, answer = await child.receive()
        return ok, answer


def _fault(code: int, seconds: float) -> Exception:
    if code == -signal.SIGPROF:
        return TookTooLong(f"ended after {seconds:g} s of work")
    return ProcessLost(f"the process ended in the middle of the work (exit code {code})")


# ------------------------------------------------------------------------------------------------- in the process itself


def main() -> None:
    """Reads calls from stdin and answers on stdout, until stdin ends."""
    # The channel is ours alone: what a library prints goes where errors go.
    inbox, outbox = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started us
    built: dict[Hashable, Any] = {}
    _write(outbox, "ready")
    while head := inbox.read(SIZE.size):
        kind, key, function, given, more = pickle.loads(inbox.read(*SIZE.unpack(head)))  # noqa: S301 - our parent's words
        try:
            if kind == "build":
                built.pop(more, None)
                built[key], answer = function(*given), None
            else:
                # Its default action ends the process; a pattern that never ends would not let Python handle it.
                signal.setitimer(signal.ITIMER_PROF, more)
                answer = function(*given) if key is None else function(built[key], *given)
                signal.setitimer(signal.ITIMER_PROF, 0)
            _write(outbox, (True, answer))
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            signal.setitimer(signal.ITIMER_PROF, 0)
            _write(outbox, (False, _portable(error)))


def _portable(error: Exception) -> Exception:
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    except Exception:  # noqa: BLE001 - whatever it is that cannot be sent
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _write(outbox: BinaryIO, message: Any) -> None:
    body = pickle.dumps(message, protocol=5)
    outbox.write(SIZE.pack(len(body)) + body)
    outbox.flush()


if __name__ == "__main__":
    main()
