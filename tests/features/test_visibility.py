"""Who may see a request: the rule as a condition in SQL and as a check of one row, and what readers of all kinds learn."""

import itertools
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from builders import create, walk_to
from hypothesis import given
from hypothesis import strategies as st
from insight_support import add_row
from tests_support import problem

from civicpulse.base.events import Actor
from civicpulse.requests import visibility
from civicpulse.requests.queries import COLUMNS
from civicpulse.requests.visibility import EVERYTHING, NOTHING, PUBLIC, Ground, Sight, readers_of, reported_by
from conftest import City

ADA, BOB = UUID(int=1), UUID(int=2)
KEYS = ("anonymous", f"citizen:{ADA}", f"citizen:{BOB}", f"agent:{ADA}", "importer")

# ------------------------------------------------------------------------------------------------------------- the rule

SIGHTS = {
    "nothing": NOTHING,
    "everything": EVERYTHING,
    "anybody": PUBLIC,
    "a stranger": PUBLIC | reported_by(Actor("anonymous", "citizen")),
    "a citizen": PUBLIC | reported_by(Actor("citizen", "citizen", str(ADA))),
    "another citizen": PUBLIC | reported_by(Actor("citizen", "citizen", str(BOB))),
    "an agent's own": PUBLIC
    | reported_by(Actor("agent", "agent", str(ADA)))
    | Sight((Ground("assigned_agent_id", (ADA,)),)),
    "an agent's zones": PUBLIC | Sight((Ground("zone_id", ("Z1", "Z2")),)),
    "an agent's zone alone": Sight((Ground("zone_id", ("Z1",)),)),
    "an agent without zones": Sight((Ground("zone_id", ()),)) | NOTHING,
    "an agent's office": PUBLIC | Sight((Ground("office_id", (ADA,)),)),
    "an agent's skills": PUBLIC | Sight((Ground("category", ("pothole", "noise")),)),
}


async def test_the_condition_and_the_check_say_the_same_of_every_row(city) -> None:
    async with city.transaction() as tx:
        await tx.run(
            "INSERT INTO citizens (tenant_id, id, preferences, created_at) "
            "SELECT %s, c, '{}', now() FROM unnest(%s::uuid[]) AS c",
            [tx.tenant_id, [ADA, BOB]],
        )
        for public, by, citizen in itertools.product((True, False), KEYS, (None, ADA, BOB)):
            zone, category = ("Z1", "noise") if by == "anonymous" else ("Z2", "graffiti")
            await add_row(tx, is_public=public, created_by=by, citizen_id=citizen, zone_id=zone, category=category)
        rows = await tx.rows(f"SELECT {COLUMNS} FROM requests r WHERE r.tenant_id = %s", [tx.tenant_id])
        assert len(rows) == 30
        tracked = {"one's own link": PUBLIC | Sight((Ground("id", (rows[7]["id"],)),))}
        shared = {f"readers of {row['number']}": readers_of(row) for row in rows}
        for name, sight in (SIGHTS | tracked | shared).items():
            found = await tx.rows(
                visibility.SEEN_BY_ID.format(seen=sight.predicate()),
                {"tenant_id": tx.tenant_id, "ids": [row["id"] for row in rows]} | sight.parameters,
            )
            assert {one["id"] for one in found} == {row["id"] for row in rows if sight.sees(row)}, name


grounds = st.builds(
    Ground,
    st.sampled_from(("zone_id", "category", "created_by")),
    st.lists(st.sampled_from("abc"), max_size=3).map(tuple),
)
sights = st.builds(Sight, st.lists(grounds, max_size=3).map(tuple), st.booleans())
rows_of = st.fixed_dictionaries({name: st.sampled_from("abcd") for name in ("zone_id", "category", "created_by")})


@given(sights, sights, rows_of)
def test_two_sights_together_see_what_either_sees(one: Sight, other: Sight, row: dict[str, Any]) -> None:
    assert (one | other).sees(row) == (one.sees(row) or other.sees(row))


@pytest.mark.parametrize(
    ("report", "candidate", "is_shared"),
    [
        ((True, "anonymous", None), (True, "anonymous", None), True),
        ((True, f"citizen:{ADA}", ADA), (False, f"citizen:{ADA}", ADA), False),
        ((False, "anonymous", None), (True, "importer", None), True),
        ((False, "anonymous", None), (False, "anonymous", None), False),
        ((False, "importer", None), (False, "importer", None), False),
        ((False, f"citizen:{ADA}", ADA), (False, f"citizen:{ADA}", None), True),
        ((False, f"agent:{BOB}", ADA), (False, f"citizen:{ADA}", ADA), True),
        ((False, f"agent:{BOB}", ADA), (False, f"agent:{BOB}", None), False),
        ((False, f"agent:{BOB}", None), (False, f"agent:{BOB}", None), True),
        ((False, f"citizen:{ADA}", ADA), (False, f"citizen:{BOB}", BOB), False),
    ],
)
def test_whether_everybody_who_sees_a_report_sees_another(
    report: tuple[Any, ...], candidate: tuple[Any, ...], is_shared: bool
) -> None:
    one, other = (dict(zip(("is_public", "created_by", "citizen_id"), row, strict=True)) for row in (report, candidate))
    assert readers_of(one).sees(other) is is_shared


# ----------------------------------------------------------------------------- a private report beside a public one


async def public_figures(client: httpx.AsyncClient) -> dict[str, Any]:
    """What lists, feeds and figures say of what is there: all that a reader could count."""
    listed = (await client.get("/requests?total=true")).json()
    masters = (await client.get("/requests?total=true&merged=false")).json()
    duplicates = (await client.get("/requests?total=true&merged=true")).json()
    issues = (await client.get("/issues")).json()["items"]
    heat = (await client.get("/analytics/geofeeds/heatmap?fresh=true")).json()["features"]
    kpis = (await client.get("/analytics/kpis")).json()["totals"]
    return {
        "all": sorted(item["request_id"] for item in listed["items"]),
        "totals": (listed["total"], masters["total"], duplicates["total"]),
        "masters": sorted(item["request_id"] for item in masters["items"]),
        "issues": sorted((item["request_id"], item["report_count"]) for item in issues),
        "points": sorted(point["properties"]["request_id"] for point in heat),
        "open": kpis["backlog"]["open"] if isinstance(kpis["backlog"], dict) else kpis["backlog"],
    }


async def readers(city: City) -> dict[str, httpx.AsyncClient]:
    """Those who see what is public, and nothing else of strangers."""
    return {"anybody": await city.client(), "another citizen": await city.client("citizen", actor_id=uuid4())}


async def answers_about(client: httpx.AsyncClient, number: str, **headers: str) -> str:
    """All that can be asked about one request, as one text."""
    paths = ("", "/events", "/sla")
    found = [await client.get(f"/requests/{number}{path}", headers=headers) for path in paths]
    found.append(await client.get(f"/issues/{number}", headers=headers))
    assert [answer.status_code for answer in found] == [200] * 4
    return " ".join(answer.text for answer in found)


@pytest.mark.parametrize("comes_first", ["private", "public"])
async def test_a_private_report_and_a_public_one_are_joined_by_staff_only(city, comes_first: str) -> None:
    """Whichever comes first: the public one is neither attached nor said to be like the private one, and stays on the map."""
    anybody, staff = await city.client(), await city.client("dispatcher")
    owner = await city.client("citizen")
    if comes_first == "private":
        private = await create(owner, is_public=False)
        public = await create(anybody)
        assert public["duplicates"]["is_master"] is True
        assert public["duplicates"]["proposed"] == []
        proposed = (await staff.get(f"/requests/{public['request_id']}/duplicates")).json()["candidates"]
        assert [(one["request_id"], one["attachable"]) for one in proposed] == [(private["request_id"], False)]
        assert (
            await staff.post(f"/requests/{public['request_id']}/merge", json={"other": private["request_id"]})
        ).is_success
    else:
        public = await create(anybody)
        private = await create(owner, is_public=False)
        assert private["duplicates"]["master_request_id"] == public["request_id"]
    number, hidden = public["request_id"], private["request_id"]
    alone = {
        "all": [number],
        "totals": (1, 1, 0),
        "masters": [number],
        "issues": [(number, 1)],
        "points": [number],
        "open": 1,
    }
    for name, reader in (await readers(city)).items():
        assert await public_figures(reader) == alone, name
        assert hidden not in await answers_about(reader, number)
        problem(await reader.get(f"/requests/{hidden}"), 404, "request_not_found")
        types = [event["type"] for event in (await reader.get(f"/requests/{number}/events")).json()["items"]]
        assert len(types) == 1, "that it was joined is no business of the public's"
    told = (await staff.get(f"/requests/{number}")).json()["duplicates"]
    assert told == {"is_master": True, "master_request_id": None, "linked_duplicates": [hidden]}
    mine = (await owner.get(f"/requests/{hidden}")).json()["duplicates"]
    assert (mine["is_master"], mine["master_request_id"]) == (False, number)
    assert (await staff.get(f"/issues/{number}")).json()["report_count"] == 2


async def test_what_was_joined_to_a_private_request_before_shows_nothing_of_it(city) -> None:
    """Rows of former versions: a public duplicate of a private master is a request of its own to whoever sees no more."""
    anybody, staff = await city.client(), await city.client("dispatcher")
    private = await create(await city.client("citizen"), is_public=False)
    public = await create(anybody)
    async with city.transaction() as tx:
        await tx.run(
            "UPDATE requests SET master_id = %s WHERE tenant_id = %s AND number = %s",
            [private["_id"], tx.tenant_id, public["request_id"]],
        )
    for reader in (await readers(city)).values():
        shown = (await reader.get(f"/requests/{public['request_id']}")).json()
        assert shown["duplicates"] == {"is_master": True, "master_request_id": None, "linked_duplicates": []}
        assert shown["workflow"]["allowed_next"] != []
        assert private["request_id"] not in await answers_about(reader, public["request_id"])
        figures = await public_figures(reader)
        assert (figures["masters"], figures["issues"]) == ([public["request_id"]], [(public["request_id"], 1)])
    assert (await staff.get("/requests?merged=true")).json()["items"][0]["request_id"] == public["request_id"]


async def test_two_private_reports_of_different_people_are_joined_by_staff_only(city) -> None:
    ada, bob, staff = await city.client("citizen"), await city.client("citizen"), await city.client("dispatcher")
    first, other = await create(ada, is_public=False), await create(bob, is_public=False)
    assert other["duplicates"] == {
        "is_master": True,
        "master_request_id": None,
        "linked_duplicates": [],
        "proposed": [],
    }
    again = await create(ada, is_public=False)
    assert again["duplicates"]["master_request_id"] == first["request_id"], "one's own reports are one's own to know"
    number, hidden = other["request_id"], first["request_id"]
    assert (await staff.post(f"/requests/{number}/merge", json={"other": hidden})).is_success
    own = (await bob.get(f"/requests/{number}")).json()
    assert own["duplicates"] == {"is_master": True, "master_request_id": None, "linked_duplicates": []}
    assert hidden not in await answers_about(bob, number)
    assert [item["request_id"] for item in (await bob.get("/requests?merged=false")).json()["items"]] == [number]
    await walk_to(await city.client("admin"), hidden, "resolved")
    assert (await bob.get(f"/requests/{number}")).json()["status"] == "resolved", (
        "it follows a master that it does not see"
    )
    assert hidden not in await answers_about(bob, number)


async def test_nothing_of_it_crosses_to_another_tenant(city, other_city) -> None:
    private = await create(await city.client("citizen"), is_public=False)
    public = await create(await city.client())
    for role in (None, "citizen", "agent", "admin"):
        spy = await other_city.client(role)
        for number in (private["request_id"], public["request_id"]):
            problem(await spy.get(f"/requests/{number}"), 404, "request_not_found")
        assert (await spy.get("/requests?total=true")).json()["total"] == 0
