"""What the worker does for this room."""

from civicpulse.base import clock
from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.insight.actions import FOLD_AT_ONCE, fold_kpis
from civicpulse.insight.scores.measuring import MEASURE_AT_ONCE, measure_resolutions
from civicpulse.insight.scores.scores import compute_scores, hour_of

log = get_logger(__name__)

UNFOLDED_TENANTS = "SELECT tenant_id FROM gate_tenants_kpis()"
UNMEASURED_TENANTS = "SELECT tenant_id FROM gate_tenants_unmeasured()"
UNSCORED_TENANTS = "SELECT tenant_id FROM gate_tenants_unscored(%s)"


async def fold_all(services: Services) -> int:
    """Folds each tenant's deltas into the cells, up to FOLD_AT_ONCE of them; how many tenants have more waiting.

    Figures are right before and after: folding only makes them cheap. What came meanwhile waits for the next round, as a
    fold of many costs little more than a fold of few.
    """
    waiting = await services.db.tenants_with_work(UNFOLDED_TENANTS)
    unfinished = 0
    for tenant_id in waiting:
        tenant = await services.tenants.by_id(tenant_id)
        if tenant is not None:
            async with services.db.transaction(tenant) as tx:
                unfinished += await fold_kpis(tx) == FOLD_AT_ONCE
    return unfinished


async def measure_sla(services: Services) -> int:
    """Takes the SLA metrics of what was resolved since the last look, every quarter of an hour; how many requests.

    Cost follows what was resolved or corrected meanwhile, never the size of the table. Each batch is one transaction.
    """
    waiting = await services.db.tenants_with_work(UNMEASURED_TENANTS)
    measured = 0
    for tenant_id in waiting:
        tenant = await services.tenants.by_id(tenant_id)
        if tenant is not None:
            measured += await measure_tenant(services, tenant)
    if measured:
        log.info("sla_measured", requests=measured)
    return measured


async def measure_tenant(services: Services, tenant: Tenant) -> int:
    """The same for one tenant."""
    measured, taken = 0, MEASURE_AT_ONCE
    while taken == MEASURE_AT_ONCE:
        async with services.db.transaction(tenant) as tx:
            taken = await measure_resolutions(tx)
        measured += taken
    return measured


async def score_tenants(services: Services) -> int:
    """Computes the scores of every tenant that has none of this hour yet; how many tenants.

    A tenant whose scores fail does not hold up the others; its error is raised at the end.
    """
    waiting = await services.db.tenants_with_work(UNSCORED_TENANTS, [hour_of(clock.now())])
    scored, errors = 0, []
    for tenant_id in waiting:
        tenant = await services.tenants.by_id(tenant_id)
        if tenant is None:
            continue
        try:
            async with services.db.transaction(tenant) as tx:
                await compute_scores(tx)
            scored += 1
        except Exception as error:  # noqa: BLE001 - raised below, when the other tenants have been served
            errors.append(error)
    if errors:
        raise ExceptionGroup(f"scores failed for {len(errors)} of {len(waiting)} tenants", errors)
    return scored
