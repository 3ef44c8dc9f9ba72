"""What was understood of a text: the part that analyses, tickets and decisions on reports have in common."""

from typing import Literal

from civicpulse.base.answers import View

Sentiment = Literal["positive", "neutral", "negative"]


class CategoryScoreView(View):
    """How surely it is of one category."""

    category: str
    score: float


class DisagreementView(View):
    """What the other engine said of the text, as surely."""

    engine: Literal["offline", "llm"]
    category: str
    confidence: float


class UnderstoodView(View):
    """What was understood, how surely, and by which engine; `fell_back_because` of one that another should have read."""

    category: str
    sentiment: Sentiment
    priority: int
    language: str
    summary: str
    recommendation: str
    confidence: float
    needs_person: bool
    engine: str
    model: str
    version: str
    fell_back_because: str | None
