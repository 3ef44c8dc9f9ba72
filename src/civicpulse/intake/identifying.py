"""Who reports, and whether this came before: what decides that before anything else of a request is looked at."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Conflict, Forbidden, Invalid
from civicpulse.base.events import ANONYMOUS_KEY, Actor
from civicpulse.base.ids import lock_number
from civicpulse.base.tenancy import Tenant
from civicpulse.intake.incoming import Reporter
from civicpulse.intake.schemas import CitizenRef
from civicpulse.people.queries import find_reporter
from civicpulse.requests.visibility import SIGHT_COLUMNS, Sight
from civicpulse.rules.access import Permission, Roles

FIND_EXTERNAL = f"""
SELECT {SIGHT_COLUMNS} FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND r.source = %(source)s AND r.external_id = %(external_id)s
"""


@dataclass(frozen=True, slots=True)
class Teller:
    """Who tells of something, as it may be kept: nobody where a citizen stays anonymous, else the caller."""

    actor: Actor
    citizen: Row | None = None

    @property
    def citizen_id(self) -> UUID | None:
        """The citizen whose report it is, or None."""
        return None if self.citizen is None else self.citizen["id"]


async def teller_of(
    actor: Actor,
    ref: CitizenRef,
    *,
    profile: UUID | None,
    roles: Roles,
    find: Callable[[UUID], Awaitable[Row | None]],
) -> Teller:
    """Finds out who tells of something; `profile` is the citizen behind the caller's token, `find` reads a citizen.

    A citizen who does not say so is anonymous where their preferences say so. Of an anonymous citizen nothing is kept.
    Raises Forbidden when anybody but staff names a citizen who is not themselves, Invalid for one who is not there.
    """
    if actor.kind == "citizen" and ref.citizen_id not in (None, profile):
        # Before anything is looked up: the answer does not tell whether there is such a citizen.
        raise Forbidden(
            "Only staff, or the citizen themselves, may say whose report it is: leave the citizen out.",
            code="not_yourself",
        )
    named = None if ref.anonymous else ref.citizen_id or profile
    citizen = None if named is None else _there(named, await find(named))
    is_unsaid = ref.anonymous is None and ref.citizen_id is None
    if ref.anonymous or (citizen is not None and is_unsaid and _privacy(citizen).get("default_anonymous", False)):
        return Teller(Actor.of(roles.anonymous, None) if actor.kind == "citizen" else actor)
    return Teller(actor, citizen)


def answer_scope(channel: str, tenant: Tenant, caller: Actor, teller: Teller, key: str | None) -> str:
    """Names the scope in which an answer to the caller's Idempotency-Key is kept.

    An anonymous citizen gets the same answer again, and nobody who reads the scope learns whose it is.
    """
    if teller.actor.key == caller.key:
        return f"{channel}:{caller.key}"
    sealed = hmac.digest(tenant.secret, f"{caller.key} {key}".encode(), "sha256").hex()
    return f"{channel}:{ANONYMOUS_KEY}:{sealed}"


def reporter_of(teller: Teller, contact_channel: str) -> Reporter:
    """Makes the reporter of a request of who tells of it, as private as they want to be."""
    citizen, created_by = teller.citizen, teller.actor.key
    if citizen is None:
        return Reporter(created_by, contact_channel=contact_channel)
    shares = _privacy(citizen).get("share_publicly_on_map", True)
    return Reporter(created_by, citizen["id"], contact_channel, on_map=shares)


async def reporter_for(tx: Tx, actor: Actor, *, citizen_id: UUID | None, contact_channel: str) -> Reporter:
    """Makes the reporter of what `actor` told before. Raises Invalid when there is no such citizen any more."""
    citizen = None if citizen_id is None else _there(citizen_id, await find_reporter(tx, citizen_id))
    return reporter_of(Teller(actor, citizen), contact_channel)


def _there(wanted: UUID, citizen: Row | None) -> Row:
    if citizen is None or citizen["erased_at"] is not None:
        raise Invalid(
            f"There is no citizen {wanted}: register them first, or leave the citizen out.",
            field="citizen_ref.citizen_id",
        )
    return citizen


def _privacy(citizen: Row) -> dict[str, bool]:
    chosen: dict[str, bool] = citizen["preferences"].get("privacy", {})
    return chosen


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
