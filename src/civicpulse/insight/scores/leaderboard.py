"""Zones, offices and managers, or tenants that chose so, in the order of their scores."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.insight.scores import score_queries as queries
from civicpulse.insight.scores.score_queries import Desk
from civicpulse.insight.scores.scores import ONE_HOUR, WINDOW, figures_document, trend_document
from civicpulse.packs.store import current_pack
from civicpulse.places.offices import list_offices
from civicpulse.requests.assignment.queries import list_managers
from civicpulse.requests.visibility import Sight
from civicpulse.rules.scoring import Figures, Weights, ranks, score, trend

MAX_ZONES: Final = 10_000


async def rank_zones(tx: Tx, *, public_only: bool) -> list[dict[str, Any]]:
    """Lists every zone of the latest scores by rank, those without a score last, by code; empty before the first scores.

    `rank_change`: places gained since 24 hours before (negative: lost), None for a zone that had no rank then.
    """
    hour = await queries.latest_hour(tx, public_only=public_only)
    if hour is None:
        return []
    rows = await queries.list_scores(
        tx,
        public_only=public_only,
        since=hour,
        until=hour + ONE_HOUR,
        zones=None,
        zones_only=True,
        after=(hour + ONE_HOUR, ""),
        limit=MAX_ZONES,
    )
    return _ranked(
        rows,
        key="zone_id",
        about=lambda row: {"zone_id": row["zone_id"], "name": row["name"] or row["zone_id"]},
    )


async def rank_desks(tx: Tx, desk: Desk, sight: Sight) -> list[dict[str, Any]]:
    """Ranks a tenant's offices, or the managers of its offices, by what they resolved in the last 30 days, of what is seen.

    Computed at this moment; what they were a day before is what they had resolved in the 30 days until then.
    """
    now, settings = clock.now(), (await current_pack(tx)).document.score
    weights = Weights(settings.compliance, settings.speed)
    figures = await queries.resolved_by_desk(tx, desk, sight, since=now - WINDOW, until=now)
    yesterday = now - timedelta(days=1)
    before = await queries.resolved_by_desk(tx, desk, sight, since=yesterday - WINDOW, until=yesterday)
    still_open = await queries.open_by_desk(tx, desk, sight)
    rows = list[Row]()
    for one in await (list_offices(tx) if desk == "offices" else list_managers(tx)):
        own, old = figures.get(one["id"], Figures()), before.get(one["id"], Figures())
        rows.append(
            {
                "id": one["id"],
                "name": one["name"],
                "office_id": one["id"] if desk == "offices" else one["office_id"],
                "score": score(own.compliance, own.speed, weights),
                "day_before": score(old.compliance, old.speed, weights),
                "compliance": own.compliance,
                "speed": own.speed,
                "avg_resolution_hours": own.average_hours,
                "resolved_count": own.resolved,
                "open_count": still_open.get(one["id"], 0),
                "calculated_at": now,
            }
        )
    key = "office_id" if desk == "offices" else "manager_id"
    return _ranked(
        rows, key="id", about=lambda row: {key: row["id"], "office_id": row["office_id"], "name": row["name"]}
    )


async def rank_tenants(tx: Tx) -> list[dict[str, Any]]:
    """Ranks the tenants whose pack says `score.public: true`, by the scores of their public requests."""
    return _ranked(
        await queries.public_scores(tx),
        key="slug",
        about=lambda row: {"slug": row["slug"], "name": row["name"], "type": row["kind"]},
    )


def _ranked(rows: list[Row], *, key: str, about: Callable[[Row], dict[str, Any]]) -> list[dict[str, Any]]:
    now = ranks({row[key]: row["score"] for row in rows})
    before = ranks({row[key]: row["day_before"] for row in rows})
    items = [
        {
            "rank": now.get(row[key]),
            "rank_change": before[row[key]] - now[row[key]] if row[key] in now and row[key] in before else None,
            **about(row),
            **figures_document(row),
            "trend": trend_document(trend(row["score"], row["day_before"])),
            "calculated_at": row["calculated_at"],
            "key": row[key],
        }
        for row in rows
    ]
    items.sort(key=lambda item: (item["rank"] is None, item["rank"], item["key"]))
    return [{name: value for name, value in item.items() if name != "key"} for item in items]
