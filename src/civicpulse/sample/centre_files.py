"""The sample brokerage's three files: offices, managers, and the tickets of one night each."""

import csv
import io
from collections.abc import Sequence
from random import Random
from uuid import UUID

from civicpulse.sample.shapes import Description, Handling, Lines, Shape, Share, Weights
from civicpulse.sample.world import drawn

VIP = "VIP"


class Office(Shape):
    """An office, and how many managers it has."""

    name: str
    address: str
    region: str
    managers: int


class Seat(Shape):
    """The place of one manager in an office."""

    position: str
    skills: Lines


class Headers(Shape):
    """The first line of each file."""

    offices: Lines
    managers: Lines
    tickets: Lines


class Files(Shape):
    """The files, and what is in them."""

    nights: tuple[float, ...]
    headers: Headers
    offices: tuple[Office, ...]
    seats: tuple[Seat, ...]
    chief: str
    instead_of_chief: str
    without_chief: Lines
    without_vip: Lines
    given: Lines
    family: Lines
    genders: Lines
    country: str
    elsewhere: tuple[tuple[str, str], ...]
    abroad: tuple[tuple[str, str], ...]
    streets: Lines
    kinds: Weights
    languages: Weights
    segments: Weights
    unknown_place: Share
    foreign_place: Share
    elsewhere_place: Share
    no_text: Share


class Letters(Shape):
    """What customers write."""

    letters: dict[str, dict[str, Lines]]
    openings: dict[str, Lines]
    closings: dict[str, Lines]
    papers: Lines


class CentreDescription(Description):
    """A contact centre: tickets come in files, through the CSV pipeline."""

    files: Files
    texts: Letters
    handling: Handling


def staff_files(files: Files, rng: Random) -> tuple[str, str]:
    """Offices and managers, as text."""
    offices = [(office.name, office.address) for office in files.offices]
    managers = [row for office in files.offices for row in _managers(files, rng, office)]
    return _csv(files.headers.offices, offices), _csv(files.headers.managers, managers)


def tickets_file(told: CentreDescription, rng: Random, *, many: int) -> str:
    """So many tickets of one night, as text."""
    return _csv(told.files.headers.tickets, [_ticket(told, rng) for _ in range(many)])


def _managers(files: Files, rng: Random, office: Office) -> list[Sequence[object]]:
    names = rng.sample([f"{family} {given}" for family in files.family for given in files.given], office.managers)
    rows: list[Sequence[object]] = []
    for name, seat in zip(names, files.seats, strict=False):
        is_chief = seat.position == files.chief and office.name in files.without_chief
        position = files.instead_of_chief if is_chief else seat.position
        skills = [skill for skill in seat.skills if skill != VIP or office.name not in files.without_vip]
        rows.append((name, position, office.name, ", ".join(skills), rng.randrange(0, 7)))
    return rows


def _ticket(told: CentreDescription, rng: Random) -> Sequence[object]:
    files = told.files
    country, region, town = _place(files, rng)
    kind, language = drawn(rng, files.kinds), drawn(rng, files.languages)
    office = rng.choice(files.offices).name
    text = (
        "" if rng.random() < files.no_text else _letter(told.texts, rng, kind, language, town.split(" /")[0] or office)
    )
    born = f"{rng.randrange(1955, 2006)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d} 0:00"
    street, house = (rng.choice(files.streets), rng.randrange(1, 180)) if town else ("", "")
    guid, gender = UUID(int=rng.getrandbits(128), version=4), rng.choice(files.genders)
    return (guid, gender, born, text, "", drawn(rng, files.segments), country, region, town, street, house)


def _place(files: Files, rng: Random) -> tuple[str, str, str]:
    """Country, region and town, as messy as people leave them."""
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


def _letter(texts: Letters, rng: Random, kind: str, language: str, town: str) -> str:
    """One customer's text of that type of ticket."""
    line = rng.choice(texts.letters[kind][language])
    slots = {
        "sum": f"{rng.randrange(5, 900)} {rng.choice(('000', '500'))}",
        "paper": rng.choice(texts.papers),
        "days": rng.randrange(2, 15),
        "town": town,
    }
    return rng.choice(texts.openings[language]) + line.format(**slots) + rng.choice(texts.closings[language])


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(header)
    writer.writerows(rows)
    return written.getvalue()
