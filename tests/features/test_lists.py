"""GET /requests (R-KPI-07): filters, sorts, cursors, what each caller sees, and what a page costs."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from builders import add_agent, create, move, report, walk_to
from explaining import Explaining, fill
from insight_support import change_row
from tests_support import problem

from civicpulse.base import clock
from civicpulse.base.db import Tx
from civicpulse.base.events import Actor
from civicpulse.base.ids import new_id
from civicpulse.requests.filters import RequestFilters
from civicpulse.requests.listing import list_requests
from civicpulse.requests.visibility import EVERYTHING, PUBLIC, Ground, Sight, reported_by
from conftest import City

ASKED = [
    RequestFilters(),
    RequestFilters(status=("new",)),
    RequestFilters(category=("pothole",)),
    RequestFilters(merged=False),
]
ORIGIN = datetime(2026, 5, 1, 12, tzinfo=UTC)


async def listed(client: httpx.AsyncClient, **params: Any) -> list[str]:
    """The numbers that a list answers, in its order."""
    answer = await client.get("/requests", params=params)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.keys() == {"items", "next_cursor"} | ({"total"} if "total" in params else set())
    return [item["request_id"] for item in body["items"]]


async def walk(client: httpx.AsyncClient, **params: Any) -> list[str]:
    """All numbers, page by page."""
    numbers: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        given = {"cursor": cursor} if cursor else {}
        body = (await client.get("/requests", params=params | given)).json()
        numbers += [item["request_id"] for item in body["items"]]
        assert len(body["items"]) <= int(params.get("limit", 50))
        cursor = body["next_cursor"]
    return numbers


async def spread(city: City, count: int, **changes: Any) -> list[str]:
    """Requests an hour and ten kilometres apart, oldest first."""
    anybody, numbers = await city.client(), []
    for index in range(count):
        with clock.at(ORIGIN + timedelta(hours=index)):
            numbers.append((await create(anybody, lat=40 + index / 10, **changes))["request_id"])
    return numbers


@pytest.fixture
async def town(city: City) -> dict[str, str]:
    """Six requests that differ in everything one can ask for, by a name each."""
    admin, names = await city.client("admin"), {}
    kinds: dict[str, dict[str, Any]] = {
        "hole": {"category": "pothole", "description": "Crater beside the zebra crossing"},
        "leak": {"category": "water_leak", "description": "The hydrant drips", "tags": ["emergency"]},
        "paint": {"category": "graffiti", "description": "Ёлка нарисована на стене"},
        "noise": {"category": "noise", "description": "Jackhammer at six"},
        "dump": {"category": "illegal_dumping", "description": "Sofa", "external_id": "EXT-7"},
        "closed": {"category": "pothole", "description": "Spam"},
    }
    for index, (name, changes) in enumerate(kinds.items()):
        with clock.at(ORIGIN + timedelta(days=index)):
            names[name] = (await create(admin, lat=40 + index, lon=-70 - index, **changes))["request_id"]
    with clock.at(ORIGIN + timedelta(days=6)):
        await move(admin, names["closed"], "closed")
        await move(admin, names["paint"], "triaged")
        async with city.transaction() as tx:
            paint = await tx.value(
                "SELECT id FROM requests WHERE tenant_id = %s AND number = %s", [tx.tenant_id, names["paint"]]
            )
            await change_row(tx, paint, zone_id="ZONE-9")
        await walk_to(admin, names["hole"], "assigned")
    return names


async def test_each_filter_alone_and_together(city, town) -> None:
    staff = await city.client("dispatcher")
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({}, set(town)),
        ({"status": "new"}, {"leak", "noise", "dump"}),
        ({"status": "assigned,closed"}, {"hole", "closed"}),
        ({"status": ["assigned", "triaged"]}, {"hole", "paint"}),
        ({"category": "pothole"}, {"hole", "closed"}),
        ({"priority": "P1"}, {"leak"}),
        ({"zone": "ZONE-9"}, {"paint"}),
        ({"zone": "ZONE-9,UNZONED", "category": "graffiti,noise"}, {"paint", "noise"}),
        ({"sla_state": "completed"}, {"closed"}),
        ({"sla_state": "on_track"}, set(town) - {"closed", "hole"}),
        ({"sla_state": "near_breach,overdue,breached"}, {"hole"}),
        ({"from": "2026-05-03", "to": "2026-05-05"}, {"paint", "noise"}),
        ({"from": "2026-05-03T12:00:00Z", "to": "2026-05-03T12:00:00.000001Z"}, {"paint"}),
        ({"from": "2026-05-03T15:00:00+03:00", "to": "2026-05-04T12:00:00Z"}, {"paint"}),
        ({"agent": f"AG-{town['hole']}"}, {"hole"}),
        ({"external_id": "EXT-7"}, {"dump"}),
        ({"source": "api"}, set(town)),
        ({"source": "csv"}, set()),
        ({"q": "crossing"}, {"hole"}),
        ({"q": "ЁЛКА"}, {"paint"}),
        ({"q": '"hydrant drips"'}, {"leak"}),
        ({"q": "hydrant -drips"}, set()),
        ({"q": town["dump"]}, {"dump"}),
        ({"bbox": "-71.5,39,-69,41.5"}, {"hole", "leak"}),
        ({"bbox": "-71,41,-71,41"}, {"leak"}),
        ({"category": "pothole", "status": "closed", "from": "2026-05-06", "q": "spam"}, {"closed"}),
        ({"category": "pothole", "status": "new"}, set()),
    ]
    names = {number: name for name, number in town.items()}
    for params, expected in cases:
        found = await listed(staff, **params)
        assert {names[number] for number in found} == expected, params
        assert len(found) == len(set(found))
        assert (await staff.get("/requests", params=params | {"total": "true"})).json()["total"] == len(expected)


async def test_masters_and_duplicates_apart(city) -> None:
    anybody = await city.client()
    numbers = [(await create(anybody))["request_id"] for _ in range(3)]
    assert await listed(anybody, merged=False) == numbers[:1]
    assert sorted(await listed(anybody, merged=True)) == numbers[1:]
    assert len(await listed(anybody)) == 3
    items = (await anybody.get("/requests", params={"merged": True})).json()["items"]
    assert {item["duplicates"]["master_request_id"] for item in items} == {numbers[0]}


async def test_every_sort_both_ways(city, town) -> None:
    staff = await city.client("dispatcher")
    items = (await staff.get("/requests")).json()["items"]
    keys: dict[str, Any] = {
        "created_at": lambda item: item["timestamps"]["created_at"],
        "updated_at": lambda item: item["timestamps"]["updated_at"],
        "priority": lambda item: (item["priority"], item["timestamps"]["created_at"]),
    }
    assert await listed(staff) == await listed(staff, sort="-created_at")
    for name, key in keys.items():
        ranked = [key(item) for item in sorted(items, key=key)]
        by_number = {item["request_id"]: key(item) for item in items}
        assert [by_number[number] for number in await listed(staff, sort=name)] == ranked
        assert [by_number[number] for number in await listed(staff, sort=f"-{name}")] == ranked[::-1]


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "updated_at", "-updated_at", "priority", "-priority"])
@pytest.mark.parametrize("limit", [1, 3, 7])
async def test_a_walk_sees_each_row_once_in_order(city, sort: str, limit: int) -> None:
    numbers = await spread(city, 7)
    staff = await city.client("dispatcher")
    whole = await listed(staff, sort=sort)
    assert await walk(staff, sort=sort, limit=limit) == whole
    assert sorted(whole) == sorted(numbers)


async def test_rows_of_the_very_same_instant_are_not_lost_between_pages(city) -> None:
    anybody = await city.client()
    with clock.at(ORIGIN):
        numbers = {(await create(anybody, lat=40 + index / 10))["request_id"] for index in range(9)}
    for sort in ("created_at", "-created_at", "priority", "-updated_at"):
        found = await walk(anybody, sort=sort, limit=2)
        assert len(found) == len(set(found)) == 9
        assert set(found) == numbers


async def test_a_walk_while_others_report_sees_what_was_there_once(city) -> None:
    before, dice = await spread(city, 20), random.Random(5)
    anybody = await city.client()
    for sort in ("-created_at", "created_at", "priority"):
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            params = {"limit": 3, "sort": sort} | ({"cursor": cursor} if cursor else {})
            body = (await anybody.get("/requests", params=params)).json()
            seen += [item["request_id"] for item in body["items"]]
            cursor = body["next_cursor"]
            with clock.at(ORIGIN + timedelta(seconds=dice.uniform(-9e4, 9e4))):
                await anybody.post("/requests", json=report(category="tree_pruning", description="new"))
        assert len(seen) == len(set(seen))
        assert set(before) <= set(seen)


async def test_a_cursor_fits_only_the_list_it_was_made_for(city) -> None:
    await spread(city, 3)
    staff = await city.client("dispatcher")
    cursor = (await staff.get("/requests", params={"limit": 1})).json()["next_cursor"]
    for sort in ("created_at", "priority", "-updated_at"):
        problem(await staff.get("/requests", params={"cursor": cursor, "sort": sort}), 422)
    assert len(await listed(staff, cursor=cursor)) == 2


async def test_the_last_page_says_that_it_is_the_last(city) -> None:
    await spread(city, 4)
    staff = await city.client("dispatcher")
    body = (await staff.get("/requests", params={"limit": 2})).json()
    last = (await staff.get("/requests", params={"limit": 2, "cursor": body["next_cursor"]})).json()
    assert (len(last["items"]), last["next_cursor"]) == (2, None)
    assert (await staff.get("/requests", params={"limit": 4})).json()["next_cursor"] is None


# ------------------------------------------------------------------------------------------------- who sees what


async def test_each_role_sees_what_is_its_own_to_see(city, town) -> None:
    public = set(town.values()) - {town["noise"]}
    for role in ("agent", "dispatcher", "supervisor", "admin", "system"):
        assert set(await listed(await city.client(role))) == set(town.values())
    for visitor in (None, "citizen"):
        caller = await city.client(visitor)
        assert set(await listed(caller)) == public
        assert await listed(caller, category="noise") == []
        assert await listed(caller, q="jackhammer") == []
        body = (await caller.get("/requests", params={"total": True})).json()
        assert body["total"] == len(public)
        for item in body["items"]:
            assert item["citizen_ref"]["citizen_id"] is None
            assert not item.keys() & {"internal", "assignment", "external_id"}
        problem(await caller.get("/requests", params={"agent": f"AG-{town['hole']}"}), 422)
        problem(await caller.get("/requests", params={"agent": "nobody"}), 422)
        problem(await caller.get("/requests", params={"citizen_id": str(uuid4())}), 422)
    problem(await (await city.client()).get("/requests", params={"mine": True}), 401)


async def test_a_citizen_lists_their_own_also_what_is_not_public(city) -> None:
    registered = await (await city.client("admin")).post(
        "/citizens", json={"full_name": "Ada", "contacts": {"email": f"{uuid4().hex}@example.org"}}
    )
    ada = registered.json()["_id"]
    citizen, other, staff = (
        await city.client("citizen", actor_id=ada),
        await city.client("citizen"),
        await city.client("agent"),
    )
    noisy = (await create(citizen, category="noise", citizen_ref={"contact_channel": "none"}))["request_id"]
    by_phone = (await create(staff, category="graffiti", citizen_ref={"citizen_id": ada}))["request_id"]
    await create(other, category="noise", lat=42.0)
    assert await listed(citizen, mine=True) == [noisy]
    assert set(await listed(citizen, citizen_id=ada)) == {noisy, by_phone}
    assert noisy not in await listed(other)
    assert len(await listed(other, mine=True)) == 1
    assert set(await listed(staff, citizen_id=ada)) == {noisy, by_phone}


async def test_requests_of_an_agent_who_has_left_can_still_be_listed(city) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    await walk_to(admin, number, "assigned")
    agent = (await admin.get(f"/agents/AG-{number}")).json()
    await move(admin, number, "in_progress")
    changed = await admin.patch(f"/agents/AG-{number}", json={"active": False})
    assert changed.status_code == 200, changed.text
    assert await listed(admin, agent=f"AG-{number}") == await listed(admin, agent=agent["_id"]) == [number]


# ------------------------------------------------------------------------------------------------------ its cost


async def statements(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str) -> list[str]:
    """What the database is asked for one answer."""
    asked: list[str] = []

    def counting(name: str) -> None:
        plain = getattr(Tx, name)

        async def counted(self: Tx, statement: Any, params: Any = None) -> Any:
            asked.append(str(statement)[:60])
            return await plain(self, statement, params)

        patch.setattr(Tx, name, counted)

    with monkeypatch.context() as patch:
        for name in ("rows", "row", "value", "run"):
            counting(name)
        answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return asked


@pytest.mark.parametrize("role", ["dispatcher", None])
async def test_a_page_of_fifty_asks_as_often_as_a_page_of_five(city, monkeypatch, role: str | None) -> None:
    await spread(city, 50)
    anybody = await city.client()
    for _ in range(5):
        await create(anybody, lat=40)
    caller = await city.client(role)
    await caller.get("/requests")
    few = await statements(caller, monkeypatch, "/requests?limit=5")
    many = await statements(caller, monkeypatch, "/requests?limit=50")
    assert len(few) == len(many) == 1, many
    assert len(await statements(caller, monkeypatch, "/requests?limit=50&total=true&q=pothole&status=new")) == 2


async def test_one_request_asks_once(city, monkeypatch) -> None:
    staff = await city.client("dispatcher")
    number = (await create(staff))["request_id"]
    await staff.get(f"/requests/{number}")
    assert len(await statements(staff, monkeypatch, f"/requests/{number}")) == 1


MANY = """
INSERT INTO requests (tenant_id, id, number, pack_version, category, description, status, state_category, priority,
    priority_score, lon, lat, cell, sla_state, created_at, updated_at)
SELECT tenant_id, gen_random_uuid(), 'M-' || n, pack_version, category, description, status, state_category, 'P' || (1 + n %% 4),
    priority_score, lon, lat, cell, sla_state, created_at - make_interval(secs => n), updated_at - make_interval(secs => n)
FROM requests, generate_series(1, 5000) AS n WHERE number = %s
"""


async def test_pages_come_from_an_index_in_their_order(lone_city: City, own_database_url: str) -> None:
    """Whatever the sort, a page reads its rows in order: no sort of everything, however many there are."""
    number = (await create(await lone_city.client()))["request_id"]
    await fill(own_database_url, MANY, [number], "requests")
    own = PUBLIC | reported_by(Actor("citizen", "citizen", str(new_id())))
    of_zone = own | Sight((Ground("zone_id", ("UNZONED", "Z1")),))
    wanted = [(filters, sight) for sight in (EVERYTHING, PUBLIC, own, of_zone) for filters in ASKED]
    async with lone_city.transaction() as tx:
        explaining = Explaining(tx)
        page: dict[str, Any] = {"limit": 50, "cursor": None}
        for filters, sight in wanted:
            for sort in ("created_at", "-created_at"):
                await list_requests(explaining, filters, sight, sort=sort, **page)
        for sort in ("-updated_at", "priority", "-priority"):
            await list_requests(explaining, RequestFilters(), PUBLIC, sort=sort, **page)
    for plan in explaining.plans:
        assert "Index Scan" in plan.split("SubPlan")[0], plan
        assert "Sort" not in plan.split("SubPlan")[0], plan
        assert "hashed SubPlan" not in plan, plan


async def test_the_etag_of_a_read_is_the_version_that_a_change_may_name(city) -> None:
    staff = await city.client("dispatcher")
    number = (await create(staff))["request_id"]
    answer = await staff.get(f"/requests/{number}")
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    moved = await staff.patch(
        f"/requests/{number}/transition", json={"to": "triaged"}, headers={"If-Match": answer.headers["etag"]}
    )
    assert moved.headers["etag"] != answer.headers["etag"]
    assert moved.headers["etag"] == (await staff.get(f"/requests/{number}")).headers["etag"]


async def test_agents_are_found_by_code_or_id(city) -> None:
    admin = await city.client("admin")
    agent = await add_agent(admin, "AG-77")
    assert await listed(admin, agent="AG-77") == await listed(admin, agent=agent["_id"]) == []
