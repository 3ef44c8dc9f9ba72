"""The shapes in which pairs of requests leave."""

from datetime import datetime

from civicpulse.base.answers import View, optional
from civicpulse.requests.views.request import ScoreView


class LinkView(View):
    """A request that was merged into this one, how and by whom."""

    request_id: str
    origin: str
    score: ScoreView | None
    merged_at: datetime
    merged_by: str


class OpinionView(View):
    """What a language model says of a pair."""

    state: str
    verdict: str | None
    confidence: float | None
    reason: str | None
    engine: str | None
    model: str | None
    version: str | None
    asked_at: datetime
    answered_at: datetime | None
    last_error: str | None


class CandidateView(View):
    """A request that may be the same."""

    request_id: str
    category: str
    status: str
    created_at: datetime
    score: ScoreView
    why: str
    attachable: bool
    opinion: OpinionView | None


class RejectionView(View):
    """A request of which staff said that it is not the same."""

    request_id: str
    rejected_at: datetime
    rejected_by: str
    reason: str | None


class PairsView(View):
    """What is merged into a request, what may be the same, and what staff said is not."""

    request_id: str
    is_master: bool
    master_request_id: str | None
    linked: list[LinkView]
    candidates: list[CandidateView]
    rejected: list[RejectionView]


class WordView(View):
    """Staff's word on two requests; who gave it, when and why while it stands."""

    request_id: str
    other: str
    rejected: bool
    rejected_at: datetime = optional()
    rejected_by: str = optional()
    reason: str | None = optional()


class SimilarView(View):
    """A public, open request that a report of this would be the duplicate of."""

    request_id: str
    score: ScoreView
    why: str
    category: str
    status: str
    created_at: datetime
    attachable: bool


class SimilarListView(View):
    """The best three, best first."""

    candidates: list[SimilarView]
