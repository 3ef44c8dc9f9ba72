"""HTTP of the inbox: send a report, see what became of it (R-INT-08)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from civicpulse.accounts.callers import Caller, Visitor, needs, visits
from civicpulse.base.answers import REPLAYABLE, Page, answers
from civicpulse.base.db import Row
from civicpulse.base.paging import MAX_LIMIT, page
from civicpulse.base.web import Json, TransactionRoute, services_of
from civicpulse.packs.store import pack_version
from civicpulse.reports import actions, listing, queries
from civicpulse.reports.issues import find_issue
from civicpulse.reports.schemas import ReportIn
from civicpulse.reports.views import (
    OwnReportView,
    PublicReportView,
    ReceiptView,
    ReportView,
    report_document,
    requests_named,
)
from civicpulse.requests.api import TrackingToken
from civicpulse.requests.named import known_request
from civicpulse.requests.visibility import Reader, is_reporter, reader_of, seen_numbers
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["reports"])

NO_REPORT = {404: ("report_not_found",)}


async def _documents(caller: Caller, rows: list[Row], token: str | None = None) -> list[dict[str, Any]]:
    """Writes the reports as this caller may see them."""
    reader = await reader_of(caller)
    seen = await seen_numbers(caller.tx, reader.sight, set().union(*map(requests_named, rows)))
    in_reach = await seen_numbers(caller.tx, reader.reach, {row["number"] for row in rows} - {None})
    return [await _document(caller, reader, row, token, seen=seen, in_reach=in_reach) for row in rows]


async def _document(
    caller: Caller, reader: Reader, row: Row, token: str | None, *, seen: set[str], in_reach: set[str]
) -> dict[str, Any]:
    pack = None if row["pack_version"] is None else await pack_version(caller.tx, row["pack_version"])
    sender = await actions.sender_of(caller.tx, row)
    is_sender = is_reporter(caller, {"id": row["id"], "created_by": sender.key, "citizen_id": row["citizen_id"]}, token)
    is_staff = reader.is_staff and (reader.reach.is_everything or row["number"] in in_reach)
    own = {row["number"]} if is_sender else set()
    return report_document(row, pack, seen=seen | own, is_staff=is_staff, is_reporter=is_sender)


@router.post(
    "/reports",
    status_code=202,
    summary="Report something in your own words",
    responses=answers(
        {202: ReceiptView, 200: ReceiptView},
        REPLAYABLE,
        {403: ("not_yourself",), 409: ("external_id_taken",), 422: ("outside_zones",)},
    ),
)
async def send_report(
    body: ReportIn, request: Request, visitor: Visitor = visits(Permission.REQUEST_CREATE)
) -> Response:
    """Keeps the report and answers at once; a job files it, looks for duplicates, and opens a request or joins one.

    `location` is a GeoJSON point or a text such as "Library, 2nd floor", or is left out. With the same Idempotency-Key
    and body the same answer again (200, Idempotent-Replayed). `tracking_token` lets the reporter see, without an
    account, what was decided and why; it is good for the request that the report becomes, too.
    """
    kept = await actions.take_report(services_of(request).db, request.app.state.inbox, visitor, body)
    if kept.replayed:
        return Response(
            kept.body, status_code=200, media_type="application/json", headers={"Idempotent-Replayed": "true"}
        )
    return Response(
        kept.body, status_code=202, media_type="application/json", headers={"Location": f"/reports/{kept.id}"}
    )


@router.get("/reports", summary="List reports", responses=answers(Page[ReportView]))
async def list_reports(
    caller: Caller = needs(Permission.REQUEST_READ_ALL),
    state: listing.State | None = None,
    outcome: listing.Outcome | None = None,
    issue: Annotated[
        str | None, Query(max_length=100, description="Number of an issue, or of a duplicate of it")
    ] = None,
    sort: Annotated[str, Query(description="submitted_at; a minus turns it round")] = "-submitted_at",
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Reports with what was decided of each; `state=parked` are those that could not be processed."""
    reader, master = await reader_of(caller), None
    if issue is not None:
        await known_request(caller.tx, "issue", issue, reader.reach)
        master = (await find_issue(caller.tx, issue))["id"]
    wanted = listing.Filters(state, outcome, master, reader.reach)
    rows, next_cursor = await listing.list_reports(caller.tx, wanted, sort=sort, limit=limit, cursor=cursor)
    return Json(page(await _documents(caller, rows), next_cursor))


@router.get(
    "/reports/{report_id}",
    summary="Read what became of a report",
    responses=answers(ReportView | OwnReportView | PublicReportView, NO_REPORT),
)
async def get_report(
    report_id: UUID, caller: Caller = needs(Permission.REQUEST_READ), token: TrackingToken = None
) -> Response:
    """Tells whether a report is processed, and its issue; staff and the reporter (account or X-Tracking-Token) see what was decided and why."""
    row = await queries.find_report(caller.tx, report_id)
    if row is None:
        raise actions.report_not_found(report_id)
    return Json((await _documents(caller, [row], token))[0])


@router.post(
    "/reports/{report_id}/retry",
    summary="Process a report again",
    responses=answers(ReportView, NO_REPORT, {409: ("already_processed",)}),
)
async def retry_report(report_id: UUID, caller: Caller = needs(Permission.REPORT_RETRY)) -> Response:
    """Makes a parked or waiting report due now; 409 when it is processed already."""
    reach, before = (await reader_of(caller)).reach, await queries.find_report(caller.tx, report_id)
    if not reach.is_everything and (before is None or before["number"] is None):
        raise actions.report_not_found(report_id)  # no request yet, so in nobody's scope
    await actions.retry(caller.tx, report_id)
    row = await queries.find_report(caller.tx, report_id)
    assert row is not None
    return Json((await _documents(caller, [row]))[0])
