"""Citizens: registering, proving a contact, reading with masks, changing, and erasure by law (R-PRIV-01)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from civicpulse.accounts.callers import Caller
from civicpulse.accounts.roles import roles_of
from civicpulse.accounts.tokens import create_token
from civicpulse.base import clock
from civicpulse.base.clients.senders import Message
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Conflict, Forbidden, Invalid, NotFound, TooMany
from civicpulse.base.events import Actor, record
from civicpulse.base.ids import new_id
from civicpulse.people import codes, queries
from civicpulse.people.schemas import CitizenChange, CitizenIn, check_reachable
from civicpulse.rules.access import Permission

TOKEN_LIFETIME = timedelta(days=90)
_COLUMNS = {"email": "email", "sms": "phone"}


@dataclass(frozen=True, slots=True)
class Registered:
    """What the caller is told, and the code to send once it is committed."""

    document: dict[str, Any]
    message: Message | None


def masked_email(email: str) -> str:
    """Masks an e-mail address: j***@e***.org"""
    name, _, domain = email.partition("@")
    return f"{name[:1]}***@{domain[:1]}***.{domain.rpartition('.')[2]}"


def masked_phone(phone: str) -> str:
    """Masks a phone number: +1*****12"""
    return f"{phone[:2]}*****{phone[-2:]}"


def citizen_document(row: Row, *, masked: bool) -> dict[str, Any]:
    """Writes a citizen's document (R-PRIV-01) plus `kpis`. `row` as `queries.find_citizen` gives it."""
    kpis = {"open_requests": row["open_requests"], "resolved_requests": row["resolved_requests"]}
    document = plain_document(row)
    document |= {"kpis": kpis, "created_at": document.pop("created_at")}
    if masked:
        email, phone = row["email"], row["phone"]
        document["contacts"] = {"email": email and masked_email(email), "phone": phone and masked_phone(phone)}
    return document


def plain_document(row: Row) -> dict[str, Any]:
    """Writes a citizen's document (R-PRIV-01), nothing masked."""
    return {
        "_id": row["id"],
        "full_name": row["full_name"],
        "verification": {
            "state": "verified" if row["verified"] else "unverified",
            "method": row["verify_method"] or "otp",
            "verified_at": row["verified_at"],
        },
        "contacts": {"email": row["email"], "phone": row["phone"]},
        "preferences": row["preferences"],
        "address": {"neighborhood": row["neighborhood"], "city": row["city"], "zone_id": row["zone_id"]},
        "stats": {"total_requests": row["total_requests"], "avg_rating": row["avg_rating"]},
        "created_at": row["created_at"],
    }


async def register(caller: Caller, wanted: CitizenIn) -> Registered:
    """Makes a citizen and starts the verification of the preferred contact.

    A contact that somebody else's profile holds: staff who may see contacts get Conflict (contact_in_use). For anyone
    else the profile stays as it is, its owner gets the code, and the answer looks like any other: it repeats what was
    sent, under an id that stands for the profile until the code comes back. So nobody learns who is registered here.
    """
    row = _new_row(wanted, at=clock.now())
    if not wanted.by_channel:
        await _add(caller, row, channels=[])
        return Registered(citizen_document(row, masked=False), None)
    fresh = await codes.fresh_code()
    await queries.lock_contacts(caller.tx, list(wanted.by_channel.values()))
    known = await _known_profiles(caller, wanted)
    if not known:
        await _add(caller, row, channels=list(wanted.by_channel))
    channel = next((way for way in wanted.by_channel if way in known), next(iter(wanted.by_channel)))
    citizen_id: UUID = known.get(channel) or row["id"]
    challenge = await codes.start(caller, citizen_id, channel=channel, fresh=fresh)
    document = citizen_document(row | {"id": challenge.id if known else row["id"]}, masked=False)
    document["verification"]["expires_at"] = challenge.expires_at
    to = wanted.by_channel[channel]
    text = await codes.message(
        caller.tx, channel=channel, recipient=to, language=wanted.preferences.language, code=challenge.code or ""
    )
    return Registered(document, text if challenge.is_sent else None)


async def _add(caller: Caller, row: Row, *, channels: list[str]) -> None:
    await queries.add_citizen(caller.tx, row)
    meta = {"channels": channels, "zone_id": row["zone_id"]}
    await record_citizen(caller.tx, caller.actor, row["id"], type="citizen.created", at=row["created_at"], meta=meta)


def _new_row(wanted: CitizenIn, *, at: datetime) -> Row:
    return {
        "id": new_id(),
        "full_name": wanted.full_name,
        "email": wanted.contacts.email,
        "phone": wanted.contacts.phone,
        "preferences": wanted.preferences_document(),
        **wanted.address.model_dump(),
        "created_at": at,
        "verified": False,
        "verify_method": None,
        "verified_at": None,
        "total_requests": 0,
        "avg_rating": None,
        "open_requests": 0,
        "resolved_requests": 0,
    }


async def _known_profiles(caller: Caller, wanted: CitizenIn) -> dict[str, UUID]:
    """Finds who holds the contacts, by channel.

    A contact that its profile never proved, while it proved the other one, is given up: else whoever writes down a
    stranger's number would be handed what the stranger later reports.
    """
    known: dict[str, UUID] = {}
    for row in await queries.find_by_contacts(caller.tx, email=wanted.contacts.email, phone=wanted.contacts.phone):
        if caller.may(Permission.CITIZEN_CONTACT):
            raise Conflict(
                "A citizen with this contact is registered.",
                code="contact_in_use",
                extra={"citizen_id": str(row["id"])},
            )
        for channel, contact in wanted.by_channel.items():
            column = _COLUMNS[channel]
            if row[column] != contact:
                continue
            if row["verified"] and not row[f"{column}_proven"]:
                await queries.release_contact(caller.tx, row["id"], channel=channel)
                meta = {"released": channel}
                await record_citizen(
                    caller.tx, caller.actor, row["id"], type="citizen.changed", at=clock.now(), meta=meta
                )
            else:
                known[channel] = row["id"]
    return known


async def record_citizen(
    tx: Tx,
    actor: Actor,
    citizen_id: UUID,
    *,
    type: str,
    at: datetime,
    meta: dict[str, Any],
) -> None:
    """Appends to a citizen's trail; the caller holds the row's lock. `meta` never holds contact text."""
    await record(tx, actor, subject_id=citizen_id, subject_type="citizen", seq=None, type=type, at=at, meta=meta)


async def send_code(caller: Caller, known_as: UUID) -> Registered:
    """Sends a new code to the contact at hand, else the preferred one; TooMany within a minute or after ten a day of this caller."""
    tx = caller.tx
    fresh = await codes.fresh_code()
    row = await _citizen_behind(tx, known_as)
    ways = _ways(row)
    if not ways:
        raise Invalid(
            "This citizen has no contact to send a code to: add an e-mail address or a phone number.", code="no_contact"
        )
    channel = row["channel"] if row["channel"] in ways else next(iter(ways))
    challenge = await codes.start(caller, row["id"], channel=channel, fresh=fresh)
    if challenge.code is None:
        raise TooMany(
            "A code was sent a moment ago, or too many today: use it, or ask again later.",
            retry_after_seconds=challenge.retry_after_seconds,
        )
    verification = {"state": "unverified", "method": "otp", "verified_at": None, "expires_at": challenge.expires_at}
    text = await codes.message(
        tx, channel=channel, recipient=ways[channel], language=row["preferences"]["language"], code=challenge.code
    )
    return Registered({"_id": known_as, "verification": verification}, text)


async def verify(caller: Caller, known_as: UUID, code: str) -> dict[str, Any]:
    """Takes the code in; the citizen's document with a `token` to act as that citizen.

    Raises NotFound, and what `codes.check` raises.
    """
    tx = caller.tx
    citizen_id = (await _citizen_behind(tx, known_as))["id"]
    channel = await codes.check(caller, citizen_id, code)
    now = clock.now()
    role = (await roles_of(tx)).citizen
    citizen = Actor.of(role, str(citizen_id))
    if await queries.set_verified(tx, citizen_id, at=now):
        await record_citizen(tx, citizen, citizen_id, type="citizen.verified", at=now, meta={"channel": channel})
    token = await create_token(tx, role=role.name, actor_id=citizen_id, label="otp", lifetime=TOKEN_LIFETIME)
    return await _document(tx, citizen_id, masked=False) | {"token": token, "token_expires_at": now + TOKEN_LIFETIME}


async def read(caller: Caller, citizen_id: UUID) -> dict[str, Any]:
    """Reads the profile and its figures; contacts masked unless the caller may see them or is the citizen.

    To a citizen every other one is NotFound.
    """
    is_self = is_citizen_self(caller, citizen_id)
    return await _document(caller.tx, citizen_id, masked=not is_self and not caller.may(Permission.CITIZEN_CONTACT))


async def change(caller: Caller, citizen_id: UUID, wanted: CitizenChange) -> dict[str, Any]:
    """Changes preferences, name or address; by the citizen or by staff who may see contacts, else Forbidden."""
    await check_may_change(caller, citizen_id, permission=Permission.CITIZEN_CONTACT)
    row = await _locked(caller.tx, citizen_id)
    if row["erased_at"] is not None:
        raise Conflict("This citizen was erased.", code="citizen_erased")
    sent = wanted.model_dump(mode="json", exclude_unset=True)
    preferences = _merged(row["preferences"], sent.pop("preferences", {}))
    try:
        check_reachable(preferences["preferred_contact"], email=row["email"], phone=row["phone"])
    except ValueError as error:
        raise Invalid(str(error), field="preferences.preferred_contact") from error
    changed = row | sent.pop("address", {}) | sent | {"preferences": preferences}
    fields = sorted(name for name in changed if changed[name] != row[name])
    if fields:
        await queries.change_citizen(caller.tx, changed)
        meta = {"fields": fields}
        await record_citizen(caller.tx, caller.actor, citizen_id, type="citizen.changed", at=clock.now(), meta=meta)
    return await _document(caller.tx, citizen_id, masked=False)


def is_citizen_self(caller: Caller, citizen_id: UUID) -> bool:
    """Tells whether the caller is that citizen; raises NotFound when the caller is another citizen."""
    if not caller.is_citizen:
        return False
    if caller.actor_id != citizen_id:
        raise NotFound("There is no such citizen.")
    return True


async def check_may_change(caller: Caller, citizen_id: UUID, *, permission: Permission) -> None:
    """Lets the citizen themself and whoever holds `permission` go on; raises Forbidden for others, NotFound for another citizen."""
    if not is_citizen_self(caller, citizen_id) and not caller.may(permission):
        roles = await roles_of(caller.tx)
        refused = roles.refusal(permission, roles.get(caller.actor.role))
        raise Forbidden(refused, extra={"permission": permission})


def _merged(stored: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """Lays `sent` over `stored`, part by part; null stands for "as it was"."""
    merged = dict(stored)
    for name, value in sent.items():
        if isinstance(value, dict):
            merged[name] = _merged(stored.get(name, {}), value)
        elif value is not None:
            merged[name] = value
    return merged


def _ways(row: Row) -> dict[str, str]:
    """Lists a stored citizen's contacts by channel, the preferred one first."""
    preferred = row["preferences"]["preferred_contact"]
    channels: Iterable[str] = sorted(_COLUMNS, key=lambda channel: channel != preferred)
    return {channel: row[_COLUMNS[channel]] for channel in channels if row[_COLUMNS[channel]]}


async def _citizen_behind(tx: Tx, known_as: UUID) -> Row:
    """Locks the citizen, not erased, that an id stands for; `channel` is the challenge's, if the id is one's."""
    behind = await queries.find_behind(tx, known_as)
    row = await queries.lock_citizen(tx, behind["id"]) if behind else None
    if behind is None or row is None or row["erased_at"] is not None:
        raise NotFound("There is no such citizen.")
    return row | {"channel": behind["channel"]}


async def _locked(tx: Tx, citizen_id: UUID) -> Row:
    row = await queries.lock_citizen(tx, citizen_id)
    if row is None:
        raise NotFound("There is no such citizen.")
    return row


async def _document(tx: Tx, citizen_id: UUID, *, masked: bool) -> dict[str, Any]:
    row = await queries.find_citizen(tx, citizen_id)
    if row is None:
        raise NotFound("There is no such citizen.")
    return citizen_document(row, masked=masked)
