"""HTTP of requests: read one or many, move, talk, merge."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base import clock as time
from civicpulse.base.db import Row
from civicpulse.base.errors import Invalid, Unauthenticated
from civicpulse.base.paging import MAX_LIMIT, page
from civicpulse.base.web import ID_GUARDS, Json, ProblemJson, TransactionRoute
from civicpulse.base.wire import DayOrInstant
from civicpulse.packs.store import pack_version
from civicpulse.requests import actions, assigning, listing, queries, talking
from civicpulse.requests.changes import not_found
from civicpulse.requests.documents import to_document, to_public
from civicpulse.requests.explain import explain
from civicpulse.requests.schemas import CommentIn, EscalateIn, MilestoneIn, RatingIn, TransitionIn, given
from civicpulse.requests.visibility import (
    Reader,
    find_seen,
    is_tracking_token,
    reader_of,
    trail_as_seen,
    visible_request,
)
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["requests"])

Many = Annotated[list[str] | None, Query()]
TrackingToken = Annotated[str | None, Header(alias="X-Tracking-Token")]


def words(values: list[str] | None) -> list[str]:
    """The values of a filter, given repeatedly or with commas between them."""
    return [word for value in values or () for word in value.split(",") if word]


def etag(version: int) -> dict[str, str]:
    """The header that If-Match sends back."""
    return {"ETag": f'"{version}"'}


async def document_for(caller: Caller, row: Row, reader: Reader | None = None) -> dict[str, Any]:
    """The document as this caller may see it."""
    reader = reader or await reader_of(caller)
    document = to_document(row, await pack_version(caller.tx, row["pack_version"]))
    return document if reader.sees_as_staff(row) else to_public(document)


async def answer(caller: Caller, number: str, **more: Any) -> Response:
    """The request as it now is, after a write, with `more` beside it. Whoever wrote sees it, wherever that has brought it."""
    reader = await reader_of(caller)
    row = await find_seen(caller.tx, number, reader.sight)
    assert row is not None
    return Json({**await document_for(caller, row, reader), **more}, headers=etag(row["version"]))


async def _guard(request: Request) -> None:
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is not None and await queries.find_id(caller.tx, request.path_params["number"]) is None:
        raise not_found(request.path_params["number"])


ID_GUARDS["number"] = _guard


@router.get("/requests", summary="List requests")
async def list_requests(
    caller: Caller = needs(Permission.REQUEST_READ),
    status: Many = None,
    category: Many = None,
    priority: Many = None,
    zone: Many = None,
    sla_state: Many = None,
    agent: str | None = None,
    created_from: Annotated[DayOrInstant | None, Query(alias="from")] = None,
    created_to: Annotated[DayOrInstant | None, Query(alias="to")] = None,
    q: Annotated[str | None, Query(max_length=500)] = None,
    merged: Annotated[bool | None, Query(description="true: duplicates only; false: masters only")] = None,
    needs_person: Annotated[
        bool | None, Query(description="Whether an unsure analysis waits for a person; staff only")
    ] = None,
    bbox: Annotated[str | None, Query(description="west,south,east,north")] = None,
    source: str | None = None,
    external_id: str | None = None,
    citizen_id: UUID | None = None,
    mine: Annotated[bool, Query(description="Only what this caller reported")] = False,
    sort: Annotated[
        str, Query(description="created_at, updated_at or priority; a minus turns it round")
    ] = "-created_at",
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    total: bool = False,
) -> Response:
    """Requests that match every filter given; a filter takes several values, repeated or comma-separated."""
    if citizen_id and not caller.is_staff and citizen_id != caller.actor_id:
        raise Invalid("Only staff may list what somebody else reported.", field="citizen_id")
    if agent and not caller.is_staff:
        raise Invalid("Only staff may list by agent.", field="agent")
    if needs_person is not None and not caller.is_staff:
        raise Invalid("Only staff may ask what waits for a person.", field="needs_person")
    if mine and caller.actor.id is None:
        # All strangers are one actor: what one of them reported in confidence is not the next one's to see.
        raise Unauthenticated("Without a token nothing is yours: send a token, or the request's tracking token.")
    reader = await reader_of(caller)
    wanted = listing.Filters(
        status=words(status),
        category=words(category),
        priority=words(priority),
        zone=words(zone),
        sla_state=words(sla_state),
        agent_id=await queries.agent_id(caller.tx, agent) if agent else None,
        created_from=created_from,
        created_to=created_to,
        text=q,
        merged=merged,
        needs_person=needs_person,
        bbox=listing.parse_bbox(bbox),
        source=source,
        external_id=external_id,
        citizen_id=citizen_id,
        reporter=caller.actor.key if mine else None,
        sight=reader.sight,
    )
    rows, next_cursor = await listing.list_requests(caller.tx, wanted, sort=sort, limit=limit, cursor=cursor)
    more = {"total": await listing.count_requests(caller.tx, wanted)} if total else {}
    return Json(page([await document_for(caller, row, reader) for row in rows], next_cursor, **more))


@router.get("/requests/{number}", summary="Read one request")
async def get_request(
    number: str, caller: Caller = needs(Permission.REQUEST_READ), token: TrackingToken = None
) -> Response:
    """The request's document with its master, its duplicates, the states it may go to and its SLA state."""
    row = await visible_request(caller, number, token)
    return Json(await document_for(caller, row), headers=etag(row["version"]))


@router.patch("/requests/{number}/transition", summary="Move a request to another state")
async def transition(
    number: str, body: TransitionIn, caller: Caller = needs(Permission.REQUEST_TRANSITION)
) -> Response:
    """Refused with 409, the reasons, every missing field and the states allowed next when the workflow says no."""
    fields = given(body)
    await actions.transition(
        caller.tx, caller.actor, number, to=fields.pop("to"), fields=fields, seen_version=caller.if_match
    )
    return await answer(caller, number)


@router.patch("/requests/{number}/milestone", summary="Note a milestone")
async def milestone(number: str, body: MilestoneIn, caller: Caller = needs(Permission.REQUEST_MILESTONE)) -> Response:
    """Arrived, work started, resolution with evidence: what the pack defines; it may move the state."""
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


@router.post("/requests/{number}/escalate", summary="Escalate by hand")
async def escalate(number: str, body: EscalateIn, caller: Caller = needs(Permission.REQUEST_ESCALATE)) -> Response:
    """Adds a manual escalation to the trail and to the count, and reads the clock anew."""
    await actions.escalate(caller.tx, caller.actor, number, reason=body.reason, seen_version=caller.if_match)
    return await answer(caller, number)


@router.post("/requests/{number}/auto-assign", summary="Assign by the pack's policy")
async def auto_assign(number: str, request: Request, caller: Caller = needs(Permission.REQUEST_ASSIGN)) -> Response:
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


@router.post("/requests/{number}/comment", status_code=201, summary="Comment")
async def comment(number: str, body: CommentIn, caller: Caller = needs(Permission.REQUEST_COMMENT)) -> Response:
    """Adds to the thread; `parent_comment_id` answers an earlier comment, `internal` keeps it among staff."""
    if body.internal and not caller.may(Permission.REQUEST_COMMENT_INTERNAL):
        raise Invalid("Only staff may write internal notes.", field="internal")
    event = await talking.comment(
        caller.tx,
        caller.actor,
        number,
        message=body.message,
        parent_id=body.parent_comment_id,
        is_internal=body.internal,
    )
    return Json(event, status_code=201)


@router.post("/requests/{number}/rating", status_code=201, summary="Rate the outcome")
async def rating(
    number: str, body: RatingIn, caller: Caller = needs(Permission.REQUEST_RATE), token: TrackingToken = None
) -> Response:
    """Once a request, by its reporter (account, token or X-Tracking-Token), after resolution; may dispute it."""
    row = await visible_request(caller, number, token)
    by_link = is_tracking_token(caller.tenant, row["id"], token)
    rated = await talking.rate(
        caller.tx,
        caller.actor,
        number,
        rating=body.rating,
        reason_codes=body.reason_codes,
        comment=body.comment,
        dispute=body.dispute_flag,
        is_reporter=by_link,
    )
    feedback = body.model_dump() | {"submitted_at": rated["updated_at"]}
    return Json({"request_id": number, "citizen_feedback": feedback}, status_code=201)


@router.get("/requests/{number}/events", summary="The audit trail")
async def events(
    number: str,
    caller: Caller = needs(Permission.REQUEST_READ),
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 200,
    token: TrackingToken = None,
) -> Response:
    """Events in order, each with its hash; the public sees what happened, not who did it nor internal notes."""
    row, reader = await visible_request(caller, number, token), await reader_of(caller)
    is_staff = reader.sees_as_staff(row)
    found = await queries.list_events(caller.tx, row["id"], after=after, most=limit + 1)
    shown = await trail_as_seen(caller.tx, reader.sight, found[:limit])
    shown = [event_json(event, is_staff=is_staff) for event in shown if is_staff or _is_public_event(event)]
    next_after = str(found[limit - 1]["seq"]) if len(found) > limit else None
    return Json(page(shown, next_after))


def _is_public_event(event: Row) -> bool:
    return not event["is_internal"] and event["type"] not in INTERNAL_EVENTS


def event_json(event: Row, *, is_staff: bool) -> dict[str, Any]:
    """An event as spec 1 (D) writes it; a comment's text comes from outside the trail."""
    meta = event["meta"] if is_staff else {key: value for key, value in event["meta"].items() if key in PUBLIC_META}
    if event["type"] == "comment":
        meta = {**meta, "message": event["message"], "erased": event["erased_at"] is not None}
    by = {"actor_type": event["actor_type"], "actor_id": event["actor_id"] if is_staff else None}
    return {
        "seq": event["seq"],
        "type": event["type"],
        "by": by,
        "at": event["at"],
        "meta": meta,
        "hash": event["hash"],
    }


INTERNAL_EVENTS = frozenset({"assignment_failed", "classified", "duplicate_rejected", "duplicate_rejection_undone"})
PUBLIC_META = frozenset(
    {
        "from",
        "to",
        "milestone",
        "master_request_id",
        "duplicate_request_id",
        "comment_id",
        "parent_comment_id",
        "rating",
    }
)


@router.get("/requests/{number}/sla", summary="Explain the clock")
async def sla(number: str, caller: Caller = needs(Permission.REQUEST_READ), token: TrackingToken = None) -> Response:
    """The policy, the deadlines, and each interval that counted or paused."""
    row = await visible_request(caller, number, token)
    return Json(explain(row, await pack_version(caller.tx, row["pack_version"]), time.now()))
