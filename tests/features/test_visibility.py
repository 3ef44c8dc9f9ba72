"""Who may see a request: the rule as a condition in SQL and as a check of one row, and what readers of all kinds learn."""

import itertools
import random
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from builders import add_agent, create, move, png, report, walk_to
from explaining import Explaining, fill
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st
from insight_support import DAY, NOON, add_row, change_row, random_columns
from pipeline_support import small, ticket
from tests_support import problem

from civicpulse.base import clock
from civicpulse.base.errors import Conflict
from civicpulse.base.events import SYSTEM, Actor
from civicpulse.base.outbox import drain
from civicpulse.centre.texts import TEXTS
from civicpulse.duplicates.merging import merge
from civicpulse.insight.actions import fold_kpis
from civicpulse.insight.map import geo_queries
from civicpulse.insight.schemas import Scope
from civicpulse.notify.queries import QUEUE
from civicpulse.packs.loader import read_pack
from civicpulse.reactions import REACTIONS
from civicpulse.requests import visibility
from civicpulse.requests.store import COLUMNS
from civicpulse.requests.visibility import EVERYTHING, NOTHING, PUBLIC, Ground, Sight, readers_of, reported_by
from conftest import City, make_city

ADA, BOB = UUID(int=1), UUID(int=2)
KEYS = ("anonymous", f"citizen:{ADA}", f"citizen:{BOB}", f"agent:{ADA}", "importer")

# ------------------------------------------------------------------------------------------------------------- the rule

SIGHTS = {
    "nothing": NOTHING,
    "everything": EVERYTHING,
    "anybody": PUBLIC,
    "a stranger": PUBLIC | reported_by(Actor("anonymous", "citizen")),
    "a citizen": PUBLIC | reported_by(Actor("citizen", "citizen", str(ADA))),
    "another citizen": PUBLIC | reported_by(Actor("citizen", "citizen", str(BOB))),
    "an agent's own": PUBLIC
    | reported_by(Actor("agent", "agent", str(ADA)))
    | Sight((Ground("assigned_agent_id", (ADA,)),)),
    "an agent's zones": PUBLIC | Sight((Ground("zone_id", ("Z1", "Z2")),)),
    "an agent's zone alone": Sight((Ground("zone_id", ("Z1",)),)),
    "an agent without zones": Sight((Ground("zone_id", ()),)) | NOTHING,
    "an agent's office": PUBLIC | Sight((Ground("office_id", (ADA,)),)),
    "an agent's skills": PUBLIC | Sight((Ground("category", ("pothole", "noise")),)),
}


async def test_the_condition_and_the_check_say_the_same_of_every_row(city) -> None:
    async with city.transaction() as tx:
        await tx.run(
            "INSERT INTO citizens (tenant_id, id, preferences, created_at) "
            "SELECT %s, c, '{}', now() FROM unnest(%s::uuid[]) AS c",
            [tx.tenant_id, [ADA, BOB]],
        )
        for public, by, citizen in itertools.product((True, False), KEYS, (None, ADA, BOB)):
            zone, category = ("Z1", "noise") if by == "anonymous" else ("Z2", "graffiti")
            await add_row(tx, is_public=public, created_by=by, citizen_id=citizen, zone_id=zone, category=category)
        rows = await tx.rows(f"SELECT {COLUMNS} FROM requests r WHERE r.tenant_id = %s", [tx.tenant_id])
        assert len(rows) == 30
        tracked = {"one's own link": PUBLIC | Sight((Ground("id", (rows[7]["id"],)),))}
        shared = {f"readers of {row['number']}": readers_of(row) for row in rows}
        for name, sight in (SIGHTS | tracked | shared).items():
            found = await tx.rows(
                visibility.SEEN_BY_NUMBER.format(seen=sight.predicate()),
                {"tenant_id": tx.tenant_id, "numbers": [row["number"] for row in rows]} | sight.parameters,
            )
            assert {one["number"] for one in found} == {row["number"] for row in rows if sight.sees(row)}, name


grounds = st.builds(
    Ground,
    st.sampled_from(("zone_id", "category", "created_by")),
    st.lists(st.sampled_from("abc"), max_size=3).map(tuple),
)
sights = st.builds(Sight, st.lists(grounds, max_size=3).map(tuple), st.booleans())
rows_of = st.fixed_dictionaries({name: st.sampled_from("abcd") for name in ("zone_id", "category", "created_by")})


@given(sights, sights, rows_of)
def test_two_sights_together_see_what_either_sees(one: Sight, other: Sight, row: dict[str, Any]) -> None:
    assert (one | other).sees(row) == (one.sees(row) or other.sees(row))


@pytest.mark.parametrize(
    ("report", "candidate", "is_shared"),
    [
        ((True, "anonymous", None), (True, "anonymous", None), True),
        ((True, f"citizen:{ADA}", ADA), (False, f"citizen:{ADA}", ADA), False),
        ((False, "anonymous", None), (True, "importer", None), True),
        ((False, "anonymous", None), (False, "anonymous", None), False),
        ((False, "importer", None), (False, "importer", None), False),
        ((False, f"citizen:{ADA}", ADA), (False, f"citizen:{ADA}", None), True),
        ((False, f"agent:{BOB}", ADA), (False, f"citizen:{ADA}", ADA), True),
        ((False, f"agent:{BOB}", ADA), (False, f"agent:{BOB}", None), False),
        ((False, f"agent:{BOB}", None), (False, f"agent:{BOB}", None), True),
        ((False, f"citizen:{ADA}", ADA), (False, f"citizen:{BOB}", BOB), False),
    ],
)
def test_whether_everybody_who_sees_a_report_sees_another(
    report: tuple[Any, ...], candidate: tuple[Any, ...], is_shared: bool
) -> None:
    one, other = (dict(zip(("is_public", "created_by", "citizen_id"), row, strict=True)) for row in (report, candidate))
    assert readers_of(one).sees(other) is is_shared


# ----------------------------------------------------------------------------- a private report beside a public one


async def public_figures(client: httpx.AsyncClient) -> dict[str, Any]:
    """What lists, feeds and figures say of what is there: all that a reader could count."""
    listed = (await client.get("/requests?total=true")).json()
    masters = (await client.get("/requests?total=true&merged=false")).json()
    duplicates = (await client.get("/requests?total=true&merged=true")).json()
    issues = (await client.get("/issues")).json()["items"]
    heat = (await client.get("/analytics/geofeeds/heatmap?fresh=true")).json()["features"]
    kpis = (await client.get("/analytics/kpis")).json()["totals"]
    return {
        "all": sorted(item["request_id"] for item in listed["items"]),
        "totals": (listed["total"], masters["total"], duplicates["total"]),
        "masters": sorted(item["request_id"] for item in masters["items"]),
        "issues": sorted((item["request_id"], item["report_count"]) for item in issues),
        "points": sorted(point["properties"]["request_id"] for point in heat),
        "open": kpis["backlog"]["open"] if isinstance(kpis["backlog"], dict) else kpis["backlog"],
    }


async def readers(city: City) -> dict[str, httpx.AsyncClient]:
    """Those who see what is public, and nothing else of strangers."""
    return {"anybody": await city.client(), "another citizen": await city.client("citizen", actor_id=uuid4())}


async def answers_about(client: httpx.AsyncClient, number: str, **headers: str) -> str:
    """All that can be asked about one request, as one text."""
    paths = ("", "/events", "/sla")
    found = [await client.get(f"/requests/{number}{path}", headers=headers) for path in paths]
    found.append(await client.get(f"/issues/{number}", headers=headers))
    assert [answer.status_code for answer in found] == [200] * 4
    return " ".join(answer.text for answer in found)


@pytest.mark.parametrize("comes_first", ["private", "public"])
async def test_a_private_report_and_a_public_one_are_joined_by_staff_only(city, comes_first: str) -> None:
    """Whichever comes first: the public one is neither attached nor said to be like the private one, and stays on the map."""
    anybody, staff = await city.client(), await city.client("dispatcher")
    owner = await city.client("citizen")
    if comes_first == "private":
        private = await create(owner, is_public=False)
        public = await create(anybody)
        assert public["duplicates"]["is_master"] is True
        assert public["duplicates"]["proposed"] == []
        proposed = (await staff.get(f"/requests/{public['request_id']}/duplicates")).json()["candidates"]
        assert [(one["request_id"], one["attachable"]) for one in proposed] == [(private["request_id"], False)]
        assert (
            await staff.post(f"/requests/{public['request_id']}/merge", json={"other": private["request_id"]})
        ).is_success
    else:
        public = await create(anybody)
        private = await create(owner, is_public=False)
        assert private["duplicates"]["master_request_id"] == public["request_id"]
    number, hidden = public["request_id"], private["request_id"]
    alone = {
        "all": [number],
        "totals": (1, 1, 0),
        "masters": [number],
        "issues": [(number, 1)],
        "points": [number],
        "open": 1,
    }
    for name, reader in (await readers(city)).items():
        assert await public_figures(reader) == alone, name
        assert hidden not in await answers_about(reader, number)
        problem(await reader.get(f"/requests/{hidden}"), 404, "request_not_found")
        types = [event["type"] for event in (await reader.get(f"/requests/{number}/events")).json()["items"]]
        assert len(types) == 1, "that it was joined is no business of the public's"
    told = (await staff.get(f"/requests/{number}")).json()["duplicates"]
    assert told == {"is_master": True, "master_request_id": None, "linked_duplicates": [hidden]}
    mine = (await owner.get(f"/requests/{hidden}")).json()["duplicates"]
    assert (mine["is_master"], mine["master_request_id"]) == (False, number)
    assert (await staff.get(f"/issues/{number}")).json()["report_count"] == 2


async def test_what_was_joined_to_a_private_request_before_shows_nothing_of_it(city) -> None:
    """Rows of former versions: a public duplicate of a private master is a request of its own to whoever sees no more."""
    anybody, staff = await city.client(), await city.client("dispatcher")
    private = await create(await city.client("citizen"), is_public=False)
    public = await create(anybody)
    async with city.transaction() as tx:
        await tx.run(
            "UPDATE requests SET master_id = %s WHERE tenant_id = %s AND number = %s",
            [private["_id"], tx.tenant_id, public["request_id"]],
        )
    for reader in (await readers(city)).values():
        shown = (await reader.get(f"/requests/{public['request_id']}")).json()
        assert shown["duplicates"] == {"is_master": True, "master_request_id": None, "linked_duplicates": []}
        assert shown["workflow"]["allowed_next"] != []
        assert private["request_id"] not in await answers_about(reader, public["request_id"])
        figures = await public_figures(reader)
        assert (figures["masters"], figures["issues"]) == ([public["request_id"]], [(public["request_id"], 1)])
        assert figures["points"] == [public["request_id"]]
        box = "/analytics/geofeeds/clusters?fresh=true&zoom=17&bbox=-74.01,40.70,-73.99,40.72"
        (point,) = (await reader.get(box)).json()["features"]
        assert point["properties"]["request_id"] == public["request_id"]
    (point,) = (await staff.get("/analytics/geofeeds/heatmap?fresh=true")).json()["features"]
    assert point["properties"]["request_id"] == private["request_id"], "staff has the two as one"
    assert (await staff.get("/requests?merged=true")).json()["items"][0]["request_id"] == public["request_id"]


async def test_two_private_reports_of_different_people_are_joined_by_staff_only(city) -> None:
    ada, bob, staff = await city.client("citizen"), await city.client("citizen"), await city.client("dispatcher")
    first, other = await create(ada, is_public=False), await create(bob, is_public=False)
    assert other["duplicates"] == {
        "is_master": True,
        "master_request_id": None,
        "linked_duplicates": [],
        "proposed": [],
    }
    again = await create(ada, is_public=False)
    assert again["duplicates"]["master_request_id"] == first["request_id"], "one's own reports are one's own to know"
    number, hidden = other["request_id"], first["request_id"]
    assert (await staff.post(f"/requests/{number}/merge", json={"other": hidden})).is_success
    own = (await bob.get(f"/requests/{number}")).json()
    assert own["duplicates"] == {"is_master": True, "master_request_id": None, "linked_duplicates": []}
    assert hidden not in await answers_about(bob, number)
    assert [item["request_id"] for item in (await bob.get("/requests?merged=false")).json()["items"]] == [number]
    await walk_to(await city.client("admin"), hidden, "resolved")
    assert (await bob.get(f"/requests/{number}")).json()["status"] == "resolved", (
        "it follows a master that it does not see"
    )
    assert hidden not in await answers_about(bob, number)


async def test_nothing_of_it_crosses_to_another_tenant(city, other_city) -> None:
    private = await create(await city.client("citizen"), is_public=False)
    public = await create(await city.client())
    for role in (None, "citizen", "agent", "admin"):
        spy = await other_city.client(role)
        for number in (private["request_id"], public["request_id"]):
            problem(await spy.get(f"/requests/{number}"), 404, "request_not_found")
        assert (await spy.get("/requests?total=true")).json()["total"] == 0


# ------------------------------------------------------------------------------------------------------ roles with a scope


def role(scope: str, **more: Any) -> dict[str, Any]:
    """A role that may do all that staff does, with requests of a scope only."""
    return {"title": scope, "kind": "agent", "scope": scope, "permissions": ["*"], "bound": False} | more


@pytest.fixture
async def scoped(app: Any, database_url: str) -> City:
    """A city with a role for every scope."""
    roles = read_pack("civic").model_dump(mode="json")["roles"]
    named = roles["named"] | {f"by_{scope}": role(scope) for scope in ("own", "zone", "office", "category", "none")}
    return await make_city(app, database_url, roles=roles | {"named": named})


async def of_scope(city: City, scope: str, **changes: Any) -> tuple[httpx.AsyncClient, dict[str, Any]]:
    """A client whose role has the scope, and the agent behind it."""
    agent = await add_agent(await city.client("admin"), f"AG-{scope}", **changes)
    return await city.client(f"by_{scope}", actor_id=agent["_id"]), agent


async def place(city: City, number: str, **columns: Any) -> None:
    """Puts a request into a zone or an office, or gives it to an agent, without any rule."""
    async with city.transaction() as tx:
        row = await tx.row("SELECT id FROM requests WHERE tenant_id = %s AND number = %s", [tx.tenant_id, number])
        assert row is not None
        await change_row(tx, row["id"], **columns)


async def add_office(city: City) -> UUID:
    """An office."""
    async with city.transaction() as tx:
        office = uuid4()
        await tx.run(
            "INSERT INTO offices (tenant_id, id, name, address, lon, lat, geo_quality, created_at, updated_at) "
            "VALUES (%s, %s, 'Main', '1 Main St', -74, 40.7, 'house', now(), now())",
            [tx.tenant_id, office],
        )
        return office


# Every route with a number in its path and a body that it takes; a new one must be added here.
ROUTES: dict[tuple[str, str], Any] = {
    ("GET", "/requests/{number}"): None,
    ("PATCH", "/requests/{number}/transition"): {"to": "triaged"},
    ("PATCH", "/requests/{number}/milestone"): {"milestone": "work_started"},
    ("POST", "/requests/{number}/escalate"): {"reason": "Too slow"},
    ("POST", "/requests/{number}/auto-assign"): None,
    ("POST", "/requests/{number}/comment"): {"message": "Hello"},
    ("POST", "/requests/{number}/rating"): {"rating": 5},
    ("GET", "/requests/{number}/events"): None,
    ("GET", "/requests/{number}/sla"): None,
    ("POST", "/requests/{number}/evidence"): "files",
    ("GET", "/requests/{number}/redactions"): None,
    ("PUT", "/requests/{number}/redactions"): {"words": ["hole"], "reason": "A name"},
    ("GET", "/requests/{number}/duplicates"): None,
    ("POST", "/requests/{number}/duplicates/{other}/reject"): {"reason": "They differ"},
    ("DELETE", "/requests/{number}/duplicates/{other}/reject"): None,
    ("POST", "/requests/{number}/merge"): {"other": "{other}"},
    ("POST", "/requests/{number}/unmerge"): None,
    ("POST", "/requests/{number}/analyse"): None,
    ("GET", "/requests/{number}/analysis"): None,
    ("GET", "/issues/{number}"): None,
}
READING = {"/requests/{number}", "/requests/{number}/events", "/requests/{number}/sla", "/issues/{number}"}
READERS = READING | {f"/requests/{{number}}/{word}" for word in ("comment", "rating", "evidence")}


async def call(client: httpx.AsyncClient, route: tuple[str, str], number: str, other: str) -> httpx.Response:
    """Calls a route with a number of one request and of another."""
    (method, path), body = route, ROUTES[route]
    url = path.format(number=number, other=other)
    if body == "files":
        return await client.request(method, url, files=[("file", ("a.png", png(), "image/png"))])
    sent = body and {key: value.format(other=other) if isinstance(value, str) else value for key, value in body.items()}
    return await client.request(method, url, json=sent)


async def test_no_route_tells_or_touches_what_its_caller_may_not_see(scoped) -> None:
    known = {
        (method, route.path)
        for route in scoped.app.routes
        if isinstance(route, APIRoute) and "{number}" in route.path and not route.path.startswith("/track/")
        for method in (route.methods or ())
    }
    assert known == set(ROUTES), "add the new route to ROUTES"
    staff, (agent, _) = await scoped.client("dispatcher"), await of_scope(scoped, "own")
    private = (await create(staff, is_public=False))["request_id"]
    public = (await create(staff, category="graffiti", lat=41.0))["request_id"]
    for route in ROUTES:
        problem(await call(agent, route, private, public), 404, "request_not_found")
        if route[1] not in READERS:
            problem(await call(agent, route, public, private), 403, "outside_scope")
    for client in (agent, await scoped.client("by_none")):
        problem(await client.post(f"/requests/{private}/transition", json={"to": 7}), 405)
        problem(await client.patch(f"/requests/{private}/transition", json={"to": 7}), 404, "request_not_found")
    untouched = (await staff.get(f"/requests/{private}")).json()
    assert (untouched["version"], untouched["status"]) == (1, "new")


@pytest.mark.parametrize("scope", ["own", "zone", "office", "category", "none"])
async def test_a_role_sees_what_is_in_its_scope_as_staff_and_the_rest_as_the_public(scoped, scope: str) -> None:
    staff, changes = await scoped.client("dispatcher"), {}
    office = await add_office(scoped)
    if scope == "category":
        changes = {"skills": ["asphalt", "road_maintenance"]}
    client, agent = await of_scope(scoped, scope, **changes)
    inside = (await create(staff, is_public=False))["request_id"]
    outside = (await create(staff, category="noise", lat=41.0))["request_id"]
    public = (await create(staff, category="graffiti", lat=41.5))["request_id"]
    await place(scoped, public, zone_id="Z9")
    await place(scoped, outside, zone_id="Z9")
    if scope == "own":
        await place(scoped, inside, assigned_agent_id=agent["_id"])
    if scope == "office":
        await place(scoped, inside, office_id=office)
        async with scoped.transaction() as tx:
            await tx.run(
                "UPDATE agents SET office_id = %s WHERE tenant_id = %s AND id = %s",
                [office, tx.tenant_id, agent["_id"]],
            )
    listed = {item["request_id"]: item for item in (await client.get("/requests?total=true")).json()["items"]}
    mine = set() if scope == "none" else {inside}
    assert set(listed) == mine | {public}
    assert "internal" not in listed[public]
    assert (await client.get("/tickets")).json()["total"] == len(mine)
    assert (await client.get("/dashboard/stats")).json()["total_tickets"] == len(mine)
    heat = (await client.get("/analytics/geofeeds/heatmap?fresh=true")).json()["features"]
    assert {point["properties"]["request_id"] for point in heat} == mine | {public}
    problem(await client.get(f"/requests/{outside}"), 404, "request_not_found")
    problem(await client.get(f"/tickets/{outside}"), 404, "ticket_not_found")
    for number in mine:
        assert "internal" in listed[number]
        assert (await move(client, number, "triaged")).json()["status"] == "triaged"
        assert (await client.get(f"/requests/{number}/duplicates")).status_code == 200
        problem(await client.post(f"/requests/{number}/merge", json={"other": outside}), 404, "request_not_found")
        problem(await client.post(f"/requests/{number}/merge", json={"other": public}), 403, "outside_scope")


async def test_an_external_id_that_is_taken_names_the_request_to_those_who_see_it(scoped) -> None:
    staff, (client, agent) = await scoped.client("dispatcher"), await of_scope(scoped, "own")
    number = (await create(staff, is_public=False, external_id="X-1"))["request_id"]
    body = report(external_id="X-1")
    told = problem(await staff.post("/requests", json=body), 409, "external_id_taken")
    assert told["request_id"] == number
    assert number in told["detail"]
    hidden = await client.post("/requests", json=body)
    problem(hidden, 409, "external_id_taken")
    assert number not in hidden.text
    await place(scoped, number, assigned_agent_id=agent["_id"])
    assert problem(await client.post("/requests", json=body), 409, "external_id_taken")["request_id"] == number


async def test_a_run_shows_and_names_only_tickets_that_its_caller_sees(app: Any, database_url: str) -> None:
    roles = read_pack("contact_centre").model_dump(mode="json")["roles"]
    named = roles["named"] | {"by_none": role("none")}
    centre = await make_city(app, database_url, pack="contact_centre", roles=roles | {"named": named})
    staff, client = await centre.client("dispatcher"), await centre.client("by_none")
    answer = await client.post("/upload", files=small(ticket("g-1")))
    result, (seen,) = answer.json(), (await staff.get("/tickets")).json()["items"]
    number = seen["request_id"]
    assert (result["tickets_loaded"], result["tickets"], result["tickets_truncated"]) == (1, [], False)
    async with centre.transaction() as tx:
        await change_row(tx, UUID(seen["id"]), status="resolved")
    again = await client.post("/upload", files=small(ticket("g-1", "Другой вопрос")))
    (fault,) = again.json()["errors"]
    assert fault == {"file": "tickets.csv", "line": 2, "message": TEXTS["ru"]["not_seen"], "severity": "warning"}
    run = f"/pipeline-runs/{again.json()['run_id']}"
    answers = [answer, again, *[await client.get(path) for path in (run, f"{run}/events", "/pipeline-runs")]]
    assert [one.status_code for one in answers] == [200] * 5
    assert not [one for one in answers if number in one.text]
    (whole,) = (await staff.get(run)).json()["result"]["errors"]
    assert whole["request_id"] == number
    assert whole["message"].startswith(f"{number} в состоянии ")
    assert number in (await staff.get(f"{run}/events")).text
    processed = await client.post("/process", params={"all": True})
    assert (processed.status_code, processed.json()["tickets"]) == (200, [])


# --------------------------------------------------------------------------------------------------- words that are sent


async def test_a_citizen_is_told_nothing_of_a_master_that_they_do_not_see(city) -> None:
    admin, staff = await city.client("admin"), await city.client("dispatcher")
    made = [await admin.post("/citizens", json={"full_name": name}) for name in ("Ada", "Bob")]
    ada, bob = [await city.client("citizen", actor_id=one.json()["_id"]) for one in made]
    named: dict[str, Any] = {"is_public": False, "citizen_ref": {"contact_channel": "none"}}
    first, other = await create(ada, **named), await create(bob, **named)
    number, hidden = other["request_id"], first["request_id"]
    assert (await staff.post(f"/requests/{number}/merge", json={"other": hidden})).is_success
    await move(staff, hidden, "triaged")
    await drain(city.services.db, city.services.tenants, REACTIONS, [QUEUE.source])
    told = (await bob.get("/notifications")).json()["items"]
    assert told, "of its own progress it is told"
    assert hidden not in str(told)
    assert not [one for one in told if "joins" in one["title"]]


async def test_of_what_a_role_is_told_its_holder_reads_what_is_in_their_scope(scoped) -> None:
    staff, (client, agent) = await scoped.client("dispatcher"), await of_scope(scoped, "own")
    numbers = [(await create(staff, lat=40.0 + step, is_public=False))["request_id"] for step in (0, 1)]
    await place(scoped, numbers[0], assigned_agent_id=agent["_id"])
    async with scoped.transaction() as tx:
        await tx.run(
            "INSERT INTO notifications (tenant_id, id, subject_id, seq, recipient_type, recipient, channel, title, body, created_at) "
            "SELECT tenant_id, gen_random_uuid(), id, 1, 'role', 'by_own', 'inapp', 'Late', 'Late', now() FROM requests "
            "WHERE tenant_id = %s",
            [tx.tenant_id],
        )
    told = (await client.get("/notifications")).json()["items"]
    assert [one["request_id"] for one in told] == [numbers[0]]


async def test_no_machine_joins_what_not_all_readers_may_see(city) -> None:
    """A language model's opinion merges a private request into a public one, never into a stranger's private one."""
    ada, bob = await city.client("citizen"), await city.client("citizen")
    first, other = await create(ada, is_public=False), await create(bob, is_public=False)
    public = await create(await city.client(), category="graffiti")
    async with city.transaction() as tx:
        with pytest.raises(Conflict, match="only staff merges the two") as refused:
            await merge(tx, SYSTEM, other["request_id"], other=first["request_id"], origin="llm")
        assert refused.value.code == "not_for_all_readers"
        merged = await merge(tx, SYSTEM, public["request_id"], other=first["request_id"], origin="llm")
    assert merged["number"] == first["request_id"]


MANY = """
INSERT INTO requests (tenant_id, id, number, pack_version, category, description, status, state_category, priority,
    priority_score, lon, lat, cell, sla_state, created_at, updated_at, is_public, master_id)
SELECT tenant_id, gen_random_uuid(), 'M-' || n, pack_version, category, description, status,
    CASE WHEN n %% 10 < 2 THEN state_category ELSE 'closed' END, priority, priority_score, lon, lat, cell + n,
    sla_state, created_at, updated_at, n %% 4 > 0, CASE WHEN n %% 20 = 1 THEN id END
FROM requests, generate_series(1, 5000) AS n WHERE number = %s
"""


async def test_the_public_map_is_read_from_indexes_alone(lone_city: City, own_database_url: str) -> None:
    """What a narrower sight adds to the map costs what it finds: neither everything nor every duplicate is read."""
    number = (await create(await lone_city.client()))["request_id"]
    await fill(own_database_url, MANY, [number], "requests")
    async with lone_city.transaction() as tx:
        explaining = Explaining(tx)
        for box in (None, (-74.01, 40.70, -73.99, 40.72)):
            weights = {"P1": 4.0, "P2": 3.0, "P3": 2.0, "P4": 1.0}
            at, scope = clock.now(), Scope(PUBLIC, bbox=box)
            await geo_queries.list_points(explaining, scope, weights=weights, at=at, limit=5000)
    for plan in explaining.plans:
        assert "using requests_open " in plan, plan
        assert "using requests_open_duplicates " in plan, plan
        assert "Seq Scan on requests r" not in plan, plan


@pytest.mark.parametrize("scope", ["own", "zone", "office", "category", "none"])
async def test_figures_are_of_what_a_scope_sees_to_the_last_request(
    scoped: City, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    """KPIs folded or not and while they are made anew, agents' figures, and nothing of an agent's own figures that is out of sight."""
    office = await add_office(scoped)
    client, agent = await of_scope(
        scoped, scope, office_id=str(office), coverage={"zone_ids": ["Z1"]}, skills=["road_repair"]
    )
    other = await add_agent(await scoped.client("admin"), "AG-other")
    dice = random.Random(7)
    async with scoped.transaction() as tx:
        for _ in range(60):
            columns = random_columns(dice, [])
            await add_row(
                tx,
                at=columns.pop("created_at"),
                **columns | {"is_public": dice.random() < 0.3},
                office_id=dice.choice([office, None]),
                assigned_agent_id=dice.choice([UUID(agent["_id"]), UUID(other["_id"]), None]),
                assigned_at=NOON,
            )
    since = NOON - 40 * DAY + timedelta(hours=7)
    ways = ("loose", "folded", "anew")
    for way in ways:
        async with scoped.transaction() as tx:
            if way == "folded":
                assert await fold_kpis(tx) > 0
            if way == "anew":
                await tx.run("UPDATE kpi_ledgers SET time_zone = NULL")
        for params in ({}, {"from": since.isoformat()}, {"zone": "Z1"}):
            listed = (await client.get("/requests/", params={**params, "limit": 500})).json()["items"]
            figures = (await client.get("/analytics/kpis", params=params)).json()
            assert figures["totals"]["requests"] == len(listed), (way, params)
            counted = Counter(item["priority"] for item in listed)
            assert {row["priority"]: row["requests"] for row in figures["by_priority"]} == dict(counted)
            with monkeypatch.context() as of_many:
                of_many.setattr("civicpulse.insight.kpis.kpis.FEW", 0)
                looked_up = (await client.get("/analytics/kpis", params=params)).json()
            assert looked_up["totals"]["resolution"] == pytest.approx(figures["totals"]["resolution"], abs=0.011)
    everything = (await (await scoped.client("admin")).get("/analytics/kpis")).json()["totals"]["requests"]
    seen = (await client.get("/analytics/kpis")).json()["totals"]["requests"]
    public = (await (await scoped.client()).get("/analytics/kpis")).json()["totals"]["requests"]
    assert public < everything == 60
    assert (public == seen) if scope == "none" else (public < seen < everything)

    shown = {row["agent_code"]: row for row in (await client.get("/analytics/agents")).json()["items"]}
    whole = {
        row["agent_code"]: row
        for row in (await (await scoped.client("admin")).get("/analytics/agents")).json()["items"]
    }
    assert shown["AG-other"]["open"] < whole["AG-other"]["open"]
    profile = (await client.get("/agents/AG-other")).json()
    assert (profile["workload"], profile["performance"]) == (None, None)
    assert (await client.get(f"/agents/AG-{scope}")).json()["workload"] is not None
    scores = (await client.get("/scores")).json()
    assert scores["computed"]["public_only"] is True
