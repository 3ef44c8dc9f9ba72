"""Who is there: weekly shifts in the agent's own time zone, by the clock on the agent's wall (R-ASG-02)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_MINUTES = 24 * 60
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00")


@dataclass(frozen=True, slots=True)
class Shift:
    """One weekly shift: `day` "Mon".."Sun", "HH:MM" from (inclusive) to (exclusive).

    An end at or before the start means the next day, so "08:00" to "08:00" is a whole day. Malformed: ValueError.
    """

    day: str
    start: str
    end: str

    def __post_init__(self) -> None:
        if self.day not in DAYS:
            raise ValueError(f"unknown day {self.day!r}: one of {', '.join(DAYS)}")
        for clock in (self.start, self.end):
            if not _CLOCK.fullmatch(clock):
                raise ValueError(f"{clock!r} is not a time HH:MM")

    @property
    def start_minute(self) -> int:
        """Minutes from midnight of the shift's day to its start."""
        return _minutes(self.start)

    @property
    def length_minutes(self) -> int:
        """Minutes on the wall clock from start to end, 1..1440."""
        end = _minutes(self.end)
        return end - self.start_minute + (DAY_MINUTES if end <= self.start_minute else 0)


@lru_cache(maxsize=4096)
def shift_of(day: str, start: str, end: str) -> Shift:
    """Makes the shift in those words, checked once: the same few come back with every agent that is read."""
    return Shift(day, start, end)


@dataclass(frozen=True, slots=True)
class Schedule:
    """An agent's week; `timezone` is an IANA name; `on_call` means reachable outside the shifts as well."""

    timezone: str
    shifts: tuple[Shift, ...]
    on_call: bool = False


def is_on_shift(schedule: Schedule, now: datetime) -> bool:
    """Tells whether the wall clock in the agent's time zone stands inside a shift. `now` is aware."""
    if not schedule.shifts:
        return False
    wall = now.astimezone(ZoneInfo(schedule.timezone)).replace(tzinfo=None)
    for shift in schedule.shifts:
        for days_back in (0, 1):
            start = _start_on(shift, wall, days=-days_back)
            if start is not None and start <= wall < start + timedelta(minutes=shift.length_minutes):
                return True
    return False


def is_available(schedule: Schedule, now: datetime) -> bool:
    """Tells whether an agent is on shift or on call (R-ASG-02)."""
    return schedule.on_call or is_on_shift(schedule, now)


def next_shift_start(schedule: Schedule, now: datetime) -> datetime | None:
    """Finds the first moment after `now` at which a shift begins, in UTC; None without shifts."""
    zone = ZoneInfo(schedule.timezone)
    wall = now.astimezone(zone).replace(tzinfo=None)
    starts = (
        moment
        for shift in schedule.shifts
        for days in range(-1, 9)
        if (start := _start_on(shift, wall, days=days)) is not None
        for moment in _moments(start, zone)
        if moment > now
    )
    return min(starts, default=None)


def _start_on(shift: Shift, wall: datetime, *, days: int) -> datetime | None:
    """Finds the shift's start on the wall's date plus `days`, or None if that date is another weekday."""
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)
    if DAYS[midnight.weekday()] != shift.day:
        return None
    return midnight + timedelta(minutes=shift.start_minute)


def _moments(wall: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Finds the moments at which a wall clock comes to show `wall`: one, two when clocks go back, and when clocks jump over
    it, the moment of the jump."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        yield from {first, second}
        return
    while first - second > timedelta(seconds=1):  # the jump lies between the two readings: halve until found
        middle = second + (first - second) / 2
        if middle.astimezone(zone).replace(tzinfo=None) >= wall:
            first = middle
        else:
            second = middle
    yield first.replace(microsecond=0)


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])
