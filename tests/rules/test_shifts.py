"""Shifts by the wall clock of the agent's time zone, over midnight and over the changes of the clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.rules.shifts import DAYS, Schedule, Shift, is_available, is_on_shift, next_shift_start, shift_of

BOSTON = "America/New_York"


def wall(text: str, zone: str = BOSTON, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


@pytest.mark.parametrize(
    ("shift", "now", "expected"),
    [
        (Shift("Mon", "08:00", "16:00"), "2026-03-02T07:59:59", False),
        (Shift("Mon", "08:00", "16:00"), "2026-03-02T08:00", True),
        (Shift("Mon", "08:00", "16:00"), "2026-03-02T15:59:59", True),
        (Shift("Mon", "08:00", "16:00"), "2026-03-02T16:00", False),
        (Shift("Mon", "08:00", "16:00"), "2026-03-03T09:00", False),
        (Shift("Mon", "22:00", "06:00"), "2026-03-02T23:00", True),
        (Shift("Mon", "22:00", "06:00"), "2026-03-03T05:59", True),
        (Shift("Mon", "22:00", "06:00"), "2026-03-03T06:00", False),
        (Shift("Mon", "22:00", "06:00"), "2026-03-02T05:00", False),
        (Shift("Sun", "22:00", "06:00"), "2026-03-02T05:00", True),
        (Shift("Mon", "16:00", "24:00"), "2026-03-02T23:59:59", True),
        (Shift("Mon", "16:00", "24:00"), "2026-03-03T00:00", False),
        (Shift("Mon", "08:00", "08:00"), "2026-03-03T07:59", True),
        (Shift("Mon", "08:00", "08:00"), "2026-03-03T08:00", False),
        (Shift("Sun", "08:00", "16:00"), "2026-03-08T08:00", True),  # clocks went forward at 02:00
        (Shift("Sun", "02:30", "04:00"), "2026-03-08T03:00", True),  # 02:30 was skipped
        (Shift("Sat", "23:00", "03:30"), "2026-03-08T03:15", True),
        (Shift("Sun", "08:00", "16:00"), "2026-11-01T15:59", True),  # clocks went back at 02:00
    ],
)
def test_the_wall_clock_decides(shift: Shift, now: str, expected: bool) -> None:
    schedule = Schedule(BOSTON, (shift,))
    assert is_on_shift(schedule, wall(now)) is expected
    assert is_on_shift(schedule, wall(now).astimezone(UTC)) is expected


def test_an_hour_that_comes_twice_is_worked_twice() -> None:
    schedule = Schedule(BOSTON, (Shift("Sun", "00:00", "02:00"),))
    first, second = wall("2026-11-01T01:30"), wall("2026-11-01T01:30", fold=1)
    assert second.astimezone(UTC) - first.astimezone(UTC) == timedelta(hours=1)
    assert is_on_shift(schedule, first)
    assert is_on_shift(schedule, second)


def test_on_call_is_available_but_not_on_shift() -> None:
    schedule = Schedule(BOSTON, (), on_call=True)
    assert is_available(schedule, wall("2026-03-02T03:00"))
    assert not is_on_shift(schedule, wall("2026-03-02T03:00"))
    assert next_shift_start(schedule, wall("2026-03-02T03:00")) is None


@pytest.mark.parametrize(
    ("shift", "now", "start"),
    [
        (Shift("Mon", "08:00", "16:00"), "2026-03-02T07:00", "2026-03-02T13:00Z"),
        (Shift("Mon", "08:00", "16:00"), "2026-03-02T08:00", "2026-03-09T12:00Z"),  # summer time by then
        (Shift("Sun", "02:30", "10:00"), "2026-03-08T00:00", "2026-03-08T07:00Z"),  # 02:30 is skipped: 03:00 it is
        (Shift("Sun", "01:30", "10:00"), "2026-11-01T00:00", "2026-11-01T05:30Z"),
        (Shift("Sun", "01:30", "10:00"), "2026-11-01T01:30", "2026-11-01T06:30Z"),
    ],
)
def test_the_next_shift_starts_when_the_wall_clock_says_so(shift: Shift, now: str, start: str) -> None:
    assert next_shift_start(Schedule(BOSTON, (shift,)), wall(now)) == datetime.fromisoformat(start)


@pytest.mark.parametrize(
    "fields", [("Monday", "08:00", "16:00"), ("Mon", "8:00", "16:00"), ("Mon", "08:00", "24:30"), ("Mon", "", "09:00")]
)
def test_a_malformed_shift_is_refused(fields: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match=r"unknown day|is not a time"):
        Shift(*fields)


clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
schedules = st.builds(
    Schedule,
    st.sampled_from([BOSTON, "Asia/Almaty", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "UTC"]),
    st.lists(st.builds(Shift, st.sampled_from(DAYS), clocks, clocks), min_size=1, max_size=3).map(tuple),
)
moments = st.integers(0, 3 * 365 * 24 * 60).map(
    lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@given(schedules, moments)
def test_somebody_is_on_shift_when_their_shift_starts(schedule: Schedule, now: datetime) -> None:
    start = next_shift_start(schedule, now)
    assert start is not None
    assert now < start <= now + timedelta(days=8)
    assert is_on_shift(schedule, start)


@given(schedules, moments)
def test_a_shift_repeats_every_week_by_the_wall_clock(schedule: Schedule, now: datetime) -> None:
    local = now.astimezone(ZoneInfo(schedule.timezone))
    week_later = local + timedelta(days=7)  # the same wall clock
    is_real = week_later.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) == week_later.replace(
        tzinfo=None
    )
    if is_real:
        assert is_on_shift(schedule, local) == is_on_shift(schedule, week_later)


def test_the_same_words_are_the_same_shift_checked_once() -> None:
    assert shift_of("Mon", "22:00", "06:00") == Shift("Mon", "22:00", "06:00")
    assert shift_of("Mon", "22:00", "06:00") is shift_of("Mon", "22:00", "06:00")
    with pytest.raises(ValueError, match="25:00"):
        shift_of("Mon", "25:00", "06:00")
