"""What an event of a request's trail knows of what happened: the fields of every type, each there only where it means something."""

from datetime import datetime
from uuid import UUID

from civicpulse.base.answers import View, optional
from civicpulse.requests.views.request import MatchView, ScoreView


class EventMetaView(View):
    """What an event knows of what happened. Which fields there are depends on its `type`; the public sees a few of them.

    - `request.opened`: category, sub_category, priority, zone_id, source, state, state_category, sla_policy,
      duplicates (what the intake made of them), proposed (what it may be the duplicate of), escalation_steps_passed;
      from a file also run, imported, external_id, channel, evidence
    - `request.classified`: those of category, sub_category, priority, zone_id and tags that changed; from a file run, changed, kept
    - `request.transitioned`: from, to (states), from_category, category (of the states), reason, checklist, resolution_code,
      assigned_agent_id (the code in events of earlier releases), agent_code; master_request_id where it followed its master; from a file run,
      imported, source
    - `request.assigned`: agent_id, agent_code, office_id, reason, policy; `request.assignment_failed`: reason
    - `request.milestone`: milestone, evidence; `evidence.added`: evidence
    - `request.sla_changed`: from, to (states of the clock), due_at
    - `request.escalated`: manual, sla_state; by hand reason; by the clock step, action, role, due_at, after_hours, policy_id
    - `request.rated`: rating, reason_codes, dispute_flag
    - `request.merged`: master_request_id, master_id, origin, score, along_with; `request.unmerged`: master_request_id
    - `request.duplicate_added`, `request.duplicate_removed`: duplicate_request_id
    - `duplicate.rejected`, `duplicate.rejection_undone`: other_request_id
    - `comment.added`: comment_id, parent_comment_id, internal, sha256, message, erased
    - `request.redacted`: reason, words (their hashes), files (ids); `text.erased`: description, feedback, comments (ids), evidence
      (hashes), fields
    """

    from_: str = optional(alias="from")
    to: str = optional()
    from_category: str = optional()
    category: str = optional()
    sub_category: str | None = optional()
    priority: str = optional()
    zone_id: str = optional()
    tags: list[str] = optional()
    source: str = optional()
    state: str = optional()
    state_category: str = optional()
    sla_policy: str | None = optional()
    escalation_steps_passed: int = optional()
    duplicates: str = optional()
    proposed: list[MatchView] = optional()
    run: str = optional()
    imported: bool = optional()
    external_id: str = optional()
    channel: str = optional()
    changed: bool = optional()
    kept: str = optional()
    reason: str | None = optional()
    checklist: list[str] | dict[str, bool] = optional()
    resolution_code: str = optional()
    assigned_agent_id: str = optional()
    agent_id: UUID = optional()
    agent_code: str = optional()
    office_id: UUID | None = optional()
    policy: str | None = optional()
    milestone: str = optional()
    evidence: list[str] = optional()
    due_at: datetime | None = optional()
    manual: bool = optional()
    sla_state: str = optional()
    step: int = optional()
    action: str = optional()
    role: str | None = optional()
    after_hours: float = optional()
    policy_id: str = optional()
    rating: int = optional()
    reason_codes: list[str] = optional()
    dispute_flag: bool = optional()
    master_request_id: str = optional()
    master_id: UUID = optional()
    origin: str = optional()
    score: ScoreView | None = optional()
    along_with: str = optional()
    duplicate_request_id: str = optional()
    other_request_id: str = optional()
    comment_id: UUID = optional()
    parent_comment_id: UUID | None = optional()
    internal: bool = optional()
    sha256: str = optional()
    message: str | None = optional()
    erased: bool = optional()
    words: list[str] = optional()
    files: list[UUID] = optional()
    description: bool = optional()
    feedback: bool = optional()
    comments: list[UUID] = optional()
    fields: list[str] = optional()
