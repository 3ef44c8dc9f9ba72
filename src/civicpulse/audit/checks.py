"""What is held against what, as SQL: each check finds the first fault of each of its kinds among some subjects.

Names of events are those of today and of release 0.1. What the trail says was erased by law is no fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from civicpulse.base.events import stored_types
from civicpulse.requests.store import ATTESTED


@dataclass(frozen=True, slots=True)
class Check:
    """Kinds of faults that one query finds among the subjects `ids`: `kind` and what the words of that kind ask for.

    The first one of each kind; without one, no row. What else the query counts is in every row.
    """

    words: Mapping[str, str]
    query: str


def _types(name: str) -> str:
    return ", ".join(f"'{stored}'" for stored in stored_types(name))


def _first_of_each(kinds: Mapping[str, str], columns: str, source: str, order: str) -> str:
    """Writes the query for the first row of each kind, in `order`; `kinds` says by which condition each is known."""
    cases = " ".join(f"WHEN {condition} THEN '{kind}'" for kind, condition in kinds.items())
    return f"""
SELECT DISTINCT ON (f.kind) f.* FROM (SELECT CASE {cases} END AS kind, {columns} {source}) AS f
WHERE f.kind IS NOT NULL ORDER BY f.kind, {order}
"""


_TRAIL: Final = """
FROM (SELECT e.tenant_id, e.subject_id, e.seq, e.subject_type, e.type, e.actor_type, e.actor_id, e.at, e.meta, e.hash, e.attests,
             lag(e.hash) OVER trail AS previous_hash, coalesce(lag(e.seq) OVER trail, 0) AS previous_seq,
             lag(e.at) OVER trail AS previous_at
      FROM events e WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s)
      WINDOW trail AS (PARTITION BY e.subject_id ORDER BY e.seq)) AS t
LEFT JOIN requests r ON r.tenant_id = t.tenant_id AND r.id = t.subject_id
"""

_EVENT: Final = "coalesce(r.number, t.subject_type || ' ' || t.subject_id) AS what, t.subject_id, t.seq, t.type, t.at"

_TRAIL_KINDS: Final = {
    "event missing": "t.seq <> t.previous_seq + 1",
    "event altered": """t.hash <> event_hash(t.previous_hash, t.tenant_id, t.subject_id, t.seq, t.subject_type, t.type, t.actor_type,
        t.actor_id, t.at, t.meta)""",
    "time runs backwards": "t.attests IS NOT NULL AND t.at < t.previous_at",
    "request missing": "t.subject_type = 'request' AND r.id IS NULL",
}

_ROWS: Final = """
asked AS MATERIALIZED (
    SELECT r.tenant_id, r.id, r.event_seq, r.description, {columns}
    FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.id = ANY (%(ids)s)
)
""".format(columns=", ".join(f"r.{name}" for name in ATTESTED))

# What vouches for a row: its own events and, for rows of an earlier release, what the tenant's trail said of it when the chain began.
# Where an earlier release has written since, nothing vouches (`is_silent`).
_SAID: Final = """
said AS MATERIALIZED (
    SELECT e.subject_id AS id, e.seq, false AS is_base, e.attests FROM events e
    WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s) AND e.subject_type = 'request'
    UNION ALL
    SELECT b.key::uuid, (b.value ->> 'seq')::int, true, b.value - 'seq' FROM events e
    CROSS JOIN LATERAL jsonb_each(e.attests -> 'requests') AS b
    WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = %(tenant_id)s AND e.type = 'tenant.attested'
      AND (e.meta ->> 'from')::uuid <= %(last)s AND (e.meta ->> 'upto')::uuid >= %(first)s AND b.key::uuid = ANY (%(ids)s)
), vouched AS MATERIALIZED (
    SELECT s.id, jsonb_merged(s.attests ORDER BY s.seq, s.is_base) AS says, coalesce(max(s.seq), 0) AS told,
           coalesce(max(s.seq) FILTER (WHERE s.attests IS NULL), 0) > coalesce(max(s.seq) FILTER (WHERE s.is_base), 0) AS is_silent
    FROM said s GROUP BY s.id
)
"""

_TEXT: Final = "encode(sha256(convert_to({}, 'UTF8')), 'hex')"


def _erased(what: str, of: str) -> str:
    """Writes the condition that the trail of the request `of` says that `what` was erased by law."""
    return f"""EXISTS (SELECT 1 FROM events x WHERE x.tenant_id = %(tenant_id)s AND x.subject_id = {of}
        AND x.type IN ('text.erased', 'comment.erased') AND {what})"""


TYPES: Final = {
    "priority_score": "smallint",
    "rating": "smallint",
    "is_public": "boolean",
    "disputed": "boolean",
    "zone_id": "text",
}
"""Types of columns that their names do not tell: else one that ends in _at is a time, in _id an id, and any other a text."""


def _type_of(name: str) -> str:
    return TYPES.get(name) or {"_at": "timestamptz", "_id": "uuid"}.get(name[-3:], "text")


_TOLD_COLUMNS: Final = ", ".join(f"{name} {_type_of(name)}" for name in ATTESTED)
_EACH_COLUMN: Final = ", ".join(
    f"('{name}', r.{name}::text, s.{name}::text, r.{name} IS DISTINCT FROM s.{name})" for name in ATTESTED
)
_AS_ROW: Final = ", ".join(f"{{0}}.{name}" for name in ATTESTED)

_REQUESTS: Final = f"""
WITH {_ROWS}, {_SAID}, altered AS (
    SELECT r.number, c.column, coalesce(c.stored, 'nothing') AS stored, coalesce(c.told, 'nothing') AS told
    FROM vouched v JOIN asked r ON r.id = v.id
    CROSS JOIN LATERAL jsonb_to_record(v.says) AS s ({_TOLD_COLUMNS})
    CROSS JOIN LATERAL (VALUES {_EACH_COLUMN}) AS c ("column", stored, told, differs)
    WHERE NOT v.is_silent AND ({_AS_ROW.format("r")}) IS DISTINCT FROM ({_AS_ROW.format("s")})
      AND c.differs AND (jsonb_exists(v.says, c.column) OR jsonb_exists(v.says, 'number'))
    ORDER BY r.number, c.column LIMIT 1
), reworded AS (
    SELECT r.number FROM vouched v JOIN asked r ON r.id = v.id
    WHERE NOT v.is_silent AND v.says ->> 'description' <> {_TEXT.format("r.description")}
      AND NOT {_erased("x.meta -> 'description' = 'true'::jsonb", "r.id")}
    ORDER BY r.number LIMIT 1
), cut AS (
    SELECT r.number, r.event_seq, coalesce(v.told, 0) AS told FROM asked r LEFT JOIN vouched v ON v.id = r.id
    WHERE r.event_seq <> coalesce(v.told, 0) ORDER BY r.number LIMIT 1
)
SELECT 'request altered' AS kind, number, "column", stored, told, 0 AS count FROM altered
UNION ALL SELECT 'description altered', number, '', '', '', 0 FROM reworded
UNION ALL SELECT 'trail cut off', number, '', event_seq::text, told::text, 0 FROM cut
UNION ALL SELECT 'unvouched', '', '', '', '', count(*) FROM vouched v WHERE v.is_silent HAVING count(*) > 0
"""

_COMMENTS: Final = f"""
FROM (SELECT e.subject_id, e.seq, (e.meta ->> 'comment_id')::uuid AS id, e.meta ->> 'sha256' AS sha256, e.meta -> 'internal' AS internal
      FROM events e
      WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s) AND e.type IN ({_types("comment.added")})) AS t
FULL JOIN (SELECT c.id, c.request_id, c.body, c.is_internal FROM comments c
           WHERE c.tenant_id = %(tenant_id)s AND c.request_id = ANY (%(ids)s)) AS c ON c.id = t.id AND c.request_id = t.subject_id
JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = coalesce(t.subject_id, c.request_id)
"""

_COMMENT_ERASED: Final = _erased(
    "(x.meta ->> 'comment_id' = t.id::text OR jsonb_exists(x.meta -> 'comments', t.id::text))", "r.id"
)

_COMMENT_KINDS: Final = {
    "comment inserted": "t.seq IS NULL",
    "comment missing": f"(c.id IS NULL OR c.body IS NULL) AND NOT {_COMMENT_ERASED}",
    "comment altered": f"""{_TEXT.format("c.body")} <> t.sha256 AND NOT {_COMMENT_ERASED} OR to_jsonb(c.is_internal) <> t.internal""",
}

_EVIDENCE: Final = f"""
WITH {_SAID}, told AS MATERIALIZED (
    SELECT s.id, h.sha256 FROM said s CROSS JOIN LATERAL jsonb_array_elements_text(s.attests -> 'evidence') AS h (sha256)
    UNION
    SELECT e.subject_id, h.sha256 FROM events e CROSS JOIN LATERAL jsonb_array_elements_text(
        CASE jsonb_typeof(e.meta -> 'evidence') WHEN 'array' THEN e.meta -> 'evidence' END) AS h (sha256)
    WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s) AND e.subject_type = 'request'
), kept AS MATERIALIZED (
    SELECT x.id, x.request_id, x.sha256 FROM evidence x WHERE x.tenant_id = %(tenant_id)s AND x.request_id = ANY (%(ids)s)
), strange AS (
    SELECT k.request_id, k.id::text AS what FROM kept k JOIN vouched v ON v.id = k.request_id AND NOT v.is_silent
    WHERE NOT EXISTS (SELECT 1 FROM told t WHERE t.id = k.request_id AND t.sha256 = k.sha256) ORDER BY k.request_id, k.id LIMIT 1
), gone AS (
    SELECT t.id AS request_id, t.sha256 AS what FROM told t
    WHERE NOT EXISTS (SELECT 1 FROM kept k WHERE k.request_id = t.id AND k.sha256 = t.sha256)
      AND NOT {_erased("jsonb_exists(x.meta -> 'evidence', t.sha256)", "t.id")}
    ORDER BY t.id, t.sha256 LIMIT 1
)
SELECT f.kind, r.number, f.what FROM (
    SELECT 'evidence altered' AS kind, request_id, what FROM strange UNION ALL SELECT 'evidence missing', request_id, what FROM gone
) AS f JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = f.request_id
"""

_RATINGS: Final = f"""
FROM (SELECT e.subject_id, e.seq, e.meta, e.attests FROM events e
      WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s) AND e.type IN ({_types("request.rated")})) AS t
FULL JOIN (SELECT f.request_id, f.rating, f.reason_codes, f.dispute_flag, f.comment FROM feedback f
           WHERE f.tenant_id = %(tenant_id)s AND f.request_id = ANY (%(ids)s)) AS f ON f.request_id = t.subject_id
JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = coalesce(t.subject_id, f.request_id)
"""

_RATING_KINDS: Final = {
    "rating inserted": "t.seq IS NULL",
    "rating altered": f"""f.request_id IS NULL
    OR (to_jsonb(f.rating), to_jsonb(f.reason_codes), to_jsonb(f.dispute_flag))
       IS DISTINCT FROM (t.meta -> 'rating', t.meta -> 'reason_codes', t.meta -> 'dispute_flag')
    OR jsonb_exists(t.attests, 'feedback') AND {_TEXT.format("f.comment")} IS DISTINCT FROM t.attests ->> 'feedback'
       AND NOT {_erased("x.meta -> 'feedback' = 'true'::jsonb", "r.id")}""",
}

CHECKS: Final = (
    Check(
        {
            "event missing": "first broken event: {what} seq {seq} ({type}, {at}) has no predecessor: events are missing",
            "event altered": "first broken event: {what} seq {seq} ({type}, {at}) does not match its hash: it, or the one before it, was altered",
            "time runs backwards": "{what} seq {seq} ({type}) is at {at}, before the event that it follows",
            "request missing": "the {what} is gone, its trail is there",
        },
        _first_of_each(_TRAIL_KINDS, _EVENT, _TRAIL, "f.subject_id, f.seq"),
    ),
    Check(
        {
            "request altered": "{number} has {column} {stored}, and its trail says {told}: the row was changed past the trail",
            "description altered": "the description of {number} is not the one that its trail vouches for: it was changed past the trail",
            "trail cut off": "{number} has had {stored} events, its trail ends at {told}: events are missing",
        },
        _REQUESTS,
    ),
    Check(
        {
            "comment altered": "a comment of {number} (event {seq}) is not what was said, or not to whom: it was changed past the trail",
            "comment missing": "a comment of {number} (event {seq}) is gone, and its trail does not say that it was erased",
            "comment inserted": "{number} has a comment ({id}) of which its trail knows nothing",
        },
        _first_of_each(_COMMENT_KINDS, "r.number, t.seq, c.id", _COMMENTS, "f.number, f.seq, f.id"),
    ),
    Check(
        {
            "evidence altered": "{number} has evidence ({what}) with a hash that its trail does not know",
            "evidence missing": "evidence of {number} is gone: its trail knows a file with the hash {what}",
        },
        _EVIDENCE,
    ),
    Check(
        {
            "rating altered": "the rating of {number} is not the one that its trail tells of",
            "rating inserted": "{number} has a rating of which its trail knows nothing",
        },
        _first_of_each(_RATING_KINDS, "r.number", _RATINGS, "f.number"),
    ),
)

# Each event of the tenant has one place: in a block of the chain, or waiting for one.
PLACES: Final = """
SELECT p.subject_id, p.seq, sum(p.event) AS events, sum(p.place) AS places
FROM (
    SELECT e.subject_id, e.seq, 1 AS event, 0 AS place FROM events e WHERE e.tenant_id = %(tenant_id)s
    UNION ALL
    SELECT unnest(b.subjects), unnest(b.seqs), 0, 1 FROM chain_blocks b WHERE b.tenant_id = %(tenant_id)s
    UNION ALL
    SELECT unnest(w.subjects), unnest(w.seqs), 0, 1 FROM chain_waiting w WHERE w.tenant_id = %(tenant_id)s
) AS p
GROUP BY p.subject_id, p.seq HAVING sum(p.event) <> 1 OR sum(p.place) <> 1 ORDER BY sum(p.event), p.subject_id, p.seq LIMIT 1
"""

IDS: Final = """
SELECT s.id FROM (
    (SELECT DISTINCT e.subject_id AS id FROM events e
     WHERE e.tenant_id = %(tenant_id)s AND e.subject_id > %(after)s ORDER BY e.subject_id LIMIT %(limit)s)
    UNION
    (SELECT r.id FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.id > %(after)s ORDER BY r.id LIMIT %(limit)s)
) AS s ORDER BY s.id LIMIT %(limit)s
"""

# Since a checkpoint: the subjects that the chain took in after it, and those that wait.
IDS_SINCE: Final = """
SELECT DISTINCT s.id FROM (
    SELECT unnest(b.subjects) AS id FROM chain_blocks b WHERE b.tenant_id = %(tenant_id)s AND b.position > %(since)s
    UNION ALL
    SELECT unnest(w.subjects) FROM chain_waiting w WHERE w.tenant_id = %(tenant_id)s
) AS s WHERE s.id > %(after)s ORDER BY s.id LIMIT %(limit)s
"""

COUNT: Final = """
SELECT (SELECT count(*) FROM events e WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s)) AS events,
       (SELECT count(*) FROM events e WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s)
        AND e.type IN ('text.erased', 'comment.erased')) AS erased
"""

BLOCKS: Final = """
SELECT position, subjects, seqs, root, counts, at, hash FROM chain_blocks
WHERE tenant_id = %(tenant_id)s AND position > %(after)s ORDER BY position LIMIT %(limit)s
"""

BLOCK_AT: Final = """
SELECT position, root, counts, at, hash FROM chain_blocks WHERE tenant_id = %(tenant_id)s AND position = %(position)s
"""

FILES: Final = """
SELECT x.id, x.sha256, r.number FROM evidence x JOIN requests r ON r.tenant_id = x.tenant_id AND r.id = x.request_id
WHERE x.tenant_id = %(tenant_id)s AND x.request_id = ANY (%(ids)s) AND x.media_type IS NOT NULL ORDER BY r.number, x.id
"""
