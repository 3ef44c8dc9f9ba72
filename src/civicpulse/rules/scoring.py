"""Performance: what a resolved request says about the service, and the score of many (R-KPI-05).

A score is 100 × (w_c × compliance + w_s × speed), between 0 and 100. It speaks of promises: a request that was promised
nothing neither helps nor hurts, and where no promise fell due there is no score, which is not the same as a score of 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from civicpulse.rules.calendar import HOUR

DIGITS: Final = 2  # what a score is rounded to; scores that read alike share a rank


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of the two parts, 0..1 each; together 1 in a valid pack."""

    compliance: float = 0.7
    speed: float = 0.3


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over resolved requests: how many, promises kept and missed, hours to resolution, speeds (see `speed_of`)."""

    resolved: int = 0
    met: int = 0
    missed: int = 0
    hours: float = 0.0
    speed_sum: float = 0.0
    speed_count: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(
            self.resolved + other.resolved,
            self.met + other.met,
            self.missed + other.missed,
            self.hours + other.hours,
            self.speed_sum + other.speed_sum,
            self.speed_count + other.speed_count,
        )

    @property
    def compliance(self) -> float | None:
        """Share of promises kept, 0..1; None where none fell due."""
        judged = self.met + self.missed
        return self.met / judged if judged else None

    @property
    def speed(self) -> float | None:
        """Mean speed, 0..1; None where nothing had a target."""
        return self.speed_sum / self.speed_count if self.speed_count else None

    @property
    def average_hours(self) -> float | None:
        """Mean hours from report to resolution; None where nothing was resolved."""
        return self.hours / self.resolved if self.resolved else None


@dataclass(frozen=True, slots=True)
class Measured:
    """One resolution. `judged_by`: "clock" (the request's own verdict), "comparison" (hours ≤ threshold) or "none"."""

    resolution_hours: float
    threshold_hours: float | None
    met: bool | None
    judged_by: str


@dataclass(frozen=True, slots=True)
class Trend:
    """A score beside an earlier one: the difference in points and "up", "down" or "flat"; all None without either."""

    before: float | None
    change: float | None
    direction: str | None


def measure(
    *, created_at: datetime, resolved_at: datetime, threshold_hours: float | None, verdict: bool | None
) -> Measured:
    """Measures how a resolution stands against its threshold (R-SLA-08).

    The request's own `verdict` wins where it has one: its clock counted working hours and pauses, which plain hours do
    not, so the two may differ. Without one the plain hours are compared; without a threshold nothing was promised.
    """
    hours = (resolved_at - created_at) / HOUR
    if verdict is not None:
        return Measured(hours, threshold_hours, verdict, "clock")
    if threshold_hours is None:
        return Measured(hours, None, None, "none")
    return Measured(hours, threshold_hours, hours <= threshold_hours, "comparison")


def speed_of(resolution_hours: float, target_hours: float) -> float:
    """Computes how much of the target was left at the resolution, 0..1: at once 1, at the target or later 0."""
    if target_hours <= 0:
        return 0.0
    return min(1.0, max(0.0, 1 - resolution_hours / target_hours))


def score(compliance: float | None, speed: float | None, weights: Weights) -> float | None:
    """Computes the score, 0..100, from two shares of 0..1. None when a part that counts (weight over 0) is not known."""
    parts = ((weights.compliance, compliance), (weights.speed, speed))
    if any(weight > 0 and part is None for weight, part in parts):
        return None
    total = sum(weight * part for weight, part in parts if part is not None)
    return round(min(100.0, max(0.0, 100 * total)), DIGITS)


def trend(now: float | None, before: float | None) -> Trend:
    """Compares a score with an earlier one."""
    if now is None or before is None:
        return Trend(before, None, None)
    change = round(now - before, DIGITS)
    return Trend(before, change, "up" if change > 0 else "down" if change < 0 else "flat")


def ranks(scores: Mapping[str, float | None]) -> dict[str, int]:
    """Ranks from 1 by score, highest first: equal scores share a rank, and the next one counts them all (1, 1, 3).

    What has no score has no rank.
    """
    known: Sequence[tuple[str, float]] = [(name, value) for name, value in scores.items() if value is not None]
    ordered = sorted((value for _, value in known), reverse=True)
    first = {value: position for position, value in reversed(list(enumerate(ordered, 1)))}
    return {name: first[value] for name, value in known}
