"""Files of cities as they come, through the import: encodings, delimiters, quotes, dates and rows that contradict themselves."""

import asyncio
import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from audit_support import verified
from tests_support import sweep_city

from civicpulse.base.db import Row
from civicpulse.base.errors import Invalid
from civicpulse.imports.load import import_requests
from civicpulse.imports.mapping import MappingError, parse_mapping
from civicpulse.imports.report import ImportReport
from conftest import City

MAPPING = """
name: small
title: A small city
source: small-311
timezone: America/New_York
date_formats: [iso]
columns: {external_id: id, created_at: opened, closed_at: closed, status: status, sub_category: kind,
          address: address, lon: lon, lat: lat}
status: {closed: [Closed, Resolved], open: [Open, Reopened]}
category: {default: pothole}
description: ["{text}"]
"""
HEADER = "id,opened,closed,status,kind,address,lon,lat,text\n"
ROW = "W1,2025-03-03T10:00:00,,Open,Pothole,Main 1,-74.5,40.7,Loch in der Straße – gefährlich\n"


async def bring(city: City, path: Path, content: str | bytes, **changes: str) -> ImportReport:
    """Imports a file of this content; `changes` replaces whole lines of the mapping by their key, or adds them."""
    text = MAPPING
    for key, value in changes.items():
        text = (
            re.sub(rf"(?m)^{key}: .*$", f"{key}: {value}", text) if f"\n{key}: " in text else f"{text}{key}: {value}\n"
        )
    await asyncio.to_thread(path.write_bytes, content.encode() if isinstance(content, str) else content)
    return await import_requests(city.services, city.tenant, path, parse_mapping(text, "small.yaml"))


async def stored(city: City) -> list[Row]:
    async with city.transaction() as tx:
        return await tx.rows("SELECT * FROM requests ORDER BY external_id")


async def test_a_request_closed_before_it_was_created_is_told_and_counts_in_no_figure(
    city: City, tmp_path: Path
) -> None:
    rows = "".join(
        f"G{n},2026-11-2{n}T10:00:00,2026-11-1{n}T10:00:00,Closed,Pothole,Main {n},-74.{n},40.7,x\n" for n in range(4)
    )
    late = "G9,2026-11-20T10:00:00,2026-11-24T16:00:00,Closed,Pothole,Main 9,-74.9,40.7,late one\n"
    report = await bring(city, tmp_path / "a.csv", HEADER + rows + late)
    assert (report.added, report.bad, report.notes["closed_before_created"]) == (5, 0, 4)
    assert [(doubt.line, doubt.external_id) for doubt in report.doubts] == [(2, "G0"), (3, "G1"), (4, "G2"), (5, "G3")]
    assert "line 2: it was closed 2026-11-10 10:00 before it was created 2026-11-20 10:00" in "\n".join(report.lines())
    *early, last = await stored(city)
    assert {(row["status"], row["closed_at"], row["sla_met"]) for row in early} == {("closed", None, None)}
    assert last["closed_at"] == datetime(2026, 11, 24, 21, tzinfo=UTC)
    async with city.transaction() as tx:
        trail = await tx.rows("SELECT subject_id, at FROM events ORDER BY subject_id, seq")
    assert (await verified(city.services, city.tenant)).faults == {}
    assert all(one["at"] <= then["at"] for one, then in pairwise(trail) if one["subject_id"] == then["subject_id"])
    client = await city.client("dispatcher")
    figures = (await client.get("/analytics/kpis", params={"from": "2026-11-01", "to": "2026-12-30"})).text
    assert not re.search(r":-\d", figures), figures


async def test_a_day_without_a_time_ends_at_its_end(city: City, tmp_path: Path) -> None:
    row = ROW.replace("T10:00:00,,Open", "T10:00:00,2025-03-03,Closed")
    report = await bring(city, tmp_path / "a.csv", HEADER + row)
    assert report.doubts == ()
    assert (await stored(city))[0]["closed_at"] == datetime(2025, 3, 4, 4, 59, 59, tzinfo=UTC)


async def test_what_ended_as_a_duplicate_cancelled_or_invalid_counts_in_no_resolution_figure(
    city: City, tmp_path: Path
) -> None:
    ended = ("Closed", "Twice", "withdrawn", "Spam")
    rows = "".join(
        ROW.replace("W1", f"W{place}").replace("T10:00:00,,Open", f"T10:00:00,2025-03-04T10:00:00,{word}")
        for place, word in enumerate(ended)
    )
    status = "{closed: Closed, duplicate: Twice, cancelled: [Withdrawn], invalid: Spam}"
    report = await bring(city, tmp_path / "a.csv", HEADER + rows, status=status)
    assert (report.added, report.bad, report.by_status["closed"]) == (4, 0, 4)
    assert "closed_without_time" not in report.notes
    solved, *others = await stored(city)
    assert (solved["resolved_at"], solved["tags"]) == (datetime(2025, 3, 4, 15, tzinfo=UTC), [])
    assert {(row["state_category"], row["resolved_at"], row["sla_met"]) for row in others} == {("closed", None, None)}
    assert {row["closed_at"] for row in others} == {datetime(2025, 3, 4, 15, tzinfo=UTC)}
    totals = (await (await city.client("dispatcher")).get("/analytics/kpis")).json()["totals"]
    assert (totals["resolution"]["count"], totals["sla"]["met"] + totals["sla"]["missed"]) == (1, 1)
    assert (totals["masters"], totals["sla"]["with_sla"]) == (4, 1)
    assert [row["tags"] for row in others] == [["duplicate"], ["cancelled"], ["invalid"]]


async def test_a_request_that_the_city_opened_again_is_opened_where_nobody_touched_it(
    city: City, tmp_path: Path
) -> None:
    closed = ROW.replace("T10:00:00,,Open", "T10:00:00,2025-03-04T10:00:00,Closed")
    await bring(city, tmp_path / "day1.csv", HEADER + closed)
    report = await bring(city, tmp_path / "day2.csv", HEADER + ROW.replace("Open", "Reopened"))
    assert (report.updated, report.unchanged, report.notes["opened_again"], report.doubts) == (1, 0, 1, ())
    (opened,) = await stored(city)
    assert (opened["status"], opened["resolved_at"], opened["closed_at"], opened["sla_met"]) == (
        "new",
        None,
        None,
        False,
    )
    async with city.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM outbox") == 0
    assert (await verified(city.services, city.tenant)).faults == {}
    assert (await sweep_city(city)).escalations == 0
    told = (await (await city.client("admin")).get(f"/requests/{opened['number']}/events")).json()["items"]
    assert [event["meta"].get("to") for event in told] == [None, "resolved", "closed", "new"]
    assert (await bring(city, tmp_path / "day3.csv", HEADER + ROW.replace("Open", "Reopened"))).unchanged == 1
    assert (await bring(city, tmp_path / "day4.csv", HEADER + closed)).updated == 1
    assert (await stored(city))[0]["closed_at"] == datetime(2025, 3, 4, 15, tzinfo=UTC)


async def test_a_request_that_the_city_opened_again_is_told_where_somebody_worked_on_it(
    city: City, tmp_path: Path
) -> None:
    closed = ROW.replace("T10:00:00,,Open", "T10:00:00,2025-03-04T10:00:00,Closed")
    await bring(city, tmp_path / "day1.csv", HEADER + closed)
    staff = await city.client("dispatcher")
    noted = await staff.post(f"/requests/{(await stored(city))[0]['number']}/comment", json={"message": "Seen."})
    assert noted.status_code == 201, noted.text
    report = await bring(city, tmp_path / "day2.csv", HEADER + ROW.replace("Open", "Reopened"))
    assert (report.added, report.notes["open_there_closed_here"]) == (0, 1)
    assert [(doubt.line, doubt.external_id, doubt.reason) for doubt in report.doubts] == [
        (2, "W1", "it is open there and closed here")
    ]
    assert (await bring(city, tmp_path / "day3.csv", HEADER + closed)).doubts == ()


async def test_a_quote_that_nobody_closes_costs_one_row(city: City, tmp_path: Path) -> None:
    good = "".join(f"Q{n},2026-11-20T10:00:00,,Open,Pothole,Main {n},-74,40.7,ok\n" for n in range(3_000))
    bad = 'QX,2026-11-20T10:00:00,,Open,Pothole,"Main 1,-74,40.7,unterminated quote\n'
    report = await bring(city, tmp_path / "a.csv", HEADER + bad + good)
    assert (report.rows, report.added, report.bad) == (3_001, 3_000, 1)
    assert "a quote opens a cell in line 2 and nobody closes it" in report.errors[0].reason


@pytest.mark.parametrize(
    ("encoding", "stated", "name"),
    [
        ("cp1252", {}, "Windows-1252"),
        ("cp1252", {"encoding": "windows-1252"}, "Windows-1252"),
        ("utf-16", {}, "UTF-16"),
    ],
)
async def test_the_encoding_is_found_or_stated_and_said(
    city: City, tmp_path: Path, encoding: str, stated: dict[str, str], name: str
) -> None:
    report = await bring(city, tmp_path / "a.csv", (HEADER + ROW).encode(encoding), **stated)
    assert (report.added, report.encoding) == (1, name)
    assert f"a.csv ({name})" in next(report.lines())
    assert (await stored(city))[0]["description"] == "Loch in der Straße – gefährlich"


async def test_one_bad_byte_costs_its_row_and_is_told_by_line_and_byte(city: City, tmp_path: Path) -> None:
    bad = ROW.replace("W1", "W2").encode().replace("ß".encode(), b"\xdf")
    report = await bring(city, tmp_path / "a.csv", (HEADER + ROW).encode() + bad)
    assert (report.added, report.bad, report.encoding) == (1, 1, "UTF-8")
    assert report.errors[0].reason == f"line 3, byte {bad.index(0xDF) + 1}: 0xDF is not UTF-8"


async def test_semicolons_decimal_commas_and_delimiters_at_the_end(city: City, tmp_path: Path) -> None:
    content = (
        (HEADER + ROW).replace(",", ";").replace("-74.5", "-74,5").replace("40.7", "40,7").replace("lich\n", "lich;\n")
    )
    report = await bring(city, tmp_path / "a.csv", "sep=;\n" + content)
    assert (report.added, report.bad) == (1, 0)
    assert report.notices == ("Lines end with more delimiters than the header has: they were left out.",)
    (row,) = await stored(city)
    assert (row["lon"], row["lat"]) == (-74.5, 40.7)


async def test_headers_in_another_case_are_found_and_repeated_ones_told(city: City, tmp_path: Path) -> None:
    content = (HEADER.upper().rstrip() + ",ID\n") + ROW.rstrip() + ",other\n"
    report = await bring(city, tmp_path / "a.csv", content)
    assert (report.added, report.missing_columns) == (1, ())
    assert "comes more than once (columns 1 and 10)" in report.notices[0]
    assert (await stored(city))[0]["external_id"] == "W1"


async def test_a_workbook_is_imported_like_a_csv(city: City, tmp_path: Path) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Requests")
    opened = datetime(2025, 3, 3, 10)  # noqa: DTZ001 - a cell knows no zone
    cells: list[list[Any]] = [
        HEADER.strip().split(","),
        ["W1", opened, None, "Open", "Pothole", "Main 1", -74.5, 40.7, "x"],
    ]
    for row in cells:
        sheet.append(row)
    book.save(tmp_path / "book.xlsx")
    report = await bring(city, tmp_path / "a.xlsx", (tmp_path / "book.xlsx").read_bytes())
    assert (report.added, report.encoding) == (1, "XLSX")
    assert (await stored(city))[0]["created_at"] == datetime(2025, 3, 3, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("formats", "written"), [("epoch", "1538492521"), ("[iso, epoch]", "1538492521.0"), ("epoch_ms", "1538492521000")]
)
async def test_seconds_since_1970(city: City, tmp_path: Path, formats: str, written: str) -> None:
    await bring(city, tmp_path / "a.csv", HEADER + ROW.replace("2025-03-03T10:00:00", written), date_formats=formats)
    assert (await stored(city))[0]["created_at"] == datetime(2018, 10, 2, 15, 2, 1, tzinfo=UTC)


async def test_date_and_time_in_two_columns(city: City, tmp_path: Path) -> None:
    header = "id,opened_date,opened_time,closed,status,kind,address,lon,lat,text\n"
    rows = [
        "K1,01/17/2020,05:59 PM,01/17/2020,Closed,Pothole,Main 1,-74,40.7,Hole\n",
        "K2,01/17/2020,,,Open,Pothole,Main 1,-74,40.7,Hole\n",
    ]
    columns = """{external_id: id, created_at: ["{opened_date} {opened_time}", opened_date], closed_at: closed,
          status: status, lon: lon, lat: lat}"""
    mapping = re.sub(r"(?s)columns: \{.*?\}\n", lambda _: f"columns: {columns}\n", MAPPING)
    mapping = mapping.replace("[iso]", '["%m/%d/%Y %I:%M %p", "%m/%d/%Y"]').replace(
        "America/New_York", "America/Chicago"
    )
    path = tmp_path / "a.csv"
    path.write_text(header + "".join(rows))
    report = await import_requests(city.services, city.tenant, path, parse_mapping(mapping, "kc.yaml"))
    assert (report.added, report.doubts) == (2, ())
    first, second = await stored(city)
    assert first["created_at"] == datetime(2020, 1, 17, 23, 59, tzinfo=UTC)
    assert second["created_at"] == datetime(2020, 1, 17, 6, tzinfo=UTC)
    path.write_text((header + rows[0]).replace("opened_time", "hour"))
    with pytest.raises(Invalid, match="lacks 'opened_time'"):
        await import_requests(city.services, city.tenant, path, parse_mapping(mapping, "kc.yaml"))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("encoding", "martian", "write one of utf-8, utf-16"),
        ("date_formats", "'%s'", "strptime's, iso, epoch or epoch_ms"),
        ("delimiter", "';;'", "delimiter"),
        ("status", "{closed: Closed, cancelled: [closed]}", "'closed' is listed more than once"),
    ],
)
async def test_a_mapping_that_cannot_be_meant_is_refused(
    city: City, tmp_path: Path, key: str, value: str, words: str
) -> None:
    with pytest.raises(MappingError, match=words):
        await bring(city, tmp_path / "a.csv", HEADER + ROW, **{key: value})
