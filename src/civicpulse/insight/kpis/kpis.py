"""The answer of GET /analytics/kpis, put together from the ledger."""

from collections import defaultdict
from datetime import date
from typing import Any

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.insight.kpis import ledger, measures, medians
from civicpulse.insight.schemas import Period, Scope
from civicpulse.packs.store import current_pack

GROUPS = ("zone", "category", "priority", "period")
# Up to here the median is taken over all that was resolved; above, it is looked up by its rank.
FEW = 20_000

Sections = dict[str, dict[str, dict[str, int]]]


def _added_up(rows: list[Row]) -> tuple[Sections, list[int]]:
    sections: Sections = defaultdict(lambda: defaultdict(measures.zero))
    histogram = [0] * len(measures.BUCKETS)
    for row in rows:
        if row["section"] == "bucket":
            if row["key"] is not None:
                histogram[int(row["key"])] += row["resolved"]
            continue
        if row["histogram"] is not None:
            histogram = [had + more for had, more in zip(histogram, row["histogram"], strict=True)]
        sums = sections[row["section"]][row["key"]]
        for name in measures.MEASURES:
            sums[name] += row[name]
    return sections, histogram


def _all_of(section: dict[str, dict[str, int]]) -> dict[str, int]:
    return {name: sum(sums[name] for sums in section.values()) for name in measures.MEASURES}


def _breakdown(section: dict[str, dict[str, int]], name: str) -> list[dict[str, Any]]:
    counted = sorted((key, sums) for key, sums in section.items() if sums["masters"] or sums["duplicates"])
    return [{name: key, **measures.compact(sums)} for key, sums in counted]


def _by_period(section: dict[str, dict[str, int]], grain: str) -> list[dict[str, Any]]:
    return [
        {"period": measures.period_label(date.fromisoformat(row["start"]), grain), **row}
        for row in _breakdown(section, "start")
    ]


async def _median(tx: Tx, scope: Scope, period: Period, sections: Sections, histogram: list[int]) -> float | None:
    middle = measures.middle_of(histogram)
    if middle is None:
        return None
    if sum(histogram) > FEW:
        return await medians.median_by_rank(tx, scope, period, middle)
    occurring = {
        name: [key for key, sums in sections[name].items() if sums["resolved"]]
        for name in ("zone", "category", "priority")
    }
    return await medians.median_of_few(
        tx,
        scope,
        period,
        zones=occurring["zone"],
        categories=occurring["category"],
        priorities=occurring["priority"],
    )


async def kpis(tx: Tx, scope: Scope, period: Period, *, grain: str, groups: tuple[str, ...]) -> dict[str, Any]:
    """Computes totals, breakdowns and how they were computed (R-KPI-01). At most two statements, whatever the number of rows."""
    sections, histogram = _added_up(await ledger.read_ledger(tx, scope, period, grain=grain))
    median = await _median(tx, scope, period, sections, histogram)
    states = sections["state"]
    in_order = dict.fromkeys((*(await current_pack(tx)).workflow.states, *sorted(states)))
    by_state = {state: states[state]["backlog"] for state in in_order if state in states and states[state]["backlog"]}
    answer: dict[str, Any] = {"totals": measures.totals(_all_of(sections["state"]), by_state=by_state, median=median)}
    for group, name in (("zone", "zone_id"), ("category", "category"), ("priority", "priority")):
        if group in groups:
            answer[f"by_{group}"] = _breakdown(sections[group], name)
    if "period" in groups:
        answer["by_period"] = _by_period(sections["period"], grain)
    answer["computed"] = {
        "period": period.document(),
        "grain": grain,
        "filters": {**scope.values(), "public_only": scope.public_only},
        "generated_at": clock.now(),
        "time_zone": period.zone.key,
        "how": measures.HOW,
    }
    return answer
