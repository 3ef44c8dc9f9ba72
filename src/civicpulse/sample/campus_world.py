"""The sample campus, Lakeside University: its buildings as zones, who looks after them, and what happens in its days."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from civicpulse.accounts.callers import Caller
from civicpulse.accounts.roles import actor_as
from civicpulse.base.db import Tx
from civicpulse.base.events import SYSTEM, Actor
from civicpulse.people import agents
from civicpulse.people.schemas import AgentIn
from civicpulse.sample import campus_texts

TIMEZONE = "America/Chicago"
CENTRE = (-89.40, 43.075)
DAYS = 30

# Code, name, metres east and north of the centre, width and depth, how much people report there.
BUILDINGS = (
    ("LIB", "Hartwell Library", -60, 20, 90, 60, 6),
    ("SCI", "Curie Science Hall", 90, 60, 110, 70, 5),
    ("ENG", "Babbage Engineering Building", 110, -90, 120, 60, 5),
    ("ART", "Rivera Arts Centre", -170, -60, 80, 70, 3),
    ("NRES", "North Residence", -20, 210, 130, 50, 7),
    ("SRES", "South Residence", 10, -240, 130, 50, 6),
    ("GYM", "Marsh Gymnasium", -230, 120, 90, 80, 2),
    ("UNION", "Student Union", 20, -60, 70, 50, 4),
)
FLOORS = ("ground floor", "1st floor", "2nd floor", "3rd floor", "4th floor")

# Code, name, department, skills, and the days and hours of their week.
WEEK, LATE = ("Mon", "Tue", "Wed", "Thu", "Fri"), ("Wed", "Thu", "Fri", "Sat", "Sun")
POSTS = (
    ("FM-01", "Carol Jensen", "Building systems", ("elevator", "electrical"), WEEK, ("07:00", "16:00"), ("agent",)),
    ("FM-02", "Luis Ortega", "Building systems", ("plumbing", "hvac"), WEEK, ("07:00", "16:00"), ("agent",)),
    ("FM-03", "Ann Kowalski", "Building systems", ("hvac", "electrical", "elevator", "plumbing"), LATE, ("12:00", "21:00"), ("agent",)),
    ("IT-01", "Priya Raman", "Teaching and IT", ("it_support", "av"), WEEK, ("08:00", "17:00"), ("agent",)),
    ("IT-02", "Jonas Weber", "Teaching and IT", ("av", "it_support", "carpentry"), LATE, ("10:00", "19:00"), ("agent",)),
    ("SEC-01", "Denise Clark", "Safety", ("security", "locksmith", "residence_life"), WEEK, ("14:00", "23:00"), ("agent",)),
    ("SEC-02", "Kofi Mensah", "Safety", ("security", "residence_life"), ("Sat", "Sun", "Mon", "Tue"), ("21:00", "07:00"), ("agent",)),
    ("GC-01", "Rita Alvarez", "Grounds and cleaning", ("cleaning",), WEEK, ("05:00", "13:00"), ("agent",)),
    ("GC-02", "Sam Lindgren", "Grounds and cleaning", ("grounds", "cleaning"), LATE, ("06:00", "14:00"), ("agent",)),
    ("DESK-01", "Maya Brooks", "Service desk", (), WEEK, ("07:00", "19:00"), ("agent", "dispatcher")),
    ("DESK-02", "Tom Erikson", "Service desk", (), WEEK, ("08:00", "17:00"), ("agent", "admin")),
)  # fmt: skip

DEMAND = {
    "elevator": 9, "heating_cooling": 16, "plumbing": 16, "electrical": 11, "network": 14, "classroom": 10, "access_security": 8,
    "cleaning": 12, "grounds": 6, "noise": 5,
}  # fmt: skip
PUZZLE, WITH_POINT, WITHOUT_PLACE, SEEN_BY_OTHERS = 0.04, 0.3, 0.05, 0.3


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody notices: when they write, what, and where, as a point, in words, or not at all."""

    at: datetime
    text: str
    location: dict[str, Any] | str | None


def features() -> dict[str, Any]:
    """The buildings as GeoJSON."""
    shapes = [
        {
            "type": "Feature",
            "properties": {"zone_id": code, "name": name},
            "geometry": {"type": "Polygon", "coordinates": [_corners(east, north, width, depth)]},
        }
        for code, name, east, north, width, depth, _ in BUILDINGS
    ]
    return {"type": "FeatureCollection", "features": shapes}


def _corners(east: float, north: float, width: float, depth: float) -> list[list[float]]:
    sides = ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
    return [_degrees(east + x * width / 2, north + y * depth / 2) for x, y in sides]


def _degrees(east: float, north: float) -> list[float]:
    """Metres from the centre as longitude and latitude."""
    return [round(CENTRE[0] + east / 81_300, 6), round(CENTRE[1] + north / 111_200, 6)]


async def hire(tx: Tx) -> dict[str, Actor]:
    """Makes the staff through the product's own action; who they are by code."""
    caller = Caller(tx, SYSTEM, None, None, None)
    everywhere = [building[0] for building in BUILDINGS] + ["UNZONED"]
    staff: dict[str, Actor] = {}
    for code, name, department, skills, days, (start, end), roles in POSTS:
        wanted = AgentIn.model_validate(
            {
                "agent_code": code,
                "name": name,
                "department": department,
                "skills": skills,
                "coverage": {"zone_ids": everywhere if skills else []},
                "schedule": {
                    "timezone": TIMEZONE,
                    "shifts": [{"day": day, "start": start, "end": end} for day in days],
                    "on_call": code in ("FM-03", "SEC-01"),
                },
                "roles": roles,
            }
        )
        made = await agents.create(caller, wanted)
        staff[code] = await actor_as(tx, roles[-1], made["_id"])
    return staff


def notices(rng: Random, *, many: int, until: datetime) -> list[Notice]:
    """About `many` notices of the last DAYS days, oldest first; what several people see comes several times."""
    found: list[Notice] = []
    while len(found) < many:
        found += _noticed(rng, until - timedelta(days=rng.uniform(0, DAYS)), until)
    return sorted(found, key=lambda notice: notice.at)


def _noticed(rng: Random, at: datetime, until: datetime) -> list[Notice]:
    category = rng.choices(list(DEMAND), list(DEMAND.values()))[0]
    text = rng.choice(campus_texts.PUZZLES) if rng.random() < PUZZLE else campus_texts.sentence(rng, category)
    building = rng.choices(BUILDINGS, [building[-1] for building in BUILDINGS])[0]
    location = _place(rng, building)
    others = rng.choice((1, 1, 2, 3)) if location is not None and rng.random() < SEEN_BY_OTHERS else 0
    later = (at + timedelta(minutes=rng.uniform(5, 900)) for _ in range(others))
    return [Notice(at, text, location)] + [
        Notice(moment, campus_texts.again(rng, text), location) for moment in later if moment <= until
    ]


def _place(rng: Random, building: tuple[Any, ...]) -> dict[str, Any] | str | None:
    _, name, east, north, width, depth, _ = building
    chance = rng.random()
    if chance < WITHOUT_PLACE:
        return None
    if chance < WITHOUT_PLACE + WITH_POINT:
        point = _degrees(east + rng.uniform(-0.4, 0.4) * width, north + rng.uniform(-0.4, 0.4) * depth)
        return {"type": "Point", "coordinates": point, "address_hint": name}
    return f"{name}, {rng.choice(FLOORS)}"
