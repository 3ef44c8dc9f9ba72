"""The sample: Harbour City, drawn from a seed and lived through the product's own actions over the last 90 days."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

import psycopg
from psycopg import sql
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from civicpulse.base import clock
from civicpulse.base.db import Tx
from civicpulse.base.services import Services
from civicpulse.packs.store import current_pack
from civicpulse.reactions import REACTIONS
from civicpulse.sample.beside import score_life, sweep_life
from civicpulse.sample.city import draw_city
from civicpulse.sample.demand import DAYS, sightings
from civicpulse.sample.engine import Engine, engine_for
from civicpulse.sample.people import Resident, Staff, hire, settle
from civicpulse.sample.reporting import report_life
from civicpulse.sample.tenant import forget_outbox, found_tenant, log_in, measure
from civicpulse.sample.world import World

SLUG, NAME = "harbour-city", "Harbour City"
SEED = 311
REPORTS, RESIDENTS = 3000, 150
FOUNDED_DAYS_BEFORE = 330
HEARD = timedelta(days=2)
# The tables begin empty, and plans made for empty tables stay bad for the whole run: tell the planner what there is now.
ANALYZED_AFTER = (1, 8, 48)
# What the trends of the last scores look back at.
SCORED_BEFORE = (timedelta(days=30), timedelta(days=1))

# What the worker would have to react to; older events are told to nobody any more.
RECENT_EVENTS = """
SELECT o.subject_id, o.seq, o.type, e.subject_type, e.actor_type, e.actor_id, e.at, e.meta
FROM outbox o JOIN events e ON e.tenant_id = o.tenant_id AND e.subject_id = o.subject_id AND e.seq = o.seq
WHERE o.tenant_id = %(tenant_id)s AND e.at > %(since)s ORDER BY e.at, o.subject_id, o.seq
"""

TABLES = (
    "requests", "events", "citizens", "agents", "zones", "assignments", "comments", "feedback", "evidence", "escalations",
    "duplicate_links", "duplicate_rejections", "notifications", "outbox", "kpi_cells", "kpi_deltas", "reports", "analyses",
    "offices", "ticket_details", "sla_metrics", "sla_unmeasured", "performance_scores",
)  # fmt: skip


async def build_sample(
    services: Services, *, say: Console, scale: float = 1.0, seed: int = SEED, until: datetime | None = None
) -> dict[str, Any]:
    """Makes the tenant `harbour-city` and its last 90 days; {"tenant", "name", "tokens": [{"role", "token", "label"}]}.

    `scale` shrinks the load (1.0 is 3,000 reports). The same seed and end give the same city, figure for figure.
    """
    rng, until = Random(seed), until or clock.now()  # noqa: S311 - it decides what people write, not who may do what
    since = until - timedelta(days=DAYS)
    city = draw_city(rng)
    tenant = await found_tenant(services, slug=SLUG, name=NAME, kind="city", pack="civic", zones=city.features())
    async with services.db.transaction(tenant) as tx:
        with clock.at(since - timedelta(days=FOUNDED_DAYS_BEFORE)):
            staff = await hire(tx, city, rng)
        residents = await settle(tx, rng, many=max(12, round(RESIDENTS * min(1, scale * 2))), before=since)
        pack = await current_pack(tx)
    async with engine_for(services.settings.database_url, tenant, until=until) as engine:
        world = World(engine, city, staff, pack, rng, until)
        for seen in sightings(city, rng, many=round(REPORTS * scale), since=since, until=until):
            engine.start(seen.at, report_life(world, seen, residents))
        engine.start(since, sweep_life(world))
        for before in SCORED_BEFORE:
            engine.start(until - before, score_life(world))
        await _live(services, engine, say, since=since)
        async with engine.transaction() as tx:
            await _tell_the_last_days(tx, until=until)
    async with services.db.transaction(tenant) as tx:
        tokens = await _log_ins(tx, staff, residents)
    await analyze(services)
    await measure(services, tenant, at=until)
    return {"tenant": SLUG, "name": NAME, "tokens": tokens}


async def _live(services: Services, engine: Engine, say: Console, *, since: datetime) -> None:
    """Runs the simulation behind a progress bar."""
    with _bar(say) as bar:
        task = bar.add_task("sample", total=DAYS)

        async def committed(at: datetime, number: int) -> None:
            bar.update(task, completed=(at - since) / timedelta(days=1))
            if number in ANALYZED_AFTER:
                await analyze(services)

        await engine.run(committed=committed)


def _bar(say: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("day {task.completed:.0f} of {task.total:.0f}"),
    )
    return Progress(*columns, TimeElapsedColumn(), console=say, transient=True)


async def _tell_the_last_days(tx: Tx, *, until: datetime) -> None:
    """Runs the reactions of the last days, at the time of each event, and forgets those of the days before."""
    recent = await tx.rows(RECENT_EVENTS, {"tenant_id": tx.tenant_id, "since": until - HEARD})
    for event in recent:
        with clock.at(event["at"]):
            for react in REACTIONS.get(event["type"], ()):
                await react(tx, event)
    await forget_outbox(tx)


async def _log_ins(tx: Tx, staff: Staff, residents: list[Resident]) -> list[dict[str, str]]:
    """A token for each role, bound to somebody who has something to see."""
    agent = next(worker for worker in staff.crews.values() if worker.post.code == "AG-PW-01")
    citizen = max(residents, key=lambda resident: (resident.verified, resident.language == "en", resident.zeal))
    posted = (staff.admin, staff.supervisor, staff.dispatchers[0], agent)
    wanted = [(worker.actor, f"{worker.post.name}, {worker.post.code}") for worker in posted]
    wanted.append((citizen.actor, f"a citizen, {citizen.id}"))
    return [await log_in(tx, actor, label) for actor, label in wanted]


async def analyze(services: Services) -> None:
    """Fresh statistics, where the operator's connection is the tables' owner's."""
    if not services.settings.migration_url:
        return
    async with await psycopg.AsyncConnection.connect(services.settings.migration_url, autocommit=True) as owner:
        await owner.execute(sql.SQL("ANALYZE {}").format(sql.SQL(", ").join(map(sql.Identifier, TABLES))))
