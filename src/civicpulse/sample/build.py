"""Builds the sample tenants: a city, a campus and a contact centre, each from its description, lived up to this moment."""

from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from civicpulse.base import clock
from civicpulse.base.services import Services
from civicpulse.packs.store import current_pack
from civicpulse.sample.campus import CampusWorld
from civicpulse.sample.centre import CentreWorld
from civicpulse.sample.engine import engine_for
from civicpulse.sample.reporting import LivingCity
from civicpulse.sample.staff import hire
from civicpulse.sample.tenant import analyze, found_tenant, log_ins, measure, tell_the_last_days
from civicpulse.sample.world import World, score_life, sweep_life

# The first is who a caller without a tenant's name means.
WORLDS: dict[str, type[LivingCity] | type[CampusWorld] | type[CentreWorld]] = {
    "city": LivingCity,
    "campus": CampusWorld,
    "centre": CentreWorld,
}
# The tables begin empty, and plans made for empty tables stay bad for the whole run: tell the planner what there is now.
ANALYZED_AFTER = (1, 8, 48)


async def build_samples(services: Services, *, say: Console) -> dict[str, Any]:
    """Builds all sample tenants, up to now; {"tenants": [as `build_sample`]}."""
    until = clock.now()
    return {"tenants": [await build_sample(services, name, say=say, until=until) for name in WORLDS]}


async def build_sample(
    services: Services, name: str, *, say: Console, until: datetime, scale: float = 1.0
) -> dict[str, Any]:
    """Builds one sample tenant and its last days; {"tenant", "name", "tokens": [{"role", "token", "label"}]}.

    `scale` shrinks the load. A description and an end give one tenant, figure for figure.
    """
    world = WORLDS[name](services, until=until, scale=scale)
    about = world.about
    tenant = await found_tenant(services, world)
    async with services.db.transaction(tenant) as tx:
        world.pack = await current_pack(tx)
        with clock.at(world.since - timedelta(days=about.founded_days_before)):
            world.staff = await hire(tx, about, world.pack, world.rng, world.fence)
        await world.settle(tx)
    async with engine_for(services.settings.database_url, tenant, until=until) as world.engine:
        world.begin()
        world.engine.start(world.since, sweep_life(world))
        for days in about.scored_days_before:
            world.engine.start(until - timedelta(days=days), score_life(world))
        await _live(world, say)
        async with world.engine.transaction() as tx:
            await tell_the_last_days(tx, world)
    async with services.db.transaction(tenant) as tx:
        tokens = await log_ins(tx, world)
    await analyze(services)
    await measure(services, tenant, at=until)
    return {"tenant": about.slug, "name": about.name, "tokens": tokens}


async def _live(world: World, say: Console) -> None:
    """Runs the simulation behind a progress bar."""
    columns = (
        TextColumn("sample    {task.description}"),
        BarColumn(),
        TextColumn("day {task.completed:.0f} of {task.total:.0f}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=say, transient=True) as bar:
        task = bar.add_task(world.about.name, total=world.about.days)

        async def committed(at: datetime, number: int) -> None:
            bar.update(task, completed=(at - world.since) / timedelta(days=1))
            if number in ANALYZED_AFTER:
                await analyze(world.services)

        await world.engine.run(committed=committed)
