"""Duplicates over HTTP: without coordinates, of a request that is there already, while somebody types, and staff's word."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from builders import create, report, walk_to
from test_lists import statements
from test_reports import process, seen, send
from tests_support import problem
from typer.testing import CliRunner

from civicpulse.base import clock
from civicpulse.base.logins import application_url
from civicpulse.cli.main import app as cli
from civicpulse.duplicates.pairs import decisions
from civicpulse.packs.loader import read_pack
from civicpulse.packs.model import compile_pack
from conftest import City

LIBRARY = "Hartwell Library, 2nd floor"
HOLE = "There is a deep pothole in the lane"


async def settled(city: City, *receipts: dict[str, Any]) -> list[dict[str, Any]]:
    """What became of these reports, as staff sees it."""
    await process(city)
    staff = await city.client("dispatcher")
    return [await seen(staff, receipt) for receipt in receipts]


async def duplicates(client: httpx.AsyncClient, number: str) -> dict[str, Any]:
    """GET duplicates."""
    answer = await client.get(f"/requests/{number}/duplicates")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def numbers(client: httpx.AsyncClient, number: str) -> list[str]:
    """The candidates' numbers, best first."""
    return [one["request_id"] for one in (await duplicates(client, number))["candidates"]]


async def similar(client: httpx.AsyncClient, **changes: Any) -> list[dict[str, Any]]:
    """POST similar."""
    body = {"category": "pothole", "description": HOLE, "location": report()["location"]} | changes
    answer = await client.post("/requests/similar", json=body)
    assert answer.status_code == 200, answer.text
    candidates: list[dict[str, Any]] = answer.json()["candidates"]
    return candidates


async def near_by(client: httpx.AsyncClient, count: int = 2, *, step: float = 0.0005, **changes: Any) -> list[str]:
    """Requests some 55 m from one to the next: proposed to each other, never attached."""
    return [(await create(client, lat=40.71 + index * step, **changes))["request_id"] for index in range(count)]


async def trail(client: httpx.AsyncClient, number: str) -> list[dict[str, Any]]:
    """The events."""
    events: list[dict[str, Any]] = (await client.get(f"/requests/{number}/events")).json()["items"]
    return events


def pair_path(number: str, other: str) -> str:
    return f"/requests/{number}/duplicates/{other}/reject"


# ------------------------------------------------------------------------------------------------- without coordinates


async def test_two_reports_of_one_named_place_in_like_words_are_one(city) -> None:
    anybody = await city.client()
    first = await send(anybody, HOLE, location=LIBRARY)
    again = await send(anybody, "A deep pothole is in the lane", location="second floor of the Hartwell Library")
    other = await send(anybody, "Pothole, a wheel broke off my bicycle yesterday evening", location=LIBRARY)
    above = await send(anybody, HOLE, location="Hartwell Library, 3rd floor")
    found = await settled(city, first, again, other, above)
    assert [one["outcome"] for one in found] == ["new", "attached", "proposed", "new"]
    assert found[1]["issue"]["request_id"] == found[0]["issue"]["request_id"]
    (candidate,) = found[2]["decision"]["duplicates"]["candidates"]
    assert candidate["score"]["distance_m"] is None
    assert candidate["score"]["distance"] == 0
    assert "the same address 2 fl hartwell library" in candidate["why"]


async def test_no_place_at_all_finds_nothing_and_a_street_alone_is_no_place(city) -> None:
    anybody = await city.client()
    receipts = [
        await send(anybody, HOLE, location=where) for where in (None, None, "Main St", "Main St", "here", "here")
    ]
    assert [one["outcome"] for one in await settled(city, *receipts)] == ["new"] * 6


async def test_an_address_with_and_without_a_coordinate_is_one_place(city) -> None:
    anybody = await city.client()
    point = {"type": "Point", "coordinates": [-74.0, 40.71], "address_hint": "15 Main St"}
    receipts = [await send(anybody, HOLE, location=point), await send(anybody, HOLE, location="15 Main Street")]
    assert [one["outcome"] for one in await settled(city, *receipts)] == ["new", "attached"]
    receipts = [await send(anybody, HOLE, location="16 Main Street")]
    assert [one["outcome"] for one in await settled(city, *receipts)] == ["new"]
    late = await create(
        anybody, description=HOLE, location=point | {"coordinates": [-74.5, 40.9], "address_hint": "16 Main St"}
    )
    assert late["duplicates"]["master_request_id"] is not None, "a point finds what came without one"


async def test_one_asset_is_one_thing_however_far_apart_its_reports_are(city) -> None:
    anybody = await city.client()
    first = await create(anybody, asset_id="POLE-7")
    far = await create(anybody, asset_id="POLE-7", lat=40.9)
    assert far["duplicates"]["master_request_id"] == first["request_id"]
    assert (await create(anybody, asset_id="POLE-8", lat=40.9))["duplicates"]["is_master"]
    placeless = await send(anybody, HOLE, location=None, asset_id="POLE-7")
    (found,) = await settled(city, placeless)
    assert (found["outcome"], found["issue"]["request_id"]) == ("attached", first["request_id"])


@pytest.mark.parametrize("where", [{"location": LIBRARY}, {"location": None, "asset_id": "LIFT-1"}])
async def test_sixteen_equal_reports_without_coordinates_in_one_instant_have_one_master(city, where) -> None:
    anybody = await city.client()
    receipts = await asyncio.gather(*(send(anybody, HOLE, **where) for _ in range(16)))
    await asyncio.gather(*(process(city) for _ in range(4)))
    found = await settled(city, *receipts)
    assert sorted(one["outcome"] for one in found) == ["attached"] * 15 + ["new"]
    assert len({one["issue"]["request_id"] for one in found}) == 1


# ------------------------------------------------------------------------------------- of a request that is there already


async def test_candidates_are_those_before_and_after_best_first(city) -> None:
    staff = await city.client("dispatcher")
    first, second, third = await near_by(staff, 3)
    far = (await create(staff, lat=41.5))["request_id"]
    document = await duplicates(staff, second)
    assert (document["request_id"], document["is_master"], document["master_request_id"]) == (second, True, None)
    assert (document["linked"], document["rejected"]) == ([], [])
    assert {one["request_id"] for one in document["candidates"]} == {first, third}
    totals = [one["score"]["total"] for one in document["candidates"]]
    assert totals == sorted(totals, reverse=True)
    one = document["candidates"][0]
    assert one.keys() == {"request_id", "category", "status", "created_at", "score", "why", "attachable", "opinion"}
    assert one["score"].keys() == {"total", "distance", "time", "address", "text", "distance_m", "hours"}
    assert (one["category"], one["status"], one["attachable"], one["opinion"]) == ("pothole", "new", False, None)
    assert one["score"]["distance_m"] == pytest.approx(55.6, abs=0.5)
    assert await numbers(staff, far) == []


async def test_what_is_merged_is_linked_and_not_a_candidate(city) -> None:
    staff = await city.client("dispatcher")
    first, second = await near_by(staff)
    attached = (await create(await city.client()))["request_id"]
    await staff.post(f"/requests/{second}/merge", json={"other": first})
    document = await duplicates(staff, first)
    assert [(one["request_id"], one["origin"]) for one in document["linked"]] == [
        (second, "staff"),
        (attached, "intake"),
    ]
    assert document["linked"][1]["score"]["total"] > 1
    assert document["linked"][0]["merged_by"].startswith("dispatcher:")
    assert document["candidates"] == []
    below = await duplicates(staff, second)
    assert (below["is_master"], below["master_request_id"], below["candidates"]) == (False, first, [])


async def test_time_and_state_bound_the_candidates(city) -> None:
    admin = await city.client("admin")
    window, now = compile_pack(read_pack("civic")).duplicate_policy("pothole").window_hours, datetime.now(UTC)
    with clock.at(now - timedelta(hours=1.2 * window)):
        (old,) = await near_by(admin, 1)
    with clock.at(now - timedelta(hours=0.6 * window)):
        (middle,) = await near_by(admin, 1, step=0, lon=-74.0004)
    with clock.at(now):
        (new,) = await near_by(admin, 1, lon=-74.0008)
    assert sorted(await numbers(admin, middle)) == sorted([old, new])
    assert await numbers(admin, new) == [middle]
    await walk_to(admin, middle, "closed")
    assert [(one["status"], one["attachable"]) for one in (await duplicates(admin, new))["candidates"]] == [
        ("closed", False)
    ]


async def test_staff_sees_duplicates_and_others_do_not(city, other_city) -> None:
    number, other = await near_by(await city.client())
    for role, expected in ((None, 401), ("citizen", 403), ("agent", 200), ("dispatcher", 200), ("supervisor", 200)):
        assert (await (await city.client(role)).get(f"/requests/{number}/duplicates")).status_code == expected, role
    for role, expected in ((None, 401), ("citizen", 403), ("agent", 403), ("dispatcher", 200), ("admin", 200)):
        client = await city.client(role)
        assert (await client.post(pair_path(number, other))).status_code == expected, role
        assert (await client.delete(pair_path(number, other))).status_code == expected, role
    stranger = await other_city.client("admin")
    problem(await stranger.get(f"/requests/{number}/duplicates"), 404, "request_not_found")
    problem(await stranger.post(pair_path(number, other)), 404, "request_not_found")


async def test_many_candidates_cost_as_many_statements_as_one(city, monkeypatch) -> None:
    staff = await city.client("dispatcher")
    first, *_ = await near_by(staff)
    await staff.get(f"/requests/{first}/duplicates")
    few = await statements(staff, monkeypatch, f"/requests/{first}/duplicates")
    more = await near_by(staff, 6, step=0.0001, lon=-74.0007)
    for number in more[:2]:
        await staff.post(pair_path(first, number))
    await create(staff)
    many = await statements(staff, monkeypatch, f"/requests/{first}/duplicates")
    assert len(many) == len(few) <= 6


# ------------------------------------------------------------------------------------------------------ staff's word


async def test_a_rejected_pair_is_no_candidate_until_the_word_is_taken_back(city) -> None:
    staff = await city.client("dispatcher")
    first, second = await near_by(staff)
    answer = await staff.post(pair_path(second, first), json={"reason": "another hole"})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["request_id"], told["other"], told["rejected"], told["reason"]) == (
        second,
        first,
        True,
        "another hole",
    )
    assert told["rejected_by"].startswith("dispatcher:")
    again = (await staff.post(pair_path(first, second), json={"reason": "something else"})).json()
    assert (again["reason"], again["rejected_at"]) == ("another hole", told["rejected_at"]), "the first word stands"
    for number, other in ((first, second), (second, first)):
        document = await duplicates(staff, number)
        assert document["candidates"] == []
        (kept,) = document["rejected"]
        assert kept.keys() == {"request_id", "rejected_at", "rejected_by", "reason"}
        assert (kept["request_id"], kept["reason"]) == (other, "another hole")
        (event,) = [event for event in await trail(staff, number) if event["type"] == "duplicate.rejected"]
        assert event["meta"] == {"other_request_id": other}, "words that may be erased are not in the trail"
        assert "duplicate.rejected" not in [event["type"] for event in await trail(await city.client(), number)]
    problem(await staff.post(f"/requests/{first}/merge", json={"other": second}), 409, "pair_rejected")
    assert (await staff.delete(pair_path(first, second))).json()["rejected"] is False
    assert (await staff.delete(pair_path(first, second))).status_code == 200, "twice is as good as once"
    assert await numbers(staff, first) == [second]
    assert [event["name"] for event in await trail(staff, first)] == [
        "created", "duplicate_rejected", "duplicate_rejection_undone",
    ]  # fmt: skip
    assert (await staff.post(f"/requests/{first}/merge", json={"other": second})).status_code == 200


async def test_what_cannot_be_rejected_says_why(city) -> None:
    staff = await city.client("dispatcher")
    first, second = await near_by(staff)
    for pair in ((first, "CST-2026-999999"), ("CST-2026-999999", first)):
        for sent in (None, {"reason": "x" * 201}, {"x": 1}):
            problem(await staff.post(pair_path(*pair), json=sent), 404, "request_not_found")
        problem(await staff.delete(pair_path(*pair)), 404, "request_not_found")
    problem(await staff.post(pair_path(first, first)), 422, "same_request")
    problem(await staff.delete(pair_path(first, first)), 422, "same_request")
    problem(await staff.post(pair_path(first, second), json={"because": "x"}), 422)
    problem(await staff.post(pair_path(first, second), json={"reason": "a\x00b"}), 422)
    await staff.post(f"/requests/{second}/merge", json={"other": first})
    for pair in ((first, second), (second, first)):
        detail = problem(await staff.post(pair_path(*pair)), 409, "already_merged")["detail"]
        assert "unmerge" in detail


async def test_two_duplicates_of_one_master_are_merged_too(city) -> None:
    staff = await city.client("dispatcher")
    first, second, third = await near_by(staff, 3)
    for number in (second, third):
        await staff.post(f"/requests/{number}/merge", json={"other": first})
    problem(await staff.post(pair_path(second, third)), 409, "already_merged")


async def test_a_word_about_a_duplicate_holds_for_its_master(city) -> None:
    staff = await city.client("dispatcher")
    first, second, third = await near_by(staff, 3, step=0.0003)
    await staff.post(pair_path(second, third))
    await staff.post(f"/requests/{second}/merge", json={"other": first})
    assert await numbers(staff, third) == []


async def test_sixteen_rejections_at_once_are_one(city) -> None:
    staff = await city.client("dispatcher")
    first, second = await near_by(staff)
    pairs = [(first, second), (second, first)] * 8
    answers = await asyncio.gather(*(staff.post(pair_path(*pair)) for pair in pairs))
    assert {answer.status_code for answer in answers} == {200}
    assert [event["type"] for event in await trail(staff, first)] == ["request.opened", "duplicate.rejected"]


async def test_an_unmerged_pair_is_listed_as_rejected(city) -> None:
    staff = await city.client("dispatcher")
    first, second = (await create(staff))["request_id"], (await create(staff))["request_id"]
    await staff.post(f"/requests/{second}/unmerge")
    document = await duplicates(staff, first)
    assert document["candidates"] == []
    assert [(one["request_id"], one["reason"]) for one in document["rejected"]] == [(second, None)]


# -------------------------------------------------------------------------------------------------- while somebody types


async def test_anybody_learns_what_is_known_already(city) -> None:
    staff, anybody = await city.client("dispatcher"), await city.client()
    (first,) = await near_by(staff, 1, description=HOLE)
    (one,) = await similar(anybody)
    assert one.keys() == {"request_id", "category", "status", "created_at", "score", "why", "attachable"}
    assert (one["request_id"], one["status"], one["attachable"]) == (first, "new", True)
    for role in ("citizen", "agent", "admin"):
        assert [one["request_id"] for one in await similar(await city.client(role))] == [first]
    assert await similar(anybody, category="graffiti") == []
    assert await similar(anybody, location=None) == []
    assert (await similar(anybody, description=""))[0]["request_id"] == first


async def test_what_is_private_or_ended_is_not_shown(city) -> None:
    admin, anybody = await city.client("admin"), await city.client()
    await near_by(admin, 1, is_public=False)
    (ended,) = await near_by(admin, 1, lon=-74.0006)
    await walk_to(admin, ended, "resolved")
    assert await similar(anybody) == []
    assert await similar(admin) == []


async def test_three_at_most_and_the_best_first(city) -> None:
    await near_by(await city.client(), 4, step=0.0003, lon=-74.0003)
    found = await similar(await city.client())
    totals = [one["score"]["total"] for one in found]
    assert len(found) == 3
    assert totals == sorted(totals, reverse=True)


async def test_a_named_place_is_found_while_typing(city) -> None:
    anybody = await city.client()
    (found,) = await settled(city, await send(anybody, HOLE, location=LIBRARY))
    (one,) = await similar(anybody, location="Hartwell Library, floor 2")
    assert (one["request_id"], one["score"]["distance_m"]) == (found["issue"]["request_id"], None)


async def test_looking_writes_nothing_and_draws_no_number(city, database_url) -> None:
    anybody = await city.client()
    await create(anybody)
    counts = "SELECT (SELECT count(*) FROM requests) + (SELECT count(*) FROM events) + (SELECT count(*) FROM idempotency_keys)"
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        before = await (await owner.execute(counts)).fetchone()
        await asyncio.gather(*(similar(anybody) for _ in range(5)))
        assert await (await owner.execute(counts)).fetchone() == before
    assert (await create(anybody, lat=42.0))["request_id"].endswith("000002")


async def test_another_tenants_requests_are_never_similar(city, other_city) -> None:
    await create(await other_city.client())
    assert await similar(await city.client()) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"category": "dragons"}, "category"),
        ({"location": {"coordinates": [-74, 140]}}, "location"),
        ({"location": {"type": "Line"}}, "location"),
        ({"description": None}, "description"),
        ({"asset_id": ""}, "asset_id"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_cannot_be_looked_up_is_refused_by_name(city, changes: dict[str, Any], field: str) -> None:
    body = {"category": "pothole", "location": report()["location"]} | changes
    document = problem(await (await city.client()).post("/requests/similar", json=body), 422)
    assert any(field in error["field"] for error in document["errors"]), document


# ---------------------------------------------------------------------------------------------- what staff has decided


async def test_decisions_are_counted_as_labels(city, database_url, monkeypatch) -> None:
    staff = await city.client("dispatcher")
    async with city.transaction() as tx:
        empty = await decisions(tx)
    assert (empty["precision_of_attached"], empty["acceptance_of_proposals"]) == (None, None)
    first, second, third, fourth = await near_by(staff, 4)
    attached = [(await create(staff))["request_id"] for _ in range(4)]
    await staff.post(f"/requests/{attached[0]}/unmerge")
    await staff.post(f"/requests/{second}/merge", json={"other": first})
    await staff.post(pair_path(third, fourth), json={})
    async with city.transaction() as tx:
        found = await decisions(tx)
    assert found["merges"]["intake"] == {"merged": 4, "undone": 1}
    assert found["merges"]["staff"] == {"merged": 1, "undone": 0}
    assert found["rejections"] == {"rejected": 1, "unmerged": 1}
    assert found["precision_of_attached"] == 0.75
    assert found["proposals"] == {"made": 3, "accepted": 1, "rejected": 1, "undecided": 1}
    assert found["acceptance_of_proposals"] == 0.5
    monkeypatch.setenv("CIVICPULSE_DATABASE_URL", application_url(database_url))
    command = ["quality", "decisions", "--tenant", city.tenant.slug]
    told = await asyncio.to_thread(CliRunner().invoke, cli, command)
    assert told.exit_code == 0, told.output
    assert "attached at intake and left so: 75.0%" in told.output
    as_json = await asyncio.to_thread(CliRunner().invoke, cli, [*command, "--json"])
    assert json.loads(as_json.stdout) == found
