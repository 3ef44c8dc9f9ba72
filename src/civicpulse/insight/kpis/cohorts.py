"""The answer of GET /analytics/cohorts: what comes back at the same place."""

from datetime import datetime, timedelta
from typing import Any, Final

import h3.api.basic_int as h3

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Invalid
from civicpulse.insight.kpis import queries
from civicpulse.insight.kpis.measures import period_label
from civicpulse.insight.schemas import Period, Scope

DEFAULT_PERIOD: Final = timedelta(days=180)
LONGEST_PERIOD: Final = timedelta(days=731)
WORST_PLACES: Final = 20

HOW: Final = {
    "place": "the H3 cell of resolution 10 (edge about 76 m)",
    "first_report": "a master with no other master of its category in its cell within `days` before it",
    "repeats": "later masters there, each within `days` of the one before it; looked for until `days` after the period",
    "recurrence_rate": "repeated / first_reports",
    "week": "the ISO week, of time_zone, of the first report",
}


def bounded(period: Period, *, now: datetime) -> tuple[datetime, datetime]:
    """Closes the open ends of the period: the last 180 days. Raises Invalid when it is longer than two years."""
    until = period.until or max(now, period.since or now)
    since = period.since or until - DEFAULT_PERIOD
    if until - since > LONGEST_PERIOD:
        raise Invalid(
            f"The period is longer than {LONGEST_PERIOD.days} days: move from and to closer together.", field="from"
        )
    return since, until


def _rate(row: Row) -> float | None:
    return round(row["repeated"] / row["first_reports"], 4) if row["first_reports"] else None


def _week(row: Row) -> dict[str, Any]:
    days = row["median_days"]
    return {
        "week": period_label(row["start"], "week"),
        "start": row["start"],
        "first_reports": row["first_reports"],
        "repeated": row["repeated"],
        "recurrence_rate": _rate(row),
        "repeats": row["repeats"],
        "median_days_to_repeat": None if days is None else round(days, 2),
    }


def _place(row: Row) -> dict[str, Any]:
    lat, lon = h3.cell_to_latlng(row["cell"])
    return {
        "cell": h3.int_to_str(row["cell"]),
        "lon": round(lon, 6),
        "lat": round(lat, 6),
        "category": row["category"],
        "count": row["first_reports"] + row["repeats"],
        "repeats": row["repeats"],
    }


async def cohorts(tx: Tx, scope: Scope, period: Period, *, days: int) -> dict[str, Any]:
    """Computes recurrence by week of first report, and the places where most came back (R-KPI-02)."""
    now = clock.now()
    since, until = bounded(period, now=now)
    rows, worst = await queries.recurrence(
        tx,
        scope,
        since=since,
        until=until,
        zone=period.zone.key,
        window=timedelta(days=days),
        places=WORST_PLACES,
    )
    totals: Row = {name: sum(row[name] for row in rows) for name in ("first_reports", "repeated", "repeats")}
    return {
        "totals": {**totals, "recurrence_rate": _rate(totals)},
        "cohorts": [_week(row) for row in rows],
        "worst_places": [_place(row) for row in worst],
        "computed": {
            "period": {"from": since, "to": until},
            "days": days,
            "filters": {**scope.values(), "public_only": scope.public_only},
            "generated_at": now,
            "time_zone": period.zone.key,
            "how": HOW,
        },
    }
