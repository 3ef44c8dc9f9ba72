"""What people read of a refusal or an escalation says what they call things: no name of the program is in it."""

import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from builders import report
from invented_pack import invented_pack
from tests_support import problem

from civicpulse.base.events import SYSTEM, record
from civicpulse.base.outbox import drain
from civicpulse.packs.loader import available_packs
from civicpulse.packs.model import Pack, PackDocument, compile_pack
from civicpulse.reactions import REACTIONS
from civicpulse.rules.outcome import Refusal
from civicpulse.rules.words.saying import say_refusal
from civicpulse.rules.workflow import decide_transition
from conftest import City, make_city, pack_text

MACHINE_WORD = re.compile(r"\w_\w|[a-z]:[a-z*]|[{}]")
ADDRESS = re.compile(r"/track/\S+")
PACKS = [*available_packs(), "invented"]


def document(name: str) -> dict[str, Any]:
    """The document of a shipped pack, or of the invented one."""
    found: dict[str, Any] = invented_pack() if name == "invented" else json.loads(pack_text(name))
    return found


def pack_of(city_pack: dict[str, Any]) -> Pack:
    return compile_pack(PackDocument.model_validate(city_pack))


def human(refused: dict[str, Any]) -> list[str]:
    """The sentences of a problem document."""
    parts = (*refused.get("reasons", ()), *refused.get("errors", ()))
    return [refused["title"], refused["detail"], *(part["detail"] for part in parts)]


def check(texts: list[str]) -> None:
    for text in texts:
        assert not MACHINE_WORD.search(ADDRESS.sub("", text)), text


@pytest.mark.parametrize("name", PACKS)
def test_every_move_that_a_pack_refuses_is_refused_in_its_titles(name: str) -> None:
    pack = pack_of(document(name))
    states = [*pack.workflow.states, "gone_for_good"]
    for source in states:
        for target in states:
            for role in (*pack.roles.named, "of_another_time"):
                answer = decide_transition(
                    pack.workflow, current=source, to=target, role=role, is_bound=role[0] > "c", present=frozenset()
                )
                if isinstance(answer, Refusal):
                    said = say_refusal(answer, pack.titles)
                    check([said.detail, *said.reasons])


@pytest.fixture(params=PACKS)
async def town(request: pytest.FixtureRequest, app: Any, database_url: str) -> tuple[City, Pack]:
    found = document(request.param)
    base = "contact_centre" if request.param == "invented" else request.param
    changes = found if request.param == "invented" else {}
    return await make_city(app, database_url, base, **changes), pack_of(found)


async def opened(city: City, pack: Pack) -> dict[str, Any]:
    async with await city.client() as anybody:
        answer = await anybody.post("/requests", json=report(category=next(iter(pack.categories))))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_people_are_refused_in_plain_words(town: tuple[City, Pack]) -> None:
    city, pack = town
    number = (await opened(city, pack))["request_id"]
    allowed = pack.workflow.next_states(pack.workflow.initial)
    refused = []
    for role in pack.roles.named.values():
        if role.kind == "system":
            continue
        client = await city.client(None if role == pack.roles.anonymous else role.name)
        for target in (*(name for name in pack.workflow.states if name not in allowed), "gone_for_good"):
            answer = await client.patch(f"/requests/{number}/transition", json={"to": target})
            assert answer.status_code in (401, 403, 404, 409), answer.text
            refused.append(answer.json())
        milestone = await client.patch(f"/requests/{number}/milestone", json={"milestone": "tea"})
        assert milestone.status_code in (401, 403, 404, 422), milestone.text
        refused.append(milestone.json())
        configured = await client.get(f"/tenants/{city.tenant.slug}/config/versions")
        refused += [configured.json()] if configured.status_code != 200 else []
    assert {"transition_not_allowed", "unknown_state"} <= {one["code"] for one in refused}
    for one in refused:
        check(human(one))


async def test_people_hear_of_an_escalation_in_a_sentence(town: tuple[City, Pack]) -> None:
    city, pack = town
    made = await opened(city, pack)
    role = pack.roles.escalations
    step = {"step": 0, "action": "notify_them_all", "role": role, "after_hours": 4.0, "manual": False}
    async with city.transaction() as tx:
        at = datetime.now(UTC)
        await record(tx, SYSTEM, subject_id=UUID(made["_id"]), seq=None, type="request.escalated", at=at, meta=step)
    await drain(city.services.db, city.services.tenants, REACTIONS)
    async with await city.client(role) as client:
        (told,) = (await client.get("/notifications")).json()["items"]
    check([told["title"].removeprefix("escalated"), told["body"]])
    if pack.document.name != "workshop":  # whose template leaves the reason out
        assert pack.titles.roles[role] in told["body"]
        assert "4" in told["body"].replace(made["request_id"], "")


async def test_an_untaken_request_says_so(city: City) -> None:
    async with await city.client() as anybody:
        made = (await anybody.post("/requests", json=report())).json()
    step = {"step": 0, "action": "notify_dispatcher", "role": "dispatcher", "after_hours": 4.0, "manual": False}
    async with city.transaction() as tx:
        at = datetime.now(UTC)
        await record(tx, SYSTEM, subject_id=UUID(made["_id"]), seq=None, type="request.escalated", at=at, meta=step)
    await drain(city.services.db, city.services.tenants, REACTIONS)
    async with await city.client("dispatcher") as client:
        (told,) = (await client.get("/notifications")).json()["items"]
    assert "nobody has taken it up for 4 hours; “Dispatcher” has been told" in told["body"]


async def test_other_refusals_name_what_can_be_chosen_beside_the_sentence(city: City) -> None:
    admin = await city.client("admin")
    unknown = problem(await admin.post("/requests", json=report(category="no_such_thing")), 422, "unknown_category")
    assert "Graffiti" in unknown["detail"]
    assert "graffiti" in unknown["errors"][0]["choices"]
    made = (await admin.post("/requests", json=report())).json()
    answer = await admin.patch(f"/requests/{made['request_id']}/milestone", json={"milestone": "tea"})
    milestone = problem(answer, 422, "invalid")
    assert "Work started" in milestone["detail"]
    assert "work_started" in milestone["errors"][0]["choices"]
    citizen = await city.client("agent")
    refused = problem(await citizen.delete(f"/citizens/{made['_id']}"), 403)
    assert refused["permission"] == "citizen:erase"
    check(human(refused))
