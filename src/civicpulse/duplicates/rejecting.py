"""Staff's word that two requests are not the same, and taking it back (R-DUP-05)."""

from civicpulse.base import clock as time
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Conflict, Invalid
from civicpulse.base.events import Actor
from civicpulse.duplicates import queries as pairs
from civicpulse.packs.store import pack_version
from civicpulse.requests import queries
from civicpulse.requests.changes import Change, not_found

FIND_PAIR = "SELECT id, number FROM requests WHERE tenant_id = %(tenant_id)s AND number = ANY(%(numbers)s)"

FIND_REJECTION = """
SELECT rejected_at, rejected_by, reason FROM duplicate_rejections
WHERE tenant_id = %(tenant_id)s
  AND low_id = least(%(one)s::uuid, %(other)s::uuid) AND high_id = greatest(%(one)s::uuid, %(other)s::uuid)
"""

DROP_REJECTION = """
DELETE FROM duplicate_rejections
WHERE tenant_id = %(tenant_id)s
  AND low_id = least(%(one)s::uuid, %(other)s::uuid) AND high_id = greatest(%(one)s::uuid, %(other)s::uuid)
"""


async def reject(tx: Tx, actor: Actor, number: str, *, other: str, reason: str | None) -> Row:
    """Keeps that the two differ: the pair is neither attached nor proposed any more. Said twice, the first word stands.

    Returns rejected_at, rejected_by and reason. Raises NotFound when either is absent, Invalid for a request and
    itself, Conflict when they are merged.
    """
    rows = await _locked_pair(tx, number, other)
    if len({row["master_id"] or row["id"] for row in rows}) == 1:
        raise Conflict(f"{number} and {other} are merged: unmerge them first.", code="already_merged")
    pair = _pair(tx, rows)
    word = {"at": time.now(), "by": actor.key, "kind": "rejected", "reason": reason}
    if await tx.run(pairs.REJECT_PAIR, pair | word):
        await _tell_both(tx, actor, rows, "duplicate.rejected")
    kept = await tx.row(FIND_REJECTION, pair)
    assert kept is not None, "the pair is locked"
    return kept


async def take_back(tx: Tx, actor: Actor, number: str, *, other: str) -> bool:
    """Takes back that the pair differs; tells whether there was a word to take back. Raises as `reject` does."""
    rows = await _locked_pair(tx, number, other)
    if not await tx.run(DROP_REJECTION, _pair(tx, rows)):
        return False
    await _tell_both(tx, actor, rows, "duplicate.rejection_undone")
    return True


async def _locked_pair(tx: Tx, number: str, other: str) -> list[Row]:
    found = await tx.rows(FIND_PAIR, {"tenant_id": tx.tenant_id, "numbers": [number, other]})
    ids = {row["number"]: row["id"] for row in found}
    for wanted in (number, other):
        if wanted not in ids:
            raise not_found(wanted)
    if number == other:
        raise Invalid(f"{number} cannot differ from itself: name another request.", field="other", code="same_request")
    return await queries.lock_by_ids(tx, list(ids.values()))


def _pair(tx: Tx, rows: list[Row]) -> Row:
    return {"tenant_id": tx.tenant_id, "one": rows[0]["id"], "other": rows[1]["id"]}


async def _tell_both(tx: Tx, actor: Actor, rows: list[Row], type: str) -> None:
    at = time.now()
    for row, other in zip(rows, reversed(rows), strict=True):
        change = Change(tx, actor, row, await pack_version(tx, row["pack_version"]), at)
        change.tell(type, other_request_id=other["number"])
        await change.apply()
