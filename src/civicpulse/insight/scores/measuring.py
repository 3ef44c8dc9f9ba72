"""SLA metrics: how each resolution stood against its threshold (R-SLA-08), taken within a quarter of an hour.

One mechanism judges: a request's own clock, which counts its calendar's hours and its pauses, has given the verdict that
lists, KPIs and scores show, and the metric repeats it (`judged_by` "clock"). `resolution_time_hours` is plain
resolved_at − created_at, and the threshold is the request's own target, or else the pack's for its category, zone and
priority. So 300 plain hours may have met 80 working hours: `due_at` says until when. Only where the request has no verdict
are the plain hours compared ("comparison"); where there is no threshold either, nothing is judged ("none").

Opened again, a request has no standing resolution and its figure is superseded; resolved again, it gets a new one. A
correction of a resolved request (category, zone, priority, policy) replaces the figure of the same resolution.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.ids import lock_number, new_id
from civicpulse.base.paging import decode_cursor, encode_cursor, page
from civicpulse.insight.scores import metric_queries as queries
from civicpulse.packs.model import Pack
from civicpulse.packs.store import current_pack
from civicpulse.requests.visibility import Sight
from civicpulse.rules.lifecycle import stands_resolved
from civicpulse.rules.priority import SEVERITY_OF_PRIORITY
from civicpulse.rules.scoring import measure

MEASURE_AT_ONCE: Final = 1000
SORT: Final = "-resolved_at"


async def measure_resolutions(tx: Tx, *, limit: int = MEASURE_AT_ONCE) -> int:
    """Takes the figures of up to `limit` requests; how many it looked at. Call again when it answers `limit`.

    Answers 0 when nothing waits or another process measures. Needs no caller: it says what is so.
    """
    if not await queries.lock_measuring(tx, lock_number("sla metrics", tx.tenant_id)):
        return 0
    rows = await queries.take_unmeasured(tx, limit=limit)
    if not rows:
        return 0
    pack, now = await current_pack(tx), clock.now()
    standing = [row["resolved_at"] if stands_resolved(row) else None for row in rows]
    ids = [row["id"] for row in rows]
    await queries.supersede(tx, ids, standing, now=now)
    await queries.put_metrics(tx, [_figure(row, pack) for row in rows if stands_resolved(row)], now=now)
    await queries.forget_measured(tx, ids)
    return len(rows)


def _figure(row: Row, pack: Pack) -> dict[str, Any]:
    threshold = row["target_hours"]
    if threshold is None:
        policy = pack.policy_for(row["category"], row["zone_id"], row["priority"])
        threshold = policy.target_hours if policy else None
    measured = measure(
        created_at=row["created_at"],
        resolved_at=row["resolved_at"],
        threshold_hours=threshold,
        verdict=row["sla_met"],
    )
    return {
        "id": str(new_id()),
        "request_id": str(row["id"]),
        "category": row["category"],
        "priority": row["priority"],
        "zone_id": row["zone_id"],
        "resolved_at": row["resolved_at"].isoformat(),
        "due_at": _text(row["sla_due_at"]),
        "resolution_time_hours": measured.resolution_hours,
        "threshold_hours": measured.threshold_hours,
        "met_sla": measured.met,
        "judged_by": measured.judged_by,
    }


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


async def list_metrics(
    tx: Tx, wanted: dict[str, Any], sight: Sight, *, superseded: bool, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Lists one page of figures of requests that are seen, latest resolution first.

    `superseded` shows also those of resolutions that no longer stand.
    """
    after = decode_cursor(cursor, SORT, (datetime, UUID)) if cursor else None
    filtered = {**wanted, "current": None if superseded else True}
    rows = await queries.list_metrics(
        tx, filtered, sight, after=(after[0], after[1]) if after else None, limit=limit + 1
    )
    shown = rows[:limit]
    following = encode_cursor(SORT, [shown[-1]["resolved_at"], shown[-1]["id"]]) if len(rows) > limit else None
    return page([_document(row) for row in shown], following)


def _document(row: Row) -> dict[str, Any]:
    hours = row["threshold_hours"]
    return {
        "id": row["id"],
        "request_id": row["number"],
        "category": row["category"],
        "priority": row["priority"],
        "severity": SEVERITY_OF_PRIORITY[row["priority"]],
        "zone_id": row["zone_id"],
        "resolution_time_hours": round(row["resolution_time_hours"], 4),
        "threshold_hours": None if hours is None else round(hours, 4),
        "met_sla": row["met_sla"],
        "judged_by": row["judged_by"],
        "due_at": row["due_at"],
        "resolved_at": row["resolved_at"],
        "calculated_at": row["calculated_at"],
        "superseded_at": row["superseded_at"],
    }
