"""Writes by which people speak about a request: comments and the rating."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Conflict, Forbidden, Invalid
from civicpulse.base.events import Actor
from civicpulse.base.ids import new_id
from civicpulse.requests import queries
from civicpulse.requests.changes import open_change
from civicpulse.requests.privacy.public import public_text
from civicpulse.requests.store import text_hash
from civicpulse.requests.visibility import reported_by
from civicpulse.rules.lifecycle import is_ended
from civicpulse.rules.words.saying import readable

STAFF: Final = frozenset({"agent", "dispatcher"})
"""Kinds of actors whose work it is that people rate."""


async def comment(
    tx: Tx, actor: Actor, number: str, *, message: str, parent_id: UUID | None, is_internal: bool
) -> dict[str, Any]:
    """Adds a comment to the thread (R-PRIV-05); the event holds its id and hash, the text can be erased by law.

    Raises Invalid when `parent_id` is not a comment of this request, or a public answer would follow an internal note.
    """
    change = await open_change(tx, actor, number)
    if parent_id is not None:
        parent = await tx.row(queries.COMMENT_REQUEST, {"tenant_id": tx.tenant_id, "id": parent_id})
        if parent is None or parent["request_id"] != change.row["id"]:
            raise Invalid(
                "This request has no comment with that id to answer: send that of one of its comments.",
                field="parent_comment_id",
            )
        is_internal = is_internal or parent["is_internal"]
    comment_id = new_id()
    values = {
        "tenant_id": tx.tenant_id,
        "id": comment_id,
        "request_id": change.row["id"],
        "parent_id": parent_id,
        "author_type": actor.type,
        "author_id": actor.id,
        "is_internal": is_internal,
        "body": message,
        "public_body": public_text(message),
        "at": change.at,
    }
    await tx.run(queries.ADD_COMMENT, values)
    about: dict[str, Any] = {
        "comment_id": str(comment_id),
        "parent_comment_id": str(parent_id) if parent_id else None,
        "internal": is_internal,
    }
    change.tell("comment.added", **about, sha256=text_hash(message))
    await change.apply()
    return {
        "type": "comment.added",
        "name": "comment",
        "seq": change.row["event_seq"],
        "by": {"actor_type": actor.type, "actor_id": actor.id},
        "at": change.at,
        "meta": {**about, "message": message},
    }


async def rate(
    tx: Tx,
    actor: Actor,
    number: str,
    *,
    rating: int,
    reason_codes: Sequence[str],
    comment: str | None,
    dispute: bool,
    is_reporter: bool,
) -> Row:
    """Stores the reporter's verdict (R-PRIV-06): once a request, after its resolution. Returns the row.

    Raises Forbidden for anybody but the reporter and for staff, Conflict before resolution or the second time.
    """
    if actor.kind in STAFF:
        raise Forbidden(
            "Staff does not rate its own work: let the person who reported it rate, by their account or their link.",
            code="staff_does_not_rate",
        )
    change = await open_change(tx, actor, number)
    row = change.row
    if not (is_reporter or reported_by(actor).sees(row)):
        raise Forbidden("Only the person who reported this request may rate it.", code="not_the_reporter")
    if not is_ended(row["state_category"]):
        raise change.conflict("not_resolved")
    unknown = [code for code in reason_codes if code not in change.pack.document.rating_reason_codes]
    if unknown:
        known = change.pack.document.rating_reason_codes
        said = f"There are no reasons for a rating called {_listed(unknown)}; there are: {_listed(known)}."
        raise Invalid(said, errors=[{"field": "reason_codes", "detail": said, "choices": list(known)}])
    values = {
        "tenant_id": tx.tenant_id,
        "request_id": row["id"],
        "rating": rating,
        "reason_codes": list(reason_codes),
        "comment": comment,
        "dispute_flag": dispute,
        "at": change.at,
    }
    if await tx.run(queries.ADD_FEEDBACK, values) == 0:
        raise Conflict(f"{number} has been rated already.", code="already_rated")
    change.set(rating=rating, disputed=dispute, disputes=row["disputes"] + dispute)
    change.attest(feedback=text_hash(comment) if comment else None)
    change.tell("request.rated", rating=rating, reason_codes=list(reason_codes), dispute_flag=dispute)
    return await change.apply()


def _listed(codes: Sequence[str]) -> str:
    return ", ".join(map(readable, codes)) or "none"
