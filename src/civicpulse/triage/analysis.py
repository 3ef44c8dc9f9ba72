"""An analysis: what was understood of one text, by which engine, how surely."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Sentiment: TypeAlias = Literal["positive", "neutral", "negative"]
Engine: TypeAlias = Literal["offline", "llm"]


@dataclass(frozen=True, slots=True)
class ReportText:
    """A text to analyse: what was written, and the tags that came with it."""

    text: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CategoryScore:
    """A category of the pack and its probability, 0..1."""

    category: str
    score: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was understood (R-TXT-01).

    `priority` is 1..10 (P1 = 9..10 .. P4 = 1..3). `confidence` is of the category, 0..1; under the pack's threshold
    `needs_person` is true. `version` names the model or prompt that answered. `fell_back_because` is set when an LLM was
    asked for and the offline engine answered in its place.
    """

    category: str
    category_scores: tuple[CategoryScore, ...]
    priority: int
    sentiment: Sentiment
    language: str
    summary: str
    recommendation: str
    confidence: float
    needs_person: bool
    engine: Engine
    model: str
    version: str
    fell_back_because: str | None = None
    disagreement: dict[str, Any] | None = None
    """What the other engine said, as surely: {engine, category, confidence}."""

    def to_json(self) -> dict[str, Any]:
        """Writes the analysis as plain values for JSON. By hand: `asdict` copies each value, and batches have thousands."""
        scores = [{"category": score.category, "score": score.score} for score in self.category_scores]
        return {name: getattr(self, name) for name in self.__slots__} | {"category_scores": scores}
