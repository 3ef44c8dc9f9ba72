"""Every statement on requests and what hangs on them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from civicpulse.base.db import Row, Tx
from civicpulse.base.events import stored_types
from civicpulse.requests.store import COLUMNS

# Index look-ups per row shown, so a page costs what its rows cost: no EXISTS, which may be planned as one look at all
# requests. Of master and duplicates what the reader may see.
DISPUTED_DUPLICATE = """
coalesce((SELECT true FROM requests d
          WHERE d.tenant_id = r.tenant_id AND d.master_id = r.id AND d.disputed AND {duplicate_seen} LIMIT 1), false) AS has_disputed_duplicate
"""
RELATED_SEEN = (
    """
(SELECT m.number FROM requests m WHERE m.tenant_id = r.tenant_id AND m.id = r.master_id AND {master_seen}) AS master_request_id,
(SELECT coalesce(json_agg(d.number ORDER BY d.created_at, d.id), '[]') FROM requests d
 WHERE d.tenant_id = r.tenant_id AND d.master_id = r.id AND {duplicate_seen}) AS linked_duplicates,
"""
    + DISPUTED_DUPLICATE
    + """,
(SELECT coalesce(json_agg(json_build_object('type', e.type, 'url', e.url, 'sha256', e.sha256, 'uploaded_by', e.uploaded_by,
                                            'uploaded_at', e.uploaded_at, 'hidden', e.hidden_at IS NOT NULL) ORDER BY e.uploaded_at, e.id), '[]')
 FROM evidence e WHERE e.tenant_id = r.tenant_id AND e.request_id = r.id AND e.erased_at IS NULL) AS evidence
"""
)

RELATED = RELATED_SEEN.format(master_seen="true", duplicate_seen="true")

FEEDBACK = """
(SELECT json_build_object('rating', f.rating, 'reason_codes', f.reason_codes, 'comment', f.comment,
                          'dispute_flag', f.dispute_flag, 'submitted_at', f.submitted_at)
 FROM feedback f WHERE f.tenant_id = r.tenant_id AND f.request_id = r.id) AS feedback
"""

GET_REQUEST = f"SELECT {COLUMNS}, {RELATED}, {FEEDBACK} FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.number = %(number)s"

# What shows that the work was done comes from those who do it, and from after they began: no photo of the fault counts.
WORK_EVIDENCE = """
EXISTS (SELECT 1 FROM evidence e WHERE e.tenant_id = r.tenant_id AND e.request_id = r.id AND e.uploaded_by <> 'citizen'
        AND e.uploaded_at >= coalesce(r.in_progress_at, r.assigned_at, r.created_at)) AS has_evidence
"""

LOCK_REQUEST = f"""
SELECT {COLUMNS}, {WORK_EVIDENCE},
    {DISPUTED_DUPLICATE.format(duplicate_seen="true")}
FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.number = %(number)s FOR UPDATE OF r
"""

LOCK_BY_IDS = f"""
SELECT {COLUMNS} FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.id = ANY(%(ids)s) ORDER BY r.created_at, r.id FOR UPDATE OF r
"""

FIND_ID = "SELECT id FROM requests WHERE tenant_id = %(tenant_id)s AND number = %(number)s"

LOCK_DUE = f"""
SELECT {COLUMNS} FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.next_sla_at <= %(now)s
ORDER BY r.next_sla_at LIMIT %(limit)s FOR UPDATE OF r SKIP LOCKED
"""


LOCK_UNLOOKED = """
SELECT r.id, r.description, r.address_hint, r.sub_category, r.tags, r.redacted FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND r.public_texts IS NULL ORDER BY r.created_at, r.id LIMIT %(limit)s FOR UPDATE OF r SKIP LOCKED
"""


async def lock_unlooked(tx: Tx, *, limit: int) -> list[Row]:
    """Locks requests of which nobody has worked out yet what the public reads, oldest first."""
    return await tx.rows(LOCK_UNLOOKED, {"tenant_id": tx.tenant_id, "limit": limit})


async def find_request(tx: Tx, number: str) -> Row | None:
    """Finds the request with its duplicates, evidence and feedback, or None. One statement."""
    return await tx.row(GET_REQUEST, {"tenant_id": tx.tenant_id, "number": number})


async def find_id(tx: Tx, number: str) -> UUID | None:
    """Finds the id behind a request number, or None."""
    found: UUID | None = await tx.value(FIND_ID, {"tenant_id": tx.tenant_id, "number": number})
    return found


async def lock_request(tx: Tx, number: str) -> Row | None:
    """Locks the request until the transaction ends and tells whether it has evidence of work done; None when there is no such request."""
    return await tx.row(LOCK_REQUEST, {"tenant_id": tx.tenant_id, "number": number})


async def lock_by_ids(tx: Tx, ids: list[UUID]) -> list[Row]:
    """Locks requests in one order for everybody (oldest first), so that two merges cannot wait for each other."""
    return await tx.rows(LOCK_BY_IDS, {"tenant_id": tx.tenant_id, "ids": ids})


async def lock_due(tx: Tx, *, now: Any, limit: int) -> list[Row]:
    """Locks up to `limit` requests whose clock has something to say; rows another sweep holds are left to it."""
    return await tx.rows(LOCK_DUE, {"tenant_id": tx.tenant_id, "now": now, "limit": limit})


LOCK_DUPLICATES = f"""
SELECT {COLUMNS} FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.master_id = ANY(%(ids)s)
ORDER BY r.created_at, r.id FOR UPDATE OF r
"""

HAVE_DUPLICATES = """
SELECT DISTINCT d.master_id FROM requests d WHERE d.tenant_id = %(tenant_id)s AND d.master_id = ANY(%(ids)s)
"""


async def lock_duplicates(tx: Tx, master_ids: list[UUID]) -> list[Row]:
    """Locks the duplicates of masters, oldest first."""
    if len(master_ids) > 1:  # few of many have any, and the look-up of thousands would be planned for the worst
        rows = await tx.rows(HAVE_DUPLICATES, {"tenant_id": tx.tenant_id, "ids": master_ids})
        master_ids = [row["master_id"] for row in rows]
    if not master_ids:
        return []
    return await tx.rows(LOCK_DUPLICATES, {"tenant_id": tx.tenant_id, "ids": master_ids})


ADD_EVIDENCE = """
INSERT INTO evidence (tenant_id, id, request_id, type, url, sha256, media_type, file_name, cleaned, uploaded_by, uploaded_at)
SELECT %(tenant_id)s, g.id, g.request_id, g.type, g.url, g.sha256, g.media_type, g.file_name, coalesce(g.cleaned, false), %(uploaded_by)s,
       %(at)s
FROM json_to_recordset(%(rows)s::json) AS g (id uuid, request_id uuid, type text, url text, sha256 text, media_type text,
    file_name text, cleaned boolean)
"""


async def add_evidence(tx: Tx, rows: Sequence[Row], *, uploaded_by: str, at: datetime) -> None:
    """Adds pieces of evidence, each {id, request_id, type, url, sha256}; of files that we keep also media_type and file_name."""
    values = {"tenant_id": tx.tenant_id, "rows": orjson.dumps(rows).decode(), "uploaded_by": uploaded_by, "at": at}
    await tx.run(ADD_EVIDENCE, values)


ADD_COMMENT = """
INSERT INTO comments (tenant_id, id, request_id, parent_id, author_type, author_id, is_internal, body, public_body, created_at)
VALUES (%(tenant_id)s, %(id)s, %(request_id)s, %(parent_id)s, %(author_type)s, %(author_id)s, %(is_internal)s, %(body)s,
        %(public_body)s, %(at)s)
"""

COMMENT_REQUEST = "SELECT request_id, is_internal FROM comments WHERE tenant_id = %(tenant_id)s AND id = %(id)s"

ADD_FEEDBACK = """
INSERT INTO feedback (tenant_id, request_id, rating, reason_codes, comment, dispute_flag, submitted_at)
VALUES (%(tenant_id)s, %(request_id)s, %(rating)s, %(reason_codes)s, %(comment)s, %(dispute_flag)s, %(at)s)
ON CONFLICT (tenant_id, request_id) DO NOTHING
"""

ADD_ASSIGNMENTS = """
INSERT INTO assignments (tenant_id, id, request_id, agent_id, office_id, policy, reason, candidates, failures, steps, decided_at,
                         decided_by)
SELECT %(tenant_id)s, g.id, g.request_id, g.agent_id, g.office_id, %(policy)s, g.reason, g.candidates, g.failures, g.steps, %(at)s,
       %(by)s
FROM json_to_recordset(%(rows)s::json) AS g (id uuid, request_id uuid, agent_id uuid, office_id uuid, reason text, candidates jsonb,
    failures jsonb, steps jsonb)
"""


async def add_assignments(tx: Tx, rows: Sequence[Row], *, policy: str, at: datetime, by: str) -> None:
    """Keeps decisions on who gets a request, each {id, request_id, agent_id, office_id, reason, candidates, failures, steps}."""
    values = {"tenant_id": tx.tenant_id, "rows": orjson.dumps(rows).decode(), "policy": policy, "at": at, "by": by}
    await tx.run(ADD_ASSIGNMENTS, values)


FIND_AGENT = "SELECT id, agent_code, name, active FROM agents WHERE tenant_id = %(tenant_id)s AND (id::text = %(given)s OR agent_code = %(given)s)"


LIST_EVENTS = """
SELECT e.seq, e.type, e.actor_type, e.actor_id, e.at, e.meta, encode(e.hash, 'hex') AS hash,
       c.body AS message, c.public_body AS public_message, c.is_internal, c.erased_at,
       (SELECT o.actor_id FROM events o WHERE o.tenant_id = e.tenant_id AND o.subject_id = e.subject_id AND o.seq = 1) AS opened_by
FROM events e
LEFT JOIN comments c ON e.type IN ('comment.added', 'comment') AND c.tenant_id = e.tenant_id AND c.id = (e.meta ->> 'comment_id')::uuid
WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = %(subject_id)s AND e.seq > %(after)s
ORDER BY e.seq LIMIT %(limit)s
"""


async def list_events(tx: Tx, subject_id: UUID, *, after: int, limit: int) -> list[Row]:
    """Lists events of a subject after the `after`-th, with the text of comments from outside the trail."""
    return await tx.rows(
        LIST_EVENTS, {"tenant_id": tx.tenant_id, "subject_id": subject_id, "after": after, "limit": limit}
    )


# A priority that came with another type is no decision on the priority.
PRIORITY_BY_HAND = """
SELECT EXISTS (SELECT 1 FROM events e WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = %(id)s AND e.type = ANY (%(types)s)
               AND e.actor_type IN ('dispatcher', 'agent') AND e.meta ? 'priority' AND NOT e.meta ? 'priority_follows')
"""


async def has_priority_by_hand(tx: Tx, request_id: UUID) -> bool:
    """Tells whether staff has set the request's priority."""
    values = {"tenant_id": tx.tenant_id, "id": request_id, "types": stored_types("request.classified")}
    return bool(await tx.value(PRIORITY_BY_HAND, values))
