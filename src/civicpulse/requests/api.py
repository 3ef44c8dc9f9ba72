"""HTTP of requests: read one or many, move, talk, merge."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base import clock as time
from civicpulse.base.answers import CONDITIONAL, REPLAYABLE, Page, View, answers, optional
from civicpulse.base.db import Row
from civicpulse.base.errors import Invalid, Unauthenticated
from civicpulse.base.events import Actor
from civicpulse.base.paging import MAX_LIMIT, page
from civicpulse.base.web import ID_GUARDS, Json, ProblemJson, TransactionRoute
from civicpulse.packs.store import pack_version
from civicpulse.requests import actions, listing, queries, talking
from civicpulse.requests.assignment import assigning
from civicpulse.requests.changes import not_found
from civicpulse.requests.deadlines.explain import explain
from civicpulse.requests.filters import RequestQuery, read_filters, request_query
from civicpulse.requests.schemas import CommentIn, EscalateIn, MilestoneIn, RatingIn, TransitionIn, given
from civicpulse.requests.views.event import CommentView, EventView, event_document, is_public_event
from civicpulse.requests.views.public import PublicRequestView, public_document
from civicpulse.requests.views.request import AssignedRequestView, FeedbackView, RequestView, request_document
from civicpulse.requests.views.sla import ClockView
from civicpulse.requests.visibility import (
    Reader,
    find_seen,
    is_tracking_token,
    reader_of,
    speaking,
    trail_as_seen,
    visible_request,
)
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["requests"])

OUT_OF_SIGHT = {403: ("outside_scope",), 404: ("request_not_found",)}
REFUSED_BY_WORKFLOW = {
    403: ("role_not_allowed", "not_yours_to_classify"),
    409: (
        "transition_not_allowed",
        "unknown_state",
        "missing_fields",
        "condition_not_met",
        "follows_master",
        "too_late_to_classify",
    ),
}

AnyRequestView = RequestView | PublicRequestView


class RequestPage(Page[AnyRequestView]):
    """A page of requests; `total` when it was asked for."""

    total: int = optional()


class RatedView(View):
    """The verdict as it is kept."""

    request_id: str
    citizen_feedback: FeedbackView


TrackingToken = Annotated[str | None, Header(alias="X-Tracking-Token")]


def etag(version: int) -> dict[str, str]:
    """Writes the header that If-Match sends back."""
    return {"ETag": f'"{version}"'}


async def document_for(caller: Caller, row: Row, reader: Reader | None = None) -> dict[str, Any]:
    """Writes the document as this caller may see it."""
    reader = reader or await reader_of(caller)
    pack = await pack_version(caller.tx, row["pack_version"])
    return request_document(row, pack) if reader.sees_as_staff(row) else public_document(row, pack)


async def answer(caller: Caller, number: str, **more: Any) -> Response:
    """Answers with the request as it now is, after a write, with `more` beside it. Whoever wrote sees it, wherever that has brought it."""
    reader = await reader_of(caller)
    row = await find_seen(caller.tx, number, reader.sight)
    assert row is not None
    return Json({**await document_for(caller, row, reader), **more}, headers=etag(row["version"]))


async def _guard(request: Request) -> None:
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is not None and await queries.find_id(caller.tx, request.path_params["number"]) is None:
        raise not_found(request.path_params["number"])


ID_GUARDS["number"] = _guard


@router.get("/requests", summary="List requests", responses=answers(RequestPage))
async def list_requests(
    asked: Annotated[RequestQuery, Depends(request_query)],
    caller: Caller = needs(Permission.REQUEST_READ),
    mine: Annotated[bool, Query(description="Only what this caller reported")] = False,
    sort: Annotated[
        str, Query(description="created_at, updated_at or priority; a minus turns it round")
    ] = "-created_at",
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    total: bool = False,
) -> Response:
    """Lists requests that match every filter given; a filter takes several values, repeated or comma-separated."""
    if asked.citizen_id and not caller.is_staff and asked.citizen_id != caller.actor_id:
        raise Invalid("Only staff may list what somebody else reported.", field="citizen_id")
    if asked.agent and not caller.is_staff:
        raise Invalid("Only staff may list by agent.", field="agent")
    if asked.needs_person is not None and not caller.is_staff:
        raise Invalid("Only staff may ask what waits for a person.", field="needs_person")
    if mine and caller.actor.id is None:
        # All strangers are one actor: what one of them reported in confidence is not the next one's to see.
        raise Unauthenticated("Without a token nothing is yours: send a token, or the request's tracking token.")
    reader = await reader_of(caller)
    reporter = caller.actor.key if mine else None
    wanted = await read_filters(caller.tx, asked, reporter=reporter, whole=reader.reads_whole)
    rows, next_cursor = await listing.list_requests(
        caller.tx, wanted, reader.sight, sort=sort, limit=limit, cursor=cursor
    )
    more = {"total": await listing.count_requests(caller.tx, wanted, reader.sight)} if total else {}
    return Json(page([await document_for(caller, row, reader) for row in rows], next_cursor, **more))


@router.get("/requests/{number}", summary="Read one request", responses=answers(AnyRequestView, OUT_OF_SIGHT))
async def get_request(
    number: str, caller: Caller = needs(Permission.REQUEST_READ), token: TrackingToken = None
) -> Response:
    """Shows the request's document with its master, its duplicates, the states it may go to and its SLA state."""
    row = await visible_request(caller, number, token)
    return Json(await document_for(caller, row), headers=etag(row["version"]))


@router.patch(
    "/requests/{number}/transition",
    summary="Move a request to another state",
    responses=answers(RequestView, OUT_OF_SIGHT, REFUSED_BY_WORKFLOW, CONDITIONAL),
)
async def transition_request(
    number: str, body: TransitionIn, caller: Caller = needs(Permission.REQUEST_TRANSITION)
) -> Response:
    """Moves a request to another state; 409 with the reasons, every missing field and the states allowed next when the workflow says no."""
    fields = given(body)
    await actions.transition(
        caller.tx, caller.actor, number, to=fields.pop("to"), fields=fields, seen_version=caller.if_match
    )
    return await answer(caller, number)


@router.patch(
    "/requests/{number}/milestone",
    summary="Note a milestone",
    responses=answers(RequestView, OUT_OF_SIGHT, REFUSED_BY_WORKFLOW, {409: ("request_closed",)}, CONDITIONAL),
)
async def note_milestone(
    number: str, body: MilestoneIn, caller: Caller = needs(Permission.REQUEST_MILESTONE)
) -> Response:
    """Notes that somebody arrived, started work or resolved it with evidence: what the pack defines; it may move the state."""
    evidence = [item.model_dump() for item in body.evidence]
    await actions.milestone(
        caller.tx,
        caller.actor,
        number,
        name=body.milestone,
        evidence=evidence,
        note=body.note,
        seen_version=caller.if_match,
    )
    return await answer(caller, number)


@router.post(
    "/requests/{number}/escalate",
    summary="Escalate by hand",
    responses=answers(RequestView, OUT_OF_SIGHT, {409: ("not_open", "follows_master")}, CONDITIONAL, REPLAYABLE),
)
async def escalate_request(
    number: str, body: EscalateIn, caller: Caller = needs(Permission.REQUEST_ESCALATE, once=True)
) -> Response:
    """Adds a manual escalation to the trail and to the count, and reads the clock anew."""
    await actions.escalate(caller.tx, caller.actor, number, reason=body.reason, seen_version=caller.if_match)
    return await answer(caller, number)


@router.post(
    "/requests/{number}/auto-assign",
    summary="Assign by the pack's policy",
    responses=answers(
        AssignedRequestView, OUT_OF_SIGHT, REFUSED_BY_WORKFLOW, {409: ("no_agent_available", "not_open")}, CONDITIONAL
    ),
)
async def auto_assign_request(
    number: str, request: Request, caller: Caller = needs(Permission.REQUEST_ASSIGN)
) -> Response:
    """Finds the right agent on shift now and moves to assigned; 409 with everybody's reasons when there is nobody."""
    _, decision = await assigning.auto_assign(caller.tx, caller.actor, number, seen_version=caller.if_match)
    told = {
        "assigned": decision.winner is not None,
        "reason": decision.reason,
        "candidates": assigning.candidates_json(decision),
        "failures": assigning.failures_json(decision),
    }
    if decision.winner is None:
        request.state.keep = True  # the decision is part of the record although the answer is a refusal
        problem = assigning.NobodyAvailable(decision.reason, extra={"decision": told, "reasons": told["failures"]})
        return ProblemJson(problem.document(request.url.path), status_code=problem.status)
    return await answer(caller, number, decision=told)


@router.post(
    "/requests/{number}/comment",
    status_code=201,
    summary="Add a comment",
    responses=answers({201: CommentView, 200: CommentView}, OUT_OF_SIGHT, REPLAYABLE),
)
async def comment_on_request(
    number: str,
    body: CommentIn,
    caller: Caller = needs(Permission.REQUEST_COMMENT, once=True),
    token: TrackingToken = None,
) -> Response:
    """Adds to the thread; `parent_comment_id` answers an earlier comment, `internal` keeps it among staff.

    Whoever has no account writes with the X-Tracking-Token of their report.
    """
    if body.internal and not caller.may(Permission.REQUEST_COMMENT_INTERNAL):
        raise Invalid("Only staff may write internal notes: leave internal out.", field="internal")
    event = await talking.comment(
        caller.tx,
        await _author(caller, number, token) if caller.is_citizen else caller.actor,
        number,
        message=body.message,
        parent_id=body.parent_comment_id,
        is_internal=body.internal,
    )
    return Json(event, status_code=201)


async def _author(caller: Caller, number: str, token: str | None) -> Actor:
    """Finds out as whom a citizen writes. Raises Unauthenticated for a stranger without the report's tracking token."""
    row = await visible_request(caller, number, token)
    if caller.actor.id is None and not is_tracking_token(caller.tenant, row["id"], token):
        raise Unauthenticated(
            "Without an account only the person who reported this may write: send the X-Tracking-Token of the report."
        )
    return await speaking(caller, row, token)


@router.post(
    "/requests/{number}/rating",
    status_code=201,
    summary="Rate the outcome",
    responses=answers(
        {201: RatedView, 200: RatedView},
        OUT_OF_SIGHT,
        REPLAYABLE,
        {403: ("not_the_reporter", "staff_does_not_rate"), 409: ("not_resolved", "already_rated")},
    ),
)
async def rate_request(
    number: str,
    body: RatingIn,
    caller: Caller = needs(Permission.REQUEST_RATE, once=True),
    token: TrackingToken = None,
) -> Response:
    """Rates the work, once a request, by its reporter (account, token or X-Tracking-Token), after resolution; may dispute it."""
    row = await visible_request(caller, number, token)
    by_link = is_tracking_token(caller.tenant, row["id"], token)
    rated = await talking.rate(
        caller.tx,
        await speaking(caller, row, token),
        number,
        rating=body.rating,
        reason_codes=body.reason_codes,
        comment=body.comment,
        dispute=body.dispute_flag,
        is_reporter=by_link,
    )
    feedback = body.model_dump() | {"submitted_at": rated["updated_at"]}
    return Json({"request_id": number, "citizen_feedback": feedback}, status_code=201)


@router.get(
    "/requests/{number}/events", summary="Read the audit trail", responses=answers(Page[EventView], OUT_OF_SIGHT)
)
async def list_request_events(
    number: str,
    caller: Caller = needs(Permission.REQUEST_READ),
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 200,
    token: TrackingToken = None,
) -> Response:
    """Lists events in order, each with its hash; the public sees what happened, not who did it nor internal notes."""
    row, reader = await visible_request(caller, number, token), await reader_of(caller)
    is_staff = reader.sees_as_staff(row)
    found = await queries.list_events(caller.tx, row["id"], after=after, limit=limit + 1)
    shown = await trail_as_seen(caller.tx, reader.sight, found[:limit])
    shown = [event_document(event, row, is_staff=is_staff) for event in shown if is_staff or is_public_event(event)]
    next_after = str(found[limit - 1]["seq"]) if len(found) > limit else None
    return Json(page(shown, next_after))


@router.get("/requests/{number}/sla", summary="Explain the clock", responses=answers(ClockView, OUT_OF_SIGHT))
async def explain_request_clock(
    number: str, caller: Caller = needs(Permission.REQUEST_READ), token: TrackingToken = None
) -> Response:
    """Explains the policy, the deadlines, and each interval that counted or paused."""
    row = await visible_request(caller, number, token)
    return Json(explain(row, await pack_version(caller.tx, row["pack_version"]), time.now()))
