"""HTTP of this room: what the caller was told."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import Page, answers
from civicpulse.base.paging import MAX_LIMIT, decode_cursor, encode_cursor, page
from civicpulse.base.web import Json, TransactionRoute
from civicpulse.notify import queries
from civicpulse.notify.views import NotificationView
from civicpulse.requests.visibility import EVERYTHING, reader_of
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["notifications"])
SORT = "-id"


async def _recipients(caller: Caller) -> list[tuple[str, str]]:
    """Says as whom the caller is told things: as the citizen; or as the role, the agent, and the agent's own roles."""
    if caller.is_citizen:
        return [("citizen", str(caller.citizen_id))]
    roles = {caller.actor.role}
    if caller.actor_id is None:
        return [("role", role) for role in roles]
    roles |= set(await queries.agent_roles(caller.tx, caller.actor_id))
    return [("agent", str(caller.actor_id)), *(("role", role) for role in sorted(roles))]


@router.get("/notifications", summary="List what you were told", responses=answers(Page[NotificationView]))
async def list_notifications(
    caller: Caller = needs(Permission.NOTIFICATION_READ),
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """Lists what you were told, newest first: as a citizen, as an agent, and as one of a role."""
    before: UUID | None = decode_cursor(cursor, SORT, [UUID])[0] if cursor else None
    # A role is told of everything that happens to any request; each of its holders reads what is theirs to work on.
    sight = EVERYTHING if caller.is_citizen else (await reader_of(caller)).reach
    rows = await queries.list_own(caller.tx, await _recipients(caller), sight, before=before, limit=limit + 1)
    items = rows[:limit]
    return Json(page(items, encode_cursor(SORT, [items[-1]["id"]]) if len(rows) > limit else None))
