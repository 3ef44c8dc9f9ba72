"""The SLA clock: policies, states at their exact boundaries, pauses, escalation steps, explanations."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from civicpulse.rules.calendar import ALWAYS, Calendar, WorkingTime, elapsed_hours, working_intervals
from civicpulse.rules.sla import (
    Explanation,
    Pause,
    Policy,
    PolicyRule,
    Reading,
    Step,
    breach_reason,
    choose_policy,
    explain_clock,
    read_clock,
)

HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)
START = datetime(2026, 6, 1, 7, 0, tzinfo=UTC)  # a Monday, 09:00 in Berlin
OFFICE = Calendar("Europe/Berlin", dict.fromkeys(range(5), ((540, 1020),)), frozenset({date(2026, 6, 4)}))
LADDER = (Step(12, "breach"), Step(8, "remind", "agent"), Step(10, "escalate", "supervisor"))
POLICY = Policy("POT-P2", 10, 12, response_hours=2, steps=LADDER)


def after(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def policy_of(name: str) -> Policy:
    return Policy(name, 1, 2)


RULES = [
    PolicyRule(policy_of("default")),
    PolicyRule(policy_of("p1"), priority="P1"),
    PolicyRule(policy_of("downtown"), zone="DT"),
    PolicyRule(policy_of("pothole"), category="pothole"),
    PolicyRule(policy_of("downtown p1"), zone="DT", priority="P1"),
    PolicyRule(policy_of("pothole p1"), category="pothole", priority="P1"),
    PolicyRule(policy_of("pothole downtown"), category="pothole", zone="DT"),
    PolicyRule(policy_of("pothole downtown again"), category="pothole", zone="DT"),
    PolicyRule(policy_of("water port p2"), category="water", zone="PORT", priority="P2"),
]


@pytest.mark.parametrize(
    ("category", "zone", "priority", "chosen"),
    [
        ("noise", "OLD", "P3", "default"),
        (None, None, None, "default"),
        ("noise", "OLD", "P1", "p1"),
        ("noise", "DT", "P3", "downtown"),
        ("noise", "DT", "P1", "downtown p1"),
        ("pothole", "OLD", "P3", "pothole"),
        ("pothole", "OLD", "P1", "pothole p1"),
        ("pothole", "DT", "P3", "pothole downtown"),
        ("pothole", "DT", "P1", "pothole downtown"),
        ("water", "PORT", "P2", "water port p2"),
        ("water", "PORT", "P1", "p1"),
    ],
)
def test_the_most_specific_policy_wins(category: str, zone: str, priority: str, chosen: str) -> None:
    policy = choose_policy(RULES, category=category, zone=zone, priority=priority)
    assert policy is not None
    assert policy.policy_id == chosen


def test_without_a_matching_rule_there_is_no_policy() -> None:
    assert choose_policy(RULES[1:], category="noise", zone="OLD", priority="P3") is None
    assert choose_policy([], category=None, zone=None, priority=None) is None


@pytest.mark.parametrize(
    ("now", "state", "next_at", "met"),
    [
        (after(-1), "on_time", after(8), None),
        (after(0), "on_time", after(8), None),
        (after(8) - TICK, "on_time", after(8), None),
        (after(8), "at_risk", after(10), None),  # the step at 10 h comes a tick before "overdue"
        (after(10) - TICK, "at_risk", after(10), None),
        (after(10), "at_risk", after(10) + TICK, None),
        (after(10) + TICK, "overdue", after(12), False),
        (after(12), "overdue", after(12) + TICK, False),
        (after(12) + TICK, "breached", None, False),
        (after(1000), "breached", None, False),
    ],
)
def test_states_change_at_their_exact_instants(now: datetime, state: str, next_at: datetime, met: bool | None) -> None:
    reading = read_clock(POLICY, ALWAYS, started_at=START, now=now)
    assert (reading.state, reading.next_at, reading.met) == (state, next_at, met)
    assert (reading.at_risk_at, reading.due_at, reading.breach_at) == (after(8), after(10), after(12))
    assert reading.response_due_at == after(2)
    assert reading.elapsed_hours == max(0.0, (now - START) / HOUR)


@pytest.mark.parametrize(
    ("now", "fired", "due"),
    [
        (after(8) - TICK, 0, []),
        (after(8), 0, [(0, "remind", 8)]),
        (after(8), 1, []),
        (after(11), 0, [(0, "remind", 8), (1, "escalate", 10)]),
        (after(11), 1, [(1, "escalate", 10)]),
        (after(50), 2, [(2, "breach", 12)]),
        (after(50), 3, []),
    ],
)
def test_steps_fall_due_in_order_of_their_hours(now: datetime, fired: int, due: list[tuple[int, str, int]]) -> None:
    reading = read_clock(POLICY, ALWAYS, started_at=START, now=now, fired_steps=fired)
    assert [(index, step.action, at) for index, step, at in reading.due_steps] == [
        (index, action, after(hours)) for index, action, hours in due
    ]


def test_a_step_at_the_start_is_due_at_once() -> None:
    policy = Policy("p", 10, 12, steps=(Step(0, "notify"), Step(20, "call")))
    reading = read_clock(policy, ALWAYS, started_at=START, now=START)
    assert [at for _, _, at in reading.due_steps] == [START]
    last = read_clock(policy, ALWAYS, started_at=START, now=after(15), fired_steps=1)
    assert (last.state, last.next_at) == ("breached", after(20))


@pytest.mark.parametrize(("finished", "met"), [(after(3), True), (after(10), True), (after(10) + TICK, False)])
def test_a_finished_clock_is_completed_and_says_whether_it_was_in_time(finished: datetime, met: bool) -> None:
    reading = read_clock(POLICY, ALWAYS, started_at=START, now=after(99), finished_at=finished)
    assert (reading.state, reading.met, reading.next_at, reading.due_steps) == ("completed", met, None, ())
    assert reading.elapsed_hours == (finished - START) / HOUR
    assert reading.due_at == after(10)


def test_without_a_policy_only_elapsed_time_is_read() -> None:
    reading = read_clock(None, ALWAYS, started_at=START, now=after(5), pauses=[Pause(after(1), after(2))])
    assert reading == Reading("no_sla", 4.0, None, None, None, None, None, (), None)


def test_a_breach_threshold_at_the_target_skips_overdue() -> None:
    policy = Policy("p", 10, 10)
    assert read_clock(policy, ALWAYS, started_at=START, now=after(9)).next_at == after(10) + TICK
    assert read_clock(policy, ALWAYS, started_at=START, now=after(10) + TICK).state == "breached"


def test_a_closed_pause_shifts_every_deadline_not_yet_past() -> None:
    reading = read_clock(POLICY, ALWAYS, started_at=START, now=after(12), pauses=[Pause(after(9), after(11.5))])
    assert (reading.at_risk_at, reading.due_at, reading.breach_at) == (after(8), after(12.5), after(14.5))
    assert (reading.state, reading.elapsed_hours) == ("at_risk", 9.5)
    assert reading.response_due_at == after(2)


def test_overlapping_and_early_pauses_count_once() -> None:
    pauses = [
        Pause(after(4), after(6)),
        Pause(after(-3), after(1)),
        Pause(after(5), after(7)),
        Pause(after(-9), after(-8)),
    ]
    reading = read_clock(POLICY, ALWAYS, started_at=START, now=after(8), pauses=pauses)
    assert reading.elapsed_hours == 4.0
    assert reading.due_at == after(14)


def test_nothing_can_change_while_a_pause_lasts() -> None:
    pauses = [Pause(after(9))]
    for hours in (9, 10, 40):
        reading = read_clock(POLICY, ALWAYS, started_at=START, now=after(hours), pauses=pauses, fired_steps=1)
        assert (reading.state, reading.elapsed_hours, reading.next_at) == ("at_risk", 9.0, None)
        assert reading.due_at == after(hours + 1)


def test_a_pause_from_the_very_deadline_holds_it() -> None:
    for now in (after(10), after(30)):
        reading = read_clock(POLICY, ALWAYS, started_at=START, now=now, pauses=[Pause(after(10))])
        assert (reading.state, reading.due_at, reading.met) == ("at_risk", now, None)
    closed = read_clock(POLICY, ALWAYS, started_at=START, now=after(30), pauses=[Pause(after(10), after(30))])
    assert (closed.state, closed.next_at) == ("at_risk", after(30) + TICK)


def test_a_pause_after_the_deadline_forgives_nothing() -> None:
    reading = read_clock(POLICY, ALWAYS, started_at=START, now=after(30), pauses=[Pause(after(11))])
    assert (reading.state, reading.due_at, reading.met) == ("overdue", after(10), False)


def test_a_pause_on_the_evening_after_the_deadline_forgives_nothing() -> None:
    due = berlin("2026-06-01 17:00")  # the last minute of the working day
    pauses = [Pause(berlin("2026-06-01 20:00"), berlin("2026-06-02 12:00"))]
    reading = read_clock(Policy("p", 8, 9), OFFICE, started_at=START, now=berlin("2026-06-02 12:00"), pauses=pauses)
    assert (reading.state, reading.due_at) == ("overdue", due)


def test_what_was_reached_when_a_pause_began_was_reached_then() -> None:
    reading = read_clock(POLICY, ALWAYS, started_at=START, now=after(9.5), pauses=[Pause(after(8), after(9))])
    assert reading.at_risk_at == after(8)
    assert [at for _, _, at in reading.due_steps] == [after(8)]


def test_a_pause_with_a_known_end_leaves_the_next_moment_known() -> None:
    reading = read_clock(POLICY, ALWAYS, started_at=START, now=after(3), pauses=[Pause(after(2), after(5))])
    assert (reading.elapsed_hours, reading.next_at, reading.due_at) == (2.0, after(11), after(13))


def test_a_pause_that_has_not_begun_is_not_counted() -> None:
    plain = read_clock(POLICY, ALWAYS, started_at=START, now=after(3))
    assert read_clock(POLICY, ALWAYS, started_at=START, now=after(3), pauses=[Pause(after(4))]) == plain


@pytest.mark.parametrize(
    ("pauses", "due"),
    [
        ([], "2026-06-02 11:00"),
        ([("2026-06-01 12:00", "2026-06-01 14:00")], "2026-06-02 13:00"),
        ([("2026-06-01 16:00", "2026-06-02 10:00")], "2026-06-02 13:00"),
        ([("2026-06-01 18:00", "2026-06-02 08:00")], "2026-06-02 11:00"),
        ([("2026-06-02 10:00", "2026-06-03 10:00")], "2026-06-03 11:00"),
        ([("2026-06-02 10:00", "2026-06-04 10:00")], "2026-06-05 10:00"),  # the holiday has no windows
    ],
)
def test_over_working_hours_a_pause_shifts_by_the_working_time_it_covers(
    pauses: list[tuple[str, str]], due: str
) -> None:
    given_pauses = [Pause(berlin(start), berlin(end)) for start, end in pauses]
    reading = read_clock(POLICY, OFFICE, started_at=START, now=after(200), pauses=given_pauses)
    assert reading.due_at == berlin(due)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=OFFICE.zone)


def test_a_request_after_hours_is_due_in_the_next_windows() -> None:
    reading = read_clock(POLICY, OFFICE, started_at=berlin("2026-06-05 20:00"), now=berlin("2026-06-06 12:00"))
    assert (reading.state, reading.elapsed_hours) == ("on_time", 0.0)
    assert reading.due_at == berlin("2026-06-09 11:00")


IMPORTED = Policy("311", 10, 12, steps=LADDER, target_at=after(20))


def test_a_deadline_set_elsewhere_is_kept_exactly() -> None:
    reading = read_clock(IMPORTED, ALWAYS, started_at=START, now=after(1))
    assert (reading.at_risk_at, reading.due_at, reading.breach_at) == (after(16), after(20), after(22))
    late = read_clock(IMPORTED, OFFICE, started_at=START, now=after(1))
    assert (late.due_at, late.breach_at) == (after(20), berlin("2026-06-02 11:00"))


def test_a_pause_does_not_hold_a_deadline_set_elsewhere() -> None:
    pauses = [Pause(after(1))]
    reading = read_clock(IMPORTED, ALWAYS, started_at=START, now=after(17), pauses=pauses)
    assert (reading.state, reading.elapsed_hours, reading.due_steps) == ("at_risk", 1.0, ())
    assert (reading.due_at, reading.next_at) == (after(20), after(20) + TICK)


def test_a_deadline_set_before_the_start_is_overdue_at_once() -> None:
    policy = Policy("311", 10, 10, target_at=after(-5))
    assert read_clock(policy, ALWAYS, started_at=START, now=START).state == "breached"


def test_an_explanation_lists_what_counted_and_what_did_not() -> None:
    pauses = [Pause(berlin("2026-06-01 16:00"), berlin("2026-06-02 10:00")), Pause(berlin("2026-06-02 12:00"))]
    told = explain_clock(POLICY, OFFICE, started_at=START, now=berlin("2026-06-02 15:00"), pauses=pauses)
    assert told.counted == (
        (berlin("2026-06-01 09:00"), berlin("2026-06-01 16:00"), 7.0),
        (berlin("2026-06-02 10:00"), berlin("2026-06-02 12:00"), 2.0),
    )
    assert told.paused == (
        (berlin("2026-06-01 16:00"), berlin("2026-06-02 10:00"), 2.0),
        (berlin("2026-06-02 12:00"), None, 3.0),
    )
    assert told.reading.elapsed_hours == 9.0
    assert "Europe/Berlin" in told.note
    assert "paused" in told.note


def test_a_clock_round_the_clock_is_one_stretch_between_pauses() -> None:
    told = explain_clock(POLICY, ALWAYS, started_at=START, now=after(9000), pauses=[Pause(after(2), after(5))])
    assert told.counted == ((after(0), after(2), 2.0), (after(5), after(9000), 8995.0))
    assert told.note == "The clock runs day and night."


def test_a_long_list_is_cut_and_says_so() -> None:
    told = explain_clock(POLICY, OFFICE, started_at=START, now=START + timedelta(days=3650))
    assert len(told.counted) == 1000
    assert "first 1000 of 26" in told.note
    assert told.reading.elapsed_hours > 1000 * 8


def test_an_explanation_names_a_foreign_deadline_or_no_policy() -> None:
    assert "another system" in explain_clock(IMPORTED, ALWAYS, started_at=START, now=after(1)).note
    assert "No SLA policy" in explain_clock(None, ALWAYS, started_at=START, now=after(1)).note


# Properties. Times lie on whole minutes often, so that boundaries coincide, and anywhere else too.
calendars = st.sampled_from(
    [
        ALWAYS,
        OFFICE,
        Calendar("America/New_York", {5: ((0, 240), (480, 720)), 6: ((60, 1440),), 0: ((0, 600),)}),
        Calendar("Europe/Berlin", dict.fromkeys(range(7), ((0, 1440),))),
    ]
)
starts = st.sampled_from([START, datetime(2026, 3, 6, 23, tzinfo=UTC), datetime(2026, 10, 24, 12, 30, tzinfo=UTC)])
hours = st.one_of(st.integers(0, 60).map(float), st.floats(0, 60))
ladders = st.lists(st.builds(Step, hours, st.just("escalate")), max_size=4).map(tuple)
policies = st.builds(
    lambda target, extra, ratio, steps: Policy("p", target, target + extra, target / 4, ratio, steps),
    hours,
    hours,
    st.sampled_from([0.5, 0.8, 0.95, 1.0]),
    ladders,
)
offsets = st.one_of(st.integers(-5, 120).map(float), st.floats(0, 120)).map(lambda value: timedelta(hours=value))


def to_pauses(start: datetime, marks: Sequence[timedelta], *, is_open: bool) -> list[Pause]:
    instants = [start + mark for mark in sorted(marks)]
    pauses = [Pause(a, b) for a, b in zip(instants[::2], instants[1::2], strict=False)]
    return [*pauses, Pause(instants[-1])] if is_open and len(instants) % 2 else pauses


clocks = st.fixed_dictionaries(
    {"policy": policies, "calendar": calendars, "started_at": starts, "marks": st.lists(offsets, max_size=5)},
    optional={"is_open": st.booleans(), "target": offsets},
)


def arguments(clock: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `read_clock`, less `now`, from a drawn clock."""
    policy, start = clock["policy"], clock["started_at"]
    if "target" in clock:
        policy = Policy(
            "p",
            policy.target_hours,
            policy.breach_threshold_hours,
            steps=policy.steps,
            target_at=start + clock["target"],
        )
    pauses = to_pauses(start, clock["marks"], is_open=clock.get("is_open", False))
    return {"policy": policy, "calendar": clock["calendar"], "started_at": start, "pauses": pauses}


def last_end(pauses: Sequence[Pause], start: datetime) -> datetime:
    return max([start, *(pause.end or pause.start for pause in pauses)])


@given(clock=clocks, wait=offsets)
def test_following_the_next_moment_shows_something_new_each_time_and_ends(
    clock: dict[str, Any], wait: timedelta
) -> None:
    known = arguments(clock)
    # What is not yet there has not been paused; a pause that only begins later is not known yet.
    begun = known["pauses"] if wait >= timedelta(0) else []
    known["pauses"] = [pause for pause in begun if pause.start <= known["started_at"] + wait]
    now, fired, rounds = known["started_at"] + wait, 0, 0
    reading = read_clock(now=now, **known)
    while True:
        fired += len(reading.due_steps)
        if reading.next_at is None:
            break
        assert reading.next_at > now
        now, before = reading.next_at, reading
        reading = read_clock(now=now, fired_steps=fired, **known)
        assert reading.state != before.state or reading.due_steps
        rounds += 1
        assert rounds <= 4 + len(known["policy"].steps)
    if all(pause.end for pause in known["pauses"]):
        assert reading.state == "breached"
        assert fired == len(known["policy"].steps)


@given(clock=clocks, wait=offsets, part=st.floats(0, 1))
def test_nothing_changes_before_the_next_moment(clock: dict[str, Any], wait: timedelta, part: float) -> None:
    known = arguments(clock)
    now = last_end(known["pauses"], known["started_at"]) + wait
    known["pauses"] = [pause for pause in known["pauses"] if pause.start <= now]
    reading = read_clock(now=now, **known)
    until = reading.next_at - TICK if reading.next_at else now + timedelta(days=30)
    later = read_clock(now=now + (until - now) * part, fired_steps=len(reading.due_steps), **known)
    assert later.state == reading.state
    assert later.due_steps == ()


@given(clock=clocks, waits=st.tuples(offsets, offsets).map(sorted))
def test_elapsed_never_falls_and_the_state_never_heals(clock: dict[str, Any], waits: list[timedelta]) -> None:
    known = arguments(clock)
    end = last_end(known["pauses"], known["started_at"])
    first, second = (read_clock(now=end + abs(wait), **known) for wait in sorted(map(abs, waits)))
    order = ["on_time", "at_risk", "overdue", "breached"]
    assert first.elapsed_hours <= second.elapsed_hours
    assert order.index(first.state) <= order.index(second.state)


@given(clock=clocks, wait=offsets)
def test_no_deadline_lies_before_the_start(clock: dict[str, Any], wait: timedelta) -> None:
    clock.pop("target", None)
    known = arguments(clock)
    start = known["started_at"]
    reading = read_clock(now=start + wait, **known)
    assert reading.at_risk_at is not None
    assert reading.due_at is not None
    assert reading.breach_at is not None
    assert start <= reading.at_risk_at <= reading.due_at <= reading.breach_at
    assert reading.response_due_at is not None
    assert start <= reading.response_due_at <= reading.due_at
    assert all(start <= at <= start + max(wait, timedelta()) for _, _, at in reading.due_steps)


@given(clock=clocks, pause_at=st.floats(0, 1), length=offsets)
def test_pause_then_resume_adds_exactly_the_working_time_of_the_pause(
    clock: dict[str, Any], pause_at: float, length: timedelta
) -> None:
    policy, calendar, start = clock["policy"], clock["calendar"], clock["started_at"]
    assume(policy.target_hours > 0.01)
    plain = read_clock(policy, calendar, started_at=start, now=start)
    assert plain.due_at is not None
    begin = start + (plain.due_at - start) * pause_at
    assume(begin < plain.due_at)
    end = begin + abs(length)
    paused = read_clock(policy, calendar, started_at=start, now=end, pauses=[Pause(begin, end)])
    assert paused.due_at is not None
    work = WorkingTime(calendar, start)
    assert work.passed(paused.due_at) - work.passed(plain.due_at) == work.passed(end) - work.passed(begin)


@given(clock=clocks, wait=offsets)
def test_resuming_now_gives_the_deadlines_that_the_paused_clock_showed(clock: dict[str, Any], wait: timedelta) -> None:
    known = arguments(clock)
    pauses = [pause for pause in known.pop("pauses") if pause.end]
    begin = last_end(pauses, known["started_at"])
    now = begin + abs(wait)
    held = read_clock(now=now, pauses=[*pauses, Pause(begin)], **known)
    resumed = read_clock(now=now, pauses=[*pauses, Pause(begin, now)], **known)
    assert (held.state, held.due_at, held.breach_at) == (resumed.state, resumed.due_at, resumed.breach_at)
    assert held.elapsed_hours == resumed.elapsed_hours == read_clock(now=begin, pauses=pauses, **known).elapsed_hours
    if known["policy"].target_at is None:
        assert held.state == read_clock(now=begin, pauses=[*pauses, Pause(begin)], **known).state


@given(clock=clocks, wait=offsets, is_finished=st.booleans())
def test_an_explanation_adds_up(clock: dict[str, Any], wait: timedelta, is_finished: bool) -> None:
    known = arguments(clock)
    now = known["started_at"] + wait
    known["finished_at"] = now if is_finished else None
    told = explain_clock(now=now, **known)
    assert isinstance(told, Explanation)
    assert told.reading == read_clock(now=now, **known)
    assert sum(hours for _, _, hours in told.counted) == pytest.approx(told.reading.elapsed_hours, abs=1e-9)
    lasted = sum(hours for _, _, hours in told.paused)
    whole = elapsed_hours(known["calendar"], known["started_at"], now)
    assert told.reading.elapsed_hours + lasted == pytest.approx(whole, abs=1e-9)
    for begin, end, _ in told.counted:
        assert list(working_intervals(known["calendar"], begin, end)) == [(begin, end)]


@pytest.mark.parametrize(
    ("current", "state", "met", "reason"),
    [
        (None, "on_time", None, None),
        (None, "overdue", None, "timeout"),
        (None, "completed", False, "timeout"),
        (None, "completed", True, None),
        ("timeout", "on_time", None, None),
        ("timeout", "breached", None, "timeout"),
        ("strike", "on_time", None, "strike"),
        ("strike", "breached", None, "strike"),
    ],
)
def test_a_promise_not_kept_has_a_reason_and_one_kept_after_all_has_none(
    current: str | None, state: str, met: bool | None, reason: str | None
) -> None:
    assert breach_reason(current, state=state, met=met) == reason
