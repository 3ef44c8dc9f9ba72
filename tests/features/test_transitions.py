"""Transitions over HTTP (R-WF-01, R-WF-02): every pair, every missing field, every race."""

import asyncio
import itertools
import json
from datetime import UTC, datetime

import httpx
import pytest
from builders import PHOTO, add_agent, create, move, png, walk_to
from tests_support import problem, sweep_city

from civicpulse.base import clock
from civicpulse.packs.loader import read_pack
from conftest import make_city, pack_text
from declared import fault_expected

LEGAL = {
    ("new", "triaged"),
    ("new", "closed"),
    ("triaged", "assigned"),
    ("triaged", "closed"),
    ("assigned", "in_progress"),
    ("in_progress", "resolved"),
    ("resolved", "closed"),
    ("resolved", "in_progress"),
}
STATES = ("new", "triaged", "assigned", "in_progress", "resolved", "closed")
EVERYTHING = {"checklist": ["done"], "evidence": [PHOTO], "reason": "because"}


async def test_the_whole_life_of_a_request(city) -> None:
    staff = await city.client("supervisor")
    document = await create(staff)
    number = document["request_id"]
    assert document["status"] == "new"
    assert document["workflow"]["allowed_next"] == ["triaged", "closed"]
    await walk_to(staff, number, "closed")
    done = (await staff.get(f"/requests/{number}")).json()
    times = [
        done["timestamps"][f"{name}_at"]
        for name in ("created", "triaged", "assigned", "in_progress", "resolved", "closed")
    ]
    assert times == sorted(times)
    assert done["sla"]["state"] == "completed"
    assert done["sla"]["met"] is True
    assert done["computed_kpis"]["resolution_minutes"] is not None
    assert done["evidence"][0]["uploaded_by"] == "staff"
    told = (await staff.get(f"/requests/{number}/events")).json()["items"]
    names = [event["name"] for event in told if event["type"] != "request.assigned"]
    assert names == ["created", "triaged", "assigned", "milestone", "in_progress", "milestone", "resolved", "closed"]
    moves = [event["meta"]["category"] for event in told if event["type"] == "request.transitioned"]
    assert moves == ["open", "open", "open", "resolved", "closed"]


@pytest.mark.parametrize(
    ("source", "target"), [pair for pair in itertools.product(STATES, STATES) if pair not in LEGAL]
)
async def test_every_illegal_pair_is_refused_with_its_reasons(city, source: str, target: str) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    await walk_to(admin, number, source)
    answer = await move(admin, number, target, **EVERYTHING)
    refusal = problem(answer, 409, "transition_not_allowed")
    # Out of resolved there is a second way, once the reporter disputes.
    allowed = {to for start, to in LEGAL if start == source and (start, to) != ("resolved", "in_progress")}
    assert set(refusal["allowed_next"]) == allowed
    assert (await admin.get(f"/requests/{number}")).json()["status"] == source


@pytest.mark.parametrize(
    ("source", "target", "missing"),
    [
        ("triaged", "assigned", ["assigned_agent_id"]),
        ("assigned", "in_progress", ["milestone.arrived|milestone.work_started"]),
        ("in_progress", "resolved", None),
    ],
)
async def test_every_missing_field_is_named(city, source: str, target: str, missing: list[str] | None) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    await walk_to(admin, number, source)
    refusal = problem(await move(admin, number, target), 409, "missing_fields")
    assert len(refusal["missing"]) == 1
    if missing:
        assert refusal["missing"] == missing
    assert target in refusal["allowed_next"]


async def test_triage_sets_category_priority_and_a_new_policy(city) -> None:
    dispatcher = await city.client("dispatcher")
    document = await create(dispatcher)
    answer = await move(
        dispatcher, document["request_id"], "triaged", category="graffiti", priority="P1", tags=["school"], note="seen"
    )
    triaged = answer.json()
    assert (triaged["category"], triaged["priority"], triaged["tags"]) == ("graffiti", "P1", ["school"])
    assert triaged["internal"]["notes"] == ["seen"]
    assert triaged["sla_policy"]["policy_id"] != document["sla_policy"]["policy_id"]
    problem(await move(dispatcher, document["request_id"], "triaged", category="unheard_of"), 422, "invalid")


async def test_thirty_two_conflicting_transitions_have_one_winner(city) -> None:
    staff = await city.client("supervisor")
    number = (await create(staff))["request_id"]
    answers = await asyncio.gather(*(move(staff, number, "triaged") for _ in range(32)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 31


async def test_if_match_refuses_a_version_that_has_passed(city) -> None:
    staff = await city.client("supervisor")
    number = (await create(staff))["request_id"]
    tag = (await staff.get(f"/requests/{number}")).headers["etag"]
    moved = await staff.patch(f"/requests/{number}/transition", json={"to": "triaged"}, headers={"If-Match": tag})
    assert moved.status_code == 200
    late = await staff.patch(f"/requests/{number}/transition", json={"to": "closed"}, headers={"If-Match": tag})
    problem(late, 412, "version_mismatch")


async def test_an_agent_may_work_and_not_dispatch(city) -> None:
    admin, agent = await city.client("admin"), await city.client("agent")
    number = (await create(admin))["request_id"]
    problem(await move(agent, number, "triaged"), 403, "role_not_allowed")
    await walk_to(admin, number, "assigned")
    assert (await agent.patch(f"/requests/{number}/milestone", json={"milestone": "arrived"})).json()[
        "status"
    ] == "in_progress"
    done = await move(agent, number, "resolved", checklist=["filled", "sealed"])
    assert done.json()["status"] == "resolved"
    problem(await move(agent, number, "closed"), 403, "role_not_allowed")


@pytest.mark.parametrize(
    "checklist", [{"filled": False, "sealed": False}, {"filled": True, "sealed": False}, [""], [], {}]
)
async def test_an_unticked_checklist_is_no_completed_one(city, checklist) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    await walk_to(admin, number, "in_progress")
    problem(await move(admin, number, "resolved", checklist=checklist), 409, "missing_fields")
    assert (await move(admin, number, "resolved", checklist={"filled": True})).status_code == 200


async def test_a_photo_of_the_fault_is_no_evidence_of_the_work(city) -> None:
    admin, citizen = await city.client("admin"), await city.client("citizen")
    number = (await create(citizen, evidence=[PHOTO]))["request_id"]
    early = {"file": ("before.png", png(), "image/png")}
    assert (await admin.post(f"/requests/{number}/evidence", files=early)).status_code == 201
    await walk_to(admin, number, "in_progress")
    assert (await citizen.post(f"/requests/{number}/evidence", files=early)).status_code == 201
    problem(await move(admin, number, "resolved"), 409, "missing_fields")
    resolution = {"milestone": "resolution"}
    problem(await admin.patch(f"/requests/{number}/milestone", json=resolution), 422)
    assert (await admin.post(f"/requests/{number}/evidence", files=early)).status_code == 201
    assert (await move(admin, number, "resolved")).status_code == 200


async def test_work_done_again_after_a_dispute_is_shown_again(city) -> None:
    admin, citizen = await city.client("admin"), await city.client("citizen")
    number = (await create(citizen))["request_id"]
    await walk_to(admin, number, "resolved")
    await citizen.post(f"/requests/{number}/rating", json={"rating": 1, "dispute_flag": True})
    assert (await move(admin, number, "in_progress")).status_code == 200
    problem(await move(admin, number, "resolved"), 409, "missing_fields")


async def test_nobody_rewrites_the_promise_while_finishing(city) -> None:
    admin, agent = await city.client("admin"), await city.client("agent")
    number = (await create(admin))["request_id"]
    await walk_to(admin, number, "in_progress")
    before = (await admin.get(f"/requests/{number}")).json()
    for rewritten in (
        {"sla_policy": "SLA-P4"},
        {"priority": "P1"},
        {"assigned_agent_id": f"AG-{number}"},
        {"category": "graffiti"},
    ):
        for caller in (agent, admin):
            refusal = problem(
                await move(caller, number, "resolved", checklist=["x"], **rewritten), 409, "too_late_to_classify"
            )
            assert [reason["field"] for reason in refusal["reasons"]] == [*rewritten]
    assert (await admin.get(f"/requests/{number}")).json() == before
    assert (await move(agent, number, "resolved", checklist=["x"])).status_code == 200
    problem(await move(admin, number, "closed", priority="P1"), 409, "too_late_to_classify")


async def test_a_new_policy_and_what_it_does_to_the_clock_are_in_the_trail(city) -> None:
    staff = await city.client("supervisor")
    with clock.at(datetime(2026, 3, 2, 9, tzinfo=UTC)):
        number = (await create(staff))["request_id"]
    with clock.at(datetime(2026, 3, 3, 9, tzinfo=UTC)):
        moved = await move(staff, number, "triaged", sla_policy="SLA-P1")
        assert moved.json()["sla"]["state"] == "breached"
        assert moved.json()["computed_kpis"]["breach_reason"] == "timeout"
        events = (await staff.get(f"/requests/{number}/events")).json()["items"]
        told = [event["meta"] for event in events if event["type"] in ("request.classified", "request.sla_changed")]
        assert told[0]["sla_policy"] == "SLA-P1"
        assert (told[-1]["from"], told[-1]["to"]) == ("on_time", "breached")


async def test_what_is_resolved_late_says_so_before_any_sweep(city) -> None:
    staff = await city.client("supervisor")
    with clock.at(datetime(2026, 3, 2, 9, tzinfo=UTC)):
        number = (await create(staff))["request_id"]
    with clock.at(datetime(2026, 3, 12, 9, tzinfo=UTC)):
        await walk_to(await city.client("admin"), number, "resolved")
        done = (await staff.get(f"/requests/{number}")).json()
    assert (done["sla"]["met"], done["computed_kpis"]["breach_reason"]) == (False, "timeout")


@pytest.mark.parametrize("state", ["new", "assigned", "in_progress", "closed"])
async def test_who_gets_it_is_not_asked_where_the_workflow_says_no(city, state) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    await walk_to(admin, number, state)
    before = (await admin.get(f"/requests/{number}/events")).json()["items"]
    problem(await admin.post(f"/requests/{number}/auto-assign"), 409, "transition_not_allowed")
    assert (await admin.get(f"/requests/{number}/events")).json()["items"] == before


async def test_a_duplicate_is_escalated_and_late_with_its_master(city) -> None:
    staff = await city.client("supervisor")
    with clock.at(datetime(2026, 3, 2, 9, tzinfo=UTC)):
        master = (await create(staff))["request_id"]
        duplicate = (await create(staff))["request_id"]
    assert (await staff.get(f"/requests/{duplicate}")).json()["duplicates"]["master_request_id"] == master
    with clock.at(datetime(2026, 3, 12, 9, tzinfo=UTC)):
        problem(await staff.post(f"/requests/{duplicate}/escalate", json={"reason": "late"}), 409, "follows_master")
        await sweep_city(city)
        states = [(await staff.get(f"/requests/{number}")).json()["sla"]["state"] for number in (master, duplicate)]
    assert states == ["breached", "breached"]


async def test_a_dispute_lets_the_work_start_again_and_the_wait_counts(city) -> None:
    admin, citizen = await city.client("admin"), await city.client("citizen")
    number = (await create(citizen))["request_id"]
    await walk_to(admin, number, "resolved")
    problem(await move(admin, number, "in_progress"), 409, "condition_not_met")
    assert (await admin.get(f"/requests/{number}")).json()["workflow"]["allowed_next"] == ["closed"]
    rated = await citizen.post(f"/requests/{number}/rating", json={"rating": 1, "dispute_flag": True})
    assert rated.status_code == 201, rated.text
    assert (await admin.get(f"/requests/{number}")).json()["workflow"]["allowed_next"] == ["closed", "in_progress"]
    again = await move(admin, number, "in_progress")
    assert again.json()["status"] == "in_progress"
    assert again.json()["timestamps"]["resolved_at"] is None
    told = (await admin.get(f"/requests/{number}/sla")).json()
    assert told["paused"] == []
    assert told["state"] == "on_time"


async def test_the_pack_may_forgive_the_wait_before_a_dispute(app, database_url) -> None:
    workflow = json.loads(pack_text("civic"))["workflow"] | {"reopening": "pauses"}
    city = await make_city(app, database_url, workflow=workflow)
    admin, citizen = await city.client("admin"), await city.client("citizen")
    number = (await create(citizen))["request_id"]
    await walk_to(admin, number, "resolved")
    await citizen.post(f"/requests/{number}/rating", json={"rating": 1, "dispute_flag": True})
    await move(admin, number, "in_progress")
    assert len((await admin.get(f"/requests/{number}/sla")).json()["paused"]) == 1


async def test_milestones_outside_their_place_are_refused(city) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    answer = await admin.patch(f"/requests/{number}/milestone", json={"milestone": "arrived"})
    assert problem(answer, 409, "transition_not_allowed")["allowed_next"] == ["triaged", "closed"]
    problem(await admin.patch(f"/requests/{number}/milestone", json={"milestone": "tea_break"}), 422, "invalid")
    await walk_to(admin, number, "in_progress")
    problem(await admin.patch(f"/requests/{number}/milestone", json={"milestone": "resolution"}), 422, "invalid")


async def test_escalating_by_hand_counts_and_is_in_the_trail(city) -> None:
    dispatcher = await city.client("dispatcher")
    number = (await create(dispatcher))["request_id"]
    answer = await dispatcher.post(f"/requests/{number}/escalate", json={"reason": "a school is near"})
    assert answer.json()["computed_kpis"]["escalation_count"] == 1
    event = (await dispatcher.get(f"/requests/{number}/events")).json()["items"][-1]
    assert event["type"] == "request.escalated"
    assert event["meta"]["reason"] == "a school is near"
    assert event["by"]["actor_type"] == "dispatcher"
    await move(dispatcher, number, "closed")
    problem(await dispatcher.post(f"/requests/{number}/escalate", json={"reason": "late"}), 409, "not_open")


async def test_auto_assign_takes_the_least_loaded_and_says_why(city) -> None:
    admin = await city.client("admin")
    await add_agent(admin, "AG-A")
    await add_agent(admin, "AG-B")
    await add_agent(admin, "AG-WATER", skills=["water"])
    winners = []
    for index in range(4):
        number = (await create(admin, lat=40.71 + index / 100))["request_id"]
        await move(admin, number, "triaged")
        answer = await admin.post(f"/requests/{number}/auto-assign")
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["status"] == "assigned"
        assert body["timestamps"]["assigned_at"]
        assert [failure["agent_code"] for failure in body["decision"]["failures"]] == ["AG-WATER"]
        winners.append(body["decision"]["candidates"][0]["agent_code"])
    assert sorted(winners) == ["AG-A", "AG-A", "AG-B", "AG-B"]


async def test_auto_assign_with_nobody_says_so_and_keeps_the_decision(city) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    await move(admin, number, "triaged")
    refusal = problem(await admin.post(f"/requests/{number}/auto-assign"), 409, "no_agent_available")
    assert refusal["decision"]["assigned"] is False
    assert (await admin.get(f"/requests/{number}")).json()["status"] == "triaged"
    types = [event["type"] for event in (await admin.get(f"/requests/{number}/events")).json()["items"]]
    assert types[-1] == "request.assignment_failed"


async def test_simultaneous_assignments_never_see_a_stale_load(city) -> None:
    admin = await city.client("admin")
    for code in ("AG-1", "AG-2", "AG-3", "AG-4"):
        await add_agent(admin, code)
    numbers = [(await create(admin, lat=40.0 + index / 50))["request_id"] for index in range(16)]
    for number in numbers:
        await move(admin, number, "triaged")
    answers = await asyncio.gather(*(admin.post(f"/requests/{number}/auto-assign") for number in numbers))
    codes = [answer.json()["decision"]["candidates"][0]["agent_code"] for answer in answers]
    assert sorted(codes.count(code) for code in set(codes)) == [4, 4, 4, 4]


async def test_a_failing_commit_is_never_answered_as_success(city, monkeypatch: pytest.MonkeyPatch) -> None:
    client: httpx.AsyncClient = await city.client("supervisor")
    number = (await create(client))["request_id"]
    finish = type(city.services.db).finish

    async def failing(self, tx, *, commit: bool) -> None:
        await finish(self, tx, commit=False)
        if commit:
            raise RuntimeError("the disk is full")

    with monkeypatch.context() as patch, fault_expected():
        patch.setattr(type(city.services.db), "finish", failing)
        answer = await move(client, number, "triaged")
    problem(answer, 500, "internal_error")
    assert (await client.get(f"/requests/{number}")).json()["status"] == "new"


async def test_a_zone_that_the_tenant_does_not_have_is_refused_with_those_it_has(city) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    (fault,) = problem(await move(admin, number, "triaged", zone_id="NOWHERE"), 422, "invalid")["errors"]
    assert (fault["field"], fault["choices"]) == ("zone_id", ["UNZONED"])
    assert (await move(admin, number, "triaged", zone_id="UNZONED")).status_code == 200


@pytest.mark.parametrize("named_by", ["agent_code", "_id"])
async def test_the_trail_names_the_agent_by_id_and_code_however_the_call_did(city, named_by: str) -> None:
    admin = await city.client("admin")
    agent, number = await add_agent(admin), (await create(admin))["request_id"]
    await move(admin, number, "triaged")
    assert (await move(admin, number, "assigned", assigned_agent_id=agent[named_by])).status_code == 200
    meta = (await admin.get(f"/requests/{number}/events")).json()["items"][-1]["meta"]
    assert (meta["to"], meta["assigned_agent_id"], meta["agent_code"]) == ("assigned", agent["_id"], "AG-1")


async def test_another_type_brings_its_priority_and_deadline_unless_staff_set_the_priority(city) -> None:
    """A burst main that was filed as graffiti is as urgent as a burst main (R-INT-06)."""
    staff = await city.client("dispatcher")
    default = {category.id: category.default_priority for category in read_pack("civic").categories}
    wrong, right = "graffiti", "water_leak"
    assert (default[wrong], default[right]) == ("P4", "P2")
    number = (await create(staff, category=wrong))["request_id"]
    before = (await staff.get(f"/requests/{number}")).json()
    await move(staff, number, "triaged", category=right)
    after = (await staff.get(f"/requests/{number}")).json()
    assert (before["priority"], after["priority"]) == (default[wrong], default[right])
    assert after["sla_policy"]["policy_id"] != before["sla_policy"]["policy_id"]
    kept = (await create(staff, category=wrong, lat=41))["request_id"]
    await move(staff, kept, "triaged", priority="P3")
    agent = await add_agent(await city.client("supervisor"))
    assert (
        await move(staff, kept, "assigned", category=right, assigned_agent_id=agent["agent_code"])
    ).status_code == 200
    assert (await staff.get(f"/requests/{kept}")).json()["priority"] == "P3"
    by_hand = (await create(staff, category=wrong, lat=42))["request_id"]
    await move(staff, by_hand, "triaged", category=right, priority="P4")
    assert (await staff.get(f"/requests/{by_hand}")).json()["priority"] == "P4"
