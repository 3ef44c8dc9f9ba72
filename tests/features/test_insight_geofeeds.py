"""Map feeds over HTTP (R-KPI-04): weights, cells, clusters, zones, their cache, and who sees what."""

import asyncio
import math
import random
from datetime import timedelta
from typing import Any

import h3.api.basic_int as h3
import httpx
import pytest
from builders import create
from insight_support import DAY, HOUR, NOON, add_row, change_row
from psycopg.types.json import Jsonb
from tests_support import problem

from civicpulse.base import clock
from civicpulse.insight.actions import KEEP_FEEDS
from civicpulse.insight.map.geofeeds import POINTS_ZOOM, RESOLUTIONS, expansion_zoom
from civicpulse.insight.map.viewport import cell_spans
from civicpulse.places.cells import cell_of
from conftest import City

HEATMAP, CLUSTERS, ZONES = (f"/analytics/geofeeds/{name}" for name in ("heatmap", "clusters", "zones"))
WEIGHTS = {"P1": 8, "P2": 4, "P3": 2, "P4": 1}


async def feed(client: httpx.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(path, params={"max_age": 0, **params})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/geo+json"
    document: dict[str, Any] = answer.json()
    assert document["type"] == "FeatureCollection"
    assert {"feed_name", "generated_at", "filters", "aggregation", "features"} <= document.keys()
    return document


def ids(document: dict[str, Any]) -> set[str]:
    return {feature["properties"]["request_id"] for feature in document["features"]}


async def scatter(city: City, count: int, *, seed: int = 1, spread: float = 0.05) -> list[tuple[float, float]]:
    dice = random.Random(seed)
    places = [(-74.0 + dice.uniform(-spread, spread), 40.7 + dice.uniform(-spread, spread)) for _ in range(count)]
    async with city.transaction() as tx:
        for lon, lat in places:
            await add_row(
                tx, lon=lon, lat=lat, at=NOON - HOUR * dice.randrange(1, 500), priority=dice.choice(list(WEIGHTS))
            )
    return places


async def test_the_heatmap_weighs_priority_and_age(city: City) -> None:
    async with city.transaction() as tx:
        for priority, hours in (("P1", 10), ("P4", 100), ("P2", 0)):
            await add_row(
                tx, at=NOON - HOUR * hours, priority=priority, number=f"{priority}-1", lon=-74.001, lat=40.702
            )
    with clock.at(NOON):
        document = await feed(await city.client(), HEATMAP)
    assert document["feed_name"] == "open_requests_heatmap"
    assert document["generated_at"] == "2026-03-15T12:00:00Z"
    assert document["aggregation"]["method"] == "weighted_heatmap"
    assert "ln(1 + age_hours)" in document["aggregation"]["weight_formula"]
    assert ids(document) == {"P1-1", "P4-1", "P2-1"}
    for feature in document["features"]:
        assert feature["geometry"] == {"type": "Point", "coordinates": [-74.001, 40.702]}
        properties = feature["properties"]
        assert properties.keys() == {"request_id", "category", "priority", "weight", "age_hours"}
        expected = WEIGHTS[properties["priority"]] * math.log1p(properties["age_hours"])
        assert properties["weight"] == pytest.approx(expected, abs=1e-3)


async def test_only_open_masters_with_a_place_are_on_the_map(city: City) -> None:
    async with city.transaction() as tx:
        master = await add_row(tx, number="open")
        await add_row(tx, number="waiting", status="awaiting_citizen")
        await add_row(tx, number="duplicate", master_id=master)
        await add_row(tx, number="nowhere", lon=None)
        for status in ("resolved", "closed"):
            await add_row(tx, number=status, status=status)
    assert ids(await feed(await city.client("admin"), HEATMAP)) == {"open", "waiting"}


async def test_filters_narrow_the_map(city: City) -> None:
    async with city.transaction() as tx:
        await add_row(tx, number="a", zone_id="Z1", category="noise", priority="P1", status="new")
        await add_row(tx, number="b", zone_id="Z2", category="trash", priority="P2", status="triaged", lon=-73.9)
    client = await city.client()
    for name, first, second in (
        ("zone", "Z1", "Z2"),
        ("category", "noise", "trash"),
        ("priority", "P1", "P2"),
        ("status", "new", "triaged"),
    ):
        assert ids(await feed(client, HEATMAP, **{name: first})) == {"a"}
        assert ids(await feed(client, HEATMAP, **{name: f"{first},{second}"})) == {"a", "b"}
        assert ids(await feed(client, HEATMAP, **{name: [first, second]})) == {"a", "b"}
    assert ids(await feed(client, HEATMAP, bbox="-74.01,40.6,-73.99,40.8")) == {"a"}
    assert ids(await feed(client, HEATMAP, bbox="-80,30,-60,50")) == {"a", "b"}
    assert ids(await feed(client, HEATMAP, bbox="-74.0,40.7,-74.0,40.7")) == {"a"}
    document = await feed(client, HEATMAP, zone="Z1", priority="P1")
    assert document["filters"]["zone_id"] == "Z1"
    assert document["filters"]["priority_in"] == ["P1"]


async def test_too_many_points_become_cells_that_hold_them_all(city: City) -> None:
    places = await scatter(city, 150)
    client = await city.client()
    with clock.at(NOON):
        points = await feed(client, HEATMAP, max_points=150)
        cells = await feed(client, HEATMAP, max_points=149)
        coarse = await feed(client, HEATMAP, max_points=5)
    assert points["aggregation"]["unit"] == "request"
    total = sum(feature["properties"]["weight"] for feature in points["features"])
    for document in (cells, coarse):
        resolution = document["aggregation"]["h3_resolution"]
        counted: dict[str, int] = {}
        for lon, lat in places:
            parent = h3.int_to_str(h3.cell_to_parent(cell_of(lon, lat), resolution))
            counted[parent] = counted.get(parent, 0) + 1
        assert {f["properties"]["cell"]: f["properties"]["count"] for f in document["features"]} == counted
        assert sum(feature["properties"]["weight"] for feature in document["features"]) == pytest.approx(total, abs=0.1)
        for feature in document["features"]:
            lat, lon = h3.cell_to_latlng(h3.str_to_int(feature["properties"]["cell"]))
            assert feature["geometry"]["coordinates"] == [round(lon, 6), round(lat, 6)]
    assert len(coarse["features"]) <= 5 < len(cells["features"]) <= 149


async def test_clusters_fall_apart_as_the_map_comes_closer(city: City) -> None:
    await scatter(city, 80)
    async with city.transaction() as tx:
        await add_row(tx, lon=-100.0, lat=45.0, number="lonely")
    client = await city.client()
    sizes = []
    for zoom in (0, 6, 10, 13, POINTS_ZOOM):
        document = await feed(client, CLUSTERS, zoom=zoom)
        features = document["features"]
        sizes.append(len(features))
        assert sum(feature["properties"]["count"] for feature in features) == document["aggregation"]["count"] == 81
        for feature in features:
            properties = feature["properties"]
            assert properties["cluster"] == (properties["count"] > 1)
            if properties["cluster"]:
                assert properties["expansion_zoom"] > zoom
            else:
                assert properties["request_id"]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 81
    lonely = [
        f for f in (await feed(client, CLUSTERS, zoom=6))["features"] if f["properties"].get("request_id") == "lonely"
    ]
    assert lonely[0]["geometry"]["coordinates"] == [-100.0, 45.0]


async def test_a_cluster_says_at_which_zoom_it_falls_apart(city: City) -> None:
    here, there = (-74.0, 40.7), (-74.0, 40.73)
    async with city.transaction() as tx:
        for lon, lat in (here, there):
            await add_row(tx, lon=lon, lat=lat)
    client = await city.client()
    together = (await feed(client, CLUSTERS, zoom=5))["features"]
    assert len(together) == 1
    zoom = together[0]["properties"]["expansion_zoom"]
    assert len((await feed(client, CLUSTERS, zoom=zoom - 1))["features"]) == 1
    assert len((await feed(client, CLUSTERS, zoom=zoom))["features"]) == 2
    assert expansion_zoom(cell_of(*here), cell_of(*here)) == POINTS_ZOOM
    assert list(RESOLUTIONS) == sorted(RESOLUTIONS)


def test_spans_of_a_box_hold_every_cell_in_it() -> None:
    dice = random.Random(2)
    for _ in range(200):
        west, south = dice.uniform(-179, 175), dice.uniform(-80, 80)
        east, north = west + dice.choice([0, 0.001, 0.05, 1.0]), south + dice.choice([0, 0.002, 0.04, 0.9])
        spans = cell_spans((west, south, east, north))
        if spans is None:
            continue
        assert spans == sorted(spans)
        assert len(spans) <= 150
        for _ in range(40):
            cell = cell_of(dice.uniform(west, east), dice.uniform(south, north))
            assert sum(low <= cell <= high for low, high in spans) == 1


async def test_a_box_and_everything_filtered_give_the_same(city: City) -> None:
    places = await scatter(city, 120)
    box = (-74.02, 40.69, -73.99, 40.72)
    assert cell_spans(box) is not None
    inside = sum(box[0] <= lon <= box[2] and box[1] <= lat <= box[3] for lon, lat in places)
    client = await city.client()
    shown = ",".join(map(str, box))
    assert 0 < inside == len((await feed(client, HEATMAP, bbox=shown))["features"])
    assert (await feed(client, CLUSTERS, bbox=shown, zoom=9))["aggregation"]["count"] == inside


SQUARE = {
    "type": "Polygon",
    "coordinates": [[[-74.1, 40.6], [-73.9, 40.6], [-73.9, 40.8], [-74.1, 40.8], [-74.1, 40.6]]],
}


async def add_zone(city: City, zone_id: str) -> None:
    async with city.transaction() as tx:
        await tx.run(
            "INSERT INTO zones (tenant_id, zone_id, name, geometry) VALUES (%s, %s, %s, %s)",
            [tx.tenant_id, zone_id, f"Zone {zone_id}", Jsonb(SQUARE)],
        )


async def test_zones_carry_what_is_open_and_what_was_resolved(city: City) -> None:
    await add_zone(city, "Z1")
    await add_zone(city, "Z2")
    async with city.transaction() as tx:
        await add_row(tx, zone_id="Z1", sla_state="overdue", at=NOON - DAY)
        await add_row(tx, zone_id="Z1", sla_state="breached", at=NOON - DAY, lon=None)
        await add_row(tx, zone_id="Z1", status="closed", at=NOON - DAY, resolved_at=NOON - DAY + 6 * HOUR)
        await add_row(tx, zone_id="Z1", status="closed", at=NOON - DAY, resolved_at=NOON - DAY + 2 * HOUR)
        await add_row(tx, zone_id="Z1", status="closed", at=NOON - 60 * DAY, resolved_at=NOON - 50 * DAY)
    client = await city.client()
    with clock.at(NOON):
        document = await feed(client, ZONES)
    first, second = document["features"]
    weight = 2 * 2 * math.log1p(24)
    assert first["geometry"] == SQUARE
    assert first["properties"] == {
        "zone_id": "Z1",
        "name": "Zone Z1",
        "open": 2,
        "backlog": 2,
        "at_risk": 0,
        "overdue": 1,
        "breached": 1,
        "weight": pytest.approx(weight, abs=1e-3),
        "resolved_30d": 2,
        "avg_resolution_hours": 4.0,
    }
    assert (second["properties"]["open"], second["properties"]["avg_resolution_hours"]) == (0, None)
    assert document["aggregation"]["method"] == "zone_summary"
    assert [f["properties"]["zone_id"] for f in (await feed(client, ZONES, zone="Z2"))["features"]] == ["Z2"]
    assert (await feed(client, ZONES, bbox="10,10,11,11"))["features"] == []


async def test_what_lies_in_no_zone_is_counted_with_the_zones(city: City) -> None:
    await add_zone(city, "Z1")
    client = await city.client()
    assert [f["properties"]["zone_id"] for f in (await feed(client, ZONES, fresh="true"))["features"]] == ["Z1"]
    async with city.transaction() as tx:
        await add_row(tx, zone_id="Z1")
        await add_row(tx, lon=-75.5)
        await add_row(tx, lon=None, sla_state="breached")
        await add_row(tx, lon=None, zone_id="GONE")
        await add_row(tx, lon=None, is_public=False)
    whole = await feed(client, ZONES, fresh="true")
    rows = {f["properties"]["zone_id"]: f for f in whole["features"]}
    assert {code: row["properties"]["open"] for code, row in rows.items()} == {"Z1": 1, "UNZONED": 2, "GONE": 1}
    assert (rows["UNZONED"]["geometry"], rows["GONE"]["geometry"], rows["Z1"]["geometry"]) == (None, None, SQUARE)
    assert (rows["UNZONED"]["properties"]["name"], rows["UNZONED"]["properties"]["breached"]) == (
        "Outside every zone",
        1,
    )
    assert whole["aggregation"]["count"] == 4
    only = await feed(client, ZONES, zone="UNZONED", fresh="true")
    assert [f["properties"]["open"] for f in only["features"]] == [2]
    near = await feed(client, ZONES, bbox="-76,40,-75,41", fresh="true")
    assert [(f["properties"]["zone_id"], f["properties"]["open"]) for f in near["features"]] == [("UNZONED", 1)]


@pytest.mark.parametrize(
    ("path", "params"), [(HEATMAP, {}), (HEATMAP, {"max_points": 1}), (CLUSTERS, {"zoom": 17}), (CLUSTERS, {"zoom": 5})]
)
async def test_a_map_says_how_many_requests_are_not_on_it(city: City, path: str, params: dict[str, Any]) -> None:
    async with city.transaction() as tx:
        for number in range(3):
            await add_row(tx, lon=-74.0 - number / 10)
        await add_row(tx, lon=None)
        await add_row(tx, cell=None, geo_quality="town")
        await add_row(tx, lon=None, is_public=False)
        await add_row(tx, lon=None, status="closed")
    for role, box, expected in ((None, None, 2), ("admin", None, 3), (None, "-74.05,40.6,-73.9,40.8", 1)):
        asked = params | ({"bbox": box} if box else {})
        told = (await feed(await city.client(role), path, **asked))["aggregation"]
        assert (told["count"], told["left_out"]) == (1 if box else 3, expected)


async def test_a_young_feed_is_served_again_and_an_old_one_made_anew(city: City) -> None:
    client = await city.client()
    with clock.at(NOON):
        first = await client.get(HEATMAP)
    async with city.transaction() as tx:
        await add_row(tx, number="later")
        kept = await tx.rows("SELECT feed_name, filters, aggregation, geojson FROM geo_feeds")
    assert [row["feed_name"] for row in kept] == ["open_requests_heatmap"]
    assert kept[0]["geojson"] == {"type": "FeatureCollection", "features": []}
    assert kept[0]["aggregation"]["method"] == "weighted_heatmap"
    with clock.at(NOON + timedelta(seconds=14)):
        again = await client.get(HEATMAP)
        fresh = await client.get(HEATMAP, params={"fresh": "true"})
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]
    assert ids(fresh.json()) == {"later"}
    assert fresh.headers["etag"] != first.headers["etag"]
    with clock.at(NOON + timedelta(seconds=40)):
        assert (await client.get(HEATMAP)).json()["generated_at"] == "2026-03-15T12:00:40Z"
        assert (await client.get(HEATMAP, params={"max_age": 60})).json()["generated_at"] == "2026-03-15T12:00:40Z"


@pytest.mark.parametrize("path", [HEATMAP, CLUSTERS, ZONES])
async def test_a_feed_that_the_caller_has_is_answered_with_304(city: City, path: str) -> None:
    client = await city.client()
    first = await client.get(path)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    assert "max-age" in first.headers["cache-control"]
    for sent in (tag, f'"other", {tag}'):
        again = await client.get(path, headers={"If-None-Match": sent})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await client.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_staff_and_public_never_share_a_feed(city: City) -> None:
    async with city.transaction() as tx:
        await add_row(tx, number="public")
        await add_row(tx, number="private", is_public=False, lon=-74.3)
        await add_row(tx, number="both")
    staff, anyone, citizen = await city.client("agent"), await city.client(), await city.client("citizen")
    for path in (HEATMAP, CLUSTERS):
        params = {"zoom": 17} if path == CLUSTERS else {}
        assert ids((await staff.get(path, params=params)).json()) == {"public", "private", "both"}
        for caller in (anyone, citizen):
            assert ids((await caller.get(path, params=params)).json()) == {"public", "both"}
    assert (await staff.get(HEATMAP)).headers["cache-control"].startswith("private")


async def test_zones_count_public_requests_only_for_the_public(city: City) -> None:
    await add_zone(city, "Z1")
    async with city.transaction() as tx:
        await add_row(tx, zone_id="Z1", is_public=False)
        await add_row(tx, zone_id="Z1", is_public=False, status="closed", resolved_at=clock.now())
    shown = (await feed(await city.client(), ZONES))["features"][0]["properties"]
    assert (shown["open"], shown["resolved_30d"]) == (0, 0)
    shown = (await feed(await city.client("agent"), ZONES))["features"][0]["properties"]
    assert (shown["open"], shown["resolved_30d"]) == (1, 1)


async def test_another_tenant_sees_none_of_it(city: City, other_city: City) -> None:
    await add_zone(city, "Z1")
    async with city.transaction() as tx:
        await add_row(tx, zone_id="Z1")
    home, foreign = await city.client("admin"), await other_city.client("admin")
    for path in (HEATMAP, CLUSTERS, ZONES):
        assert len((await home.get(path)).json()["features"]) == 1
        assert (await foreign.get(path)).json()["features"] == []


async def test_a_new_report_is_on_a_fresh_map(city: City) -> None:
    anyone = await city.client()
    made = await create(anyone)
    document = await feed(anyone, HEATMAP, fresh="true")
    assert ids(document) == {made["request_id"]}
    async with city.transaction() as tx:
        row = await tx.value("SELECT id FROM requests")
        await change_row(tx, row, status="closed", state_category="closed")
    assert ids(await feed(anyone, HEATMAP, fresh="true")) == set()


async def test_many_may_ask_for_the_same_feed_at_once(city: City) -> None:
    await scatter(city, 20)
    client = await city.client()
    answers = await asyncio.gather(*(client.get(HEATMAP, params={"fresh": "true"}) for _ in range(12)))
    assert {answer.status_code for answer in answers} == {200}
    async with city.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM geo_feeds") == 1


async def test_the_number_of_kept_feeds_is_bounded(city: City) -> None:
    client = await city.client()
    async with city.transaction() as tx:
        await tx.run(
            "INSERT INTO geo_feeds (tenant_id, feed_name, filters_key, filters, generated_at, aggregation, geojson, etag) "
            "SELECT %(tenant_id)s, 'old', n::text, '{}', '2026-01-01Z', '{}', '{}', 'x' FROM generate_series(1, 300) n",
            {"tenant_id": tx.tenant_id},
        )
    await feed(client, HEATMAP)
    async with city.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM geo_feeds") == KEEP_FEEDS
        assert await tx.value("SELECT count(*) FROM geo_feeds WHERE feed_name = 'open_requests_heatmap'") == 1


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (HEATMAP, {"bbox": "1,2,3"}),
        (HEATMAP, {"bbox": "nan,nan,nan,nan"}),
        (HEATMAP, {"bbox": "10,10,5,5"}),
        (HEATMAP, {"bbox": "-190,0,0,10"}),
        (HEATMAP, {"priority": "urgent"}),
        (HEATMAP, {"max_points": 0}),
        (HEATMAP, {"max_age": -1}),
        (CLUSTERS, {"zoom": 23}),
        (CLUSTERS, {"zoom": "near"}),
        (ZONES, {"zone": "a\x00b"}),
    ],
)
async def test_bad_parameters_are_refused(city: City, path: str, params: dict[str, Any]) -> None:
    problem(await (await city.client()).get(path, params=params), 422)
