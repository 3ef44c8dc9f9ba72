"""HTTP of every way in."""

from fastapi import APIRouter, Response

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import REPLAYABLE, answers
from civicpulse.base.web import Json, TransactionRoute
from civicpulse.duplicates.views import SimilarListView
from civicpulse.intake import opening
from civicpulse.intake.schemas import RequestIn
from civicpulse.intake.similar import SimilarIn, find_similar
from civicpulse.requests.views.opened import NewPublicRequestView, NewRequestView
from civicpulse.requests.visibility import NOTHING, reader_of
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["intake"])


OPENED = NewRequestView | NewPublicRequestView


@router.post(
    "/requests",
    status_code=201,
    summary="Report a problem",
    responses=answers(
        {201: OPENED, 200: OPENED},
        REPLAYABLE,
        {403: ("not_yourself",), 409: ("external_id_taken",), 422: ("unknown_category", "outside_zones")},
    ),
)
async def open_request(body: RequestIn, caller: Caller = needs(Permission.REQUEST_CREATE)) -> Response:
    """Creates a request; with the same Idempotency-Key and body the same answer again (200, Idempotent-Replayed).

    `duplicates` says whether it was attached to an open request at the same place, and which ones it may duplicate.
    `tracking_token` lets the reporter follow and rate it without an account.
    """
    receipt = await opening.post_request(
        caller.tx,
        caller.actor,
        body,
        profile=caller.citizen_id,
        key=caller.idempotency_key,
        sight=(await reader_of(caller)).sight if body.external_id is not None else NOTHING,
    )
    if receipt.replayed:
        return Response(
            receipt.body, status_code=200, media_type="application/json", headers={"Idempotent-Replayed": "true"}
        )
    return Response(
        receipt.body,
        status_code=201,
        media_type="application/json",
        headers={"Location": f"/requests/{receipt.number}"},
    )


@router.post(
    "/requests/similar",
    summary="Find what is known already of a problem",
    responses=answers(SimilarListView, {422: ("unknown_category", "outside_zones")}),
)
async def find_similar_requests(
    body: SimilarIn, caller: Caller = needs(Permission.REQUEST_CREATE, reads=True)
) -> Response:
    """Finds up to three public, open requests that this would duplicate, best first: for a form, while somebody types.

    Nothing is written and no number is drawn. `location` as in POST /reports. `attachable` says that a report of this
    would be joined to it at once.
    """
    return Json({"candidates": await find_similar(caller.tx, body)})
