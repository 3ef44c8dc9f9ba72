"""The sample campus: reports in people's own words, taken in by the inbox and put right by facilities."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shapely.geometry import shape

from civicpulse.accounts.callers import Visitor
from civicpulse.base import clock
from civicpulse.base.services import Services
from civicpulse.reports.actions import take_report
from civicpulse.reports.jobs import process_batch
from civicpulse.reports.schemas import ReportIn
from civicpulse.reports.writer import InboxWriter
from civicpulse.requests.queries import lock_by_ids
from civicpulse.sample.engine import Life
from civicpulse.sample.handling import handling_life
from civicpulse.sample.staff import stranger
from civicpulse.sample.world import World, drawn

INSIDE_DEGREES = 0.00005  # nobody stands in the wall


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody notices: when they write, what, and where, as a point, in words, or not at all."""

    at: datetime
    text: str
    location: dict[str, Any] | str | None


class CampusWorld(World):
    """The campus; its reports come to the inbox."""

    def __init__(self, services: Services, *, until: datetime, scale: float) -> None:
        super().__init__("campus", services, until=until, scale=scale)
        self.inbox = InboxWriter(services.db)

    def begin(self) -> None:
        """Starts a life for each report to come; what several people see comes several times."""
        found: list[Notice] = []
        while len(found) < self.many:
            found += self._noticed(self.until - timedelta(days=self.rng.uniform(0, self.about.days)))
        for notice in sorted(found, key=lambda notice: notice.at):
            self.engine.start(notice.at, report_life(self, notice))

    def _noticed(self, at: datetime) -> Iterator[Notice]:
        rng, demand, texts = self.rng, self.told.demand, self.told.texts
        lines = texts.reports[drawn(rng, demand.categories)]
        room, days = f"{rng.randrange(1, 5)}{rng.randrange(1, 30):02d}", rng.randrange(2, 9)
        text = rng.choice(texts.puzzles if self.chance(demand.puzzles) else lines).format(room=room, days=days)
        location = self._place()
        yield Notice(at, text, location)
        if location is not None and self.chance(demand.seen_by_others):
            for _ in range(rng.choice((1, 1, 2, 3))):
                later = at + timedelta(minutes=rng.uniform(5, 900))
                if later <= self.until:
                    yield Notice(later, rng.choice(texts.again).format(text=text), location)

    def _place(self) -> dict[str, Any] | str | None:
        rng, plan, demand, way = self.rng, self.told.plan, self.told.demand, self.rng.random()
        code = drawn(rng, plan.shares)
        building = next(one for one in self.told.zones.features if one.properties.zone_id == code)
        name = building.properties.name
        if way < demand.without_place:
            return None
        if way < demand.without_place + demand.with_point:
            west, south, east, north = shape(building.geometry).buffer(-INSIDE_DEGREES).bounds
            point = [round(rng.uniform(west, east), 6), round(rng.uniform(south, north), 6)]
            return {"type": "Point", "coordinates": point, "address_hint": name}
        return f"{name}, {rng.choice(plan.floors)}"


async def report_life(world: CampusWorld, notice: Notice) -> Life:
    """Files a report, has the inbox read it, and works on it unless it joins another."""
    body = ReportIn.model_validate({"description": notice.text, "location": notice.location})
    services, tenant = world.services, world.tx.tenant
    visitor = Visitor(tenant, stranger(world.pack), None, None, None)
    async with world.engine.apart():
        kept = await take_report(services.db, world.inbox, visitor, body)
        if world.until - clock.now() < timedelta(minutes=world.told.demand.left_to_the_inbox_minutes):
            return
        await process_batch(services, tenant)
    assert kept.id is not None, "a report that was not there before has an id"
    (row,) = await lock_by_ids(world.tx, [kept.id])
    if row["master_id"] is None:
        async for at in handling_life(world, world.told.handling, row):
            yield at
