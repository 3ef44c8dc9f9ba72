"""The shape in which an analysis leaves."""

from datetime import datetime
from uuid import UUID

from civicpulse.base.answers import View
from civicpulse.requests.views.understood import CategoryScoreView, DisagreementView, UnderstoodView


class AnalysisView(UnderstoodView):
    """What was understood of a request's text, how surely, and by which engine."""

    request_id: str
    category_scores: list[CategoryScoreView]
    disagreement: DisagreementView | None
    created_at: datetime
    created_by: str


class LlmCallView(View):
    """One call of a language model, without its text: what it cost, what came of it, and how much was masked in it, by kind."""

    id: UUID
    at: datetime
    purpose: str
    model: str
    version: str
    mode: str
    tokens_in: int
    tokens_out: int
    latency_ms: int
    outcome: str
    masked: dict[str, int]
    prompt_sha256: str
