"""HTTP of pairs: the duplicates of a request, and staff's word on two requests."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from civicpulse.base.web import ID_GUARDS, Json, TransactionRoute
from civicpulse.base.wire import ShortText, Wire
from civicpulse.people.callers import Caller, needs
from civicpulse.requests import rejecting
from civicpulse.requests.api import visible_request
from civicpulse.requests.changes import not_found
from civicpulse.requests.queries import find_id
from civicpulse.rules.access import Permission
from civicpulse.triage.twins.pairs import duplicates_of

router = APIRouter(route_class=TransactionRoute, tags=["requests"])


class RejectIn(Wire):
    """Why the two are not the same, for colleagues."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "One is the lift, the other the stairs beside it."}]}
    )

    reason: Annotated[ShortText | None, Field(default=None)]


async def _guard(request: Request) -> None:
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is not None and await find_id(caller.tx, request.path_params["other"]) is None:
        raise not_found(request.path_params["other"])


ID_GUARDS["other"] = _guard


@router.get("/requests/{request_id}/duplicates", summary="Duplicates of a request")
async def get_duplicates(request_id: str, caller: Caller = needs(Permission.REQUEST_READ_ALL)) -> Response:
    """What is merged into it, which requests may be the same (best first, each with its score in parts and why), and which
    staff said are not. `opinion` is a language model's, where one was asked."""
    row = await visible_request(caller, request_id)
    return Json(await duplicates_of(caller.tx, row))


@router.post("/requests/{request_id}/duplicates/{other}/reject", summary="Say that two requests differ")
async def reject(
    request_id: str, other: str, body: RejectIn | None = None, caller: Caller = needs(Permission.REQUEST_MERGE)
) -> Response:
    """The pair is neither attached nor proposed any more; the same again changes nothing. 409 when they are merged."""
    reason = body.reason if body is not None else None
    kept = await rejecting.reject(caller.tx, caller.actor, request_id, other=other, reason=reason)
    return Json({"request_id": request_id, "other": other, "rejected": True, **kept})


@router.delete("/requests/{request_id}/duplicates/{other}/reject", summary="Take back that two requests differ")
async def take_back(request_id: str, other: str, caller: Caller = needs(Permission.REQUEST_MERGE)) -> Response:
    """The pair may be found the same again; without a word to take back nothing changes."""
    await rejecting.take_back(caller.tx, caller.actor, request_id, other=other)
    return Json({"request_id": request_id, "other": other, "rejected": False})
