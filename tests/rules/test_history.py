"""The clock of requests that were worked elsewhere: their city's deadline, and the short cut through years of waiting."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.rules.calendar import ALWAYS, Calendar
from civicpulse.rules.history import GRACE_HOURS, imported_policy, read_history
from civicpulse.rules.sla import Policy, Reading, Step, read_clock

OFFICE = Calendar("America/New_York", dict.fromkeys(range(5), ((480, 1020),)))
START = datetime(2020, 1, 6, 15, tzinfo=UTC)
PLAIN = Policy("p", 72, 120, 24, steps=(Step(60, "tell"), Step(72, "raise", "supervisor"), Step(120, "raise")))
POLICIES = st.builds(
    lambda target, grace, steps: Policy("p", target, target + grace, steps=tuple(Step(hours, "tell") for hours in steps)),
    st.floats(1, 200), st.floats(0, 100), st.lists(st.floats(1, 300), max_size=3).map(sorted),
)  # fmt: skip


def test_the_citys_deadline_rules_and_the_ladder_keeps_its_distance_to_it() -> None:
    target = START + timedelta(hours=240)
    made = imported_policy(PLAIN, created_at=START, target_at=target)
    assert (made.policy_id, made.target_hours, made.breach_threshold_hours) == ("imported", 240, 288)
    assert (made.response_hours, made.target_at, made.calendar) == (24, target, None)
    assert [step.after_hours for step in made.steps] == [228, 240, 288]
    late = imported_policy(PLAIN, created_at=START, target_at=START - timedelta(hours=1))
    assert (late.target_hours, late.response_hours, late.target_at) == (0, 0, START - timedelta(hours=1))
    assert not read_clock(late, ALWAYS, started_at=START, now=START, finished_at=START).met


def test_without_a_policy_the_deadline_stands_alone_with_a_day_of_grace() -> None:
    made = imported_policy(None, created_at=START, target_at=START + timedelta(hours=10))
    assert (made.target_hours, made.breach_threshold_hours, made.steps) == (10, 10 + GRACE_HOURS, ())
    unhurried = imported_policy(Policy("p", 72, 120), created_at=START, target_at=START + timedelta(hours=10))
    assert unhurried.response_hours is None


def seen(reading: Reading) -> tuple[object, ...]:
    return reading.state, reading.met, reading.next_at, reading.due_steps


@pytest.mark.parametrize("policy", [None, PLAIN])
@pytest.mark.parametrize("calendar", [ALWAYS, OFFICE])
@pytest.mark.parametrize("days", [0, 1, 40, 900])
@pytest.mark.parametrize("ends", [False, True])
def test_the_short_cut_sees_what_the_whole_clock_sees(
    policy: Policy | None, calendar: Calendar, days: int, ends: bool
) -> None:
    now = START + timedelta(days=days)
    ended_at = now if ends else None
    plain = read_clock(policy, calendar, started_at=START, now=now, finished_at=ended_at)
    assert seen(read_history(policy, calendar, started_at=START, ended_at=ended_at, now=now)) == seen(plain)


def test_a_pause_of_the_calendar_longer_than_the_short_cut_is_walked_to_its_end() -> None:
    closed = frozenset((START + timedelta(days=day)).date() for day in range(120))
    resting = Calendar("America/New_York", dict.fromkeys(range(5), ((480, 1020),)), holidays=closed)
    now = START + timedelta(days=100)
    for ended_at in (None, now):
        plain = read_clock(PLAIN, resting, started_at=START, now=now, finished_at=ended_at)
        found = read_history(PLAIN, resting, started_at=START, ended_at=ended_at, now=now)
        assert seen(found) == seen(plain)
        assert plain.next_at is not None or plain.met


@given(st.none() | POLICIES, st.sampled_from([ALWAYS, OFFICE]), st.floats(0, 20_000), st.booleans(), st.booleans())
def test_the_short_cut_changes_no_verdict(
    policy: Policy | None, calendar: Calendar, hours: float, ends: bool, imported: bool
) -> None:
    now = START + timedelta(hours=hours)
    if imported:
        policy = imported_policy(policy, created_at=START, target_at=START + timedelta(hours=50))
    ended_at = now if ends else None
    plain = read_clock(policy, calendar, started_at=START, now=now, finished_at=ended_at)
    assert seen(read_history(policy, calendar, started_at=START, ended_at=ended_at, now=now)) == seen(plain)
