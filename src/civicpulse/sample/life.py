"""How a request lives in the sample city, from the report to the verdict, through the product's own actions."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from civicpulse.base import clock
from civicpulse.duplicates.merging import merge, precedence, unmerge
from civicpulse.requests import actions, talking
from civicpulse.requests.assignment.assigning import auto_assign
from civicpulse.requests.queries import find_request
from civicpulse.sample.city_world import DONE, OPEN, Case, CityWorld
from civicpulse.sample.engine import Life
from civicpulse.sample.staff import Worker


async def case_life(world: CityWorld, case: Case) -> Life:
    """Lives a request that stands for itself: triage, assignment, work and verdict."""
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


async def _triage(world: CityWorld, case: Case) -> Life:
    rng = world.rng
    delay = timedelta(minutes=world.life.triage.minutes[case.priority] * rng.lognormvariate(0, 0.7) * world.strain())
    if world.chance(world.life.triage.forgotten) and case.priority in ("P3", "P4"):
        delay += timedelta(days=rng.uniform(2, 7))
    at = clock.now() + delay
    yield at if case.priority == "P1" else world.within(world.life.operations_hours, at)
    if case.is_spam:
        await world.enter(case, "closed", world.dispatcher(), reason=world.texts.spam_reason)
        return
    other = await _likely_duplicate(world, case)
    if other is not None and world.chance(world.life.triage.merged):
        async for at in _merged(world, case, other):
            yield at
        if case.status == "merged":
            return
    await world.enter(case, "triaged", world.dispatcher(), **_findings(world, case))
    if world.chance(world.life.triage.not_ours):
        yield world.after(5, 600)
        reason = rng.choice(world.texts.not_ours)
        await world.enter(case, "closed", world.dispatcher(), reason=reason)


def _findings(world: CityWorld, case: Case) -> dict[str, Any]:
    """Draws what operations add or put right in triage."""
    rng, found = world.rng, dict[str, Any]()
    if case.truth != case.category:
        found["category"] = case.truth
        subs = world.pack.categories[case.truth].sub_categories
        if subs:
            found["sub_category"] = rng.choice(subs).id
    if case.zone == "UNZONED":
        found["zone_id"] = case.zone = rng.choice(world.city.zones).code
    if world.chance(world.life.triage.other_priority):
        level = int(case.priority[1]) + rng.choice((-1, 1))
        found["priority"] = f"P{min(max(level, 1), 4)}"
    if world.chance(0.06):
        found["note"] = rng.choice(world.texts.notes)
    return found


async def _likely_duplicate(world: CityWorld, case: Case) -> Case | None:
    """Finds the likeliest duplicate that is still open, stands for itself, and would be the master of the two."""
    own = await find_request(world.tx, case.number) if case.proposed else None
    for number in case.proposed:
        found = await find_request(world.tx, number)
        if own and found and world.cases[number].status in OPEN and precedence(found) < precedence(own):
            return world.cases[number]
    return None


async def _merged(world: CityWorld, case: Case, other: Case) -> Life:
    """Merges a case with its duplicate; now and then a crew finds that they are two after all."""
    await merge(world.tx, world.dispatcher(), case.number, other=other.number)
    before = case.status
    case.follow(other)
    if not world.chance(world.life.triage.unmerged):
        return
    yield world.within(world.life.operations_hours, world.after(600, 2900))
    row = await unmerge(world.tx, world.supervisor(), case.number)
    case.leave()
    assert row["status"] == before, "unmerging brings back the state it had"
    case.status = before


async def _assignment(world: CityWorld, case: Case) -> Life:
    """Assigns a case by the pack's policy, at once or in the crews' hours, twice at the utmost; else, and at times, by hand."""
    at_once = case.priority in ("P1", "P2") or world.kinds[case.category].round_the_clock
    soon = world.after(1, 25 if at_once else 600 * world.strain() - 575)
    yield soon if at_once else world.within(world.life.crew_hours, soon)
    for _ in range(0 if world.chance(world.life.work.by_hand) else 2):
        row, decision = await auto_assign(world.tx, world.dispatcher(), case.number)
        if decision.winner is not None:
            case.take(row)
            case.worker = world.staff.by_id[decision.winner.id]
            return
        yield world.within(world.life.crew_hours, world.after(120, 600))
    skills = world.pack.required_skills(case.category)
    crews = [worker for worker in world.staff.crews if skills <= set(worker.post.skills)]
    near = [worker for worker in crews if case.zone in worker.post.zones]
    case.worker = world.rng.choice(near or crews or world.staff.crews)
    fields = {"assigned_agent_id": case.worker.post.code, "reason": world.texts.by_hand_reason}
    await world.enter(case, "assigned", world.dispatcher(), **fields)


async def _work(world: CityWorld, case: Case) -> Life:
    """Works on a case: on site, at work, done."""
    rng, worker = world.rng, case.worker
    assert worker is not None, "an assigned case has its worker"
    done_at = _finish(world, case, worker)
    start = clock.now() + (done_at - clock.now()) * rng.uniform(0.35, 0.9)
    yield start if case.priority == "P1" else world.within(world.life.crew_hours, start)
    if world.chance(0.6):
        await _milestone(world, case, "arrived")
        if world.chance(0.12):
            yield world.after(5, 45)
            await _milestone(world, case, "work_started")
    else:
        await _milestone(world, case, "work_started", note=rng.choice(world.texts.notes) if world.chance(0.1) else None)
    yield max(done_at, world.after(15, 200))
    await _resolve(world, case)


def _finish(world: CityWorld, case: Case, worker: Worker) -> datetime:
    """Draws when the work will be done: mainly well inside the target, at times late, and some get stuck."""
    rng, life = world.rng, world.life.work
    share = life.pace_median * rng.lognormvariate(0, life.pace_spread) * worker.pace * world.strain()
    if case.priority in ("P3", "P4") and world.chance(world.life.work.stuck):
        share = rng.uniform(1.5, 8.0)
    done_at = max(case.created_at + timedelta(hours=case.hours * share), world.after(25, 300))
    return done_at if case.priority in ("P1", "P2") else world.within(world.life.crew_hours, done_at)


async def _milestone(world: CityWorld, case: Case, name: str, *, note: str | None = None) -> None:
    assert case.worker is not None, "who works has been assigned"
    evidence = [world.photo() for _ in range(world.rng.randint(1, 2))] if name == "resolution" else []
    row = await actions.milestone(
        world.tx, case.worker.actor, case.number, name=name, evidence=evidence, note=note, seen_version=None
    )
    case.take(row)


async def _resolve(world: CityWorld, case: Case) -> None:
    assert case.worker is not None, "who works has been assigned"
    own = world.kinds[case.category].checklist
    if own or world.chance(0.15):
        checklist = own or world.texts.checklist
        fields = {"checklist": checklist, "resolution_code": "done"}
        await world.enter(case, "resolved", case.worker.actor, **fields)
    else:
        await _milestone(world, case, "resolution")


async def _verdict(world: CityWorld, case: Case) -> Life:
    """Ends a case by a dispute that may bring the work back, or by the quiet close; ratings come in beside it."""
    late = clock.now() - case.created_at > timedelta(hours=case.hours)
    for follower in case.followers:
        world.engine.start(
            clock.now(), rating_life(world, follower, late=late, chance=world.life.verdict.rated_by_followers)
        )
    if case.resident is not None and not case.is_rated and world.chance(world.life.verdict.disputed):
        yield world.after(40, 1100)
        await _rate(world, case, stars=world.rng.choice((1, 1, 2)), mood="dispute")
        yield world.within(world.life.operations_hours, world.after(60, 700))
        if world.chance(world.life.verdict.dispute_accepted):
            await world.enter(case, "in_progress", world.supervisor(), reason=world.texts.reopened_reason)
            yield world.within(world.life.crew_hours, world.after(300, 4000))
            await _resolve(world, case)
    else:
        world.engine.start(clock.now(), rating_life(world, case, late=late, chance=world.life.verdict.rated))
    yield world.within(world.life.operations_hours, world.after(1200, 5600))
    await world.enter(case, "closed", world.dispatcher())


async def rating_life(world: CityWorld, case: Case, *, late: bool, chance: float) -> Life:
    """Lets the reporter say how it went, or not."""
    if not world.chance(chance if case.resident else chance / 4):
        return
    yield world.after(20, 4000)
    if case.state not in DONE or case.is_rated:
        return  # reopened, found to be another matter, or rated while it followed a master
    stars = world.rng.choices(
        (1, 2, 3, 4, 5), world.life.verdict.stars_late if late else world.life.verdict.stars_in_time
    )[0]
    await _rate(world, case, stars=stars, mood="praise" if stars > 3 else "complaint")


async def _rate(world: CityWorld, case: Case, *, stars: int, mood: str) -> None:
    rng, case.is_rated = world.rng, True
    await talking.rate(
        world.tx,
        case.reporter,
        case.number,
        rating=stars,
        reason_codes=list(_reasons(world, stars, mood)),
        comment=world.talk(case.language, mood) if rng.random() < 0.45 or mood == "dispute" else None,
        dispute=mood == "dispute",
        is_reporter=True,
    )


def _reasons(world: CityWorld, stars: int, mood: str) -> Iterator[str]:
    rng = world.rng
    if mood == "dispute":
        yield "problem_not_fixed"
    elif rng.random() < 0.75:
        known = world.texts.praised_for if stars > 3 else world.texts.blamed_for
        yield from sorted(set(rng.choices(known, k=rng.randint(1, 2))))
