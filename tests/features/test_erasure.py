"""Being forgotten: all of a person's words and contact data are gone, wherever they lay, and the chain stays whole (R-PRIV-04)."""

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from audit_support import verified
from builders import PHOTO, create, walk_to
from test_anonymity import dumped, everything_stored
from test_public_texts import found
from test_reports import process, raw
from tests_support import problem

from civicpulse.base.clients.storage import Storage
from civicpulse.base.events import SYSTEM
from civicpulse.base.outbox import drain_batch
from civicpulse.privacy.erasing import erase
from civicpulse.reactions import REACTIONS
from civicpulse.requests.files import evidence_key
from conftest import RUN_DIR, City

WORDS = ("wordmark17", "Erasmarkova", "erasmark@example.org", "+12025550142", "hintmark19", "filemark23", "urlmark29")
PLACE = {"type": "Point", "coordinates": [-74.0, 40.71], "address_hint": "hintmark19 Street 5"}


async def lived(city: City) -> tuple[str, httpx.AsyncClient, str]:
    """A citizen who has left words everywhere: their id, a client of theirs, and the number of a request."""
    admin = await city.client("admin")
    body = {"full_name": "Nina Erasmarkova", "contacts": {"email": "erasmark@example.org", "phone": "+12025550142"}}
    body |= {"address": {"city": "wordmark17"}}
    nina = (await admin.post("/citizens", json=body, headers={"Idempotency-Key": "made"})).json()["_id"]
    citizen = await city.client("citizen", actor_id=nina)
    more: dict[str, Any] = {"location": PLACE, "tags": ["wordmark17"], "sub_category": "wordmark17"}
    photo = PHOTO | {"url": "https://files.example.org/urlmark29.jpg"}
    sent = await citizen.post(
        "/requests",
        json={"category": "pothole", "description": "A hole, says wordmark17", "evidence": [photo], **more},
        headers={"Idempotency-Key": "sent"},
    )
    number: str = sent.json()["request_id"]
    await admin.post("/requests", json={**more, "category": "graffiti", "description": "wordmark17",
                                        "citizen_ref": {"citizen_id": nina}}, headers={"Idempotency-Key": "staff"})  # fmt: skip
    await citizen.post(f"/requests/{number}/comment", json={"message": "wordmark17 again"})
    said = {"message": "I called Nina Erasmarkova at +12025550142", "internal": True}
    await admin.post(f"/requests/{number}/comment", json=said)
    other = (await create(await city.client(), category="graffiti", lat=41.0))["request_id"]
    await citizen.post(f"/requests/{other}/comment", json={"message": "wordmark17 there, too"})
    file = {"file": ("filemark23.txt", b"filemark23", "text/plain")}
    assert (await citizen.post(f"/requests/{number}/evidence", files=file)).status_code == 201
    told = {"location": "hintmark19 Street 5", "tags": ["wordmark17"]}
    assert (await citizen.post("/reports", json=raw("A lamp is out, says wordmark17", **told))).status_code == 202
    await process(city)
    assert (await citizen.post("/reports", json=raw("wordmark17 unread", **told))).status_code == 202
    await walk_to(admin, number, "resolved")
    rating = {"rating": 4, "comment": "wordmark17 thanks"}
    assert (await citizen.post(f"/requests/{number}/rating", json=rating)).status_code == 201
    async with city.transaction() as tx:
        while await drain_batch(tx, REACTIONS):
            pass
    return nina, citizen, number


def files_of(city: City) -> str:
    """All bytes in the store of files that are the tenant's."""
    folder = Path(os.environ[RUN_DIR], "files", str(city.tenant.tenant_id))
    return " ".join(path.read_bytes().decode("utf-8", "replace") for path in folder.rglob("*") if path.is_file())


async def test_nothing_that_a_person_wrote_is_left_anywhere(city) -> None:
    nina, citizen, number = await lived(city)
    before = await everything_stored(city, but=set(), except_of="nobody")
    assert [word for word in WORDS if word not in before and word != "filemark23"] == []
    assert "filemark23" in await asyncio.to_thread(files_of, city)
    problem(await (await city.client("citizen", actor_id=None)).delete(f"/citizens/{nina}"), 404)
    problem(await (await city.client("agent")).delete(f"/citizens/{nina}"), 403)
    assert (await citizen.delete(f"/citizens/{nina}")).status_code == 204
    after = await everything_stored(city, but={"models"}, except_of="nobody")
    assert [word for word in (*WORDS, "Nina") if word in after] == []
    assert "filemark23" not in await asyncio.to_thread(files_of, city)
    dump = await dumped(city)
    assert [word for word in (*WORDS, "Nina") if word in dump] == []
    staff = await city.client("admin")
    shown = (await staff.get(f"/requests/{number}")).json()
    assert (shown["description"], shown["status"], shown["location"]["coordinates"]) == (
        "[…]",
        "resolved",
        [-74.0, 40.71],
    )
    assert [item["type"] for item in shown["evidence"]] == ["photo"], "what staff added stays"
    assert await found(staff, "wordmark17") == []


async def test_the_trails_tell_what_went_and_a_second_time_there_is_nothing_to_tell(city) -> None:
    nina, citizen, number = await lived(city)
    staff = await city.client("admin")
    assert (await citizen.delete(f"/citizens/{nina}")).status_code == 204
    assert (await staff.delete(f"/citizens/{nina}")).status_code == 204
    events = (await staff.get(f"/requests/{number}/events")).json()["items"]
    (told,) = [event["meta"] for event in events if event["type"] == "text.erased"]
    assert (told["description"], told["feedback"], len(told["comments"]), len(told["evidence"])) == (True, True, 2, 2)
    assert all(event["meta"]["erased"] for event in events if event["type"] == "comment.added")
    public = (await (await city.client()).get(f"/requests/{number}/events")).json()["items"]
    assert "text.erased" not in {event["type"] for event in public}
    async with city.transaction() as tx:
        trail = await tx.rows(
            "SELECT type, meta FROM events WHERE tenant_id = %s AND subject_id = %s ORDER BY seq",
            [tx.tenant_id, nina],
        )
    erased = [event for event in trail if event["type"] == "person.erased"]
    assert len(erased) == 1
    kinds = erased[0]["meta"]["kinds"]
    assert (kinds["description"], kinds["comment"], kinds["evidence"], kinds["report"], kinds["profile"]) == (
        3,
        3,
        2,
        2,
        1,
    )


async def test_the_audit_tells_erasure_from_tampering(city) -> None:
    nina, citizen, _ = await lived(city)
    assert (await verified(city.services, city.tenant)).faults == {}
    assert (await citizen.delete(f"/citizens/{nina}")).status_code == 204
    assert (await verified(city.services, city.tenant)).faults == {}


async def test_what_came_in_afterwards_goes_the_second_time(city) -> None:
    nina, _, number = await lived(city)
    storage: Storage = city.app.state.storage
    async with city.transaction() as tx:
        assert await erase(tx, SYSTEM, storage, _uuid(nina))
    async with city.transaction() as tx:
        await tx.run(
            "UPDATE requests SET description = 'wordmark17 late' WHERE tenant_id = %s AND number = %s",
            [tx.tenant_id, number],
        )
        assert await erase(tx, SYSTEM, storage, _uuid(nina)) == {"description": 1}
        assert await erase(tx, SYSTEM, storage, _uuid(nina)) == {}


def _uuid(text: str) -> Any:
    from uuid import UUID

    return UUID(text)


async def test_an_erasure_that_fails_is_settled_by_the_next(city, monkeypatch) -> None:
    nina, citizen, _ = await lived(city)
    async with city.transaction() as tx:
        row = await tx.row("SELECT id FROM evidence WHERE tenant_id = %s AND media_type IS NOT NULL", [tx.tenant_id])
        assert row is not None
    await city.app.state.storage.delete(evidence_key(city.tenant.tenant_id, row["id"]))
    assert (await citizen.delete(f"/citizens/{nina}")).status_code == 204
    after = await everything_stored(city, but={"models"}, except_of="nobody")
    assert "filemark23" not in after


@pytest.mark.parametrize("text", ["Deep hole at 15 Elm St. Call me: 617-555-0134", "Deep hole at 15 Elm St."])
async def test_a_reporter_sees_beforehand_what_the_public_will_read(city, text: str) -> None:
    anybody = await city.client()
    shown = (await anybody.post("/privacy/preview", json={"text": text})).json()
    made = await create(anybody, description=text)
    assert made["description"] == shown["text"]
    assert shown["hidden"] == (["phone"] if "617" in text else [])
    assert (shown["text"] == text) is not bool(shown["hidden"])
    problem(await anybody.post("/privacy/preview", json={"text": "x" * 20_001}), 422)
