"""A master request as an issue (R-INT-03): what is wrong, and how many people reported it."""

from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from civicpulse.base.answers import View, optional
from civicpulse.base.db import Row
from civicpulse.packs.model import Pack
from civicpulse.requests.privacy.public import as_public
from civicpulse.requests.views.request import Priority, Severity, SlaState
from civicpulse.rules.lifecycle import is_ended
from civicpulse.rules.priority import SEVERITY_OF_PRIORITY

WORDS: Final = ("open", "in-progress", "resolved", "closed")  # where an issue stands (R-INT-10)
BEGUN: Final = "in_progress_at"  # the time that a state notes when work begins
MAX_CHARACTERS: Final = 200  # of a description that stands for the summary where there is no analysis

IssueStatus = Literal["open", "in-progress", "resolved", "closed"]


class IssuePlaceView(View):
    """A GeoJSON point with its words; `type` and `coordinates` are null without a place."""

    type: Literal["Point"] | None
    coordinates: tuple[float, float] | None
    address_hint: str | None


class IssueSlaView(View):
    """How the promise stands."""

    state: SlaState
    due_at: datetime | None


class IssueReportView(View):
    """Who reported an issue, for staff: its own request, or a duplicate."""

    request_id: str
    report_id: UUID | None
    source: str
    is_master: bool
    outcome: Literal["new", "attached", "proposed"] | None
    description: str
    address_hint: str | None
    submitted_at: datetime


class IssueView(View):
    """A master request with how many people reported it; `reports` for staff who read a single one."""

    id: UUID
    request_id: str
    tenant: str
    area_id: str
    category: str
    severity: Severity
    priority: Priority
    status: IssueStatus
    state: str
    summary: str
    description: str
    location: IssuePlaceView
    created_at: datetime
    resolved_at: datetime | None
    report_count: int
    first_reported_at: datetime
    last_reported_at: datetime
    sla: IssueSlaView
    reports: list[IssueReportView] = optional()


def word_of(pack: Pack, status: str) -> str:
    """Says "open" until work begins, "in-progress" while it goes on or waits for somebody, then "resolved", then "closed"."""
    state = pack.workflow.states.get(status)
    if state is None:
        return WORDS[0]
    if is_ended(state.category):
        return state.category
    is_begun = state.category == "waiting" or state.timestamp == BEGUN
    return "in-progress" if is_begun else "open"


def issue_document(row: Row, facts: Row, pack: Pack, *, tenant: str, is_staff: bool) -> dict[str, Any]:
    """Writes one issue: `row` is the master's, `facts` what is known of its duplicates (count, first_at, last_at, summary).

    The public reads no summary of a text of which something is hidden: it may say what is hidden in other words.
    """
    shown = row if is_staff else as_public(row)
    summary = facts["summary"] if shown["description"] == row["description"] else None
    count, created_at = facts["count"], row["created_at"]
    place = {"type": "Point", "coordinates": [row["lon"], row["lat"]]} if row["lon"] is not None else {}
    return {
        "id": row["id"],
        "request_id": row["number"],
        "tenant": tenant,
        "area_id": row["zone_id"],
        "category": row["category"],
        "severity": SEVERITY_OF_PRIORITY[row["priority"]],
        "priority": row["priority"],
        "status": word_of(pack, row["status"]),
        "state": row["status"],
        "summary": summary or _start_of(shown["description"]),
        "description": shown["description"],
        "location": {"type": None, "coordinates": None, **place, "address_hint": shown["address_hint"]},
        "created_at": created_at,
        "resolved_at": row["resolved_at"],
        "report_count": 1 + count,
        "first_reported_at": min(created_at, facts["first_at"] or created_at),
        "last_reported_at": max(created_at, facts["last_at"] or created_at),
        "sla": {"state": row["sla_state"], "due_at": row["sla_due_at"]},
    }


def _start_of(description: str) -> str:
    plain = " ".join(description.split())
    return plain if len(plain) <= MAX_CHARACTERS else f"{plain[: MAX_CHARACTERS - 1].rstrip()}…"


def issue_report_document(row: Row) -> dict[str, Any]:
    """Writes one of the requests that report an issue, with what became of the report behind it."""
    return {
        "request_id": row["number"],
        "report_id": row["report_id"],
        "source": row["source"],
        "is_master": row["is_master"],
        "outcome": row["outcome"],
        "description": row["description"],
        "address_hint": row["address_hint"],
        "submitted_at": row["created_at"],
    }
