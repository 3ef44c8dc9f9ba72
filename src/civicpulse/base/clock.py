"""The time. Everything asks here, so that the sample city and the tests can live through a year in seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_frozen: ContextVar[datetime | None] = ContextVar("frozen", default=None)


def now() -> datetime:
    """Tells the current instant, aware, UTC, in microseconds."""
    return _frozen.get() or datetime.now(UTC)


def wall() -> datetime:
    """Tells the machine's own instant, for leases: whoever lives through a year in seconds must not hold rows for one."""
    return datetime.now(UTC)


@contextmanager
def at(instant: datetime) -> Iterator[None]:
    """Makes `now()` answer `instant` (aware) within the block, in this task."""
    token = _frozen.set(instant.astimezone(UTC))
    try:
        yield
    finally:
        _frozen.reset(token)
