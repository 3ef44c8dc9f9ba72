"""The worker's share of this room: clocks that have something to say, and answers that nobody asks for any more."""

from datetime import datetime, timedelta
from typing import Final

from civicpulse.base import clock, due
from civicpulse.base.due import Source
from civicpulse.base.events import SYSTEM
from civicpulse.base.idempotency import forget_before
from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.base.turns import Line, timer
from civicpulse.requests import queries
from civicpulse.requests.deadlines.sweep import BATCH, SweepReport, sweep_batch
from civicpulse.requests.privacy.public import public_texts
from civicpulse.requests.store import Changed, change

log = get_logger(__name__)

KEEP_ANSWERS: Final = timedelta(days=7)

# By the minute: what comes due within one is swept together.
CLOCKS: Final = Source(
    "clocks",
    "SELECT date_trunc('minute', min(next_sla_at)) + interval '1 minute' FROM requests WHERE tenant_id = %(tenant_id)s",
)


# Rows that an earlier release has written.
WORDINGS: Final = Source(
    "wordings",
    "SELECT min(r.created_at) FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.public_texts IS NULL",
)
WORDED_AT_ONCE: Final = 500


def wordings_line(services: Services) -> Line:
    """Makes the worker's line of requests of which nobody has worked out yet what the public reads."""

    async def work(tenant: Tenant) -> int:
        async with services.db.transaction(tenant) as tx:
            rows = await queries.lock_unlooked(tx, limit=WORDED_AT_ONCE)
            changes = [Changed(row["id"], {"public_texts": public_texts(row)}) for row in rows]
            await change(tx, SYSTEM, changes, at=clock.now(), quietly=True)
            if len(rows) < WORDED_AT_ONCE:
                await due.renew(tx, WORDINGS, now=clock.now())
        return len(rows)

    return Line(WORDINGS.name, work)


def clocks_line(services: Services) -> Line:
    """Makes the worker's line of SLA clocks."""

    async def work(tenant: Tenant) -> int:
        return await sweep_tenant(services, tenant, now=clock.now())

    return Line(CLOCKS.name, work)


async def sweep_tenant(services: Services, tenant: Tenant, *, now: datetime) -> int:
    """Applies a batch of one tenant's due clocks; how many it took."""
    report = SweepReport()
    async with services.db.transaction(tenant) as tx:
        taken = await sweep_batch(tx, now=now, report=report)
        if taken < BATCH:
            await due.renew(tx, CLOCKS, now=now)
    if taken:
        log.info("swept", tenant=tenant.slug, requests=taken, escalations=report.escalations, changes=report.changes)
    return taken


def answers_timer(services: Services) -> Line:
    """Forgets the stored answers of old idempotency keys, hourly."""

    async def forget(tenant: Tenant) -> None:
        await forget_old_answers(services, tenant)

    return timer(services.db, "answers", forget, every=timedelta(hours=1), after=timedelta(minutes=7))


async def forget_old_answers(services: Services, tenant: Tenant) -> int:
    """Drops the tenant's stored answers of idempotency keys older than KEEP_ANSWERS; how many."""
    async with services.db.transaction(tenant) as tx:
        return await forget_before(tx, clock.now() - KEEP_ANSWERS)
