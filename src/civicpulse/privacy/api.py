"""HTTP of privacy: how a text looks to the public, and being forgotten."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import View, answers
from civicpulse.base.errors import NotFound
from civicpulse.base.web import Json, TransactionRoute
from civicpulse.base.wire import Text, Wire
from civicpulse.people.api import NOBODY
from civicpulse.privacy.erasing import erase_as
from civicpulse.rules.access import Permission
from civicpulse.rules.masking.masker import HIDDEN, for_public

router = APIRouter(route_class=TransactionRoute, tags=["privacy"])


class PreviewIn(Wire):
    """What somebody is about to send."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "Deep hole at 15 Elm St. Call me: 617-555-0134"}]}
    )

    text: Annotated[Text, Field(max_length=20_000)]


class PreviewView(View):
    """The text as the public will read it; `hidden` names the kinds of what is hidden, `placeholder` what stands in its place."""

    text: str
    hidden: list[str]
    placeholder: str


@router.post("/privacy/preview", summary="Show how the public will read a text", responses=answers(PreviewView))
async def preview(body: PreviewIn, _caller: Caller = needs(Permission.REQUEST_CREATE, reads=True)) -> Response:
    """Shows a text without the personal data that the public will not see; nothing is kept."""
    shown = for_public(body.text)
    return Json({"text": shown.text, "hidden": [kind.lower() for kind in shown.hidden], "placeholder": HIDDEN})


@router.delete(
    "/citizens/{citizen_id}", status_code=204, summary="Erase a citizen", responses=answers({204: None}, NOBODY)
)
async def erase_citizen(citizen_id: str, request: Request, caller: Caller = needs(Permission.CITIZEN_READ)) -> Response:
    """Erases a citizen by law: profile, contacts, and everything that they wrote or sent. For the citizen, supervisors and
    admins. The audit trail stays, without a word of theirs. Twice is once."""
    try:
        wanted = UUID(citizen_id)
    except ValueError:
        raise NotFound("There is no such citizen.") from None
    await erase_as(caller, request.app.state.storage, wanted)
    return Response(status_code=204)
