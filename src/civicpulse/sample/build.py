"""Builds the sample tenants: a city, a campus and a contact centre, each from its description, lived up to this moment."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeAlias

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
# Hears a tenant's name, how many of its days have been lived, and how many there are.
Hears: TypeAlias = Callable[[str, float, float], None]
# The tables begin empty, and plans made for empty tables stay bad for the whole run: tell the planner what there is now.
ANALYZED_AFTER = (1, 8, 48)


def _nobody(name: str, lived: float, days: float) -> None:
    """Hears nothing."""


async def build_samples(services: Services, *, scale: float = 1.0, hears: Hears = _nobody) -> dict[str, Any]:
    """Builds all sample tenants, up to now; {"tenants": [as `build_sample`]}."""
    until = clock.now()
    made = [await build_sample(services, name, until=until, scale=scale, hears=hears) for name in WORLDS]
    return {"tenants": made}


async def build_sample(
    services: Services, name: str, *, until: datetime, scale: float = 1.0, hears: Hears = _nobody
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
        await _live(world, hears)
        async with world.engine.transaction() as tx:
            await tell_the_last_days(tx, world)
    async with services.db.transaction(tenant) as tx:
        tokens = await log_ins(tx, world)
    await analyze(services)
    await measure(services, tenant, at=until)
    return {"tenant": about.slug, "name": about.name, "tokens": tokens}


async def _live(world: World, hears: Hears) -> None:
    """Runs the simulation, and says how far it has come."""
    name, days = world.about.name, world.about.days
    hears(name, 0, days)

    async def committed(at: datetime, number: int) -> None:
        hears(name, (at - world.since) / timedelta(days=1), days)
        if number in ANALYZED_AFTER:
            await analyze(world.services)

    await world.engine.run(committed=committed)
