"""Merging and its undoing over HTTP (R-DUP-04): chains, races, clocks, refusals."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from builders import create, move, walk_to
from tests_support import problem, sweep_city

from civicpulse.base import clock


async def apart(client: httpx.AsyncClient, count: int, **changes: Any) -> list[str]:
    """Numbers of requests too far from each other to be duplicates, oldest first."""
    return [(await create(client, lat=41.0 + index / 10, **changes))["request_id"] for index in range(count)]


async def merge(client: httpx.AsyncClient, number: str, other: str, **more: Any) -> httpx.Response:
    """POST merge."""
    return await client.post(f"/requests/{number}/merge", json={"other": other, **more})


async def unmerge(client: httpx.AsyncClient, number: str) -> httpx.Response:
    """POST unmerge."""
    return await client.post(f"/requests/{number}/unmerge")


async def read(client: httpx.AsyncClient, number: str) -> dict[str, Any]:
    """The document."""
    document: dict[str, Any] = (await client.get(f"/requests/{number}")).json()
    return document


async def masters(client: httpx.AsyncClient, *numbers: str) -> list[str | None]:
    """Each one's master."""
    return [(await read(client, number))["duplicates"]["master_request_id"] for number in numbers]


async def trail(client: httpx.AsyncClient, number: str) -> list[str]:
    """Types of events in order; their numbers have no gap."""
    events = (await client.get(f"/requests/{number}/events")).json()["items"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    return [event["name"] for event in events]


async def test_the_older_one_stays_master_whichever_way_it_is_said(city) -> None:
    staff = await city.client("dispatcher")
    first, second, third = await apart(staff, 3)
    answer = await merge(staff, first, second)
    assert answer.status_code == 200, answer.text
    assert answer.json()["duplicates"]["linked_duplicates"] == [second]
    assert (await merge(staff, third, first)).json()["duplicates"]["master_request_id"] == first
    assert await masters(staff, first, second, third) == [None, first, first]
    assert (await read(staff, first))["duplicates"]["linked_duplicates"] == [second, third]
    assert await trail(staff, first) == ["created", "duplicate_added", "duplicate_added"]
    assert await trail(staff, second) == ["created", "merged"]


async def test_a_merge_that_stands_already_is_refused(city) -> None:
    staff = await city.client("dispatcher")
    one, two = await apart(staff, 2)
    problem(await merge(staff, one, one), 409, "already_merged")
    await merge(staff, one, two)
    for pair in ((one, two), (two, one), (two, two)):
        problem(await merge(staff, *pair), 409, "already_merged")


async def test_a_merge_is_undone_with_state_and_clock_as_they_were(city) -> None:
    admin = await city.client("admin")
    one, two = await apart(admin, 2)
    await walk_to(admin, two, "triaged")
    before = await read(admin, two)
    await merge(admin, one, two)
    assert (await read(admin, two))["sla"]["next_at"] is None
    await walk_to(admin, one, "resolved")
    followed = await read(admin, two)
    assert (followed["status"], followed["sla"]["state"]) == ("resolved", "completed")
    answer = await unmerge(admin, two)
    assert answer.status_code == 200, answer.text
    after = answer.json()
    for name in ("status", "workflow", "sla_policy", "sla", "duplicates", "priority"):
        assert after[name] == before[name], name
    before["timestamps"].pop("updated_at")
    assert after["timestamps"] | before["timestamps"] == after["timestamps"]
    assert after["timestamps"]["resolved_at"] is None
    assert (await read(admin, one))["duplicates"]["linked_duplicates"] == []
    assert (await read(admin, one))["status"] == "resolved"
    assert (await trail(admin, two))[-1] == "unmerged"
    assert (await trail(admin, one))[-1] == "duplicate_removed"
    assert (await move(admin, two, "closed")).status_code == 200
    assert (await read(admin, one))["status"] == "resolved"


async def test_a_pair_that_staff_took_apart_stays_apart_unless_forced(city) -> None:
    staff = await city.client("dispatcher")
    one, two = await apart(staff, 2)
    await merge(staff, one, two)
    await unmerge(staff, two)
    for pair in ((one, two), (two, one)):
        problem(await merge(staff, *pair), 409, "pair_rejected")
    assert (await merge(staff, two, one, force=True)).status_code == 200
    assert await masters(staff, two) == [one]


async def test_a_chain_becomes_flat_and_comes_apart_where_it_was_joined(city) -> None:
    staff = await city.client("dispatcher")
    oldest, middle, young = await apart(staff, 3)
    await merge(staff, middle, young)
    await merge(staff, oldest, middle)
    assert await masters(staff, oldest, middle, young) == [None, oldest, oldest]
    assert (await read(staff, oldest))["duplicates"]["linked_duplicates"] == [middle, young]
    await move(staff, oldest, "triaged")
    assert (await read(staff, young))["status"] == "triaged"
    await unmerge(staff, middle)
    assert await masters(staff, oldest, middle, young) == [None, None, middle]
    assert [(await read(staff, number))["status"] for number in (oldest, middle, young)] == ["triaged", "new", "new"]
    assert await trail(staff, young) == ["created", "merged", "merged", "triaged", "merged", "new"]


async def test_the_youngest_of_a_chain_leaves_alone(city) -> None:
    staff = await city.client("dispatcher")
    oldest, middle, young = await apart(staff, 3)
    await merge(staff, middle, young)
    await merge(staff, oldest, middle)
    await unmerge(staff, young)
    assert await masters(staff, middle, young) == [oldest, None]
    for other in (middle, oldest):
        problem(await merge(staff, young, other), 409, "pair_rejected")
    await unmerge(staff, middle)
    assert await masters(staff, middle, young) == [None, None]


async def test_two_masters_with_duplicates_become_one_family(city) -> None:
    staff = await city.client("dispatcher")
    numbers = await apart(staff, 6)
    for master, duplicates in ((numbers[0], numbers[2:4]), (numbers[1], numbers[4:])):
        for duplicate in duplicates:
            await merge(staff, master, duplicate)
    # Said of two duplicates, meant of their masters.
    answer = await merge(staff, numbers[4], numbers[2])
    assert answer.json()["duplicates"]["master_request_id"] == numbers[0]
    assert await masters(staff, *numbers) == [None] + [numbers[0]] * 5
    await unmerge(staff, numbers[1])
    assert await masters(staff, *numbers) == [None, None, *[numbers[0]] * 2, *[numbers[1]] * 2]


@pytest.mark.parametrize("again", range(4))
async def test_two_opposite_merges_at_once_have_one_winner(city, again: int) -> None:
    staff = await city.client("dispatcher")
    one, two, three = await apart(staff, 3)
    answers = await asyncio.gather(
        merge(staff, one, two), merge(staff, two, one), merge(staff, two, three), merge(staff, three, one)
    )
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert sum(answer.status_code == 200 for answer in answers[:2]) <= 1
    found = await masters(staff, one, two, three)
    assert found[0] is None
    # No chain: whoever has a master has one that is a master itself.
    tops = {number for number, master in zip((one, two, three), found, strict=True) if master is None}
    assert {master for master in found if master} <= tops


async def test_merging_while_masters_move_never_locks_up(city) -> None:
    admin = await city.client("admin")
    numbers = await apart(admin, 8)
    for index in (4, 5):
        await merge(admin, numbers[0], numbers[index])
    calls = [merge(admin, numbers[index], numbers[index + 1]) for index in range(4)]
    calls += [merge(admin, numbers[index + 1], numbers[index]) for index in range(4)]
    calls += [unmerge(admin, numbers[4]), unmerge(admin, numbers[5]), move(admin, numbers[0], "triaged")]
    calls += [move(admin, number, "triaged") for number in numbers[1:4]]
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} <= {200, 409}, [answer.text for answer in answers]
    documents = {number: await read(admin, number) for number in numbers}
    for document in documents.values():
        if master := document["duplicates"]["master_request_id"]:
            assert documents[master]["duplicates"]["is_master"]
            assert document["request_id"] in documents[master]["duplicates"]["linked_duplicates"]
            assert document["status"] == documents[master]["status"]


async def test_open_work_is_not_ended_by_an_older_request_that_has_ended(city) -> None:
    admin = await city.client("admin")
    one, two = await apart(admin, 2)
    await move(admin, one, "closed")
    problem(await merge(admin, one, two), 409, "master_has_ended")
    assert (await merge(admin, one, two, force=True)).status_code == 200
    assert (await read(admin, two))["status"] == "closed"
    assert (await unmerge(admin, two)).json()["status"] == "new"


async def test_what_is_not_a_duplicate_cannot_be_unmerged(city) -> None:
    staff = await city.client("dispatcher")
    one, two = await apart(staff, 2)
    problem(await unmerge(staff, one), 409, "not_merged")
    await merge(staff, one, two)
    problem(await unmerge(staff, one), 409, "not_merged")
    await unmerge(staff, two)
    problem(await unmerge(staff, two), 409, "not_merged")


async def test_a_number_of_another_tenant_is_no_number_here(city, other_city) -> None:
    staff, stranger = await city.client("dispatcher"), await other_city.client("dispatcher")
    here = (await create(staff))["request_id"]
    for _ in range(2):
        there = (await create(stranger, category="tree_pruning"))["request_id"]
    problem(await merge(staff, there, here), 404, "request_not_found")
    problem(await merge(staff, here, there), 422)
    problem(await unmerge(staff, there), 404, "request_not_found")


async def test_citizens_and_agents_do_not_merge(city) -> None:
    staff = await city.client("dispatcher")
    one, two = await apart(staff, 2)
    for role in ("citizen", "agent"):
        problem(await merge(await city.client(role), one, two), 403, "forbidden")
    problem(await merge(await city.client(), one, two), 401, "unauthenticated")


async def test_the_clock_of_a_duplicate_taken_apart_late_fires_what_it_missed(city) -> None:
    admin = await city.client("admin")
    one, two = await apart(admin, 2)
    await merge(admin, one, two)
    later = clock.now() + timedelta(hours=73)
    with clock.at(later):
        await sweep_city(city)
        assert (await read(admin, two))["sla"]["escalation_count"] == 0
        apart_again = (await unmerge(admin, two)).json()
        assert apart_again["sla"]["state"] == "overdue"
        await sweep_city(city)
        assert (await read(admin, two))["sla"]["escalation_count"] == 2
