"""A request's SLA columns: the policy it was given, kept as a snapshot, and what the clock reads now."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from civicpulse.base.db import Row
from civicpulse.packs.model import Pack
from civicpulse.rules.calendar import Calendar
from civicpulse.rules.history import read_history
from civicpulse.rules.lifecycle import is_ended
from civicpulse.rules.sla import Pause, Policy, Reading, Step, read_clock


def policy_to_json(policy: Policy) -> dict[str, Any]:
    """Makes the snapshot stored in `requests.sla`; `policy_from_json` reads it back."""
    return {
        "policy_id": policy.policy_id,
        "response_hours": policy.response_hours,
        "target_hours": policy.target_hours,
        "breach_threshold_hours": policy.breach_threshold_hours,
        "at_risk_ratio": policy.at_risk_ratio,
        "calendar": policy.calendar,
        "escalation_steps": [
            {"after_hours": step.after_hours, "action": step.action, "role": step.role} for step in policy.steps
        ],
        "target_at": policy.target_at.isoformat() if policy.target_at else None,
    }


def policy_from_json(document: dict[str, Any] | None) -> Policy | None:
    """Reads the policy of a snapshot; None for a request without one."""
    if document is None:
        return None
    target_at = document.get("target_at")
    return Policy(
        policy_id=document["policy_id"],
        target_hours=document["target_hours"],
        breach_threshold_hours=document["breach_threshold_hours"],
        response_hours=document.get("response_hours"),
        at_risk_ratio=document.get("at_risk_ratio", 0.8),
        steps=tuple(
            Step(step["after_hours"], step["action"], step.get("role")) for step in document["escalation_steps"]
        ),
        calendar=document.get("calendar"),
        target_at=datetime.fromisoformat(target_at) if target_at else None,
    )


def pauses_from_json(pauses: Sequence[dict[str, str | None]]) -> list[Pause]:
    """Reads the pauses stored in `requests.sla_pauses`, each {"start", "end"} in RFC 3339."""
    return [
        Pause(
            datetime.fromisoformat(pause["start"] or ""), datetime.fromisoformat(pause["end"]) if pause["end"] else None
        )
        for pause in pauses
    ]


def clock_columns(
    policy: Policy | None,
    calendar: Calendar,
    *,
    started_at: datetime,
    pauses: Sequence[Pause],
    now: datetime,
    fired_steps: int,
    finished_at: datetime | None,
) -> dict[str, Any]:
    """Computes the SLA columns of a request at `now`: sla_state, sla_due_at, sla_met, next_sla_at, sla_steps_fired."""
    reading = read_clock(
        policy,
        calendar,
        started_at=started_at,
        pauses=pauses,
        now=now,
        fired_steps=fired_steps,
        finished_at=finished_at,
    )
    return columns_of(reading, fired_steps=fired_steps, now=now)


def columns_of(reading: Reading, *, fired_steps: int, now: datetime) -> dict[str, Any]:
    """Makes the SLA columns of a request from a reading. A step that is already due makes the next moment now: the sweep fires it."""
    return {
        "sla_state": reading.state,
        "sla_due_at": reading.due_at,
        "sla_met": reading.met,
        "next_sla_at": now if reading.due_steps else reading.next_at,
        "sla_steps_fired": fired_steps,
    }


CLOSED_SOMETIME: Row = {
    "sla_state": "completed",
    "sla_due_at": None,
    "sla_met": None,
    "next_sla_at": None,
    "sla_steps_fired": 0,
}
"""The columns of a request that has ended, nobody knows when, or without having been resolved."""


def history_columns(
    policy: Policy | None, calendar: Calendar, *, started_at: datetime, ended_at: datetime | None, now: datetime
) -> Row:
    """Makes the SLA columns of a request that was worked elsewhere before it came here.

    Escalation steps that fell due before count as fired: nobody is to be stormed.
    """
    reading = read_history(policy, calendar, started_at=started_at, ended_at=ended_at, now=now)
    return columns_of(replace(reading, due_steps=()), fired_steps=len(reading.due_steps), now=now)


def read_row(row: Row, pack: Pack, now: datetime) -> Reading:
    """Reads the clock of a request's row at `now`."""
    policy = policy_from_json(row["sla"])
    return read_clock(
        policy,
        pack.calendar_of(policy),
        started_at=row["created_at"],
        pauses=pauses_from_json(row["sla_pauses"]) if row["sla_pauses"] else (),
        now=now,
        fired_steps=row["sla_steps_fired"],
        finished_at=finished_at(row),
    )


def finished_at(row: Row) -> datetime | None:
    """Says when the work ended, for the clock: resolved, or closed without having been resolved.

    An imported request may be closed without a time; its clock stands still all the same, at its last change.
    """
    if not is_ended(row["state_category"]):
        return None
    ended: datetime | None = row["resolved_at"] or row["closed_at"] or row["updated_at"]
    return ended


def row_columns(row: Row, pack: Pack, now: datetime) -> dict[str, Any]:
    """Makes the SLA columns that a row (with its changes applied) should have at `now`.

    A duplicate has no clock of its own: it keeps the state that it has of its master.
    """
    columns = columns_of(read_row(row, pack, now), fired_steps=row["sla_steps_fired"], now=now)
    if row["master_id"] is not None:
        columns |= {"sla_state": row["sla_state"], "next_sla_at": None}
    return columns


def pauses_to_json(pauses: Iterable[Pause]) -> list[dict[str, str | None]]:
    """Writes pauses as they are stored; `pauses_from_json` reads it back."""
    return [{"start": _text(pause.start), "end": _text(pause.end) if pause.end else None} for pause in pauses]


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()
