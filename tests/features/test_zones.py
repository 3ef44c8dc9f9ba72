"""Zones: brought in from GeoJSON, found by a point, served over HTTP."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import shapely
from shapely.geometry import shape
from tests_support import problem

from civicpulse.base.errors import Invalid
from civicpulse.base.tenancy import Tenant
from civicpulse.places.geojson import read_zone_file
from civicpulse.places.zones import ZoneIndex, ZoneReport, import_zones, zone_index
from conftest import City

Ring = list[list[float]]

SQUARE: Ring = [[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]
RIGHT: Ring = [[2, 0], [4, 0], [4, 2], [2, 2], [2, 0]]
BOW_TIE: Ring = [[10, 0], [12, 2], [12, 0], [10, 2], [10, 0]]


def feature(ring: Sequence[Sequence[float]], **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def collection(path: Path, *features: Any) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


async def bring(city: City, path: Path, code: str = "code", name: str | None = "name") -> ZoneReport:
    async with city.transaction() as tx:
        report = await import_zones(tx, path, code_property=code, name_property=name)
    await city.services.tenants.refresh()
    return report


async def current(city: City) -> Tenant:
    tenant = await city.services.tenants.by_id(city.tenant.tenant_id)
    assert tenant is not None
    return tenant


def test_a_point_is_found_in_its_zone_and_nowhere_outside() -> None:
    index = ZoneIndex([("b", shapely.Polygon(RIGHT)), ("a", shapely.Polygon(SQUARE))])
    assert [index.zone_of(1, 1), index.zone_of(3, 1), index.zone_of(9, 9)] == ["a", "b", None]


def test_a_point_on_a_border_belongs_to_the_smallest_code_whatever_the_order() -> None:
    zones = [("b", shapely.Polygon(RIGHT)), ("a", shapely.Polygon(SQUARE))]
    for given in (zones, zones[::-1]):
        assert ZoneIndex(given).zone_of(2, 1) == "a"
        assert ZoneIndex(given).zones_of([2.0, 2.0, 4.0], [1.0, 2.0, 0.0]) == ["a", "a", "b"]


def test_no_zones_hold_no_point() -> None:
    assert ZoneIndex([]).zone_of(1, 1) is None
    assert ZoneIndex([]).zones_of([1.0], [1.0]) == [None]
    assert ZoneIndex([("a", shapely.Polygon(SQUARE))]).zones_of([], []) == []


@pytest.mark.parametrize(
    ("name", "code", "zones", "repaired"),
    [
        ("boston_wards", "WARD", 22, {"5", "16", "17"}),
        ("chicago_community_areas", "area_num_1", 77, set()),
        ("nyc_community_districts", "BoroCD", 71, set()),
        ("sf_supervisor_districts", "supervisor", 11, set()),
    ],
)
def test_one_point_and_many_agree_on_real_zones(
    shared_data: Path, name: str, code: str, zones: int, repaired: set[str]
) -> None:
    file = read_zone_file(shared_data / "zones" / f"{name}.geojson.gz", code_property=code, name_property=None)
    assert len(file.drafts) == zones
    assert file.bad == ()
    assert {repair.zone_id for repair in file.repairs} == repaired
    assert all(abs(repair.area_after_m2 / repair.area_before_m2 - 1) < 1e-6 for repair in file.repairs)
    index = ZoneIndex([(draft.zone_id, draft.polygon) for draft in file.drafts])
    west, south, east, north = shapely.total_bounds([draft.polygon for draft in file.drafts])
    random = np.random.default_rng(7)
    lons, lats = random.uniform(west, east, 400).tolist(), random.uniform(south, north, 400).tolist()
    plainly = [
        min((d.zone_id for d in file.drafts if d.polygon.intersects(shapely.Point(lon, lat))), default=None)
        for lon, lat in zip(lons, lats, strict=True)
    ]
    assert index.zones_of(lons, lats) == plainly
    assert [index.zone_of(lon, lat) for lon, lat in zip(lons, lats, strict=True)] == plainly


async def test_zones_are_added_once_and_the_same_file_again_changes_nothing(city: City, shared_data: Path) -> None:
    path = shared_data / "zones" / "boston_wards.geojson.gz"
    first = await bring(city, path, "WARD", None)
    again = await bring(city, path, "WARD", None)
    assert (len(first.added), len(first.changed), len(first.unchanged)) == (22, 0, 0)
    assert (len(again.added), len(again.changed), len(again.unchanged)) == (0, 0, 22)
    assert first.zones_version == again.zones_version == 1
    assert any("zone 17: repaired" in line for line in first.lines())


async def test_a_changed_zone_is_changed_and_every_cache_learns_of_it(city: City, tmp_path: Path) -> None:
    await bring(city, collection(tmp_path / "a.json", feature(SQUARE, code=1, name="Old"), feature(RIGHT, code=2)))
    async with city.services.db.transaction(await current(city)) as tx:
        assert (await zone_index(tx)).zone_of(3, 1) == "2"
    report = await bring(city, collection(tmp_path / "b.json", feature(RIGHT, code=1, name="New")))
    assert (report.changed, report.kept, report.zones_version) == (("1",), ("2",), 2)
    async with city.services.db.transaction(await current(city)) as tx:
        assert (await zone_index(tx)).zone_of(3, 1) == "1"
        assert (await zone_index(tx)).zone_of(1, 1) is None


async def test_a_polygon_that_crosses_itself_is_repaired_and_named(city: City, tmp_path: Path) -> None:
    report = await bring(city, collection(tmp_path / "z.json", feature(BOW_TIE, code="X")))
    assert [(repair.zone_id, repair.index) for repair in report.repaired] == [("X", 0)]
    assert "Self-intersection" in report.repaired[0].reason
    assert report.repaired[0].area_after_m2 > report.repaired[0].area_before_m2
    client = await city.client()
    zone = (await client.get("/zones/X")).json()
    assert zone["properties"]["repaired"] is True
    assert shape(zone["geometry"]).is_valid
    assert shape(zone["geometry"]).geom_type == "MultiPolygon"


@pytest.mark.parametrize("code", ["Allston / Brighton", "a/b/c", "50%", "Ä ö?#", "at/home"])
async def test_a_zone_of_any_code_is_found_by_it(city: City, tmp_path: Path, code: str) -> None:
    await bring(city, collection(tmp_path / "z.json", feature(SQUARE, code=code)))
    answer = await (await city.client()).get(f"/zones/{quote(code, safe='')}")
    assert (answer.status_code, answer.json()["id"]) == (200, code)


CRS = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::28992"}}


@pytest.mark.parametrize(
    "crs", [CRS, {"type": "link", "properties": {"href": "http://example.org"}}, "EPSG:3857", 4326, {}]
)
async def test_a_file_in_another_coordinate_system_is_refused_naming_the_member(
    city: City, tmp_path: Path, crs: Any
) -> None:
    path = tmp_path / "z.json"
    ring = [[10, 20], [11, 20], [11, 21], [10, 21], [10, 20]]
    content = {"type": "FeatureCollection", "crs": crs, "features": [feature(ring, code="L1")]}
    path.write_text(json.dumps(content))
    with pytest.raises(Invalid, match="`crs`") as error:
        await bring(city, path)
    assert error.value.code == "foreign_crs"
    report = await bring(city, collection(path, feature(ring, code="L1") | {"crs": crs}, feature(SQUARE, code="L2")))
    assert (report.added, [bad.index for bad in report.bad]) == (("L2",), [0])
    assert "`crs`" in report.bad[0].reason


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326", None])
def test_a_file_that_says_it_is_wgs_84_is_read(tmp_path: Path, name: str | None) -> None:
    path = tmp_path / "z.json"
    crs = None if name is None else {"type": "name", "properties": {"name": name}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature(SQUARE, code="L1")]}))
    assert len(read_zone_file(path, code_property="code", name_property=None).drafts) == 1


async def test_features_that_cannot_be_zones_are_listed_by_index_with_the_reason(city: City, tmp_path: Path) -> None:
    metres = [[236000.0, 900000.0], [237000.0, 900000.0], [237000.0, 901000.0], [236000.0, 900000.0]]
    flat: Ring = [[0, 0], [1, 1], [2, 2], [0, 0]]
    point = {"type": "Feature", "properties": {"code": "p"}, "geometry": {"type": "Point", "coordinates": [1, 1]}}
    empty = {"type": "Feature", "properties": {"code": "e"}, "geometry": None}
    broken = feature([[0, 0], ["x", 1], [1, 1], [0, 0]], code="b")  # type: ignore[list-item]
    good = feature(SQUARE, code=3.0)
    path = collection(
        tmp_path / "z.json", feature(SQUARE, other=1), point, empty, feature(metres, code="m"),
        feature(flat, code="f"), broken, "nonsense", good,
    )  # fmt: skip
    report = await bring(city, path)
    assert report.added == ("3",)
    assert [feature.index for feature in report.bad] == [0, 1, 2, 3, 4, 5, 6]
    reasons = [feature.reason for feature in report.bad]
    for reason, words in zip(
        reasons, ["'code' is missing", "Point", "missing", "not degrees", "no area", "cannot be read", "no feature"],
        strict=True,
    ):  # fmt: skip
        assert words in reason


async def test_features_of_one_code_become_one_zone(city: City, tmp_path: Path) -> None:
    report = await bring(city, collection(tmp_path / "z.json", feature(SQUARE, code=1), feature(RIGHT, code="1")))
    assert (report.added, report.joined) == (("1",), ("1",))
    async with city.services.db.transaction(await current(city)) as tx:
        index = await zone_index(tx)
    assert [index.zone_of(1, 1), index.zone_of(3, 1)] == ["1", "1"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"type": "Polygon"}', b"[1]", b"\x1f\x8b broken"])
async def test_a_file_that_is_no_geojson_is_refused(city: City, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "zones.geojson"
    path.write_bytes(content)
    with pytest.raises(Invalid, match=r"zones\.geojson"):
        await bring(city, path)


async def test_requests_left_behind_by_new_zones_are_counted(city: City, tmp_path: Path) -> None:
    await bring(city, collection(tmp_path / "a.json", feature(SQUARE, code="a"), feature(RIGHT, code="b")))
    client = await city.client()
    for lon in (1.0, 3.0):
        body = {
            "category": "pothole",
            "description": "A hole",
            "citizen_ref": {"citizen_id": None, "anonymous": True, "contact_channel": "none"},
            "location": {"type": "Point", "coordinates": [lon, 1.0]},
        }
        answer = await client.post("/requests", json=body)
        assert answer.json()["location"]["zone_id"] == ("a" if lon < 2 else "b")
    report = await bring(city, collection(tmp_path / "b.json", feature(RIGHT, code="a"), feature(SQUARE, code="b")))
    assert report.misfiled == 2


async def test_zones_are_listed_page_by_page_with_their_box_and_polygons_only_when_asked(
    city: City, tmp_path: Path
) -> None:
    features = [feature(SQUARE, code=code, name=f"Zone {code}", area=7) for code in ("a", "b", "c")]
    await bring(city, collection(tmp_path / "z.json", *features))
    client = await city.client()
    page = (await client.get("/zones", params={"limit": 2})).json()
    assert [zone["zone_id"] for zone in page["items"]] == ["a", "b"]
    assert page["items"][0]["name"] == "Zone a"
    assert page["items"][0]["bbox"] == [0, 0, 2, 2]
    assert page["items"][0]["properties"]["area"] == 7
    assert "geometry" not in page["items"][0]
    rest = (await client.get("/zones", params={"cursor": page["next_cursor"], "geometry": True})).json()
    assert [zone["zone_id"] for zone in rest["items"]] == ["c"]
    assert rest["items"][0]["geometry"]["type"] == "Polygon"
    assert rest["next_cursor"] is None
    problem(await client.get("/zones", params={"cursor": "nonsense"}), 422)


async def test_the_zone_at_a_point_is_told_and_nothing_outside(city: City, tmp_path: Path) -> None:
    await bring(city, collection(tmp_path / "z.json", feature(SQUARE, code="a", name="A")))
    client = await city.client()
    assert (await client.get("/zones/at", params={"lon": 1, "lat": 1.5})).json() == {
        "lon": 1, "lat": 1.5, "zone_id": "a", "name": "A",
    }  # fmt: skip
    assert (await client.get("/zones/at", params={"lon": 9, "lat": 1})).json()["zone_id"] is None
    problem(await client.get("/zones/at", params={"lon": 181, "lat": 1}), 422)
    problem(await client.get("/zones/at", params={"lon": 1}), 422)


async def test_a_zone_of_another_tenant_is_not_there(city: City, other_city: City, tmp_path: Path) -> None:
    await bring(city, collection(tmp_path / "z.json", feature(SQUARE, code="a")))
    client = await other_city.client()
    problem(await client.get("/zones/a"), 404)
    assert (await client.get("/zones")).json()["items"] == []


async def test_a_packed_file_is_read_as_a_plain_one(city: City, tmp_path: Path) -> None:
    document = {"type": "FeatureCollection", "features": [feature(SQUARE, code="a")]}
    path = tmp_path / "z.json"
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    assert (await bring(city, path)).added == ("a",)


async def test_categories_are_public_and_speak_the_language_asked_for(city: City) -> None:
    client = await city.client()
    categories = {item["id"]: item for item in (await client.get("/categories")).json()["items"]}
    assert categories["pothole"].keys() >= {"id", "name", "group", "color", "icon", "sub_categories"}
    spanish = (await client.get("/categories", params={"language": "es"})).json()["items"]
    assert next(item["name"] for item in spanish if item["id"] == "pothole") == "Bache"
