"""Two engines that read one text differently, both surely: who decides, and how much is believed. Pure.

Each engine's own confidence is weighed by how often it was right where the two disagreed and staff has settled it. As long as
little is settled, a language model counts as right three times in four.
"""

from dataclasses import dataclass
from typing import Final

LLM_AT_FIRST: Final = 3
OFFLINE_AT_FIRST: Final = 1


@dataclass(frozen=True, slots=True)
class Record:
    """Of disagreements that staff has settled: how many, and how often either engine was right. Both may have been wrong."""

    settled: int = 0
    llm: int = 0
    offline: int = 0


@dataclass(frozen=True, slots=True)
class Weighed:
    """How much of either engine's confidence is believed, 0..1."""

    llm: float
    offline: float

    @property
    def is_llm(self) -> bool:
        """Tells whether the language model decides."""
        return self.llm >= self.offline


def weigh(record: Record, *, llm: float, offline: float) -> Weighed:
    """Weighs the confidence that each claims, 0..1, by its record."""
    counted = record.settled + LLM_AT_FIRST + OFFLINE_AT_FIRST
    return Weighed(
        llm * (record.llm + LLM_AT_FIRST) / counted,
        offline * (record.offline + OFFLINE_AT_FIRST) / counted,
    )
