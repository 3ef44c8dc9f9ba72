"""The sample brokerage's three files, drawn from a seed: 15 offices, 51 managers, and tickets of one night each."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from uuid import UUID

from civicpulse.sample.centre_texts import letter

# Office, its address, its region, and how many managers it has: 51 in all.
OFFICES = (
    ("Астана", "пр. Мангилик Ел, 40", "Акмолинская", 6),
    ("Алматы", "пр. Абылай хана, 112", "Алматинская", 7),
    ("Шымкент", "ул. Байтурсынова, 18", "Туркестанская", 4),
    ("Караганда", "пр. Бухар-Жырау, 55", "Карагандинская", 3),
    ("Актобе", "пр. Санкибай батыра, 14", "Актюбинская", 3),
    ("Тараз", "ул. Казыбек би, 120", "Жамбылская", 3),
    ("Павлодар", "ул. Академика Сатпаева, 71", "Павлодарская", 3),
    ("Усть-Каменогорск", "ул. Казахстан, 27", "Восточно-Казахстанская", 3),
    ("Атырау", "пр. Азаттык, 3", "Атырауская", 3),
    ("Костанай", "пр. Аль-Фараби, 65", "Костанайская", 3),
    ("Кызылорда", "ул. Айтеке би, 29", "Кызылординская", 3),
    ("Уральск", "пр. Достык, 184", "Западно-Казахстанская", 3),
    ("Петропавловск", "ул. Конституции Казахстана, 10", "Северо-Казахстанская", 3),
    ("Актау", "14 микрорайон, 59", "Мангистауская", 2),
    ("Кокшетау", "ул. Абая, 96", "Акмолинская", 2),
)  # fmt: skip

# Places without an office, their region, and what of them the files sometimes get wrong.
ELSEWHERE = (
    ("Семей", "Абайская"), ("Талдыкорган", "Жетысуская"), ("Жезказган", "Улытауская"), ("Экибастуз", "Павлодарская"),
    ("Рудный", "Костанайская"), ("Темиртау", "Карагандинская"), ("Косшы / Астана", "Акмолинская"), ("Кентау", "Туркестанская"),
    ("Балхаш", "Карагандинская"), ("Жанаозен", "Mangystau obl."), ("Каскелен", "Алматинская"), ("Риддер", "ВКО"),
)  # fmt: skip
ABROAD = (("Россия", "Омск"), ("Узбекистан", "Ташкент"), ("Германия", "Берлин"), ("Кыргызстан", "Бишкек"))

GIVEN = (
    "Айгерим", "Данияр", "Асель", "Ерлан", "Мадина", "Тимур", "Жанна", "Руслан", "Гульнара", "Арман", "Ольга", "Сергей", "Динара",
    "Алексей", "Сауле", "Нурлан", "Виктория",
)  # fmt: skip
FAMILY = ("Ахметов", "Касымов", "Ли", "Иванов", "Сейтжан", "Оспанов", "Ким", "Петров", "Жумабай", "Тлеуберген", "Новак")

# Every office of three or more has a chief; Караганда and Кокшетау have none, and Караганда nobody for VIP.
SKILLS = (("VIP", "ENG", "KZ"), ("KZ",), ("ENG", "KZ"), ("VIP", "KZ"), (), ("VIP", "ENG"), ("ENG",))
POSITIONS = (
    "Главный специалист",
    "Специалист",
    "Ведущий специалист",
    "Специалист",
    "Главный специалист",
    "Специалист",
    "Ведущий специалист",
)
WITHOUT_CHIEF, WITHOUT_VIP = ("Караганда", "Кокшетау"), ("Караганда",)

KINDS = {"consultation": 30, "app_failure": 24, "complaint": 14, "data_change": 12, "claim": 8, "fraud": 6, "spam": 6}
LANGUAGES = {"ru": 66, "kk": 22, "en": 12}
SEGMENTS = {"Mass": 74, "VIP": 12, "Priority": 14}
STREETS = ("Абая", "Сатпаева", "Достык", "Гагарина", "Толе би", "Назарбаева", "Жибек жолы")
UNKNOWN_PLACE, FOREIGN_PLACE, ELSEWHERE_PLACE, NO_TEXT = 0.05, 0.05, 0.3, 0.01


@dataclass(frozen=True, slots=True)
class Files:
    """The three files as text, in the pack's own headers; a night without news of the staff has tickets only."""

    business_units: str
    managers: str
    tickets: str


def staff_files(rng: Random) -> tuple[str, str]:
    """Offices and managers."""
    offices = [(name, address) for name, address, _, _ in OFFICES]
    managers = [manager for name, _, _, many in OFFICES for manager in _managers(rng, name, many)]
    return (
        _csv(("Офис", "Адрес"), offices),
        _csv(("ФИО", "Должность", "Офис", "Навыки", "Количество обращений в работе"), managers),
    )


def _managers(rng: Random, office: str, many: int) -> list[Sequence[object]]:
    names = rng.sample([f"{family} {given}" for family in FAMILY for given in GIVEN], many)
    rows: list[Sequence[object]] = []
    for index, name in enumerate(names):
        position = POSITIONS[index]
        skills: tuple[str, ...] = SKILLS[index]
        if office in WITHOUT_CHIEF and position == "Главный специалист":
            position = "Ведущий специалист"
        if office in WITHOUT_VIP:
            skills = tuple(skill for skill in skills if skill != "VIP")
        rows.append((name, position, office, ", ".join(skills), rng.randrange(0, 7)))
    return rows


def tickets_file(rng: Random, *, many: int) -> str:
    """So many tickets of one night."""
    header = (
        "GUID клиента", "Пол клиента", "Дата рождения", "Описание", "Вложения", "Сегмент клиента", "Страна", "Область",
        "Населённый пункт", "Улица", "Дом",
    )  # fmt: skip
    return _csv(header, [_ticket(rng) for _ in range(many)])


def _ticket(rng: Random) -> Sequence[object]:
    country, region, town = _place(rng)
    kind, language = _drawn(rng, KINDS), _drawn(rng, LANGUAGES)
    office = rng.choice(OFFICES)[0]
    text = "" if rng.random() < NO_TEXT else letter(rng, kind, language, town=town.split(" /")[0] or office)
    born = f"{rng.randrange(1955, 2006)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d} 0:00"
    street, house = (rng.choice(STREETS), rng.randrange(1, 180)) if town else ("", "")
    guid = UUID(int=rng.getrandbits(128), version=4)
    return (
        guid,
        rng.choice(("Мужской", "Женский")),
        born,
        text,
        "",
        _drawn(rng, SEGMENTS),
        country,
        region,
        town,
        street,
        house,
    )


def _place(rng: Random) -> tuple[str, str, str]:
    """Country, region and town, as messy as people leave them."""
    chance = rng.random()
    if chance < UNKNOWN_PLACE:
        return rng.choice(("Казахстан", "")), "", ""
    if chance < UNKNOWN_PLACE + FOREIGN_PLACE:
        country, town = rng.choice(ABROAD)
        return country, "", town
    if chance < UNKNOWN_PLACE + FOREIGN_PLACE + ELSEWHERE_PLACE:
        town, region = rng.choice(ELSEWHERE)
        return "Казахстан", region, town
    office = rng.choices(OFFICES, weights=[many for *_, many in OFFICES])[0]
    return "Казахстан", office[2], office[0]


def _drawn(rng: Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(header)
    writer.writerows(rows)
    return written.getvalue()
