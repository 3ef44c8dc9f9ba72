"""Who is told what, by which way, in which words; delivery to the sender; and what each caller sees of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from builders import add_agent, create, move, walk_to

from civicpulse.base import clock
from civicpulse.base.clients.senders import Message, SendFailed
from civicpulse.base.db import Row
from civicpulse.base.events import SYSTEM, record
from civicpulse.base.ids import new_id
from civicpulse.base.outbox import drain
from civicpulse.notify.deliver import deliver_all, deliver_pending
from civicpulse.notify.queries import PAUSES, QUEUE
from civicpulse.notify.reactions import forget_citizen, tell_people
from civicpulse.people import queries as people
from civicpulse.reactions import REACTIONS
from civicpulse.requests.visibility import is_tracking_token
from conftest import City

NOTIFICATIONS = "SELECT * FROM notifications WHERE tenant_id = %s ORDER BY subject_id, seq, recipient_type, recipient"


class Post:
    """A sender that keeps what it is given; `failing` recipients are refused."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.failing: dict[str, Exception] = {}

    async def send(self, message: Message) -> None:
        if message.recipient in self.failing:
            raise self.failing[message.recipient]
        self.messages.append(message)


async def add_citizen(city: City, *, proven: tuple[str, ...] = ("email",), **preferences: Any) -> UUID:
    """A citizen with both contacts, of which `proven` were proven by a code."""
    citizen_id, now = new_id(), datetime.now(UTC)
    wishes = {"on_status_change": True, "on_resolution": True} | preferences.pop("notifications", {})
    privacy = {"default_anonymous": False, "share_publicly_on_map": True}
    chosen = {"preferred_contact": "email", "language": "en", "privacy": privacy, "notifications": wishes} | preferences
    async with city.transaction() as tx:
        row = {"id": citizen_id, "full_name": "Jane", "email": f"{citizen_id}@example.org", "preferences": chosen}
        row |= {"phone": f"+1202{citizen_id.int % 10**7:07}", "neighborhood": None, "city": None, "zone_id": None}
        await people.add_citizen(tx, row | {"created_at": now})
        for channel in proven:
            challenge: dict[str, Any] = {
                "id": new_id(),
                "citizen_id": citizen_id,
                "channel": channel,
                "code_hash": "x",
                "asker": "",
            }
            await people.add_challenge(tx, challenge | {"tries_left": 5, "created_at": now, "expires_at": now})
            await people.consume_code(tx, challenge["id"], at=now)
    return citizen_id


async def reported(city: City, citizen_id: UUID, **changes: Any) -> dict[str, Any]:
    """A request of that citizen."""
    ref = {"citizen_id": str(citizen_id), "anonymous": False, "contact_channel": "none"}
    async with await city.client("citizen", citizen_id) as client:
        return await create(client, citizen_ref=ref, **changes)


async def react(city: City) -> None:
    """What the worker does with the events."""
    await drain(city.services.db, city.services.tenants, REACTIONS, [QUEUE.source])


async def notifications(city: City) -> list[Row]:
    async with city.transaction() as tx:
        return await tx.rows(NOTIFICATIONS, [tx.tenant_id])


async def own(city: City, role: str, actor_id: UUID | None = None, query: str = "") -> dict[str, Any]:
    async with await city.client(role, actor_id) as client:
        answer = await client.get(f"/notifications{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def admin(city: City) -> AsyncIterator[httpx.AsyncClient]:
    async with await city.client("supervisor") as client:
        yield client


async def test_the_reporter_gets_a_receipt_with_a_link_that_proves_who_they_are(city: City) -> None:
    citizen_id = await add_citizen(city)
    made = await reported(city, citizen_id)
    await react(city)
    (note,) = await notifications(city)
    assert (note["recipient_type"], note["recipient"], note["channel"]) == ("citizen", str(citizen_id), "email")
    assert made["request_id"] in note["title"]
    path, _, token = note["body"].partition("#token=")
    assert path.endswith(f"/track/{made['request_id']}?t={city.tenant.slug}")
    assert is_tracking_token(city.tenant, UUID(made["_id"]), token)


async def test_the_reporter_hears_of_each_state_in_their_own_language(city: City, admin: httpx.AsyncClient) -> None:
    citizen_id = await add_citizen(city, language="ru")
    made = await reported(city, citizen_id)
    await walk_to(admin, made["request_id"], "closed")
    await react(city)
    titles = [note["title"] for note in await notifications(city) if note["recipient_type"] == "citizen"]
    assert len(titles) == 6
    assert titles[0].startswith("Мы получили")
    assert titles[4].endswith("решена")
    assert len(set(titles)) == 6


async def test_a_language_without_template_falls_back_to_the_packs_own(city: City) -> None:
    await reported(city, await add_citizen(city, language="fi"))
    await react(city)
    assert "We have received" in (await notifications(city))[0]["title"]


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"on_status_change": False}, ["resolved"]),
        ({"on_resolution": False}, ["created", "triaged", "assigned", "in_progress", "closed"]),
        ({"on_status_change": False, "on_resolution": False}, []),
    ],
)
async def test_a_citizen_hears_only_what_they_wish(
    city: City, admin: httpx.AsyncClient, wishes: dict[str, bool], expected: list[str]
) -> None:
    made = await reported(city, await add_citizen(city, notifications=wishes))
    await walk_to(admin, made["request_id"], "closed")
    await react(city)
    async with city.transaction() as tx:
        told = await tx.rows(
            "SELECT coalesce(e.meta ->> 'to', 'created') AS type FROM notifications n JOIN events e USING (tenant_id, subject_id, seq) "
            "WHERE n.tenant_id = %s AND n.recipient_type = 'citizen' ORDER BY n.seq",
            [tx.tenant_id],
        )
    assert [row["type"] for row in told] == expected


@pytest.mark.parametrize(
    ("proven", "preferred", "for_request", "channel"),
    [
        (("email",), "email", "none", "email"),
        (("email",), "sms", "none", "inapp"),
        (("email", "sms"), "email", "sms", "sms"),
        (("email",), "none", "email", "email"),
        (("email",), "none", "none", "inapp"),
        ((), "email", "none", "inapp"),
    ],
)
async def test_only_a_proven_contact_is_written_to(
    city: City, proven: tuple[str, ...], preferred: str, for_request: str, channel: str
) -> None:
    citizen_id = await add_citizen(city, proven=proven, preferred_contact=preferred)
    ref = {"citizen_id": str(citizen_id), "anonymous": False, "contact_channel": for_request}
    async with await city.client("citizen", citizen_id) as client:
        await create(client, citizen_ref=ref)
    await react(city)
    assert [note["channel"] for note in await notifications(city)] == [channel]


async def test_an_anonymous_report_is_told_to_nobody(city: City, admin: httpx.AsyncClient) -> None:
    async with await city.client() as client:
        made = await create(client)
    await move(admin, made["request_id"], "triaged")
    await react(city)
    assert await notifications(city) == []


async def test_the_same_event_twice_is_told_once(city: City) -> None:
    made = await reported(city, await add_citizen(city))
    event = {"subject_id": UUID(made["_id"]), "seq": 1, "type": "request.opened", "meta": {}}

    async def again() -> None:
        async with city.transaction() as tx:
            await tell_people(tx, event)

    await asyncio.gather(*(again() for _ in range(8)))
    await react(city)
    assert len(await notifications(city)) == 1


async def test_the_agent_hears_of_what_they_are_assigned(city: City, admin: httpx.AsyncClient) -> None:
    agent = await add_agent(admin)
    async with await city.client() as client:
        made = await create(client)
    await move(admin, made["request_id"], "triaged")
    await move(admin, made["request_id"], "assigned", assigned_agent_id="AG-1")
    await react(city)
    (note,) = await notifications(city)
    assert (note["recipient_type"], note["recipient"], note["channel"]) == ("agent", agent["_id"], "inapp")
    assert "#token" not in note["body"]
    assert note["next_try_at"] is None


async def test_an_escalation_reaches_the_steps_role_and_the_agent(city: City, admin: httpx.AsyncClient) -> None:
    agent = await add_agent(admin)
    async with await city.client() as client:
        made = await create(client)
    await move(admin, made["request_id"], "triaged")
    await move(admin, made["request_id"], "assigned", assigned_agent_id="AG-1")
    step = {"step": 0, "action": "notify_dispatcher", "role": "dispatcher", "after_hours": 60.0, "manual": False}
    async with city.transaction() as tx:
        at = datetime.now(UTC)
        await record(tx, SYSTEM, subject_id=UUID(made["_id"]), seq=None, type="request.escalated", at=at, meta=step)
    await react(city)
    told = {
        (note["recipient_type"], note["recipient"])
        for note in await notifications(city)
        if "escalated" in note["title"]
    }
    assert told == {("role", "dispatcher"), ("agent", agent["_id"])}
    (item,) = (await own(city, "dispatcher"))["items"]
    assert "it has not been resolved after 60 hours; “Dispatcher” has been told" in item["body"]


async def test_an_escalation_by_hand_reaches_the_supervisors_with_its_reason(
    city: City, admin: httpx.AsyncClient
) -> None:
    async with await city.client() as client:
        made = await create(client)
    answer = await admin.post(f"/requests/{made['request_id']}/escalate", json={"reason": "A school is next door"})
    assert answer.status_code == 200, answer.text
    await react(city)
    (item,) = (await own(city, "supervisor"))["items"]
    assert "A school is next door" in item["body"]


async def test_everyone_who_reported_hears_of_the_merge_and_of_the_masters_progress(
    city: City, admin: httpx.AsyncClient
) -> None:
    first, second = await add_citizen(city), await add_citizen(city)
    master, duplicate = await reported(city, first), await reported(city, second)
    if duplicate["duplicates"]["is_master"]:
        merged = await admin.post(f"/requests/{duplicate['request_id']}/merge", json={"with": master["request_id"]})
        assert merged.status_code == 200, merged.text
    await walk_to(admin, master["request_id"], "resolved")
    await react(city)
    told = [item["title"] for item in (await own(city, "citizen", second))["items"]]
    assert f"Request {duplicate['request_id']} joins {master['request_id']}" in told
    assert told[0] == f"Request {duplicate['request_id']} is resolved"


async def test_delivery_sends_once_with_an_absolute_link(city: City) -> None:
    citizen_id = await add_citizen(city)
    await reported(city, citizen_id)
    await react(city)
    post = Post()

    services = replace(city.services, settings=replace(city.services.settings, public_url="https://city.test/"))

    async def deliver() -> int:
        return await deliver_pending(services, city.tenant, post)

    assert sum(await asyncio.gather(*(deliver() for _ in range(4)))) == 1
    (message,) = post.messages
    assert (message.channel, message.recipient) == ("email", f"{citizen_id}@example.org")
    assert "https://city.test/track/" in message.body
    assert (await notifications(city))[0]["sent_at"] is not None
    assert await deliver() == 0


async def test_a_failing_message_is_tried_again_with_growing_pauses_and_then_given_up(city: City) -> None:
    citizen_id = await add_citizen(city)
    await reported(city, citizen_id)
    await react(city)
    post, now = Post(), datetime.now(UTC) + timedelta(minutes=1)
    post.failing[f"{citizen_id}@example.org"] = SendFailed("the service is down")
    for pause in (*PAUSES, None):
        with clock.at(now):
            assert await deliver_pending(city.services, city.tenant, post) == 1
            assert await deliver_pending(city.services, city.tenant, post) == 0
        (note,) = await notifications(city)
        assert note["error"] == "the service is down"
        assert note["next_try_at"] == (now + pause if pause else None)
        now += pause or timedelta()
    assert note["attempts"] == len(PAUSES) + 1


async def test_a_worker_killed_in_the_middle_of_a_batch_sends_no_mail_twice(city: City) -> None:
    for n in range(6):
        await reported(city, await add_citizen(city), lon=-73.9 + n / 10)
    await react(city)
    post, stuck = Post(), asyncio.Event()

    class Slow(Post):
        async def send(self, message: Message) -> None:
            if len(post.messages) == 3:
                stuck.set()
                await asyncio.sleep(60)
            await post.send(message)

    worker = asyncio.create_task(deliver_pending(city.services, city.tenant, Slow()))
    await asyncio.wait_for(stuck.wait(), 5)
    await asyncio.sleep(0.3)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert len(post.messages) == 3
    assert await deliver_pending(city.services, city.tenant, post) == 0, "held until the lease ends"
    with clock.at(datetime.now(UTC) + timedelta(minutes=10)):
        assert await deliver_pending(city.services, city.tenant, post) == 3
    assert len({message.recipient for message in post.messages}) == len(post.messages) == 6
    assert all(message.id for message in post.messages)


async def test_one_broken_message_does_not_hold_up_the_others(city: City) -> None:
    broken, fine = await add_citizen(city), await add_citizen(city)
    await reported(city, broken)
    await reported(city, fine, lon=-73.9)
    await react(city)
    post = Post()
    post.failing[f"{broken}@example.org"] = RuntimeError("a bug in a library")
    assert await deliver_pending(city.services, city.tenant, post) == 2
    assert [message.recipient for message in post.messages] == [f"{fine}@example.org"]
    errors = {note["recipient"]: note["error"] for note in await notifications(city)}
    assert errors == {str(broken): "RuntimeError: a bug in a library", str(fine): None}


async def test_the_worker_finds_every_tenant_with_something_to_send(city: City, other_city: City) -> None:
    post, wanted = Post(), set()
    for town in (city, other_city):
        citizen_id = await add_citizen(town)
        wanted.add(f"{citizen_id}@example.org")
        await reported(town, citizen_id)
    await react(city)
    assert await deliver_all(city.services, post) >= 2
    assert wanted <= {message.recipient for message in post.messages}
    assert await deliver_all(city.services, post) == 0


async def test_an_erased_citizen_is_sent_nothing_and_their_texts_are_gone(city: City, admin: httpx.AsyncClient) -> None:
    citizen_id = await add_citizen(city)
    await reported(city, citizen_id)
    await react(city)
    assert (await admin.delete(f"/citizens/{citizen_id}")).status_code == 204
    post = Post()
    assert await deliver_pending(city.services, city.tenant, post) == 0
    async with city.transaction() as tx:
        await forget_citizen(tx, {"subject_id": citizen_id})
    assert await deliver_pending(city.services, city.tenant, post) == 0
    (note,) = await notifications(city)
    assert post.messages == []
    assert (note["title"], note["body"], note["next_try_at"]) == ("", "", None)


async def test_an_anonymous_caller_has_no_notifications(city: City) -> None:
    async with await city.client() as client:
        assert (await client.get("/notifications")).status_code == 401


async def test_everyone_sees_their_own_and_no_other_tenants(
    city: City, other_city: City, admin: httpx.AsyncClient
) -> None:
    citizen_id, stranger = await add_citizen(city), await add_citizen(city)
    agent = await add_agent(admin, roles=["agent", "dispatcher"])
    made = await reported(city, citizen_id)
    await move(admin, made["request_id"], "triaged")
    await move(admin, made["request_id"], "assigned", assigned_agent_id="AG-1")
    step = {"action": "notify_dispatcher", "role": "dispatcher", "after_hours": 1.5}
    async with city.transaction() as tx:
        at = datetime.now(UTC)
        await record(tx, SYSTEM, subject_id=UUID(made["_id"]), seq=None, type="request.escalated", at=at, meta=step)
    await react(city)
    callers: dict[str, tuple[City, str, UUID | None]] = {
        "citizen": (city, "citizen", citizen_id),
        "stranger": (city, "citizen", stranger),
        "agent": (city, "agent", UUID(agent["_id"])),
        "other agent": (city, "agent", new_id()),
        "dispatcher": (city, "dispatcher", None),
        "admin": (city, "admin", None),
        "elsewhere": (other_city, "dispatcher", None),
        "citizen elsewhere": (other_city, "citizen", citizen_id),
    }
    kinds = {
        name: sorted(item["recipient_type"] for item in (await own(*who))["items"]) for name, who in callers.items()
    }
    assert kinds == {
        "citizen": ["citizen"] * 3,
        "stranger": [],
        "agent": ["agent", "agent", "role"],
        "other agent": [],
        "dispatcher": ["role"],
        "admin": [],
        "elsewhere": [],
        "citizen elsewhere": [],
    }
    item = (await own(city, "citizen", citizen_id))["items"][0]
    assert list(item) == ["id", "request_id", "recipient_type", "channel", "title", "body", "created_at", "sent_at"]
    assert item["request_id"] == made["request_id"]


async def test_pages_are_newest_first_and_join_up(city: City, admin: httpx.AsyncClient) -> None:
    citizen_id = await add_citizen(city)
    made = await reported(city, citizen_id)
    await walk_to(admin, made["request_id"], "closed")
    await react(city)
    whole = (await own(city, "citizen", citizen_id))["items"]
    first = await own(city, "citizen", citizen_id, "?limit=4")
    second = await own(city, "citizen", citizen_id, f"?limit=4&cursor={first['next_cursor']}")
    assert [item["id"] for item in whole] == sorted((item["id"] for item in whole), reverse=True)
    assert first["items"] + second["items"] == whole
    assert second["next_cursor"] is None
    async with await city.client("citizen", citizen_id) as client:
        assert (await client.get("/notifications?cursor=nonsense")).status_code == 422
