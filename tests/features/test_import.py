"""The import of real 311 files: every row accounted for, true times, the city's own verdicts, nothing twice."""

import asyncio
import csv
import gzip
import json
import re
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import httpx
import pytest
import shapely
from audit_support import verified
from fastapi import FastAPI
from shapely.geometry import shape

from civicpulse.base import clock
from civicpulse.base.db import Row
from civicpulse.base.errors import Invalid
from civicpulse.imports.load import import_requests
from civicpulse.imports.mapping import Mapping, parse_mapping, read_mapping
from civicpulse.imports.report import ImportReport
from civicpulse.packs.loader import read_pack
from civicpulse.packs.model import compile_pack
from civicpulse.places.zones import import_zones
from civicpulse.requests.clock import policy_from_json
from civicpulse.rules.sla import read_clock
from conftest import City, make_city

BOSTON = "boston_311_2011-07_09.csv.gz"
CHICAGO = "chicago_sanitation_2011_2012.csv.gz"
QUEENS = "nyc_queens_infra_2020_2021.csv.gz"
ANIMALS = "nyc311_full_schema_animals_5895.csv.gz"
ONE_DAY = "nyc311_full_schema_2025-03-24.csv"
# The default point, and the street address of City Hall.
NOWHERE = (("42.3594", "-71.0587"), ("42.3603", "-71.0583"))
NEW_YORK = ZoneInfo("America/New_York")


class Imported(NamedTuple):
    """A tenant into which a file went, the report, and the file's rows read by the standard library alone."""

    city: City
    report: ImportReport
    rows: list[dict[str, str]]


def rows_of(path: Path) -> list[dict[str, str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


async def bring(city: City, path: Path, mapping: Mapping | str | Path, *, dry_run: bool = False) -> ImportReport:
    return await import_requests(city.services, city.tenant, path, mapping, dry_run=dry_run)


async def with_zones(city: City, path: Path, code: str) -> City:
    async with city.transaction() as tx:
        await import_zones(tx, path, code_property=code)
    return city


async def stored(city: City, columns: str = "*") -> list[Row]:
    async with city.transaction() as tx:
        return await tx.rows(f"SELECT {columns} FROM requests ORDER BY external_id")


async def counted(city: City, column: str) -> dict[str, int]:
    async with city.transaction() as tx:
        rows = await tx.rows(f"SELECT {column} AS name, count(*) AS count FROM requests GROUP BY 1")
    return {row["name"]: row["count"] for row in rows}


@pytest.fixture(scope="module")
async def boston(app: FastAPI, database_url: str, shared_data: Path) -> Imported:
    city = await make_city(app, database_url)
    await with_zones(city, shared_data / "zones" / "boston_wards.geojson.gz", "WARD")
    return Imported(city, await bring(city, shared_data / BOSTON, "boston"), rows_of(shared_data / BOSTON))


@pytest.fixture(scope="module")
async def chicago(app: FastAPI, database_url: str, shared_data: Path) -> Imported:
    city = await make_city(app, database_url)
    await with_zones(city, shared_data / "zones" / "chicago_community_areas.geojson.gz", "area_num_1")
    return Imported(city, await bring(city, shared_data / CHICAGO, "chicago"), rows_of(shared_data / CHICAGO))


@pytest.fixture(scope="module", params=[ANIMALS, ONE_DAY])
async def new_york(app: FastAPI, database_url: str, shared_data: Path, request: pytest.FixtureRequest) -> Imported:
    city = await make_city(app, database_url)
    await with_zones(city, shared_data / "zones" / "nyc_community_districts.geojson.gz", "BoroCD")
    path = shared_data / request.param
    return Imported(city, await bring(city, path, "nyc"), rows_of(path))


# -------------------------------------------------------------------------------------------------------------- Boston


async def test_every_boston_row_is_added_with_its_status(boston: Imported) -> None:
    report = boston.report
    assert (report.rows, report.added, report.bad, report.repeated) == (len(boston.rows), len(boston.rows), 0, 0)
    plain = Counter({"Closed": "closed", "Open": "new"}[row["case_status"]] for row in boston.rows)
    assert await counted(boston.city, "status") == plain == report.by_status


async def test_boston_categories_equal_a_plain_count_over_the_file(boston: Imported) -> None:
    tables = {table.column: table.values for table in read_mapping("boston").category.by}
    plain: Counter[str] = Counter()
    for row in boston.rows:
        plain[
            next(
                (
                    category
                    for column, table in tables.items()
                    for category, words in table.items()
                    if re.sub(r"\s+", " ", row[column]) in words
                ),
                "general_inquiry",
            )
        ] += 1
    assert await counted(boston.city, "category") == plain == boston.report.by_category
    kinds = Counter(row["type"].strip() for row in boston.rows)
    assert await counted(boston.city, "sub_category") == kinds


async def test_boston_zones_equal_a_plain_search_through_the_polygons(boston: Imported, shared_data: Path) -> None:
    document = json.loads(gzip.decompress((shared_data / "zones" / "boston_wards.geojson.gz").read_bytes()))
    wards = [(str(f["properties"]["WARD"]), shapely.make_valid(shape(f["geometry"]))) for f in document["features"]]
    points = [(float(row["longitude"]), float(row["latitude"])) for row in boston.rows]
    of_point: dict[int, str] = {}
    for code, polygon in sorted(wards, reverse=True):  # the smallest code comes last and wins
        inside = shapely.intersects_xy(polygon, *zip(*points, strict=True))
        of_point |= dict.fromkeys(inside.nonzero()[0].tolist(), code)
    plain: Counter[str] = Counter()
    for number, row in enumerate(boston.rows):
        named = re.search(r"\d+", row["ward"])
        nowhere = (row["latitude"], row["longitude"]) in NOWHERE
        zone = (str(int(named[0])) if named else None) if nowhere else of_point.get(number)
        plain[zone or "UNZONED"] += 1
    assert await counted(boston.city, "zone_id") == plain == boston.report.by_zone


async def test_boston_zones_agree_with_the_ward_column(boston: Imported) -> None:
    agreement = boston.report.zones
    assert agreement.compared > 29_000
    assert agreement.share is not None
    assert agreement.share >= 0.99


async def test_our_verdict_is_the_citys_on_every_closed_case_that_has_a_target_and_a_verdict(boston: Imported) -> None:
    city = {
        row["case_enquiry_id"]: row["ontime"] == "ONTIME"
        for row in boston.rows
        if row["case_status"] == "Closed" and row["target_dt"].strip() and row["ontime"].strip()
    }
    ours = {row["external_id"]: row["sla_met"] for row in await stored(boston.city, "external_id, sla_met")}
    assert len(city) == 25_101
    assert [name for name, met in city.items() if ours[name] is not met] == []
    assert boston.report.verdicts.compared == boston.report.verdicts.agreed == len(city)


async def test_boston_times_are_the_citys_wall_times_in_utc(boston: Imported) -> None:
    ours = {row["external_id"]: row for row in await stored(boston.city)}

    def utc(text: str) -> datetime | None:
        return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC) if text.strip() else None

    for row in boston.rows[::50]:
        mine = ours[row["case_enquiry_id"]]
        assert mine["created_at"] == utc(row["open_dt"])
        assert mine["closed_at"] == mine["resolved_at"] == utc(row["closed_dt"])
        assert (mine["sla"] or {}).get("policy_id") == "imported" or not row["target_dt"].strip()
        assert mine["id"].hex[:12] == f"{int(mine['created_at'].timestamp() * 1000):012x}"
        assert re.fullmatch(rf"CST-{mine['created_at'].year}-\d{{6}}", mine["number"])


async def test_boston_numbers_are_unique_and_follow_the_file(boston: Imported) -> None:
    numbers = {
        row["external_id"]: int(row["number"].split("-")[2]) for row in await stored(boston.city, "external_id, number")
    }
    assert len(set(numbers.values())) == len(boston.rows)
    in_file = [numbers[row["case_enquiry_id"]] for row in boston.rows]
    assert in_file == sorted(in_file)


async def test_the_default_points_keep_their_coordinates_and_have_no_cell(boston: Imported) -> None:
    nowhere = {row["case_enquiry_id"] for row in boston.rows if (row["latitude"], row["longitude"]) in NOWHERE}
    rows = await stored(boston.city, "external_id, lon, lat, cell")
    assert {row["external_id"] for row in rows if row["cell"] is None} == nowhere
    assert all(row["lon"] is not None for row in rows)
    assert boston.report.notes["placeholder_point"] == len(nowhere)


async def test_the_trail_of_an_imported_request_tells_its_true_times_and_is_whole(boston: Imported) -> None:
    async with boston.city.transaction() as tx:
        joined = "('request.merged', 'request.duplicate_added')"
        count = await tx.value(f"SELECT count(*) FROM events WHERE actor_id = 'importer' AND type NOT IN {joined}")
        assert await tx.value("SELECT count(*) FROM outbox") == 0
    assert count == boston.report.added + 2 * boston.report.by_status["closed"]
    client = await boston.city.client("agent")
    number = next(row["number"] for row in await stored(boston.city, "number, status") if row["status"] == "closed")
    shown = (await client.get(f"/requests/{number}")).json()
    events = (await client.get(f"/requests/{number}/events")).json()["items"]
    assert [event["name"] for event in events] == ["created", "resolved", "closed"]
    assert [event["by"]["actor_type"] for event in events] == ["system"] * 3
    assert events[0]["meta"]["imported"] is True
    assert (events[0]["meta"]["source"], events[0]["meta"]["external_id"]) == ("boston-311", shown["external_id"])
    assert events[0]["meta"]["channel"]
    assert (events[2]["meta"]["from"], events[2]["meta"]["to"]) == ("resolved", "closed")


async def test_open_cases_years_late_set_off_no_storm(boston: Imported) -> None:
    """Steps that fell due before the import count as fired, and nothing of the past is waited for."""
    pack = compile_pack(read_pack("civic"))
    late = 0
    for row in await stored(
        boston.city, "status, sla, sla_state, sla_steps_fired, next_sla_at, created_at, updated_at"
    ):
        if row["status"] != "new" or row["sla"] is None:
            continue
        assert row["next_sla_at"] is None or row["next_sla_at"] > row["updated_at"]
        policy = policy_from_json(row["sla"])
        if late % 40 == 0:
            reading = read_clock(
                policy,
                pack.calendar_of(policy),
                started_at=row["created_at"],
                now=clock.now(),
                fired_steps=row["sla_steps_fired"],
            )
            assert reading.due_steps == ()
            assert reading.state == row["sla_state"] == "breached"
        late += 1
    assert late == boston.report.by_status["new"]


async def test_the_same_file_again_adds_nothing(boston: Imported, shared_data: Path) -> None:
    before = await stored(boston.city, "id, version, updated_at")
    again = await bring(boston.city, shared_data / BOSTON, "boston")
    assert (again.added, again.updated, again.unchanged, again.bad) == (0, 0, len(boston.rows), 0)
    assert sorted(map(str, await stored(boston.city, "id, version, updated_at"))) == sorted(map(str, before))


async def test_an_imported_open_request_is_worked_like_any_other(boston: Imported) -> None:
    rows = await stored(boston.city, "number, status")
    number = next(row["number"] for row in rows if row["status"] == "new")
    client = await boston.city.client("dispatcher")
    answer = await client.patch(f"/requests/{number}/transition", json={"to": "triaged"})
    assert answer.status_code == 200, answer.text
    answer = await client.patch(f"/requests/{number}/transition", json={"to": "closed", "reason": "stale"})
    assert answer.status_code == 200, answer.text


async def test_the_run_is_on_record(boston: Imported) -> None:
    async with boston.city.transaction() as tx:
        run = await tx.row("SELECT * FROM import_runs WHERE id = %s", [boston.report.run_id])
    assert run is not None
    assert (run["state"], run["mapping"], run["source"]) == ("done", "boston", BOSTON)
    assert run["counts"]["added"] == boston.report.added
    assert run["counts"]["zones"]["agreed"] == boston.report.zones.agreed


# --------------------------------------------------------------------------------------------------- Chicago, New York


async def test_chicago_lists_the_numbers_that_repeat_and_adds_each_once(chicago: Imported) -> None:
    counts = Counter(row["Service_Request_Number"] for row in chicago.rows)
    repeats = {number for number, count in counts.items() if count > 1}
    report = chicago.report
    assert (report.rows, report.added, report.bad) == (len(chicago.rows), len(chicago.rows) - len(repeats), 0)
    assert {fault.external_id for fault in report.repeats} == repeats
    assert report.repeated == len(repeats) == 2
    assert all(f"line {fault.line}:" in "\n".join(report.lines()) for fault in report.repeats)


async def test_chicago_days_without_a_time_start_at_local_midnight(chicago: Imported) -> None:
    first = {row["Service_Request_Number"]: row for row in reversed(chicago.rows)}
    for row in (await stored(chicago.city, "external_id, created_at"))[::200]:
        day = datetime.fromisoformat(first[row["external_id"]]["Creation_Date"])
        assert row["created_at"] == day.replace(tzinfo=ZoneInfo("America/Chicago")).astimezone(UTC)


async def test_chicago_statuses_categories_and_zones_are_those_of_the_file(chicago: Imported) -> None:
    first = {row["Service_Request_Number"]: row for row in reversed(chicago.rows)}
    plain = Counter({"Completed": "closed", "Open": "new"}[row["Status"]] for row in first.values())
    assert await counted(chicago.city, "status") == plain
    blank = sum(not row["What_is_the_Nature_of_this_Code_Violation"] for row in first.values())
    kinds = await counted(chicago.city, "coalesce(sub_category, '')")
    assert kinds["Sanitation Code Violation"] == blank == chicago.report.notes["default_category"]
    assert kinds["Standing water"] == (await counted(chicago.city, "category"))["flooding"]
    assert chicago.report.zones.share is not None
    assert chicago.report.zones.share > 0.975


async def test_new_york_statuses_and_kinds_are_those_of_the_file(new_york: Imported) -> None:
    report = new_york.report
    assert (report.rows, report.added, report.bad) == (len(new_york.rows), len(new_york.rows), 0)
    plain = Counter("closed" if row["Status"] == "Closed" else "new" for row in new_york.rows)
    assert await counted(new_york.city, "status") == plain
    assert await counted(new_york.city, "sub_category") == Counter(row["Complaint Type"] for row in new_york.rows)
    assert report.missing_columns == ()


async def test_new_york_zones_agree_with_the_community_board(new_york: Imported) -> None:
    agreement = new_york.report.zones
    assert agreement.share is not None
    # Six calls of the one day came from a single doorstep, three metres on the other side of a district's border.
    assert agreement.share >= (0.99 if agreement.compared > 1000 else 0.97)
    assert agreement.compared > 0.9 * new_york.report.rows


async def test_new_york_requests_without_a_point_go_by_the_community_board(new_york: Imported) -> None:
    lost = {row["Unique Key"]: row for row in new_york.rows if not row["Latitude"]}
    boroughs = {"MANHATTAN": 1, "BRONX": 2, "BROOKLYN": 3, "QUEENS": 4, "STATEN ISLAND": 5}
    assert new_york.report.notes["no_coordinates"] == len(lost) > 0
    for row in await stored(new_york.city, "external_id, lon, cell, zone_id"):
        if row["external_id"] in lost:
            board, _, borough = lost[row["external_id"]]["Community Board"].partition(" ")
            expected = f"{boroughs[borough]}{board}" if borough in boroughs and board.isdigit() else "UNZONED"
            assert (row["lon"], row["cell"], row["zone_id"]) == (None, None, expected)


async def test_new_york_deadlines_are_the_citys_where_it_gives_one(new_york: Imported) -> None:
    due = {row["Unique Key"]: row["Due Date"] for row in new_york.rows if row["Due Date"]}
    rows = await stored(new_york.city, "external_id, sla, sla_due_at, sla_met, closed_at, status")
    assert {row["external_id"] for row in rows if row["sla"]["policy_id"] == "imported"} == due.keys()
    for row in rows:
        if row["external_id"] in due:
            wall = datetime.strptime(due[row["external_id"]], "%m/%d/%Y %I:%M:%S %p")  # noqa: DTZ007
            assert row["sla_due_at"] == wall.replace(tzinfo=NEW_YORK).astimezone(UTC)
            if row["status"] == "closed" and row["closed_at"]:
                assert row["sla_met"] is (row["closed_at"] <= row["sla_due_at"])


async def test_a_selection_of_new_yorks_columns_is_enough(city: City, shared_data: Path, tmp_path: Path) -> None:
    with gzip.open(shared_data / QUEENS, "rb") as whole:
        path = write_raw(tmp_path / "queens.csv", b"".join(islice(whole, 4001)))
    plain = rows_of(path)
    report = await bring(city, path, "nyc")
    assert (report.rows, report.added, report.bad) == (4000, 4000, 0)
    assert "Community Board" in report.missing_columns
    assert report.by_zone == {"UNZONED": 4000}
    assert report.by_status["closed"] == sum(row["Status"] == "Closed" for row in plain)
    again = await bring(city, path, "nyc", dry_run=True)
    assert (again.added, again.unchanged) == (0, 4000)


# ------------------------------------------------------------------------------------------------------- small files

SMALL = """
name: small
title: A small city
source: small-311
timezone: America/New_York
date_formats: ["%Y-%m-%d %H:%M", "%Y-%m-%d"]
columns: {external_id: id, created_at: opened, closed_at: closed, target_at: due, status: status, sub_category: kind,
          address: address, lon: lon, lat: lat}
status: {closed: Closed, open: Open}
category: {default: general_inquiry, by: [{column: kind, values: {pothole: Pothole, graffiti: Paint}}]}
description: ["{text}"]
"""
HEADER = "id,opened,closed,due,status,kind,address,lon,lat,text\n"


@pytest.fixture
def small() -> Mapping:
    return parse_mapping(SMALL, "small.yaml")


def write(path: Path, *lines: str) -> Path:
    path.write_text(HEADER + "".join(line + "\n" for line in lines), encoding="utf-8-sig")
    return path


async def test_bad_rows_are_named_by_line_and_reason_and_the_rest_is_imported(
    city: City, tmp_path: Path, small: Mapping
) -> None:
    path = write(
        tmp_path / "a.csv",
        '1,2024-01-01 10:00,,,Open,Pothole,,,,"a hole',
        'over two lines"',
        "2,yesterday,,,Open,Pothole,,,,late",
        "3,2024-01-01,,,Lost,Pothole,,,,",
        ",2024-01-01,,,Open,Pothole,,,,",
        "5,2024-01-01,,,Open,Pothole,,200,10,",
        "6,2024-01-01,,,Open",
        "",
        "7,2024-01-01,2024-01-02,,Closed,Paint,1 Main St,,,x",
        "1,2024-01-01,,,Open,Pothole,,,,again",
    )
    report = await bring(city, path, small)
    assert (report.rows, report.added, report.bad, report.repeated) == (8, 2, 5, 1)
    assert [(fault.line, fault.external_id) for fault in report.errors] == [(4, None), (5, None), (6, None), (7, None), (8, None)]  # fmt: skip
    assert "'yesterday' is no time" in report.errors[0].reason
    assert (report.repeats[0].line, report.repeats[0].external_id) == (11, "1")
    rows = {row["external_id"]: row for row in await stored(city)}
    assert rows["1"]["description"] == "a hole\nover two lines"
    assert (rows["7"]["status"], rows["7"]["address_key"]) == ("closed", "1 main st")
    async with city.transaction() as tx:
        run = await tx.row("SELECT counts, errors FROM import_runs")
    assert run is not None
    assert run["counts"]["bad"] == 5
    assert run["errors"][0] == {"line": 4, "reason": report.errors[0].reason, "external_id": None}


async def test_a_dry_run_reports_the_same_and_writes_nothing(city: City, tmp_path: Path, small: Mapping) -> None:
    path = write(
        tmp_path / "a.csv",
        "1,2024-01-01,2024-01-05,2024-01-03,Closed,Pothole,,,,x",
        "2,2024-01-01,,,Open,Paint,,,,y",
        "2,2024-01-01,,,Open,Paint,,,,y",
        "3,never,,,Open,Paint,,,,y",
    )
    dry = await bring(city, path, small, dry_run=True)
    async with city.transaction() as tx:
        tables = ("requests", "events", "import_runs", "outbox")
        assert [await tx.value(f"SELECT count(*) FROM {table}") for table in tables] == [0, 0, 0, 0]
    wet = await bring(city, path, small)
    own = {"dry_run", "run_id", "seconds"}

    def shown(report: ImportReport) -> dict[str, Any]:
        return {name: getattr(report, name) for name in report.__slots__ if name not in own}

    assert shown(dry) == shown(wet)
    assert (dry.dry_run, dry.run_id, wet.added) == (True, None, 2)


async def test_a_request_closed_since_is_closed_when_nobody_here_has_touched_it(
    city: City, tmp_path: Path, small: Mapping
) -> None:
    opened = [f"{number},2024-01-01,,,Open,Pothole,,,,x" for number in (1, 2, 3)]
    await bring(city, write(tmp_path / "a.csv", *opened), small)
    before = {row["external_id"]: row for row in await stored(city)}
    client = await city.client("dispatcher")
    await client.patch(f"/requests/{before['2']['request_id']}/transition", json={"to": "triaged"})
    closed = [f"{number},2024-01-01,2024-01-02,,Closed,Pothole,,,,x" for number in (1, 2)]
    path = write(tmp_path / "b.csv", *closed, opened[2], "4,2024-01-01,,,Open,Pothole,,,,x")
    dry = await bring(city, path, small, dry_run=True)
    report = await bring(city, path, small)
    assert (report.added, report.updated, report.unchanged) == (1, 1, 2) == (dry.added, dry.updated, dry.unchanged)
    after = {row["external_id"]: row for row in await stored(city)}
    assert {name: row["status"] for name, row in after.items()} == {
        "1": "closed",
        "2": "triaged",
        "3": "new",
        "4": "new",
    }
    assert after["1"]["closed_at"] == datetime(2024, 1, 2, 5, tzinfo=UTC)
    assert (after["1"]["sla_state"], after["1"]["sla_met"], after["1"]["next_sla_at"]) == ("completed", True, None)
    assert (await verified(city.services, city.tenant)).faults == {}
    assert (await bring(city, path, small)).updated == 0


async def test_a_closed_request_without_a_closing_time_is_closed_and_noted(
    city: City, tmp_path: Path, small: Mapping
) -> None:
    report = await bring(city, write(tmp_path / "a.csv", "1,2024-01-01,,,Closed,Pothole,,,,x"), small)
    assert report.notes["closed_without_time"] == 1
    (row,) = await stored(city)
    assert (row["status"], row["closed_at"], row["sla_state"], row["sla_met"]) == ("closed", None, "completed", None)


async def test_points_outside_the_zones_are_bad_rows_where_the_pack_says_so(
    app: FastAPI, database_url: str, shared_data: Path, tmp_path: Path, small: Mapping
) -> None:
    city = await make_city(app, database_url, outside_zones="reject")
    await with_zones(city, shared_data / "zones" / "boston_wards.geojson.gz", "WARD")
    rows = ["1,2024-01-01,,,Open,Pothole,,-71.0772,42.2715,in", "2,2024-01-01,,,Open,Pothole,,10,10,out"]
    report = await bring(city, write(tmp_path / "a.csv", *rows), small)
    assert (report.added, [(fault.line, fault.external_id) for fault in report.errors]) == (1, [(3, "2")])


async def test_files_and_mappings_that_do_not_fit_are_refused_before_anything_is_written(
    city: City, tmp_path: Path, small: Mapping
) -> None:
    with pytest.raises(Invalid, match="lacks 'status'"):
        await bring(city, write_raw(tmp_path / "a.csv", b"id,opened\n1,2024-01-01\n"), small)
    with pytest.raises(Invalid, match="empty"):
        await bring(city, write_raw(tmp_path / "b.csv", b""), small)
    with pytest.raises(Invalid, match="cannot be opened"):
        await bring(city, tmp_path / "absent.csv", small)
    strange = parse_mapping(SMALL.replace("default: general_inquiry", "default: unicorns"), "strange.yaml")
    with pytest.raises(Invalid, match="pack lacks: unicorns"):
        await bring(city, write(tmp_path / "c.csv"), strange)
    assert await stored(city) == []


def write_raw(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


async def test_a_packed_file_that_was_cut_short_keeps_what_came_before_and_says_where(
    city: City, tmp_path: Path, small: Mapping
) -> None:
    lines = "".join(f"{number},2024-01-01,,,Open,Pothole,,,,{number * 7919}\n" for number in range(5000))
    whole = gzip.compress((HEADER + lines).encode())
    report = await bring(city, write_raw(tmp_path / "a.csv.gz", whole[: len(whole) // 2]), small)
    assert report.bad == 1
    assert "damaged" in report.errors[0].reason
    assert report.rows == report.added + 1
    assert report.errors[0].line == report.added + 2


async def test_progress_is_told_batch_by_batch(city: City, tmp_path: Path, small: Mapping) -> None:
    path = write(tmp_path / "a.csv", *(f"{number},2024-01-01,,,Open,Pothole,,,,x" for number in range(2500)))
    heard: list[int] = []
    await import_requests(city.services, city.tenant, path, small, progress=heard.append)
    assert heard[-1] == 2500
    assert heard == sorted(heard)


async def test_two_imports_of_one_file_at_once_add_each_row_once(city: City, tmp_path: Path, small: Mapping) -> None:
    path = write(tmp_path / "a.csv", *(f"{number},2024-01-01,,,Open,Pothole,,,,x" for number in range(3000)))
    reports = await asyncio.gather(bring(city, path, small), bring(city, path, small))
    assert sum(report.added for report in reports) == 3000 == len(await stored(city))
    assert sum(report.unchanged for report in reports) == 3000
    found = await verified(city.services, city.tenant)
    assert (found.events, found.faults) == (3000, {})


async def test_another_tenant_sees_nothing_of_it(city: City, other_city: City, tmp_path: Path, small: Mapping) -> None:
    path = write(tmp_path / "a.csv", "1,2024-01-01,,,Open,Pothole,,,,x")
    await bring(city, path, small)
    assert await stored(other_city) == []
    assert (await bring(other_city, path, small)).added == 1


async def test_imported_requests_are_found_over_http_by_their_own_times(boston: Imported) -> None:
    client: httpx.AsyncClient = await boston.city.client("agent")
    answer = await client.get("/requests", params={"category": "graffiti", "status": "closed", "limit": 5})
    assert answer.status_code == 200, answer.text
    for item in answer.json()["items"]:
        assert item["timestamps"]["created_at"].startswith("2011-")
        assert item["source"] == "boston-311"
