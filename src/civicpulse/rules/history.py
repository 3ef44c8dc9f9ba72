"""The clock of requests that were worked elsewhere: another system's deadline, and years of history. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from civicpulse.rules.calendar import ALWAYS, Calendar, elapsed_hours
from civicpulse.rules.sla import Policy, Reading, Step, read_clock

IMPORTED: Final = "imported"
GRACE_HOURS: Final = 24.0
"""Between another system's own deadline and "breached" where the pack has no policy to take the distance from."""
CALENDAR_PER_WORKING_HOUR: Final = 6
"""A week has about four times as many hours as a working week."""


def imported_policy(policy: Policy | None, *, created_at: datetime, target_at: datetime) -> Policy:
    """Makes a policy of the promise that was made elsewhere: its deadline as it stands; the pack's ladder keeps its distance to the deadline."""
    hours = elapsed_hours(ALWAYS, created_at, target_at)
    if policy is None:
        return Policy(IMPORTED, hours, hours + GRACE_HOURS, target_at=target_at)
    shift = hours - policy.target_hours
    return replace(
        policy,
        policy_id=IMPORTED,
        target_hours=hours,
        breach_threshold_hours=hours + max(0.0, policy.breach_threshold_hours - policy.target_hours),
        response_hours=None if policy.response_hours is None else min(policy.response_hours, hours),
        steps=tuple(Step(max(0.0, step.after_hours + shift), step.action, step.role) for step in policy.steps),
        calendar=None,  # a date that somebody named is counted around the clock
        target_at=target_at,
    )


def read_history(
    policy: Policy | None, calendar: Calendar, *, started_at: datetime, ended_at: datetime | None, now: datetime
) -> Reading:
    """Reads the clock of a request that may be years old.

    Counting working time walks every day, and requests stay open for years. Long after the deadline the clock says the
    same for ever, so that it is read at an early moment first: when it is already so there, that is the answer.
    """
    until = ended_at or now
    early = _long_after(policy, started_at)
    if early < until and not calendar.always:
        finished_at = None if ended_at is None else early
        reading = read_clock(policy, calendar, started_at=started_at, now=early, finished_at=finished_at)
        if reading.next_at is None and reading.met is not True:
            return reading
    return read_clock(policy, calendar, started_at=started_at, now=now, finished_at=ended_at)


def _long_after(policy: Policy | None, started_at: datetime) -> datetime:
    if policy is None:
        return started_at
    hours = max(policy.breach_threshold_hours, *(step.after_hours for step in policy.steps), 0.0)
    return max(started_at, policy.target_at or started_at) + timedelta(days=14, hours=CALENDAR_PER_WORKING_HOUR * hours)
