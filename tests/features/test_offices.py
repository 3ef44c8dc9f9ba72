"""Offices and managers: upserted by their natural keys, placed; and addresses as people write them."""

import time

import pytest
from builders import add_agent
from fastapi import FastAPI
from tests_support import problem

from civicpulse.base.events import SYSTEM
from civicpulse.base.ids import new_id
from civicpulse.people.managers import ManagerDraft, put_managers
from civicpulse.places import gazetteer
from civicpulse.places.geocoding import AddressParts, geocode_many
from civicpulse.places.offices import OfficeDraft, list_offices, place_offices, put_offices
from civicpulse.places.offline import country_code, find
from civicpulse.places.spelling import skeleton
from conftest import City, make_city


@pytest.fixture
async def company(app: FastAPI, database_url: str) -> City:
    return await make_city(app, database_url, pack="contact_centre")


async def test_an_office_is_known_by_its_name_and_a_new_address_is_placed_anew(company: City) -> None:
    async with company.transaction() as tx:
        first = await put_offices(tx, SYSTEM, [OfficeDraft("Алматы", "Абая 1"), OfficeDraft("Тараз", "Желтоксан 86")])
        assert await place_offices(tx) == []
    async with company.transaction() as tx:
        again = await put_offices(tx, SYSTEM, [OfficeDraft("Алматы", "Абая 1"), OfficeDraft("Тараз", "Толе би 3")])
        assert (again.added, again.changed) == ((), ("Тараз",))
        assert again.ids == first.ids
        rows = {row["name"]: row for row in await list_offices(tx)}
        assert rows["Тараз"]["lon"] is None
        assert rows["Алматы"]["lon"] == pytest.approx(76.9, abs=0.2)
        assert await place_offices(tx) == []
        assert (await list_offices(tx))[1]["geo_quality"] == "town"


async def test_an_office_that_moves_to_another_town_is_looked_for_there(company: City) -> None:
    """A town that the address clearly says counts before the office's name; a street that is called like a town does not."""
    for address, lon in (
        ("Достык, 16", 71.4), ("г. Караганда, Бухар-Жырау 1", 73.1), ("Алматы, ул. Абая, 1", 76.9), ("Караганда, 5", 71.4),
        ("ул. Алматы 3", 71.4),
    ):  # fmt: skip
        async with company.transaction() as tx:
            await put_offices(tx, SYSTEM, [OfficeDraft("Астана", address)])
            assert await place_offices(tx) == []
            assert (await list_offices(tx))[0]["lon"] == pytest.approx(lon, abs=0.2), address


async def test_an_office_that_cannot_be_placed_is_named_and_not_looked_for_each_time(company: City) -> None:
    async with company.transaction() as tx:
        await put_offices(tx, SYSTEM, [OfficeDraft("Головной офис", "ул. Центральная, 1")])
        assert await place_offices(tx) == ["Головной офис"]
        assert await place_offices(tx) == []


async def test_a_manager_is_known_by_name_and_office(company: City) -> None:
    async with company.transaction() as tx:
        offices = (await put_offices(tx, SYSTEM, [OfficeDraft("Алматы"), OfficeDraft("Тараз")])).ids
        here = ManagerDraft("Иванов", offices["Алматы"], "Специалист", ("KZ",), 3)
        there = ManagerDraft("Иванов", offices["Тараз"])
        first = await put_managers(tx, SYSTEM, [here, there], timezone="Asia/Almaty")
        assert (first.added, first.changed) == (2, 0)
    async with company.transaction() as tx:
        busier = ManagerDraft("Иванов", offices["Алматы"], "Специалист", ("KZ",), 5)
        again = await put_managers(tx, SYSTEM, [busier, there], timezone="Asia/Almaty")
        assert (again.added, again.changed) == (0, 1)
        assert again.ids == first.ids
        loads = await tx.rows("SELECT base_load, skills FROM agents ORDER BY base_load")
    assert [(row["base_load"], row["skills"]) for row in loads] == [(0, []), (5, ["KZ"])]


@pytest.mark.parametrize(
    ("country", "region", "town", "quality", "matched"),
    [
        ("Казахстан", "Акмолинская обл.", "Косшы / Астана", "town", "Koshi"),
        ("Казахстан", "Алматинская обл.", "Конаев (Капчагай)", "town", "Konayev"),
        ("", "Mangystau obl.", "Aktau", "town", "Aktau"),
        ("Казахстан", "", "Шымкент обл. Туркестан", "town", "Turkistan"),
        ("Казахстан", "ЮКО / Шымкент обл.", "Туркестан", "town", "Turkistan"),
        ("Казахстан", "Семипалатинская обл. / ВКО", "Усть-Каменогорск", "town", "Ust-Kamenogorsk"),
        ("Казахстан", "СКО", "Петропавловск", "town", "Petropavl"),
        ("Қазақстан", "Ақмола облысы", "Қосшы қ.", "town", "Koshi"),
        ("Kazakhstan", "Almaty region", "g. Talgar", "town", "Talghar"),
        ("РК", "Алматинская", "ТУРГЕНЬ", "town", "Turgen"),
        ("Казахстан", "", "г.Алма-Ата", "town", "Almaty"),
        ("Казахстан", "", "Нур-Султан", "town", "Astana"),
        ("Казахстан", "Карагандинская", "Темиртау", "town", "Temirtau"),
        ("Казахстан", "Карагандинская", "Тимиртау", "town", "Temirtau"),  # a misspelling inside the region
        ("Казахстан", "Павлодарская", "Аксу", "town", "Aksu"),
        ("Казахстан", "", "Аксу", "none", None),  # several, none by far the largest
        ("Казахстан", "Алматинская", "Неведомое", "region", "Алматинская"),
        ("Казахстан", "г. Астана", "р-н Есиль", "town", "Астана"),
        ("Казахстан", "", "мкр. Самал", "none", None),
        ("Казахстан", "", "", "none", None),
        ("Фридония", "", "Алматы", "none", None),
    ],
)
def test_messy_addresses_are_read_or_honestly_not(
    country: str, region: str, town: str, quality: str, matched: str | None
) -> None:
    place = find(AddressParts(country, region, town), home="KZ")
    assert (place.quality, place.matched) == (quality, matched)


@pytest.mark.parametrize(
    ("region", "town", "lat", "lon"),
    [
        ("Акмолинская", "Акколь", 51.99, 70.95),
        ("Карагандинская", "Абай", 49.64, 72.87),
        ("Абайская", "Абай", 48.95, 79.26),  # the village of Karaaul, by its other name
        ("Жамбылская обл.", "Жанатас", 43.56, 69.75),
    ],
)
def test_a_town_is_looked_for_inside_the_stated_region_first(region: str, town: str, lat: float, lon: float) -> None:
    place = find(AddressParts("Казахстан", region, town), home="KZ")
    assert [place.lat, place.lon] == pytest.approx([lat, lon], abs=0.02)


@pytest.mark.parametrize(
    ("name", "ru", "kk", "en"),
    [
        ("Aktau", "Актау", "Ақтау", "Aktau"), ("Алма-Ата", "Алматы", "Алматы", "Almaty"), ("Нур-Султан", "Астана", "Астана", "Astana"),
        ("Oral", "Уральск", "Орал", "Oral"), ("Каскелен", "Каскелен", "Қаскелең", "Kaskelen"),
    ],
)  # fmt: skip
def test_a_town_is_called_as_its_readers_call_it(name: str, ru: str, kk: str, en: str) -> None:
    country = gazetteer.country("KZ")
    town = country.town(name, None) or country.towns[skeleton(name)][0]
    assert [country.called(town, language) for language in ("ru", "kk", "en")] == [ru, kk, en]


def test_abroad_is_abroad_and_a_region_tells_the_country() -> None:
    assert find(AddressParts("Россия", None, "Москва"), home="KZ").country_code == "RU"
    assert find(AddressParts(None, None, "Ташкент"), home="KZ").country_code == "UZ"
    assert find(AddressParts("Азербайджан", None, None), home="KZ") == find(AddressParts("AZ"), home=None)
    assert find(AddressParts(None, "Мангистауская область", None), home="KZ").country_code == "KZ"
    assert [country_code(name) for name in ("Казакстан", "USA", "Қырғызстан", "Атлантида")] == ["KZ", "US", "KG", None]


def test_one_line_is_enough() -> None:
    line = "Туркестанская обл., г. Кентау, ул. Абая 5"
    assert find(AddressParts(raw=line), home="KZ").matched == "Kentau"
    assert find(AddressParts(raw="Казахстан, Алматы, Абая 10")).matched == "Almaty"
    assert find(AddressParts(raw="Акмолинская область Целиноградский район село Косшы"), home="KZ").matched == "Koshi"


async def test_two_thousand_addresses_a_second_of_processor_time(company: City) -> None:
    towns = ["Кокпекты", "Тургень", "Незнакомое", "Каскелен", "Косшы / Астана"]
    parts = [
        AddressParts("Казахстан", "Алматинская обл.", f"{towns[n % 5]} {'ь' * (n % 3)}", "ул.", str(n))
        for n in range(4000)
    ]
    async with company.transaction() as tx:
        await geocode_many(tx, parts[:1])  # reads the country
        started = time.process_time()
        await geocode_many(tx, parts)
        seconds = time.process_time() - started
    assert 4000 / seconds > 2000


async def test_an_agent_can_be_given_an_office_over_http(company: City) -> None:
    async with company.transaction() as tx:
        office = (await put_offices(tx, SYSTEM, [OfficeDraft("Алматы")])).ids["Алматы"]
    admin = await company.client("admin")
    post = {"office_id": str(office), "position": "Специалист", "base_load": 2}
    await add_agent(admin, "M-1", name="Иванов")
    changed = await admin.patch("/agents/M-1", json=post)
    assert {name: changed.json()[name] for name in post} == post
    assert (await admin.get("/agents/M-1")).json()["office_id"] == str(office)
    body = {"agent_code": "M-2", "name": "Иванов", "skills": ["KZ"]}
    problem(await admin.post("/agents", json=body | {"office_id": str(office)}), 409, "name_in_office_in_use")
    problem(await admin.post("/agents", json=body | {"office_id": str(new_id())}), 422, "invalid")
    assert (await admin.patch("/agents/M-1", json={"office_id": None})).json().get("office_id") is None
