"""The answer of GET /analytics/agents: workload now, productivity in a period."""

from datetime import datetime, timedelta
from typing import Any, Final

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.paging import decode_cursor, encode_cursor, page
from civicpulse.insight.kpis import queries
from civicpulse.insight.schemas import Period
from civicpulse.packs.store import current_pack
from civicpulse.requests.visibility import Sight

DEFAULT_PERIOD: Final = timedelta(days=30)
SORT: Final = "agent_code"


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _item(row: Row) -> dict[str, Any]:
    return {
        "agent_id": row["id"],
        "agent_code": row["agent_code"],
        "name": row["name"],
        "department": row["department"],
        "active": row["active"],
        "open": row["open"],
        "in_progress": row["in_progress"],
        "overdue": row["overdue"],
        "breached": row["breached"],
        "assigned": row["assigned"],
        "resolved": row["resolved"],
        "avg_resolution_minutes": _rounded(row["minutes"], 2),
        "sla_met_pct": round(100 * row["met"] / row["judged"], 2) if row["judged"] else None,
        "avg_rating": _rounded(row["rating"], 3),
        "ratings": row["ratings"],
        "escalations": row["escalations"],
    }


def _closed(period: Period, now: datetime) -> tuple[datetime, datetime]:
    until = period.until or max(now, period.since or now)
    return period.since or until - DEFAULT_PERIOD, until


async def agents(tx: Tx, period: Period, sight: Sight, *, limit: int, cursor: str | None) -> dict[str, Any]:
    """Reads one page of agents by code, with figures of the masters that are seen; assigned by assigned_at, resolved by resolved_at (R-KPI-03)."""
    now = clock.now()
    since, until = _closed(period, now)
    after = decode_cursor(cursor, SORT, (str,))[0] if cursor else ""
    working = (await current_pack(tx)).stages("in_progress_at")
    rows = await queries.list_agents(
        tx, sight, in_progress=working, since=since, until=until, after=after, limit=limit + 1
    )
    more = len(rows) > limit
    shown = rows[:limit]
    next_cursor = encode_cursor(SORT, [shown[-1]["agent_code"]]) if more else None
    computed = {"period": {"from": since, "to": until}, "generated_at": now, "time_zone": period.zone.key}
    return page([_item(row) for row in shown], next_cursor, computed=computed)
