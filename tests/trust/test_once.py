"""A call that creates something is done once, however often it comes with its Idempotency-Key (R-DOOR-09)."""

import asyncio
from typing import Any

import httpx
import pytest
from builders import create, png, walk_to
from tests_support import problem

from conftest import City

KEY = {"Idempotency-Key": "0190-once"}
PNG = ("a.png", png(), "image/png")


async def opened(city: City, staff: httpx.AsyncClient) -> str:
    number: str = (await create(staff))["request_id"]
    return number


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "comment": ("agent", {"json": {"message": "hello"}}, {"json": {"message": "other"}}, "comment.added"),
    "escalate": ("dispatcher", {"json": {"reason": "late"}}, {"json": {"reason": "other"}}, "request.escalated"),
    "evidence": (
        "agent",
        {"files": {"file": PNG}},
        {"files": {"file": ("b.png", png(1), "image/png")}},
        "evidence.added",
    ),
}


async def told(staff: httpx.AsyncClient, number: str, type: str) -> int:
    events = (await staff.get(f"/requests/{number}/events")).json()["items"]
    return sum(event["type"] == type for event in events)


@pytest.mark.parametrize("verb", CASES)
async def test_the_same_call_again_does_nothing_and_is_answered_the_same(city: City, verb: str) -> None:
    role, sent, other, type = CASES[verb]
    staff = await city.client(role)
    number = await opened(city, staff)
    path = f"/requests/{number}/{verb}"
    first = await staff.post(path, headers=KEY, **sent)
    again = await staff.post(path, headers=KEY, **sent)
    assert first.status_code in (200, 201), first.text
    assert "idempotent-replayed" not in first.headers
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.json() == first.json()
    problem(await staff.post(path, headers=KEY, **other), 422, "idempotency_key_reused")
    assert await told(staff, number, type) == 1
    elsewhere = await opened(city, staff)
    assert "idempotent-replayed" not in (await staff.post(f"/requests/{elsewhere}/{verb}", headers=KEY, **sent)).headers
    colleague = await city.client(role)
    assert "idempotent-replayed" not in (await colleague.post(path, headers=KEY, **sent)).headers
    assert await told(staff, number, type) == 2, "the key is its caller's own"


async def test_simultaneous_calls_with_one_key_are_one(city: City) -> None:
    staff = await city.client("agent")
    number = await opened(city, staff)
    calls = [staff.post(f"/requests/{number}/comment", headers=KEY, json={"message": "hello"}) for _ in range(12)]
    answers = await asyncio.gather(*calls)
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert await told(staff, number, "comment.added") == 1


async def test_what_failed_is_tried_again_with_its_key(city: City) -> None:
    staff = await city.client("agent")
    number = await opened(city, staff)
    path = f"/requests/{number}/comment"
    bad = {"message": "hello", "parent_comment_id": "0190a5c2-7b1e-7c3a-8f00-0123456789ab"}
    assert (await staff.post(path, headers=KEY, json=bad)).status_code >= 400
    assert (await staff.post(path, headers=KEY, json={"message": "hello"})).status_code == 201


async def test_a_rating_and_a_merge_are_done_once(city: City) -> None:
    staff = await city.client("admin")
    anybody = await city.client()
    document = await create(anybody)
    await walk_to(staff, document["request_id"], "resolved")
    headers = KEY | {"X-Tracking-Token": document["tracking_token"]}
    path = f"/requests/{document['request_id']}/rating"
    first, again = [await anybody.post(path, headers=headers, json={"rating": 5}) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 200), (first.text, again.text)
    assert first.json() == again.json()

    numbers = [(await create(staff, lat=48.0 + n))["request_id"] for n in range(2)]
    path, body = f"/requests/{numbers[1]}/merge", {"other": numbers[0]}
    answers = [await staff.post(path, headers=KEY, json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200], answers[1].text
    assert answers[1].headers["idempotent-replayed"] == "true"


async def test_a_reporter_sends_so_many_files_and_a_request_has_so_many(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    from civicpulse.requests import files

    monkeypatch.setattr(files, "FILES_OF_A_REPORTER", 2)
    monkeypatch.setattr(files, "FILES_OF_A_REQUEST", 3)
    anybody, staff = await city.client(), await city.client("agent")
    document = await create(anybody)
    path = f"/requests/{document['request_id']}/evidence"
    link = {"X-Tracking-Token": document["tracking_token"]}
    two = [("file", PNG), ("file", PNG)]
    assert (await anybody.post(path, headers=link, files=two)).status_code == 201
    problem(await anybody.post(path, headers=link, files=two[:1]), 409, "too_many_files")
    problem(await staff.post(path, files=two), 409, "too_many_files")
    assert (await staff.post(path, files=two[:1])).status_code == 201
    problem(await staff.post(path, files=two[:1]), 409, "too_many_files")
