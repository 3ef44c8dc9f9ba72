"""What POST /upload takes and refuses: files, rows, attachments, callers (R-CSV-03, R-CSV-04)."""

import csv
import gzip
import io
from typing import Any

import httpx
import openpyxl
import pytest
from fastapi import FastAPI
from hostile import spin
from pipeline_support import FIELDS, MANAGERS, OFFICES, events, small, table, ticket, told, upload, written
from tests_support import problem

from civicpulse.centre import incoming, ingest
from conftest import City, make_city


@pytest.fixture
async def centre(app: FastAPI, database_url: str) -> City:
    return await make_city(app, database_url, pack="contact_centre")


@pytest.fixture
async def client(centre: City) -> httpx.AsyncClient:
    return await centre.client("dispatcher")


async def is_empty(client: httpx.AsyncClient) -> bool:
    """Whether nothing at all was written."""
    paths = ("/tickets", "/managers", "/business-units", "/pipeline-runs")
    return all([(await client.get(path)).json()["items"] == [] for path in paths])


# ---------------------------------------------------------------------------------------------------- whole files


async def test_files_that_are_missing_are_named_and_why(client: httpx.AsyncClient) -> None:
    document = problem(await client.post("/upload"), 422, "missing_file")
    assert {error["field"] for error in document["errors"]} == set(FIELDS)
    files = small()
    for left_out in FIELDS:
        sent = {name: file for name, file in files.items() if name != left_out}
        document = problem(await client.post("/upload", files=sent), 422, "missing_file")
        assert [error["field"] for error in document["errors"]] == [left_out]
    assert await is_empty(client)
    await upload(client, files)
    assert (await upload(client, {"tickets": files["tickets"]}))["tickets_unchanged"] == 1


async def test_a_file_that_takes_for_ever_is_refused(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "look_at", spin)
    monkeypatch.setattr(incoming, "READ_SECONDS", 0.2)
    document = problem(await client.post("/upload", files=small()), 422, "unreadable_file")
    assert all("too much time" in error["detail"] for error in document["errors"])
    assert await is_empty(client)


@pytest.mark.parametrize(
    ("field", "content", "code", "words"),
    [
        ("tickets", b"", "unreadable_file", "tickets.csv: The file is empty"),
        ("managers", written("managers", []), "unreadable_file", "The file has a header and no rows"),
        ("business_units", b"PK\x03\x04 and so on", "unreadable_file", "xlsx"),
        ("tickets", gzip.compress(written("tickets", [ticket("g-1")]).encode()), "unreadable_file", "gzip: unpack it"),
        ("tickets", b"\x00\x00\x01" * 50 + written("tickets", [ticket("g-1")]).encode(), "unreadable_file", "no text"),
        ("business_units", written("business_units", OFFICES, header=("Офис", "Где")), "missing_column", "“Адрес”"),
        ("tickets", "GUID клиента,Описание\ng-1,x\n", "missing_column", "“Сегмент клиента”"),
    ],
)  # fmt: skip
async def test_a_file_that_cannot_be_used_is_refused_before_anything_is_written(
    client: httpx.AsyncClient, field: str, content: Any, code: str, words: str
) -> None:
    files = small() | {field: table(field, content)}
    document = problem(await client.post("/upload", files=files), 422, code)
    assert words in document["detail"]
    (error,) = document["errors"]
    assert (error["field"], error["file"]) == (field, f"{field}.csv")
    assert ("column" in error) == (code == "missing_column")
    assert await is_empty(client)


async def test_every_faulty_file_is_named_at_once(client: httpx.AsyncClient) -> None:
    files = {field: table(field, b"nonsense\n1\n") for field in FIELDS}
    document = problem(await client.post("/upload", files=files), 422, "missing_column")
    assert [error["field"] for error in document["errors"]] == list(FIELDS)


async def test_something_else_than_files_is_refused(client: httpx.AsyncClient) -> None:
    for sent in ({"json": {"tickets": "x"}}, {"data": {"tickets": "x"}}, {"content": b"x"}):
        answer = await client.post("/upload", **sent)
        problem(answer, answer.status_code)
        assert 400 <= answer.status_code < 500
    assert await is_empty(client)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251"])
async def test_editions_of_all_three_files(client: httpx.AsyncClient, encoding: str) -> None:
    rows = [ticket("g-1", 'Первая строка.\n\n«Вторая»; и "третья", с запятой'), ticket("g-2", "")]
    how = {"delimiter": ";", "lineterminator": "\r\n"}
    files = {
        name: table(name, written(name, data, **how).encode(encoding))
        for name, data in (("business_units", OFFICES), ("managers", MANAGERS), ("tickets", rows))
    }
    result = await upload(client, files)
    assert told(result) == []
    assert (result["business_units_loaded"], result["managers_loaded"], result["tickets_assigned"]) == (3, 4, 2)
    assert result["tickets"][0]["description"] == rows[0][3]
    assert result["tickets"][0]["assignment"]["manager_name"] == "Оспанов Ерлан"
    (run,) = (await client.get("/pipeline-runs")).json()["items"]
    names = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1251": "Windows-1251"}
    assert {(file["encoding"], file["delimiter"]) for file in run["files"]} == {(names[encoding], ";")}


async def test_a_workbook_is_taken_like_a_csv(client: httpx.AsyncClient) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Обращения")
    for row in csv.reader(io.StringIO(written("tickets", [ticket("g-1", "Не могу войти"), ticket("g-2")]))):
        sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    result = await upload(client, small() | {"tickets": table("tickets", stream.getvalue())})
    assert (told(result), result["tickets_loaded"]) == ([], 2)
    assert result["tickets"][0]["description"] == "Не могу войти"


async def test_one_bad_byte_costs_no_other_row_its_letters(client: httpx.AsyncClient) -> None:
    text = written("tickets", [ticket("g-1", "Не могу войти в приложение"), ticket("g-2", "Cannot log in at the caf#")])
    result = await upload(client, small() | {"tickets": table("tickets", text.encode().replace(b"caf#", b"caf\xe9"))})
    assert [one["description"] for one in result["tickets"]] == [
        "Не могу войти в приложение",
        "Cannot log in at the caf\ufffd",
    ]
    ((file, line, words),) = told(result)
    assert (file, line, result["error_count"], result["warning_count"]) == ("tickets.csv", 3, 0, 1)
    assert "line 3, byte " in words
    assert "0xE9 is not UTF-8" in words


async def test_columns_that_come_twice_and_delimiters_at_the_end_are_told(client: httpx.AsyncClient) -> None:
    header, *rows = written("tickets", [ticket("g-1")]).splitlines()
    text = f"{header},{header.split(',')[0]}\n" + "".join(f"{row},again,,\n" for row in rows)
    result = await upload(client, small() | {"tickets": table("tickets", text)})
    assert [(line, words.split(" (")[0]) for _, line, words in told(result, "warning")] == [
        (1, "The column “GUID клиента” comes more than once"),
        (2, "Lines end with more delimiters than the header has: they were left out."),
    ]
    assert result["tickets"][0]["client_guid"] == "g-1"


# ----------------------------------------------------------------------------------------------------------- rows


async def test_a_bad_row_costs_itself_alone_and_is_told_by_file_and_line(client: httpx.AsyncClient) -> None:
    offices = [*OFFICES, ("", "Нигде, 1")]
    managers = [*MANAGERS, ("Некто", "Специалист", "Атлантида", "KZ", 1), ("Иной", "Специалист", "Тараз", "", "много")]
    tickets = [
        ticket("g-1", "Две\nстроки"),
        ticket(""),
        ticket("g-2", birth_date="вчера"),
        ticket("g-3"),
        (*ticket("g-4"), "лишняя"),
    ]
    result = await upload(client, small(*tickets, offices=offices, managers=managers))
    assert (result["business_units_loaded"], result["managers_loaded"], result["tickets_loaded"]) == (3, 4, 3)
    assert [one["client_guid"] for one in result["tickets"]] == ["g-1", "g-2", "g-3"]
    assert result["tickets"][1]["birth_date"] is None
    assert [(one["file"], one["line"], one.get("column"), one["severity"]) for one in result["errors"]] == [
        ("business_units.csv", 5, "name", "error"),
        ("managers.csv", 6, "office", "error"),
        ("managers.csv", 7, "load", "error"),
        ("tickets.csv", 4, "client_guid", "error"),
        ("tickets.csv", 5, "birth_date", "warning"),
        ("tickets.csv", 7, None, "error"),
    ]
    assert "Атлантида" in result["errors"][1]["message"]


@pytest.mark.parametrize("batch", [2, 100])
async def test_of_two_rows_with_one_guid_the_last_counts(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(ingest, "BATCH", batch)
    rows = [ticket("g-1", "первый"), ticket("g-2"), ticket("g-3"), ticket("g-1", "второй"), ticket("g-1", "третий")]
    result = await upload(client, small(*rows))
    assert (result["tickets_loaded"], result["tickets_added"], result["tickets_analyzed"]) == (3, 3, 3)
    assert [(line, words.split(":")[0]) for _, line, words in told(result, "warning")] == [
        (5, "GUID g-1 есть и в строке 2"),
        (6, "GUID g-1 есть и в строке 5"),
    ]
    assert {one["client_guid"]: one["description"] for one in result["tickets"]}["g-1"] == "третий"
    again = await upload(client, small(*rows))
    assert (again["tickets_unchanged"], again["tickets_changed"]) == (3, 0)


async def test_thousands_of_faults_are_counted_and_the_first_are_shown(client: httpx.AsyncClient) -> None:
    result = await upload(client, small(ticket("g-1"), *[ticket("") for _ in range(1_200)]))
    assert (result["tickets_loaded"], len(result["errors"]), result["errors_truncated"]) == (1, 1_000, True)


# ---------------------------------------------------------------------------------------------------- attachments


def picture(name: str, data: bytes = b"\x89PNG", kind: str = "image/png") -> tuple[str, tuple[str, bytes, str]]:
    return "attachments", (name, data, kind)


async def test_attachments_join_the_tickets_that_name_them(client: httpx.AsyncClient, centre: City) -> None:
    rows = [
        ticket("g-1", attachment="Order_Error.PNG; scan.pdf"),
        ticket("g-2", attachment="order_error.png"),
        ticket("g-3", attachment="lost.png"),
        ticket("g-4"),
    ]
    sent = [*small(*rows).items(), picture("order_error.png"), picture("scan.pdf", b"%PDF", "application/pdf")]
    sent += [picture("stranger.png"), picture("empty.png", b"")]
    result = await upload(client, sent)
    assert (result["tickets_loaded"], result["attachments_stored"]) == (4, 2)
    assert [(one["file"], one["line"]) for one in result["errors"]] == [
        ("empty.png", None),
        ("tickets.csv", 4),
        ("stranger.png", None),
    ]
    first, second, third, _ = result["tickets"]
    assert third["attachment_url"] is None
    for one in (first, second):
        fetched = await client.get(one["attachment_url"])
        assert (fetched.status_code, fetched.content) == (200, b"\x89PNG")
    assert first["attachment_key"] != second["attachment_key"]
    document = (await client.get(f"/requests/{first['request_id']}")).json()
    assert len(document["evidence"]) == 2
    assert len((await events(client, first["request_id"]))[0]["meta"]["evidence"]) == 2


async def test_two_attachments_of_one_name_are_both_kept(client: httpx.AsyncClient) -> None:
    rows = [ticket("g-1", attachment="a.png")]
    files = [picture("a.png"), picture("A.PNG", b"GIF89a", "image/gif")]
    result = await upload(client, [*small(*rows).items(), *files])
    (one,) = result["tickets"]
    assert result["attachments_stored"] == 2
    contents = [(await client.get(file["url"])).content for file in one["attachments"]]
    assert contents == [b"\x89PNG", b"GIF89a"]
    assert [(error["file"], error["severity"]) for error in result["errors"]] == [("a.png", "warning")]


async def test_a_changed_attachment_is_the_one_that_is_shown(client: httpx.AsyncClient) -> None:
    rows = [ticket("g-1", attachment="a.png; b.png; c.png")]
    files = [picture(f"{name}.png", name.encode()) for name in "abc"]
    (first,) = (await upload(client, [*small(*rows).items(), *files]))["tickets"]
    assert [file["name"] for file in first["attachments"]] == ["a.png", "b.png", "c.png"]
    assert first["attachment_url"] == first["attachments"][0]["url"]
    for row in (rows[0], ticket("g-1", "Другой текст", attachment="a.png")):
        await upload(client, [*small(row).items(), picture("a.png", row[3].encode())])
        now = (await client.get("/tickets/g-1")).json()
        assert (await client.get(now["attachment_url"])).content == row[3].encode()
        assert now["attachments"][0]["url"] == now["attachment_url"]
    assert len(now["attachments"]) == 5


async def test_an_attachment_that_comes_later_joins_its_ticket_once(client: httpx.AsyncClient) -> None:
    rows = [ticket("g-1", attachment="a.png")]
    first = await upload(client, small(*rows))
    assert len(first["errors"]) == 1
    later = await upload(client, [*small(*rows).items(), picture("a.png")])
    assert (later["attachments_stored"], later["errors"], later["tickets_unchanged"]) == (1, [], 1)
    (one,) = later["tickets"]
    assert (await client.get(one["attachment_url"])).content == b"\x89PNG"
    again = await upload(client, [*small(*rows).items(), picture("a.png")])
    assert (again["attachments_stored"], [error["file"] for error in again["errors"]]) == (0, ["a.png"])
    trail = await events(client, one["request_id"])
    assert [event["name"] for event in trail] == ["created", "assigned", "assigned", "evidence"]
    assert (await upload(client, small(*rows)))["errors"] == [], "a ticket that has its file needs it no more"


async def test_an_attachment_too_large_is_a_warning(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "MAX_BYTES", 3)
    result = await upload(client, [*small(ticket("g-1", attachment="a.png")).items(), picture("a.png")])
    assert result["tickets_assigned"] == 1
    assert [(one["file"], one["severity"]) for one in result["errors"]] == [
        ("a.png", "warning"),
        ("tickets.csv", "warning"),
    ]


# ---------------------------------------------------------------------------------------------------- who and where


async def test_only_dispatchers_and_up_run_the_pipeline(centre: City) -> None:
    for role, status in ((None, 401), ("citizen", 403), ("agent", 403)):
        caller = await centre.client(role)
        problem(await caller.post("/upload", files=small()), status)
        problem(await caller.post("/process"), status)
        problem(await caller.get("/pipeline-runs"), status)
    for role in ("supervisor", "admin"):
        assert (await upload(await centre.client(role), small()))["state"] == "done"


async def test_two_tenants_may_have_the_same_files_and_never_meet(
    centre: City, client: httpx.AsyncClient, app: FastAPI, database_url: str
) -> None:
    other = await make_city(app, database_url, pack="contact_centre")
    theirs = await other.client("admin")
    mine = await upload(client, small(ticket("g-1", "моё")))
    problem(await theirs.get("/tickets/g-1"), 404)
    result = await upload(theirs, small(ticket("g-1", "их")))
    assert result["tickets_added"] == 1
    assert (await client.get("/tickets/g-1")).json() == mine["tickets"][0]
    run = mine["run_id"]
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/retry")):
        problem(await theirs.request(method, f"/pipeline-runs/{run}{path}"), 404, "run_not_found")
    assert [one["run_id"] for one in (await theirs.get("/pipeline-runs")).json()["items"]] == [result["run_id"]]


async def test_the_path_of_the_specification_and_a_slash_work(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/upload", files=small())).status_code == 200
    assert (await client.post("/upload/", files=small())).status_code == 200
    assert (await client.post("/api/process")).status_code == 200


async def test_sex_and_birth_date_are_for_those_who_may_see_contacts(centre: City, client: httpx.AsyncClient) -> None:
    await upload(client, small())
    assert (await client.get("/tickets/g-1")).json()["gender"] == "Женский"
    assert (await (await centre.client("agent")).get("/tickets/g-1")).json()["gender"] is None
