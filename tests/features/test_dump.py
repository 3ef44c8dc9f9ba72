"""CST's five collections as MongoDB Extended JSON (R-KPI-08)."""

import json
import shutil
import tempfile
from pathlib import Path

from builders import add_agent, create, walk_to

from civicpulse.exports.dump import dump_documents


async def test_the_five_collections_hold_what_the_api_shows(city) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    await walk_to(admin, number, "resolved")
    await admin.post(f"/requests/{number}/comment", json={"message": "well done"})
    await admin.get("/analytics/geofeeds/heatmap")
    await add_agent(admin, "AG-9")
    await admin.post("/citizens", json={"full_name": "Ada", "contacts": {"email": "ada@example.org"}})
    out = Path(tempfile.mkdtemp(prefix="civicpulse-dump-"))
    try:
        async with city.transaction() as tx:
            counts = await dump_documents(tx, out, progress=lambda _: None)
        dumped = {
            name: [json.loads(line) for line in (out / f"{name}.json").read_text().splitlines()] for name in counts
        }
    finally:
        shutil.rmtree(out)
    assert counts == {"service_requests": 1, "citizens": 1, "service_agents": 2, "performance_logs": 1, "geo_feeds": 1}
    (request,), (log,), (feed,) = (dumped[name] for name in ("service_requests", "performance_logs", "geo_feeds"))
    assert request["request_id"] == number
    assert set(request["timestamps"]["created_at"]) == {"$date"}
    assert set(request["_id"]) == {"$uuid"}
    assert log["request_id"] == request["_id"]
    comment = next(event for event in log["event_stream"] if event["type"] == "comment")
    assert comment["meta"]["message"] == "well done"
    assert log["computed_kpis"]["resolution_minutes"] is not None
    assert feed["geojson"]["type"] == "FeatureCollection"
    assert dumped["citizens"][0]["contacts"]["email"] == "ada@example.org"
    assert {agent["agent_code"] for agent in dumped["service_agents"]} >= {"AG-9"}
