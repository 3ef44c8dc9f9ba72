"""Working time over windows, holidays and clock changes."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.rules.calendar import (
    ALWAYS,
    Calendar,
    WorkingTime,
    add_hours,
    as_utc,
    elapsed_hours,
    working_intervals,
)

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
WORKDAYS = dict.fromkeys(range(5), ((9 * 60, 17 * 60),))
OFFICE = Calendar(BERLIN, WORKDAYS, frozenset({date(2026, 12, 25), date(2027, 1, 1)}))
LUNCH = Calendar(NEW_YORK, dict.fromkeys(range(5), ((13 * 60, 17 * 60), (8 * 60, 12 * 60))))
ALL_DAY = {zone: Calendar(zone, dict.fromkeys(range(7), ((0, 1440),))) for zone in (BERLIN, NEW_YORK)}
NIGHT = {zone: Calendar(zone, dict.fromkeys(range(7), ((60, 240),))) for zone in (BERLIN, NEW_YORK)}
NEVER = Calendar("UTC", {})
ALL_CALENDARS = [OFFICE, LUNCH, *ALL_DAY.values(), *NIGHT.values(), ALWAYS]


def at(zone: str, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("calendar", "start", "end", "hours"),
    [
        (OFFICE, "2026-06-01 09:00", "2026-06-01 17:00", 8),
        (OFFICE, "2026-06-01 08:00", "2026-06-01 10:30", 1.5),
        (OFFICE, "2026-06-01 16:00", "2026-06-02 10:00", 2),
        (OFFICE, "2026-06-05 16:00", "2026-06-08 10:00", 2),  # over a weekend
        (OFFICE, "2026-06-06 00:00", "2026-06-08 00:00", 0),  # a weekend
        (OFFICE, "2026-12-24 16:00", "2026-12-28 10:00", 2),  # holiday and weekend
        (OFFICE, "2026-12-25 09:00", "2026-12-25 17:00", 0),
        (OFFICE, "2026-06-01 10:00", "2026-06-01 10:00", 0),
        (OFFICE, "2026-06-02 10:00", "2026-06-01 10:00", 0),
        (LUNCH, "2026-06-01 11:00", "2026-06-01 14:00", 2),
        (LUNCH, "2026-06-01 12:15", "2026-06-01 12:45", 0),
        (LUNCH, "2026-06-01 00:00", "2026-06-06 00:00", 40),
        (ALWAYS, "2026-06-01 11:00", "2026-06-04 11:00", 72),
        (ALWAYS, "2026-06-04 11:00", "2026-06-01 11:00", 0),
        (NEVER, "2000-06-01 11:00", "2026-06-04 11:00", 0),
        # The clock goes forward at 02:00 and back at 03:00 (Berlin), back at 02:00 (New York).
        (ALL_DAY[BERLIN], "2026-03-29 00:00", "2026-03-30 00:00", 23),
        (ALL_DAY[BERLIN], "2026-10-25 00:00", "2026-10-26 00:00", 25),
        (ALL_DAY[NEW_YORK], "2026-03-08 00:00", "2026-03-09 00:00", 23),
        (ALL_DAY[NEW_YORK], "2026-11-01 00:00", "2026-11-02 00:00", 25),
        (NIGHT[BERLIN], "2026-03-29 00:00", "2026-03-30 00:00", 2),
        (NIGHT[BERLIN], "2026-10-25 00:00", "2026-10-26 00:00", 4),
        (NIGHT[NEW_YORK], "2026-03-08 00:00", "2026-03-09 00:00", 2),
        (NIGHT[NEW_YORK], "2026-11-01 00:00", "2026-11-02 00:00", 4),
        (OFFICE, "2026-03-27 16:00", "2026-03-30 10:00", 2),  # working hours are unmoved by the change
        (OFFICE, "2026-10-23 16:00", "2026-10-26 10:00", 2),
    ],
)
def test_elapsed_hours(calendar: Calendar, start: str, end: str, hours: float) -> None:
    begin, finish = at(calendar.timezone, start), at(calendar.timezone, end)
    assert elapsed_hours(calendar, begin, finish) == hours
    assert sum((b - a for a, b in working_intervals(calendar, begin, finish)), timedelta()) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("calendar", "start", "hours", "end"),
    [
        (OFFICE, "2026-06-01 09:00", 8, "2026-06-01 17:00"),
        (OFFICE, "2026-06-01 09:00", 8.5, "2026-06-02 09:30"),
        (OFFICE, "2026-06-05 16:00", 2, "2026-06-08 10:00"),
        (OFFICE, "2026-06-06 12:00", 0, "2026-06-06 12:00"),
        (OFFICE, "2026-12-24 16:00", 2, "2026-12-28 10:00"),
        (OFFICE, "2026-12-31 12:00", 6, "2027-01-04 10:00"),
        (LUNCH, "2026-06-01 11:00", 1, "2026-06-01 12:00"),
        (LUNCH, "2026-06-01 11:00", 2, "2026-06-01 14:00"),
        (ALL_DAY[BERLIN], "2026-03-28 12:00", 24, "2026-03-29 13:00"),
        (ALL_DAY[BERLIN], "2026-10-24 12:00", 24, "2026-10-25 11:00"),
        (NIGHT[NEW_YORK], "2026-03-08 01:00", 1.5, "2026-03-08 03:30"),
        (NIGHT[NEW_YORK], "2026-11-01 00:00", 2.5, "2026-11-01 02:30"),
    ],
)
def test_add_hours(calendar: Calendar, start: str, hours: float, end: str) -> None:
    assert add_hours(calendar, at(calendar.timezone, start), hours) == at(calendar.timezone, end)


def test_a_window_that_begins_in_the_skipped_hour_begins_at_the_change() -> None:
    calendar = Calendar(BERLIN, {6: ((150, 300),)})  # 02:30 to 05:00, but 02:00 to 03:00 does not exist
    (window,) = calendar.windows_on(date(2026, 3, 29))
    assert window == (at(BERLIN, "2026-03-29 03:00"), at(BERLIN, "2026-03-29 05:00"))


def test_a_window_within_the_skipped_hour_vanishes() -> None:
    assert Calendar(BERLIN, {6: ((135, 165),)}).windows_on(date(2026, 3, 29)) == ()


def test_a_wall_time_that_occurs_twice_means_the_first() -> None:
    calendar = Calendar(BERLIN, {6: ((0, 150), (150, 1440))})
    first, second = calendar.windows_on(date(2026, 10, 25))
    assert first[1] == second[0] == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_day_that_a_zone_skipped_has_no_working_time() -> None:
    calendar = Calendar("Pacific/Apia", dict.fromkeys(range(7), ((0, 1440),)))
    assert calendar.windows_on(date(2011, 12, 30)) == ()
    begin, end = at("Pacific/Apia", "2011-12-29 00:00"), at("Pacific/Apia", "2012-01-01 00:00")
    assert elapsed_hours(calendar, begin, end) == 48


@pytest.mark.parametrize("zone", ["Africa/Cairo", "America/Sao_Paulo", "Asia/Beirut", "Australia/Lord_Howe"])
def test_whole_days_count_as_real_time_also_where_midnight_is_skipped(zone: str) -> None:
    calendar = Calendar(zone, dict.fromkeys(range(7), ((0, 1440),)))
    begin, end = datetime(2017, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC)
    assert elapsed_hours(calendar, begin, end) == elapsed_hours(ALWAYS, begin, end)


def test_intervals_are_cut_at_both_ends_and_in_utc() -> None:
    found = list(working_intervals(LUNCH, at(NEW_YORK, "2026-06-01 11:00"), at(NEW_YORK, "2026-06-02 09:00")))
    hours = [(begin.hour, end.hour) for begin, end in found]
    assert hours == [(15, 16), (17, 21), (12, 13)]
    assert all(begin.tzinfo is UTC and end.tzinfo is UTC for begin, end in found)


def test_a_calendar_without_working_time_cannot_add_hours() -> None:
    always_holiday = Calendar("UTC", WORKDAYS, frozenset(date(2026, 1, 1) + timedelta(days=n) for n in range(2200)))
    for calendar in (NEVER, always_holiday):
        with pytest.raises(ValueError, match="no working time"):
            add_hours(calendar, datetime(2026, 1, 1, tzinfo=UTC), 1)


def test_negative_hours_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        add_hours(ALWAYS, datetime(2026, 1, 1, tzinfo=UTC), -1)


def test_naive_times_are_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        as_utc(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("zone", "windows", "words"),
    [
        ("Mars/Olympus", {}, "unknown time zone"),
        ("../etc/passwd", {}, "unknown time zone"),
        ("", {}, "unknown time zone"),
        ("UTC", {7: ((0, 60),)}, "weekday 7"),
        ("UTC", {0: ((60, 60),)}, "window 60-60"),
        ("UTC", {0: ((0, 1441),)}, "window 0-1441"),
        ("UTC", {0: ((0, 60), (30, 90))}, "overlaps"),
    ],
)
def test_a_wrong_calendar_is_refused(zone: str, windows: dict[int, tuple[tuple[int, int], ...]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Calendar(zone, windows)


def test_calendars_can_be_compared_and_hashed() -> None:
    same = Calendar(BERLIN, dict(WORKDAYS), OFFICE.holidays)
    OFFICE.windows_on(date(2026, 6, 1))
    assert same == OFFICE
    assert hash(same) == hash(OFFICE)


windows = st.lists(st.integers(0, 1440), min_size=0, max_size=6, unique=True).map(
    lambda marks: tuple(zip(sorted(marks)[::2], sorted(marks)[1::2], strict=False))
)
calendars = st.one_of(
    st.sampled_from(ALL_CALENDARS),
    st.builds(
        Calendar,
        st.sampled_from([BERLIN, NEW_YORK, "Asia/Almaty"]),
        # At least one window, so that working time exists; Sunday is when clocks change.
        st.dictionaries(st.integers(0, 6), windows, max_size=5).map(
            lambda days: {0: ((540, 1020),)} | days | {6: ((0, 300),)}
        ),
        st.frozensets(st.dates(date(2026, 3, 1), date(2026, 4, 30)), max_size=5),
    ),
)
# Around both clock changes of a year.
instants = st.one_of(
    st.datetimes(datetime(2026, 3, 1), datetime(2026, 4, 5)),  # noqa: DTZ001
    st.datetimes(datetime(2026, 10, 20), datetime(2026, 11, 5)),  # noqa: DTZ001
).map(lambda moment: moment.replace(tzinfo=UTC))
spans = st.floats(0, 300).map(lambda hours: round(hours, 3))


@given(calendar=calendars, start=instants, hours=spans)
def test_elapsed_undoes_add(calendar: Calendar, start: datetime, hours: float) -> None:
    end = add_hours(calendar, start, hours)
    assert end >= start
    assert elapsed_hours(calendar, start, end) == pytest.approx(hours, abs=1e-9)


@given(calendar=calendars, start=instants, hours=spans)
def test_add_gives_the_first_instant(calendar: Calendar, start: datetime, hours: float) -> None:
    end = add_hours(calendar, start, hours)
    if end > start:
        assert elapsed_hours(calendar, start, end - timedelta(microseconds=1)) < elapsed_hours(calendar, start, end)
    assert add_hours(calendar, start, elapsed_hours(calendar, start, end)) == end


@given(calendar=calendars, moments=st.tuples(instants, instants, instants).map(sorted))
def test_elapsed_is_additive_and_monotone(calendar: Calendar, moments: list[datetime]) -> None:
    first, middle, last = moments
    whole, part = elapsed_hours(calendar, first, last), elapsed_hours(calendar, first, middle)
    assert 0 <= part <= whole <= (last - first) / timedelta(hours=1)
    assert whole == pytest.approx(part + elapsed_hours(calendar, middle, last), abs=1e-9)


@given(calendar=calendars, moments=st.tuples(instants, instants).map(sorted))
def test_intervals_are_ordered_disjoint_and_add_up(calendar: Calendar, moments: list[datetime]) -> None:
    start, end = moments
    found = list(working_intervals(calendar, start, end))
    edges = [start, *(edge for interval in found for edge in interval), end]
    assert edges == sorted(edges)
    assert all(begin < finish for begin, finish in found)
    hours = sum(((finish - begin) for begin, finish in found), timedelta()) / timedelta(hours=1)
    assert hours == elapsed_hours(calendar, start, end)


@given(calendar=calendars, start=instants, moments=st.lists(instants, max_size=5), hours=st.lists(spans, max_size=3))
def test_one_walk_answers_like_many(
    calendar: Calendar, start: datetime, moments: list[datetime], hours: list[float]
) -> None:
    walk = WorkingTime(calendar, start)
    for amount in hours:
        assert walk.reached(timedelta(hours=amount)) == add_hours(calendar, start, amount)
    for moment in moments:
        assert walk.passed(moment) / timedelta(hours=1) == elapsed_hours(calendar, start, moment)


def test_a_deadline_that_no_one_will_live_to_see_is_ten_years_away_and_costs_one_walk() -> None:
    minute_a_week = Calendar("UTC", {0: ((9 * 60, 9 * 60 + 1),)})
    start = datetime(2026, 3, 2, 8, tzinfo=UTC)
    reached = add_hours(minute_a_week, start, 20_000)
    assert timedelta(days=9 * 365) < reached - start < timedelta(days=11 * 365)
    assert add_hours(minute_a_week, start, 1 / 60) == datetime(2026, 3, 2, 9, 1, tzinfo=UTC)
