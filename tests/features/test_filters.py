"""Filters of lists and feeds: what does not exist is refused with the choices, and a box may go across the 180th meridian."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from builders import add_agent, create, move
from fastapi import FastAPI
from insight_support import change_row
from pipeline_support import small, upload
from tests_support import problem

from civicpulse.base.web import DeclaredRoute
from civicpulse.packs.loader import read_pack
from civicpulse.rules.priority import PRIORITIES
from conftest import City, make_city

STATES = ["new", "triaged", "assigned", "in_progress", "resolved", "closed"]


async def refused(client: httpx.AsyncClient, path: str, name: str) -> list[str]:
    """The choices that a refusal of parameter `name` names."""
    document = problem(await client.get(path), 422, "invalid")
    (fault,) = document["errors"]
    assert fault["field"] == name
    assert fault["choices"], document
    assert fault["choices"][0] in fault["detail"]
    choices: list[str] = fault["choices"]
    return choices


@pytest.mark.parametrize(
    ("path", "name", "among"),
    [
        ("/requests?status=bogus", "status", STATES),
        ("/requests?status=new,bogus", "status", STATES),
        ("/requests?category=bogus", "category", ["pothole"]),
        ("/requests?priority=P9", "priority", list(PRIORITIES)),
        ("/requests?zone=NOWHERE", "zone", ["UNZONED"]),
        ("/requests?sla_state=late", "sla_state", ["on_time", "on_track", "near_breach", "breached"]),
        ("/requests?source=fax", "source", ["api", "report", "csv"]),
        ("/requests?sort=colour", "sort", ["created_at", "-priority"]),
        ("/issues?status=bogus", "status", ["open", "in-progress", *STATES]),
        ("/issues?severity=awful", "severity", ["critical", "P1"]),
        ("/issues?area=NOWHERE", "area", ["UNZONED"]),
        ("/issues?category=bogus", "category", ["pothole"]),
        ("/issues?sort=colour", "sort", ["-created_at"]),
        ("/reports?sort=colour", "sort", ["-submitted_at"]),
        ("/tickets?status=bogus", "status", STATES),
        ("/tickets?category=bogus", "category", ["pothole"]),
        ("/tickets?source=fax", "source", ["csv"]),
        ("/tickets?language=klingon", "language", ["en"]),
        ("/agents?skill=bogus", "skill", ["road_maintenance"]),
        ("/agents?zone=NOWHERE", "zone", ["UNZONED"]),
        ("/analytics/kpis?zone=NOWHERE", "zone", ["UNZONED"]),
        ("/analytics/kpis?group=colour", "group", ["zone", "period"]),
        ("/analytics/cohorts?category=bogus", "category", ["pothole"]),
        ("/analytics/geofeeds/heatmap?status=bogus", "status", STATES),
        ("/analytics/geofeeds/clusters?priority=P9", "priority", list(PRIORITIES)),
        ("/analytics/geofeeds/zones?zone=NOWHERE", "zone", ["UNZONED"]),
        ("/sla-metrics?severity=awful", "severity", ["low"]),
        ("/sla-metrics?zone=NOWHERE", "zone", ["UNZONED"]),
        ("/scores?zone=NOWHERE", "zone", ["UNZONED"]),
        ("/analytics/kpis?period=year", "period", ["day", "week", "month"]),
        ("/tickets?sentiment=sad", "sentiment", ["positive", "neutral", "negative"]),
        ("/reports?state=lost", "state", ["waiting", "processed", "parked"]),
        ("/pipeline-runs?state=lost", "state", ["waiting", "running", "done", "failed"]),
        ("/scores/leaderboard?scope=world", "scope", ["zones", "tenants"]),
    ],
)
async def test_a_value_that_does_not_exist_is_refused_with_the_choices(
    city: City, path: str, name: str, among: list[str]
) -> None:
    staff = await city.client("dispatcher")
    assert set(await refused(staff, path, name)) >= set(among)


async def test_a_segment_of_a_contact_centre_by_any_of_its_spellings(app: FastAPI, database_url: str) -> None:
    centre = await make_city(app, database_url, "contact_centre")
    staff = await centre.client("dispatcher")
    assert (await staff.get("/tickets?segment=vip")).status_code == 200
    assert set(await refused(staff, "/tickets?segment=Gold", "segment")) == {"Mass", "VIP", "Priority"}


async def test_a_filter_that_has_no_values_here_says_so(city: City) -> None:
    document = problem(await (await city.client("agent")).get("/tickets?segment=VIP"), 422, "invalid")
    assert document["detail"] == "segment has no values here, not VIP."


async def test_what_an_older_version_of_the_rules_knew_may_still_be_asked_for(city: City) -> None:
    admin = await city.client("admin")
    made = await create(admin, category="noise")
    await move(admin, made["request_id"], "triaged")
    async with city.transaction() as tx:
        await change_row(tx, made["_id"], zone_id="ZONE-9")  # since taken from the map
    config = (await admin.get(f"/tenants/{city.tenant.slug}/config")).json()["config"]
    config["categories"] = [one for one in config["categories"] if one["id"] not in ("noise", "graffiti")]
    for one in config["categories"]:
        one["compatible_with"] = [other for other in one["compatible_with"] if other not in ("noise", "graffiti")]
    config["sla"] = [one for one in config["sla"] if one["category"] not in ("noise", "graffiti")]
    changed = await admin.put(f"/tenants/{city.tenant.slug}/config", json={"config": config})
    assert changed.status_code == 200, changed.text
    for query, count in (("category=noise", 1), ("category=graffiti", 0), ("zone=ZONE-9", 1), ("status=triaged", 1)):
        answer = await admin.get(f"/requests?{query}")
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["items"]) == count
    assert "noise" not in await refused(admin, "/requests?category=bogus", "category")


async def test_many_choices_are_counted_not_listed(city: City) -> None:
    staff = await city.client("supervisor")
    for index in range(3):
        await add_agent(staff, f"AG-{index}", skills=[f"skill-{index}-{number:02d}" for number in range(50)])
    document = problem(await staff.get("/agents?skill=bogus"), 422, "invalid")
    assert len(document["errors"][0]["choices"]) == 100
    assert " more, not bogus." in document["detail"]


# ---------------------------------------------------------------------------------------------------------- parameters


def operations(app: FastAPI) -> list[tuple[str, DeclaredRoute]]:
    return [
        (method, route)
        for route in app.routes
        if isinstance(route, DeclaredRoute)
        for method in sorted(route.methods or ())
    ]


async def test_an_unknown_parameter_is_refused_by_every_operation_with_those_that_it_takes(
    app: FastAPI, city: City
) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    agent = await add_agent(admin)
    known: dict[str, Any] = {
        "number": number,
        "other": number,
        "slug": city.tenant.slug,
        "agent_id": agent["_id"],
        "ticket_id": number,
    }
    for method, route in operations(app):
        if not set(route.param_convertors) <= set(known):
            continue
        path = route.path.format(**known)
        document = problem(await admin.request(method, f"{path}?colour=red&colour=blue"), 422, "invalid")
        assert document["errors"] == [
            {"field": "colour", "detail": "There is no such parameter.", "choices": sorted(route.parameters)}
        ]
        for name in route.parameters:
            assert name in document["detail"]
    assert (await admin.get(f"/requests/{number}")).json()["version"] == 1, "nothing was done"


async def test_who_may_not_hears_that_first(city: City) -> None:
    problem(await (await city.client()).get("/tickets?colour=red"), 401, "unauthenticated")
    problem(await (await city.client("citizen")).get("/tickets?colour=red"), 403, "forbidden")
    problem(await (await city.client("admin")).get("/requests/CST-2026-999999?colour=red"), 404, "request_not_found")


# --------------------------------------------------------------------------------------------------------- the meridian


async def test_a_box_across_the_180th_meridian(city: City) -> None:
    anybody = await city.client()
    places = {"Taveuni": 179.97, "Rabi": -179.98, "Suva": 178.4, "Apia": -171.8}
    numbers = {
        name: (await create(anybody, lon=lon, lat=-16.8, description=name))["request_id"]
        for name, lon in places.items()
    }
    inside = {numbers["Taveuni"], numbers["Rabi"]}
    box = "179.9,-17,-179.9,-16"
    listed = (await anybody.get("/requests", params={"bbox": box})).json()["items"]
    assert {item["request_id"] for item in listed} == inside
    for feed, more in (("heatmap", {}), ("clusters", {"zoom": 20})):
        answer = (await anybody.get(f"/analytics/geofeeds/{feed}", params={"bbox": box, **more})).json()
        assert {feature["properties"]["request_id"] for feature in answer["features"]} == inside
        assert answer["filters"]["bbox"] == [179.9, -17.0, -179.9, -16.0]
    wide = (await anybody.get("/analytics/geofeeds/heatmap", params={"bbox": "170,-40,-170,40"})).json()
    assert wide["aggregation"]["count"] == 4
    other_way = (await anybody.get("/requests", params={"bbox": "-179.9,-17,179.9,-16"})).json()["items"]
    assert {item["request_id"] for item in other_way} == set(numbers.values()) - inside


@pytest.mark.parametrize("box", ["1,2,3", "a,b,c,d", "-181,0,0,1", "0,1,1,0", "0,-91,1,0", "nan,0,1,1"])
async def test_what_is_no_box_is_refused(city: City, box: str) -> None:
    problem(await (await city.client()).get("/requests", params={"bbox": box}), 422, "invalid")


# A value of each parameter of a reading operation that does not exist or cannot be; a new parameter must be added here.
NOBODY = str(uuid4())
UNUSABLE = {
    "status": "bogus", "category": "bogus", "priority": "P9", "severity": "awful", "zone": "NOWHERE", "area": "NOWHERE",
    "sla_state": "late", "source": "fax", "segment": "Gold", "town": "Nowhere", "purpose": "chat", "skill": "bogus", "sort": "colour",
    "group": "colour",
    "period": "year", "level": "world", "scope": "world", "sentiment": "sad", "state": "lost", "outcome": "lost",
    "language": "klingon", "agent": NOBODY, "manager": NOBODY, "office": NOBODY, "citizen_id": NOBODY, "issue": "CST-1",
    "request_id": "CST-1", "bbox": "1,2", "from": "yesterday", "to": "yesterday", "cursor": "bogus", "limit": "0",
    "page": "0", "size": "0", "days": "0", "zoom": "-1", "max_points": "0", "max_age": "-1", "after": "-1", "lon": "200",
    "lat": "100",
} | dict.fromkeys(
    ("merged", "needs_person", "mine", "total", "assigned", "active", "on_shift", "geometry", "fresh", "superseded", "met"),
    "perhaps",
)  # fmt: skip
# Looked for, not chosen: what is not found is an empty list.
SEARCHED = {"q", "external_id"}
# A name in a language that nobody wrote it in is the one that there is; what comes of a call, its server decides.
FREE = {("/categories", "language"), ("/llm-calls", "outcome")}


async def test_no_reading_operation_answers_a_value_that_does_not_exist_with_an_empty_list(city: City) -> None:
    admin = await city.client("admin")
    known = {"number": (await create(admin))["request_id"], "slug": city.tenant.slug}
    asked = 0
    for method, route in operations(city.app):
        if method != "GET" or not set(route.param_convertors) <= set(known):
            continue
        for name in sorted(route.parameters - SEARCHED):
            if (route.path, name) in FREE:
                continue
            needed = {"lon": "0", "lat": "0"} if route.path == "/zones/at" else {}
            sent = needed | {name: UNUSABLE[name]}
            document = problem(await admin.get(route.path.format(**known), params=sent), 422, "invalid")
            told = [document["detail"], *(fault["field"] for fault in document.get("errors", ()))]
            assert name in " ".join(told), (route.path, name, document)
            asked += 1
    assert asked > 100, "the walk must see every list"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/requests?agent={}", "agent"),
        ("/requests?citizen_id={}", "citizen_id"),
        ("/tickets?office={}", "office"),
        ("/tickets?manager={}", "manager"),
        ("/managers?office={}", "office"),
        ("/reports?issue={}", "issue"),
        ("/sla-metrics?request_id={}", "request_id"),
    ],
)
async def test_what_is_another_tenants_does_not_exist(city: City, other_city: City, path: str, name: str) -> None:
    there = await other_city.client("supervisor")
    agent, request = await add_agent(there), await create(there)
    citizen = (await (await other_city.client("admin")).post("/citizens", json={"full_name": "Ada"})).json()
    keys = {"agent": agent["_id"], "manager": agent["agent_code"], "citizen_id": citizen["_id"]}
    given = keys.get(name, NOBODY if name == "office" else request["request_id"])
    document = problem(await (await city.client("supervisor")).get(path.format(given)), 422, "invalid")
    assert [fault["field"] for fault in document["errors"]] == [name]


async def test_a_filter_of_people_and_offices_takes_what_they_are_called_and_names_the_few_that_there_are(
    app: FastAPI, database_url: str
) -> None:
    centre = await make_city(app, database_url, pack="contact_centre")
    client = await centre.client("dispatcher")
    await upload(client, small())
    units = {one["name"]: one["id"] for one in (await client.get("/business-units")).json()["items"]}
    managers = (await client.get("/managers")).json()["items"]
    (seen,) = (await client.get("/tickets")).json()["items"]
    manager = next(one for one in managers if one["id"] == seen["assignment"]["manager_id"])
    for office in units.items():
        for key in office:
            found = (await client.get("/managers", params={"office": key})).json()["items"]
            assert found == [one for one in managers if one["business_unit_id"] == office[1]]
    for key in (manager["agent_code"], manager["id"]):
        assert (await client.get("/tickets", params={"manager": key})).json()["total"] == 1
    for path in (f"/tickets?office={NOBODY}", "/managers?office=Nowhere"):
        assert await refused(client, path, "office") == sorted(units)
    assert await refused(client, "/tickets?manager=M-404", "manager") == sorted(one["agent_code"] for one in managers)


async def test_a_request_outside_a_role_is_named_by_no_filter(app: FastAPI, database_url: str) -> None:
    roles = read_pack("civic").model_dump(mode="json")["roles"]
    own = {"title": "own", "kind": "agent", "scope": "own", "permissions": ["*"], "bound": False}
    town = await make_city(app, database_url, roles=roles | {"named": roles["named"] | {"by_own": own}})
    number = (await create(await town.client("dispatcher"), is_public=False))["request_id"]
    agent = await add_agent(await town.client("admin"))
    client = await town.client("by_own", actor_id=agent["_id"])
    for path in ("/reports?issue={}", "/sla-metrics?request_id={}"):
        hidden, absent = await client.get(path.format(number)), await client.get(path.format("CST-1"))
        assert hidden.text == absent.text.replace("CST-1", number)
        problem(hidden, 422, "invalid")
