"""Staff takes words and files of a request out of what the public sees, where the masker did not; staff goes on seeing them."""

import hashlib
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Field, StringConstraints

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import View, answers
from civicpulse.base.db import Tx
from civicpulse.base.errors import Invalid
from civicpulse.base.web import Json, TransactionRoute
from civicpulse.base.wire import LongText, Wire
from civicpulse.requests.api import OUT_OF_SIGHT
from civicpulse.requests.changes import open_change
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["privacy"])

# A letter or two would take half of every text.
Words = Annotated[LongText, StringConstraints(min_length=3, max_length=200)]

FILES = """
SELECT e.id, e.hidden_at IS NOT NULL AS hidden FROM evidence e
WHERE e.tenant_id = %(tenant_id)s AND e.request_id = %(request_id)s ORDER BY e.uploaded_at, e.id
"""

HIDE_FILES = """
UPDATE evidence e SET hidden_at = CASE WHEN e.id = ANY(%(ids)s) THEN coalesce(e.hidden_at, %(at)s) END
WHERE e.tenant_id = %(tenant_id)s AND e.request_id = %(request_id)s AND (e.id = ANY(%(ids)s)) <> (e.hidden_at IS NOT NULL)
"""


class RedactionIn(Wire):
    """All that is to be taken out of what the public sees, and why; what is left out is shown again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"words": ["Mr Smith's garage"], "reason": "Names a neighbour"}]},
    )

    words: Annotated[list[Words], Field(default_factory=list, max_length=100)]
    files: Annotated[list[UUID], Field(default_factory=list, max_length=100)]
    reason: Annotated[LongText, StringConstraints(max_length=500)]


class RedactionView(View):
    """What is taken out of what the public sees of a request: words, wherever they stand, and files."""

    request_id: str
    words: list[str]
    files: list[UUID]


@router.get(
    "/requests/{number}/redactions",
    summary="Read what is redacted",
    responses=answers(RedactionView, OUT_OF_SIGHT),
)
async def read_redactions(number: str, caller: Caller = needs(Permission.REQUEST_REDACT)) -> Response:
    """Reads what staff has taken out of what the public sees of a request."""
    change = await open_change(caller.tx, caller.actor, number)
    return Json(await _document(caller.tx, number, change.row["id"], change.row["redacted"]))


@router.put(
    "/requests/{number}/redactions",
    summary="Redact words and files",
    responses=answers(RedactionView, OUT_OF_SIGHT),
)
async def put_redactions(number: str, body: RedactionIn, caller: Caller = needs(Permission.REQUEST_REDACT)) -> Response:
    """Takes these words, wherever they stand in description, place, tags and comments, and these files out of what the public sees.

    The trail keeps who did it, when and why, and hashes of the words.
    """
    change = await open_change(caller.tx, caller.actor, number)
    request_id, tx = change.row["id"], caller.tx
    about = {"tenant_id": tx.tenant_id, "request_id": request_id}
    known = {row["id"] for row in await tx.rows(FILES, about)}
    if strange := [str(one) for one in body.files if one not in known]:
        raise Invalid(f"{number} has no file {', '.join(strange)}.", field="files")
    words = list(dict.fromkeys(body.words))
    moved = await tx.run(HIDE_FILES, about | {"ids": body.files, "at": change.at})
    if words != change.row["redacted"] or moved:
        change.set(redacted=words)
        hashes = [hashlib.sha256(word.encode()).hexdigest() for word in words]
        change.tell("request.redacted", reason=body.reason, words=hashes, files=[str(one) for one in body.files])
        await change.apply()
    return Json(await _document(tx, number, request_id, words))


async def _document(tx: Tx, number: str, request_id: UUID, words: list[str]) -> dict[str, object]:
    rows = await tx.rows(FILES, {"tenant_id": tx.tenant_id, "request_id": request_id})
    return {"request_id": number, "words": words, "files": [row["id"] for row in rows if row["hidden"]]}
