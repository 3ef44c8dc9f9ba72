"""HTTP of issues: what is wrong, and how many people reported it (R-INT-10)."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import Page, answers
from civicpulse.base.paging import MAX_LIMIT, page
from civicpulse.base.web import Json, TransactionRoute
from civicpulse.base.wire import DayOrInstant
from civicpulse.packs.store import began_here, pack_version
from civicpulse.reports.issue_queries import issue_facts, issue_reports
from civicpulse.requests.api import OUT_OF_SIGHT, TrackingToken
from civicpulse.requests.filters import (
    Many,
    RequestFilters,
    issue_states,
    known_categories,
    known_zones,
    priorities_of,
    words,
)
from civicpulse.requests.listing import list_requests
from civicpulse.requests.views.issue import IssueView, issue_document, issue_report_document
from civicpulse.requests.visibility import reader_of, visible_request
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["issues"])

MAX_REPORTS = 200  # shown with an issue; GET /reports?issue=… pages through all


@router.get("/issues", summary="List issues", responses=answers(Page[IssueView]))
async def list_issues(
    caller: Caller = needs(Permission.REQUEST_READ),
    status: Annotated[
        list[str] | None,
        Query(description="open, in-progress, resolved, closed, or states of the pack; left out: open and in-progress"),
    ] = None,
    category: Many = None,
    severity: Annotated[list[str] | None, Query(description="critical, high, medium, low, or P1 to P4")] = None,
    area: Annotated[list[str] | None, Query(description="Codes of zones")] = None,
    q: Annotated[str | None, Query(max_length=500)] = None,
    created_from: Annotated[DayOrInstant | None, Query(alias="from")] = None,
    created_to: Annotated[DayOrInstant | None, Query(alias="to")] = None,
    sort: Annotated[
        str, Query(description="created_at, updated_at, priority or reports; a minus turns it round")
    ] = "-created_at",
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Lists what is open, as master requests with how many reports each has; a filter takes several values, repeated or comma-separated."""
    reader = await reader_of(caller)
    sight = reader.sight
    began_from, began_to = await began_here(caller.tx, created_from, created_to)
    asked = words("status", status)
    wanted = RequestFilters(
        status=await issue_states(caller.tx, asked),
        ended=None if asked else False,
        category=await known_categories(caller.tx, words("category", category)),
        priority=priorities_of(words("severity", severity)),
        zone=await known_zones(caller.tx, words("area", area), name="area"),
        text=q,
        whole=reader.reads_whole,
        created_from=began_from,
        created_to=began_to,
        merged=False,
    )
    rows, next_cursor = await list_requests(
        caller.tx, wanted, sight, sort=sort, limit=limit, cursor=cursor, by_reports=True
    )
    facts = await issue_facts(caller.tx, [row["id"] for row in rows], sight) if rows else {}
    items = [
        issue_document(
            row,
            facts[row["id"]],
            await pack_version(caller.tx, row["pack_version"]),
            tenant=caller.tenant.slug,
            is_staff=reader.sees_as_staff(row),
        )
        for row in rows
    ]
    return Json(page(items, next_cursor))


@router.get("/issues/{number}", summary="Read one issue", responses=answers(IssueView, OUT_OF_SIGHT))
async def get_issue(
    number: str, caller: Caller = needs(Permission.REQUEST_READ), token: TrackingToken = None
) -> Response:
    """Shows the issue; a duplicate's number answers its master, where the caller may see that. Staff sees the reports, the oldest
    200 of them."""
    row, reader = await visible_request(caller, number, token), await reader_of(caller)
    if row["master_request_id"] is not None:
        row = await visible_request(caller, row["master_request_id"], token)
    facts = await issue_facts(caller.tx, [row["id"]], reader.sight)
    pack = await pack_version(caller.tx, row["pack_version"])
    is_staff = reader.sees_as_staff(row)
    document = issue_document(row, facts[row["id"]], pack, tenant=caller.tenant.slug, is_staff=is_staff)
    if is_staff:
        reports = await issue_reports(caller.tx, row["id"], reader.reach, limit=MAX_REPORTS)
        document["reports"] = [issue_report_document(report) for report in reports]
    return Json(document)
