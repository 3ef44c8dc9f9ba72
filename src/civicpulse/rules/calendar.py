"""Working time: weekly windows on a wall clock, holidays, and the real time that passes inside them.

Windows are wall-clock times of the calendar's zone; what is counted is real elapsed time. So a window over the spring
change is an hour shorter, over the autumn change an hour longer. A wall time that occurs twice means its first
occurrence; one that a change skips means the moment of the change.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
ZERO: Final = timedelta()
_DAY_MINUTES: Final = 24 * 60
_MAX_IDLE_DAYS: Final = 5 * 366
_MAX_DAYS: Final = 10 * 366

Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Working hours. `windows`: weekday (0 = Monday) -> (start, end) in minutes after local midnight, end <= 1440.

    Holidays are local dates without windows. `always` means 24x7, whatever else is set. Raises ValueError for an
    unknown time zone and for windows that are out of range or overlap.
    """

    timezone: str
    windows: Mapping[int, tuple[tuple[int, int], ...]] = field(hash=False)
    holidays: frozenset[date] = frozenset()
    always: bool = False
    # Converting wall times is the costly part, and every clock of a tenant walks the same days.
    _days: dict[date, tuple[Interval, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {self.timezone!r}") from error
        for weekday, windows in self.windows.items():
            if not 0 <= weekday <= 6:
                raise ValueError(f"weekday {weekday} is not in 0 (Monday) to 6 (Sunday)")
            _check_windows(weekday, windows)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the wall clock."""
        return ZoneInfo(self.timezone)

    def windows_on(self, day: date) -> tuple[Interval, ...]:
        """Gives the windows of a local date as UTC intervals, in order; those that a clock change swallows are left out."""
        known = self._days.get(day)
        if known is None:
            known = self._days[day] = () if day in self.holidays else tuple(self._resolve(day))
        return known

    def _resolve(self, day: date) -> Iterator[Interval]:
        zone = self.zone
        for start, end in sorted(self.windows.get(day.weekday(), ())):
            begin, finish = _instant(day, start, zone), _instant(day, end, zone)
            if begin < finish:
                yield begin, finish


def _check_windows(weekday: int, windows: tuple[tuple[int, int], ...]) -> None:
    free_from = 0
    for start, end in sorted(windows):
        if not 0 <= start < end <= _DAY_MINUTES:
            raise ValueError(f"window {start}-{end} on weekday {weekday} is not within 0 to {_DAY_MINUTES} minutes")
        if start < free_from:
            raise ValueError(f"window {start}-{end} on weekday {weekday} overlaps the one before it")
        free_from = end


def _instant(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    wall = datetime.combine(day, time(), zone) + timedelta(minutes=minutes)  # same zone: wall-clock arithmetic
    later = wall.replace(fold=1)
    if later.utcoffset() == wall.utcoffset():
        return wall.astimezone(UTC)
    first, second = wall.astimezone(UTC), later.astimezone(UTC)
    if first < second:
        return first
    return _change_between(second, first, zone)


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Finds the second at which the zone's offset changes, given one instant before it and one at or after it."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


ALWAYS: Final = Calendar("UTC", {}, always=True)


def as_utc(at: datetime) -> datetime:
    """Converts an instant to UTC; ValueError for a naive time. Subtraction is real time only between UTC times."""
    if at.tzinfo is UTC:
        return at
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone")
    return at.astimezone(UTC)


class WorkingTime:
    """Working time counted from one instant: how much has passed at a moment, and when an amount is reached.

    Walks the calendar's days once, as far as asked, and remembers them, so that several questions about one clock
    cost one walk. Without a walk for a 24x7 calendar.
    """

    __slots__ = ("_calendar", "_day", "_ends", "_starts", "_totals", "start")

    def __init__(self, calendar: Calendar, start: datetime) -> None:
        self.start = as_utc(start)
        self._calendar = calendar
        if calendar.always:
            return
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        self._totals: list[timedelta] = []  # working time at the end of each window
        # A day early: a clock that goes back over midnight shows one date before and after another.
        self._day = self.start.astimezone(calendar.zone).date() - DAY

    def passed(self, at: datetime) -> timedelta:
        """Counts working time from the start to `at` (UTC); zero when `at` is earlier."""
        if at <= self.start:
            return ZERO
        if self._calendar.always:
            return at - self.start
        last = at.astimezone(self._calendar.zone).date() + DAY
        while self._day <= last:
            self._walk_day()
        index = bisect_left(self._starts, at) - 1
        return ZERO if index < 0 else self._totals[index] - max(ZERO, self._ends[index] - at)

    def reached(self, amount: timedelta) -> datetime:
        """Finds the first instant (UTC) at which `amount` has passed; ten years ahead at most, which is a walk's length.

        Raises ValueError when five years hold no working time.
        """
        if amount <= ZERO:
            return self.start
        if self._calendar.always:
            return self.start + amount
        idle, days = 0, 0
        while not self._totals or self._totals[-1] < amount:
            if days == _MAX_DAYS and self._totals:
                return self._ends[-1]
            days += 1
            idle = 0 if self._walk_day() else idle + 1
            if idle > _MAX_IDLE_DAYS:
                raise ValueError("the calendar has no working time within five years")
        index = bisect_left(self._totals, amount)
        return self._ends[index] - (self._totals[index] - amount)

    def _walk_day(self) -> bool:
        found = False
        for begin, end in self._calendar.windows_on(self._day):
            if end > self.start:
                begin = max(begin, self.start)
                self._starts.append(begin)
                self._ends.append(end)
                self._totals.append((self._totals[-1] if self._totals else ZERO) + (end - begin))
                found = True
        self._day += DAY
        return found


def working_intervals(calendar: Calendar, start: datetime, end: datetime) -> Iterator[Interval]:
    """Lists the stretches of working time between two instants, in order, as UTC times; one stretch when 24x7."""
    start, end = as_utc(start), as_utc(end)
    if start >= end:
        return
    if calendar.always:
        yield start, end
        return
    day = start.astimezone(calendar.zone).date() - DAY
    last = end.astimezone(calendar.zone).date() + DAY
    while day <= last:
        for begin, finish in calendar.windows_on(day):
            if begin < end and finish > start:
                yield max(begin, start), min(finish, end)
        day += DAY


def elapsed_hours(calendar: Calendar, start: datetime, end: datetime) -> float:
    """Counts working hours between two instants; 0.0 when `end` is not after `start`."""
    if calendar.always:
        return max(ZERO, as_utc(end) - as_utc(start)) / HOUR
    return WorkingTime(calendar, start).passed(as_utc(end)) / HOUR


def add_hours(calendar: Calendar, start: datetime, hours: float) -> datetime:
    """Finds the first instant (UTC) at which `hours` working hours have passed since `start`.

    `start` itself for zero hours. ValueError for negative hours, or when the calendar has no working time.
    """
    if hours < 0:
        raise ValueError("hours must not be negative")
    return WorkingTime(calendar, start).reached(timedelta(hours=hours))
