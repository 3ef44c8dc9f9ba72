"""The contact centre's real tickets through gazetteer, cascade and database, checked by rules written anew here."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from distribution_check import Centre, faults, read
from fastapi import FastAPI
from tests_support import problem

from civicpulse.base.clock import now
from civicpulse.base.events import SYSTEM
from civicpulse.base.ids import new_id
from civicpulse.packs.store import current_pack
from civicpulse.people.managers import ManagerDraft, put_managers
from civicpulse.places.geocoding import AddressParts, Place, geocode_many
from civicpulse.places.offices import OfficeDraft, list_offices, place_offices, put_offices
from civicpulse.requests.assignment.api import router
from civicpulse.requests.assignment.assigning import auto_assign
from civicpulse.requests.assignment.distributing import distribute_requests
from conftest import City, make_city

# Read by a person, by the files' order: type and language of each ticket.
TYPES = """
consultation complaint consultation consultation spam app_failure app_failure consultation spam
data_change app_failure data_change data_change complaint consultation fraud app_failure app_failure
claim consultation consultation app_failure consultation app_failure spam claim app_failure app_failure
consultation claim data_change
""".split()  # noqa: SIM905 - a table is easier to read
LANGUAGES = {19: "en", 20: "kk", 21: "en", 22: "kk", 23: "en"}
PRIORITY = {"fraud": 10, "claim": 8, "complaint": 7, "app_failure": 7, "data_change": 5, "consultation": 3, "spam": 1}


@pytest.fixture
async def centre(app: FastAPI, database_url: str, shared_data: Path) -> Centre:
    """The real offices, placed, and the real managers."""
    city = await make_city(app, database_url, pack="contact_centre")
    folder = shared_data / "contact_centre_kz"
    drafts = [OfficeDraft(row["Офис"], row["Адрес"]) for row in read(folder, "business_units")]
    rows = read(folder, "managers")
    async with city.transaction() as tx:
        put = await put_offices(tx, SYSTEM, drafts)
        assert await place_offices(tx) == []
        staff = [
            ManagerDraft(
                row["ФИО"],
                put.ids[row["Офис"]],
                row["Должность"],
                tuple(part.strip() for part in row["Навыки"].split(",")),
                int(row["Количество обращений в работе"]),
            )
            for row in rows
        ]
        made = await put_managers(tx, SYSTEM, staff, timezone="Asia/Almaty")
        offices = {row["id"]: row for row in await list_offices(tx)}
    assert (len(put.added), made.added) == (15, 51)
    managers = {made.ids[draft.name, draft.office_id]: vars_of(draft) for draft in staff}
    return Centre(city, offices, managers, dict(made.ids))


def vars_of(draft: ManagerDraft) -> dict[str, Any]:
    return {
        "name": draft.name,
        "office": draft.office_id,
        "position": draft.position,
        "skills": set(draft.skills),
        "load": draft.base_load,
    }


ADD_TICKET = """
INSERT INTO requests (tenant_id, id, number, pack_version, category, description, status, state_category, priority,
    priority_score, lon, lat, country_code, geo_quality, segment, created_at, updated_at, is_public)
VALUES (%(tenant_id)s, %(id)s, %(number)s, 1, %(category)s, 'text', 'new', 'open', 'P3', %(priority)s, %(lon)s, %(lat)s,
    %(country)s, %(quality)s, %(segment)s, %(at)s, %(at)s, false)
"""


ADD_ANALYSIS = """
INSERT INTO analyses (tenant_id, id, request_id, category, category_scores, priority, sentiment, language, summary, recommendation,
    confidence, needs_person, engine, model, version, created_at, created_by)
VALUES (%(tenant_id)s, %(analysis)s, %(id)s, %(category)s, '[]', %(priority)s, 'neutral', %(language)s, '', '', 1, false, 'offline',
    'test', '1', %(at)s, 'test')
"""


async def add_ticket(tx: Any, number: int, place: Place, **facts: Any) -> dict[str, Any]:
    """A request as the pipeline leaves it before the assignment."""
    values: dict[str, Any] = {
        "id": new_id(),
        "number": f"TCK-{number:06}",
        "category": "consultation",
        "segment": "Mass",
        "language": "ru",
        "lon": place.lon,
        "lat": place.lat,
        "country": place.country_code,
        "quality": place.quality,
        "at": now(),
    } | facts
    values = {"priority": PRIORITY[values["category"]], "tenant_id": tx.tenant_id} | values
    await tx.run(
        "INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, at) VALUES (%s, %s, 1, 'request.opened', 'system', now())",
        [tx.tenant_id, values["id"]],
    )
    await tx.run(ADD_TICKET, values)
    await tx.run(ADD_ANALYSIS, values | {"analysis": new_id()})
    return values


async def real_tickets(centre: Centre, shared_data: Path) -> list[dict[str, Any]]:
    rows = read(shared_data / "contact_centre_kz", "tickets")
    assert len(rows) == len(TYPES) == 31
    parts = [
        AddressParts(row["Страна"], row["Область"], row["Населённый пункт"], row["Улица"], row["Дом"]) for row in rows
    ]
    async with centre.city.transaction() as tx:
        places = await geocode_many(tx, parts)
        assert sum(place.quality in ("town", "house") for place in places) >= 29
        assert {place.country_code for place in places} == {"KZ"}
        return [
            await add_ticket(
                tx,
                index,
                place,
                category=TYPES[index],
                segment=rows[index]["Сегмент клиента"],
                language=LANGUAGES.get(index, "ru"),
            )
            for index, place in enumerate(places)
        ]


async def test_all_31_real_tickets_are_placed_and_given_out_by_the_rules(centre: Centre, shared_data: Path) -> None:
    tickets = await real_tickets(centre, shared_data)
    async with centre.city.transaction() as tx:
        decided = await distribute_requests(tx, await current_pack(tx), [ticket["id"] for ticket in tickets])
    assert len(decided) == 31
    assert all(one.manager_id for one in decided)
    assert faults(centre, tickets, list(decided)) == []
    fallbacks = [one for one in decided if one.office_id != one.primary_office_id]
    assert fallbacks, "Караганда has no VIP manager: the real tickets reach the next office"


async def test_the_check_sees_a_wrong_decision(centre: Centre, shared_data: Path) -> None:
    tickets = await real_tickets(centre, shared_data)
    for ticket in tickets:
        ticket["segment"] = "VIP"  # the checker believes so, the database does not
    async with centre.city.transaction() as tx:
        decided = await distribute_requests(tx, await current_pack(tx), [ticket["id"] for ticket in tickets])
    assert faults(centre, tickets, list(decided))


async def test_hundreds_of_tickets_with_lost_addresses_keep_the_rules(centre: Centre) -> None:
    towns = ["Караганда", "Кокшетау", "Талдыкорган", "Атырау", "Семей", "Неизвестное", ""]
    parts = [AddressParts("Россия" if n % 5 == 0 else "Казахстан", None, towns[n % 7]) for n in range(300)]
    async with centre.city.transaction() as tx:
        places = await geocode_many(tx, parts)
        tickets = [
            await add_ticket(
                tx,
                n,
                place,
                category=list(PRIORITY)[n % 6],
                segment=("Mass", "VIP", "Priority", "Mass")[n % 4],
                language=("ru", "kk", "ru", "en")[n // 3 % 4],
            )
            for n, place in enumerate(places)
        ]
        decided = await distribute_requests(tx, await current_pack(tx), [ticket["id"] for ticket in tickets])
    assert faults(centre, tickets, list(decided)) == []
    assert {one.steps[0].detail.get("why") for one in decided} == {None, "unknown", "foreign"}


# ------------------------------------------------------------------------------------------------- one request


async def test_one_request_is_assigned_with_reason_steps_and_the_turn_is_kept(centre: Centre) -> None:
    nowhere = Place(None, None, "none", None, None, "none")
    firsts = []
    for number in range(4):
        async with centre.city.transaction() as tx:
            ticket = await add_ticket(tx, number, nowhere, segment="VIP")
            row, decision = await auto_assign(tx, SYSTEM, ticket["number"])
        assert row["status"] == "assigned"
        assert decision.winner is not None
        firsts.append(centre.offices[row["office_id"]]["name"])
        async with centre.city.transaction() as tx:
            stored = await tx.row(
                "SELECT reason, steps, office_id, agent_id FROM assignments WHERE tenant_id = %s AND request_id = %s",
                [tx.tenant_id, ticket["id"]],
            )
        assert stored is not None
        assert stored["office_id"] == row["office_id"]
        assert stored["agent_id"] == row["assigned_agent_id"] == decision.winner.id
        assert [step["step"] for step in stored["steps"]] == ["nearest_office", "eligibility", "two_in_turn"]
        assert stored["reason"].endswith(".")
    assert firsts == ["Астана", "Алматы", "Астана", "Алматы"]


async def test_the_load_counts_what_came_from_elsewhere_and_what_is_open_here(centre: Centre) -> None:
    winners: Counter[UUID] = Counter()
    async with centre.city.transaction() as tx:
        place = (await geocode_many(tx, [AddressParts("Казахстан", None, "Тараз")]))[0]
    for number in range(6):
        async with centre.city.transaction() as tx:
            ticket = await add_ticket(tx, number, place)
            row, decision = await auto_assign(tx, SYSTEM, ticket["number"])
            base = centre.managers[row["assigned_agent_id"]]["load"]
            chosen = next(one for one in decision.candidates if one.agent_id == row["assigned_agent_id"])
            assert chosen.open_load == base + winners[row["assigned_agent_id"]]
            winners[row["assigned_agent_id"]] += 1


async def test_assignments_at_once_never_see_the_same_load_nor_the_same_turn(centre: Centre) -> None:
    async with centre.city.transaction() as tx:
        place = (await geocode_many(tx, [AddressParts("Казахстан", None, "Тараз")]))[0]
        lost = Place(None, None, "none", None, None, "none")
        tickets = [await add_ticket(tx, number, (place, lost)[number % 2]) for number in range(16)]

    async def take(number: str) -> tuple[UUID, UUID, int]:
        async with centre.city.transaction() as tx:
            row, decision = await auto_assign(tx, SYSTEM, number)
            return row["office_id"], row["assigned_agent_id"], decision.candidates[0].open_load

    taken = await asyncio.gather(*(take(ticket["number"]) for ticket in tickets))
    offices = Counter(centre.offices[office]["name"] for office, _, _ in taken)
    assert offices == {"Тараз": 8, "Астана": 4, "Алматы": 4}
    seen: dict[UUID, list[int]] = {}
    for _, manager, load in taken:
        seen.setdefault(manager, []).append(load)
    for manager, loads in seen.items():
        base = centre.managers[manager]["load"]
        assert sorted(loads) == list(range(base, base + len(loads)))


async def test_auto_assignment_over_http_says_why_in_russian(centre: Centre) -> None:
    async with centre.city.transaction() as tx:
        place = (await geocode_many(tx, [AddressParts("Казахстан", None, "Караганда")]))[0]
        ticket = await add_ticket(tx, 1, place, segment="VIP", category="data_change")
    dispatcher = await centre.city.client("dispatcher")
    answer = await dispatcher.post(f"/requests/{ticket['number']}/auto-assign")
    assert answer.status_code == 200, answer.text
    decision = answer.json()["decision"]
    assert decision["reason"].startswith("Ближайший к клиенту офис — Караганда (0 км); требуется навык VIP")
    assert {failure["step"] for failure in decision["failures"]} == {"segment"}


# -------------------------------------------------------------------------------------------------- simulation


@pytest.fixture
async def dispatcher(centre: Centre) -> httpx.AsyncClient:
    if not any(getattr(route, "path", "") == "/assignments/simulate" for route in centre.city.app.routes):
        centre.city.app.router.routes.extend(router.routes)
    return await centre.city.client("dispatcher")


async def assigned_tickets(centre: Centre, count: int) -> None:
    async with centre.city.transaction() as tx:
        place = (await geocode_many(tx, [AddressParts("Казахстан", None, "Караганда")]))[0]
        lost = Place(None, None, "none", None, None, "none")
        for number in range(count):
            ticket = await add_ticket(tx, number, (place, lost)[number % 2], segment=("Mass", "VIP")[number // 2 % 2])
            await auto_assign(tx, SYSTEM, ticket["number"])


async def test_a_simulation_without_changes_changes_nothing(centre: Centre, dispatcher: httpx.AsyncClient) -> None:
    await assigned_tickets(centre, 8)
    answer = await dispatcher.post("/assignments/simulate", json={})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["counts"] == {
        "tickets": 8, "changed": 0, "other_office": 0, "other_agent": 0, "unassigned_before": 0, "unassigned_after": 0,
    }  # fmt: skip
    assert all(item["before"] == item["after"] and item["assigned"]["agent"] for item in told["items"])


async def test_a_simulation_shows_what_another_policy_would_do_and_writes_nothing(
    centre: Centre, dispatcher: httpx.AsyncClient, database_url: str
) -> None:
    await assigned_tickets(centre, 8)
    before = await everything(centre)
    policy = {
        "distribution": {"split": [{"office": "Шымкент"}], "eligibility": []},
        "assignment": {"steps": ["nearest_office", "lowest_load"]},
    }
    told = (await dispatcher.post("/assignments/simulate", json={"policy": policy, "limit": 100})).json()
    assert {item["after"]["office"] for item in told["items"]} == {"Караганда", "Шымкент"}
    assert told["counts"]["other_office"] == 6
    offices = {row["office"]: (row["before"], row["after"]) for row in told["offices"]}
    assert offices["Шымкент"] == (0, 4)
    assert sum(after for _, after in offices.values()) == 8
    assert await everything(centre) == before
    few = (
        await dispatcher.post("/assignments/simulate", json={"policy": policy, "request_ids": ["TCK-000001"]})
    ).json()
    assert [item["request_id"] for item in few["items"]] == ["TCK-000001"]


async def everything(centre: Centre) -> list[Any]:
    async with centre.city.transaction() as tx:
        tables = ("requests", "assignments", "distribution_state", "agents", "offices", "events", "outbox")
        return [await tx.rows(f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables]


async def test_a_policy_that_cannot_be_used_is_refused_with_its_fields(dispatcher: httpx.AsyncClient) -> None:
    for distribution in (
        {"split": [{"office": "Астана", "share": 0}]},
        {"eligibility": [{"name": "x", "when": {"segment": ["Nobody"]}, "skill": "VIP"}]},
    ):
        answer = await dispatcher.post("/assignments/simulate", json={"policy": {"distribution": distribution}})
        document = problem(answer, 422, "invalid")
        assert document["errors"]
    problem(
        await dispatcher.post(
            "/assignments/simulate", json={"policy": {"assignment": {"steps": ["zone", "two_in_turn"]}}}
        ),
        422,
    )


async def test_only_dispatchers_and_up_may_simulate(centre: Centre, dispatcher: httpx.AsyncClient) -> None:
    problem(await (await centre.city.client("agent")).post("/assignments/simulate", json={}), 403)
    problem(await (await centre.city.client()).post("/assignments/simulate", json={}), 401)


async def test_a_pack_that_assigns_among_agents_can_be_simulated_too(city: City, dispatcher: httpx.AsyncClient) -> None:
    from builders import add_agent, create

    admin = await city.client("admin")
    await add_agent(admin, "AG-1")
    await add_agent(admin, "AG-2", skills=["nothing"])
    for number in range(2):
        await create(admin, lat=40.0 + number)
    told = (
        await admin.post("/assignments/simulate", json={"policy": {"assignment": {"steps": ["lowest_load"]}}})
    ).json()
    assert told["counts"]["tickets"] == 2
    assert {item["before"]["agent"] for item in told["items"]} == {"Agent AG-1"}
    assert {item["after"]["agent"] for item in told["items"]} == {"Agent AG-1", "Agent AG-2"}
