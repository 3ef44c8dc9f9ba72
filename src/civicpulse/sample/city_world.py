"""What the lives of the sample city can reach: its map, its people, the cases as they are remembered, and working hours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.events import Actor
from civicpulse.base.services import Services
from civicpulse.requests import actions
from civicpulse.sample.city import City
from civicpulse.sample.loader import Kind
from civicpulse.sample.people import Resident, Town
from civicpulse.sample.staff import Worker
from civicpulse.sample.world import World

OPEN = ("new", "triaged", "assigned", "in_progress")
DONE = ("resolved", "closed")

BUSINESS_STRETCH = 168 / 40  # an hour of the business calendar is so long on the wall


@dataclass(slots=True, eq=False)
class Case:
    """A request as the simulation remembers it; `truth` is what it really is about, `proposed` its likely duplicates."""

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
    is_spam: bool
    proposed: Sequence[str] = ()
    worker: Worker | None = None
    is_rated: bool = False
    master: "Case | None" = None
    followers: list["Case"] = field(default_factory=list)

    def take(self, row: Row) -> None:
        """Remembers the request as an action left it."""
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
        """Gives the case's status, for a duplicate that of its last master."""
        case = self
        while case.master is not None:
            case = case.master
        return case.status


class CityWorld(World):
    """The city and everybody in it, before anything happens."""

    def __init__(self, services: Services, *, until: datetime, scale: float) -> None:
        super().__init__("city", services, until=until, scale=scale)
        self.life, self.texts = self.told.life, self.told.texts
        self.kinds: dict[str, Kind] = self.told.kinds
        self.local = ZoneInfo(self.about.timezone)
        self.city = City(self.told.plan, self.told.zones, self.rng)
        self.cases: dict[str, Case] = {}
        self.residents: list[Resident] = []

    def fence(self, zone: str) -> Mapping[str, Any]:
        """Draws a fence around the zone's first place of trouble."""
        return self.city.fence(zone)

    async def settle(self, tx: Tx) -> None:
        """Registers the citizens."""
        many = max(12, round(self.told.people.residents * min(1, self.scale * 2)))
        town = Town(self.about.name, self.city.zones, self.told.people, self.pack)
        self.residents = await town.settle(tx, self.rng, many=many, before=self.since)

    async def somebody(self, tx: Tx, who: str) -> tuple[Actor, str] | None:  # noqa: ARG002
        """Finds the citizen who writes most readily, with a proven contact and in English where there is one."""
        if who != "citizen":
            return None
        citizen = max(self.residents, key=lambda one: (one.verified, one.language == "en", one.zeal))
        return citizen.actor, f"a citizen, {citizen.id}"

    def dispatcher(self) -> Actor:
        """Picks a dispatcher of the operations centre."""
        return self.rng.choice(self.staff.of_role("dispatcher")).actor

    def supervisor(self) -> Actor:
        """Finds the supervisor."""
        return self.staff.of_role("supervisor")[0].actor

    async def enter(self, case: "Case", to: str, by: Actor, **fields: Any) -> None:
        """Moves a case to another state."""
        case.take(await actions.transition(self.tx, by, case.number, to=to, fields=fields))

    def talk(self, language: str, kind: str) -> str:
        """Draws one line of talk: `kind` is question, answer, update, praise, complaint or dispute."""
        lines = self.told.talk
        return str(self.rng.choice(lines.get(language, lines["en"])[kind]))

    def strain(self) -> float:
        """Says how much slower everything goes at this moment than it used to."""
        left = (self.until - clock.now()) / timedelta(days=1)
        return float(self.life.work.strain) if left < self.life.work.strain_days else 1.0

    def photo(self) -> dict[str, str]:
        """Makes a piece of evidence."""
        url = self.texts.photo_url.format(name=f"{self.rng.getrandbits(48):012x}")
        return {"type": "photo", "url": url, "sha256": f"{self.rng.getrandbits(256):064x}"}

    def within(self, week: Sequence[tuple[float, float] | None], at: datetime) -> datetime:
        """Moves a moment into the working hours of the week: to soon after the next opening, if it is not in them."""
        local = at.astimezone(self.local)
        for days in range(8):
            day = local + timedelta(days=days)
            hours = week[day.weekday()]
            now = local.hour + local.minute / 60 if days == 0 else -1.0
            if hours is None or now >= hours[1]:
                continue
            if now >= hours[0]:
                return at
            opening = day.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(hours=hours[0])
            return opening.astimezone(UTC) + timedelta(seconds=self.rng.uniform(60, 5400))
        return at


def target_hours(sla: dict[str, Any] | None) -> float:
    """Gives the target of an SLA in hours on the wall."""
    if sla is None:
        return 96.0
    hours: float = sla["target_hours"]
    return hours * (BUSINESS_STRETCH if sla["calendar"] == "business" else 1)
