"""Periodic jobs of requests."""

from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.requests.sweep import SweepReport, sweep

log = get_logger(__name__)

KEEP_ANSWERS_DAYS = 7

FORGET_ANSWERS = "DELETE FROM idempotency_keys WHERE tenant_id = %(tenant_id)s AND created_at < now() - make_interval(days => %(days)s)"


async def sweep_clocks(services: Services) -> SweepReport:
    """The SLA sweep, every minute."""
    report = await sweep(services.db, services.tenants)
    if report.requests:
        log.info("swept", requests=report.requests, escalations=report.escalations, changes=report.changes)
    return report


async def forget_old_answers(services: Services) -> int:
    """Drops stored answers of idempotency keys older than KEEP_ANSWERS_DAYS; how many."""
    dropped = 0
    for tenant in await services.tenants.all():
        async with services.db.transaction(tenant) as tx:
            dropped += await tx.run(FORGET_ANSWERS, {"tenant_id": tenant.tenant_id, "days": KEEP_ANSWERS_DAYS})
    return dropped
