"""GET /tickets, /managers, /business-units and /dashboard/stats on what other ways in have brought (R-CSV-08)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from builders import create
from test_agents import counted_statements
from tests_support import problem

from civicpulse.base import clock
from civicpulse.base.events import SYSTEM
from civicpulse.people.managers import ManagerDraft, put_managers
from civicpulse.places.offices import OfficeDraft, place_offices, put_offices
from civicpulse.triage.analysis import Analysis
from civicpulse.triage.queries import add_analysis, count_confirmed_since, list_confirmed
from conftest import City

READS = ("/tickets", "/managers", "/business-units", "/dashboard/stats")


def understood(**changes: Any) -> Analysis:
    values: dict[str, Any] = {
        "category": "pothole",
        "category_scores": (),
        "priority": 6,
        "sentiment": "negative",
        "language": "en",
        "summary": "A hole.",
        "recommendation": "Fill it.",
        "confidence": 0.9,
        "needs_person": False,
        "engine": "offline",
        "model": "tfidf-linear",
        "version": "1",
    }
    return Analysis(**(values | changes))


async def body_of(client: httpx.AsyncClient, path: str, **params: Any) -> Any:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def numbers(city: City) -> list[str]:
    """Five requests an hour apart, the first two analysed."""
    anybody, made = await city.client(), []
    for index in range(5):
        with clock.at(datetime(2026, 5, 1, index, tzinfo=UTC)):
            made.append((await create(anybody, lat=40 + index / 10))["request_id"])
    async with city.transaction() as tx:
        ids = [
            await tx.value("SELECT id FROM requests WHERE tenant_id = %s AND number = %s", [tx.tenant_id, number])
            for number in made[:2]
        ]
        await add_analysis(tx, ids[0], understood(), at=clock.now(), by="system")
        await add_analysis(tx, ids[1], understood(language="es", sentiment="neutral"), at=clock.now(), by="system")
    return made


async def test_any_request_is_a_ticket_and_what_it_lacks_is_null(city: City, numbers: list[str]) -> None:
    agent = await city.client("agent")
    ticket = await body_of(agent, f"/tickets/{numbers[0]}")
    assert (ticket["request_id"], ticket["status"], ticket["latitude"]) == (numbers[0], "new", 40.0)
    assert ticket["analysis"]["sentiment"] == "negative"
    assert ticket["analysis"]["category_name"] == "Pothole"
    assert ticket["analysis"]["language_label"] == "EN"
    missing = ("segment", "client_guid", "gender", "birth_date", "assignment", "attachment_url", "business_unit_id")
    assert [name for name in missing if ticket.get(name) is not None] == []
    assert (await body_of(agent, f"/tickets/{ticket['id']}"))["request_id"] == numbers[0]
    assert (await body_of(agent, f"/tickets/{numbers[4]}"))["analysis"] is None


async def test_pages_by_number_and_by_cursor_hold_the_same(city: City, numbers: list[str]) -> None:
    agent = await city.client("agent")
    first = await body_of(agent, "/tickets", size=2)
    assert (first["total"], first["total_is_exact"], first["page"], first["size"]) == (5, True, 1, 2)
    by_number = [await body_of(agent, "/tickets", size=2, page=page) for page in (1, 2, 3)]
    seen = [item["request_id"] for page in by_number for item in page["items"]]
    assert seen == numbers[::-1]
    second = await body_of(agent, "/tickets", size=2, cursor=first["next_cursor"])
    assert second["items"] == by_number[1]["items"]
    assert by_number[2]["next_cursor"] is None


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"sentiment": "negative"}, [0]),
        ({"language": "ES"}, [1]),
        ({"language": "es", "sentiment": "negative"}, []),
        ({"category": "Pothole"}, [4, 3, 2, 1, 0]),
        ({"category": "graffiti"}, []),
        ({"assigned": "false", "from": "2026-05-01T03:00:00Z"}, [4, 3]),
        ({"source": "api", "to": "2026-05-01T01:00:00Z"}, [0]),
    ],
)
async def test_filters(city: City, numbers: list[str], asked: dict[str, str], found: list[int]) -> None:
    listed = await body_of(await city.client("agent"), "/tickets", **asked)
    assert [item["request_id"] for item in listed["items"]] == [numbers[index] for index in found]
    assert listed["total"] == len(found)


async def test_figures_agree_with_the_list(city: City, numbers: list[str]) -> None:
    stats = await body_of(await city.client("dispatcher"), "/dashboard/stats")
    assert (stats["total_tickets"], stats["assigned_tickets"], stats["analyzed_tickets"]) == (len(numbers), 0, 2)
    assert stats["by_category"] == {"pothole": 5}
    assert stats["by_sentiment"] == {"negative": 1, "neutral": 1}
    assert stats["by_language"] == {"en": 1, "es": 1}
    assert stats["by_office"] == stats["by_segment"] == stats["by_town"] == {}
    assert stats["avg_priority"] == 5.0
    nothing = await body_of(await city.client("dispatcher"), "/dashboard/stats", to="2020-01-01")
    assert (nothing["total_tickets"], nothing["avg_priority"], nothing["by_category"]) == (0, None, {})


async def test_a_new_text_has_no_analysis_until_it_is_read(city: City, numbers: list[str]) -> None:
    agent = await city.client("agent")
    ticket = await body_of(agent, f"/tickets/{numbers[0]}")
    async with city.transaction() as tx:
        await tx.run(
            "INSERT INTO ticket_details (tenant_id, request_id, client_guid, fingerprint, updated_at)"
            " VALUES (%s, %s, 'guid-1', '', %s)",
            [tx.tenant_id, ticket["id"], clock.now() + timedelta(hours=1)],
        )
    again = await body_of(agent, "/tickets/guid-1")
    assert (again["request_id"], again["analysis"]) == (numbers[0], None)


async def test_managers_and_offices(city: City) -> None:
    async with city.transaction() as tx:
        put = await put_offices(tx, SYSTEM, [OfficeDraft("North", "1 High St"), OfficeDraft("East", "2 Low St")])
        await place_offices(tx)
        drafts = [
            ManagerDraft("Ann", put.ids["North"], "Specialist", ("VIP",), 3),
            ManagerDraft("Bob", put.ids["East"]),
        ]
        await put_managers(tx, SYSTEM, drafts, timezone="UTC")
    agent = await city.client("agent")
    managers = (await body_of(agent, "/managers"))["items"]
    assert [(one["name"], one["business_unit_name"], one["current_load"]) for one in managers] == [
        ("Ann", "North", 3),
        ("Bob", "East", 0),
    ]
    north = (await body_of(agent, "/managers", office=str(put.ids["North"])))["items"]
    assert [one["name"] for one in north] == ["Ann"]
    offices = await body_of(agent, "/business-units", limit=1)
    assert [(one["name"], one["managers"]) for one in offices["items"]] == [("East", 1)]
    rest = await body_of(agent, "/business-units", cursor=offices["next_cursor"])
    assert ([one["name"] for one in rest["items"]], rest["next_cursor"]) == (["North"], None)


@pytest.mark.parametrize("role", [None, "citizen", "agent", "dispatcher", "supervisor", "admin"])
async def test_staff_only(city: City, numbers: list[str], role: str | None) -> None:
    client = await city.client(role)
    allowed = role not in (None, "citizen")
    for path in (*READS, f"/tickets/{numbers[0]}"):
        answer = await client.get(path)
        assert answer.status_code == (200 if allowed else 401 if role is None else 403), path


async def test_another_tenant_sees_none_of_it(city: City, other_city: City, numbers: list[str]) -> None:
    spy = await other_city.client("admin")
    assert (await body_of(spy, "/tickets"))["total"] == 0
    problem(await spy.get(f"/tickets/{numbers[0]}"), 404, "ticket_not_found")
    assert (await body_of(spy, "/dashboard/stats"))["total_tickets"] == 0


async def test_what_cannot_be_asked_is_said(city: City) -> None:
    agent = await city.client("agent")
    problem(await agent.get("/tickets", params={"category": "nonsense"}), 422)
    problem(await agent.get("/tickets", params={"sentiment": "angry"}), 422)
    problem(await agent.get("/tickets", params={"page": 900_000, "size": 500}), 422)
    problem(await agent.get("/tickets", params={"cursor": "x"}), 422)


async def test_a_page_costs_the_same_whatever_it_holds(
    city: City, numbers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, costs = await city.client("agent"), set[int]()
    await agent.get("/tickets")
    for size in (1, 5):
        with counted_statements(monkeypatch) as statements:
            assert len((await body_of(agent, "/tickets", size=size))["items"]) == size
        costs.add(len(statements))
    assert costs == {3}


async def test_what_the_pipeline_gave_out_teaches_nothing_until_somebody_has_worked_on_it(
    city: City, numbers: list[str]
) -> None:
    async with city.transaction() as tx:
        await tx.run("UPDATE requests SET source = 'csv', assigned_at = now() WHERE number = ANY (%s)", [numbers[:2]])
        await tx.run("UPDATE requests SET assigned_at = now() WHERE number = %s", [numbers[2]])
        assert len(await list_confirmed(tx, limit=10)) == 1
        await tx.run("UPDATE requests SET resolved_at = now() WHERE number = %s", [numbers[0]])
        assert len(await list_confirmed(tx, limit=10)) == 2
        assert await count_confirmed_since(tx, datetime(2026, 1, 1, tzinfo=UTC), limit=10) == 2
