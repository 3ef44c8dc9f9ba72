"""HTTP of pairs: the duplicates of a request, and staff's word on two requests."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import REPLAYABLE, answers
from civicpulse.base.web import ID_GUARDS, Json, TransactionRoute
from civicpulse.base.wire import ShortText, Wire, Word
from civicpulse.duplicates import merging, rejecting
from civicpulse.duplicates.pairs import duplicates_of
from civicpulse.duplicates.views import PairsView, WordView
from civicpulse.requests.api import OUT_OF_SIGHT, answer
from civicpulse.requests.changes import not_found
from civicpulse.requests.queries import find_id
from civicpulse.requests.views.request import RequestView
from civicpulse.requests.visibility import check_reach, reader_of, visible_request
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["requests"])


class RejectIn(Wire):
    """Why the two are not the same, for colleagues."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "One is the lift, the other the stairs beside it."}]}
    )

    reason: Annotated[ShortText | None, Field(default=None)]


class MergeIn(Wire):
    """The request that this one duplicates, or that duplicates it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"other": "CST-2026-000123"}]})

    other: Word
    force: bool = False


async def _guard(request: Request) -> None:
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is not None and await find_id(caller.tx, request.path_params["other"]) is None:
        raise not_found(request.path_params["other"])


ID_GUARDS["other"] = _guard


@router.get(
    "/requests/{number}/duplicates",
    summary="List the duplicates of a request",
    responses=answers(PairsView, OUT_OF_SIGHT),
)
async def list_duplicates(number: str, caller: Caller = needs(Permission.REQUEST_READ_ALL)) -> Response:
    """Lists what is merged into it, which requests may be the same (best first, each with its score in parts and why), and which
    staff said are not. `opinion` is a language model's, where one was asked."""
    row, reader = await visible_request(caller, number), await reader_of(caller)
    return Json(await duplicates_of(caller.tx, row, reader.sight))


@router.post(
    "/requests/{number}/duplicates/{other}/reject",
    summary="Say that two requests differ",
    responses=answers(WordView, OUT_OF_SIGHT, {409: ("already_merged",), 422: ("same_request",)}),
)
async def reject_pair(
    number: str, other: str, body: RejectIn | None = None, caller: Caller = needs(Permission.REQUEST_MERGE)
) -> Response:
    """Keeps the pair from being attached or proposed any more; the same again changes nothing. 409 when they are merged."""
    reason = body.reason if body is not None else None
    kept = await rejecting.reject(caller.tx, caller.actor, number, other=other, reason=reason)
    return Json({"request_id": number, "other": other, "rejected": True, **kept})


@router.delete(
    "/requests/{number}/duplicates/{other}/reject",
    summary="Take back that two requests differ",
    responses=answers(WordView, OUT_OF_SIGHT, {422: ("same_request",)}),
)
async def take_back_rejection(number: str, other: str, caller: Caller = needs(Permission.REQUEST_MERGE)) -> Response:
    """Lets the pair be found the same again; without a word to take back nothing changes."""
    await rejecting.take_back(caller.tx, caller.actor, number, other=other)
    return Json({"request_id": number, "other": other, "rejected": False})


@router.post(
    "/requests/{number}/merge",
    summary="Merge two requests that report the same",
    responses=answers(
        RequestView,
        OUT_OF_SIGHT,
        {409: ("already_merged", "pair_rejected", "master_has_ended", "merge_race")},
        REPLAYABLE,
    ),
)
async def merge_requests(
    number: str, body: MergeIn, caller: Caller = needs(Permission.REQUEST_MERGE, once=True)
) -> Response:
    """Merges two: the older of the two masters stays master, unless it is private and the other public; the answer is this request."""
    await check_reach(caller, body.other)
    await merging.merge(caller.tx, caller.actor, number, other=body.other, force=body.force)
    return await answer(caller, number)


@router.post(
    "/requests/{number}/unmerge",
    summary="Undo a merge",
    responses=answers(RequestView, OUT_OF_SIGHT, {409: ("not_merged", "merge_race")}),
)
async def unmerge_request(number: str, caller: Caller = needs(Permission.REQUEST_MERGE)) -> Response:
    """Makes the request its own again; the pair will not be attached again."""
    await merging.unmerge(caller.tx, caller.actor, number)
    return await answer(caller, number)
