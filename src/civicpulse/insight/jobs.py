"""What the worker does for this room."""

from datetime import timedelta
from typing import Final

from civicpulse.base import clock, due
from civicpulse.base.due import Source
from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.base.turns import Line, timer
from civicpulse.insight.actions import FOLD_AT_ONCE, fold_kpis
from civicpulse.insight.scores.measuring import MEASURE_AT_ONCE, measure_resolutions
from civicpulse.insight.scores.scores import compute_scores

log = get_logger(__name__)

# What comes in between is folded and measured together. Cells that are to be made anew are work, too.
KPIS: Final = Source(
    "kpis",
    """
    SELECT %(now)s::timestamptz + interval '5 seconds'
    WHERE EXISTS (SELECT 1 FROM kpi_deltas WHERE tenant_id = %(tenant_id)s)
       OR EXISTS (SELECT 1 FROM kpi_ledgers WHERE tenant_id = %(tenant_id)s AND time_zone IS NULL)
    """,
)
METRICS: Final = Source(
    "metrics",
    "SELECT %(now)s::timestamptz + interval '15 minutes' WHERE EXISTS (SELECT 1 FROM sla_unmeasured WHERE tenant_id = %(tenant_id)s)",
)


def kpis_line(services: Services) -> Line:
    """Makes the worker's line of KPI deltas."""

    async def work(tenant: Tenant) -> int:
        return int(await fold_tenant(services, tenant))

    return Line(KPIS.name, work)


async def fold_tenant(services: Services, tenant: Tenant) -> bool:
    """Folds a tenant's deltas into the cells, up to FOLD_AT_ONCE of them; whether more are waiting.

    Figures are right before and after: folding only makes them cheap. What came meanwhile waits for the next round, as a
    fold of many costs little more than a fold of few.
    """
    async with services.db.transaction(tenant) as tx:
        has_more = await fold_kpis(tx) == FOLD_AT_ONCE
        if not has_more:
            await due.renew(tx, KPIS, now=clock.wall())
    return has_more


def metrics_line(services: Services) -> Line:
    """Makes the worker's line of resolutions to be measured."""

    async def work(tenant: Tenant) -> int:
        measured = await measure_tenant(services, tenant)
        async with services.db.transaction(tenant) as tx:
            await due.renew(tx, METRICS, now=clock.wall())
        if measured:
            log.info("sla_measured", tenant=tenant.slug, requests=measured)
        return 0

    return Line(METRICS.name, work, places=1)


async def measure_tenant(services: Services, tenant: Tenant) -> int:
    """Takes the SLA metrics of what was resolved since the last look; how many requests.

    Cost follows what was resolved or corrected meanwhile, never the size of the table. Each batch is one transaction.
    """
    measured, taken = 0, MEASURE_AT_ONCE
    while taken == MEASURE_AT_ONCE:
        async with services.db.transaction(tenant) as tx:
            taken = await measure_resolutions(tx)
        measured += taken
    return measured


def scores_timer(services: Services) -> Line:
    """Computes a tenant's scores, hourly."""

    async def compute(tenant: Tenant) -> None:
        async with services.db.transaction(tenant) as tx:
            await compute_scores(tx)

    return timer(services.db, "scores", compute, every=timedelta(hours=1), after=timedelta(minutes=7))
