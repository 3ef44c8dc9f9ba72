"""Local times of a file as instants: every wall time means one instant, and their order is kept."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from civicpulse.base.tables import read_number
from civicpulse.imports.mapping import EPOCHS, ISO

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def to_utc(local: datetime, zone: ZoneInfo) -> datetime:
    """Gives the instant of a wall time (naive) in `zone`; an aware time is only converted.

    A wall time that occurs twice means its first occurrence. One that a clock change skips falls into the last second
    before the change, in order: so of two wall times of a file (whole seconds) the earlier is the earlier instant,
    and "closed by the target" on the city's clock stays true or false.
    """
    if local.tzinfo is not None:
        return local.astimezone(UTC)
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:  # equal whatever the fold
        return instant
    late = local.replace(tzinfo=zone, fold=1).astimezone(UTC)  # by the offset after the change: before the change
    gap = instant - late
    change = _change(late, instant, zone)
    into = instant - change  # how far into the skipped wall time, 0 <= into < gap
    return change - SECOND + (into + SECOND) / ((gap + SECOND) / SECOND)


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Finds the instant between two at which the zone's offset changes."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > SECOND:
        middle = before + ((after - before) // SECOND // 2 or 1) * SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def read_time(text: str, formats: Sequence[str], zone: ZoneInfo) -> datetime:
    """Reads the instant that `text` names in one of `formats` (strptime's, "iso", "epoch", "epoch_ms"); ValueError when none fits."""
    for pattern in formats:
        try:
            local = _parsed(text, pattern)
        except (ValueError, OverflowError):
            continue
        return to_utc(local, zone)
    raise ValueError(f"{text!r} is no time as {' or '.join(formats)}")


def _parsed(text: str, pattern: str) -> datetime:
    if pattern == ISO:
        return datetime.fromisoformat(text)
    if pattern not in EPOCHS:
        return datetime.strptime(text, pattern)  # noqa: DTZ007
    units = read_number(text)
    if units is None:
        raise ValueError(text)
    return EPOCH + timedelta(seconds=units / EPOCHS[pattern])
