"""A pack whose states, roles, categories and linked types are made up goes the whole way: no name of a pack stands in code."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from builders import report
from invented_pack import invented_pack
from pipeline_support import events, small, ticket, upload

from civicpulse.base import clock
from civicpulse.base.outbox import drain
from civicpulse.insight.scores.measuring import measure_resolutions
from civicpulse.packs.model import PackDocument, compile_pack
from civicpulse.reactions import REACTIONS
from conftest import City, make_city


@pytest.fixture
async def workshop(app: Any, database_url: str) -> City:
    return await make_city(app, database_url, "contact_centre", **invented_pack())


async def _squeak(client: Any, **changes: Any) -> dict[str, Any]:
    answer = await client.post("/requests", json=report(category="squeak", **changes))
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def _move(client: Any, number: str, to: str, **fields: Any) -> dict[str, Any]:
    answer = await client.patch(f"/requests/{number}/transition", json={"to": to, **fields})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def _citizen(city: City) -> tuple[str, Any]:
    anybody = await city.client()
    made = await anybody.post("/citizens", json={"full_name": "Ann", "contacts": {"email": "ann@example.org"}})
    assert made.status_code == 201, made.text
    citizen_id: str = made.json()["_id"]
    return citizen_id, await city.client("tenant_of_house", citizen_id)


async def test_the_pack_is_sound() -> None:
    pack = compile_pack(PackDocument.model_validate(invented_pack()))
    assert (pack.assigned_state, pack.ending_milestones) == ("handed", frozenset({"fixed_it"}))


async def _desk(foreman: httpx.AsyncClient) -> tuple[int, int]:
    """How many requests the agent has been handed and has begun, as their page says."""
    work = (await foreman.get("/agents/F-1")).json()["workload"]
    figures = (await foreman.get("/analytics/agents")).json()["items"][0]
    assert (figures["open"], figures["in_progress"]) == (work["open"], work["in_progress"])
    return work["assigned"], work["in_progress"]


async def test_one_request_from_its_report_to_its_end(workshop: City) -> None:
    foreman, fitter = await workshop.client("foreman"), await workshop.client("fitter")
    _, resident = await _citizen(workshop)
    made = await _squeak(resident)
    number = made["request_id"]
    assert (made["status"], made["workflow"]["allowed_next"]) == ("logged", ["weighed", "handed"])
    agent = await foreman.post("/agents", json={"agent_code": "F-1", "name": "Fay", "roles": ["fitter"]})
    assert agent.status_code == 201, agent.text
    await _move(foreman, number, "weighed")
    handed = await _move(foreman, number, "handed", assigned_agent_id="F-1")
    assert handed["assignment"]["assigned_agent_id"] == agent.json()["_id"]
    assert await _desk(foreman) == (1, 0)
    refused = await resident.patch(f"/requests/{number}/transition", json={"to": "underway"})
    assert refused.status_code == 403, refused.text
    await _move(fitter, number, "underway")
    assert await _desk(foreman) == (0, 1)
    waiting = await _move(fitter, number, "waiting_parts")
    assert waiting["sla"]["paused"] is True
    await _move(fitter, number, "underway")
    done = await fitter.patch(f"/requests/{number}/milestone", json={"milestone": "fixed_it"})
    assert (done.status_code, done.json()["status"]) == (200, "mended")
    assert done.json()["timestamps"]["resolved_at"] is not None
    again = await _move(foreman, number, "logged", reason="It squeaks again")
    assert (again["timestamps"]["resolved_at"], again["milestones"], again["sla"]["paused"]) == (None, {}, False)
    assert again["timestamps"]["created_at"] == made["timestamps"]["created_at"]
    for state in ("handed", "underway", "mended", "shelved"):
        await _move(foreman, number, state)
    moves = [event["meta"] for event in await events(foreman, number) if event["type"] == "request.transitioned"]
    assert [(move["to"], move["category"]) for move in moves] == [
        ("weighed", "open"),
        ("handed", "open"),
        ("underway", "open"),
        ("waiting_parts", "waiting"),
        ("underway", "open"),
        ("mended", "resolved"),
        ("logged", "open"),
        ("handed", "open"),
        ("underway", "open"),
        ("mended", "resolved"),
        ("shelved", "closed"),
    ]


async def test_the_reporter_hears_of_every_state_and_the_agent_of_the_work(workshop: City) -> None:
    foreman = await workshop.client("foreman")
    citizen_id, resident = await _citizen(workshop)
    made = await _squeak(
        resident, citizen_ref={"citizen_id": citizen_id, "anonymous": False, "contact_channel": "none"}
    )
    number = made["request_id"]
    agent = (await foreman.post("/agents", json={"agent_code": "F-1", "name": "Fay", "roles": ["fitter"]})).json()
    for state, fields in (
        ("handed", {"assigned_agent_id": "F-1"}),
        ("underway", {}),
        ("waiting_parts", {}),
        ("underway", {}),
        ("mended", {}),
        ("logged", {}),
    ):
        await _move(foreman, number, state, **fields)
    await drain(workshop.services.db, workshop.services.tenants, REACTIONS)
    told = (await resident.get("/notifications")).json()["items"]
    assert [one["body"] for one in reversed(told)] == [
        "Written down", "Handed out", "Being mended", "Waiting for parts", "Being mended", "Mended", "Written down",
    ]  # fmt: skip
    assert [one["title"].split()[0] for one in reversed(told)].count("resolved") == 1
    fitter = await workshop.client("fitter", agent["_id"])
    assert len((await fitter.get("/notifications")).json()["items"]) == 1


async def test_duplicates_figures_scores_and_the_public_page(workshop: City) -> None:
    foreman, anybody = await workshop.client("foreman"), await workshop.client()
    first = await _squeak(anybody)
    second = await _squeak(anybody)
    assert second["duplicates"]["master_request_id"] == first["request_id"]
    for state in ("handed", "underway", "mended"):
        await _move(foreman, first["request_id"], state)
    followed = (await anybody.get(f"/requests/{second['request_id']}")).json()
    assert followed["status"] == "mended"
    async with workshop.transaction() as tx:
        assert await measure_resolutions(tx) == 2, "master and duplicate are looked at"
    kpis = (await anybody.get("/analytics/kpis")).json()["totals"]
    assert (kpis["masters"], kpis["duplicates"], kpis["backlog"], kpis["resolution"]["count"]) == (1, 1, 0, 1)
    keeper = await workshop.client("keeper")
    scored = await keeper.post("/scores/recalculate")
    assert scored.status_code in (200, 201, 202), scored.text
    page = await anybody.get(f"/track/{first['request_id']}")
    assert page.status_code == 200


async def test_an_escalation_reaches_the_role_of_the_pack(workshop: City, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests_support import sweep_city

    anybody, foreman = await workshop.client(), await workshop.client("foreman")
    await _squeak(anybody)
    later = clock.now() + timedelta(hours=12)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert (await sweep_city(workshop)).escalations == 1
    await drain(workshop.services.db, workshop.services.tenants, REACTIONS)
    told = (await foreman.get("/notifications")).json()["items"]
    assert [one["title"].split()[0] for one in told] == ["escalated"]


async def test_a_file_of_tickets_goes_through_the_same_intake(workshop: City) -> None:
    foreman = await workshop.client("foreman")
    result = await upload(foreman, small(ticket("g-1"), ticket("g-2", "Другое дело")))
    assert result["tickets_assigned"] == 2, result
    listed = (await foreman.get("/requests?source=csv")).json()["items"]
    assert {one["status"] for one in listed} == {"handed"}
    again = await upload(foreman, small(ticket("g-1", "Совсем другой текст"), ticket("g-2", "Другое дело")))
    assert again["tickets_changed"] == 1
    number = next(one["request_id"] for one in listed if one["external_id"] == "g-1")
    states = [event["meta"]["to"] for event in await events(foreman, number) if event["type"] == "request.transitioned"]
    assert states == ["handed", "logged", "handed"]
