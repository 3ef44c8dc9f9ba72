"""The sample campus: thirty days of reports in people's own words, taken in by the inbox and put right by facilities."""

import heapq
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any, TypeAlias

from civicpulse.accounts.callers import Visitor
from civicpulse.accounts.roles import roles_at_door
from civicpulse.base import clock
from civicpulse.base.db import Row
from civicpulse.base.errors import Problem
from civicpulse.base.events import Actor
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.reports.actions import take_report
from civicpulse.reports.jobs import process_batch
from civicpulse.reports.schemas import ReportIn
from civicpulse.reports.writer import InboxWriter
from civicpulse.requests import actions
from civicpulse.requests.assigning import auto_assign
from civicpulse.requests.queries import lock_by_ids
from civicpulse.requests.sweep import SweepReport, sweep_batch
from civicpulse.sample.campus_world import DAYS, Notice, features, hire, notices
from civicpulse.sample.tenant import forget_outbox, found_tenant, log_in

SLUG, NAME, SEED = "lakeside-university", "Lakeside University", 1867
REPORTS = 180
SWEEP_EVERY = timedelta(hours=6)
LEFT_TO_THE_INBOX = timedelta(minutes=45)  # what came last waits for the worker, so that a newcomer can watch it

# Minutes from report to triage and from assignment to the end of the work, medians by priority; and what goes wrong.
TRIAGE_MINUTES = {"P1": 6.0, "P2": 25.0, "P3": 160.0, "P4": 420.0}
PUZZLED_MINUTES = 5000.0  # where nobody can tell what is meant
WORK_HOURS = {"P1": 1.6, "P2": 9.0, "P3": 26.0, "P4": 60.0}
WAITS_FOR_PARTS, SLOW, CLOSED_AFTER = 0.1, 0.12, timedelta(hours=30)

Step: TypeAlias = AsyncGenerator[datetime]


@dataclass(slots=True)
class _Campus:
    """The days as they are lived: what is to happen, in order of time."""

    services: Services
    tenant: Tenant
    rng: Random
    staff: dict[str, Actor]
    until: datetime
    queue: list[tuple[datetime, int, Step]]
    numbers: Callable[[], int]
    inbox: InboxWriter

    def start(self, at: datetime, step: Step) -> None:
        """Lets `step` go on at `at`."""
        heapq.heappush(self.queue, (at, self.numbers(), step))

    async def live(self) -> None:
        """Up to the end; what lies after it is left open."""
        while self.queue and self.queue[0][0] <= self.until:
            at, _, step = heapq.heappop(self.queue)
            with clock.at(at), suppress(Problem):  # nobody on shift, or merged away meanwhile: it stays as it is
                if (wakes_at := await anext(step, None)) is not None:
                    self.start(max(at, wakes_at), step)
        for _, _, step in self.queue:
            await step.aclose()


async def build_campus(services: Services, *, until: datetime, scale: float = 1.0) -> dict[str, Any]:
    """Makes the tenant `lakeside-university`; {"tenant", "name", "tokens"}. The same seed and end give the same days."""
    rng = Random(SEED)  # noqa: S311 - it decides what people write
    tenant = await found_tenant(services, slug=SLUG, name=NAME, kind="campus", pack="campus", zones=features())
    async with services.db.transaction(tenant) as tx:
        with clock.at(until - timedelta(days=200)):
            staff = await hire(tx)
    campus = _Campus(services, tenant, rng, staff, until, [], count().__next__, InboxWriter(services.db))
    seen = notices(rng, many=round(REPORTS * scale), until=until)
    for notice in seen:
        campus.start(notice.at, _reported(campus, notice))
    campus.start(until - timedelta(days=DAYS), _swept(campus))
    await campus.live()
    async with services.db.transaction(tenant) as tx:
        await forget_outbox(tx)
        tokens = [
            await log_in(tx, staff["DESK-02"], "Tom Erikson, DESK-02"),
            await log_in(tx, staff["DESK-01"], "Maya Brooks, DESK-01"),
            await log_in(tx, staff["FM-01"], "Carol Jensen, FM-01"),
        ]
    return {"tenant": SLUG, "name": NAME, "tokens": tokens}


async def _reported(campus: _Campus, notice: Notice) -> Step:
    """One report: kept, read by the inbox, and worked unless it joins another."""
    body = ReportIn.model_validate({"description": notice.text, "location": notice.location})
    roles = await roles_at_door(campus.services.db, campus.tenant)
    visitor = Visitor(campus.tenant, Actor.of(roles.anonymous, None), None, None, None)
    kept = await take_report(campus.services.db, campus.inbox, visitor, body)
    if campus.until - notice.at < LEFT_TO_THE_INBOX:
        return
    await process_batch(campus.services, campus.tenant)
    row = await _row(campus, kept.id)
    if row["master_id"] is None:
        yield _after(campus, PUZZLED_MINUTES if row["needs_person"] else TRIAGE_MINUTES[row["priority"]])
        async for at in _worked(campus, row):
            yield at


async def _worked(campus: _Campus, row: Row) -> Step:
    """Triage, assignment, work and the end; each as soon as somebody is there."""
    number, desk = row["number"], campus.staff["DESK-01"]
    await _act(campus, actions.transition, desk, number, to="triaged", fields={})
    yield _after(campus, 8)
    for _ in range(4):
        async with campus.services.db.transaction(campus.tenant) as tx:
            taken, decision = await auto_assign(tx, desk, number)
        if decision.winner is not None:
            break
        yield clock.now() + timedelta(hours=campus.rng.uniform(5, 9))
    else:
        return
    roles = await roles_at_door(campus.services.db, campus.tenant)
    worker = Actor.of(roles.named["agent"], str(decision.winner.id))
    slow = 4.0 if campus.rng.random() < SLOW else 1.0
    minutes = WORK_HOURS[taken["priority"]] * 60 * slow
    yield _after(campus, minutes / 2)
    await _act(campus, actions.transition, worker, number, to="in_progress", fields={})
    if campus.rng.random() < WAITS_FOR_PARTS:
        await _act(campus, actions.transition, worker, number, to="waiting_parts", fields={"reason": "Part ordered"})
        yield _after(campus, 2600)
        await _act(campus, actions.transition, worker, number, to="in_progress", fields={})
    yield _after(campus, minutes / 2)
    await _act(campus, actions.transition, worker, number, to="resolved", fields={})
    yield clock.now() + CLOSED_AFTER
    await _act(campus, actions.transition, desk, number, to="closed", fields={})


async def _swept(campus: _Campus) -> Step:
    """The SLA clock, as the worker would run it."""
    while True:
        async with campus.services.db.transaction(campus.tenant) as tx:
            await sweep_batch(tx, now=clock.now(), report=SweepReport())
        yield clock.now() + SWEEP_EVERY


async def _act(campus: _Campus, action: Callable[..., Any], actor: Actor, number: str, **more: Any) -> None:
    async with campus.services.db.transaction(campus.tenant) as tx:
        await action(tx, actor, number, **more)


async def _row(campus: _Campus, request: Any) -> Row:
    async with campus.services.db.transaction(campus.tenant) as tx:
        (row,) = await lock_by_ids(tx, [request])
    return row


def _after(campus: _Campus, median_minutes: float) -> datetime:
    return clock.now() + timedelta(minutes=median_minutes * campus.rng.lognormvariate(0, 0.6))
