"""Every statement on pairs: candidates, what is merged, what staff turned down, and how staff decided in all."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg import sql

from civicpulse.base.db import Row, Tx
from civicpulse.duplicates.search import NEAR, Surroundings, surroundings
from civicpulse.packs.model import Pack
from civicpulse.requests.visibility import Sight

FIND_NEAR = f"SELECT json_agg(row_to_json(c)) FROM near_candidates({NEAR}, 'infinity', %(closed_since)s) AS c"

# Twice, so that those after it do not crowd out those before it.
FIND_NEAR_MANY = """
SELECT a.n, (SELECT json_agg(row_to_json(c)) FROM near_candidates(a.categories, a.cells, a.lon, a.lat, a.radius_m, a.address_key,
    a.asset_id, a.since, a.until, a.closed_since) AS c) AS found
FROM json_to_recordset(%(asked)s::json) AS a (n int, categories text[], cells bigint[], lon float8, lat float8, radius_m float8,
    address_key text, asset_id text, since timestamptz, until timestamptz, closed_since timestamptz)
"""

LOCK_PLACES = "SELECT count(pg_advisory_xact_lock(place)) FROM unnest(%(places)s::bigint[]) AS place"

FIND_AROUND = f"""
SELECT json_agg(c.found) FROM (
    SELECT n.id, row_to_json(n) AS found FROM near_candidates({NEAR}, %(at)s, %(closed_since)s) AS n
    UNION ALL
    SELECT n.id, row_to_json(n) FROM near_candidates({NEAR.replace("%(since)s", "%(at)s")}, %(until)s, %(closed_since)s) AS n
) AS c WHERE c.id <> ALL(%(except_ids)s)
"""

LINKED = sql.SQL("""
SELECT d.number AS request_id, l.origin, l.score, l.merged_at, l.merged_by
FROM requests d JOIN duplicate_links l ON l.tenant_id = d.tenant_id AND l.duplicate_id = d.id AND l.undone_at IS NULL
WHERE d.tenant_id = %(tenant_id)s AND d.master_id = %(id)s AND {seen} ORDER BY d.created_at, d.id LIMIT %(limit)s
""")

REJECTED = sql.SQL("""
SELECT p.other_id, coalesce(r.master_id, r.id) AS other_root, r.number AS request_id, p.rejected_at, p.rejected_by, p.reason FROM (
    SELECT high_id AS other_id, rejected_at, rejected_by, reason FROM duplicate_rejections
    WHERE tenant_id = %(tenant_id)s AND low_id = %(id)s
    UNION ALL
    SELECT low_id, rejected_at, rejected_by, reason FROM duplicate_rejections WHERE tenant_id = %(tenant_id)s AND high_id = %(id)s
) AS p JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = p.other_id AND {seen}
ORDER BY p.rejected_at DESC, r.number
""")

OPINIONS = """
SELECT p.other_id, p.state, p.verdict, p.confidence, p.reason, p.engine, p.model, p.version, p.asked_at, p.answered_at, p.last_error FROM (
    SELECT o.high_id AS other_id, o.state, o.verdict, o.confidence, o.reason, o.engine, o.model, o.version, o.asked_at, o.answered_at,
           o.last_error
    FROM duplicate_opinions o WHERE o.tenant_id = %(tenant_id)s AND o.low_id = %(id)s
    UNION ALL
    SELECT o.low_id, o.state, o.verdict, o.confidence, o.reason, o.engine, o.model, o.version, o.asked_at, o.answered_at, o.last_error
    FROM duplicate_opinions o WHERE o.tenant_id = %(tenant_id)s AND o.high_id = %(id)s
) AS p
"""

LINK_COUNTS = """
SELECT origin, count(*) AS made, count(*) FILTER (WHERE undone_at IS NOT NULL) AS undone
FROM duplicate_links WHERE tenant_id = %(tenant_id)s GROUP BY origin
"""

REJECTION_COUNTS = (
    "SELECT kind, count(*) AS made FROM duplicate_rejections WHERE tenant_id = %(tenant_id)s GROUP BY kind"
)

# A pair that was proposed at intake and has one master today was accepted, by whatever way it got there.
PROPOSAL_COUNTS = """
SELECT count(*) AS made,
       count(*) FILTER (WHERE p.is_merged) AS accepted,
       count(*) FILTER (WHERE NOT p.is_merged AND p.is_rejected) AS rejected
FROM (
    SELECT coalesce(r.master_id, r.id) = coalesce(o.master_id, o.id) AS is_merged,
           EXISTS (SELECT 1 FROM duplicate_rejections d WHERE d.tenant_id = r.tenant_id
                   AND d.low_id = least(r.id, o.id) AND d.high_id = greatest(r.id, o.id)) AS is_rejected
    FROM events e
    CROSS JOIN LATERAL jsonb_array_elements(e.meta -> 'proposed') AS proposed (match)
    JOIN requests r ON r.tenant_id = e.tenant_id AND r.id = e.subject_id
    JOIN requests o ON o.tenant_id = e.tenant_id AND o.number = proposed.match ->> 'request_id'
    WHERE e.tenant_id = %(tenant_id)s AND e.seq = 1 AND e.meta ? 'proposed'
) AS p
"""


ADD_LINKS = """
INSERT INTO duplicate_links (tenant_id, id, duplicate_id, master_id, origin, score, prior, merged_at, merged_by)
SELECT %(tenant_id)s, g.id, g.duplicate_id, g.master_id, %(origin)s, g.score, g.prior, %(at)s, %(by)s
FROM json_to_recordset(%(rows)s::json) AS g (id uuid, duplicate_id uuid, master_id uuid, score jsonb, prior jsonb)
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


async def near(tx: Tx, around: Surroundings) -> list[Row]:
    """Finds masters at a place, up to now; may hold one twice. Reads only."""
    found: list[Row] | None = await tx.value(FIND_NEAR, around.values) if around.is_anywhere else None
    return found or []


async def near_many(tx: Tx, arounds: Sequence[Surroundings], *, locking: bool) -> list[list[Row]]:
    """Finds what `near` finds, for each of many; with `locking` rivals at these places wait for us.

    The places are locked in one order for everybody. Without locking what came later than each itself is not looked at.
    """
    if locking and (places := sorted({lock for around in arounds for lock in around.place_locks})):
        await tx.value(LOCK_PLACES, {"places": places})
    asked = [
        around.asked() | {"n": n, "until": "infinity" if locking else around.at}
        for n, around in enumerate(arounds)
        if around.is_anywhere
    ]
    rows = await tx.rows(FIND_NEAR_MANY, {"asked": orjson.dumps(asked).decode()}) if asked else []
    found = {row["n"]: row["found"] or [] for row in rows}
    return [found.get(n, []) for n in range(len(arounds))]


async def around_request(tx: Tx, pack: Pack, row: Row, *, except_ids: Sequence[UUID]) -> list[Row]:
    """Finds masters that a request which is there already may duplicate, before and after it; may hold one twice.

    Bounded as at intake: of those after it the latest come first, so a very busy place may hide the next one.
    """
    at: datetime = row["created_at"]
    around = surroundings(tx.tenant_id, pack, row, at)
    if not around.is_anywhere:
        return []
    window = at - around.since
    values: dict[str, Any] = around.values | {"at": at, "until": at + window, "except_ids": list(except_ids)}
    found: list[Row] | None = await tx.value(FIND_AROUND, values)
    return found or []


async def list_linked(tx: Tx, request_id: UUID, sight: Sight, *, limit: int) -> list[Row]:
    """Lists the duplicates of a master that are seen, with how each came to be one, oldest first."""
    values = {"tenant_id": tx.tenant_id, "id": request_id, "limit": limit} | sight.parameters
    return await tx.rows(LINKED.format(seen=sight.predicate("d")), values)


async def list_rejected(tx: Tx, request_id: UUID, sight: Sight) -> list[Row]:
    """Lists the requests that staff said are not the same as this one and that are seen, each with its id and that of its master, latest first."""
    values = {"tenant_id": tx.tenant_id, "id": request_id} | sight.parameters
    return await tx.rows(REJECTED.format(seen=sight.predicate()), values)


async def list_opinions(tx: Tx, request_id: UUID) -> list[Row]:
    """Lists what a language model was asked about this request and another, with the other's id."""
    return await tx.rows(OPINIONS, {"tenant_id": tx.tenant_id, "id": request_id})


async def count_decisions(tx: Tx) -> tuple[list[Row], list[Row], Row]:
    """Links by origin, rejections by kind, and what became of the pairs that were proposed."""
    scope = {"tenant_id": tx.tenant_id}
    proposals = await tx.row(PROPOSAL_COUNTS, scope)
    assert proposals is not None
    return await tx.rows(LINK_COUNTS, scope), await tx.rows(REJECTION_COUNTS, scope), proposals
