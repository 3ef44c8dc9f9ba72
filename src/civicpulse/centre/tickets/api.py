"""HTTP of tickets, managers, business units and the dashboard's figures (R-CSV-08)."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import Page, answers
from civicpulse.base.errors import NotFound
from civicpulse.base.paging import MAX_LIMIT, decode_cursor, encode_cursor
from civicpulse.base.paging import page as page_of
from civicpulse.base.web import ID_GUARDS, Json, TransactionRoute
from civicpulse.base.wire import DayOrInstant, ShortText
from civicpulse.centre.tickets import listing, queries
from civicpulse.centre.tickets.documents import ticket_documents
from civicpulse.centre.tickets.queries import TicketFilters
from civicpulse.centre.views import DashboardView
from civicpulse.packs.store import began_here, current_pack
from civicpulse.requests.assignment.queries import list_managers
from civicpulse.requests.filters import Many, RequestFilters, known_sources, known_states, words
from civicpulse.requests.named import known_things
from civicpulse.requests.views.ticket import (
    BusinessUnitView,
    ManagerView,
    TicketPage,
    TicketView,
    manager_document,
    office_document,
)
from civicpulse.requests.visibility import Sight, reader_of
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["tickets"])

OFFICE_SORT = "name"

Office = Annotated[ShortText | None, Query(description="Id or name of the office")]


@router.get("/tickets", summary="List tickets with analysis and assignment", responses=answers(TicketPage))
async def list_tickets(
    request: Request,
    caller: Caller = needs(Permission.REQUEST_READ_ALL),
    segment: Many = None,
    town: Annotated[list[str] | None, Query(description="Towns in any of their spellings")] = None,
    q: Annotated[str | None, Query(max_length=500)] = None,
    category: Annotated[str | None, Query(max_length=200, description="Id or name of the type")] = None,
    sentiment: Literal["positive", "neutral", "negative"] | None = None,
    language: Annotated[str | None, Query(max_length=20, description="Code or label, such as kk or KZ")] = None,
    status: Many = None,
    source: Many = None,
    office: Office = None,
    manager: Annotated[ShortText | None, Query(description="Id or code of the manager")] = None,
    assigned: bool | None = None,
    since: Annotated[DayOrInstant | None, Query(alias="from")] = None,
    until: Annotated[DayOrInstant | None, Query(alias="to")] = None,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    size: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    limit: Annotated[int | None, Query(ge=1, le=MAX_LIMIT, description="Another name of size")] = None,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Lists tickets, newest first, by `page` and `size` or by `cursor`. `total` counts to 100,000; `total_is_exact` says whether it got there."""
    pack, size = await current_pack(caller.tx), limit or size
    reach = (await reader_of(caller)).reach
    named = await known_things(caller.tx, {"office": ("office", office), "manager": ("agent", manager)})
    created_from, created_to = await began_here(caller.tx, since, until)
    wanted = TicketFilters(
        RequestFilters(
            status=await known_states(caller.tx, words("status", status)),
            category=await listing.category_of(caller.tx, pack, category),
            segment=await listing.segments_of(caller.tx, pack, words("segment", segment)),
            text=q,
            source=await known_sources(caller.tx, words("source", source)),
            office_id=named["office"],
            agent_id=named["manager"],
            assigned=assigned,
            created_from=created_from,
            created_to=created_to,
        ),
        sentiment=sentiment,
        language=listing.language_of(pack, language),
        spellings=await listing.spellings_of(caller.tx, pack, words("town", town)),
    )
    ids, next_cursor = await listing.list_tickets(caller.tx, wanted, reach, page=page, size=size, cursor=cursor)
    total = await queries.count_tickets(caller.tx, wanted, reach)
    items = await _documents(request, caller, ids, reach)
    exact = total < queries.MAX_COUNTED
    return Json(page_of(items, next_cursor, total=total, total_is_exact=exact, page=page, size=size))


async def _documents(request: Request, caller: Caller, ids: list[UUID], reach: Sight) -> list[dict[str, Any]]:
    sees = caller.may(Permission.CITIZEN_CONTACT)
    return await ticket_documents(caller.tx, ids, reach, storage=request.app.state.storage, sees_contacts=sees)


@router.get(
    "/tickets/{ticket_id}", summary="Read one ticket", responses=answers(TicketView, {404: ("ticket_not_found",)})
)
async def get_ticket(ticket_id: str, request: Request, caller: Caller = needs(Permission.REQUEST_READ_ALL)) -> Response:
    """Finds a ticket by request number, by the client's GUID or by id: with its analysis, its assignment and the reason for it."""
    reach = (await reader_of(caller)).reach
    documents = await _documents(request, caller, [await _known(caller, ticket_id, reach)], reach)
    return Json(documents[0])


async def _known(caller: Caller, ticket_id: str, reach: Sight) -> UUID:
    found = await queries.find_ticket(caller.tx, ticket_id, reach)
    if found is None:
        raise NotFound(f"There is no ticket {ticket_id!r} here.", code="ticket_not_found")
    return found


async def _guard(request: Request) -> None:
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is not None:
        await _known(caller, request.path_params["ticket_id"], (await reader_of(caller)).reach)


ID_GUARDS["ticket_id"] = _guard


@router.get("/managers", summary="List all managers with their office and load", responses=answers(Page[ManagerView]))
async def list_managers_of_offices(
    caller: Caller = needs(Permission.AGENT_READ),
    office: Office = None,
    limit: Annotated[int | None, Query(ge=1, le=MAX_LIMIT, description="All of them where it is left out")] = None,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Lists active agents of offices, by name. `current_load` is what came with them plus what is open and theirs here."""
    wanted = (await known_things(caller.tx, {"office": ("office", office)}))["office"]
    after = decode_cursor(cursor, OFFICE_SORT, (str, UUID)) if cursor is not None else None
    rows = [row for row in await list_managers(caller.tx) if wanted is None or row["office_id"] == wanted]
    rows = [row for row in rows if after is None or (row["name"], row["id"]) > tuple(after)]
    more, rows = limit is not None and len(rows) > limit, rows[:limit]
    next_cursor = encode_cursor(OFFICE_SORT, [rows[-1]["name"], rows[-1]["id"]]) if more else None
    offices = {row["id"]: row["name"] for row in await _offices(caller)}
    return Json(page_of([manager_document(row, offices) for row in rows], next_cursor))


async def _offices(caller: Caller) -> list[dict[str, Any]]:
    return await queries.list_offices(caller.tx, after=("", queries.FIRST_ID), limit=queries.MAX_OFFICES)


@router.get(
    "/business-units",
    summary="List offices with their place and number of managers",
    responses=answers(Page[BusinessUnitView]),
)
async def list_business_units(
    caller: Caller = needs(Permission.AGENT_READ),
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = MAX_LIMIT,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Lists the offices, by name."""
    after = ("", queries.FIRST_ID)
    if cursor is not None:
        name, key = decode_cursor(cursor, OFFICE_SORT, (str, UUID))
        after = (name, key)
    rows = await queries.list_offices(caller.tx, after=after, limit=limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    next_cursor = encode_cursor(OFFICE_SORT, [rows[-1]["name"], rows[-1]["id"]]) if more else None
    return Json(page_of([office_document(row) for row in rows], next_cursor))


@router.get("/dashboard/stats", summary="Read the dashboard's figures", responses=answers(DashboardView))
async def get_dashboard_figures(
    caller: Caller = needs(Permission.REQUEST_READ_ALL),
    since: Annotated[DayOrInstant | None, Query(alias="from")] = None,
    until: Annotated[DayOrInstant | None, Query(alias="to")] = None,
) -> Response:
    """Counts tickets in all and by category, sentiment, language, office, segment and town; their mean priority (1..10)."""
    begun, ended = await began_here(caller.tx, since, until)
    rows = await queries.get_stats(caller.tx, (await reader_of(caller)).reach, since=begun, until=ended)
    return Json(listing.stats_document(rows, await current_pack(caller.tx)))
