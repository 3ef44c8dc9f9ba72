"""HTTP of this room: citizens and agents (R-PRIV-01, R-ASG-04)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from starlette.background import BackgroundTask

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import REPLAYABLE, Page, answers
from civicpulse.base.clients.senders import Message, Sender, SendFailed
from civicpulse.base.errors import NotFound
from civicpulse.base.idempotency import once
from civicpulse.base.log import get_logger
from civicpulse.base.paging import MAX_LIMIT
from civicpulse.base.web import ID_GUARDS, Json, TransactionRoute
from civicpulse.people import agents, citizens, queries
from civicpulse.people.citizens import Registered
from civicpulse.people.schemas import AgentChange, AgentIn, CitizenChange, CitizenIn, CodeIn
from civicpulse.people.views import (
    AgentProfileView,
    AgentView,
    CitizenView,
    CodeSentView,
    ListedAgentView,
    VerifiedCitizenView,
)
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["people"])
log = get_logger(__name__)

NOBODY = {404: ("not_found",)}


async def _deliver(sender: Sender, message: Message) -> None:
    """Runs after the commit and the answer; who waits in vain asks for another code."""
    try:
        await sender.send(message)
    except SendFailed as error:
        log.warning("code_not_sent", channel=message.channel, reason=str(error))


def _with_code(request: Request, message: Message | None) -> BackgroundTask | None:
    return BackgroundTask(_deliver, request.app.state.sender, message) if message else None


def _created(answer: dict[str, Any], *, is_replay: bool, background: BackgroundTask | None = None) -> Json:
    headers = {"Idempotent-Replayed": "true"} if is_replay else {}
    return Json(answer, status_code=200 if is_replay else 201, headers=headers, background=background)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such citizen.") from None


@router.post(
    "/citizens",
    status_code=201,
    summary="Register a citizen",
    responses=answers({201: CitizenView, 200: CitizenView}, REPLAYABLE, {409: ("contact_in_use",)}),
)
async def create_citizen(
    request: Request, body: CitizenIn, caller: Caller = needs(Permission.CITIZEN_CREATE)
) -> Response:
    """Registers a citizen; with a contact a code is sent that proves it: six digits, or ten on a day with many.

    The answer to a contact that is registered already looks the same and reveals nothing: the code goes to its owner,
    and `POST /citizens/{_id}/verify` with it answers the profile.
    """
    registered: Registered | None = None

    async def create() -> dict[str, Any]:
        nonlocal registered
        registered = await citizens.register(caller, body)
        return registered.document

    sent = body.model_dump(mode="json")
    scope = f"citizens:{caller.actor.key}"
    answer, is_replay = await once(caller.tx, scope=scope, key=caller.idempotency_key, body=sent, create=create)
    return _created(
        answer, is_replay=is_replay, background=_with_code(request, registered.message if registered else None)
    )


@router.post(
    "/citizens/{citizen_id}/verify",
    summary="Prove a contact by its code",
    responses=answers(
        VerifiedCitizenView,
        NOBODY,
        {409: ("no_code_pending", "verification_locked"), 410: ("code_expired",), 422: ("wrong_code",)},
    ),
)
async def verify_citizen(citizen_id: str, body: CodeIn, caller: Caller = needs(Permission.CITIZEN_CREATE)) -> Response:
    """Takes in a code that this caller or staff asked for; answers the citizen's document and a `token` to act as that citizen, shown this once."""
    return Json(await citizens.verify(caller, _uuid(citizen_id), body.code))


@router.post(
    "/citizens/{citizen_id}/verification",
    status_code=202,
    summary="Send a new code",
    responses=answers({202: CodeSentView}, NOBODY, {422: ("no_contact",)}),
)
async def send_citizen_code(
    request: Request, citizen_id: str, caller: Caller = needs(Permission.CITIZEN_CREATE)
) -> Response:
    """Sends a new code, at most one a minute."""
    sent = await citizens.send_code(caller, _uuid(citizen_id))
    return Json(sent.document, status_code=202, background=_with_code(request, sent.message))


@router.get("/citizens/{citizen_id}", summary="Read a citizen", responses=answers(CitizenView, NOBODY))
async def get_citizen(citizen_id: str, caller: Caller = needs(Permission.CITIZEN_READ)) -> Response:
    """Shows a citizen's profile and figures; contacts are masked unless you are the citizen or may see them."""
    return Json(await citizens.read(caller, _uuid(citizen_id)))


@router.patch(
    "/citizens/{citizen_id}",
    summary="Change a citizen",
    responses=answers(CitizenView, NOBODY, {409: ("citizen_erased",)}),
)
async def change_citizen(
    citizen_id: str, body: CitizenChange, caller: Caller = needs(Permission.CITIZEN_READ)
) -> Response:
    """Changes name, preferences or address; for the citizen and for dispatchers upward."""
    return Json(await citizens.change(caller, _uuid(citizen_id), body))


@router.post(
    "/agents",
    status_code=201,
    summary="Make an agent or team",
    responses=answers(
        {201: AgentView, 200: AgentView}, REPLAYABLE, {409: ("agent_code_in_use", "name_in_office_in_use")}
    ),
)
async def create_agent(body: AgentIn, caller: Caller = needs(Permission.AGENT_WRITE)) -> Response:
    """Makes an agent or team."""

    async def create() -> dict[str, Any]:
        return await agents.create(caller, body)

    sent = body.model_dump(mode="json")
    scope = f"agents:{caller.actor.key}"
    answer, is_replay = await once(caller.tx, scope=scope, key=caller.idempotency_key, body=sent, create=create)
    return _created(answer, is_replay=is_replay)


@router.get("/agents", summary="List agents", responses=answers(Page[ListedAgentView]))
async def list_agents(
    caller: Caller = needs(Permission.AGENT_READ),
    skill: Annotated[str | None, Query(max_length=80)] = None,
    zone: Annotated[str | None, Query(max_length=200)] = None,
    active: bool | None = None,
    on_shift: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """Lists agents by agent_code, with their open load and whether they are on shift now."""
    listed = await agents.list_page(
        caller, limit=limit, cursor=cursor, on_shift=on_shift, skill=skill, zone=zone, active=active
    )
    return Json(listed)


@router.get("/agents/{agent_id}", summary="Read an agent", responses=answers(AgentProfileView, NOBODY))
async def get_agent(agent_id: str, caller: Caller = needs(Permission.AGENT_READ)) -> Response:
    """Shows an agent by id or agent_code, with workload and the performance of the last 30 days."""
    return Json(await agents.read(caller, agent_id))


@router.patch(
    "/agents/{agent_id}",
    summary="Change an agent",
    responses=answers(AgentView, NOBODY, {409: ("name_in_office_in_use",)}),
)
async def change_agent(agent_id: str, body: AgentChange, caller: Caller = needs(Permission.AGENT_WRITE)) -> Response:
    """Changes the fields that are sent."""
    return Json(await agents.change(caller, agent_id, body))


async def _guard_citizen(request: Request) -> None:
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is not None and getattr(request.state, "tx", None) is not None:
        citizen_id = _uuid(request.path_params["citizen_id"])
        citizens.is_citizen_self(caller, citizen_id)
        if await queries.find_behind(caller.tx, citizen_id) is None:
            raise NotFound("There is no such citizen.")


async def _guard_agent(request: Request) -> None:
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is not None and getattr(request.state, "tx", None) is not None:
        await agents.exists(caller.tx, request.path_params["agent_id"])


ID_GUARDS["citizen_id"] = _guard_citizen
ID_GUARDS["agent_id"] = _guard_agent
