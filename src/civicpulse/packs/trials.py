"""What a new version of a pack must stand besides its shapes: it is tried before it is stored.

Versions that were stored by an earlier release are read without these: requests live by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from civicpulse.packs.checks import Path, Problem
from civicpulse.packs.shapes import MAX_HOURS, CalendarShape, window_minutes
from civicpulse.rules.lifecycle import STAGE_TIMES

if TYPE_CHECKING:
    from civicpulse.packs.model import PackDocument

REQUIRABLE: Final = (
    "assigned_agent_id", "category", "checklist", "citizen_id", "evidence", "note", "priority", "reason", "resolution_code",
    "sla_policy", "sub_category", "tags", "zone_id",
)  # fmt: skip
"""What a transition may ask for, besides milestones."""
FACTS: Final = ("dispute_accepted",)
"""The conditions that a transition may wait for."""
LONGEST: Final = timedelta(days=5 * 365)
"""A promise may lie this far away at most, by its calendar."""


def trial_problems(document: PackDocument) -> Iterator[Problem]:
    """Yields what would fail, or never be met, once requests live by the document."""
    yield from _state_problems(document)
    yield from _transition_problems(document)
    yield from _promise_problems(document)
    yield from _duplicate_problems(document)


def _state_problems(document: PackDocument) -> Iterator[Problem]:
    shape = document.workflow
    for name, state in shape.states.items():
        known = (*STAGE_TIMES, "created_at") if name == shape.initial else STAGE_TIMES
        if state.timestamp not in (None, *known):
            message = f"unknown time {state.timestamp!r}: one of {', '.join(known)}, or none"
            yield Problem(("workflow", "states", name, "timestamp"), message)


def _transition_problems(document: PackDocument) -> Iterator[Problem]:
    for index, edge in enumerate(document.workflow.transitions):
        path: Path = ("workflow", "transitions", index)
        for position, item in enumerate(edge.requires):
            for name in item.split("|"):
                if name not in REQUIRABLE and not name.startswith("milestone."):
                    message = f"{name!r} can never be given: one of {', '.join(REQUIRABLE)}, or a milestone"
                    yield Problem((*path, "requires", position), message)
        for position, fact in enumerate(edge.when):
            if fact not in FACTS:
                yield Problem((*path, "when", position), f"unknown condition {fact!r}: one of {', '.join(FACTS)}")


def _promise_problems(document: PackDocument) -> Iterator[Problem]:
    for index, entry in enumerate(document.sla):
        weekly = _weekly_hours(document.calendars.get(entry.calendar or ""))
        steps = [
            (("escalation_steps", at, "after_hours"), one.after_hours) for at, one in enumerate(entry.escalation_steps)
        ]
        promised = (("target_hours",), entry.target_hours), (("breach_threshold_hours",), entry.breach_threshold_hours)
        for where, hours in (*promised, *steps):
            if weekly and timedelta(weeks=1) * (hours / weekly) > LONGEST:
                years = hours / weekly / 52
                message = (
                    f"{hours:g} working hours are {years:,.0f} years at {weekly:.3g} hours a week; five years at most"
                )
                yield Problem(("sla", index, *where), message)


def _weekly_hours(calendar: CalendarShape | None) -> float:
    """Counts the working hours of a week; without a calendar all of them."""
    if calendar is None or calendar.always:
        return 7 * 24
    windows = (window_minutes(window) for day in calendar.windows.values() for window in day)
    return sum(end - start for start, end in windows) / 60


def _duplicate_problems(document: PackDocument) -> Iterator[Problem]:
    sections: list[tuple[Path, object]] = [(("duplicates",), document.duplicates)]
    sections += [(("categories", index), category) for index, category in enumerate(document.categories)]
    for path, section in sections:
        for name in ("attach_hours", "address_hours", "reopen_hours"):
            hours = getattr(section, name, None)
            if hours is not None and hours > MAX_HOURS:
                yield Problem((*path, name), f"at most {MAX_HOURS:,} hours")
