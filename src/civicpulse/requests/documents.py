"""A request as its document: CST's shape (spec 1, A and D) and, for the public, the same without what is not theirs."""

from datetime import datetime
from typing import Any

from civicpulse.base.db import Row
from civicpulse.packs.model import Pack

STATE_TIMES = ("created_at", "triaged_at", "assigned_at", "in_progress_at", "resolved_at", "closed_at", "updated_at")


def to_document(row: Row, pack: Pack) -> dict[str, Any]:
    """The whole document, as staff sees it. `row` has requests' columns and, where read, its relations."""
    return {
        "_id": row["id"],
        "request_id": row["number"],
        "version": row["version"],
        "source": row["source"],
        "external_id": row["external_id"],
        "citizen_ref": {
            "citizen_id": row["citizen_id"],
            "anonymous": row["anonymous"],
            "contact_channel": row["contact_channel"],
        },
        "category": row["category"],
        "sub_category": row["sub_category"],
        "description": row["description"],
        "tags": row["tags"],
        "status": row["status"],
        "priority": row["priority"],
        "priority_score": row["priority_score"],
        "needs_person": row["needs_person"],
        "workflow": {
            "current_state": row["status"],
            "allowed_next": pack.workflow.next_states(row["status"]) if row["master_id"] is None else (),
            "transition_rules_version": pack.workflow.version,
        },
        "sla_policy": row["sla"],
        "sla": {
            "state": row["sla_state"],
            "due_at": row["sla_due_at"],
            "met": row["sla_met"],
            "next_at": row["next_sla_at"],
            "paused": any(pause["end"] is None for pause in row["sla_pauses"]),
            "escalation_count": row["escalation_count"],
        },
        "timestamps": {name: row[name] for name in STATE_TIMES},
        "milestones": row["milestones"],
        "location": _location(row),
        "duplicates": {
            "is_master": row["master_id"] is None,
            "master_request_id": row.get("master_request_id"),
            "linked_duplicates": row.get("linked_duplicates") or [],
        },
        "assignment": {
            "assigned_agent_id": row["assigned_agent_id"],
            "auto_assign_candidate_agents": row["candidate_agents"],
            "assignment_policy": row["assignment_policy"] or pack.assignment.name,
        },
        "evidence": row.get("evidence") or [],
        "internal": {"notes": row["notes"], "visibility": "internal_only"},
        "computed_kpis": {
            "resolution_minutes": resolution_minutes(row["created_at"], row["resolved_at"]),
            "sla_target_hours": row["sla"]["target_hours"] if row["sla"] else None,
            "sla_state": row["sla_state"],
            "escalation_count": row["escalation_count"],
            "breach_reason": row["breach_reason"],
        },
        "citizen_feedback": row.get("feedback"),
    }


def to_public(document: dict[str, Any]) -> dict[str, Any]:
    """What anybody may see: no people, no internal notes, no comment of the reporter."""
    shown = {
        key: value
        for key, value in document.items()
        if key not in ("internal", "assignment", "external_id", "needs_person")
    }
    shown["citizen_ref"] = {**document["citizen_ref"], "citizen_id": None}
    if feedback := document["citizen_feedback"]:
        shown["citizen_feedback"] = {**feedback, "comment": None}
    return shown


def _location(row: Row) -> dict[str, Any]:
    if row["lon"] is None:
        point: dict[str, Any] = {"type": None, "coordinates": None}
    else:
        point = {"type": "Point", "coordinates": [row["lon"], row["lat"]]}
    return point | {
        "address_hint": row["address_hint"],
        "zone_id": row["zone_id"],
        "asset_id": row["asset_id"],
    }


def resolution_minutes(created_at: datetime, resolved_at: datetime | None) -> float | None:
    """Minutes from report to resolution (spec 1, D), to two decimals; None while unresolved."""
    if resolved_at is None:
        return None
    return round((resolved_at - created_at).total_seconds() / 60, 2)
