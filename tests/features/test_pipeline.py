"""POST /upload and POST /process: what a contact centre's files become (R-CSV-01)."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pipeline_support import (
    MANAGERS,
    OFFICES,
    broken_rules,
    events,
    loads,
    managers_of,
    real_files,
    small,
    table,
    ticket,
    told,
    upload,
)
from tests_support import problem

from civicpulse.centre import analyse, assign, geocode, ingest
from conftest import City, make_city


@pytest.fixture
async def centre(app: FastAPI, database_url: str) -> City:
    return await make_city(app, database_url, pack="contact_centre")


@pytest.fixture
async def client(centre: City) -> httpx.AsyncClient:
    return await centre.client("dispatcher")


@pytest.fixture
def in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (ingest, geocode, analyse, assign):
        monkeypatch.setattr(module, "BATCH", 7)


# --------------------------------------------------------------------------------------------------- the real files


async def test_all_31_real_tickets_are_loaded_placed_read_and_given_out_by_the_rules(
    centre: City, client: httpx.AsyncClient, shared_data: Path
) -> None:
    result = await upload(client, real_files(shared_data))
    tickets = result.pop("tickets")
    assert result["state"] == "done"
    assert (result["business_units_loaded"], result["managers_loaded"], result["tickets_loaded"]) == (15, 51, 31)
    assert (result["tickets_analyzed"], result["tickets_assigned"], len(tickets)) == (31, 31, 31)
    assert sum(one["geo_quality"] in ("house", "town") for one in tickets) >= 29
    assert await broken_rules(centre, client, shared_data / "contact_centre_kz", tickets) == []
    # Two rows name pictures that were not sent.
    assert [(one["line"], one["severity"], one["column"]) for one in result["errors"]] == [
        (92, "warning", "attachment"),
        (98, "warning", "attachment"),
    ]


async def test_small_batches_decide_the_same(
    centre: City, client: httpx.AsyncClient, shared_data: Path, in_small_batches: None
) -> None:
    result = await upload(client, real_files(shared_data))
    assert result["tickets_assigned"] == 31
    assert await broken_rules(centre, client, shared_data / "contact_centre_kz", result["tickets"]) == []


async def test_the_check_sees_what_is_wrong(centre: City, client: httpx.AsyncClient, shared_data: Path) -> None:
    tickets = (await upload(client, real_files(shared_data)))["tickets"]
    for one in tickets:
        one["segment"] = "VIP"
    assert await broken_rules(centre, client, shared_data / "contact_centre_kz", tickets)


async def test_the_same_files_give_the_same_assignments_in_another_tenant(
    client: httpx.AsyncClient, app: FastAPI, database_url: str, shared_data: Path
) -> None:
    other = await (await make_city(app, database_url, pack="contact_centre")).client("dispatcher")
    first, second = [managers_of(await upload(one, real_files(shared_data))) for one in (client, other)]
    assert first == second
    assert len(first) == 31


async def test_the_same_files_again_change_nothing(client: httpx.AsyncClient, shared_data: Path) -> None:
    first = await upload(client, real_files(shared_data))
    before = await loads(client)
    again = await upload(client, real_files(shared_data))
    assert (again["tickets_unchanged"], again["tickets_added"], again["tickets_analyzed"]) == (31, 0, 0)
    assert again["tickets"] == first["tickets"]
    assert await loads(client) == before
    assert (await client.get("/tickets")).json()["total"] == 31
    assert (await client.get("/dashboard/stats")).json()["assigned_tickets"] == 31


# ------------------------------------------------------------------------------------------------------ one ticket


async def test_a_ticket_is_a_request_with_its_trail(centre: City, client: httpx.AsyncClient) -> None:
    result = await upload(client, small(ticket("g-1", birth_date="17.05.1990")))
    (one,) = result["tickets"]
    assert (one["client_guid"], one["source"], one["status"], one["segment"]) == ("g-1", "csv", "assigned", "Mass")
    assert (one["gender"], one["birth_date"], one["city"]) == ("Женский", "1990-05-17", "Тараз")
    assert one["assignment"]["manager_name"] == "Оспанов Ерлан"
    assert one["assignment"]["business_unit_name"] == "Тараз"
    assert one["assignment"]["reason"].startswith("Ближайший к клиенту офис — Тараз (0 км)")
    trail = await events(client, one["request_id"])
    assert [(event["seq"], event["type"], event["by"]["actor_type"]) for event in trail] == [
        (1, "request.opened", "system"),
        (2, "request.assigned", "system"),
        (3, "request.transitioned", "system"),
    ]
    assert trail[1]["meta"]["reason"] == one["assignment"]["reason"]
    assert all(word not in str(trail) for word in ("Женский", "1990", "счёт", "Толе би", "g-1"))
    document = (await client.get(f"/requests/{one['request_id']}")).json()
    assert document["sla"]["due_at"]
    async with centre.transaction() as tx:
        waiting = await tx.rows(
            "SELECT type FROM outbox WHERE tenant_id = %s AND subject_id = %s", [tx.tenant_id, one["id"]]
        )
    assert sorted(row["type"] for row in waiting) == ["request.assigned", "request.opened", "request.transitioned"]


async def test_a_ticket_without_a_text_waits_for_a_person_and_is_given_out_all_the_same(
    client: httpx.AsyncClient,
) -> None:
    (one,) = (await upload(client, small(ticket("g-1", ""))))["tickets"]
    assert (one["description"], one["analysis"]["confidence"], one["needs_person"]) == ("", 0.0, True)
    assert one["assignment"] is not None


async def test_addresses_unknown_and_abroad_are_shared_in_turn(client: httpx.AsyncClient) -> None:
    lost = [ticket(f"lost-{n}", country="", region="", town="", street="", house="") for n in range(4)]
    abroad = [ticket(f"far-{n}", country="Германия", region="", town="Берлин") for n in range(5)]
    result = await upload(client, small(*lost, *abroad))
    offices = [one["assignment"]["business_unit_name"] for one in result["tickets"]]
    assert abs(offices.count("Астана") - offices.count("Алматы")) == 1
    assert [one["latitude"] for one in result["tickets"][:4]] == [None] * 4


async def test_what_nobody_may_take_stays_with_its_reason_and_is_tried_again(client: httpx.AsyncClient) -> None:
    plain = [(name, "Специалист", office, "", load) for name, _, office, _, load in MANAGERS]
    result = await upload(client, small(ticket("g-1", segment="VIP"), managers=plain))
    (one,) = result["tickets"]
    assert (result["tickets_assigned"], result["tickets_unassigned"]) == (0, 1)
    assert (one["status"], one["assignment"]) == ("new", None)
    assert "VIP" in one["unassigned_reason"]
    again = (await client.post("/process")).json()
    assert (again["tickets_assigned"], again["tickets_unassigned"]) == (0, 1)
    trail = await events(client, one["request_id"])
    assert [event["type"] for event in trail] == ["request.opened", "request.assignment_failed"], (
        "the same reason is told once"
    )
    await upload(client, small(ticket("g-1", segment="VIP")))
    assert (await client.get("/tickets/g-1")).json()["assignment"]["manager_name"] == "Ли Тимур"


async def test_a_pack_may_keep_a_type_from_everybody(app: FastAPI, database_url: str) -> None:
    from civicpulse.packs.loader import read_pack

    document = read_pack("contact_centre").model_dump(mode="json")
    kept = document["distribution"] | {"unassigned": ["spam"]}
    city = await make_city(app, database_url, pack="contact_centre", distribution=kept)
    client = await city.client("dispatcher")
    text = "Предлагаем офисную мебель по ценам производителя, доставка бесплатно, скидки до конца месяца."
    result = await upload(client, small(ticket("g-1", text), ticket("g-2")))
    spam = result["tickets"][0]
    assert spam["analysis"]["category"] == "spam"
    assert (spam["status"], spam["assignment"]) == ("new", None)
    assert "Спам" in spam["unassigned_reason"]
    assert result["tickets_assigned"] == 1


# --------------------------------------------------------------------------------------------------- what changes


async def test_a_changed_ticket_loses_its_analysis_and_assignment_and_gets_new_ones(client: httpx.AsyncClient) -> None:
    first = await upload(client, small(ticket("g-1"), ticket("g-2")))
    changed = ticket(
        "g-1", "How do I open a brokerage account and which documents do I need?", town="Алматы", segment="VIP"
    )
    result = await upload(client, {"tickets": table("tickets", [changed, ticket("g-2")])})
    assert (result["tickets_changed"], result["tickets_unchanged"], result["tickets_analyzed"]) == (1, 1, 1)
    before, after = first["tickets"][0], result["tickets"][0]
    assert after["id"] == before["id"]
    assert (after["analysis"]["language"], after["city"], after["segment"]) == ("en", "Алматы", "VIP")
    assert after["assignment"]["manager_name"] == "Ли Тимур"
    trail = await events(client, after["request_id"])
    assert [event["name"] for event in trail] == [
        "created",
        "assigned",
        "assigned",
        "classified",
        "new",
        "assigned",
        "assigned",
    ]
    assert result["tickets"][1] == first["tickets"][1]
    assert await loads(client) == {"Ахметова Асель": 2, "Ким Ольга": 1, "Ли Тимур": 1, "Оспанов Ерлан": 4}


@pytest.mark.parametrize(("state", "label"), [("in_progress", "В работе"), ("resolved", "Решено")])
async def test_a_changed_ticket_in_work_keeps_its_manager(client: httpx.AsyncClient, state: str, label: str) -> None:
    (before,) = (await upload(client, small(ticket("g-1"))))["tickets"]
    moved = await client.patch(f"/requests/{before['request_id']}/transition", json={"to": state})
    assert moved.status_code == 200, moved.text
    result = await upload(client, {"tickets": table("tickets", [ticket("g-1", "Мошенники украли деньги со счёта!")])})
    (after,) = result["tickets"]
    assert (after["description"], after["status"]) == ("Мошенники украли деньги со счёта!", state)
    assert (after["category"], after["assignment"]["manager_id"]) == (
        before["category"],
        before["assignment"]["manager_id"],
    )
    assert after["analysis"]["category"] == "fraud", "the analysis is of the new text"
    ((_, line, words),) = told(result, "warning")
    assert line == 2
    assert f"в состоянии «{label}»:" in words, "people read the state by its name in their language"


async def test_offices_and_managers_are_upserted(client: httpx.AsyncClient) -> None:
    await upload(client, small(ticket("g-1")))
    offices = [("астана", "Кабанбай батыра, 1"), ("Павлодар", "Луговая, 16")]
    managers = [
        ("Ахметова Асель", "Специалист", "АСТАНА", "KZ", 9),
        ("Новая Анна", "Спец.", "Павлодар", "ВИП; англ", ""),
    ]
    result = await upload(client, small(ticket("g-1"), offices=offices, managers=managers))
    assert told(result) == []
    units = {one["name"]: one for one in (await client.get("/business-units")).json()["items"]}
    assert units.keys() == {"Астана", "Алматы", "Тараз", "Павлодар"}
    assert units["Астана"]["address"] == "Кабанбай батыра, 1"
    assert units["Павлодар"]["latitude"] is not None
    staff = {one["name"]: one for one in (await client.get("/managers")).json()["items"]}
    assert len(staff) == 5
    assert (staff["Ахметова Асель"]["position"], staff["Ахметова Асель"]["current_load"]) == ("Специалист", 9)
    assert (staff["Новая Анна"]["position"], staff["Новая Анна"]["skills"]) == ("Специалист", ["VIP", "ENG"])


# -------------------------------------------------------------------------------------------------------- process


async def test_process_without_offices_or_managers_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.post("/process")
    assert answer.status_code == 200
    result = answer.json()
    assert result["state"] == "failed"
    assert {one["file"] for one in result["errors"]} == {"business_units", "managers", None}
    assert result["tickets"] == []


async def test_process_reads_what_has_no_analysis_and_gives_out_the_queue(
    centre: City, client: httpx.AsyncClient
) -> None:
    await upload(client, small(ticket("g-1"), ticket("g-2"), ticket("g-3")))
    one, two, _ = (await client.get("/tickets")).json()["items"]
    for item in (one, two):
        await client.patch(f"/requests/{item['request_id']}/transition", json={"to": "new"})
    async with centre.transaction() as tx:
        await tx.run(
            "UPDATE ticket_details SET updated_at = now() WHERE tenant_id = %s AND request_id = %s",
            [tx.tenant_id, one["id"]],
        )
    result = (await client.post("/process")).json()
    assert (result["tickets_analyzed"], result["tickets_assigned"]) == (1, 2)
    assert {item["id"] for item in result["tickets"]} == {one["id"], two["id"]}
    assert all(item["analysis"] and item["assignment"] for item in result["tickets"])
    idle = (await client.post("/process")).json()
    assert (idle["tickets_analyzed"], idle["tickets_assigned"], idle["tickets"]) == (0, 0, [])
    assert "POST /process?force=true" in idle["note"]
    assert "note" not in result


async def test_process_all_redoes_what_nobody_works_on_and_keeps_what_staff_decided(client: httpx.AsyncClient) -> None:
    await upload(client, small(ticket("g-1"), ticket("g-2"), ticket("g-3")))
    by_guid = {one["client_guid"]: one["request_id"] for one in (await client.get("/tickets")).json()["items"]}
    await client.patch(f"/requests/{by_guid['g-1']}/transition", json={"to": "in_progress"})
    corrected = {"to": "new", "category": "data_change", "priority": "P1"}
    assert (await client.patch(f"/requests/{by_guid['g-2']}/transition", json=corrected)).status_code == 200
    before = await loads(client)
    result = (await client.post("/process", params={"force": True})).json()
    assert (result["tickets_loaded"], result["tickets_analyzed"], result["tickets_assigned"]) == (2, 2, 2)
    second = (await client.get("/tickets/g-2")).json()
    assert (second["category"], second["priority"], second["status"]) == ("data_change", "P1", "assigned")
    assert second["assignment"]["manager_position"] == "Главный специалист"
    assert (await client.get("/tickets/g-1")).json()["status"] == "in_progress"
    assert sum((await loads(client)).values()) == sum(before.values())


async def test_requests_that_came_another_way_are_given_out_too(client: httpx.AsyncClient) -> None:
    await upload(client, small(ticket("g-1")))
    body = {"category": "consultation", "description": "Здравствуйте", "citizen_ref": {"anonymous": True}}
    made = await client.post("/requests", json=body | {"location": {"coordinates": [71.36, 42.9]}})
    assert made.status_code == 201, made.text
    assert (await client.post("/process")).json()["tickets_assigned"] == 1
    one = (await client.get(f"/tickets/{made.json()['request_id']}")).json()
    assert one["assignment"]["business_unit_name"] == "Тараз"


async def test_duplicates_follow_their_master_through_the_pipeline(client: httpx.AsyncClient) -> None:
    first = await upload(client, small(ticket("g-1"), ticket("g-2")))
    master, other = (one["request_id"] for one in first["tickets"])
    merged = await client.post(f"/requests/{other}/merge", json={"other": master})
    assert merged.status_code == 200, merged.text
    changed = table("tickets", [ticket("g-1", "Совсем другой вопрос"), ticket("g-2")])
    result = await upload(client, {"tickets": changed})
    assert result["tickets_assigned"] == 1
    assert {one["status"] for one in result["tickets"]} == {"assigned"}
    assert [event["type"] for event in await events(client, other)][-2:] == ["request.transitioned"] * 2


async def test_a_pack_without_files_has_no_pipeline(city: City) -> None:
    client = await city.client("dispatcher")
    problem(await client.post("/upload", files=small()), 409, "no_pipeline")
    problem(await client.post("/process"), 409, "no_pipeline")


async def test_a_thousand_tickets_are_shown_and_more_are_said(client: httpx.AsyncClient) -> None:
    rows = [ticket(f"g-{n:04}", f"Вопрос номер {n}") for n in range(1_005)]
    result = await upload(client, small(*rows))
    assert (result["tickets_loaded"], result["tickets_assigned"]) == (1_005, 1_005)
    assert (len(result["tickets"]), result["tickets_truncated"]) == (1_000, True)
    assert [one["client_guid"] for one in result["tickets"][:3]] == ["g-0000", "g-0001", "g-0002"]


async def test_new_tickets_alone_are_a_night(client: httpx.AsyncClient) -> None:
    await upload(client, small(ticket("g-1"), offices=OFFICES))
    result: dict[str, Any] = await upload(client, {"tickets": table("tickets", [ticket("g-2")])})
    assert (result["business_units_loaded"], result["managers_loaded"], result["tickets_assigned"]) == (0, 0, 1)


async def test_tickets_are_found_by_town_words_and_several_segments(client: httpx.AsyncClient) -> None:
    """A town is one town however a file writes it, in the figures and in the filter (R-CSV-08, R-CSV-09)."""
    spelt = {
        "g-1": ("Мангистауская", "Aktau"), "g-2": ("Мангистауская", "Актау"), "g-3": ("", "Almaty city"), "g-4": ("", "Алматы"),
        "g-5": ("Акмолинская", "Астана / Нур-Султан"), "g-6": ("", "г. Астана"), "g-7": ("", "Неведомое"),
    }  # fmt: skip
    segments = ["Mass", "VIP", "Priority", "Mass", "Mass", "Mass", "Mass"]
    rows = [
        ticket(guid, f"Вопрос {guid} о карте", region=region, town=town, segment=segment)
        for (guid, (region, town)), segment in zip(spelt.items(), segments, strict=True)
    ]
    await upload(client, small(*rows))
    stats = (await client.get("/dashboard/stats")).json()
    assert stats["by_town"] == {"Актау": 2, "Алматы": 2, "Астана": 2, "Неведомое": 1}

    async def found(query: str) -> set[str]:
        answer = await client.get(f"/tickets?{query}")
        assert answer.status_code == 200, answer.text
        return {item["client_guid"] for item in answer.json()["items"]}

    assert await found("town=Aktau") == await found("town=актау") == {"g-1", "g-2"}
    assert await found("town=Алма-Ата,Неведомое") == {"g-3", "g-4", "g-7"}
    assert await found("segment=VIP,Priority") == await found("segment=VIP&segment=priority") == {"g-2", "g-3"}
    assert await found("q=g-6") == {"g-6"}
    assert await found("segment=Mass&town=Астана&limit=500") == {"g-5", "g-6"}
    assert len(await found("limit=3")) == 3
    (fault,) = problem(await client.get("/tickets?town=Атлантида"), 422)["errors"]
    assert fault["choices"] == ["Актау", "Алматы", "Астана", "Неведомое"]


async def test_managers_come_in_pages_too(client: httpx.AsyncClient) -> None:
    await upload(client, small())
    every = (await client.get("/managers")).json()["items"]
    found, cursor = [], ""
    while cursor is not None:
        page = (await client.get("/managers?limit=3" + (f"&cursor={cursor}" if cursor else ""))).json()
        assert len(page["items"]) <= 3
        found += page["items"]
        cursor = page["next_cursor"]
    assert found == every
    assert len(every) == 4
