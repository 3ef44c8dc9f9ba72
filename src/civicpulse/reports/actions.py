"""Writes of the inbox: a report is taken in, and becomes a request."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from psycopg.errors import UniqueViolation

from civicpulse.accounts.callers import Visitor
from civicpulse.accounts.roles import roles_at_door, roles_of
from civicpulse.base import clock as time
from civicpulse.base.db import Database, Row, Tx
from civicpulse.base.errors import Conflict, Invalid, NotFound
from civicpulse.base.events import SYSTEM, Actor
from civicpulse.base.idempotency import FIND_ANSWER
from civicpulse.base.ids import id_at
from civicpulse.base.tenancy import Tenant
from civicpulse.intake.identifying import Teller, answer_scope, check_external, reporter_for, teller_of
from civicpulse.intake.incoming import Incoming
from civicpulse.intake.opening import open_requests
from civicpulse.intake.placing import Placed, check_point
from civicpulse.intake.preparing import Preparer
from civicpulse.intake.schemas import LocationIn
from civicpulse.packs.model import Pack
from civicpulse.people.queries import find_reporter
from civicpulse.reports import queries
from civicpulse.reports.schemas import ReportIn
from civicpulse.reports.writer import InboxWriter
from civicpulse.requests.visibility import NOTHING, tracking_token
from civicpulse.rules.access import Permission
from civicpulse.triage.actions import keep
from civicpulse.triage.analysis import Analysis

SOURCE = "report"
MAX_AHEAD = timedelta(minutes=5)  # how far another system's clock may be ahead of ours


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer to a reporter as JSON bytes, and whether it was given before."""

    body: bytes
    replayed: bool
    id: UUID | None = None


async def take_report(db: Database, writer: InboxWriter, visitor: Visitor, body: ReportIn) -> Kept:
    """Keeps a report as it came, in one statement; a job reads it afterwards (R-INT-08).

    Raises Invalid for what cannot be used, Forbidden when a caller claims to be somebody else, Conflict when the external
    id is another report's.
    """
    tenant, actor, now = visitor.tenant, visitor.actor, time.now()
    _check_rights(actor, body, now)
    if isinstance(body.location, LocationIn):
        await check_point(db, tenant, body.location)  # said now, while somebody listens
    teller = await _teller(db, visitor, body)
    row = _row(teller, body, submitted_at=body.submitted_at or now)
    answer = orjson.dumps(_receipt(tenant, row), option=orjson.OPT_UTC_Z)
    key = visitor.idempotency_key
    row |= {"scope": answer_scope("reports", tenant, actor, teller, key), "key": key, "answer": answer.decode()}
    row["fingerprint"] = "" if row["key"] is None else sha256(body.model_dump_json().encode()).hexdigest()
    try:
        is_new = await writer.add(tenant, row)
    except UniqueViolation as error:
        raise Conflict(f"External id {body.external_id!r} is another report's.", code="external_id_taken") from error
    return Kept(answer, replayed=False, id=row["id"]) if is_new else await _replay(db, tenant, row)


def _check_rights(actor: Actor, body: ReportIn, now: datetime) -> None:
    if actor.may(Permission.REQUEST_TRANSITION):
        if body.submitted_at is not None and body.submitted_at > now + MAX_AHEAD:
            raise Invalid("A report cannot be submitted in the future.", field="submitted_at")
        return
    for field, called in (("external_id", "an external id"), ("submitted_at", "the time of the report")):
        if getattr(body, field) is not None:
            raise Invalid(f"Only staff and other systems may set {called}: leave it out.", field=field)


async def _teller(db: Database, visitor: Visitor, body: ReportIn) -> Teller:
    """Finds out who reports; only of a citizen the database is asked."""

    async def find(citizen_id: UUID) -> Row | None:
        async with db.transaction(visitor.tenant) as tx:
            return await find_reporter(tx, citizen_id)

    roles = await roles_at_door(db, visitor.tenant)
    return await teller_of(visitor.actor, body.citizen_ref, profile=visitor.citizen_id, roles=roles, find=find)


def _row(teller: Teller, body: ReportIn, *, submitted_at: datetime) -> Row:
    located = isinstance(body.location, LocationIn)
    return {
        "id": id_at(submitted_at),
        "role": teller.actor.role,
        "actor_id": teller.actor.id,
        "citizen_id": teller.citizen_id,
        "contact_channel": body.citizen_ref.contact_channel,
        "description": body.description,
        "location": body.location.model_dump(mode="json") if located else body.location,  # type: ignore[union-attr]
        "tags": body.tags,
        "evidence": [item.model_dump() for item in body.evidence],
        "asset_id": body.asset_id,
        "external_id": body.external_id,
        "is_public": body.is_public,
        "submitted_at": submitted_at,
    }


def _receipt(tenant: Tenant, row: Row) -> dict[str, Any]:
    report_id = str(row["id"])
    return {
        "id": report_id,
        "processed": False,
        "state": "waiting",
        "submitted_at": row["submitted_at"],
        "tracking_token": tracking_token(tenant, row["id"]),
        "links": {"self": f"/reports/{report_id}"},
    }


async def _replay(db: Database, tenant: Tenant, row: Row) -> Kept:
    wanted = {"tenant_id": tenant.tenant_id, "scope": row["scope"], "key": row["key"]}
    async with db.transaction(tenant) as tx:
        kept = await tx.row(FIND_ANSWER, wanted)
    if kept is None or bytes(kept["fingerprint"]).hex() != row["fingerprint"]:
        raise Invalid(
            "This Idempotency-Key was used for another body: use a new key for a new report.",
            code="idempotency_key_reused",
        )
    return Kept(kept["answer"].encode(), replayed=True)


async def sender_of(tx: Tx, report: Row) -> Actor:
    """Says who sent a report, with the rights that their role has now; anybody's rights when the tenant has it no more."""
    roles = await roles_of(tx)
    return Actor.of(roles.get(report["role"]) or roles.anonymous, report["actor_id"])


async def open_request(tx: Tx, pack: Pack, report: Row, analysis: Analysis, placed: Placed) -> str | None:
    """Opens the request of a report that was taken; its outcome, None when it had been processed already.

    The request has the report's id and counts from the moment it was submitted. Raises what the intake raises; then
    nothing is written.
    """
    if not await queries.lock_waiting(tx, report["id"]):
        return None
    actor = await sender_of(tx, report)
    if report["external_id"] is not None:
        # The words are kept with the report, for whoever reads it.
        await check_external(tx, actor, report["external_id"], SOURCE, sight=NOTHING)
    preparer = Preparer(pack, tx.tenant.pack_version, time.now())
    came = await _incoming(tx, actor, report, analysis, placed)
    (opened,) = await open_requests(tx, actor, preparer, [preparer.prepare(came)])
    await keep(tx, SYSTEM, report, analysis)
    decision = analysis.to_json() | {
        "place": placed.to_json() | {"zone_id": opened.row["zone_id"]},
        "duplicates": {"outcome": opened.outcome, "candidates": opened.matches},
    }
    await queries.finish(tx, report["id"], outcome=opened.outcome, decision=decision, at=time.now())
    return opened.outcome


async def _incoming(tx: Tx, actor: Actor, report: Row, analysis: Analysis, placed: Placed) -> Incoming:
    channel = report["contact_channel"]
    return Incoming(
        id=report["id"],
        source=SOURCE,
        category=analysis.category,
        description=report["description"],
        spot=placed.spot,
        reporter=await reporter_for(tx, actor, citizen_id=report["citizen_id"], contact_channel=channel),
        created_at=report["submitted_at"],
        tags=report["tags"],
        asset_id=report["asset_id"],
        external_id=report["external_id"],
        is_public=report["is_public"],
        score=analysis.priority,
        needs_person=analysis.needs_person,
        evidence=report["evidence"],
    )


async def retry(tx: Tx, report_id: UUID) -> None:
    """Makes a parked or waiting report due now, with all its tries before it. Raises Conflict when it is processed already."""
    if await queries.retry(tx, report_id):
        return
    if not await queries.report_exists(tx, report_id):
        raise report_not_found(report_id)
    raise Conflict(f"Report {report_id} is processed already: there is nothing to retry.", code="already_processed")


def report_not_found(report_id: UUID) -> NotFound:
    """Makes the one answer for a report that is absent and for another tenant's."""
    return NotFound(f"There is no report {report_id} here.", code="report_not_found")
