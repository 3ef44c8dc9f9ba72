"""HTTP of this room: the analysis of a request, read and run again."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import Page, answers
from civicpulse.base.db import Tx
from civicpulse.base.errors import Invalid, NotFound
from civicpulse.base.paging import MAX_LIMIT, decode_cursor, encode_cursor, page
from civicpulse.base.processes import TookTooLong
from civicpulse.base.web import Json, TransactionRoute, end_transaction, services_of
from civicpulse.base.wire import ShortText
from civicpulse.packs.store import current_pack
from civicpulse.requests.api import OUT_OF_SIGHT
from civicpulse.requests.visibility import visible_request
from civicpulse.rules.access import Permission
from civicpulse.triage import queries
from civicpulse.triage.actions import keep
from civicpulse.triage.analysis import ReportText
from civicpulse.triage.analyst import analyse_batch
from civicpulse.triage.views import AnalysisView, LlmCallView

router = APIRouter(route_class=TransactionRoute, tags=["analysis"])


@router.post(
    "/requests/{number}/analyse",
    summary="Analyse a request's text again",
    responses=answers(AnalysisView, OUT_OF_SIGHT, {422: ("text_takes_too_long",)}),
)
async def analyse_request(
    number: str, request: Request, caller: Caller = needs(Permission.REQUEST_ANALYSE)
) -> Response:
    """Makes a new analysis; the ones before it stay in the database. The request itself is not changed."""
    row = await visible_request(caller, number)
    pack, services = await current_pack(caller.tx), services_of(request)
    # A model may take seconds: no connection is held meanwhile, and never two at once.
    await end_transaction(request)
    text = ReportText(row["description"], tuple(row["tags"]))
    try:
        (found,) = await analyse_batch(services, caller.tenant, pack, [text])
    except TookTooLong as error:
        raise Invalid(f"The text of {number} cannot be analysed: {error}.", code="text_takes_too_long") from None
    async with services.db.transaction(caller.tenant) as tx:
        await keep(tx, caller.actor, row, found)
        return Json(await _document(tx, row["id"], number))


@router.get(
    "/requests/{number}/analysis",
    summary="Read the current analysis of a request",
    responses=answers(AnalysisView, OUT_OF_SIGHT, {404: ("no_analysis",)}),
)
async def get_analysis(number: str, caller: Caller = needs(Permission.REQUEST_READ_ALL)) -> Response:
    """Shows what was understood of the text, how surely, by which engine; 404 when it has not been analysed."""
    row = await visible_request(caller, number)
    return Json(await _document(caller.tx, row["id"], number))


async def _document(tx: Tx, key: UUID, number: str) -> dict[str, Any]:
    found = await queries.find_analysis(tx, key)
    if found is None:
        raise NotFound(
            f"{number} has not been analysed: ask for it with POST /requests/{number}/analyse.", code="no_analysis"
        )
    return {"request_id": number, **found}


CALLS_SORT = "-at"


@router.get("/llm-calls", summary="List calls of the language model", responses=answers(Page[LlmCallView]))
async def list_llm_calls(
    caller: Caller = needs(Permission.TENANT_CONFIGURE),
    purpose: Annotated[Literal["analysis", "duplicate"] | None, Query()] = None,
    outcome: Annotated[ShortText | None, Query(description="ok, timeout, http_429 and the like")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Lists calls, newest first: what they cost, what came of them, and how much was masked in them. Never their text."""
    before = queries.NEWEST
    if cursor is not None:
        at, key = decode_cursor(cursor, CALLS_SORT, (datetime, UUID))
        before = at, key
    rows = await queries.list_calls(caller.tx, purpose=purpose, outcome=outcome, before=before, limit=limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    next_cursor = encode_cursor(CALLS_SORT, [rows[-1]["at"], rows[-1]["id"]]) if more else None
    return Json(page(rows, next_cursor))
