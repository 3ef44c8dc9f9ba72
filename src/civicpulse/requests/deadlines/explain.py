"""Why a deadline is where it is (GET /requests/{id}/sla)."""

from datetime import datetime
from typing import Any

from civicpulse.base.db import Row
from civicpulse.packs.model import Pack
from civicpulse.requests import clock
from civicpulse.rules.sla import explain_clock


def explain(row: Row, pack: Pack, now: datetime) -> dict[str, Any]:
    """Explains the clock of a request's row at `now`, with every counted interval and every pause."""
    policy = clock.policy_from_json(row["sla"])
    calendar = pack.calendar_of(policy)
    told = explain_clock(
        policy,
        calendar,
        started_at=row["created_at"],
        pauses=clock.pauses_from_json(row["sla_pauses"]),
        now=now,
        fired_steps=row["sla_steps_fired"],
        finished_at=clock.finished_at(row),
    )
    reading = told.reading
    return {
        "request_id": row["number"],
        "state": reading.state,
        "policy": row["sla"],
        "calendar": {
            "name": policy.calendar if policy else None,
            "timezone": calendar.timezone,
            "always": calendar.always,
        },
        "started_at": row["created_at"],
        "finished_at": clock.finished_at(row),
        "elapsed_hours": round(reading.elapsed_hours, 6),
        "response_due_at": reading.response_due_at,
        "at_risk_at": reading.at_risk_at,
        "due_at": reading.due_at,
        "breach_at": reading.breach_at,
        "next_at": reading.next_at,
        "met": reading.met,
        "escalation_count": row["escalation_count"],
        "steps_fired": row["sla_steps_fired"],
        "steps_due": [
            {"step": index, "action": step.action, "role": step.role, "due_at": at}
            for index, step, at in reading.due_steps
        ],
        "counted": [{"from": start, "to": end, "hours": round(hours, 6)} for start, end, hours in told.counted],
        "paused": [{"from": start, "to": end, "hours": round(hours, 6)} for start, end, hours in told.paused],
        "note": told.note,
    }
