"""The SLA clock: which policy applies, how much of it is used up, what falls due and when (R-SLA-01, R-SLA-02).

States compare instants, never hours as floats. At the very deadline a request is still in time; one microsecond later
it is overdue. A pause holds every deadline that is not yet past; a deadline set by another system stays where it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from civicpulse.rules.calendar import HOUR, ZERO, Calendar, Interval, WorkingTime, as_utc, working_intervals

TICK: Final = timedelta(microseconds=1)
MAX_LISTED_INTERVALS: Final = 1000
LATE: Final = ("overdue", "breached")
"""The clock's states past the target."""
RUNNING: Final = frozenset({"on_time", "at_risk", *LATE})
"""The clock's states while the work goes on."""

_by_after_hours = attrgetter("after_hours")


@dataclass(frozen=True, slots=True)
class Step:
    """A rung of the escalation ladder: after so many working hours do `action`, towards `role`."""

    after_hours: float
    action: str
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What was promised, in working hours of the calendar of that name. `target_at`: a deadline set elsewhere."""

    policy_id: str
    target_hours: float
    breach_threshold_hours: float
    response_hours: float | None = None
    at_risk_ratio: float = 0.8
    steps: tuple[Step, ...] = ()
    calendar: str | None = None
    target_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """Where a policy applies; a dimension left as None matches anything, a rule without any is the default."""

    policy: Policy
    category: str | None = None
    zone: str | None = None
    priority: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A stretch in which the clock stands still; `end` is None while it lasts."""

    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The clock at one moment. `due_steps`: (index in the ordered ladder, step, instant at which it fell due)."""

    state: str
    elapsed_hours: float
    due_at: datetime | None
    at_risk_at: datetime | None
    breach_at: datetime | None
    response_due_at: datetime | None
    next_at: datetime | None
    due_steps: tuple[tuple[int, Step, datetime], ...]
    met: bool | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A reading with every interval that was counted and every pause, each with its working hours."""

    reading: Reading
    counted: tuple[tuple[datetime, datetime, float], ...]
    paused: tuple[tuple[datetime, datetime | None, float], ...]
    note: str


def choose_policy(
    rules: Sequence[PolicyRule], *, category: str | None, zone: str | None, priority: str | None
) -> Policy | None:
    """Finds the policy of the most specific matching rule, None when nothing matches (R-SLA-01).

    Most matched dimensions win; then category before zone before priority; then pack order.
    """
    wanted = (category, zone, priority)
    best: PolicyRule | None = None
    best_rank: tuple[int, tuple[bool, ...]] = (-1, ())
    for rule in rules:
        asked = (rule.category, rule.zone, rule.priority)
        if all(want is None or want == have for want, have in zip(asked, wanted, strict=True)):
            matched = tuple(want is not None for want in asked)
            if (sum(matched), matched) > best_rank:
                best, best_rank = rule, (sum(matched), matched)
    return best.policy if best else None


class _Clock:
    """A running (or stopped) clock: working time since the start, less the pauses, read at `until`."""

    __slots__ = ("_marks", "is_paused", "pauses", "started", "until", "work")

    def __init__(self, calendar: Calendar, started_at: datetime, pauses: Sequence[Pause], until: datetime) -> None:
        self.work = WorkingTime(calendar, started_at)
        self.started = self.work.start
        self.until = as_utc(until)
        self.pauses: tuple[Interval, ...] = ()
        self._marks: tuple[tuple[timedelta, timedelta], ...] = ()
        self.is_paused = False
        if pauses:
            self.pauses = _merge(pauses, self.started, self.until)
            self._marks = tuple((self.work.passed(start), self.work.passed(end)) for start, end in self.pauses)
            self.is_paused = any(pause.end is None and pause.start <= self.until for pause in pauses)

    def paused_for(self, pause: Interval) -> timedelta:
        """Counts the working time that a pause has taken so far."""
        return self.work.passed(min(pause[1], self.until)) - self.work.passed(pause[0])

    def elapsed(self) -> timedelta:
        """Sums up the time that counts up to the moment of reading."""
        return self.work.passed(self.until) - sum(map(self.paused_for, self.pauses), ZERO)

    def reaches(self, hours: float) -> datetime:
        """Finds the first instant at which so many hours are counted."""
        amount = timedelta(hours=hours)
        for start, end in self._marks:
            if start < amount:
                amount += end - start
        return self.work.reached(amount)

    def deadline(self, hours: float) -> datetime:
        """Finds the last instant that is still in time: as `reaches`, but a pause from that very instant holds it."""
        at = self.reaches(hours)
        return next((end for start, end in self.pauses if start == at), at)


def _merge(pauses: Sequence[Pause], started: datetime, until: datetime) -> tuple[Interval, ...]:
    """Merges the pauses that began by `until`, in order, without overlap; one that still lasts counts up to now."""
    merged: list[Interval] = []
    for pause in sorted(pauses, key=attrgetter("start")):
        start, end = max(as_utc(pause.start), started), until if pause.end is None else as_utc(pause.end)
        if start > until or end < start:
            continue
        if merged and start <= merged[-1][1]:
            start, end = merged[-1][0], max(merged.pop()[1], end)
        merged.append((start, end))
    return tuple(merged)


def read_clock(
    policy: Policy | None,
    calendar: Calendar,
    *,
    started_at: datetime,
    pauses: Sequence[Pause] = (),
    now: datetime,
    fired_steps: int = 0,
    finished_at: datetime | None = None,
) -> Reading:
    """Reads the clock at `now`, or at `finished_at` when the work is done (R-SLA-02).

    States: no_sla, on_time, at_risk, overdue, breached, completed. `fired_steps` counts the escalation steps done, in
    order of their hours. `next_at` is the earliest later moment at which the state changes or a step falls due: a
    reading then always shows something new. While a pause lasts it is None, save for a deadline set elsewhere
    (`target_at`), which pauses do not hold. A finished clock has no due steps: there is nobody left to hurry.
    """
    clock = _Clock(calendar, started_at, pauses, now if finished_at is None else finished_at)
    return _read(policy, calendar, clock, fired_steps, is_finished=finished_at is not None)


def _read(policy: Policy | None, calendar: Calendar, clock: _Clock, fired_steps: int, *, is_finished: bool) -> Reading:
    elapsed = clock.elapsed() / HOUR
    if policy is None:
        return Reading("no_sla", elapsed, None, None, None, None, None, (), None)
    at_risk_at, due_at, breach_at = _deadlines(policy, calendar, clock)
    response_at = None if policy.response_hours is None else clock.deadline(policy.response_hours)
    if is_finished:
        met = clock.until <= due_at
        return Reading("completed", elapsed, due_at, at_risk_at, breach_at, response_at, None, (), met)
    state, change_at = _state(clock.until, at_risk_at, due_at, breach_at)
    due_steps, step_at = _steps(policy, clock, fired_steps)
    if clock.is_paused:
        step_at = None
        change_at = None if policy.target_at is None else change_at
    next_at = change_at if step_at is None or (change_at is not None and change_at < step_at) else step_at
    met_yet = False if clock.until > due_at else None
    return Reading(state, elapsed, due_at, at_risk_at, breach_at, response_at, next_at, due_steps, met_yet)


def _deadlines(policy: Policy, calendar: Calendar, clock: _Clock) -> tuple[datetime, datetime, datetime]:
    if policy.target_at is None:
        at_risk_at = clock.reaches(policy.target_hours * policy.at_risk_ratio)
        return at_risk_at, clock.deadline(policy.target_hours), clock.deadline(policy.breach_threshold_hours)
    due_at = as_utc(policy.target_at)
    at_risk_at = clock.work.reached(clock.work.passed(due_at) * policy.at_risk_ratio)
    grace = timedelta(hours=policy.breach_threshold_hours - policy.target_hours)
    return at_risk_at, due_at, WorkingTime(calendar, due_at).reached(grace)


def _state(now: datetime, at_risk_at: datetime, due_at: datetime, breach_at: datetime) -> tuple[str, datetime | None]:
    """Finds the state at `now`, and the next moment at which it is another one."""
    if now > breach_at:
        return "breached", None
    if now > due_at:
        return "overdue", breach_at + TICK
    past = min(due_at, breach_at) + TICK
    if now >= at_risk_at:
        return "at_risk", past
    return "on_time", min(at_risk_at, past)


def _steps(
    policy: Policy, clock: _Clock, fired_steps: int
) -> tuple[tuple[tuple[int, Step, datetime], ...], datetime | None]:
    """Finds the unfired steps that are due, and the moment at which the next one will be."""
    due: list[tuple[int, Step, datetime]] = []
    for index, step in enumerate(sorted(policy.steps, key=_by_after_hours)[fired_steps:], fired_steps):
        at = clock.reaches(step.after_hours)
        if at > clock.until:
            return tuple(due), at
        due.append((index, step, at))
    return tuple(due), None


def explain_clock(
    policy: Policy | None,
    calendar: Calendar,
    *,
    started_at: datetime,
    pauses: Sequence[Pause] = (),
    now: datetime,
    fired_steps: int = 0,
    finished_at: datetime | None = None,
) -> Explanation:
    """Explains what `read_clock` says: each counted interval and each pause up to the moment of reading.

    The counted hours add up to `reading.elapsed_hours`, unless the list was cut, which the note then says. A pause's
    hours are the working hours that it took; its end is None while it lasts.
    """
    clock = _Clock(calendar, started_at, pauses, now if finished_at is None else finished_at)
    reading = _read(policy, calendar, clock, fired_steps, is_finished=finished_at is not None)
    counted = list(_counted(calendar, clock))
    paused = [(start, end, clock.paused_for((start, end)) / HOUR) for start, end in clock.pauses]
    open_index = len(paused) - 1 if clock.is_paused else -1
    return Explanation(
        reading,
        tuple((start, end, (end - start) / HOUR) for start, end in counted[:MAX_LISTED_INTERVALS]),
        tuple((s, None if i == open_index else e, hours) for i, (s, e, hours) in enumerate(paused)),
        _note(policy, calendar, clock, len(counted)),
    )


def _counted(calendar: Calendar, clock: _Clock) -> Iterator[Interval]:
    begin = clock.started
    for start, end in clock.pauses:
        yield from working_intervals(calendar, begin, start)
        begin = end
    yield from working_intervals(calendar, begin, clock.until)


def _note(policy: Policy | None, calendar: Calendar, clock: _Clock, found: int) -> str:
    notes = ["The clock runs day and night." if calendar.always else f"Working hours on {calendar.timezone} time."]
    if policy is None:
        notes.append("No SLA policy applies.")
    elif policy.target_at is not None:
        notes.append("The deadline was set by another system; pauses do not move it.")
    if clock.is_paused:
        notes.append("The clock is paused; the deadlines are those that would hold if it resumed now.")
    if found > MAX_LISTED_INTERVALS:
        notes.append(f"The first {MAX_LISTED_INTERVALS} of {found} counted intervals are listed; all are counted.")
    return " ".join(notes)


def breach_reason(current: str | None, *, state: str, met: bool | None) -> str | None:
    """Says why a promise was not kept: "timeout" while the clock is late or the work ended late, else nothing (R-SLA-09).

    `current` is what was said before; another reason than the clock's own stays.
    """
    if state in LATE or met is False:
        return current or "timeout"
    return None if current == "timeout" else current
