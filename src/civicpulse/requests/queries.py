"""Every statement on requests and what hangs on them."""

from functools import lru_cache
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Invalid
from civicpulse.base.events import Actor

# What a decision or a document needs of a row; the search vector stays in the database.
COLUMNS = """
r.id, r.number, r.version, r.event_seq, r.pack_version, r.source, r.external_id, r.citizen_id, r.anonymous, r.created_by,
r.contact_channel, r.is_public, r.category, r.sub_category, r.description, r.tags, r.status, r.state_category, r.priority,
r.priority_score, r.lon, r.lat, r.cell, r.address_hint, r.address_key, r.asset_id, r.zone_id, r.master_id,
r.assigned_agent_id, r.office_id, r.candidate_agents, r.assignment_policy, r.sla, r.sla_state, r.sla_due_at, r.sla_met, r.sla_pauses,
r.sla_steps_fired, r.next_sla_at, r.escalation_count, r.breach_reason, r.milestones, r.rating, r.disputed, r.notes,
r.created_at, r.triaged_at, r.assigned_at, r.in_progress_at, r.resolved_at, r.closed_at, r.updated_at, r.needs_person
"""

# Index look-ups per row shown, so a page costs what its rows cost. Of master and duplicates what the reader may see.
RELATED_SEEN = """
(SELECT m.number FROM requests m WHERE m.tenant_id = r.tenant_id AND m.id = r.master_id AND {master_seen}) AS master_request_id,
(SELECT coalesce(json_agg(d.number ORDER BY d.created_at, d.id), '[]') FROM requests d
 WHERE d.tenant_id = r.tenant_id AND d.master_id = r.id AND {duplicate_seen}) AS linked_duplicates,
(SELECT coalesce(json_agg(json_build_object('type', e.type, 'url', e.url, 'sha256', e.sha256, 'uploaded_by', e.uploaded_by,
                                            'uploaded_at', e.uploaded_at) ORDER BY e.uploaded_at, e.id), '[]')
 FROM evidence e WHERE e.tenant_id = r.tenant_id AND e.request_id = r.id) AS evidence
"""

RELATED = RELATED_SEEN.format(master_seen="true", duplicate_seen="true")

FEEDBACK = """
(SELECT json_build_object('rating', f.rating, 'reason_codes', f.reason_codes, 'comment', f.comment,
                          'dispute_flag', f.dispute_flag, 'submitted_at', f.submitted_at)
 FROM feedback f WHERE f.tenant_id = r.tenant_id AND f.request_id = r.id) AS feedback
"""

GET_REQUEST = f"SELECT {COLUMNS}, {RELATED}, {FEEDBACK} FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.number = %(number)s"

LOCK_REQUEST = f"""
SELECT {COLUMNS}, EXISTS (SELECT 1 FROM evidence e WHERE e.tenant_id = r.tenant_id AND e.request_id = r.id) AS has_evidence,
    EXISTS (SELECT 1 FROM requests d WHERE d.tenant_id = r.tenant_id AND d.master_id = r.id AND d.disputed) AS has_disputed_duplicate
FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.number = %(number)s FOR UPDATE OF r
"""

LOCK_BY_IDS = f"""
SELECT {COLUMNS} FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.id = ANY(%(ids)s) ORDER BY r.created_at, r.id FOR UPDATE OF r
"""

FIND_ID = "SELECT id FROM requests WHERE tenant_id = %(tenant_id)s AND number = %(number)s"

LOCK_DUE = f"""
SELECT {COLUMNS} FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.next_sla_at <= %(now)s
ORDER BY r.next_sla_at LIMIT %(most)s FOR UPDATE OF r SKIP LOCKED
"""


async def find_request(tx: Tx, number: str) -> Row | None:
    """The request with its duplicates, evidence and feedback, or None. One statement."""
    return await tx.row(GET_REQUEST, {"tenant_id": tx.tenant_id, "number": number})


async def find_id(tx: Tx, number: str) -> UUID | None:
    """The id behind a request number, or None."""
    found: UUID | None = await tx.value(FIND_ID, {"tenant_id": tx.tenant_id, "number": number})
    return found


async def lock_request(tx: Tx, number: str) -> Row | None:
    """The request, locked until the transaction ends, and whether it has evidence; None when there is none such."""
    return await tx.row(LOCK_REQUEST, {"tenant_id": tx.tenant_id, "number": number})


async def lock_by_ids(tx: Tx, ids: list[UUID]) -> list[Row]:
    """Requests locked in one order for everybody (oldest first), so that two merges cannot wait for each other."""
    return await tx.rows(LOCK_BY_IDS, {"tenant_id": tx.tenant_id, "ids": ids})


async def lock_due(tx: Tx, *, now: Any, most: int) -> list[Row]:
    """Up to `most` requests whose clock has something to say; rows another sweep holds are left to it."""
    return await tx.rows(LOCK_DUE, {"tenant_id": tx.tenant_id, "now": now, "most": most})


JSON_COLUMNS = frozenset({"sla", "sla_pauses", "milestones"})


async def update_request(tx: Tx, request_id: UUID, changes: dict[str, Any], *, events: int, at: Any) -> None:
    """Sets `changes` (column → value) on a locked row; version + 1, `events` more in its trail, updated_at."""
    values = {column: Jsonb(value) if column in JSON_COLUMNS else value for column, value in changes.items()}
    values |= {"_events": events, "_at": at, "_tenant": tx.tenant_id, "_id": request_id}
    await tx.run(_update_statement(tuple(sorted(changes))), values)


@lru_cache(maxsize=1000)
def _update_statement(columns: tuple[str, ...]) -> sql.Composed:
    """The statement that sets `columns`; the actions need a few dozen, and composing one costs more than sending it."""
    sets = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder(column)) for column in columns
    )
    composed = sql.SQL(
        "UPDATE requests SET {sets}{comma}version = version + 1, event_seq = event_seq + {events}, updated_at = {at} "
        "WHERE tenant_id = {tenant} AND id = {id}"
    ).format(
        sets=sets,
        comma=sql.SQL(", " if columns else ""),
        events=sql.Placeholder("_events"),
        at=sql.Placeholder("_at"),
        tenant=sql.Placeholder("_tenant"),
        id=sql.Placeholder("_id"),
    )
    # One part, so that the driver has nothing left to put together. Names of columns are ours, never a caller's.
    return sql.Composed([sql.SQL(composed.as_string())])


FOLLOW_MASTERS = """
WITH moved AS (
    UPDATE requests d SET status = m.status, state_category = m.state_category, triaged_at = m.triaged_at, assigned_at = m.assigned_at,
        in_progress_at = m.in_progress_at, resolved_at = m.resolved_at, closed_at = m.closed_at, updated_at = %(at)s,
        sla_state = CASE WHEN m.state_category IN ('resolved', 'closed') THEN 'completed'
                         WHEN d.state_category IN ('resolved', 'closed') THEN m.sla_state ELSE d.sla_state END,
        disputed = d.disputed AND (m.state_category IN ('resolved', 'closed') OR d.state_category NOT IN ('resolved', 'closed')),
        version = d.version + 1, event_seq = d.event_seq + 1
    FROM requests m
    WHERE m.tenant_id = %(tenant_id)s AND m.id = ANY(%(master_ids)s)
      AND d.tenant_id = m.tenant_id AND d.master_id = m.id AND d.status <> m.status
    RETURNING d.tenant_id, d.id, d.event_seq, d.status, m.number
), told AS (
    INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, actor_id, at, meta)
    SELECT tenant_id, id, event_seq, 'followed', %(actor_type)s, %(actor_id)s, %(at)s,
           jsonb_build_object('to', status, 'master_request_id', number)
    FROM moved
    RETURNING tenant_id, subject_id, seq, type
)
INSERT INTO outbox (tenant_id, subject_id, seq, type) SELECT tenant_id, subject_id, seq, type FROM told
"""


HAVE_DUPLICATES = """
SELECT DISTINCT d.master_id FROM requests d WHERE d.tenant_id = %(tenant_id)s AND d.master_id = ANY(%(ids)s)
"""


async def follow_masters(tx: Tx, actor: Actor, master_ids: list[UUID], *, at: Any) -> int:
    """Moves the duplicates of masters to their master's state, each with an event of its own; how many moved."""
    if len(master_ids) > 1:  # few of many have any, and the join of thousands would be planned for the worst
        rows = await tx.rows(HAVE_DUPLICATES, {"tenant_id": tx.tenant_id, "ids": master_ids})
        master_ids = [row["master_id"] for row in rows]
    if not master_ids:
        return 0
    values = {
        "tenant_id": tx.tenant_id,
        "master_ids": master_ids,
        "at": at,
        "actor_type": actor.type,
        "actor_id": actor.id,
    }
    return await tx.run(FOLLOW_MASTERS, values)


ADD_EVIDENCE = """
INSERT INTO evidence (tenant_id, id, request_id, type, url, sha256, uploaded_by, uploaded_at)
SELECT %(tenant_id)s, item.id, %(request_id)s, item.type, item.url, item.sha256, %(uploaded_by)s, %(at)s
FROM unnest(%(ids)s::uuid[], %(types)s::text[], %(urls)s::text[], %(hashes)s::text[]) AS item (id, type, url, sha256)
"""


async def add_evidence(tx: Tx, request_id: UUID, items: list[Row], *, uploaded_by: str, at: Any) -> None:
    """Adds pieces of evidence, each {id, type, url, sha256}."""
    values = {
        "tenant_id": tx.tenant_id,
        "request_id": request_id,
        "uploaded_by": uploaded_by,
        "at": at,
        "ids": [item["id"] for item in items],
        "types": [item["type"] for item in items],
        "urls": [item["url"] for item in items],
        "hashes": [item["sha256"] for item in items],
    }
    await tx.run(ADD_EVIDENCE, values)


ADD_COMMENT = """
INSERT INTO comments (tenant_id, id, request_id, parent_id, author_type, author_id, is_internal, body, created_at)
VALUES (%(tenant_id)s, %(id)s, %(request_id)s, %(parent_id)s, %(author_type)s, %(author_id)s, %(is_internal)s, %(body)s, %(at)s)
"""

COMMENT_REQUEST = "SELECT request_id, is_internal FROM comments WHERE tenant_id = %(tenant_id)s AND id = %(id)s"

ADD_FEEDBACK = """
INSERT INTO feedback (tenant_id, request_id, rating, reason_codes, comment, dispute_flag, submitted_at)
VALUES (%(tenant_id)s, %(request_id)s, %(rating)s, %(reason_codes)s, %(comment)s, %(dispute_flag)s, %(at)s)
ON CONFLICT (tenant_id, request_id) DO NOTHING
"""

ADD_ASSIGNMENT = """
INSERT INTO assignments (tenant_id, id, request_id, agent_id, office_id, policy, reason, candidates, failures, steps, decided_at,
                         decided_by)
VALUES (%(tenant_id)s, %(id)s, %(request_id)s, %(agent_id)s, %(office_id)s, %(policy)s, %(reason)s, %(candidates)s, %(failures)s,
        %(steps)s, %(at)s, %(by)s)
"""

TOUCH_AGENT = "UPDATE agents SET last_assigned_at = %(at)s WHERE tenant_id = %(tenant_id)s AND id = %(id)s"

FIND_AGENT = "SELECT id, agent_code, name, active FROM agents WHERE tenant_id = %(tenant_id)s AND (id::text = %(given)s OR agent_code = %(given)s)"


async def agent_id(tx: Tx, given: str) -> UUID:
    """The id of an agent, by id or code, retired ones too. Raises Invalid when there is none."""
    agent = await tx.row(FIND_AGENT, {"tenant_id": tx.tenant_id, "given": given})
    if agent is None:
        raise Invalid(f"There is no agent {given!r}.", field="agent")
    found: UUID = agent["id"]
    return found


LIST_EVENTS = """
SELECT e.seq, e.type, e.actor_type, e.actor_id, e.at, e.meta, encode(e.hash, 'hex') AS hash,
       c.body AS message, c.is_internal, c.erased_at
FROM events e
LEFT JOIN comments c ON e.type = 'comment' AND c.tenant_id = e.tenant_id AND c.id = (e.meta ->> 'comment_id')::uuid
WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = %(subject_id)s AND e.seq > %(after)s
ORDER BY e.seq LIMIT %(most)s
"""


async def list_events(tx: Tx, subject_id: UUID, *, after: int, most: int) -> list[Row]:
    """Events of a subject after the `after`-th, with the text of comments from outside the trail."""
    return await tx.rows(
        LIST_EVENTS, {"tenant_id": tx.tenant_id, "subject_id": subject_id, "after": after, "most": most}
    )


ADD_LINK = """
INSERT INTO duplicate_links (tenant_id, id, duplicate_id, master_id, origin, score, prior, merged_at, merged_by)
VALUES (%(tenant_id)s, %(id)s, %(duplicate_id)s, %(master_id)s, %(origin)s, %(score)s, %(prior)s, %(at)s, %(by)s)
"""

ACTIVE_LINK = """
SELECT id, duplicate_id, master_id, prior FROM duplicate_links
WHERE tenant_id = %(tenant_id)s AND duplicate_id = %(duplicate_id)s AND undone_at IS NULL
"""

UNDO_LINK = (
    "UPDATE duplicate_links SET undone_at = %(at)s, undone_by = %(by)s WHERE tenant_id = %(tenant_id)s AND id = %(id)s"
)

REJECT_PAIR = """
INSERT INTO duplicate_rejections (tenant_id, low_id, high_id, rejected_at, rejected_by, kind, reason)
VALUES (%(tenant_id)s, least(%(one)s::uuid, %(other)s::uuid), greatest(%(one)s::uuid, %(other)s::uuid), %(at)s, %(by)s,
        %(kind)s, %(reason)s)
ON CONFLICT DO NOTHING
"""

IS_REJECTED = """
SELECT EXISTS (SELECT 1 FROM duplicate_rejections WHERE tenant_id = %(tenant_id)s
               AND low_id = least(%(one)s::uuid, %(other)s::uuid) AND high_id = greatest(%(one)s::uuid, %(other)s::uuid))
"""

# All that were merged into it, also through others: links say who was merged into whom at the time.
MERGED_BELOW = """
WITH RECURSIVE below (id) AS (
    SELECT duplicate_id FROM duplicate_links WHERE tenant_id = %(tenant_id)s AND master_id = %(id)s AND undone_at IS NULL
    UNION
    SELECT l.duplicate_id FROM duplicate_links l JOIN below b ON l.master_id = b.id
    WHERE l.tenant_id = %(tenant_id)s AND l.undone_at IS NULL
)
SELECT id FROM below
"""

MOVE_ALONG = """
WITH moved AS (
    UPDATE requests SET master_id = %(master_id)s, version = version + 1, event_seq = event_seq + 1, updated_at = %(at)s
    WHERE tenant_id = %(tenant_id)s AND id = ANY(%(ids)s)
    RETURNING id, event_seq
), told AS (
    INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, actor_id, at, meta)
    SELECT %(tenant_id)s, id, event_seq, 'merged', %(actor_type)s, %(actor_id)s, %(at)s, %(meta)s FROM moved
    RETURNING tenant_id, subject_id, seq, type
)
INSERT INTO outbox (tenant_id, subject_id, seq, type) SELECT tenant_id, subject_id, seq, type FROM told
"""


async def move_along(tx: Tx, actor: Actor, below: list[Row], *, master: Row, along_with: Row, at: Any) -> None:
    """Gives requests that were merged into `along_with` the new master that it got, each with an event of its own."""
    about = {"master_request_id": master["number"], "master_id": str(master["id"]), "origin": "along"}
    values = {
        "tenant_id": tx.tenant_id,
        "ids": [row["id"] for row in below],
        "master_id": master["id"],
        "actor_type": actor.type,
        "actor_id": actor.id,
        "at": at,
        "meta": Jsonb({**about, "along_with": along_with["number"]}),
    }
    await tx.run(MOVE_ALONG, values)
