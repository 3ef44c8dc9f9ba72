"""Who reports anonymously is named nowhere, nobody files in another's name, and staff does not rate itself."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from builders import create, report, walk_to
from psycopg import sql
from test_reports import process, raw
from tests_support import problem

from civicpulse.exports.dump import dump_documents
from civicpulse.migrations.versions import m0018_anonymous as heal
from conftest import City

# The tenant's chain names whatever has a trail, the citizen's own too, and says nothing of what has to do with what.
CHAINS = {"chain_blocks", "chain_waiting"}
ANONYMOUS: dict[str, Any] = {"citizen_ref": {"citizen_id": None, "anonymous": True, "contact_channel": "none"}}


async def citizen_of(city: City, **privacy: bool) -> tuple[str, httpx.AsyncClient]:
    """A citizen with these wishes, and a client of theirs."""
    body = {"full_name": "Ada", "preferences": {"privacy": privacy}}
    made = await (await city.client("admin")).post("/citizens", json=body)
    assert made.status_code == 201, made.text
    citizen_id: str = made.json()["_id"]
    return citizen_id, await city.client("citizen", actor_id=citizen_id)


async def everything_stored(city: City, *, but: set[str], except_of: str) -> str:
    """Every row of the tenant in every table, as text; without the citizen's own trail."""
    found = []
    async with city.transaction() as tx:
        tables = await tx.rows(
            "SELECT table_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND column_name = 'tenant_id' ORDER BY 1"
        )
        for table in sorted({row["table_name"] for row in tables} - but - {"tenants", "tokens"} - CHAINS):
            statement = sql.SQL(
                "SELECT coalesce(string_agg(t::text, E'\\n'), '') AS rows FROM {} t "
                "WHERE coalesce(to_jsonb(t) ->> 'subject_id', '') <> %s"
            ).format(sql.Identifier(table))
            row = await tx.row(statement, [except_of])
            assert row is not None
            found.append(f"{table}: {row['rows']}")
    return "\n".join(found)


async def dumped(city: City) -> str:
    """The tenant's dump."""
    out = Path(tempfile.mkdtemp(prefix="civicpulse-dump-"))
    async with city.transaction() as tx:
        await dump_documents(tx, out, progress=lambda _: None)
    return await asyncio.to_thread(_read_but_citizens, out)


def _read_but_citizens(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted(folder.glob("*.json")) if path.name != "citizens.json")


async def test_an_anonymous_report_holds_no_trace_of_its_citizen(city) -> None:
    ada, citizen = await citizen_of(city)
    admin, key = await city.client("admin"), {"Idempotency-Key": "once"}
    sent = await citizen.post("/requests", json=report(**ANONYMOUS), headers=key)
    again = await citizen.post("/requests", json=report(**ANONYMOUS), headers=key)
    assert (sent.status_code, again.status_code, again.json()) == (201, 200, sent.json())
    number, token = sent.json()["request_id"], {"X-Tracking-Token": sent.json()["tracking_token"]}
    told = await citizen.post("/reports", json=raw(**ANONYMOUS, location=None), headers=key)
    assert (await citizen.post("/reports", json=raw(**ANONYMOUS, location=None), headers=key)).json() == told.json()
    await process(city)
    photo = {"file": ("note.txt", b"a note", "text/plain")}
    assert (await citizen.post(f"/requests/{number}/evidence", files=photo, headers=token)).status_code == 201
    await walk_to(admin, number, "resolved")
    assert (await citizen.post(f"/requests/{number}/rating", json={"rating": 5}, headers=token)).status_code == 201
    assert ada not in await everything_stored(city, but={"citizens"}, except_of=ada)
    assert ada not in await dumped(city)


async def test_the_token_alone_follows_an_anonymous_report(city) -> None:
    _, citizen = await citizen_of(city)
    made = await create(citizen, **ANONYMOUS, is_public=False)
    number, token = made["request_id"], {"X-Tracking-Token": made["tracking_token"]}
    assert (await citizen.get("/requests", params={"mine": True})).json()["items"] == []
    problem(await citizen.get(f"/requests/{number}"), 404, "request_not_found")
    assert (await citizen.get(f"/requests/{number}", headers=token)).status_code == 200


@pytest.mark.parametrize("path", ["/requests", "/reports"])
async def test_the_wish_to_be_anonymous_is_kept_unless_something_else_is_said(city, path: str) -> None:
    for wishes, said, is_named in (
        (True, {"contact_channel": "email"}, False),
        (True, None, False),
        (True, {"anonymous": False}, True),
        (False, None, True),
        (False, {"contact_channel": "none"}, True),
        (False, {"anonymous": True}, False),
    ):
        ada, citizen = await citizen_of(city, default_anonymous=wishes)
        body: dict[str, Any] = {"description": "A deep hole", "location": {"coordinates": [1, 1]}}
        body |= {"category": "pothole"} if path == "/requests" else {}
        body |= {"citizen_ref": said} if said else {}
        sent = await citizen.post(path, json=body)
        assert sent.is_success, sent.text
        await process(city)
        counted = (await citizen.get(f"/citizens/{ada}")).json()["stats"]["total_requests"]
        assert counted == int(is_named), (wishes, said)


@pytest.mark.parametrize("path", ["/requests", "/reports"])
async def test_only_the_citizen_and_staff_may_say_whose_report_it_is(city, path: str) -> None:
    ada, citizen = await citizen_of(city)
    _, other = await citizen_of(city)
    body = {"description": "A deep hole", "location": {"coordinates": [1, 1]}}
    body |= {"category": "pothole"} if path == "/requests" else {}
    refused = []
    for caller in (await city.client(), other, await city.client("citizen")):
        for named in (ada, str(uuid4())):
            answer = await caller.post(path, json=body | {"citizen_ref": {"citizen_id": named}})
            refused.append(problem(answer, 403, "not_yourself"))
    assert all(one == refused[0] for one in refused), "whether there is such a citizen is not told"
    for caller in (citizen, await city.client("dispatcher")):
        assert (await caller.post(path, json=body | {"citizen_ref": {"citizen_id": ada}})).is_success


async def test_staff_does_not_rate(city) -> None:
    admin, agent = await city.client("admin"), await city.client("agent")
    made = await create(agent)
    number, token = made["request_id"], {"X-Tracking-Token": made["tracking_token"]}
    await walk_to(admin, number, "resolved")
    for caller, headers in ((agent, {}), (agent, token), (admin, token)):
        answer = await caller.post(f"/requests/{number}/rating", json={"rating": 5}, headers=headers)
        problem(answer, 403, "staff_does_not_rate")
    whoever = await city.client()
    assert (await whoever.post(f"/requests/{number}/rating", json={"rating": 5}, headers=token)).status_code == 201


async def test_what_an_earlier_release_wrote_is_healed_and_its_trail_names_nobody(city, database_url) -> None:
    ada, citizen = await citizen_of(city)
    made = await create(citizen)
    number, staff = made["request_id"], await city.client("admin")
    receipt = (await citizen.post("/reports", json=raw())).json()
    values = {"tenant_id": city.tenant.tenant_id, "id": receipt["id"], "number": number}
    async with city.transaction() as tx:  # as release 0.2 wrote what was reported anonymously
        await tx.run(
            "UPDATE requests SET citizen_id = NULL, anonymous = true WHERE tenant_id = %(tenant_id)s AND number = %(number)s",
            values,
        )
        await tx.run("UPDATE reports SET citizen_id = NULL WHERE tenant_id = %(tenant_id)s AND id = %(id)s", values)
    with psycopg.connect(database_url, autocommit=True) as owner:
        script = Path(heal.__file__).with_name("0018_anonymous.sql").read_text()
        owner.execute(script)
        owner.execute(script)
    stored = await everything_stored(city, but={"citizens", "events"}, except_of=ada)
    assert ada not in stored
    (event, *_) = (await staff.get(f"/requests/{number}/events")).json()["items"]
    assert event["by"] == {"actor_type": "citizen", "actor_id": None}
    assert ada not in await dumped(city)


UNSEEN = ["\u200b\u200b\u200b", "\u2060\ufeff", "\u3164 \u2800", "\u0301", "\u00ad\t"]


@pytest.mark.parametrize("text", UNSEEN, ids=range(len(UNSEEN)))
async def test_a_text_that_nobody_sees_is_blank_in_every_field(city, text: str) -> None:
    staff, anybody = await city.client("admin"), await city.client()
    made = await create(anybody)
    path = f"/requests/{made['request_id']}"
    bodies: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/requests", report(description=text)),
        ("POST", "/requests", report(tags=[text])),
        ("POST", "/requests", report(sub_category=text)),
        ("POST", "/requests", report(asset_id=text)),
        ("POST", "/requests", report(location={"coordinates": [1, 1], "address_hint": text})),
        ("POST", "/reports", raw(text)),
        ("POST", "/reports", raw(location=text)),
        ("POST", "/requests/similar", {"category": "pothole", "description": text}),
        ("POST", f"{path}/comment", {"message": text}),
        ("POST", f"{path}/escalate", {"reason": text}),
        ("POST", f"{path}/rating", {"rating": 1, "comment": text}),
        ("PATCH", f"{path}/transition", {"to": "triaged", "note": text}),
        ("PATCH", f"{path}/transition", {"to": "triaged", "reason": text}),
        ("PATCH", f"{path}/milestone", {"milestone": "arrived", "note": text}),
        ("POST", "/citizens", {"full_name": text}),
        ("POST", "/citizens", {"address": {"city": text}}),
    ]
    for method, where, body in bodies:
        answer = await staff.request(method, where, json=body)
        assert answer.status_code == 422, (where, body, answer.text)
