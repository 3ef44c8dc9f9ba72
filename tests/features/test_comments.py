"""Comments on a request: threads, notes among staff, and what the trail keeps of a text that law may erase (R-PRIV-05)."""

import hashlib
from typing import Any

import httpx
from builders import create
from tests_support import problem

from conftest import City


async def say(client: httpx.AsyncClient, number: str, message: str, **more: Any) -> dict[str, Any]:
    answer = await client.post(f"/requests/{number}/comment", json={"message": message, **more})
    assert answer.status_code == 201, answer.text
    event: dict[str, Any] = answer.json()
    return event


async def said(client: httpx.AsyncClient, number: str) -> list[dict[str, Any]]:
    items = (await client.get(f"/requests/{number}/events")).json()["items"]
    return [item["meta"] for item in items if "comment_id" in item["meta"]]


async def test_comments_form_threads_and_notes_stay_among_staff(city: City) -> None:
    staff, stranger = await city.client("dispatcher"), await city.client()
    number = (await create(staff))["request_id"]
    first = await say(staff, number, "We come on Monday.")
    answer = await say(staff, number, "Monday it is.", parent_comment_id=first["meta"]["comment_id"])
    note = await say(staff, number, "Bring the long ladder.", internal=True)
    below = await say(staff, number, "It is in the van.", parent_comment_id=note["meta"]["comment_id"])
    assert answer["meta"]["parent_comment_id"] == first["meta"]["comment_id"]
    assert below["meta"]["internal"] is True, "what answers a note is a note"
    assert [one["message"] for one in await said(staff, number)] == [
        "We come on Monday.", "Monday it is.", "Bring the long ladder.", "It is in the van.",
    ]  # fmt: skip
    public = (await stranger.get(f"/requests/{number}/events")).text
    assert "ladder" not in public
    assert "van" not in public


async def test_an_answer_belongs_to_the_same_request(city: City) -> None:
    staff = await city.client("dispatcher")
    one, other = (await create(staff))["request_id"], (await create(staff, lat=41.5))["request_id"]
    first = await say(staff, one, "Here.")
    refused = await staff.post(
        f"/requests/{other}/comment", json={"message": "There.", "parent_comment_id": first["meta"]["comment_id"]}
    )
    problem(refused, 422)
    assert await said(staff, other) == []


async def test_the_trail_keeps_the_hash_and_not_the_text(city: City) -> None:
    staff = await city.client("dispatcher")
    made = await create(staff)
    await say(staff, made["request_id"], "A name that somebody may want forgotten.")
    async with city.transaction() as tx:
        meta = await tx.value(
            "SELECT meta FROM events WHERE tenant_id = %s AND subject_id = %s AND meta ? 'comment_id'",
            [tx.tenant_id, made["_id"]],
        )
    assert "forgotten" not in str(meta)
    assert meta["sha256"] == hashlib.sha256(b"A name that somebody may want forgotten.").hexdigest()
