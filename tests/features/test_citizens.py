"""Citizens over HTTP: registering, proving a contact, masks, changes, erasure, and the wall between tenants."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from civicpulse.base import clock
from civicpulse.base.clients.senders import Message, SendFailed
from conftest import City

START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
JANE = {
    "full_name": "Jane Doe",
    "contacts": {"email": " Jane@Example.org ", "phone": "+1 (202) 555-0112"},
    "preferences": {"preferred_contact": "email", "language": "en"},
    "address": {"neighborhood": "Downtown", "city": "Springfield", "zone_id": "ZONE-DT-01"},
}


class Outbox:
    """A sender that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.is_down = False

    async def send(self, message: Message) -> None:
        if self.is_down:
            raise SendFailed("the service is down")
        self.messages.append(message)

    @property
    def code(self) -> str:
        found = re.search(r"\b\d{6}\b", self.messages[-1].body)
        assert found
        return found.group()


@pytest.fixture
def sent(city: City) -> Iterator[Outbox]:
    """What was sent; the app has its own sender back afterwards."""
    state, outbox = city.app.state, Outbox()
    before = getattr(state, "sender", None)
    state.sender = outbox
    yield outbox
    state.sender = before


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


async def register(client: httpx.AsyncClient, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await client.post("/citizens", json=body or JANE)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def verified(city: City, sent: Outbox, body: dict[str, Any] | None = None) -> tuple[str, httpx.AsyncClient]:
    """A citizen who proved a contact: id and a client that acts as them."""
    async with await city.client() as anonymous:
        made = await register(anonymous, body)
        answer = await anonymous.post(f"/citizens/{made['_id']}/verify", json={"code": sent.code})
    assert answer.status_code == 200, answer.text
    return answer.json()["_id"], await city.client(Authorization=f"Bearer {answer.json()['token']}")


async def test_a_citizen_is_registered_in_the_shape_of_the_specification(city: City, sent: Outbox) -> None:
    async with await city.client() as client:
        made = await register(client)
    assert list(made) == [
        "_id", "full_name", "verification", "contacts", "preferences", "address", "stats", "kpis", "created_at",
    ]  # fmt: skip
    assert made["verification"] == {
        "state": "unverified",
        "method": "otp",
        "verified_at": None,
        "expires_at": made["verification"]["expires_at"],
    }
    assert made["contacts"] == {"email": "jane@example.org", "phone": "+12025550112"}
    assert made["preferences"] == {
        "preferred_contact": "email",
        "language": "en",
        "privacy": {"default_anonymous": False, "share_publicly_on_map": True},
        "notifications": {"on_status_change": True, "on_resolution": True},
    }
    assert made["address"] == JANE["address"]
    assert made["stats"] == {"total_requests": 0, "avg_rating": None}


async def test_the_code_goes_to_the_preferred_contact_in_the_citizens_language(city: City, sent: Outbox) -> None:
    async with await city.client() as client:
        await register(client, JANE | {"preferences": {"preferred_contact": "sms", "language": "ru"}})
    (message,) = sent.messages
    assert (message.channel, message.recipient) == ("sms", "+12025550112")
    assert "код" in message.body


async def test_a_citizen_without_contact_needs_no_code(city: City, sent: Outbox) -> None:
    async with await city.client() as client:
        made = await register(client, {"full_name": None})
        assert "expires_at" not in made["verification"]
        answer = await client.post(f"/citizens/{made['_id']}/verification")
    assert (answer.status_code, answer.json()["code"]) == (422, "no_contact")
    assert sent.messages == []


@pytest.mark.parametrize(
    "body",
    [
        {"contacts": {"email": "not an address"}},
        {"contacts": {"email": "a@b"}},
        {"contacts": {"email": "a@example.org\r\nBcc: x@example.org"}},
        {"contacts": {"phone": "555-0112"}},
        {"contacts": {"phone": "+1"}},
        {"contacts": {"fax": "+12025550112"}},
        {"contacts": {"email": "a@example.org"}, "preferences": {"preferred_contact": "sms"}},
        {"preferences": {"language": "English!"}},
        {"full_name": "x" * 201},
        {"full_name": "a\x00b"},
    ],
)
async def test_bad_input_is_refused_with_a_problem(city: City, sent: Outbox, body: dict[str, Any]) -> None:
    async with await city.client() as client:
        answer = await client.post("/citizens", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_right_code_verifies_and_gives_a_token_to_act_with(city: City, sent: Outbox) -> None:
    citizen_id, client = await verified(city, sent)
    async with client:
        profile = (await client.get(f"/citizens/{citizen_id}")).json()
    assert profile["verification"]["state"] == "verified"
    assert profile["verification"]["verified_at"] is not None
    assert profile["contacts"]["email"] == "jane@example.org"


async def test_a_code_works_once(city: City, sent: Outbox) -> None:
    async with await city.client() as client:
        path = f"/citizens/{(await register(client))['_id']}/verify"
        assert (await client.post(path, json={"code": sent.code})).status_code == 200
        again = await client.post(path, json={"code": sent.code})
    assert (again.status_code, again.json()["code"]) == (409, "no_code_pending")


async def test_digits_of_another_script_are_digits(city: City, sent: Outbox) -> None:
    async with await city.client() as client:
        made = await register(client)
        eastern = sent.code.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
        assert (await client.post(f"/citizens/{made['_id']}/verify", json={"code": eastern})).status_code == 200


async def test_five_wrong_codes_lock_even_the_right_one_out(city: City, sent: Outbox) -> None:
    async with await city.client() as client:
        path = f"/citizens/{(await register(client))['_id']}/verify"
        answers = [await client.post(path, json={"code": wrong(sent.code)}) for _ in range(5)]
        assert [(answer.status_code, answer.json()["tries_left"]) for answer in answers] == [
            (422, left) for left in (4, 3, 2, 1, 0)
        ]
        locked = await client.post(path, json={"code": sent.code})
    assert (locked.status_code, locked.json()["code"]) == (409, "verification_locked")


async def test_simultaneous_guesses_get_no_more_than_five_tries(city: City, sent: Outbox) -> None:
    async with await city.client() as client:
        path = f"/citizens/{(await register(client))['_id']}/verify"
        guesses = [client.post(path, json={"code": wrong(sent.code)}) for _ in range(12)]
        codes = [answer.json()["code"] for answer in await asyncio.gather(*guesses)]
    assert sorted(codes) == ["verification_locked"] * 7 + ["wrong_code"] * 5


async def test_a_code_expires_after_ten_minutes(city: City, sent: Outbox) -> None:
    async with await city.client() as client:
        with clock.at(START):
            path = f"/citizens/{(await register(client))['_id']}/verify"
        with clock.at(START + timedelta(minutes=10)):
            late = await client.post(path, json={"code": sent.code})
        assert (late.status_code, late.json()["code"]) == (410, "code_expired")
        with clock.at(START + timedelta(minutes=9, seconds=59)):
            assert (await client.post(path, json={"code": sent.code})).status_code == 200


async def test_a_new_code_comes_once_a_minute_and_ends_the_old_one(city: City, sent: Outbox) -> None:
    async with await city.client() as client:
        with clock.at(START):
            path = f"/citizens/{(await register(client))['_id']}"
            old = sent.code
        with clock.at(START + timedelta(seconds=59)):
            early = await client.post(f"{path}/verification")
        assert (early.status_code, early.headers["retry-after"]) == (429, "1")
        with clock.at(START + timedelta(seconds=61)):
            assert (await client.post(f"{path}/verification")).status_code == 202
            if sent.code != old:
                assert (await client.post(f"{path}/verify", json={"code": old})).status_code == 422
            assert (await client.post(f"{path}/verify", json={"code": sent.code})).status_code == 200


async def test_no_more_than_ten_codes_a_day(city: City, sent: Outbox) -> None:
    async with await city.client() as client:
        with clock.at(START):
            path = f"/citizens/{(await register(client))['_id']}/verification"
        statuses = []
        for minute in range(1, 11):
            with clock.at(START + timedelta(minutes=2 * minute)):
                statuses.append((await client.post(path)).status_code)
    assert statuses == [202] * 9 + [429]


async def test_a_code_that_could_not_be_sent_leaves_the_citizen_registered(city: City, sent: Outbox) -> None:
    sent.is_down = True
    async with await city.client() as client:
        assert (await client.post("/citizens", json=JANE)).status_code == 201


async def test_a_known_contact_is_neither_revealed_nor_overwritten(city: City, sent: Outbox) -> None:
    with clock.at(START):
        citizen_id, jane = await verified(city, sent)
    attacker = {"full_name": "Mallory", "contacts": {"email": "jane@example.org"}}
    fresh = {"full_name": "Mallory", "contacts": {"email": "new@example.org"}}
    async with jane, await city.client() as client:
        known, new = await register(client, attacker), await register(client, fresh)
        assert known["_id"] != citizen_id
        changing = ("_id", "contacts", "created_at")
        shapes = [{name: part for name, part in made.items() if name not in changing} for made in (known, new)]
        for shape in shapes:
            shape["verification"].pop("expires_at")
        assert shapes[0] == shapes[1]
        assert (await jane.get(f"/citizens/{citizen_id}")).json()["full_name"] == "Jane Doe"


async def test_the_owner_of_a_known_contact_gets_back_in_by_its_code(city: City, sent: Outbox) -> None:
    with clock.at(START):
        citizen_id, jane = await verified(city, sent)
    async with jane, await city.client() as client:
        again = await register(client, {"contacts": {"email": "JANE@example.org"}})
        assert sent.messages[-1].recipient == "jane@example.org"
        answer = await client.post(f"/citizens/{again['_id']}/verify", json={"code": sent.code})
    assert answer.json()["_id"] == citizen_id
    assert answer.json()["full_name"] == "Jane Doe"


async def test_registering_again_at_once_sends_no_second_code_and_gives_no_more_tries(city: City, sent: Outbox) -> None:
    async with await city.client() as client:
        first = await register(client)
        for _ in range(3):
            await client.post(f"/citizens/{first['_id']}/verify", json={"code": wrong(sent.code)})
        second = await register(client)
        assert len(sent.messages) == 1
        guess = await client.post(f"/citizens/{second['_id']}/verify", json={"code": wrong(sent.code)})
        assert guess.json()["tries_left"] == 1
        answer = await client.post(f"/citizens/{second['_id']}/verify", json={"code": sent.code})
    assert answer.json()["_id"] == first["_id"]


async def test_a_contact_that_was_never_proven_goes_to_whoever_can_prove_it(city: City, sent: Outbox) -> None:
    squatter = {"contacts": {"email": "squatter@example.org", "phone": "+12025550112"}}
    squatter_id, client = await verified(city, sent, squatter)
    async with client:
        owner_id, owner = await verified(city, sent, {"contacts": {"phone": "+12025550112"}})
        async with owner:
            assert owner_id != squatter_id
            assert (await owner.get(f"/citizens/{owner_id}")).json()["contacts"]["phone"] == "+12025550112"
        assert (await client.get(f"/citizens/{squatter_id}")).json()["contacts"]["phone"] is None


async def test_staff_who_may_see_contacts_are_told_of_a_known_one(city: City, sent: Outbox) -> None:
    async with await city.client("dispatcher") as client:
        made = await register(client)
        again = await client.post("/citizens", json=JANE)
    assert (again.status_code, again.json()["code"]) == (409, "contact_in_use")
    assert again.json()["citizen_id"] == made["_id"]


async def test_two_simultaneous_registrations_of_one_contact_make_one_citizen(city: City, sent: Outbox) -> None:
    async with await city.client() as client:
        answers = await asyncio.gather(*(client.post("/citizens", json=JANE) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len(sent.messages) == 1
    async with city.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM citizens WHERE tenant_id = %s", [tx.tenant_id]) == 1


async def test_one_idempotency_key_is_one_citizen_and_one_answer(city: City, sent: Outbox) -> None:
    key = {"Idempotency-Key": "k1"}
    async with await city.client() as client:
        answers = await asyncio.gather(*(client.post("/citizens", json=JANE, headers=key) for _ in range(64)))
        other = await client.post("/citizens", json=JANE | {"full_name": "Someone"}, headers=key)
    assert sorted(answer.status_code for answer in answers) == [200] * 63 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert sum(answer.headers.get("idempotent-replayed") == "true" for answer in answers) == 63
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    async with city.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM citizens WHERE tenant_id = %s", [tx.tenant_id]) == 1


@pytest.mark.parametrize(
    ("role", "status", "email", "phone"),
    [
        (None, 401, None, None),
        ("citizen", 404, None, None),
        ("agent", 200, "j***@e***.org", "+1*****12"),
        ("dispatcher", 200, "jane@example.org", "+12025550112"),
        ("supervisor", 200, "jane@example.org", "+12025550112"),
        ("admin", 200, "jane@example.org", "+12025550112"),
    ],
)
async def test_who_sees_what_of_a_citizen(
    city: City, sent: Outbox, role: str | None, status: int, email: str | None, phone: str | None
) -> None:
    async with (
        await city.client() as anonymous,
        await city.client(role, uuid4() if role == "citizen" else None) as client,
    ):
        made = await register(anonymous)
        answer = await client.get(f"/citizens/{made['_id']}")
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["contacts"] == {"email": email, "phone": phone}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/verify"), ("POST", "/verification")]
)
@pytest.mark.parametrize("body", [{}, {"code": "000000"}, {"nonsense": 1}])
async def test_another_tenants_citizen_does_not_exist(
    city: City, other_city: City, sent: Outbox, method: str, path: str, body: dict[str, Any]
) -> None:
    async with await city.client() as anonymous, await other_city.client("admin") as client:
        made = await register(anonymous)
        answer = await client.request(method, f"/citizens/{made['_id']}{path}", json=body)
    assert answer.status_code == 404
    assert "jane" not in answer.text


async def test_the_same_contact_may_be_registered_in_two_tenants(city: City, other_city: City, sent: Outbox) -> None:
    async with await city.client() as here, await other_city.client() as there:
        await register(here)
        await register(there)
    assert len(sent.messages) == 2


async def test_a_profile_counts_the_citizens_requests(city: City, sent: Outbox) -> None:
    citizen_id, client = await verified(city, sent)
    async with city.transaction() as tx:
        for number, (state, rating) in enumerate([("open", None), ("waiting", None), ("resolved", 5), ("closed", 4)]):
            await tx.run(
                """INSERT INTO requests (tenant_id, id, number, pack_version, citizen_id, anonymous, category, description,
                       status, state_category, priority, priority_score, rating, created_at, updated_at)
                   VALUES (%s, gen_random_uuid(), %s, 1, %s, false, 'pothole', 'A hole', %s, %s, 'P3', 5, %s, now(), now())""",
                [tx.tenant_id, f"T-{number}", citizen_id, state, state, rating],
            )
    async with client:
        profile = (await client.get(f"/citizens/{citizen_id}")).json()
    assert profile["stats"] == {"total_requests": 4, "avg_rating": 4.5}
    assert profile["kpis"] == {"open_requests": 2, "resolved_requests": 2}


async def test_the_citizen_changes_their_preferences_and_what_is_left_out_stays(city: City, sent: Outbox) -> None:
    citizen_id, client = await verified(city, sent)
    async with client:
        change = {
            "preferences": {"language": "ar", "notifications": {"on_status_change": False}},
            "address": {"city": "X"},
        }
        answer = await client.patch(f"/citizens/{citizen_id}", json=change)
    assert answer.status_code == 200
    assert answer.json()["preferences"] == {
        "preferred_contact": "email",
        "language": "ar",
        "privacy": {"default_anonymous": False, "share_publicly_on_map": True},
        "notifications": {"on_status_change": False, "on_resolution": True},
    }
    assert answer.json()["address"] == {"neighborhood": "Downtown", "city": "X", "zone_id": "ZONE-DT-01"}
    assert answer.json()["full_name"] == "Jane Doe"


@pytest.mark.parametrize("body", [{"contacts": {"email": "x@example.org"}}, {"verification": {"state": "verified"}}])
async def test_contacts_and_verification_cannot_be_changed_from_outside(
    city: City, sent: Outbox, body: dict[str, Any]
) -> None:
    citizen_id, client = await verified(city, sent)
    async with client:
        assert (await client.patch(f"/citizens/{citizen_id}", json=body)).status_code == 422


async def test_a_preferred_contact_that_leads_nowhere_is_refused(city: City, sent: Outbox) -> None:
    citizen_id, client = await verified(city, sent, {"contacts": {"email": "a@example.org"}})
    async with client:
        answer = await client.patch(f"/citizens/{citizen_id}", json={"preferences": {"preferred_contact": "sms"}})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("role", "patched", "deleted"),
    [
        (None, 401, 401),
        ("citizen", 404, 404),
        ("agent", 403, 403),
        ("dispatcher", 200, 403),
        ("supervisor", 200, 204),
        ("admin", 200, 204),
    ],
)
async def test_who_may_change_and_who_may_erase(
    city: City, sent: Outbox, role: str | None, patched: int, deleted: int
) -> None:
    async with (
        await city.client() as anonymous,
        await city.client(role, uuid4() if role == "citizen" else None) as client,
    ):
        path = f"/citizens/{(await register(anonymous))['_id']}"
        assert (await client.patch(path, json={"preferences": {"language": "kk"}})).status_code == patched
        assert (await client.delete(path)).status_code == deleted


async def test_erasure_leaves_the_row_and_the_trail_and_nothing_personal(city: City, sent: Outbox) -> None:
    async with await city.client() as anonymous:
        made = (await anonymous.post("/citizens", json=JANE, headers={"Idempotency-Key": "k"})).json()
        token = (await anonymous.post(f"/citizens/{made['_id']}/verify", json={"code": sent.code})).json()["token"]
    async with await city.client(Authorization=f"Bearer {token}") as jane:
        assert (await jane.delete(f"/citizens/{made['_id']}")).status_code == 204
    async with await city.client("supervisor") as client:
        shown = (await client.get(f"/citizens/{made['_id']}")).json()
        assert (await client.delete(f"/citizens/{made['_id']}")).status_code == 204
        assert (await client.patch(f"/citizens/{made['_id']}", json={"full_name": "X"})).status_code == 409
        assert (await client.post(f"/citizens/{made['_id']}/verification")).status_code == 404
        await register(client)  # the contact is free again
    assert (shown["full_name"], shown["contacts"]) == (None, {"email": None, "phone": None})
    assert shown["address"] == {"neighborhood": None, "city": None, "zone_id": None}
    async with city.transaction() as tx:
        about = [tx.tenant_id, made["_id"]]
        trail = await tx.rows(
            "SELECT type, meta FROM events WHERE tenant_id = %s AND subject_id = %s ORDER BY seq", about
        )
        kept = await tx.rows("SELECT answer FROM idempotency_keys WHERE tenant_id = %s", [tx.tenant_id])
        live = "SELECT count(*) FROM tokens WHERE tenant_id = %s AND actor_id = %s AND revoked_at IS NULL"
        assert await tx.value(live, about) == 0
    assert [event["type"] for event in trail] == ["citizen.created", "citizen.verified", "person.erased"]
    assert "jane" not in str(trail).lower()
    assert "2025550112" not in str(trail)
    assert kept == []
