"""A request as its document: the tracker's shape (R-INT-03), as staff sees it."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from civicpulse.base.answers import View, optional
from civicpulse.base.db import Row
from civicpulse.packs.model import Pack
from civicpulse.rules.lifecycle import conditions_of

STATE_TIMES = ("created_at", "triaged_at", "assigned_at", "in_progress_at", "resolved_at", "closed_at", "updated_at")

Priority = Literal["P1", "P2", "P3", "P4"]
Severity = Literal["critical", "high", "medium", "low"]
SlaState = Literal["on_time", "at_risk", "overdue", "breached", "completed", "no_sla"]
ContactChannel = Literal["email", "sms", "none"]


class CitizenRefView(View):
    """Who reported it; null for strangers and for whoever reported without a name."""

    citizen_id: UUID | None
    anonymous: bool
    contact_channel: ContactChannel


class WorkflowView(View):
    """Where it stands, and where it may go next."""

    current_state: str
    state_title: str
    state_category: str
    allowed_next: list[str]
    transition_rules_version: str


class EscalationStepView(View):
    """What happens when the clock has run for so long."""

    after_hours: float
    action: str
    role: str


class SlaPolicyView(View):
    """The promise under which it stands, as it was when it was chosen."""

    policy_id: str
    response_hours: float | None
    target_hours: float
    breach_threshold_hours: float
    at_risk_ratio: float
    calendar: str | None
    escalation_steps: list[EscalationStepView]
    target_at: datetime | None


class SlaView(View):
    """The clock: `next_at` is the next moment at which anything can change."""

    state: SlaState
    due_at: datetime | None
    met: bool | None
    next_at: datetime | None
    paused: bool
    escalation_count: int


class TimestampsView(View):
    """When it entered each state, last time."""

    created_at: datetime
    triaged_at: datetime | None
    assigned_at: datetime | None
    in_progress_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    updated_at: datetime


class LocationView(View):
    """A GeoJSON point with its words; `type` and `coordinates` are null without a place."""

    type: Literal["Point"] | None
    coordinates: tuple[float, float] | None
    address_hint: str | None
    zone_id: str
    asset_id: str | None


class DuplicatesView(View):
    """Its master, or the requests that report the same."""

    is_master: bool
    master_request_id: str | None
    linked_duplicates: list[str]


class AssignmentView(View):
    """Who has it, and among whom was chosen."""

    assigned_agent_id: UUID | None
    auto_assign_candidate_agents: list[UUID]
    assignment_policy: str


class EvidenceView(View):
    """A stored file that shows something; `hidden`: staff has taken it out of what the public sees."""

    type: Literal["photo", "video", "file"]
    url: str
    sha256: str
    uploaded_by: str
    uploaded_at: datetime
    hidden: bool = optional()


class InternalView(View):
    """Staff's notes."""

    notes: list[str]
    visibility: Literal["internal_only"]


class RequestKpisView(View):
    """Figures of this request alone."""

    resolution_minutes: float | None
    sla_target_hours: float | None
    sla_state: SlaState
    escalation_count: int
    breach_reason: str | None


class FeedbackView(View):
    """The reporter's verdict."""

    rating: int
    reason_codes: list[str]
    comment: str | None
    dispute_flag: bool
    submitted_at: datetime


class AnyRequest(View):
    """What everybody who may see a request sees of it."""

    id: UUID = Field(alias="_id")
    request_id: str
    version: int
    source: str
    citizen_ref: CitizenRefView
    category: str
    sub_category: str | None
    description: str
    tags: list[str]
    status: str
    priority: Priority
    priority_score: int
    workflow: WorkflowView
    sla_policy: SlaPolicyView | None
    sla: SlaView
    timestamps: TimestampsView
    milestones: dict[str, datetime]
    location: LocationView
    duplicates: DuplicatesView
    evidence: list[EvidenceView]
    computed_kpis: RequestKpisView
    citizen_feedback: FeedbackView | None


class RequestView(AnyRequest):
    """A request as staff sees it."""

    external_id: str | None
    needs_person: bool
    assignment: AssignmentView
    internal: InternalView


class ModelSaidView(View):
    """What a language model said of a pair when it was merged."""

    verdict: str
    confidence: float
    reason: str


class ScoreView(View):
    """How alike two requests are, in parts; `opinion` where a language model was asked."""

    total: float
    distance: float
    time: float
    address: float
    text: float
    distance_m: float | None
    hours: float
    opinion: ModelSaidView = optional()


class MatchView(View):
    """A request that this one may be the duplicate of."""

    request_id: str
    score: ScoreView
    why: str


class CandidateAgentView(View):
    """An agent who may take it."""

    agent_id: UUID
    agent_code: str
    open_load: int
    detail: str


class FailedAgentView(View):
    """An agent who may not, and on which step that was found."""

    agent_id: UUID
    agent_code: str
    step: str
    detail: str


class DecisionView(View):
    """Who gets it and why, and on what the others failed."""

    assigned: bool
    reason: str
    candidates: list[CandidateAgentView]
    failures: list[FailedAgentView]


class AssignedRequestView(RequestView):
    """A request with the decision that gave it to somebody."""

    decision: DecisionView


def _allowed_next(row: Row, pack: Pack) -> tuple[str, ...]:
    return () if row["master_id"] is not None else pack.workflow.next_states(row["status"], conditions_of(row))


def request_document(row: Row, pack: Pack) -> dict[str, Any]:
    """Writes the whole document, as staff sees it. `row` has requests' columns and, where read, its relations."""
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
            "state_title": pack.title_of(row["status"]),
            "state_category": row["state_category"],
            "allowed_next": _allowed_next(row, pack),
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
        "evidence": [_file(item) for item in row.get("evidence") or []],
        "internal": {"notes": row["notes"], "visibility": "internal_only"},
        "computed_kpis": kpis_document(row),
        "citizen_feedback": row.get("feedback"),
    }


def _file(item: Row) -> Row:
    return {name: value for name, value in item.items() if name != "hidden" or value}


def kpis_document(row: Row) -> dict[str, Any]:
    """Writes the figures of one request (R-INT-03)."""
    return {
        "resolution_minutes": resolution_minutes(row["created_at"], row["resolved_at"]),
        "sla_target_hours": row["sla"]["target_hours"] if row["sla"] else None,
        "sla_state": row["sla_state"],
        "escalation_count": row["escalation_count"],
        "breach_reason": row["breach_reason"],
    }


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
    """Counts the minutes from report to resolution (R-INT-03), to two decimals; None while unresolved."""
    if resolved_at is None:
        return None
    return round((resolved_at - created_at).total_seconds() / 60, 2)
