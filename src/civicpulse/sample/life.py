"""How a request lives in Harbour City, from the report to the verdict, through the product's own actions."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.events import Actor
from civicpulse.packs.model import Pack
from civicpulse.requests import actions, talking
from civicpulse.requests.assigning import auto_assign
from civicpulse.requests.merging import merge, unmerge
from civicpulse.requests.sweep import BATCH, SweepReport, sweep_batch
from civicpulse.sample import texts
from civicpulse.sample.city import City
from civicpulse.sample.demand import LOCAL
from civicpulse.sample.engine import Engine, Life
from civicpulse.sample.people import Resident, Staff, Worker

OPEN = ("new", "triaged", "assigned", "in_progress")
DONE = ("resolved", "closed")
SWEEP_EVERY = timedelta(hours=1)

# Working time of the desk and of the crews, in minutes of the local day, Monday first; None: nobody.
DESK = ((390, 1350),) * 5 + ((480, 1320),) * 2
CREWS = ((420, 1020),) * 5 + ((450, 900), None)

TRIAGE_MINUTES = {"P1": 9.0, "P2": 35.0, "P3": 170.0, "P4": 420.0}  # the median from report to triage
BUSINESS_STRETCH = 168 / 40  # an hour of the business calendar is so long on the wall
PACE_MEDIAN, PACE_SPREAD = 0.44, 0.78  # of the target that a piece of work takes, log-normal

SPAM, NOT_OURS, FORGOTTEN, STUCK = 0.022, 0.025, 0.03, 0.06
RECLASSIFIED_PRIORITY, PRESSED, DISPUTED, DISPUTE_ACCEPTED = 0.07, 0.05, 0.045, 0.65
STAFF_MERGES, STAFF_UNMERGES = 0.6, 0.15


@dataclass(slots=True, eq=False)
class Case:
    """A request as the simulation remembers it; `truth` is what it really is about, `proposed` its likely twins."""

    number: str
    category: str
    truth: str
    zone: str
    status: str
    priority: str
    hours: float
    created_at: datetime
    reporter: Actor
    resident: Resident | None
    language: str
    proposed: Sequence[str] = ()
    worker: Worker | None = None
    master: "Case | None" = None
    followers: list["Case"] = field(default_factory=list)

    def take(self, row: Row) -> None:
        """Remembers what an action left."""
        self.status, self.priority, self.category = row["status"], row["priority"], row["category"]
        self.hours = target_hours(row["sla"])

    def follow(self, master: "Case") -> None:
        """Joins a master, with all that follow this one."""
        self.status, self.master = "merged", master
        master.followers += [self, *self.followers]

    def leave(self) -> None:
        """Undoes `follow`; the status is then the caller's to set."""
        assert self.master is not None, "only who follows can leave"
        own = {self, *self.followers}
        self.master.followers = [case for case in self.master.followers if case not in own]
        self.master = None

    @property
    def state(self) -> str:
        """The status, for a duplicate that of its last master."""
        case = self
        while case.master is not None:
            case = case.master
        return case.status


@dataclass(slots=True)
class World:
    """What every life can reach."""

    engine: Engine
    city: City
    staff: Staff
    pack: Pack
    rng: Random
    cases: dict[str, Case] = field(default_factory=dict)
    swept: SweepReport = field(default_factory=SweepReport)

    @property
    def tx(self) -> Tx:
        """The open transaction."""
        return self.engine.tx

    def dispatcher(self) -> Actor:
        """Somebody at the desk."""
        return self.rng.choice(self.staff.dispatchers).actor

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self.rng.random() < probability

    def after(self, low: float, high: float) -> datetime:
        """Between so many minutes from now."""
        return clock.now() + timedelta(minutes=self.rng.uniform(low, high))

    def photo(self) -> dict[str, str]:
        """A piece of evidence."""
        name = f"{self.rng.getrandbits(48):012x}"
        url = f"https://files.harbour-city.example/{name}.jpg"
        return {"type": "photo", "url": url, "sha256": f"{self.rng.getrandbits(256):064x}"}


def target_hours(sla: dict[str, Any] | None) -> float:
    """The target in hours on the wall."""
    if sla is None:
        return 96.0
    hours: float = sla["target_hours"]
    return hours * (BUSINESS_STRETCH if sla["calendar"] == "business" else 1)


def within(week: Sequence[tuple[int, int] | None], at: datetime, rng: Random) -> datetime:
    """`at`, or soon after the next opening when it falls outside the working time."""
    local = at.astimezone(LOCAL)
    for days in range(8):
        day = local + timedelta(days=days)
        hours = week[day.weekday()]
        minute = local.hour * 60 + local.minute if days == 0 else -1
        if hours is None or minute >= hours[1]:
            continue
        if minute >= hours[0]:
            return at
        opening = day.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(minutes=hours[0])
        return opening.astimezone(UTC) + timedelta(seconds=rng.uniform(60, 5400))
    return at


# -------------------------------------------------------------------------------------------------- the case


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
    delay = timedelta(minutes=TRIAGE_MINUTES[case.priority] * rng.lognormvariate(0, 0.7))
    if world.chance(FORGOTTEN) and case.priority in ("P3", "P4"):
        delay += timedelta(days=rng.uniform(2, 7))
    at = clock.now() + delay
    yield at if case.priority == "P1" else within(DESK, at, rng)
    if world.chance(SPAM):
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
    """By the pack's policy; with nobody there again later, and in the end by hand."""
    yield world.after(1, 25)
    for _ in range(3):
        actor = world.dispatcher()
        row, decision = await auto_assign(world.tx, actor, case.number)
        if decision.winner is not None:
            case.take(row)
            case.worker = world.staff.crews[decision.winner.id]
            return
        yield within(CREWS, world.after(180, 700), world.rng)
    skills = world.pack.required_skills(case.category)
    able = [worker for worker in world.staff.crews.values() if skills <= set(worker.post.skills)]
    case.worker = world.rng.choice(able or list(world.staff.crews.values()))
    fields = {"assigned_agent_id": case.worker.post.code, "reason": "Nobody was on shift; agreed by phone"}
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
        if world.chance(0.6):
            yield world.after(5, 45)
            await _milestone(world, case, "work_started")
    else:
        await _milestone(world, case, "work_started", note=rng.choice(texts.NOTES) if world.chance(0.1) else None)
    yield max(done_at, world.after(15, 200))
    await _resolve(world, case)


def _finish(world: World, case: Case, worker: Worker) -> datetime:
    """When the work will be done: mostly well inside the target, at times late, and some get stuck."""
    rng = world.rng
    share = PACE_MEDIAN * rng.lognormvariate(0, PACE_SPREAD) * worker.pace
    if case.priority in ("P3", "P4") and world.chance(STUCK):
        share = rng.uniform(2.0, 6.0)
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
    if case.resident is not None and world.chance(DISPUTED):
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
    if case.state not in DONE:
        return  # disputed by somebody, or found to be another matter: the verdict has to wait
    stars = world.rng.choices((1, 2, 3, 4, 5), (24, 24, 26, 18, 8) if late else (3, 4, 11, 34, 48))[0]
    await _rate(world, case, stars=stars, mood="praise" if stars > 3 else "complaint")


async def _rate(world: World, case: Case, *, stars: int, mood: str) -> None:
    rng = world.rng
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


# ----------------------------------------------------------------------------- what goes on beside the case


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
            parent_id=first["meta"]["comment_id"],
            is_internal=True,
        )
    if case.worker and case.status in OPEN and world.chance(0.3):
        yield world.after(30, 900)
        await _say(world, case, case.worker.actor, "update")


async def _say(world: World, case: Case, author: Actor, kind: str, *, parent: str | None = None) -> str:
    message = texts.talk(world.rng, case.language, kind)
    told = await talking.comment(world.tx, author, case.number, message=message, parent_id=parent, is_internal=False)
    comment_id: str = told["meta"]["comment_id"]
    return comment_id


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
