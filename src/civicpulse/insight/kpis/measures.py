"""What the ledger counts, and the figures made of it. Pure: sums in, figures out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import Any, Final

# The measures of kpi_deltas and kpi_cells, in their order (migrations 0003 and 0020).
MEASURES: Final = (
    "masters", "duplicates", "backlog", "resolved", "resolution_ms", "with_sla", "met", "missed", "on_time", "at_risk",
    "overdue", "breached", "escalations", "rating_1", "rating_2", "rating_3", "rating_4", "rating_5", "disputes",
)  # fmt: skip
BUCKETS: Final = tuple(f"h{number:02d}" for number in range(32))

# Upper bounds of all buckets but the last, in minutes: the same as in kpi_bucket (migration 0003).
BOUNDS: Final = (
    5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1080, 1440, 2160, 2880, 4320, 5760, 7200, 10080,
    14400, 20160, 30240, 43200, 64800, 86400, 129600, 259200, 525600,
)  # fmt: skip
MS_PER_MINUTE: Final = 60_000

Sums = Mapping[str, int]

HOW: Final = {
    "requests": "masters and duplicates created in the period; all work is counted on masters",
    "backlog": "masters in an open or waiting state now",
    "sla": "met and missed: resolved masters within or past their target; on_time, at_risk, overdue, breached: open ones, now",
    "breach_pct": "100 * (missed + overdue + breached) / masters with an SLA that are open or were resolved",
    "resolution": "from created_at to resolved_at, in minutes, of masters that are resolved or closed; what was closed as no "
    "case (spam, cancelled, invalid, a duplicate) was not resolved, and met or missed nothing",
    "ratings": "ratings, disputes and escalations count on masters and duplicates; a dispute counts also once it is settled",
    "period": "by created_at, from <= created_at < to; days, weeks (ISO) and months are of time_zone",
}


def zero() -> dict[str, int]:
    """Makes sums of nothing."""
    return dict.fromkeys(MEASURES, 0)


def _share(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def _ratings(sums: Sums) -> tuple[int, float | None]:
    count = sum(sums[f"rating_{score}"] for score in range(1, 6))
    total = sum(score * sums[f"rating_{score}"] for score in range(1, 6))
    return count, round(total / count, 3) if count else None


def average_minutes(sums: Sums) -> float | None:
    """Computes the mean time to resolution in minutes, None when nothing was resolved."""
    return round(sums["resolution_ms"] / sums["resolved"] / MS_PER_MINUTE, 2) if sums["resolved"] else None


def breach_pct(sums: Sums) -> float | None:
    """Computes the share of masters with an SLA that are past their target, or were when they were finished."""
    return _share(sums["missed"] + sums["overdue"] + sums["breached"], sums["with_sla"])


def compact(sums: Sums) -> dict[str, Any]:
    """Computes the measures of one row of a breakdown."""
    ratings, average = _ratings(sums)
    return {
        "requests": sums["masters"] + sums["duplicates"],
        "masters": sums["masters"],
        "duplicates": sums["duplicates"],
        "backlog": sums["backlog"],
        "resolved": sums["resolved"],
        "avg_resolution_minutes": average_minutes(sums),
        "sla_met": sums["met"],
        "sla_missed": sums["missed"],
        "at_risk": sums["at_risk"],
        "overdue": sums["overdue"],
        "breached": sums["breached"],
        "breach_pct": breach_pct(sums),
        "ratings": ratings,
        "avg_rating": average,
        "disputes": sums["disputes"],
        "escalations": sums["escalations"],
    }


def totals(sums: Sums, *, by_state: Mapping[str, int], median: float | None) -> dict[str, Any]:
    """Computes the measures of everything in scope. `by_state` is the backlog by state."""
    ratings, average = _ratings(sums)
    sla = {name: sums[name] for name in ("with_sla", "met", "missed", "on_time", "at_risk", "overdue", "breached")}
    return {
        "requests": sums["masters"] + sums["duplicates"],
        "masters": sums["masters"],
        "duplicates": sums["duplicates"],
        "backlog": sums["backlog"],
        "by_state": dict(by_state),
        "sla": {**sla, "met_pct": _share(sums["met"], sums["met"] + sums["missed"]), "breach_pct": breach_pct(sums)},
        "resolution": {
            "count": sums["resolved"],
            "avg_minutes": average_minutes(sums),
            "median_minutes": None if median is None else round(median, 2),
            "median_method": "exact",
        },
        "ratings": {
            "count": ratings,
            "average": average,
            "by_score": {str(score): sums[f"rating_{score}"] for score in range(1, 6)},
            "disputes": sums["disputes"],
        },
        "escalations": sums["escalations"],
    }


@dataclass(frozen=True, slots=True)
class Middle:
    """Where a median stands: at `many` resolutions, one, or the two that it lies between.

    They come when `passed` others are passed from `bound_ms` on: upwards, or where `is_down` downwards from below it.
    """

    bound_ms: int
    is_down: bool
    passed: int
    many: int


def middle_of(histogram: Sequence[int]) -> Middle | None:
    """Finds where the median stands, by the bucket that holds it; None when the histogram is empty."""
    count = sum(histogram)
    if count <= 0:
        return None
    rank, many = (count - 1) // 2, 1 if count % 2 else 2
    bucket = next(bucket for bucket, reached in enumerate(accumulate(histogram)) if rank < reached)
    low = BOUNDS[bucket - 1] * MS_PER_MINUTE if bucket else 0
    high = BOUNDS[bucket] * MS_PER_MINUTE if bucket < len(BOUNDS) else None
    before = rank - sum(histogram[:bucket])
    behind = histogram[bucket] - before - many
    # The upper of two may lie in the next bucket: then it is looked for upwards, over the bound.
    if high is not None and 0 <= behind < before:
        return Middle(high, True, behind, many)
    return Middle(low, False, before, many)


def period_label(start: date, grain: str) -> str:
    """Gives the name of the day, ISO week or month that starts on `start`."""
    if grain == "day":
        return start.isoformat()
    if grain == "week":
        year, week, _ = start.isocalendar()
        return f"{year}-W{week:02d}"
    return f"{start:%Y-%m}"
