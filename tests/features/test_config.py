"""A tenant's configuration over HTTP (R-TEN-03): read, changed, refused, rolled back, and followed by the next request."""

import asyncio
import json
from typing import Any, cast

import httpx
import psycopg
import pytest
from builders import create, move
from fastapi import FastAPI
from tests_support import problem

from civicpulse.base.db import Tx
from civicpulse.base.logins import application_url
from civicpulse.base.services import open_services
from civicpulse.packs.loader import read_pack
from civicpulse.packs.model import PackDocument
from civicpulse.packs.store import pack_version
from civicpulse.packs.thresholds import with_thresholds
from civicpulse.settings import Settings
from conftest import City, make_city

STAFF = ("agent", "dispatcher", "supervisor", "admin")


def where(city: City, rest: str = "") -> str:
    return f"/tenants/{city.tenant.slug}/config{rest}"


async def read(client: httpx.AsyncClient, city: City) -> dict[str, Any]:
    answer = await client.get(where(city))
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def patch(client: httpx.AsyncClient, city: City, **changes: Any) -> dict[str, Any]:
    answer = await client.patch(where(city), json=changes)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def fields(document: dict[str, Any]) -> list[str]:
    return [error["field"] for error in document["errors"]]


async def test_staff_read_the_configuration_and_only_admins_change_it(city: City) -> None:
    for role in STAFF:
        client = await city.client(role)
        answer = await client.get(where(city))
        assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')
        document = answer.json()
        assert (document["slug"], document["type"], document["version"]) == (city.tenant.slug, "city", 1)
        assert PackDocument.model_validate(document["config"]) == read_pack("civic")
        assert document["areas"] == []
        for method, path, body in (
            ("PUT", where(city), {"config": document["config"]}),
            ("PATCH", where(city), {}),
            ("POST", where(city, "/rollback"), {"version": 1}),
        ):
            answer = await client.request(method, path, json=body)
            if role == "admin":
                assert answer.status_code == 200, answer.text
            else:
                problem(answer, 403, "forbidden")
    for visitor in (None, "citizen"):
        client = await city.client(visitor)
        for path in ("", "/versions", "/versions/1"):
            problem(await client.get(where(city, path)), 401 if visitor is None else 403)


async def test_another_tenants_configuration_is_not_there(city: City, other_city: City) -> None:
    spy = await other_city.client("admin", **{"X-Tenant": city.tenant.slug})
    for path in ("", "/versions", "/versions/1"):
        for slug in (city.tenant.slug, "no-such-tenant"):
            problem(await spy.get(f"/tenants/{slug}/config{path}"), 404, "tenant_not_found")
    config = (await read(spy, other_city))["config"]
    problem(await spy.put(where(city), json={"config": config}), 404, "tenant_not_found")
    problem(await spy.put(where(city), json={"nonsense": 1}), 404, "tenant_not_found")
    problem(await spy.patch(where(city), json={"name": "Mine now"}), 404, "tenant_not_found")
    problem(await spy.post(where(city, "/rollback"), json={"version": 1}), 404, "tenant_not_found")
    assert (await read(await city.client("admin"), city))["version"] == 1


async def test_anybody_may_know_who_the_tenant_is(city: City, other_city: City) -> None:
    answer = await (await city.client()).get(f"/tenants/{city.tenant.slug}")
    assert answer.json() == {
        "slug": city.tenant.slug,
        "name": "A test city",
        "type": "city",
        "language": "en",
        "timezone": "America/New_York",
    }
    problem(await (await city.client()).get(f"/tenants/{other_city.tenant.slug}"), 404, "tenant_not_found")


async def test_what_was_read_can_be_put_back_and_is_no_change(city: City) -> None:
    admin = await city.client("admin")
    document = await read(admin, city)
    answer = await admin.put(where(city), json=document)
    assert (answer.status_code, answer.json()) == (200, document)
    assert (await patch(admin, city, dashboard=document["config"]["dashboard"]))["version"] == 1
    assert [row["version"] for row in (await admin.get(where(city, "/versions"))).json()["items"]] == [1]


async def test_a_change_makes_a_version_with_its_event(city: City) -> None:
    admin = await city.client("admin")
    document = await read(admin, city)
    config = document["config"] | {"dashboard": {"refresh_seconds": 15}, "hazard_words": {}}
    answer = await admin.put(where(city), json={"name": "Old Town", "type": "campus", "config": config})
    changed = answer.json()
    assert answer.headers["etag"] == '"2"'
    assert (changed["name"], changed["type"], changed["version"]) == ("Old Town", "campus", 2)
    assert changed["config"]["dashboard"]["refresh_seconds"] == 15
    assert changed == await read(admin, city)
    assert (await admin.get(f"/tenants/{city.tenant.slug}")).json()["name"] == "Old Town"
    async with city.transaction() as tx:
        events = await tx.rows("SELECT subject_id, subject_type, type, actor_type, meta FROM events")
        assert await tx.value("SELECT name FROM tenants") == "Old Town"
    assert [(row["subject_type"], row["type"], row["actor_type"]) for row in events] == [
        ("tenant", "tenant.configured", "dispatcher")
    ]
    assert events[0]["subject_id"] == city.tenant.tenant_id
    sections = ["dashboard", "hazard_words", "tenant.name", "tenant.kind"]
    assert events[0]["meta"] == {"version": 2, "changed": sections}
    listed = (await admin.get(where(city, "/versions"))).json()["items"]
    assert [(row["version"], row["changed"]) for row in listed] == [(2, sections), (1, None)]
    old = (await admin.get(where(city, "/versions/1"))).json()
    assert (old["version"], old["config"]) == (1, document["config"])
    problem(await admin.get(where(city, "/versions/3")), 404, "version_not_found")


async def test_thresholds_by_category_and_severity_rule_the_next_request_only(city: City) -> None:
    admin, anyone = await city.client("admin"), await city.client()
    before = await create(anyone, category="pothole", lat=40.1)
    await patch(
        admin,
        city,
        sla_thresholds={"pothole": {"medium": 5, "critical": 1.5}, "*": {"low": 99}, "graffiti": {"high": 7}},
    )
    targets = {}
    for index, (category, priority) in enumerate(
        (("pothole", "P3"), ("pothole", "P1"), ("pothole", "P2"), ("graffiti", "P4"), ("graffiti", "P2")), 2
    ):
        made = await create(admin, category=category, priority=priority, lat=40 + index / 10)
        sla = (await admin.get(f"/requests/{made['request_id']}/sla")).json()
        targets[category, priority] = sla["policy"]["target_hours"]
        assert sla["policy"]["breach_threshold_hours"] >= sla["policy"]["target_hours"]
    assert targets == {
        ("pothole", "P3"): 5,
        ("pothole", "P1"): 1.5,
        ("pothole", "P2"): 24,  # as it was
        ("graffiti", "P4"): 99,  # the default of any category
        ("graffiti", "P2"): 7,
    }
    kept = (await admin.get(f"/requests/{before['request_id']}/sla")).json()
    assert kept["policy"]["target_hours"] == 72


async def test_categories_can_come_and_go_and_open_requests_keep_their_rules(city: City) -> None:
    admin = await city.client("admin")
    made = await create(admin, category="graffiti")
    categories = [
        category for category in (await read(admin, city))["config"]["categories"] if category["id"] != "graffiti"
    ]
    wifi = {"id": "wifi", "name": "Wireless network", "group": "it", "default_priority": "P2"}
    await patch(admin, city, categories=[*categories, wifi], type="campus")
    listed = (await admin.get("/categories")).json()["items"]
    assert listed[-1]["id"] == "wifi"
    assert "graffiti" not in {category["id"] for category in listed}
    assert (await create(admin, category="wifi"))["priority"] == "P2"
    body = {"category": "graffiti", "description": "x", "location": {"coordinates": [1, 1]}}
    problem(await admin.post("/requests", json=body), 422)
    assert (await move(admin, made["request_id"], "triaged")).status_code == 200


async def test_a_section_is_replaced_as_a_whole_and_null_is_its_default(city: City) -> None:
    admin = await city.client("admin")
    first = await patch(admin, city, dashboard={"columns": ["status"]}, weights={"compliance": 0.5, "speed": 0.5})
    assert first["config"]["dashboard"] == {"map": None, "columns": ["status"], "widgets": [], "refresh_seconds": 60}
    assert first["config"]["score"] == {"compliance": 0.5, "speed": 0.5, "public": False}
    second = await patch(admin, city, config={"dashboard": None, "score": {"public": True}, "name": "civic_of_ours"})
    assert second["config"]["dashboard"]["columns"] == []
    assert second["config"]["score"] == {"compliance": 0.7, "speed": 0.3, "public": True}
    assert second["config"]["name"] == "civic_of_ours"
    third = await patch(admin, city, weights={"compliance": 1, "speed": 0})
    assert third["config"]["score"]["public"] is True
    assert third["version"] == 4


BAD_CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({"colour": 1, "config": {"shade": 2}, "categories": []}, ["colour", "config.shade", "categories"]),
    ({"dashboard": {}, "config": {"dashboard": {}}}, ["dashboard"]),
    ({"weights": {"compliance": 0.9, "speed": 0.9}}, ["score"]),
    ({"weights": {"compliance": 2, "speed": -1}}, ["weights.compliance", "weights.speed"]),
    ({"categories": []}, ["categories"]),
    ({"categories": None}, ["categories"]),
    ({"duplicates": {"radius_m": -1, "hat": 1}}, ["duplicates.radius_m", "duplicates.hat"]),
    ({"sla_thresholds": {"unheard_of": {"high": 4}}}, ["sla_thresholds.unheard_of"]),
    ({"sla_thresholds": {"pothole": {"urgent": 4}}}, ["sla_thresholds.pothole.urgent"]),
    ({"sla_thresholds": {"pothole": {"high": 0}}}, ["sla_thresholds.pothole.high"]),
    ({"sla": [{"policy_id": "A", "target_hours": 9, "breach_threshold_hours": 4}]}, ["sla[0].breach_threshold_hours"]),
    ({"assignment": {"name": "x", "steps": ["magic"]}}, ["assignment.steps[0]"]),
    ({"type": "planet"}, ["type"]),
    ({"name": " "}, ["name"]),
    ({"title": "a\x00b"}, ["title"]),
    ({"title": "\ud800"}, ["title"]),
    ({"hazard_words": {"a\x00": "P1"}}, ["hazard_words"]),
    ({"duplicates": {"attach_hours": float("inf")}}, ["duplicates.attach_hours"]),
    ({"messages": {"created": {"en": {"subject": "{0.__class__}", "body": ""}}}}, ["messages.created.en.subject"]),
    ({"workflow": 5}, ["workflow"]),
]


@pytest.mark.parametrize(("change", "expected"), BAD_CHANGES, ids=[str(fields) for _, fields in BAD_CHANGES])
async def test_a_change_that_cannot_be_is_refused_whole_with_every_field(
    city: City, change: dict[str, Any], expected: list[str]
) -> None:
    admin = await city.client("admin")
    content = json.dumps({**change, "linked_entity_types": ["bench"]})
    answer = await admin.patch(where(city), content=content, headers={"Content-Type": "application/json"})
    document = problem(answer, 422)
    assert set(expected) <= set(fields(document)), document
    assert len(answer.content) < 20_000
    unchanged = await read(admin, city)
    assert (unchanged["version"], unchanged["config"]["linked_entity_types"]) == (1, ["asset", "work_order", "permit"])


async def test_every_fault_of_a_whole_pack_is_told_at_once(city: City) -> None:
    admin = await city.client("admin")
    config = (await read(admin, city))["config"]
    config["sla"][3] |= {"category": "unheard_of", "target_hours": 500}
    config["workflow"]["transitions"][0]["to"] = "nowhere"
    config["score"] = {"compliance": 0.7, "speed": 0.7}
    found = problem(await admin.put(where(city), json={"config": config}), 422)
    assert set(fields(found)) == {
        "config.sla[3].category",
        "config.sla[3].breach_threshold_hours",
        "config.workflow.transitions[0].to",
        "config.score",
    }
    config["categories"] = [{"id": f"c{number}"} for number in range(300)]
    many = problem(await admin.put(where(city), json={"config": config}), 422)
    assert len(many["errors"]) == 100
    assert "the first 100 of" in many["detail"]
    for body in cast("tuple[Any, ...]", ({}, {"config": []}, {"config": {}, "colour": "red"}, [])):
        problem(await admin.put(where(city), json=body), 422)


WORKFLOW_FAULTS = {
    "a column that is no stage": (("states", "triaged", "timestamp"), "bogus_at", "workflow.states.triaged.timestamp"),
    "when it was created": (("states", "closed", "timestamp"), "created_at", "workflow.states.closed.timestamp"),
    "a field that nobody can send": (
        ("transitions", 0, "requires"),
        ["moon_phase"],
        "workflow.transitions[0].requires[0]",
    ),
    "a condition that nobody knows": (("transitions", 0, "when"), ["full_moon"], "workflow.transitions[0].when[0]"),
    "a role that nobody has": (("transitions", 0, "roles"), ["wizard"], "workflow.transitions[0].roles[0]"),
}


@pytest.mark.parametrize("fault", WORKFLOW_FAULTS)
async def test_a_workflow_that_would_fail_later_is_refused_at_once(city: City, fault: str) -> None:
    admin = await city.client("admin")
    (*way, last), value, field = WORKFLOW_FAULTS[fault]
    workflow = (await admin.get(f"/tenants/{city.tenant.slug}/config")).json()["config"]["workflow"] | {"version": "v2"}
    part = workflow
    for step in way:
        part = part[step]
    part[last] = value
    refused = await admin.patch(f"/tenants/{city.tenant.slug}/config", json={"workflow": workflow})
    assert [error["field"] for error in problem(refused, 422)["errors"]] == [field]


@pytest.mark.parametrize(
    ("section", "value", "field"),
    [
        ("duplicates", {"reopen_hours": 2e7}, "duplicates.reopen_hours"),
        ("duplicates", {"attach_hours": 1e30}, "duplicates.attach_hours"),
        ("calendars", {"24x7": {"always": True}, "business": {"windows": {"mon": ["09:00-09:01"]}}}, None),
    ],
)
async def test_hours_that_no_clock_can_bear_are_refused(
    city: City, section: str, value: Any, field: str | None
) -> None:
    admin = await city.client("admin")
    path = f"/tenants/{city.tenant.slug}/config"
    errors = problem(await admin.patch(path, json={section: value}), 422)["errors"]
    fields = [error["field"] for error in errors]
    assert fields == [field] if field else all(name.startswith("sla[") for name in fields), errors
    assert (await create(await city.client()))["request_id"], "the tenant still takes reports"


async def test_a_workflow_version_means_the_same_for_ever(city: City) -> None:
    admin = await city.client("admin")
    path = f"/tenants/{city.tenant.slug}/config"
    first = (await admin.get(path)).json()["config"]["workflow"]
    other = first | {"transitions": first["transitions"][:-1]}
    refused = problem(await admin.patch(path, json={"workflow": other}), 422)
    assert "give these a version of their own" in refused["detail"]
    assert (await admin.patch(path, json={"workflow": other | {"version": "v2"}})).status_code == 200
    problem(await admin.patch(path, json={"workflow": first | {"version": "v2"}}), 422)
    problem(await admin.patch(path, json={"workflow": other}), 422)
    assert (await admin.patch(path, json={"workflow": first})).status_code == 200, "v1.0 is what it was"
    first["states"]["new"]["title"] = "Received"
    assert (await admin.patch(path, json={"workflow": first})).status_code == 200, "another title is no other rule"


async def test_if_match_guards_against_overwriting(city: City) -> None:
    admin = await city.client("admin")
    seen = {"If-Match": '"1"'}
    assert (await admin.patch(where(city), json={"title": "Ours"}, headers=seen)).status_code == 200
    for method, path, body in (
        ("PATCH", where(city), {"title": "Theirs"}),
        ("PUT", where(city), {"config": (await read(admin, city))["config"]}),
        ("POST", where(city, "/rollback"), {"version": 1}),
    ):
        problem(await admin.request(method, path, json=body, headers=seen), 412, "version_mismatch")
    assert (await read(admin, city))["config"]["title"] == "Ours"


async def test_simultaneous_changes_queue_and_none_is_lost(city: City) -> None:
    admin = await city.client("admin")
    sections: list[dict[str, Any]] = [
        {"title": "A"}, {"language": "es"}, {"dashboard": {"refresh_seconds": 30}}, {"linked_entity_types": ["lamp"]},
        {"rating_reason_codes": ["fine"]}, {"outside_zones": "reject"},
    ]  # fmt: skip
    answers = await asyncio.gather(*(admin.patch(where(city), json=section) for section in sections))
    assert sorted(answer.json()["version"] for answer in answers) == [2, 3, 4, 5, 6, 7]
    document = await read(admin, city)
    assert document["version"] == 7
    for section in sections:
        for name, value in section.items():
            kept = document["config"][name]
            assert kept == (value if not isinstance(value, dict) else kept | value)
    seen = {"If-Match": '"7"'}
    race = await asyncio.gather(
        *(admin.patch(where(city), json={"title": f"Race {number}"}, headers=seen) for number in range(5))
    )
    assert sorted(answer.status_code for answer in race) == [200, 412, 412, 412, 412]


async def test_a_rollback_is_a_new_version_with_old_content(city: City) -> None:
    admin = await city.client("admin")
    first = await read(admin, city)
    await patch(admin, city, title="Second", name="Renamed")
    await patch(admin, city, title="Third")
    key = {"Idempotency-Key": "back"}
    answer = await admin.post(where(city, "/rollback"), json={"version": 1}, headers=key)
    document = answer.json()
    assert (document["version"], document["config"], document["name"]) == (4, first["config"], "Renamed")
    replay = await admin.post(where(city, "/rollback"), json={"version": 1}, headers=key)
    assert (replay.json(), replay.headers["idempotent-replayed"]) == (document, "true")
    again = await admin.post(where(city, "/rollback"), json={"version": 1})
    assert again.json()["version"] == 4
    pages = []
    cursor = ""
    while cursor is not None:
        page = (await admin.get(where(city, f"/versions?limit=2{cursor and '&cursor=' + cursor}"))).json()
        pages += page["items"]
        cursor = page["next_cursor"]
    assert [(row["version"], row["rolled_back_to"]) for row in pages] == [(4, 1), (3, None), (2, None), (1, None)]
    for bad in (0, 9, -1, "1", 1.5, None, 2**40):
        found = problem(await admin.post(where(city, "/rollback"), json={"version": bad}), 422)
        assert fields(found) == ["version"]


async def test_versions_cannot_be_changed_and_a_tenant_only_where_it_may(city: City) -> None:
    for statement in (
        "UPDATE pack_versions SET document = '{}'",
        "DELETE FROM pack_versions",
        "UPDATE tenants SET slug = 'stolen'",
        "UPDATE tenants SET secret = secret",
        "DELETE FROM tenants",
        "INSERT INTO tenants (tenant_id, slug, name, pack_version, secret) VALUES (current_tenant(), 'x', 'x', 1, '')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with city.transaction() as tx:
                await tx.run(statement)


async def test_other_processes_follow_within_seconds(
    city: City, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("civicpulse.base.tenancy.FRESH_SECONDS", 0.05)
    async with open_services(
        Settings(database_url=application_url(database_url), migration_url=database_url, pool_size=2)
    ) as elsewhere:
        known = await elsewhere.tenants.by_slug(city.tenant.slug)
        assert known is not None
        assert known.pack_version == 1
        await patch(await city.client("admin"), city, title="Newer")
        await asyncio.sleep(0.06)
        known = await elsewhere.tenants.by_slug(city.tenant.slug)
        assert known is not None
        assert known.pack_version == 2


async def test_areas_are_the_zones_by_another_name(city: City) -> None:
    anyone, staff = await city.client(), await city.client("agent")
    async with city.transaction() as tx:
        square = '{"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,0]]]}'
        await tx.run(
            "INSERT INTO zones (tenant_id, zone_id, name, geometry) SELECT %s, 'Z-' || n, 'Zone ' || n, %s FROM generate_series(1, 3) n",
            [tx.tenant_id, square],
        )
    areas = [{"id": f"Z-{number}", "name": f"Zone {number}"} for number in (1, 2, 3)]
    first = (await anyone.get("/areas?limit=2")).json()
    rest = (await anyone.get(f"/areas?limit=2&cursor={first['next_cursor']}")).json()
    assert first["items"] + rest["items"] == areas == (await read(staff, city))["areas"]


async def test_reading_takes_two_statements_whatever_there_is(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = await city.client("admin")
    for number in range(5):
        await patch(admin, city, title=f"Title {number}")
    await read(admin, city)  # a process reads a version's roles once
    counted = []

    def counting(method: Any) -> Any:
        async def counted_method(self: Tx, *args: Any) -> Any:
            counted.append(args[0])
            return await method(self, *args)

        return counted_method

    for name in ("rows", "row"):
        monkeypatch.setattr(Tx, name, counting(getattr(Tx, name)))
    assert (await admin.get(where(city))).status_code == 200
    assert len(counted) == 2
    counted.clear()
    assert len((await admin.get(where(city, "/versions"))).json()["items"]) == 6
    assert len(counted) == 1


@pytest.mark.parametrize("pack", ["civic", "contact_centre"])
async def test_each_shipped_pack_can_be_configured(app: FastAPI, database_url: str, pack: str) -> None:
    home = await make_city(app, database_url, pack=pack)
    admin = await home.client("admin")
    document = await patch(admin, home, sla_thresholds={"*": {"critical": 2, "P2": 6, "medium": 12, "low": 48}})
    default = {
        entry["priority"]: entry for entry in document["config"]["sla"] if not (entry["category"] or entry["zone"])
    }
    assert {name: default[name]["target_hours"] for name in ("P1", "P2", "P3", "P4")} == {
        "P1": 2, "P2": 6, "P3": 12, "P4": 48,
    }  # fmt: skip


def test_thresholds_keep_the_proportions_of_the_policy_they_come_from() -> None:
    document = read_pack("civic")
    entries = {entry["policy_id"]: entry for entry in with_thresholds(document, {"pothole": {"critical": 2}})}
    assert len(entries) == len(document.sla)
    scaled = entries["SLA-POTHOLE-P1"]
    assert (scaled["target_hours"], scaled["breach_threshold_hours"], scaled["response_hours"]) == (2, 3, 0.25)
    assert [step["after_hours"] for step in scaled["escalation_steps"]] == [1, 2, 3]
    made = with_thresholds(document, {"tree_pruning": {"high": 24}})[-1]
    assert (made["policy_id"], made["calendar"], made["priority"]) == ("SLA-TREE_PRUNING-P2", "business", "P2")
    bare = document.model_copy(update={"sla": ()})
    assert with_thresholds(bare, {"*": {"high": 10}}) == [
        {
            "target_hours": 10,
            "breach_threshold_hours": 15,
            "policy_id": "SLA-ANY-P2",
            "category": None,
            "priority": "P2",
        }
    ]


CIVIC_STATES = ["new", "triaged", "assigned", "in_progress", "resolved", "closed"]


async def test_states_stay_in_the_order_of_the_pack(city: City) -> None:
    """Whatever the database makes of an object's keys: in the configuration, in choices and in figures."""
    admin = await city.client("admin")
    config = (await read(admin, city))["config"]
    assert list(config["workflow"]["states"]) == config["workflow"]["order"] == CIVIC_STATES
    parked = {"category": "waiting", "title": "Parked"}
    workflow = config["workflow"] | {"version": "v1.1"}
    del workflow["order"]
    workflow["states"] = {"new": workflow["states"]["new"], "zz_parked": parked, **workflow["states"]}
    way = {"roles": ["dispatcher"]}
    workflow["transitions"] = [
        *workflow["transitions"], {"from": "new", "to": "zz_parked", **way}, {"from": "zz_parked", "to": "new", **way},
    ]  # fmt: skip
    expected = ["new", "zz_parked", *CIVIC_STATES[1:]]
    changed = await patch(admin, city, workflow=workflow)
    assert list(changed["config"]["workflow"]["states"]) == expected
    assert list((await read(admin, city))["config"]["workflow"]["states"]) == expected
    told = problem(await admin.get("/requests/?status=lost"), 422)
    assert told["errors"][0]["choices"] == expected
    first = await create(admin)
    for lat, state in ((40.9, "triaged"), (41.1, "zz_parked")):
        assert (
            await move(admin, (await create(admin, lat=lat))["request_id"], state, priority="P2")
        ).status_code == 200
    assert first["status"] == "new"
    by_state = (await admin.get("/analytics/kpis")).json()["totals"]["by_state"]
    assert list(by_state) == ["new", "zz_parked", "triaged"]

    workflow["order"] = ["closed", "gone", "new", "closed"]
    shown = (await patch(admin, city, workflow=workflow))["config"]["workflow"]
    assert list(shown["states"]) == shown["order"] == ["closed", *(state for state in expected if state != "closed")]
    problem(await admin.patch(where(city), json={"workflow": {**workflow, "order": [{}]}}), 422)
    problem(await admin.patch(where(city), json={"workflow": {**workflow, "states": ["new"]}}), 422)


async def test_a_version_without_an_order_has_that_in_which_states_are_reached(city: City) -> None:
    admin = await city.client("admin")
    async with city.transaction() as tx:
        await tx.run(
            "INSERT INTO pack_versions (tenant_id, version, document, created_by) "
            "SELECT tenant_id, 7, document #- '{workflow,order}', 'before' FROM pack_versions WHERE version = 1"
        )
        pack = await pack_version(tx, 7)
    assert list(pack.workflow.states) == ["new", "triaged", "closed", "assigned", "in_progress", "resolved"]
    told = (await admin.get(where(city, "/versions/7"))).json()
    assert list(told["config"]["workflow"]["states"]) == list(pack.workflow.states)
