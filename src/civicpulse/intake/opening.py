"""The one way a request is opened, for one or many: identify, place, prioritise, clock, duplicates, store (R-INT-01)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from civicpulse.accounts.roles import roles_of
from civicpulse.base import clock as time
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Invalid
from civicpulse.base.events import Actor
from civicpulse.base.idempotency import keep_answer
from civicpulse.base.ids import id_at, lock_number
from civicpulse.duplicates.joining import Joining
from civicpulse.duplicates.queries import near_many
from civicpulse.duplicates.search import match_json, surroundings
from civicpulse.intake import queries
from civicpulse.intake.identifying import answer_scope, check_external, fingerprint_of, reporter_of, teller_of
from civicpulse.intake.incoming import Incoming
from civicpulse.intake.placing import spot_of
from civicpulse.intake.preparing import Prepared, Preparer
from civicpulse.intake.schemas import RequestIn
from civicpulse.packs.model import Category, Pack
from civicpulse.packs.store import current_pack
from civicpulse.people.queries import find_reporter
from civicpulse.requests import store
from civicpulse.requests.actions import UPLOADERS, evidence_row
from civicpulse.requests.queries import add_evidence
from civicpulse.requests.views.opened import opened_document
from civicpulse.requests.visibility import NOTHING, Sight, tracking_token
from civicpulse.rules.access import Permission
from civicpulse.rules.duplicates import Judgement


@dataclass(frozen=True, slots=True)
class Opened:
    """What became of one that came in: its row as written, with `master_request_id` and its evidence, and the verdict."""

    row: Row
    verdict: Judgement

    @property
    def outcome(self) -> str:
        """What was decided: new, proposed or attached."""
        return self.verdict.outcome

    @property
    def matches(self) -> list[dict[str, Any]]:
        """The candidates that decided, best first: those proposed to staff and those that the reporter may know of."""
        verdict = self.verdict
        decisive = (verdict.master,) if verdict.master else (*verdict.proposed, *verdict.shared)
        return [match_json(match) for match in {match.candidate.id: match for match in decisive}.values()]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the reporter gets: the document as JSON bytes, whether it was answered before, and of a new one its number."""

    body: bytes
    replayed: bool
    number: str | None = None


async def post_request(
    tx: Tx,
    actor: Actor,
    body: RequestIn,
    *,
    profile: UUID | None,
    key: str | None,
    source: str = "api",
    sight: Sight = NOTHING,
) -> Receipt:
    """Opens a request for somebody who waits for the answer; the same key and body again get the same answer.

    `profile` is the citizen behind the caller's token, where there is one; of another request that is in the way they are
    told what is in their `sight`. Raises Invalid for what cannot be used, Forbidden when a caller claims to be somebody
    else, Conflict when the external id is another request's.
    """
    pack, now = await current_pack(tx), time.now()
    category = wanted_category(pack, body.category)
    teller = await teller_of(
        actor, body.citizen_ref, profile=profile, roles=await roles_of(tx), find=lambda one: find_reporter(tx, one)
    )
    if body.priority is not None and not actor.may(Permission.REQUEST_TRANSITION):
        raise Invalid(
            "Only staff sets a priority; leave it out and it is chosen from category, tags and text.", field="priority"
        )
    came = Incoming(
        id=id_at(now),
        source=source,
        category=category.id,
        description=body.description,
        spot=await spot_of(tx, pack, body.location),
        reporter=reporter_of(teller, body.citizen_ref.contact_channel),
        created_at=now,
        sub_category=body.sub_category,
        tags=body.tags,
        asset_id=body.asset_id,
        external_id=body.external_id,
        is_public=body.is_public,
        priority=body.priority,
        evidence=[item.model_dump() for item in body.evidence],
    )
    preparer = Preparer(pack, tx.tenant.pack_version, now)
    prepared = preparer.prepare(came)
    scope = answer_scope("requests", tx.tenant, actor, teller, key)
    fingerprint = fingerprint_of(body.fingerprint())
    around = surroundings(tx.tenant_id, pack, prepared.row, now)
    lock = lock_number(tx.tenant_id, scope, key)
    answered = await queries.open_intake(tx, scope=scope, key=key, key_lock=lock, around=around)
    if answered.answer is not None:
        return _replay(answered, fingerprint)
    actor = teller.actor
    if came.external_id is not None:
        await check_external(tx, actor, came.external_id, source, sight=sight)
    assert answered.number is not None, "what is not a replay gets a number"
    coming = _Coming(prepared, answered.candidates, answered.number)
    (opened,) = await _open(tx, actor, preparer, [coming])
    answer = _answer(tx, actor, pack, opened)
    if key is not None:
        await keep_answer(tx, scope=scope, key=key, fingerprint=fingerprint, answer=answer.decode())
    return Receipt(answer, replayed=False, number=opened.row["number"])


async def open_requests(tx: Tx, actor: Actor, preparer: Preparer, came: Sequence[Prepared]) -> list[Opened]:
    """Opens requests that came together, in their order: each may be the duplicate of one before it.

    One whose source and external id were written by somebody else in the meantime is left out. What has ended
    elsewhere is nobody's duplicate, and no history waits for the places that it names.
    """
    arounds = [surroundings(tx.tenant_id, preparer.pack, one.row, one.came.created_at) for one in came if one.is_judged]
    found = iter(await near_many(tx, arounds, locking=not any(one.came.history for one in came)))
    numbers = await store.take_numbers(tx, len(came))
    coming = [
        _Coming(one, next(found) if one.is_judged else [], number) for one, number in zip(came, numbers, strict=True)
    ]
    return await _open(tx, actor, preparer, coming)


@dataclass(frozen=True, slots=True)
class _Coming:
    """One that is about to be written, with the candidates near it and its number."""

    prepared: Prepared
    candidates: list[Row]
    number: int


async def _open(tx: Tx, actor: Actor, preparer: Preparer, coming: Sequence[_Coming]) -> list[Opened]:
    """Judges, writes and links; every channel's requests come through here."""
    pack, prefix = preparer.pack, preparer.pack.document.request_id_prefix
    for one in coming:
        row = one.prepared.row
        row["number"] = store.number_of(prefix, row["created_at"], one.number)
    joining = Joining(tx, actor, pack, preparer.now)
    judged = [(one.prepared.row, one.candidates) for one in coming if one.prepared.is_judged]
    verdicts = await joining.judge(judged)
    for one in coming:
        row, told = one.prepared.row, one.prepared.told
        verdict = verdicts.get(row["id"], NEW)
        told[0].meta["duplicates"] = verdict.outcome
        if one.prepared.came.evidence:
            told[0].attests["evidence"] = [item["sha256"] for item in one.prepared.came.evidence]
        if verdict.proposed:
            told[0].meta["proposed"] = [match_json(match) for match in verdict.proposed]
        told.extend(joining.join(row, verdict))
    written = [(one.prepared.row, one.prepared.told) for one in coming]
    quietly = any(one.prepared.came.history for one in coming)
    added = await store.insert(tx, actor, written, quietly=quietly)
    await joining.link(added, quietly=quietly)
    kept = [one for one in coming if one.prepared.row["id"] in added]
    evidence = await _add_evidence(tx, actor, [one.prepared for one in kept])
    return [_opened(one, verdicts.get(one.prepared.row["id"], NEW), evidence) for one in kept]


def _opened(one: _Coming, verdict: Judgement, evidence: Mapping[UUID, list[Row]]) -> Opened:
    row = one.prepared.row
    shown = [{name: item[name] for name in EVIDENCE_SHOWN} for item in evidence.get(row["id"], ())]
    master = verdict.master.candidate.number if verdict.master else None
    return Opened(row | {"master_request_id": master, "linked_duplicates": [], "evidence": shown}, verdict)


NEW = Judgement("new", None, ())
EVIDENCE_SHOWN = ("type", "url", "sha256", "uploaded_by", "uploaded_at")


async def _add_evidence(tx: Tx, actor: Actor, written: Sequence[Prepared]) -> dict[UUID, list[Row]]:
    """Stores what came with the requests; the pieces of each by its id."""
    rows = [{**evidence_row(one.row["id"], item), **item} for one in written for item in one.came.evidence]
    if not rows:
        return {}
    uploader, at = UPLOADERS[actor.type], written[0].row["created_at"]
    await add_evidence(tx, rows, uploaded_by=uploader, at=at)
    stored: dict[UUID, list[Row]] = {}
    for row in rows:
        stored.setdefault(row["request_id"], []).append(row | {"uploaded_by": uploader, "uploaded_at": at})
    return stored


def _replay(answered: queries.Answered, fingerprint: bytes) -> Receipt:
    if answered.fingerprint != fingerprint or answered.answer is None:
        raise Invalid(
            "This Idempotency-Key was used for another body: use a new key for a new report.",
            code="idempotency_key_reused",
        )
    return Receipt(answered.answer.encode(), replayed=True)


def _answer(tx: Tx, actor: Actor, pack: Pack, opened: Opened) -> bytes:
    """Writes the document of the row that was written, as this reporter may see it: a stranger must not learn where private reports lie."""
    as_staff, verdict = actor.may(Permission.REQUEST_READ_ALL), opened.verdict
    became: dict[str, Any] = {"why": verdict.master.why} if verdict.master else {}
    if not became:
        proposed = verdict.proposed if actor.scope == "all" else verdict.shared
        became["proposed"] = [match_json(match) for match in proposed]
    token = tracking_token(tx.tenant, opened.row["id"])
    document = opened_document(opened.row, pack, as_staff=as_staff, token=token, **became)
    return orjson.dumps(document, option=orjson.OPT_UTC_Z)


def wanted_category(pack: Pack, name: str) -> Category:
    """Finds the pack's category of that id. Raises Invalid naming those that there are."""
    category = pack.categories.get(name)
    if category is None:
        known = ", ".join(one.name for one in pack.categories.values())
        detail = f"There is no category {name!r}; this tenant has: {known}."
        fault = {"field": "category", "detail": detail, "choices": list(pack.categories)}
        raise Invalid(detail, errors=[fault], code="unknown_category")
    return category
