"""Who lives and works in Harbour City: crews with skills, zones and shifts, the operations centre, and citizens."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from civicpulse.accounts.callers import Caller
from civicpulse.accounts.roles import actor_as
from civicpulse.base.db import Tx
from civicpulse.base.events import SYSTEM, Actor
from civicpulse.base.ids import id_at
from civicpulse.people import agents, queries
from civicpulse.people.citizens import record_citizen
from civicpulse.people.schemas import AgentIn
from civicpulse.rules.shifts import DAYS
from civicpulse.sample.city import ZONES, City, fence_around

TIMEZONE = "America/New_York"
ALL = tuple(plan[0] for plan in ZONES)
SOUTH = ("ZONE-DT-01", "ZONE-HB-02", "ZONE-OQ-03", "ZONE-MB-05")
NORTH = ("ZONE-LF-04", "ZONE-UH-06", "ZONE-NG-07", "ZONE-SM-08")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")
NIGHTS = ("Sun", "Mon", "Tue", "Wed", "Thu")
LATE_WEEK = ("Wed", "Thu", "Fri", "Sat", "Sun")
EARLY_WEEK = ("Sat", "Sun", "Mon", "Tue")

ROADS = ("road_maintenance", "concrete", "signage", "snow_removal")
POWER = ("electrical", "traffic_signals")
PIPES = ("water", "sewer", "road_maintenance")
CLEANING = ("sanitation", "street_sweeping", "graffiti_removal")
GREEN = ("arborist", "parks")
ANIMALS = ("animal_control", "pest_control")
ORDER = ("parking_enforcement", "noise_enforcement")
HOUSES = ("housing_inspection", "building_inspection")


@dataclass(frozen=True, slots=True)
class Post:
    """One job: who holds it, what they can do, where and when; `fence` names the zone whose heart is walked as well."""

    code: str
    name: str
    department: str
    skills: tuple[str, ...]
    zones: tuple[str, ...]
    days: tuple[str, ...]
    hours: tuple[str, str]
    on_call: bool = False
    fence: str | None = None
    roles: tuple[str, ...] = ("agent",)


DAY, EARLY, EVENING, NIGHT = ("07:00", "15:30"), ("05:00", "13:30"), ("14:00", "23:00"), ("22:00", "06:30")
OFFICE, LATE = ("08:30", "17:00"), ("18:00", "02:30")

POSTS = (
    Post("AG-PW-01", "Rosa Delgado", "Public Works", ROADS, SOUTH, WEEKDAYS, DAY),
    Post("AG-PW-02", "Ian McAllister", "Public Works", ROADS, NORTH, WEEKDAYS, DAY),
    Post("AG-PW-03", "Tomasz Wilk", "Public Works", (*ROADS, "sewer"), ALL, NIGHTS, NIGHT, on_call=True),
    Post("AG-PW-04", "Grace Okafor", "Public Works", ("concrete", "signage", "snow_removal"), ALL, LATE_WEEK, DAY),
    Post("AG-EL-01", "Victor Chen", "Lighting and Signals", POWER, ALL, WEEKDAYS, DAY),
    Post("AG-EL-02", "Samira Haddad", "Lighting and Signals", POWER, ALL, LATE_WEEK, EVENING),
    Post("AG-EL-03", "Pavel Orlov", "Lighting and Signals", POWER, ALL, NIGHTS, NIGHT, on_call=True),
    Post("AG-WT-01", "Linda Park", "Water and Sewer", PIPES, SOUTH, WEEKDAYS, DAY),
    Post("AG-WT-02", "Hassan Farouk", "Water and Sewer", PIPES, NORTH, WEEKDAYS, DAY),
    Post("AG-WT-03", "Erik Lund", "Water and Sewer", PIPES, ALL, EARLY_WEEK, NIGHT, on_call=True),
    Post("AG-SN-01", "Maria Costa", "Sanitation", CLEANING, SOUTH, (*WEEKDAYS, "Sat"), EARLY),
    Post("AG-SN-02", "Dwayne Brooks", "Sanitation", CLEANING, NORTH, (*WEEKDAYS, "Sat"), EARLY),
    Post("AG-SN-03", "Aigerim Bekova", "Sanitation", (*CLEANING, "hazmat"), ALL, LATE_WEEK, EVENING, on_call=True),
    Post("AG-PK-01", "Oliver Grant", "Parks and Trees", GREEN, (*NORTH, "ZONE-DT-01"), WEEKDAYS, DAY, fence="ZONE-UH-06"),
    Post("AG-PK-02", "Nadia Petrova", "Parks and Trees", (*GREEN, "electrical"), ALL, LATE_WEEK, DAY, on_call=True),
    Post("AG-AN-01", "Ben Whitaker", "Animal Services", ANIMALS, ALL, WEEKDAYS, DAY),
    Post("AG-AN-02", "Yusuf Rahman", "Animal Services", ANIMALS, ALL, EARLY_WEEK, EVENING, on_call=True),
    Post("AG-PE-01", "Carla Mendes", "Enforcement", ORDER, ALL, WEEKDAYS, DAY, on_call=True),
    Post("AG-PE-02", "Jamal Carter", "Enforcement", ORDER, ALL, LATE_WEEK, EVENING),
    Post("AG-PE-03", "Sofia Lindqvist", "Enforcement", ORDER, ("ZONE-HB-02",), DAYS, LATE, fence="ZONE-DT-01"),
    Post("AG-BI-01", "Henry Adler", "Buildings and Housing", HOUSES, SOUTH, WEEKDAYS, OFFICE),
    Post("AG-BI-02", "Mei Tanaka", "Buildings and Housing", HOUSES, (*NORTH, "ZONE-MB-05"), WEEKDAYS, OFFICE, on_call=True),
    Post("AG-CS-01", "Leila Nazari", "Contact Centre", ("customer_service",), (*ALL, "UNZONED"), WEEKDAYS, DAY),
    Post("OP-01", "Frank Moreau", "Operations", (), (), WEEKDAYS, DAY, roles=("agent", "dispatcher")),
    Post("OP-02", "Dana Iskakova", "Operations", (), (), DAYS, EVENING, roles=("agent", "dispatcher")),
    Post("OP-03", "Ruth Feldman", "Operations", (), (), WEEKDAYS, OFFICE, roles=("agent", "supervisor")),
    Post("OP-04", "Arthur Hale", "Operations", (), (), WEEKDAYS, OFFICE, roles=("agent", "admin")),
)  # fmt: skip

GIVEN = {
    "en": ("Emma", "Noah", "Olivia", "Liam", "Ava", "Mason", "Grace", "Ethan", "Chloe", "Henry", "Ruby", "Jack", "Nora", "Owen"),
    "es": ("Lucía", "Mateo", "Sofía", "Diego", "Valeria", "Javier", "Carmen", "Andrés"),
    "ar": ("Layla", "Omar", "Mariam", "Khalid", "Huda", "Tariq"),
    "ru": ("Ольга", "Дмитрий", "Елена", "Сергей", "Анна", "Игорь"),
    "kk": ("Айгүл", "Ерлан", "Динара", "Нұрлан", "Жанар"),
}  # fmt: skip
FAMILY = {
    "en": ("Hartley", "Bennett", "Crowe", "Sullivan", "Whitfield", "Marsh", "Doyle", "Fletcher", "Abbott", "Quinn", "Pryor"),
    "es": ("Herrera", "Vidal", "Campos", "Rojas", "Ibarra", "Salinas"),
    "ar": ("Nasser", "Haddad", "Qasim", "Saleh", "Darwish"),
    "ru": ("Мельник", "Коваль", "Шевчук", "Бондаренко", "Седых"),
    "kk": ("Нұрсейіт", "Жұмабай", "Оспан", "Сәрсен"),
}  # fmt: skip
LANGUAGES = {"en": 0.62, "es": 0.17, "ru": 0.09, "ar": 0.07, "kk": 0.05}
NEIGHBOURHOODS = {plan[0]: plan[1] for plan in ZONES}


@dataclass(frozen=True, slots=True)
class Worker:
    """A member of staff as the simulation sees them; `pace` is above 1 for those who take their time."""

    id: UUID
    post: Post
    actor: Actor
    pace: float


@dataclass(frozen=True, slots=True)
class Resident:
    """A registered citizen; `zeal` is how readily they write and rate."""

    id: UUID
    actor: Actor
    language: str
    zone: str
    channel: str
    zeal: float
    verified: bool


@dataclass(frozen=True, slots=True)
class Staff:
    """Everybody who works for the city."""

    crews: dict[UUID, Worker]
    dispatchers: tuple[Worker, ...]
    supervisor: Worker
    admin: Worker


async def hire(tx: Tx, city: City, rng: Random) -> Staff:
    """Makes the agents through the product's own action."""
    caller = Caller(tx, SYSTEM, None, None, None)
    workers: list[Worker] = []
    for post in POSTS:
        fence = fence_around(city.hot_spots[post.fence][0], 0.9) if post.fence else None
        shifts = [{"day": day, "start": post.hours[0], "end": post.hours[1]} for day in post.days]
        wanted = AgentIn.model_validate(
            {
                "agent_code": post.code,
                "name": post.name,
                "department": post.department,
                "skills": post.skills,
                "coverage": {"zone_ids": post.zones, "geo_fence": fence},
                "schedule": {"timezone": TIMEZONE, "shifts": shifts, "on_call": post.on_call},
                "contacts": {"phone": f"+1201555{900 + len(workers):04}"},
                "roles": post.roles,
            }
        )
        made = await agents.create(caller, wanted)
        actor = await actor_as(tx, post.roles[-1], made["_id"])
        workers.append(Worker(made["_id"], post, actor, round(rng.uniform(0.75, 1.3), 2)))
    crews = {worker.id: worker for worker in workers if worker.post.skills}
    bosses = {worker.post.roles[-1]: worker for worker in workers if not worker.post.skills}
    dispatchers = tuple(worker for worker in workers if worker.post.roles[-1] == "dispatcher")
    return Staff(crews, dispatchers, bosses["supervisor"], bosses["admin"])


async def settle(tx: Tx, rng: Random, *, many: int, before: datetime) -> list[Resident]:
    """Registers `many` citizens in the year before the sample begins.

    They are stored below the registration's one-time codes, which cost 40 ms of hashing each and would go nowhere. So
    no contact is proven, and nothing is ever sent to the made-up addresses: messages to these citizens stay in the app.
    """
    residents = []
    for number, days in enumerate(sorted(rng.uniform(1, 300) for _ in range(many))):
        residents.append(await _settle_one(tx, rng, number, before - timedelta(days=days)))
    return residents


async def _settle_one(tx: Tx, rng: Random, number: int, at: datetime) -> Resident:
    language = rng.choices(list(LANGUAGES), list(LANGUAGES.values()))[0]
    zone = rng.choices(ALL, [plan[3] for plan in ZONES])[0]
    channel = rng.choices(("email", "sms", "none"), (0.68, 0.18, 0.14))[0]
    citizen_id, verified = id_at(at), rng.random() < 0.72
    preferences = {
        "preferred_contact": channel,
        "language": language,
        "privacy": {"default_anonymous": rng.random() < 0.06, "share_publicly_on_map": rng.random() < 0.9},
        "notifications": {"on_status_change": rng.random() < 0.8, "on_resolution": rng.random() < 0.95},
    }
    row: dict[str, Any] = {
        "id": citizen_id,
        "full_name": f"{rng.choice(GIVEN[language])} {rng.choice(FAMILY[language])}",
        "email": f"resident{number:03}@example.org" if channel != "sms" or rng.random() < 0.5 else None,
        "phone": f"+12015550{number:03}" if channel == "sms" or rng.random() < 0.3 else None,
        "preferences": preferences,
        "neighborhood": NEIGHBOURHOODS[zone],
        "city": "Harbour City",
        "zone_id": zone,
        "created_at": at,
    }
    actor = await actor_as(tx, "citizen", citizen_id)
    await queries.add_citizen(tx, row)
    channels = [name for name, column in (("email", "email"), ("sms", "phone")) if row[column]]
    await record_citizen(
        tx, actor, citizen_id, type="citizen_created", at=at, meta={"channels": channels, "zone_id": zone}
    )
    if verified:
        proven_at = at + timedelta(minutes=rng.randint(1, 9))
        await queries.set_verified(tx, citizen_id, at=proven_at)
        await record_citizen(tx, actor, citizen_id, type="citizen_verified", at=proven_at, meta={"channel": channel})
    return Resident(citizen_id, actor, language, zone, channel, rng.betavariate(2, 3), verified)
