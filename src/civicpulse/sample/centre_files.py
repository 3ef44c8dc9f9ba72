"""The sample brokerage's three files: offices, managers, and the tickets of one night each."""

import csv
import io
from collections.abc import Iterator, Sequence
from random import Random
from uuid import UUID

from civicpulse.sample.loader import Part
from civicpulse.sample.world import drawn

VIP = "VIP"


def staff_files(files: Part, rng: Random) -> tuple[str, str]:
    """Writes the files of offices and of managers."""
    offices = [(office.name, office.address) for office in files.offices]
    people = [(given, number) for number, who in enumerate(files.people) for given in who.given]
    names = [f"{family[number]} {given}" for family in files.family for given, number in people]
    free = iter(rng.sample(names, len(names)))
    managers = [row for office in files.offices for row in _managers(files, rng, office, free)]
    return _csv(files.headers.offices, offices), _csv(files.headers.managers, managers)


def tickets_file(told: Part, rng: Random, *, many: int) -> str:
    """Writes the file of one night's tickets."""
    return _csv(told.files.headers.tickets, [_ticket(told, rng) for _ in range(many)])


def _managers(files: Part, rng: Random, office: Part, names: Iterator[str]) -> list[Sequence[object]]:
    rows: list[Sequence[object]] = []
    for seat, name in zip(files.seats[: office.managers], names, strict=False):
        is_chief = seat.position == files.chief and office.name in files.without_chief
        position = files.instead_of_chief if is_chief else seat.position
        skills = [skill for skill in seat.skills if skill != VIP or office.name not in files.without_vip]
        rows.append((name, position, office.name, ", ".join(skills), rng.randrange(0, 7)))
    return rows


def _ticket(told: Part, rng: Random) -> Sequence[object]:
    files = told.files
    country, region, town = _place(files, rng)
    kind, language = drawn(rng, files.kinds), drawn(rng, files.languages)
    office = rng.choice(files.offices).name
    who, silent = rng.choice(files.people), rng.random() < files.no_text
    text = "" if silent else _letter(told.texts, rng, kind, language, town=town.split(" /")[0] or office, a=who.ending)
    born = f"{rng.randrange(1955, 2006)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d} 0:00"
    street, house = (rng.choice(files.streets), rng.randrange(1, 180)) if town else ("", "")
    guid = UUID(int=rng.getrandbits(128), version=4)
    return (guid, who.gender, born, text, "", drawn(rng, files.segments), country, region, town, street, house)


def _place(files: Part, rng: Random) -> tuple[str, str, str]:
    """Draws country, region and town, as messy as people leave them."""
    chance = rng.random()
    if chance < files.unknown_place:
        return rng.choice((files.country, "")), "", ""
    if chance < files.unknown_place + files.foreign_place:
        country, town = rng.choice(files.abroad)
        return country, "", town
    if chance < files.unknown_place + files.foreign_place + files.elsewhere_place:
        town, region = rng.choice(files.elsewhere)
        return files.country, region, town
    office = rng.choices(files.offices, weights=[office.managers for office in files.offices])[0]
    return files.country, office.region, office.name


def _letter(texts: Part, rng: Random, kind: str, language: str, **slots: str) -> str:
    """Draws a customer's text of that type of ticket."""
    total, days = f"{rng.randrange(5, 900)} {rng.choice(('000', '500'))}", rng.randrange(5, 15)
    line: str = rng.choice(texts.letters[kind][language])
    text = line.format(sum=total, paper=rng.choice(texts.papers), days=days, **slots)
    if kind in texts.unsigned:
        return text
    return f"{rng.choice(texts.openings[language])}{text}{rng.choice(texts.closings[language])}"


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(header)
    writer.writerows(rows)
    return written.getvalue()
