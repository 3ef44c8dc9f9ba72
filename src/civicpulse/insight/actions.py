"""Every write of this room: folding the ledger, keeping a feed."""

from collections.abc import Mapping
from typing import Any

from civicpulse.base.db import Tx
from civicpulse.base.ids import lock_number
from civicpulse.insight.kpis import ledger
from civicpulse.insight.map import geo_queries
from civicpulse.packs.store import current_pack

FOLD_AT_ONCE = 10_000
# A tenant's stored feeds: anonymous callers may ask for any box on the map, so their number is bounded.
KEEP_FEEDS = 200


async def fold_kpis(tx: Tx, *, limit: int = FOLD_AT_ONCE) -> int:
    """Folds up to `limit` of the tenant's deltas into the cells; how many. Call again when it answers `limit`.

    Answers 0 when there is nothing to fold or another process is folding; and when the cells were of other days than the
    tenant's, which makes them anew, all of them. Needs no caller: it changes no figure.
    """
    if not await ledger.lock_ledger(tx, lock_number("kpi ledger", tx.tenant_id)):
        return 0
    zone = (await current_pack(tx)).document.timezone
    if not await ledger.fits(tx, zone):
        await ledger.begin_anew(tx, zone)
        await ledger.fold(tx, zone, limit=limit, all_of_them=True)
        return 0
    waiting = await ledger.count_deltas(tx, limit=limit)
    if waiting:
        await ledger.fold(tx, zone, limit=limit, all_of_them=waiting < limit)
    return waiting


async def keep_feed(tx: Tx, made: Mapping[str, Any], *, filters_key: str) -> None:
    """Stores a feed in geo_feeds for those who ask next. It is derived from what is there: no event, no caller."""
    await geo_queries.put_feed(tx, made, filters_key=filters_key, keep=KEEP_FEEDS)
