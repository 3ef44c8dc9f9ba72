"""How a request lives in Harbour City, from the report to the verdict, through the product's own actions."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from civicpulse.base import clock
from civicpulse.duplicates.merging import merge, unmerge
from civicpulse.requests import actions, talking
from civicpulse.requests.assigning import auto_assign
from civicpulse.sample import texts
from civicpulse.sample.engine import Life
from civicpulse.sample.people import Worker
from civicpulse.sample.world import CREWS, DESK, DONE, OPEN, Case, World, within

ROUND_THE_CLOCK = ("noise", "illegal_parking", "stray_animal")
TRIAGE_MINUTES = {"P1": 9.0, "P2": 35.0, "P3": 240.0, "P4": 700.0}  # the median from report to triage
PACE_MEDIAN, PACE_SPREAD = 0.33, 0.75  # of the target that a piece of work takes, log-normal
NOT_OURS, FORGOTTEN, STUCK, BY_HAND = 0.025, 0.03, 0.085, 0.3
RECLASSIFIED_PRIORITY, DISPUTED, DISPUTE_ACCEPTED = 0.07, 0.045, 0.65
STAFF_MERGES, STAFF_UNMERGES = 0.6, 0.15


async def case_life(world: World, case: Case) -> Life:
    """Everything that happens to a request that stands for itself."""
    async for at in _triage(world, case):
        yield at
    if case.status == "triaged":
        async for at in _assignment(world, case):
            yield at
    if case.status == "assigned":
        async for at in _work(world, case):
            yield at
        async for at in _verdict(world, case):
            yield at


async def _triage(world: World, case: Case) -> Life:
    rng = world.rng
    delay = timedelta(minutes=TRIAGE_MINUTES[case.priority] * rng.lognormvariate(0, 0.7) * world.strain())
    if world.chance(FORGOTTEN) and case.priority in ("P3", "P4"):
        delay += timedelta(days=rng.uniform(2, 7))
    at = clock.now() + delay
    yield at if case.priority == "P1" else within(DESK, at, rng)
    if case.is_spam:
        row = await actions.transition(
            world.tx, world.dispatcher(), case.number, to="closed", fields={"reason": "Not a report"}
        )
        case.take(row)
        return
    twin = _twin(world, case)
    if twin is not None and world.chance(STAFF_MERGES):
        async for at in _merged(world, case, twin):
            yield at
        if case.status == "merged":
            return
    row = await actions.transition(
        world.tx, world.dispatcher(), case.number, to="triaged", fields=_findings(world, case)
    )
    case.take(row)
    if world.chance(NOT_OURS):
        yield world.after(5, 600)
        reason = rng.choice(texts.NOT_OURS)
        row = await actions.transition(
            world.tx, world.dispatcher(), case.number, to="closed", fields={"reason": reason}
        )
        case.take(row)


def _findings(world: World, case: Case) -> dict[str, Any]:
    """What the desk adds or puts right in triage."""
    rng, found = world.rng, dict[str, Any]()
    if case.truth != case.category:
        found["category"] = case.truth
        subs = world.pack.categories[case.truth].sub_categories
        if subs:
            found["sub_category"] = rng.choice(subs).id
    if case.zone == "UNZONED":
        found["zone_id"] = case.zone = rng.choice(world.city.zones).code
    if world.chance(RECLASSIFIED_PRIORITY):
        level = int(case.priority[1]) + rng.choice((-1, 1))
        found["priority"] = f"P{min(max(level, 1), 4)}"
    if world.chance(0.06):
        found["note"] = rng.choice(texts.NOTES)
    return found


def _twin(world: World, case: Case) -> Case | None:
    """The likeliest twin that is still open and stands for itself."""
    known = (world.cases.get(number) for number in case.proposed)
    return next((twin for twin in known if twin is not None and twin is not case and twin.status in OPEN), None)


async def _merged(world: World, case: Case, twin: Case) -> Life:
    """The desk makes it one with its twin; now and then a crew finds that they are two after all."""
    await merge(world.tx, world.dispatcher(), case.number, other=twin.number)
    before = case.status
    case.follow(twin)
    if not world.chance(STAFF_UNMERGES):
        return
    yield within(DESK, world.after(600, 2900), world.rng)
    row = await unmerge(world.tx, world.staff.supervisor.actor, case.number)
    case.leave()
    assert row["status"] == before, "unmerging brings back the state it had"
    case.status = before


async def _assignment(world: World, case: Case) -> Life:
    """By the pack's policy, at once or, when it can wait, in the crews' hours; with nobody there again later. Some, and
    those for whom nobody is found, by hand."""
    at_once = case.priority in ("P1", "P2") or case.category in ROUND_THE_CLOCK
    soon = world.after(1, 25 if at_once else 600 * world.strain() - 575)
    yield soon if at_once else within(CREWS, soon, world.rng)
    for _ in range(0 if world.chance(BY_HAND) else 2):
        row, decision = await auto_assign(world.tx, world.dispatcher(), case.number)
        if decision.winner is not None:
            case.take(row)
            case.worker = world.staff.crews[decision.winner.id]
            return
        yield within(CREWS, world.after(120, 600), world.rng)
    skills = world.pack.required_skills(case.category)
    crews = [worker for worker in world.staff.crews.values() if skills <= set(worker.post.skills)]
    near = [worker for worker in crews if case.zone in worker.post.zones]
    case.worker = world.rng.choice(near or crews or list(world.staff.crews.values()))
    fields = {"assigned_agent_id": case.worker.post.code, "reason": "Agreed by phone"}
    case.take(await actions.transition(world.tx, world.dispatcher(), case.number, to="assigned", fields=fields))


async def _work(world: World, case: Case) -> Life:
    """On site, at work, done."""
    rng, worker = world.rng, case.worker
    assert worker is not None, "an assigned case has its worker"
    done_at = _finish(world, case, worker)
    start = clock.now() + (done_at - clock.now()) * rng.uniform(0.35, 0.9)
    yield start if case.priority == "P1" else within(CREWS, start, rng)
    if world.chance(0.6):
        await _milestone(world, case, "arrived")
        if world.chance(0.12):
            yield world.after(5, 45)
            await _milestone(world, case, "work_started")
    else:
        await _milestone(world, case, "work_started", note=rng.choice(texts.NOTES) if world.chance(0.1) else None)
    yield max(done_at, world.after(15, 200))
    await _resolve(world, case)


def _finish(world: World, case: Case, worker: Worker) -> datetime:
    """When the work will be done: mostly well inside the target, at times late, and some get stuck."""
    rng = world.rng
    share = PACE_MEDIAN * rng.lognormvariate(0, PACE_SPREAD) * worker.pace * world.strain()
    if case.priority in ("P3", "P4") and world.chance(STUCK):
        share = rng.uniform(1.5, 8.0)
    done_at = max(case.created_at + timedelta(hours=case.hours * share), world.after(25, 300))
    return done_at if case.priority in ("P1", "P2") else within(CREWS, done_at, rng)


async def _milestone(world: World, case: Case, name: str, *, note: str | None = None) -> None:
    assert case.worker is not None, "who works has been assigned"
    evidence = [world.photo() for _ in range(world.rng.randint(1, 2))] if name == "resolution" else []
    row = await actions.milestone(
        world.tx, case.worker.actor, case.number, name=name, evidence=evidence, note=note, seen_version=None
    )
    case.take(row)


async def _resolve(world: World, case: Case) -> None:
    assert case.worker is not None, "who works has been assigned"
    if case.category in texts.CHECKLISTS or world.chance(0.15):
        checklist = texts.CHECKLISTS.get(case.category, texts.CHECKLIST)
        fields = {"checklist": checklist, "resolution_code": "done"}
        case.take(await actions.transition(world.tx, case.worker.actor, case.number, to="resolved", fields=fields))
    else:
        await _milestone(world, case, "resolution")


# ----------------------------------------------------------------------------------------------- the verdict


async def _verdict(world: World, case: Case) -> Life:
    """A dispute that may bring the work back, or the quiet close; ratings come in beside it."""
    late = clock.now() - case.created_at > timedelta(hours=case.hours)
    for follower in case.followers:
        world.engine.start(clock.now(), rating_life(world, follower, late=late, chance=0.3))
    if case.resident is not None and not case.is_rated and world.chance(DISPUTED):
        yield world.after(40, 1100)
        await _rate(world, case, stars=world.rng.choice((1, 1, 2)), mood="dispute")
        yield within(DESK, world.after(60, 700), world.rng)
        if world.chance(DISPUTE_ACCEPTED):
            row = await actions.transition(
                world.tx,
                world.staff.supervisor.actor,
                case.number,
                to="in_progress",
                fields={"reason": "The reporter is right: the work has to be done again"},
            )
            case.take(row)
            yield within(CREWS, world.after(300, 4000), world.rng)
            await _resolve(world, case)
    else:
        world.engine.start(clock.now(), rating_life(world, case, late=late, chance=0.42))
    yield within(DESK, world.after(1200, 5600), world.rng)
    case.take(await actions.transition(world.tx, world.dispatcher(), case.number, to="closed", fields={}))


async def rating_life(world: World, case: Case, *, late: bool, chance: float) -> Life:
    """Perhaps the reporter says how it went."""
    if not world.chance(chance if case.resident else chance / 4):
        return
    yield world.after(20, 4000)
    if case.state not in DONE or case.is_rated:
        return  # reopened, found to be another matter, or rated while it followed a master
    stars = world.rng.choices((1, 2, 3, 4, 5), (24, 24, 26, 18, 8) if late else (3, 4, 11, 34, 48))[0]
    await _rate(world, case, stars=stars, mood="praise" if stars > 3 else "complaint")


async def _rate(world: World, case: Case, *, stars: int, mood: str) -> None:
    rng, case.is_rated = world.rng, True
    await talking.rate(
        world.tx,
        case.reporter,
        case.number,
        rating=stars,
        reason_codes=list(_reasons(rng, stars, mood)),
        comment=texts.talk(rng, case.language, mood) if rng.random() < 0.45 or mood == "dispute" else None,
        dispute=mood == "dispute",
        is_reporter=True,
    )


GOOD = ("fast_response", "problem_fixed", "good_communication", "polite_staff", "clean_work")
BAD = ("slow_response", "poor_communication", "untidy_work", "slow_response")


def _reasons(rng: Random, stars: int, mood: str) -> Iterator[str]:
    if mood == "dispute":
        yield "problem_not_fixed"
    elif rng.random() < 0.75:
        yield from sorted(set(rng.choices(GOOD if stars > 3 else BAD, k=rng.randint(1, 2))))
