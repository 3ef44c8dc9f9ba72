"""POST /requests: a report becomes a request, or the duplicate of one (R-INT-01)."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from civicpulse.base import clock as time
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Conflict, Forbidden, Invalid
from civicpulse.base.events import Actor
from civicpulse.base.ids import id_at, lock_number
from civicpulse.duplicates.merging import attach
from civicpulse.duplicates.search import candidates_of, match_json, report_of, surroundings
from civicpulse.intake import queries
from civicpulse.intake.categories import wanted_category
from civicpulse.intake.queries import Opened
from civicpulse.intake.schemas import Filed
from civicpulse.intake.spot import Understood, spot_of
from civicpulse.packs.model import Pack
from civicpulse.packs.store import current_pack
from civicpulse.requests import clock
from civicpulse.requests.queries import add_evidence, lock_by_ids
from civicpulse.requests.views.opened import opened_document
from civicpulse.requests.visibility import readers_of, seen_candidates, tracking_token
from civicpulse.rules.access import Permission
from civicpulse.rules.duplicates import Judgement, Match, judge
from civicpulse.rules.priority import choose_priority, priority_of_score, score_of_priority


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the reporter gets: the document as JSON bytes, and whether it was answered before.

    Of a new one also its number and id, what became of it, and the twins that decided, for staff (`match_json`).
    """

    body: bytes
    replayed: bool
    number: str | None = None
    id: UUID | None = None
    outcome: str = "new"
    matches: Sequence[dict[str, Any]] = ()


async def create_request(
    tx: Tx,
    actor: Actor,
    body: Filed,
    *,
    profile: UUID | None = None,
    key: str | None = None,
    source: str = "api",
    understood: Understood | None = None,
) -> Receipt:
    """Takes a report in: zone, priority, SLA, twins, event, outbox and stored answer in one transaction.

    `profile` is the citizen behind the caller's token, where there is one; `understood` what a job has found out about
    a report from the inbox, which then counts from the moment it was submitted.
    Raises Invalid for what cannot be used, Forbidden when a caller claims to be somebody else, Conflict when the key
    or the external id was used for another report.
    """
    pack, now = await current_pack(tx), time.now()
    row = await _prepare(tx, actor, body, profile=profile, pack=pack, now=now, source=source, understood=understood)
    scope, fingerprint, at = f"requests:{actor.key}", _fingerprint(body), row["created_at"]
    around = surroundings(tx.tenant_id, pack, row, at)
    opened = await queries.open_intake(
        tx, scope=scope, key=key, key_lock=lock_number(tx.tenant_id, scope, key), around=around
    )
    if opened.answer is not None:
        return _replay(opened, fingerprint)
    if body.external_id is not None:
        await _check_external(tx, actor, body.external_id, source)
    row["number"] = f"{pack.document.request_id_prefix}-{at.year}-{opened.number:06d}"
    verdict = await _judge(tx, pack, row, opened, at)
    answer = _answer(tx, actor, pack, row, proposed=_shown(actor, verdict))
    await queries.write_request(
        tx,
        actor,
        row,
        meta=_event_meta(row, verdict),
        scope=scope,
        key=key,
        fingerprint=fingerprint,
        answer=answer.decode(),
    )
    if body.evidence:
        await _add_evidence(tx, actor, row, body)
    attached = None
    if verdict.master is not None:
        attached = await _attach(tx, actor, pack, row, verdict.master)
        answer = attached or answer
        if key is not None:
            kept = {"tenant_id": tx.tenant_id, "scope": scope, "key": key, "answer": answer.decode()}
            await tx.run(queries.KEEP_ANSWER, kept)
    outcome = "new" if verdict.master is not None and attached is None else verdict.outcome
    matches = _matches(verdict)
    return Receipt(answer, replayed=False, number=row["number"], id=row["id"], outcome=outcome, matches=matches)


def _fingerprint(body: Filed) -> bytes:
    return hashlib.sha256(orjson.dumps(body.fingerprint(), option=orjson.OPT_SORT_KEYS)).digest()


def _replay(opened: Opened, fingerprint: bytes) -> Receipt:
    if opened.fingerprint != fingerprint or opened.answer is None:
        raise Invalid(
            "This Idempotency-Key was used for another body: use a new key for a new report.",
            code="idempotency_key_reused",
        )
    return Receipt(opened.answer.encode(), replayed=True)


async def _prepare(
    tx: Tx,
    actor: Actor,
    body: Filed,
    *,
    profile: UUID | None,
    pack: Pack,
    now: datetime,
    source: str,
    understood: Understood | None,
) -> Row:
    """The request's row, all but its number."""
    category = wanted_category(pack, body.category)
    citizen_id, is_public = await _reporter(tx, profile, body, default_public=category.public)
    spot = understood.spot if understood else await spot_of(tx, pack, body.location)
    priority, score = _priority(actor, body, pack, understood)
    created_at = understood.submitted_at if understood else now
    policy = pack.policy_for(category.id, spot.zone_id, priority)
    initial = pack.workflow.state(pack.workflow.initial)
    columns = clock.clock_columns(
        policy, pack.calendar_of(policy), started_at=created_at, pauses=(), now=now, fired_steps=0, finished_at=None
    )
    return (
        EMPTY
        | columns
        | {
            "id": understood.id if understood else id_at(now),
            "pack_version": tx.tenant.pack_version,
            "source": source,
            "external_id": body.external_id,
            "citizen_id": citizen_id,
            "anonymous": citizen_id is None,
            "created_by": actor.key,
            "contact_channel": body.citizen_ref.contact_channel,
            "is_public": is_public,
            "category": category.id,
            "sub_category": body.sub_category,
            "description": body.description,
            "tags": body.tags,
            "status": initial.name,
            "state_category": initial.category,
            "priority": priority,
            "priority_score": score,
            **spot.columns,
            "asset_id": body.asset_id,
            "needs_person": understood is not None and understood.needs_person,
            "sla": clock.policy_to_json(policy) if policy else None,
            "created_at": created_at,
            "updated_at": now,
        }
    )


# What a new request's document shows of columns that its first statement leaves at their defaults.
EMPTY: Row = {
    "version": 1, "event_seq": 1, "master_id": None, "assigned_agent_id": None, "candidate_agents": [], "assignment_policy": None,
    "sla_pauses": [], "sla_steps_fired": 0, "escalation_count": 0, "breach_reason": None, "milestones": {}, "rating": None,
    "disputed": False, "notes": [], "triaged_at": None, "assigned_at": None, "in_progress_at": None, "resolved_at": None,
    "closed_at": None, "segment": None, "country_code": None, "geo_quality": None, "needs_person": False,
}  # fmt: skip


async def _reporter(tx: Tx, profile: UUID | None, body: Filed, *, default_public: bool) -> tuple[UUID | None, bool]:
    """The citizen behind the report and whether the map may show it."""
    wanted, anonymous = body.citizen_ref.citizen_id, body.citizen_ref.anonymous
    is_public = default_public if body.is_public is None else body.is_public and default_public
    if profile is not None and wanted not in (None, profile):
        raise Forbidden("A citizen can report only for their own profile.", code="not_yourself")
    citizen_id = None if anonymous else wanted or profile
    if citizen_id is None:
        return None, is_public
    citizen = await tx.row(queries.FIND_CITIZEN, {"tenant_id": tx.tenant_id, "id": citizen_id})
    if citizen is None or citizen["erased_at"] is not None:
        raise Invalid("There is no such citizen.", field="citizen_ref.citizen_id")
    shares = citizen["preferences"].get("privacy", {}).get("share_publicly_on_map", True)
    return citizen_id, is_public and shares


def _priority(actor: Actor, body: Filed, pack: Pack, understood: Understood | None) -> tuple[str, int]:
    if understood is not None:
        return priority_of_score(understood.priority_score), understood.priority_score
    if body.priority is not None:
        if not actor.may(Permission.REQUEST_TRANSITION):
            raise Invalid(
                "Only staff sets a priority; leave it out and it is chosen from category, tags and text.",
                field="priority",
            )
        return body.priority, score_of_priority(body.priority)
    choice = choose_priority(
        default=pack.categories[body.category].default_priority,
        tags=body.tags,
        text=body.description,
        tag_priorities=pack.document.tag_priorities,
        hazard_words=pack.document.hazard_words,
    )
    return choice.priority, choice.score


async def _check_external(tx: Tx, actor: Actor, external_id: str, source: str) -> None:
    if not actor.may(Permission.REQUEST_TRANSITION):
        raise Invalid("Only staff and other systems may set an external id.", field="external_id")
    # Under a lock of its own: two deliveries of one external record must not both find nothing.
    await tx.value("SELECT pg_advisory_xact_lock(%s)", [lock_number(tx.tenant_id, "external", source, external_id)])
    known = await tx.value(
        queries.FIND_EXTERNAL, {"tenant_id": tx.tenant_id, "source": source, "external_id": external_id}
    )
    if known is not None:
        raise Conflict(
            f"External id {external_id!r} is request {known} already.",
            code="external_id_taken",
            extra={"request_id": known},
        )


async def _judge(tx: Tx, pack: Pack, row: Row, opened: Opened, now: datetime) -> Judgement:
    """No pair of a new request can have been turned down before."""
    if not opened.candidates:
        return Judgement("new", None, ())
    shared = await seen_candidates(tx, readers_of(row), opened.candidates)
    return judge(report_of(row, now), candidates_of(opened.candidates, shared), pack.duplicate_policy(row["category"]))


def _event_meta(row: Row, verdict: Judgement) -> dict[str, Any]:
    meta = {name: row[name] for name in ("category", "sub_category", "priority", "zone_id", "source", "status")}
    meta |= {"sla_policy": row["sla"]["policy_id"] if row["sla"] else None, "duplicates": verdict.outcome}
    if verdict.proposed:
        meta["proposed"] = [match_json(match) for match in verdict.proposed]
    return meta


def _shown(actor: Actor, verdict: Judgement) -> list[dict[str, Any]]:
    """The proposed twins that this reporter may know of: a stranger must not find out where private reports lie."""
    sees_all = actor.may(Permission.REQUEST_READ_ALL)
    return [match_json(match) for match in (verdict.proposed if sees_all else verdict.shared)]


def _matches(verdict: Judgement) -> list[dict[str, Any]]:
    """The twins that decided, best first: those proposed to staff and those that the reporter may know of."""
    decisive = (verdict.master,) if verdict.master else (*verdict.proposed, *verdict.shared)
    return [match_json(match) for match in {match.candidate.id: match for match in decisive}.values()]


def _answer(tx: Tx, actor: Actor, pack: Pack, row: Row, **became: Any) -> bytes:
    """The answer to whoever reports; `became`: `proposed`, or `why` of one that was attached."""
    token, as_staff = tracking_token(tx.tenant, row["id"]), actor.may(Permission.REQUEST_READ_ALL)
    document = opened_document(row, pack, as_staff=as_staff, token=token, **became)
    return orjson.dumps(document, option=orjson.OPT_UTC_Z)


async def _attach(tx: Tx, actor: Actor, pack: Pack, row: Row, master: Match) -> bytes | None:
    """Makes the new request a duplicate of `master`; the answer shows it so. None when the master has just ended, moved or been hidden."""
    locked = await lock_by_ids(tx, [master.candidate.id])
    if locked[0]["master_id"] is not None or locked[0]["state_category"] in ("resolved", "closed"):
        return None
    if not readers_of(row).sees(locked[0]):
        return None
    attached = await attach(tx, actor, duplicate=row, master=locked[0], origin="intake", score=asdict(master.score))
    named = {"master_request_id": master.candidate.number}
    return _answer(tx, actor, pack, attached | named, why=master.why)


async def _add_evidence(tx: Tx, actor: Actor, row: Row, body: Filed) -> None:
    uploader = {"citizen": "citizen", "agent": "agent"}.get(actor.type, "staff")
    items = [{"id": id_at(row["created_at"]), **item.model_dump()} for item in body.evidence]
    await add_evidence(tx, row["id"], items, uploaded_by=uploader, at=row["created_at"])
