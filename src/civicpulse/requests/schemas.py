"""Wire shapes of what is done to requests."""

import re
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from civicpulse.base.wire import LongText, ShortText, Wire, Word, web_address

PriorityName = Literal["P1", "P2", "P3", "P4"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]


def _of_the_web_or_ours(value: str) -> str:
    return value if _OURS.fullmatch(value) else web_address(value)


_OURS = re.compile(r"/evidence/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
EvidenceUrl = Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(_of_the_web_or_ours)]


class EvidenceIn(Wire):
    """A stored file that shows something."""

    type: Literal["photo", "video", "file"]
    url: EvidenceUrl
    sha256: Sha256


class TransitionIn(Wire):
    """The state to move to, and what the move needs."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"to": "triaged", "priority": "P2"}, {"to": "assigned", "assigned_agent_id": "AG-PW-07"}]
        },
    )

    to: Word
    category: Word | None = None
    sub_category: ShortText | None = None
    priority: PriorityName | None = None
    zone_id: Word | None = None
    tags: Annotated[list[Word], Field(max_length=50)] | None = None
    sla_policy: Word | None = None
    assigned_agent_id: Word | None = None
    evidence: Annotated[list[EvidenceIn], Field(max_length=50)] | None = None
    checklist: Annotated[list[ShortText] | dict[str, bool], Field(max_length=100)] | None = None
    resolution_code: Word | None = None
    reason: ShortText | None = None
    note: LongText | None = None


class MilestoneIn(Wire):
    """Something that happened on site."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"milestone": "work_started"},
                {
                    "milestone": "resolution",
                    "evidence": [{"type": "photo", "url": "https://example.org/after.jpg", "sha256": "0" * 64}],
                },
            ]
        },
    )

    milestone: Word
    evidence: Annotated[list[EvidenceIn], Field(default_factory=list, max_length=50)]
    note: LongText | None = None


class EscalateIn(Wire):
    """Why it is escalated by hand."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "School bus stop, children walk on the road"}]}
    )

    reason: Annotated[LongText, Field(max_length=2000)]


class CommentIn(Wire):
    """A contribution to the thread."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"message": "It is in front of number 12."}]}
    )

    message: LongText
    parent_comment_id: UUID | None = None
    internal: bool = False


class RatingIn(Wire):
    """The reporter's verdict."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"rating": 4, "reason_codes": [], "comment": "Quick!"}]}
    )

    rating: Annotated[int, Field(ge=1, le=5, strict=True)]
    reason_codes: Annotated[list[Word], Field(default_factory=list, max_length=20)]
    comment: LongText | None = None
    dispute_flag: bool = False


def given(body: Wire) -> dict[str, Any]:
    """Picks the fields that the caller sent."""
    return body.model_dump(exclude_unset=True, exclude_none=True)
