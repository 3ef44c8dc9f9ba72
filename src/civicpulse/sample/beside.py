"""What goes on beside a case: talk in the thread, notes among staff, pressure from outside, and the SLA clock."""

from datetime import timedelta
from uuid import UUID

from civicpulse.base import clock
from civicpulse.base.events import Actor
from civicpulse.insight.scores.scores import compute_scores
from civicpulse.requests import actions, talking
from civicpulse.requests.sweep import BATCH, sweep_batch
from civicpulse.sample import texts
from civicpulse.sample.engine import Life
from civicpulse.sample.world import CREWS, DESK, OPEN, Case, World, within

SWEEP_EVERY = timedelta(hours=3)


async def talk_life(world: World, case: Case) -> Life:
    """The reporter asks, the city answers in the thread."""
    resident = case.resident
    assert resident is not None, "only known reporters write"
    yield world.after(60, 60 * max(case.hours, 12) * 0.9)
    for _ in range(world.rng.choice((1, 1, 1, 2))):
        asked = await _say(world, case, resident.actor, "question")
        if world.chance(0.75):
            yield within(DESK, world.after(20, 1300), world.rng)
            author = case.worker.actor if case.worker and world.chance(0.4) else world.dispatcher()
            await _say(world, case, author, "answer", parent=asked)
        yield world.after(1400, 6000)
        if case.status not in OPEN:
            return


async def note_life(world: World, case: Case) -> Life:
    """Staff among themselves, and a word to everybody from the crew."""
    yield within(CREWS, world.after(60, 60 * max(case.hours, 12) * 0.8), world.rng)
    author = case.worker.actor if case.worker else world.dispatcher()
    first = await talking.comment(
        world.tx, author, case.number, message=world.rng.choice(texts.INTERNAL_NOTES), parent_id=None, is_internal=True
    )
    if world.chance(0.4):
        yield world.after(10, 500)
        await talking.comment(
            world.tx,
            world.dispatcher(),
            case.number,
            message=world.rng.choice(texts.INTERNAL_ANSWERS),
            parent_id=UUID(first["meta"]["comment_id"]),
            is_internal=True,
        )
    if case.worker and case.status in OPEN and world.chance(0.3):
        yield world.after(30, 900)
        await _say(world, case, case.worker.actor, "update")


async def _say(world: World, case: Case, author: Actor, kind: str, *, parent: UUID | None = None) -> UUID:
    message = texts.talk(world.rng, case.language, kind)
    told = await talking.comment(world.tx, author, case.number, message=message, parent_id=parent, is_internal=False)
    return UUID(told["meta"]["comment_id"])


async def pressure_life(world: World, case: Case) -> Life:
    """Somebody does not want to wait for the ladder."""
    yield within(DESK, clock.now() + timedelta(hours=case.hours * world.rng.uniform(0.2, 1.1)), world.rng)
    if case.status in OPEN[1:]:
        author = case.worker.actor if case.worker and world.chance(0.5) else world.staff.supervisor.actor
        await actions.escalate(world.tx, author, case.number, reason=world.rng.choice(texts.ESCALATION_REASONS))


async def sweep_life(world: World) -> Life:
    """The SLA clock, swept as the worker would."""
    while True:
        while await sweep_batch(world.tx, now=clock.now(), report=world.swept) == BATCH:
            pass
        yield clock.now() + SWEEP_EVERY


async def score_life(world: World) -> Life:
    """The scores of one hour, computed as the worker would."""
    await compute_scores(world.tx)
    return
    yield  # a life is a generator, though this one has nothing to wait for
