"""How the people of Harbour City report: who, by which way, in which words; and what each report sets going."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from civicpulse.base import clock
from civicpulse.base.events import Actor
from civicpulse.intake.actions import create_request
from civicpulse.intake.schemas import RequestIn
from civicpulse.sample import texts
from civicpulse.sample.beside import note_life, pressure_life, talk_life
from civicpulse.sample.city import LANDMARKS
from civicpulse.sample.demand import Sighting
from civicpulse.sample.engine import Life
from civicpulse.sample.life import case_life
from civicpulse.sample.people import LANGUAGES, Resident
from civicpulse.sample.world import Case, World, target_hours

# What reporters take one thing for; the desk puts it right.
MISTAKEN = {
    "flooding": "water_leak", "water_leak": "flooding", "sewer_backup": "flooding", "illegal_dumping": "missed_trash",
    "street_cleaning": "illegal_dumping", "missed_trash": "street_cleaning", "tree_pruning": "fallen_tree",
    "abandoned_vehicle": "illegal_parking", "sidewalk_damage": "pothole", "sign_damage": "traffic_signal",
    "rodent": "housing_condition", "building_hazard": "housing_condition", "general_inquiry": "park_maintenance",
}  # fmt: skip

SPAM, WRONG_CATEGORY, OUT_OF_TOWN, HIDDEN, WITH_PHOTO = 0.022, 0.05, 0.004, 0.05, 0.28
BY_PHONE, NAMELESS, PRESSED = 0.13, 0.24, 0.05
OUT_OF_TOWN_DEGREES = 0.13
HUSHED = ("sparks", "exposed wires")  # hazards that make a report urgent wherever they are named
HAZARDS = 0.012


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who acts, who is meant, and the way in."""

    actor: Actor
    resident: Resident | None
    source: str
    is_named: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """A report before it is sent."""

    body: dict[str, Any]
    language: str
    is_spam: bool


async def report_life(world: World, seen: Sighting, residents: Sequence[Resident]) -> Life:
    """Files one report and starts what follows from it."""
    reporter = _reporter(world, seen, residents)
    case = await _file(world, seen, reporter)
    world.cases[case.number] = case
    if case.master is not None:
        return
    for life in _beside(world, case):
        world.engine.start(clock.now(), life)
    async for at in case_life(world, case):
        yield at


def _beside(world: World, case: Case) -> list[Life]:
    lives: list[Life] = []
    if case.resident is not None and world.chance(0.5 * case.resident.zeal):
        lives.append(talk_life(world, case))
    if world.chance(0.22):
        lives.append(note_life(world, case))
    if world.chance(PRESSED):
        lives.append(pressure_life(world, case))
    return lives


def _reporter(world: World, seen: Sighting, residents: Sequence[Resident]) -> Reporter:
    rng = world.rng
    neighbours = [resident for resident in residents if resident.zone == seen.place.street.zone]
    resident = rng.choice(neighbours if neighbours and rng.random() < 0.7 else residents)
    way = rng.random()
    if way < BY_PHONE:
        return Reporter(world.dispatcher(), resident if rng.random() < 0.6 else None, "phone", is_named=True)
    source = rng.choice(("web", "web", "mobile", "mobile", "mobile", "open311"))
    if way < BY_PHONE + NAMELESS:
        return Reporter(Actor.of(world.pack.roles.anonymous, None), None, source, is_named=False)
    return Reporter(resident.actor, resident, source, is_named=resident.zeal > 0.06)


async def _file(world: World, seen: Sighting, reporter: Reporter) -> Case:
    draft = _draft(world, seen, reporter)
    profile = reporter.resident.id if reporter.resident and reporter.actor is reporter.resident.actor else None
    receipt = await create_request(
        world.tx, reporter.actor, RequestIn.model_validate(draft.body), profile=profile, source=reporter.source
    )
    document = orjson.loads(receipt.body)
    duplicates = document["duplicates"]
    case = Case(
        number=document["request_id"],
        category=document["category"],
        truth=seen.category,
        zone=document["location"]["zone_id"],
        status=document["status"],
        priority=document["priority"],
        hours=target_hours(document["sla_policy"]),
        created_at=clock.now(),
        reporter=reporter.actor,
        resident=reporter.resident,
        language=draft.language,
        is_spam=draft.is_spam,
        proposed=[found["request_id"] for found in duplicates["proposed"]],
    )
    if not duplicates["is_master"]:
        case.follow(world.cases[duplicates["master_request_id"]])
    return case


def _draft(world: World, seen: Sighting, reporter: Reporter) -> Draft:
    rng, resident, place = world.rng, reporter.resident, seen.place
    wanted = resident.language if resident else rng.choices(list(LANGUAGES), list(LANGUAGES.values()))[0]
    street, zone = place.street.name, place.street.zone
    sub, text, language = texts.describe(
        rng, seen.category, wanted, street=street, landmark=rng.choice(LANDMARKS[zone])
    )
    is_spam = world.chance(SPAM)
    if is_spam:
        sub, text, language = None, rng.choice(texts.SPAM), "en"
    elif seen.category == "street_light" and rng.random() < HAZARDS * 5:
        text = f"{text} There are {rng.choice(HUSHED)}!"
    category = seen.category
    if category in MISTAKEN and world.chance(WRONG_CATEGORY):
        category, sub = MISTAKEN[category], None
    away = OUT_OF_TOWN_DEGREES if world.chance(OUT_OF_TOWN) else 0.0
    channel = resident.channel if resident and reporter.is_named else "none"
    body: dict[str, Any] = {
        "citizen_ref": {
            "citizen_id": resident.id if resident and reporter.is_named else None,
            "anonymous": resident is None or not reporter.is_named,
            "contact_channel": channel,
        },
        "category": category,
        "sub_category": sub if rng.random() < 0.7 else None,
        "description": text,
        "tags": list(seen.tags),
        "location": {
            "coordinates": [round(place.lon + away, 6), place.lat],
            "address_hint": place.address if rng.random() < 0.85 else None,
        },
        "asset_id": seen.asset_id,
        "evidence": [world.photo()] if world.chance(WITH_PHOTO) else [],
        "is_public": False if world.chance(HIDDEN) else None,
    }
    return Draft(body, language, is_spam)
