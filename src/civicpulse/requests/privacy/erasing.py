"""What a person has written about requests, taken out by law. What happened stays: state, times, place on the map, figures."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from civicpulse.base.db import Row, Tx
from civicpulse.base.events import Actor
from civicpulse.requests.privacy.public import public_text
from civicpulse.requests.store import COLUMNS, Changed, Event, change
from civicpulse.requests.visibility import of_citizen
from civicpulse.rules.masking.masker import HIDDEN

_REPORTED = "(r.citizen_id = %(citizen_id)s OR r.created_by = %(created_by)s)"
_WROTE = "c.tenant_id = %(tenant_id)s AND c.author_type = 'citizen' AND c.author_id = %(author_id)s"

REQUESTS_OF = (
    f"SELECT r.id FROM requests r WHERE r.tenant_id = %(tenant_id)s AND {_REPORTED} ORDER BY r.created_at, r.id"
)

# What they reported, and what they only spoke about.
LOCK_OF = f"""
SELECT {COLUMNS} FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND ({_REPORTED} OR r.id IN (SELECT c.request_id FROM comments c WHERE {_WROTE}))
ORDER BY r.created_at, r.id FOR UPDATE OF r
"""

FILES_OF = f"""
SELECT e.id FROM evidence e JOIN requests r ON r.tenant_id = e.tenant_id AND r.id = e.request_id
WHERE e.tenant_id = %(tenant_id)s AND {_REPORTED} AND e.uploaded_by = 'citizen' AND e.media_type IS NOT NULL
"""

ERASE_COMMENTS = f"""
UPDATE comments c SET body = NULL, public_body = NULL, erased_at = %(at)s
WHERE {_WROTE} AND c.body IS NOT NULL RETURNING c.id, c.request_id
"""

OTHERS_COMMENTS = """
SELECT c.id, c.request_id, c.body FROM comments c
WHERE c.tenant_id = %(tenant_id)s AND c.request_id = ANY(%(ids)s) AND c.body IS NOT NULL
"""

REWORD_COMMENTS = """
UPDATE comments c SET body = g.body, public_body = g.body, erased_at = %(at)s
FROM json_to_recordset(%(rows)s::json) AS g (id uuid, body text)
WHERE c.tenant_id = %(tenant_id)s AND c.id = g.id
"""

ERASE_FEEDBACK = """
UPDATE feedback f SET comment = NULL
WHERE f.tenant_id = %(tenant_id)s AND f.request_id = ANY(%(ids)s) AND f.comment IS NOT NULL RETURNING f.request_id
"""

ERASE_EVIDENCE = """
UPDATE evidence e SET url = '', media_type = NULL, file_name = NULL, erased_at = %(at)s
WHERE e.tenant_id = %(tenant_id)s AND e.request_id = ANY(%(ids)s) AND e.uploaded_by = 'citizen' AND e.erased_at IS NULL
RETURNING e.request_id, e.sha256
"""

GONE: Final[Row] = {
    "description": HIDDEN, "address_hint": None, "address_key": None, "sub_category": None, "tags": [],
    "contact_channel": "none", "redacted": [], "public_texts": {},
}  # fmt: skip
"""The columns of a request that hold its reporter's words, as they are afterwards."""


@dataclass(slots=True)
class Gone:
    """What was taken out: how many of each kind, and from which requests."""

    kinds: Counter[str] = field(default_factory=Counter)
    requests: list[UUID] = field(default_factory=list)


async def requests_of(tx: Tx, citizen_id: UUID) -> list[Row]:
    """Finds the `id` of each request that a citizen reported or had reported for them."""
    return await tx.rows(REQUESTS_OF, _person(tx, citizen_id))


async def files_of(tx: Tx, citizen_id: UUID) -> list[UUID]:
    """Finds the ids of the files that a citizen has sent with what they reported."""
    return [row["id"] for row in await tx.rows(FILES_OF, _person(tx, citizen_id))]


async def erase_texts(tx: Tx, actor: Actor, citizen_id: UUID, *, words: tuple[str, ...], at: datetime) -> Gone:
    """Takes a citizen's words out of requests, comments, ratings and evidence, and `words` out of what staff wrote there.

    Each request tells its trail what went. Run again, it tells nothing where nothing is left.
    """
    person, sight = _person(tx, citizen_id), of_citizen(citizen_id)
    rows = await tx.rows(LOCK_OF, person)
    own = [row["id"] for row in rows if sight.sees(row)]
    told: dict[UUID, dict[str, Any]] = {row["id"]: {} for row in rows}
    values = person | {"ids": own, "at": at}
    for comment in [*await tx.rows(ERASE_COMMENTS, values), *await _reword_comments(tx, values, words)]:
        told[comment["request_id"]].setdefault("comments", []).append(str(comment["id"]))
    for rated in await tx.rows(ERASE_FEEDBACK, values):
        told[rated["request_id"]]["feedback"] = True
    for kept in await tx.rows(ERASE_EVIDENCE, values):
        told[kept["request_id"]].setdefault("evidence", []).append(kept["sha256"])
    changes = [_erased(row, told[row["id"]], words, is_own=row["id"] in set(own)) for row in rows]
    changes = [one for one in changes if one.events]
    await change(tx, actor, changes, at=at, quietly=True)
    return _gone(changes)


async def _reword_comments(tx: Tx, values: Row, words: tuple[str, ...]) -> list[Row]:
    """Masks what others, staff as a rule, wrote about the person's requests; those that changed."""
    rows = await tx.rows(OTHERS_COMMENTS, values)
    changed = [row | {"body": shown} for row in rows if (shown := public_text(row["body"], words)) != row["body"]]
    if changed:
        reworded = [{"id": row["id"], "body": row["body"]} for row in changed]
        await tx.run(REWORD_COMMENTS, values | {"rows": orjson.dumps(reworded).decode()})
    return changed


def _erased(row: Row, told: dict[str, Any], words: tuple[str, ...], *, is_own: bool) -> Changed:
    wanted = GONE | {"notes": [public_text(note, words) for note in row["notes"]]} if is_own else {}
    columns = {name: value for name, value in wanted.items() if row[name] != value}
    if "description" in columns:
        told["description"] = True
    if columns:
        told["fields"] = sorted(columns.keys() - {"public_texts"})
        columns["public_texts"] = {}
    return Changed(row["id"], columns, [Event("text.erased", told)] if told else [])


def _gone(changes: list[Changed]) -> Gone:
    gone = Gone(requests=[one.id for one in changes])
    for one in changes:
        told = one.events[0].meta
        gone.kinds["description"] += bool(told.get("description"))
        gone.kinds["comment"] += len(told.get("comments", ()))
        gone.kinds["rating_comment"] += bool(told.get("feedback"))
        gone.kinds["evidence"] += len(told.get("evidence", ()))
    return gone


def _person(tx: Tx, citizen_id: UUID) -> Row:
    return {
        "tenant_id": tx.tenant_id,
        "citizen_id": citizen_id,
        "author_id": str(citizen_id),
        "created_by": f"citizen:{citizen_id}",
    }
