"""What the worker does for this room."""

from civicpulse.base.services import Services
from civicpulse.insight.actions import FOLD_AT_ONCE, fold_kpis

UNFOLDED_TENANTS = "SELECT tenant_id FROM gate_tenants_kpis()"


async def fold_all(services: Services) -> int:
    """Folds each tenant's deltas into the cells, up to FOLD_AT_ONCE of them; how many tenants have more waiting.

    Figures are right before and after: folding only makes them cheap. What came meanwhile waits for the next round, as a
    fold of many costs little more than a fold of few.
    """
    async with services.db.gate() as conn:
        cursor = await conn.execute(UNFOLDED_TENANTS)
        waiting = [row[0] for row in await cursor.fetchall()]
    unfinished = 0
    for tenant_id in waiting:
        tenant = await services.tenants.by_id(tenant_id)
        if tenant is not None:
            async with services.db.transaction(tenant) as tx:
                unfinished += await fold_kpis(tx) == FOLD_AT_ONCE
    return unfinished
