"""What the simulation knows: the cases as it remembers them, the city around them, and when people work."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.events import Actor
from civicpulse.packs.model import Pack
from civicpulse.requests.sweep import SweepReport
from civicpulse.sample.city import City
from civicpulse.sample.demand import LOCAL
from civicpulse.sample.engine import Engine
from civicpulse.sample.people import Resident, Staff, Worker

OPEN = ("new", "triaged", "assigned", "in_progress")
DONE = ("resolved", "closed")

# Working time of the desk and of the crews, in minutes of the local day, Monday first; None: nobody.
DESK = ((390, 1350),) * 5 + ((480, 1320),) * 2
CREWS = ((420, 1020),) * 5 + ((450, 900), None)

BUSINESS_STRETCH = 168 / 40  # an hour of the business calendar is so long on the wall
STRAIN, STRAIN_DAYS = 3.2, 21  # lately half of the crews are ill: so much slower, and since how many days


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
    is_spam: bool
    proposed: Sequence[str] = ()
    worker: Worker | None = None
    is_rated: bool = False
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
    until: datetime
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

    def strain(self) -> float:
        """How much slower everything goes at this moment than it used to."""
        left = (self.until - clock.now()) / timedelta(days=1)
        return STRAIN if left < STRAIN_DAYS else 1.0

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
