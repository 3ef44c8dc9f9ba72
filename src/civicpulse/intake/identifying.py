"""Who reports, and whether this came before: what decides that before anything else of a request is looked at."""

import hashlib
from typing import Any
from uuid import UUID

import orjson

from civicpulse.base.db import Tx
from civicpulse.base.errors import Conflict, Forbidden, Invalid
from civicpulse.base.events import Actor
from civicpulse.base.ids import lock_number
from civicpulse.intake.incoming import Reporter
from civicpulse.intake.schemas import Told
from civicpulse.people.queries import find_reporter
from civicpulse.requests.visibility import SIGHT_COLUMNS, Sight
from civicpulse.rules.access import Permission

FIND_EXTERNAL = f"""
SELECT {SIGHT_COLUMNS} FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND r.source = %(source)s AND r.external_id = %(external_id)s
"""


async def reporter_of(tx: Tx, actor: Actor, body: Told, *, profile: UUID | None) -> Reporter:
    """Who is behind what came in; `profile` is the citizen behind the caller's token, where there is one.

    Raises Invalid for a citizen who is not there, Forbidden when a citizen claims to be another.
    """
    wanted, anonymous = body.citizen_ref.citizen_id, body.citizen_ref.anonymous
    if profile is not None and wanted not in (None, profile):
        raise Forbidden("A citizen can report only for their own profile.", code="not_yourself")
    return await reporter_for(
        tx,
        actor.key,
        citizen_id=None if anonymous else wanted or profile,
        contact_channel=body.citizen_ref.contact_channel,
    )


async def reporter_for(tx: Tx, created_by: str, *, citizen_id: UUID | None, contact_channel: str) -> Reporter:
    """The reporter with that profile, as private as they want to be. Raises Invalid when there is no such citizen."""
    if citizen_id is None:
        return Reporter(created_by, contact_channel=contact_channel)
    citizen = await find_reporter(tx, citizen_id)
    if citizen is None or citizen["erased_at"] is not None:
        raise Invalid(
            f"There is no citizen {citizen_id}: register them first, or leave citizen_id out.",
            field="citizen_ref.citizen_id",
        )
    shares = citizen["preferences"].get("privacy", {}).get("share_publicly_on_map", True)
    return Reporter(created_by, citizen_id, contact_channel, on_map=shares)


async def check_external(tx: Tx, actor: Actor, external_id: str, source: str, *, sight: Sight) -> None:
    """Raises Invalid where the caller may not set an external id, Conflict when it is another request's.

    Which one that is is said where `sight` sees it.
    """
    if not actor.may(Permission.REQUEST_TRANSITION):
        raise Invalid("Only staff and other systems may set an external id: leave it out.", field="external_id")
    # Under a lock of its own: two deliveries of one external record must not both find nothing.
    await tx.value("SELECT pg_advisory_xact_lock(%s)", [lock_number(tx.tenant_id, "external", source, external_id)])
    known = await tx.row(FIND_EXTERNAL, {"tenant_id": tx.tenant_id, "source": source, "external_id": external_id})
    if known is None:
        return
    is_seen, number = sight.sees(known), known["number"]
    owner = f"request {number}" if is_seen else "another request's"
    raise Conflict(
        f"External id {external_id!r} is {owner} already.",
        code="external_id_taken",
        extra={"request_id": number} if is_seen else {},
    )


def fingerprint_of(body: dict[str, Any]) -> bytes:
    """Hashes what makes two bodies one report, for the idempotency key."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).digest()
