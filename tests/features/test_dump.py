"""CST's five collections as MongoDB Extended JSON (R-KPI-08)."""

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import add_agent, create, move, walk_to
from insight_support import change_row

from civicpulse.base import clock
from civicpulse.exports.dump import dump_documents

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


def written(out: Path) -> dict[str, list[dict[str, Any]]]:
    """The documents of the files in `out`, by collection."""
    return {file.stem: [json.loads(line) for line in file.read_text().splitlines()] for file in out.glob("*.json")}


async def dumped(tenant) -> dict[str, list[dict[str, Any]]]:
    """The documents of a dump, by collection."""
    with tempfile.TemporaryDirectory(prefix="civicpulse-dump-") as out:
        async with tenant.transaction() as tx:
            counts = await dump_documents(tx, Path(out), progress=lambda _: None)
        found = written(Path(out))
    assert counts == {name: len(documents) for name, documents in found.items()}
    return found


async def test_the_five_collections_hold_what_the_api_shows(city) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    await walk_to(admin, number, "resolved")
    await admin.post(f"/requests/{number}/comment", json={"message": "well done"})
    await admin.get("/analytics/geofeeds/heatmap")
    await add_agent(admin, "AG-9")
    await admin.post("/citizens", json={"full_name": "Ada", "contacts": {"email": "ada@example.org"}})
    found = await dumped(city)
    assert {name: len(documents) for name, documents in found.items()} == {
        "service_requests": 1,
        "citizens": 1,
        "service_agents": 2,
        "performance_logs": 1,
        "geo_feeds": 1,
    }
    (request,), (log,), (feed,) = (found[name] for name in ("service_requests", "performance_logs", "geo_feeds"))
    assert request["request_id"] == number
    assert set(request["timestamps"]["created_at"]) == {"$date"}
    assert set(request["_id"]) == {"$uuid"}
    assert log["request_id"] == request["_id"]
    comment = next(event for event in log["event_stream"] if event["type"] == "comment")
    assert comment["meta"]["message"] == "well done"
    assert log["computed_kpis"]["resolution_minutes"] is not None
    assert feed["geojson"]["type"] == "FeatureCollection"
    assert found["citizens"][0]["contacts"]["email"] == "ada@example.org"
    assert {agent["agent_code"] for agent in found["service_agents"]} >= {"AG-9"}


async def test_a_dump_holds_nothing_that_the_indexes_of_the_specification_refuse(city) -> None:
    admin = await city.client("admin")
    nowhere = await create(admin)
    async with city.transaction() as tx:
        await change_row(tx, nowhere["_id"], lon=None, lat=None)  # as from a report in words
    somewhere = (await create(admin, lon=-74.2))["request_id"]
    for preferred, contacts in (("none", {}), ("none", {}), ("sms", {"phone": "+12125550142"})):
        citizen = {"full_name": "Ada", "contacts": contacts, "preferences": {"preferred_contact": preferred}}
        assert (await admin.post("/citizens", json=citizen)).status_code == 201
    found = await dumped(city)
    requests = {request["request_id"]: request for request in found["service_requests"]}
    assert "location" not in requests[nowhere["request_id"]]
    assert requests[nowhere["request_id"]]["location_words"] == {
        "address_hint": "Main St",
        "zone_id": "UNZONED",
        "asset_id": None,
    }
    assert requests[somewhere]["location"]["coordinates"] == [-74.2, 40.71]
    assert "location_words" not in requests[somewhere]
    assert sorted(len(citizen["contacts"]) for citizen in found["citizens"]) == [0, 0, 1]


async def test_a_feed_has_an_id_of_its_own_that_stays(city) -> None:
    admin = await city.client("admin")
    for query in ("", "?category=pothole"):
        assert (await admin.get(f"/analytics/geofeeds/heatmap{query}")).status_code == 200
    first, second = (await dumped(city))["geo_feeds"], (await dumped(city))["geo_feeds"]
    assert [feed["_id"] for feed in first] == [feed["_id"] for feed in second]
    assert len({feed["_id"]["$uuid"] for feed in first}) == 2
    assert "filters_key" not in first[0]


async def test_the_times_of_milestones_and_of_the_clock_are_dates(city) -> None:
    admin = await city.client("admin")
    with clock.at(MONDAY):
        number = (await create(admin))["request_id"]
        await walk_to(admin, number, "in_progress")
    with clock.at(MONDAY + timedelta(days=30)):
        urgent = (await create(admin, category="pothole", lon=-74.3))["request_id"]
    with clock.at(MONDAY + timedelta(days=60)):
        assert (await move(admin, urgent, "triaged", priority="P1")).status_code == 200
    found = await dumped(city)
    request = next(one for one in found["service_requests"] if one["request_id"] == number)
    assert request["milestones"] == {"work_started": {"$date": "2026-03-02T09:00:00.000Z"}}
    late = [event for log in found["performance_logs"] for event in log["event_stream"] if "due_at" in event["meta"]]
    assert late
    assert {tuple(event["meta"]["due_at"]) for event in late} == {("$date",)}


@pytest.mark.parametrize(("days", "met"), [(0, True), (60, False)])
async def test_completed_says_whether_it_was_in_time(city, days, met) -> None:
    admin = await city.client("admin")
    with clock.at(MONDAY):
        number = (await create(admin))["request_id"]
    with clock.at(MONDAY + timedelta(days=days)):
        await walk_to(admin, number, "resolved")
    (log,) = (await dumped(city))["performance_logs"]
    assert (log["computed_kpis"]["sla_state"], log["computed_kpis"]["sla_met"]) == ("completed", met)


async def test_a_running_clock_has_not_been_met(city) -> None:
    admin = await city.client("admin")
    await create(admin)
    (log,) = (await dumped(city))["performance_logs"]
    assert log["computed_kpis"]["sla_met"] is None
