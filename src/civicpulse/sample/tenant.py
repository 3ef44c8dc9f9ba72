"""What is done with every sample tenant before and after it is lived: founding, log-ins, statistics and figures."""

from datetime import datetime, timedelta
from importlib import resources
from uuid import UUID

import psycopg
from psycopg import sql

from civicpulse.accounts.tenants import create_tenant
from civicpulse.accounts.tokens import create_token
from civicpulse.base import clock
from civicpulse.base.db import Tx
from civicpulse.base.events import event_name
from civicpulse.base.outbox import empty_outbox
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.insight.jobs import measure_tenant
from civicpulse.insight.scores.scores import compute_scores
from civicpulse.packs.loader import read_pack
from civicpulse.places.zones import import_zones
from civicpulse.reactions import REACTIONS
from civicpulse.sample.loader import ZONES_FILE, sample_folder
from civicpulse.sample.world import World

# What the worker would have to react to; older events are told to nobody any more.
RECENT_EVENTS = """
SELECT o.subject_id, o.seq, o.type, e.subject_type, e.actor_type, e.actor_id, e.at, e.meta
FROM outbox o JOIN events e ON e.tenant_id = o.tenant_id AND e.subject_id = o.subject_id AND e.seq = o.seq
WHERE o.tenant_id = %(tenant_id)s AND e.at > %(since)s ORDER BY e.at, o.subject_id, o.seq
"""

TABLES = (
    "requests", "events", "citizens", "agents", "zones", "assignments", "comments", "feedback", "evidence", "escalations",
    "duplicate_links", "duplicate_rejections", "notifications", "outbox", "kpi_cells", "kpi_deltas", "kpi_ledgers", "reports", "analyses",
    "offices", "ticket_details", "sla_metrics", "sla_unmeasured", "performance_scores",
)  # fmt: skip


async def found_tenant(services: Services, world: World) -> Tenant:
    """Makes the tenant with its shipped pack and its zones."""
    about = world.about
    url = services.settings.migration_url or services.settings.database_url
    document = read_pack(about.pack).model_dump(mode="json")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        tenant = await create_tenant(owner, slug=about.slug, name=about.name, kind=about.kind, pack_document=document)
    if world.told.get("zones"):
        with resources.as_file(sample_folder(world.name) / ZONES_FILE) as file:
            async with services.db.transaction(tenant) as tx:
                await import_zones(tx, file, code_property="zone_id", name_property="name")
    await services.tenants.refresh()
    founded = await services.tenants.by_slug(about.slug)
    assert founded is not None, "the tenant was made a moment ago"
    return founded


async def log_ins(tx: Tx, world: World) -> list[dict[str, str]]:
    """Makes a token for each log-in of the description, bound to somebody who has something to see."""
    tokens = []
    for who in world.about.log_ins:
        worker = world.staff.by_code.get(who)
        found = (worker.actor, f"{worker.post.name}, {who}") if worker else await world.somebody(tx, who)
        if found is not None:
            actor, label = found
            token = await create_token(tx, role=actor.role, actor_id=UUID(actor.id), label=label)
            tokens.append({"role": actor.role, "token": token, "label": label})
    return tokens


async def tell_the_last_days(tx: Tx, world: World) -> None:
    """Runs the reactions of the last days, at the time of each event, and forgets those of the days before."""
    since = world.until - timedelta(days=world.about.told_days)
    for event in await tx.rows(RECENT_EVENTS, {"tenant_id": tx.tenant_id, "since": since}):
        with clock.at(event["at"]):
            for react in REACTIONS.get(event_name(event["type"], event["meta"]), ()):
                await react(tx, event)
    await empty_outbox(tx)


async def measure(services: Services, tenant: Tenant, *, at: datetime) -> None:
    """Works out what the worker would have worked out by then: SLA metrics and scores."""
    await measure_tenant(services, tenant)
    with clock.at(at):
        async with services.db.transaction(tenant) as tx:
            await compute_scores(tx)


async def analyze(services: Services) -> None:
    """Refreshes the planner's statistics, where the operator's connection is the tables' owner's."""
    if not services.settings.migration_url:
        return
    async with await psycopg.AsyncConnection.connect(services.settings.migration_url, autocommit=True) as owner:
        await owner.execute(sql.SQL("ANALYZE {}").format(sql.SQL(", ").join(map(sql.Identifier, TABLES))))
