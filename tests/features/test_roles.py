"""A pack's own roles over HTTP: each may what the pack says and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from builders import add_agent, create, move
from fastapi import FastAPI
from fastapi.routing import APIRoute
from tests_support import problem

from civicpulse.accounts.roles import actor_as, roles_of
from civicpulse.accounts.tenants import create_tenant
from civicpulse.accounts.tokens import create_token
from civicpulse.base.errors import Invalid
from civicpulse.base.events import SYSTEM, record
from civicpulse.base.outbox import drain
from civicpulse.cli.work import make_token
from civicpulse.packs.loader import read_pack
from civicpulse.people.managers import ManagerDraft, put_managers
from civicpulse.places.offices import OfficeDraft, put_offices
from civicpulse.reactions import REACTIONS
from civicpulse.reports.jobs import process_batch
from civicpulse.rules.access import Permission
from conftest import City, make_city

# Who does the work of whom in the civic pack's transitions and escalations.
INSTEAD = {"agent": "porter", "dispatcher": "warden", "supervisor": "clerk", "admin": "mayor"}
ROLES: dict[str, Any] = {
    "callers": {"anonymous": "passer_by", "citizen": "resident", "agent": "porter"},
    "escalations": "clerk",
    "named": {
        "passer_by": {
            "title": "Anybody",
            "kind": "citizen",
            "scope": "none",
            "permissions": ["request:create", "request:read", "citizen:create", "place:read"],
        },
        "resident": {
            "title": "Resident",
            "kind": "citizen",
            "scope": "own",
            "extends": "passer_by",
            "permissions": ["citizen:read", "notification:read", "request:comment"],
        },
        "porter": {
            "title": "Porter",
            "kind": "agent",
            "scope": "own",
            "permissions": ["place:read", "request:read", "request:read_all", "request:transition", "notification:*"],
        },
        "warden": {
            "title": "Warden",
            "kind": "dispatcher",
            "scope": "zone",
            "permissions": ["request:*", "agent:*", "place:read"],
        },
        "clerk": {"title": "Clerk", "kind": "dispatcher", "scope": "all", "permissions": ["notification:read"]},
        "mayor": {"title": "Mayor", "kind": "dispatcher", "scope": "all", "bound": False, "permissions": ["*"]},
    },
}


def renamed() -> dict[str, Any]:
    """The parts of the civic pack that name roles, with the invented ones."""
    document = read_pack("civic").model_dump(mode="json")
    for edge in document["workflow"]["transitions"]:
        edge["roles"] = [INSTEAD[name] for name in edge["roles"]]
    for policy in document["sla"]:
        for step in policy["escalation_steps"]:
            step["role"] = INSTEAD[step["role"]]
    return {"roles": ROLES, "workflow": document["workflow"], "sla": document["sla"]}


@pytest.fixture
async def town(app: FastAPI, database_url: str) -> City:
    """A tenant whose roles have no name in common with those of the shipped packs."""
    return await make_city(app, database_url, **renamed())


@pytest.fixture
async def mayor(town: City) -> AsyncIterator[httpx.AsyncClient]:
    async with await town.client("mayor") as client:
        yield client


def doors(app: FastAPI) -> dict[Permission, tuple[str, str]]:
    """A route for each permission that a route asks for: (method, path)."""
    found: dict[Permission, tuple[str, str]] = {}
    for route in app.routes:
        if not isinstance(route, APIRoute):
            continue
        for part in route.dependant.dependencies:
            if (permission := getattr(part.call, "permission", None)) is not None:
                path = route.path
                for name in route.param_convertors:
                    path = path.replace(f"{{{name}}}", str(uuid4()))
                found.setdefault(permission, (min(route.methods or ()), path))
    return found


@pytest.mark.parametrize("role", list(ROLES["named"]))
async def test_a_role_passes_the_doors_that_its_pack_opens_and_no_other(town: City, role: str) -> None:
    async with town.transaction() as tx:
        held = (await roles_of(tx)).named[role].permissions
    client = await town.client(None if role == "passer_by" else role)
    tried = doors(town.app)
    assert len(tried) > 20
    for permission, (method, path) in tried.items():
        answer = await client.request(method, path)
        if permission in held:
            assert answer.status_code not in (401, 403), (permission, answer.text)
            continue
        refused = problem(answer, 401 if role == "passer_by" else 403)
        having = [name for name in ROLES["named"] if permission in await permissions_of(town, name)]
        assert refused["permission"] == permission
        assert all(f"“{ROLES['named'][name]['title']}”" in refused["detail"] for name in having), refused["detail"]
        mine = "without a token" if role == "passer_by" else f"Your role “{ROLES['named'][role]['title']}” may not"
        assert mine in refused["detail"]


async def permissions_of(city: City, role: str) -> frozenset[Permission]:
    async with city.transaction() as tx:
        return (await roles_of(tx)).named[role].permissions


async def test_the_scope_and_the_rights_of_an_actor_are_those_of_its_role(town: City) -> None:
    async with town.transaction() as tx:
        warden, porter = await actor_as(tx, "warden", uuid4()), await actor_as(tx, "porter", uuid4())
        assert (warden.scope, warden.kind, warden.is_bound) == ("zone", "dispatcher", True)
        assert (porter.scope, porter.kind) == ("own", "agent")
        assert not porter.may(Permission.REQUEST_MERGE)
        with pytest.raises(Invalid, match="no role 'admin' to give: the roles are clerk, passer_by, porter, resident"):
            await actor_as(tx, "admin", None)


async def test_transitions_bind_the_roles_that_they_name_and_not_those_that_are_unbound(
    town: City, mayor: httpx.AsyncClient
) -> None:
    porter = await town.client("porter", (await add_agent(mayor, "P-1", roles=["porter"]))["_id"])
    warden = await town.client("warden", (await add_agent(mayor, "W-1", roles=["warden"]))["_id"])
    number = (await create(mayor))["request_id"]
    problem(await move(porter, number, "triaged"), 403, "outside_scope")
    assert (await move(warden, number, "triaged")).status_code == 200
    assert (await move(warden, number, "assigned", assigned_agent_id="P-1")).status_code == 200
    problem(await move(porter, number, "in_progress"), 409, "missing_fields")
    await mayor.patch(f"/requests/{number}/milestone", json={"milestone": "work_started"})
    assert (await move(porter, number, "resolved", checklist=["done"])).status_code == 200
    refused = problem(await move(porter, number, "closed"), 403, "role_not_allowed")
    assert "These roles may: “Clerk”, “Mayor”, “Warden”." in refused["reasons"][0]["detail"]
    assert (await move(mayor, number, "closed")).status_code == 200
    events = (await warden.get(f"/requests/{number}/events")).json()["items"]
    assert {event["by"]["actor_type"] for event in events} == {"dispatcher", "agent"}


async def test_a_role_of_a_zone_works_in_its_zones_only(town: City, mayor: httpx.AsyncClient) -> None:
    elsewhere = await add_agent(mayor, "W-2", roles=["warden"], coverage={"zone_ids": ["Z-9"]})
    number = (await create(mayor))["request_id"]
    problem(await move(await town.client("warden", elsewhere["_id"]), number, "triaged"), 403, "outside_scope")


async def test_only_who_may_move_requests_sets_a_priority(town: City) -> None:
    async with await town.client() as client:
        body = {"citizen_ref": {"anonymous": True}, "category": "pothole", "description": "A hole", "priority": "P1"}
        body["location"] = {"type": "Point", "coordinates": [-74.0, 40.71]}
        problem(await client.post("/requests", json=body), 422)
    async with await town.client("warden") as client:
        assert (await client.post("/requests", json=body)).status_code == 201


async def test_strangers_stay_strangers_whatever_their_role_is_called(town: City) -> None:
    async with await town.client() as client:
        made = await create(client)
        problem(await client.get("/requests?mine=true"), 401)
    async with town.transaction() as tx:
        by = await tx.value(
            "SELECT created_by FROM requests WHERE tenant_id = %s AND id = %s", [tx.tenant_id, made["_id"]]
        )
    assert by == "anonymous"


async def test_a_citizen_acts_in_the_role_that_the_pack_gives_citizens(town: City, mayor: httpx.AsyncClient) -> None:
    made = await mayor.post("/citizens", json={"full_name": "Jo", "contacts": {"email": "jo@example.org"}})
    citizen_id = UUID(made.json()["_id"])
    async with await town.client("resident", citizen_id) as client:
        assert (await client.get(f"/citizens/{citizen_id}")).json()["full_name"] == "Jo"
        problem(await client.get(f"/citizens/{uuid4()}"), 404)
        ref = {"citizen_id": None, "anonymous": False, "contact_channel": "none"}
        mine = await create(client, citizen_ref=ref)
        assert mine["citizen_ref"]["citizen_id"] == str(citizen_id)
        listed = (await client.get("/requests?mine=true")).json()["items"]
        assert [item["request_id"] for item in listed] == [mine["request_id"]]
        assert (await client.delete(f"/citizens/{citizen_id}")).status_code == 204
    town.app.state.tokens._seen.clear()
    assert await live_tokens(town, citizen_id) == 0


async def live_tokens(city: City, actor_id: UUID) -> int:
    async with city.transaction() as tx:
        counted: int = await tx.value(
            "SELECT count(*) FROM tokens WHERE tenant_id = %s AND actor_id = %s AND revoked_at IS NULL",
            [tx.tenant_id, actor_id],
        )
        return counted


async def test_agents_have_roles_of_the_pack(town: City, mayor: httpx.AsyncClient) -> None:
    made = await mayor.post("/agents", json={"agent_code": "P-1", "name": "Pat"})
    assert (made.status_code, made.json()["roles"]) == (201, ["porter"])
    for roles in (["agent"], ["porter", "resident"]):
        refused = problem(await mayor.patch("/agents/P-1", json={"roles": roles}), 422)
        assert refused["errors"][0]["field"] == "roles"
        assert refused["detail"].endswith("the roles are clerk, porter, warden, mayor.")
        problem(await mayor.post("/agents", json={"agent_code": "P-2", "name": "Kim", "roles": roles}), 422)
    changed = await mayor.patch("/agents/P-1", json={"roles": ["warden", "clerk"]})
    assert changed.json()["roles"] == ["warden", "clerk"]


async def test_an_escalation_without_a_role_is_heard_by_the_one_that_the_pack_names(
    town: City, mayor: httpx.AsyncClient
) -> None:
    made = await create(mayor)
    step = {"manual": True, "reason": "late"}
    async with town.transaction() as tx:
        at = datetime.now(UTC)
        await record(tx, SYSTEM, subject_id=UUID(made["_id"]), seq=None, type="request.escalated", at=at, meta=step)
    await drain(town.services.db, town.services.tenants, REACTIONS)
    async with await town.client("clerk") as client:
        (note,) = (await client.get("/notifications")).json()["items"]
    assert (note["recipient_type"], note["request_id"]) == ("role", made["request_id"])
    assert (await mayor.get("/notifications")).json()["items"] == []


async def test_a_token_is_given_for_roles_of_the_pack_only(town: City) -> None:
    for role in ("admin", "dispatcher", "passer_by", "bogus"):
        said = f"no role '{role}' to give: the roles are clerk, porter, resident, warden, mayor"
        with pytest.raises(Invalid, match=said):
            await make_token(town.services, town.tenant, role=role, actor=None, label="", days=None)
        async with town.transaction() as tx:
            with pytest.raises(Invalid, match=said):
                await create_token(tx, role=role)
    assert await make_token(town.services, town.tenant, role="warden", actor=None, label="", days=1)
    _, citizen = await make_token(town.services, town.tenant, role="resident", actor=str(uuid4()), label="", days=1)
    assert citizen.startswith("cpt_")


async def without(city: City, mayor: httpx.AsyncClient, role: str) -> None:
    """Takes a role out of the pack, and out of what names it."""
    config = (await mayor.get(f"/tenants/{city.tenant.slug}/config")).json()["config"]
    del config["roles"]["named"][role]
    for edge in config["workflow"]["transitions"]:
        edge["roles"] = [name for name in edge["roles"] if name != role] or ["mayor"]
    config["workflow"]["version"] += f"-without-{role}"
    answer = await mayor.put(f"/tenants/{city.tenant.slug}/config", json={"config": config})
    assert answer.status_code == 200, answer.text
    await city.services.tenants.refresh()


async def test_a_role_that_is_no_more_opens_nothing(town: City, mayor: httpx.AsyncClient) -> None:
    config = (await mayor.get(f"/tenants/{town.tenant.slug}/config")).json()["config"]
    config["roles"]["escalations"] = "mayor"
    for policy in config["sla"]:
        policy["escalation_steps"] = []
    assert (await mayor.put(f"/tenants/{town.tenant.slug}/config", json={"config": config})).status_code == 200
    warden = await town.client("warden")
    assert (await warden.get("/requests")).status_code == 200
    await without(town, mayor, "warden")
    refused = problem(await warden.get("/requests"), 403, "unknown_role")
    assert (refused["role"], refused["roles"]) == ("warden", ["clerk", "porter", "resident", "mayor"])
    assert (await mayor.get("/requests")).status_code == 200


async def test_a_report_outlives_the_role_of_its_sender(town: City, mayor: httpx.AsyncClient) -> None:
    await mayor.patch(f"/tenants/{town.tenant.slug}/config", json={"sla": []})
    async with await town.client("warden") as warden:
        made = (await warden.post("/reports", json={"description": "Large pothole, a hole in the road"})).json()
    await without(town, mayor, "warden")
    tenant = await town.services.tenants.by_id(town.tenant.tenant_id)
    assert tenant is not None
    await process_batch(town.services, tenant)
    report = (await mayor.get(f"/reports/{made['id']}")).json()
    assert (report["state"], report["outcome"]) == ("processed", "new")


async def test_configuration_names_each_fault_of_the_roles(town: City, mayor: httpx.AsyncClient) -> None:
    where = f"/tenants/{town.tenant.slug}/config"
    bad = {**ROLES, "escalations": "boss"}
    refused = problem(await mayor.patch(where, json={"roles": bad}), 422)
    assert [(error["field"], error["detail"]) for error in refused["errors"]] == [
        ("roles.escalations", "unknown role 'boss'")
    ]
    refused = problem(await mayor.patch(where, json={"roles": None}), 422)
    assert {error["field"].split("[")[0] for error in refused["errors"]} == {"workflow.transitions", "sla"}
    granting = {**ROLES, "named": {**ROLES["named"], "clerk": {**ROLES["named"]["clerk"], "permissions": ["tenant:*"]}}}
    assert (await mayor.patch(where, json={"roles": granting})).status_code == 200
    await town.services.tenants.refresh()
    async with await town.client("clerk") as clerk:
        assert (await clerk.get(where)).status_code == 200


async def test_a_pack_that_was_stored_before_there_were_roles_works_on(app: FastAPI, database_url: str) -> None:
    document = read_pack("civic").model_dump(mode="json")
    del document["roles"]
    document["workflow"]["transitions"][0]["roles"] += ["mayor"]
    slug = f"older-{uuid4()}"
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        tenant = await create_tenant(owner, slug=slug, name="Older", kind="city", pack_document=document)
    city = City(app, tenant)
    dispatcher, admin = await city.client("dispatcher"), await city.client("admin")
    number = (await create(dispatcher))["request_id"]
    assert (await move(dispatcher, number, "triaged")).status_code == 200
    problem(await dispatcher.patch(f"/tenants/{slug}/config", json={"title": "Mine"}), 403)
    refused = problem(await admin.patch(f"/tenants/{slug}/config", json={"title": "Mine"}), 422)
    assert refused["errors"][0]["field"] == "workflow.transitions[0].roles[2]"
    document["workflow"]["transitions"][0]["roles"].remove("mayor")
    document["workflow"]["version"] = "v1.1"
    changed = await admin.patch(f"/tenants/{slug}/config", json={"workflow": document["workflow"]})
    assert changed.status_code == 200, changed.text
    assert "admin" in changed.json()["config"]["roles"]["named"]


async def test_managers_of_a_file_have_the_role_that_the_pack_gives_agents(
    town: City, mayor: httpx.AsyncClient
) -> None:
    async with town.transaction() as tx:
        actor = await actor_as(tx, "mayor", uuid4())
        put = await put_offices(tx, actor, [OfficeDraft("North", "Main St 1")])
        office_id = next(iter(put.ids.values()))
        await put_managers(tx, actor, [ManagerDraft("Lee", office_id)], timezone="UTC")
    (agent,) = (await mayor.get("/agents")).json()["items"]
    assert (agent["name"], agent["roles"]) == ("Lee", ["porter"])


async def test_roles_are_read_once_a_version(town: City, monkeypatch: pytest.MonkeyPatch) -> None:
    warden, stranger = await town.client("warden"), await town.client()
    await asyncio.gather(warden.get("/categories"), stranger.get("/categories"))
    counted: Any = []
    transaction = town.services.db.transaction
    monkeypatch.setattr(type(town.services.db), "transaction", lambda *args: counted.append(args) or transaction(*args))
    for client in (warden, stranger):
        assert (await client.get("/categories")).status_code == 200
    assert counted == []
