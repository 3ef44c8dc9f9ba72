"""What goes on beside a case: talk in the thread, notes among staff, and pressure from outside."""

from datetime import timedelta
from uuid import UUID

from civicpulse.base import clock
from civicpulse.base.events import Actor
from civicpulse.requests import actions, talking
from civicpulse.sample.city_world import OPEN, Case, CityWorld
from civicpulse.sample.engine import Life


async def talk_life(world: CityWorld, case: Case) -> Life:
    """Lets the reporter ask and the city answer in the thread."""
    resident = case.resident
    assert resident is not None, "only known reporters write"
    yield world.after(60, 60 * max(case.hours, 12) * 0.9)
    for _ in range(world.rng.choice((1, 1, 1, 2))):
        asked = await _say(world, case, resident.actor, world.talk(case.language, "question"))
        if world.chance(0.75):
            yield world.within(world.life.operations_hours, world.after(20, 1300))
            author = case.worker.actor if case.worker and world.chance(0.4) else world.dispatcher()
            await _say(world, case, author, world.talk(case.language, "answer"), parent=asked)
        yield world.after(1400, 6000)
        if case.status not in OPEN:
            return


async def note_life(world: CityWorld, case: Case) -> Life:
    """Lets staff write notes to each other, and the crew a word to everybody."""
    yield world.within(world.life.crew_hours, world.after(60, 60 * max(case.hours, 12) * 0.8))
    author = case.worker.actor if case.worker else world.dispatcher()
    first = await _say(world, case, author, world.rng.choice(world.texts.internal_notes), internal=True)
    if world.chance(0.4):
        yield world.after(10, 500)
        answer = world.rng.choice(world.texts.internal_answers)
        await _say(world, case, world.dispatcher(), answer, parent=first, internal=True)
    if case.worker and case.status in OPEN and world.chance(0.3):
        yield world.after(30, 900)
        await _say(world, case, case.worker.actor, world.talk(case.language, "update"))


async def _say(
    world: CityWorld, case: Case, author: Actor, message: str, *, parent: UUID | None = None, internal: bool = False
) -> UUID:
    told = await talking.comment(world.tx, author, case.number, message=message, parent_id=parent, is_internal=internal)
    return UUID(told["meta"]["comment_id"])


async def pressure_life(world: CityWorld, case: Case) -> Life:
    """Escalates a case by hand, because somebody does not want to wait for the SLA clock."""
    yield world.within(
        world.life.operations_hours, clock.now() + timedelta(hours=case.hours * world.rng.uniform(0.2, 1.1))
    )
    if case.status in OPEN[1:]:
        author = case.worker.actor if case.worker and world.chance(0.5) else world.supervisor()
        await actions.escalate(world.tx, author, case.number, reason=world.rng.choice(world.texts.escalation_reasons))
