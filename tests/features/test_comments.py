"""Comments on a request: threads, notes among staff, and what the trail keeps of a text that law may erase (R-PRIV-05)."""

import hashlib
from typing import Any

import httpx
from builders import create, walk_to
from tests_support import problem

from civicpulse.base.outbox import drain
from civicpulse.reactions import REACTIONS
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


async def heard(city: City) -> list[tuple[str, str]]:
    """Who was told of a comment, by the type of recipient and their id."""
    await drain(city.services.db, city.services.tenants, REACTIONS)
    async with city.transaction() as tx:
        rows = await tx.rows(
            "SELECT recipient_type, recipient FROM notifications WHERE tenant_id = %s AND title LIKE '%%new message%%'",
            [tx.tenant_id],
        )
    return sorted((row["recipient_type"], row["recipient"]) for row in rows)


async def test_who_has_no_account_answers_with_the_token_of_the_report(city: City) -> None:
    stranger, staff = await city.client(), await city.client("dispatcher")
    mine, other = await create(stranger), await create(stranger, lat=41)
    number, token = mine["request_id"], mine["tracking_token"]
    body = {"message": "It is behind the blue house."}
    problem(await stranger.post(f"/requests/{number}/comment", json=body), 401)
    wrong = {"X-Tracking-Token": other["tracking_token"]}
    problem(await stranger.post(f"/requests/{number}/comment", json=body, headers=wrong), 401)
    said_by = await stranger.post(f"/requests/{number}/comment", json=body, headers={"X-Tracking-Token": token})
    assert said_by.status_code == 201, said_by.text
    assert said_by.json()["by"] == {"actor_type": "citizen", "actor_id": None}
    noted = await stranger.post(
        f"/requests/{number}/comment", json=body | {"internal": True}, headers={"X-Tracking-Token": token}
    )
    problem(noted, 422)
    assert [one["message"] for one in await said(staff, number)] == [body["message"]]


async def test_everybody_concerned_hears_of_a_comment_but_its_author(city: City) -> None:
    admin = await city.client("admin")
    ann = (
        await admin.post("/citizens", json={"profile": {"name": "Ann"}, "contacts": {"email": "ann@city.test"}})
    ).json()
    citizen = await city.client("citizen", ann["_id"])
    number = (await create(citizen, citizen_ref={"citizen_id": ann["_id"], "anonymous": False}))["request_id"]
    await walk_to(admin, number, "assigned")
    assigned = (await admin.get(f"/requests/{number}")).json()["assignment"]["assigned_agent_id"]
    await say(citizen, number, "The gate is open.")
    assert await heard(city) == [("agent", assigned)]
    await say(admin, number, "Bring the key.", internal=True)
    assert await heard(city) == [("agent", assigned)] * 2
    agent = await city.client("agent", assigned)
    await say(agent, number, "We are on our way.")
    assert await heard(city) == [("agent", assigned)] * 2 + [("citizen", ann["_id"])]


async def test_a_comment_on_a_duplicate_reaches_those_who_work_on_its_master(city: City) -> None:
    admin, stranger = await city.client("admin"), await city.client()
    master = (await create(stranger))["request_id"]
    await walk_to(admin, master, "assigned")
    duplicate = await create(stranger)
    assert duplicate["duplicates"]["master_request_id"] == master
    headers = {"X-Tracking-Token": duplicate["tracking_token"]}
    path = f"/requests/{duplicate['request_id']}/comment"
    assert (await stranger.post(path, json={"message": "Still there."}, headers=headers)).status_code == 201
    assigned = (await admin.get(f"/requests/{master}")).json()["assignment"]["assigned_agent_id"]
    assert await heard(city) == [("agent", assigned)]
