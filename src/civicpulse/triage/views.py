"""The shape in which an analysis leaves."""

from datetime import datetime
from typing import Literal

from civicpulse.base.answers import View


class CategoryScoreView(View):
    """How surely it is of one category."""

    category: str
    score: float


class AnalysisView(View):
    """What was understood of a request's text, how surely, and by which engine."""

    request_id: str
    category: str
    category_scores: list[CategoryScoreView]
    priority: int
    sentiment: Literal["positive", "neutral", "negative"]
    language: str
    summary: str
    recommendation: str
    confidence: float
    needs_person: bool
    engine: str
    model: str
    version: str
    fell_back_because: str | None
    created_at: datetime
    created_by: str
