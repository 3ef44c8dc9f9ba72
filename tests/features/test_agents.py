"""Agents over HTTP: making, finding, listing, changing, their workload and performance, and who may do what."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from civicpulse.base import clock
from civicpulse.base.db import Tx
from civicpulse.base.ids import new_id
from civicpulse.people.agents import list_active_agents
from conftest import City

# A Tuesday, ten in the morning in Almaty.
TUESDAY = datetime(2026, 3, 3, 5, tzinfo=UTC)
SQUARE = [[[76.8, 43.2], [77.0, 43.2], [77.0, 43.3], [76.8, 43.3], [76.8, 43.2]]]
AGENT = {
    "agent_code": "AG-PW-07",
    "name": "Road crew 7",
    "department": "Public works",
    "skills": ["road_maintenance", "asphalt"],
    "coverage": {"zone_ids": ["ZONE-DT-01"], "geo_fence": {"type": "Polygon", "coordinates": SQUARE}},
    "schedule": {
        "timezone": "Asia/Almaty",
        "shifts": [{"day": "Tue", "start": "09:00", "end": "17:00"}],
        "on_call": False,
    },
    "contacts": {"phone": "+77015550112"},
    "roles": ["agent"],
    "active": True,
}


async def make(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post("/agents", json=AGENT | changes)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def add_request(city: City, agent_id: str, number: int, **columns: Any) -> None:
    row = {"id": new_id(), "number": f"T-{number}", "agent": UUID(agent_id), "status": "assigned", "state": "open"}
    row |= {"priority": "P3", "created_at": datetime.now(UTC), "resolved_at": None, "sla_met": None, "rating": None}
    row |= {"escalation_count": 0, "master_id": None, "assigned_at": None} | columns
    async with city.transaction() as tx:
        await tx.run(
            """INSERT INTO requests (tenant_id, id, number, pack_version, category, description, status, state_category,
                   priority, priority_score, assigned_agent_id, created_at, resolved_at, updated_at, sla_met, rating,
                   escalation_count, master_id, assigned_at)
               VALUES (%(tenant_id)s, %(id)s, %(number)s, 1, 'pothole', 'A hole', %(status)s, %(state)s, %(priority)s, 5,
                   %(agent)s, %(created_at)s, %(resolved_at)s, now(), %(sla_met)s, %(rating)s, %(escalation_count)s,
                   %(master_id)s, %(assigned_at)s)""",
            row | {"tenant_id": tx.tenant_id},
        )


@contextmanager
def counted_statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that rooms run within the block."""
    seen: list[str] = []
    with monkeypatch.context() as patch:
        for name in ("rows", "row", "value", "run"):
            original = getattr(Tx, name)

            async def counting(self: Tx, statement: Any, params: Any = None, *, _run: Any = original) -> Any:
                seen.append(str(statement))
                return await _run(self, statement, params)

            patch.setattr(Tx, name, counting)
        yield seen


async def test_an_agent_is_made_in_the_shape_of_the_specification(city: City) -> None:
    async with await city.client("supervisor") as client:
        made = await make(client)
    assert list(made) == [
        "_id", "agent_code", "name", "department", "skills", "coverage", "schedule", "contacts", "roles", "active",
        "created_at",
    ]  # fmt: skip
    assert {name: made[name] for name in AGENT} == AGENT


async def test_an_agent_needs_only_a_code_and_a_name(city: City) -> None:
    async with await city.client("admin") as client:
        answer = await client.post("/agents", json={"agent_code": "T1", "name": "Team"})
    assert answer.status_code == 201
    assert answer.json()["schedule"] == {"timezone": "UTC", "shifts": [], "on_call": False}
    assert answer.json()["coverage"] == {"zone_ids": [], "geo_fence": None}


async def test_an_agent_code_is_unique_in_its_tenant_only(city: City, other_city: City) -> None:
    async with await city.client("admin") as here, await other_city.client("admin") as there:
        answers = await asyncio.gather(*(here.post("/agents", json=AGENT) for _ in range(4)))
        await make(there)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {answer.json().get("code") for answer in answers} == {None, "agent_code_in_use"}


async def test_one_idempotency_key_is_one_agent(city: City) -> None:
    async with await city.client("admin") as client:
        key = {"Idempotency-Key": "k"}
        answers = await asyncio.gather(*(client.post("/agents", json=AGENT, headers=key) for _ in range(8)))
        other = await client.post("/agents", json=AGENT | {"name": "Another"}, headers=key)
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert other.json()["code"] == "idempotency_key_reused"


def fenced(*rings: list[list[float]]) -> dict[str, Any]:
    return {"coverage": {"geo_fence": {"type": "Polygon", "coordinates": list(rings)}}}


@pytest.mark.parametrize(
    "changes",
    [
        {"agent_code": ""},
        {"agent_code": "has space"},
        {"name": ""},
        {"schedule": {"timezone": "Mars/Olympus"}},
        {"schedule": {"timezone": "../etc/passwd"}},
        {"schedule": {"shifts": [{"day": "Someday", "start": "09:00", "end": "17:00"}]}},
        {"schedule": {"shifts": [{"day": "Mon", "start": "9", "end": "17:00"}]}},
        {"schedule": {"shifts": [{"day": "Mon", "start": "09:00", "end": "25:00"}]}},
        {"coverage": {"geo_fence": {"type": "Point", "coordinates": [1, 2]}}},
        fenced([[0, 0], [1, 1], [0, 0]]),
        fenced([[0, 0], [1, 0], [1, 1], [0, 1]]),
        fenced([[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]),
        fenced([[0, 0], [1, 0], [2, 0], [0, 0]]),
        fenced([[0, 0], [181, 0], [1, 1], [0, 0]]),
        fenced([[0, 0], [1, 0], [1, 91], [0, 0]]),
        {"contacts": {"phone": "12"}},
        {"roles": []},
        {"skills": [""]},
    ],
)
async def test_bad_input_is_refused_with_a_problem(city: City, changes: dict[str, Any]) -> None:
    async with await city.client("admin") as client:
        answer = await client.post("/agents", json=AGENT | changes)
    assert answer.status_code == 422
    assert answer.json()["errors"]


@pytest.mark.parametrize(
    ("role", "write", "read"),
    [
        (None, 401, 401),
        ("citizen", 403, 403),
        ("agent", 403, 200),
        ("dispatcher", 403, 200),
        ("supervisor", 201, 200),
        ("admin", 201, 200),
    ],
)
async def test_who_may_make_and_who_may_read_agents(city: City, role: str | None, write: int, read: int) -> None:
    async with await city.client("admin") as admin, await city.client(role) as client:
        made = await make(admin)
        assert (await client.post("/agents", json=AGENT | {"agent_code": "OTHER"})).status_code == write
        changed = await client.patch(f"/agents/{made['_id']}", json={"active": False})
        assert changed.status_code == (200 if write == 201 else write)
        assert (await client.get("/agents")).status_code == read
        assert (await client.get(f"/agents/{made['_id']}")).status_code == read


async def test_the_phone_is_masked_for_other_agents_only(city: City) -> None:
    async with await city.client("admin") as admin:
        made = await make(admin)
    seen = {}
    for who, role, actor_id in [
        ("self", "agent", UUID(made["_id"])),
        ("other", "agent", None),
        ("boss", "dispatcher", None),
    ]:
        async with await city.client(role, actor_id) as client:
            seen[who] = (await client.get("/agents/AG-PW-07")).json()["contacts"]["phone"]
            assert (await client.get("/agents")).json()["items"][0]["contacts"]["phone"] == seen[who]
    assert seen == {"self": "+77015550112", "other": "+7*****12", "boss": "+77015550112"}


@pytest.mark.parametrize(
    ("method", "body"), [("GET", None), ("PATCH", {"active": False}), ("PATCH", {"active": "nonsense"})]
)
@pytest.mark.parametrize("by", ["_id", "agent_code"])
async def test_another_tenants_agent_does_not_exist(
    city: City, other_city: City, method: str, body: Any, by: str
) -> None:
    async with await city.client("admin") as here, await other_city.client("admin") as there:
        made = await make(here)
        answer = await there.request(method, f"/agents/{made[by]}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert (await there.get("/agents")).json()["items"] == []


async def test_an_agent_is_found_by_id_and_by_code_with_workload_and_performance(city: City) -> None:
    now = datetime.now(UTC)
    async with await city.client("admin") as client:
        made = await make(client)
        done = {"state": "resolved", "status": "resolved", "sla_met": True}
        rows: list[dict[str, Any]] = [
            {"priority": "P1"},
            {"priority": "P2", "status": "in_progress", "escalation_count": 2, "assigned_at": now - timedelta(days=2)},
            {"status": "closed", "state": "closed", "escalation_count": 4, "assigned_at": now - timedelta(days=40)},
            done | {"created_at": now - timedelta(hours=3), "resolved_at": now - timedelta(hours=1), "rating": 5},
            done | {"created_at": now - timedelta(hours=5), "resolved_at": now - timedelta(hours=1), "sla_met": False},
            done | {"created_at": now - timedelta(days=90), "resolved_at": now - timedelta(days=60), "rating": 1},
        ]
        for number, row in enumerate(rows):
            await add_request(city, made["_id"], number, **row)
        by_id = (await client.get(f"/agents/{made['_id']}")).json()
        by_code = (await client.get("/agents/AG-PW-07")).json()
        figures = (await client.get("/analytics/agents")).json()["items"][0]
    assert by_id == by_code
    assert by_id["workload"] == {
        "open": 2,
        "assigned": 1,
        "in_progress": 1,
        "by_priority": {"P1": 1, "P2": 1, "P3": 0, "P4": 0},
    }
    names = ("avg_resolution_minutes", "sla_met_pct", "avg_rating", "escalations")
    assert by_id["performance"] == {"resolved_30d": figures["resolved"]} | {name: figures[name] for name in names}
    assert by_id["performance"] == {
        "resolved_30d": 2,
        "avg_resolution_minutes": 180.0,
        "sla_met_pct": 50.0,
        "avg_rating": 5.0,
        "escalations": 2,
    }


async def test_an_agent_says_whether_they_are_on_shift_and_when_the_next_one_begins(city: City) -> None:
    async with await city.client("admin") as client:
        await make(client)
    async with await city.client("agent") as client:
        with clock.at(TUESDAY):
            shown = (await client.get("/agents/AG-PW-07")).json()
        assert (shown["on_shift_now"], shown["next_shift_start"]) == (True, "2026-03-10T04:00:00Z")
        with clock.at(TUESDAY - timedelta(hours=2)):
            shown = (await client.get("/agents/AG-PW-07")).json()
        assert (shown["on_shift_now"], shown["next_shift_start"]) == (False, "2026-03-03T04:00:00Z")


async def test_agents_are_listed_by_skill_zone_activity_and_shift(city: City) -> None:
    async with await city.client("admin") as client:
        await make(client, agent_code="A")
        await make(client, agent_code="B", skills=["water"], coverage={"zone_ids": ["Z2"]})
        await make(client, agent_code="C", active=False, schedule={"timezone": "UTC", "shifts": []})

        async def codes(query: str) -> list[str]:
            answer = await client.get(f"/agents?{query}")
            assert answer.status_code == 200, answer.text
            return [item["agent_code"] for item in answer.json()["items"]]

        assert await codes("") == ["A", "B", "C"]
        assert await codes("skill=water") == ["B"]
        assert await codes("zone=ZONE-DT-01") == ["A", "C"]
        assert await codes("active=true") == ["A", "B"]
        assert await codes("zone=ZONE-DT-01&active=false") == ["C"]
        assert await codes("skill=sewer") == [], "the pack knows it, and nobody has it"
        with clock.at(TUESDAY):
            assert await codes("on_shift=true") == ["A", "B"]
            assert await codes("on_shift=true&skill=water") == ["B"]
            assert await codes("on_shift=false") == ["C"]
        with clock.at(TUESDAY + timedelta(days=1)):
            assert await codes("on_shift=true") == []


@pytest.mark.parametrize("query", ["", "&on_shift=true"])
async def test_pages_join_up_and_cost_the_same_number_of_statements(
    city: City, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    codes = [f"AG-{number:02}" for number in range(7)]
    whole_week = [
        {"day": day, "start": "00:00", "end": "24:00"} for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    ]
    async with await city.client("admin") as client:
        for code in reversed(codes):
            await make(client, agent_code=code, schedule={"timezone": "UTC", "shifts": whole_week})
        seen, cursor, costs = [], "", set()
        for _ in range(3):
            with counted_statements(monkeypatch) as statements:
                answer = (await client.get(f"/agents?limit=3{query}{cursor}")).json()
            costs.add(len(statements))
            seen += [item["agent_code"] for item in answer["items"]]
            cursor = f"&cursor={answer['next_cursor']}"
        with counted_statements(monkeypatch) as statements:
            await client.get(f"/agents?limit=500{query}")
        costs.add(len(statements))
    assert seen == codes
    assert answer["next_cursor"] is None
    assert costs == {2 if query else 1}


@pytest.mark.parametrize("query", ["cursor=nonsense", "limit=0", "limit=501", "on_shift=maybe"])
async def test_a_bad_list_query_is_refused(city: City, query: str) -> None:
    async with await city.client("agent") as client:
        assert (await client.get(f"/agents?{query}")).status_code == 422


async def test_a_change_touches_only_what_was_sent_and_is_recorded(city: City) -> None:
    async with await city.client("admin") as client:
        made = await make(client)
        change = {"schedule": {"on_call": True}, "coverage": {"geo_fence": None}, "skills": ["water"]}
        changed = (await client.patch("/agents/AG-PW-07", json=change)).json()
        assert (await client.patch("/agents/AG-PW-07", json={"skills": ["water"]})).status_code == 200
        assert (await client.patch("/agents/AG-PW-07", json={"agent_code": "NEW"})).status_code == 422
        assert (await client.patch("/agents/AG-PW-07", json={"name": None})).status_code == 422
    assert changed["schedule"] == AGENT["schedule"] | {"on_call": True}  # type: ignore[operator]
    assert changed["coverage"] == {"zone_ids": ["ZONE-DT-01"], "geo_fence": None}
    assert changed["name"] == "Road crew 7"
    async with city.transaction() as tx:
        query = "SELECT type, subject_type, actor_type, meta FROM events WHERE tenant_id = %s AND subject_id = %s ORDER BY seq"
        trail = await tx.rows(query, [tx.tenant_id, made["_id"]])
    assert [(event["type"], event["subject_type"], event["actor_type"]) for event in trail] == [
        ("agent.created", "agent", "dispatcher"),
        ("agent.changed", "agent", "dispatcher"),
    ]
    assert trail[1]["meta"] == {"agent_code": "AG-PW-07", "fields": ["geo_fence", "on_call", "skills"]}


async def test_simultaneous_changes_of_one_agent_are_all_recorded(city: City) -> None:
    async with await city.client("admin") as client:
        made = await make(client)
        answers = await asyncio.gather(
            *(client.patch(f"/agents/{made['_id']}", json={"name": f"Crew {number}"}) for number in range(8))
        )
    assert {answer.status_code for answer in answers} == {200}
    async with city.transaction() as tx:
        about = [tx.tenant_id, made["_id"]]
        assert await tx.value("SELECT max(seq) FROM events WHERE tenant_id = %s AND subject_id = %s", about) == 9


async def test_assignment_gets_every_active_agent_with_their_load_in_one_statement(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await city.client("admin") as client:
        busy, _ = await make(client, agent_code="A"), await make(client, agent_code="B")
        await make(client, agent_code="C", active=False)
    master = new_id()
    await add_request(city, busy["_id"], 1, id=master)
    await add_request(city, busy["_id"], 2, state="waiting")
    await add_request(city, busy["_id"], 3, state="resolved")
    await add_request(city, busy["_id"], 4, master_id=master)
    async with city.transaction() as tx:
        with counted_statements(monkeypatch) as statements:
            rows = await list_active_agents(tx)
    assert len(statements) == 1
    assert [(row["agent_code"], row["open_load"]) for row in rows] == [("A", 2), ("B", 0)]
