"""How the people of the sample city report: who, by which way, in which words; and what each report sets going."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from civicpulse.accounts.callers import Caller
from civicpulse.base import clock
from civicpulse.base.events import Actor
from civicpulse.intake.opening import post_request
from civicpulse.intake.schemas import RequestIn
from civicpulse.sample.beside import note_life, pressure_life, talk_life
from civicpulse.sample.city_world import Case, CityWorld, target_hours
from civicpulse.sample.demand import Load, Sighting
from civicpulse.sample.engine import Life
from civicpulse.sample.life import case_life
from civicpulse.sample.people import Resident
from civicpulse.sample.staff import stranger
from civicpulse.sample.world import drawn


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who acts, who is meant, and the way in."""

    actor: Actor
    resident: Resident | None
    source: str
    is_named: bool


class LivingCity(CityWorld):
    """The city with what happens in it; its requests come by the API."""

    def begin(self) -> None:
        """Starts a life for each report to come."""
        load = Load(self.told.demand, self.kinds, self.city, self.local, self.rng)
        for seen in load.sightings(many=self.many, since=self.since, until=self.until):
            self.engine.start(seen.at, report_life(self, seen))


async def report_life(world: CityWorld, seen: Sighting) -> Life:
    """Files one report and starts what follows from it."""
    reporter = _reporter(world, seen)
    case = await _file(world, seen, reporter)
    world.cases[case.number] = case
    if case.master is not None:
        return
    for life in _beside(world, case):
        world.engine.start(clock.now(), life)
    async for at in case_life(world, case):
        yield at


def _beside(world: CityWorld, case: Case) -> list[Life]:
    lives: list[Life] = []
    if case.resident is not None and world.chance(0.5 * case.resident.zeal):
        lives.append(talk_life(world, case))
    if world.chance(world.life.reporting.with_note):
        lives.append(note_life(world, case))
    if world.chance(world.life.reporting.pressed):
        lives.append(pressure_life(world, case))
    return lives


def _reporter(world: CityWorld, seen: Sighting) -> Reporter:
    rng, life, residents = world.rng, world.life.reporting, world.residents
    neighbours = [resident for resident in residents if resident.zone == seen.place.street.zone]
    resident = rng.choice(neighbours if neighbours and world.chance(life.from_neighbours) else residents)
    way = rng.random()
    if way < life.by_phone:
        return Reporter(world.dispatcher(), resident if rng.random() < 0.6 else None, "phone", is_named=True)
    source = rng.choice(life.sources)
    if way < life.by_phone + life.nameless:
        return Reporter(stranger(world.pack), None, source, is_named=False)
    return Reporter(resident.actor, resident, source, is_named=resident.zeal > 0.06)


async def _file(world: CityWorld, seen: Sighting, reporter: Reporter) -> Case:
    body, language, is_spam = _draft(world, seen, reporter)
    document = await _taken_in(world, reporter, body)
    duplicates = document["duplicates"]
    # Who stays anonymous writes and rates, if at all, by the link: as nobody.
    known = reporter.resident if reporter.is_named else None
    case = Case(
        number=document["request_id"],
        category=document["category"],
        truth=seen.category,
        zone=document["location"]["zone_id"],
        status=document["status"],
        priority=document["priority"],
        hours=target_hours(document["sla_policy"]),
        created_at=clock.now(),
        reporter=known.actor if known else stranger(world.pack),
        resident=known,
        language=language,
        is_spam=is_spam,
        proposed=[found["request_id"] for found in duplicates["proposed"]],
    )
    if not duplicates["is_master"]:
        case.follow(world.cases[duplicates["master_request_id"]])
    return case


async def _taken_in(world: CityWorld, reporter: Reporter, body: dict[str, Any]) -> Any:
    """Files a report as the API does for its caller; gives the document of the answer."""
    actor, filed = reporter.actor, RequestIn.model_validate(body)
    caller = Caller(world.tx, actor, UUID(actor.id) if actor.id else None, None, None)
    receipt = await post_request(caller.tx, actor, filed, profile=caller.citizen_id, key=None, source=reporter.source)
    return orjson.loads(receipt.body)


def _draft(world: CityWorld, seen: Sighting, reporter: Reporter) -> tuple[dict[str, Any], str, bool]:
    """Draws a report before it is sent: its body, the language it is in, and whether it is spam."""
    rng, life, place, resident = world.rng, world.life.reporting, seen.place, reporter.resident
    kind, category = world.kinds[seen.category], seen.category
    wanted = resident.language if resident else drawn(rng, world.told.people.languages)
    zone = next(zone for zone in world.city.zones if zone.code == place.street.zone)
    sub, text, language = _described(
        world, category, wanted, street=place.street.name, landmark=rng.choice(zone.landmarks)
    )
    is_spam = world.chance(life.spam)
    if is_spam:
        sub, text, language = None, rng.choice(world.texts.spam), "en"
    elif kind.hazard and world.chance(kind.hazard):
        text = f"{text} There are {rng.choice(world.texts.hazards)}!"
    if kind.mistaken_for is not None and world.chance(life.wrong_category):
        category, sub = kind.mistaken_for, None
    away = life.out_of_town_degrees if world.chance(life.out_of_town) else 0.0
    body: dict[str, Any] = {
        "citizen_ref": _citizen_ref(reporter),
        "category": category,
        "sub_category": sub if rng.random() < 0.7 else None,
        "description": text,
        "tags": list(seen.tags),
        "location": {
            "coordinates": [round(place.lon + away, 6), place.lat],
            "address_hint": place.address if rng.random() < 0.85 else None,
        },
        "asset_id": seen.asset_id,
        "evidence": [world.photo()] if world.chance(life.with_photo) else [],
        "is_public": False if world.chance(life.hidden) else None,
    }
    return body, language, is_spam


def _described(world: CityWorld, category: str, language: str, **slots: str) -> tuple[str | None, str, str]:
    """Draws a report's sub-category (None: not said), its text, and the language it came out in."""
    rng, reports = world.rng, world.told.reports
    language = language if category in reports.get(language, {}) else "en"
    before, bar, after = rng.choice(reports[language][category]).partition("|")
    sub, text = (before, after) if bar else (None, before)
    if language == "en" and world.chance(world.life.reporting.with_details):
        text = f"{text} {rng.choice(world.texts.details)}"
    return sub, text.format(days=rng.choice(world.texts.days), **slots), language


def _citizen_ref(reporter: Reporter) -> dict[str, Any]:
    """Says who is meant: nobody, whoever calls with their own token, or whom the operator at the phone names."""
    resident = reporter.resident
    if resident is None or not reporter.is_named:
        return {"anonymous": True, "contact_channel": "none"}
    named = None if reporter.actor is resident.actor else resident.id
    return {"citizen_id": named, "anonymous": False, "contact_channel": resident.channel}
