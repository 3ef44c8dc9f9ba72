"""What is held against what, as SQL: each check finds the first fault of its kind among some subjects, and words for it.

Names of events are those of today and of release 0.1. What the trail says was erased by law is no fault.
"""

from dataclasses import dataclass
from typing import Final

from civicpulse.base.events import stored_types
from civicpulse.requests.store import ATTESTED


@dataclass(frozen=True, slots=True)
class Check:
    """A kind of fault: the query that finds the first one among the subjects `ids`, and a sentence made of its columns."""

    kind: str
    words: str
    query: str


def _types(name: str) -> str:
    return ", ".join(f"'{stored}'" for stored in stored_types(name))


_TRAIL: Final = """
FROM (SELECT e.tenant_id, e.subject_id, e.seq, e.subject_type, e.type, e.actor_type, e.actor_id, e.at, e.meta, e.hash, e.attests,
             lag(e.hash) OVER trail AS previous_hash, lag(e.seq) OVER trail AS previous_seq, lag(e.at) OVER trail AS previous_at
      FROM events e WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s)
      WINDOW trail AS (PARTITION BY e.subject_id ORDER BY e.seq)) AS t
LEFT JOIN requests r ON r.tenant_id = t.tenant_id AND r.id = t.subject_id
"""

_EVENT: Final = "coalesce(r.number, t.subject_type || ' ' || t.subject_id) AS what, t.seq, t.type, t.at"

_IN_ORDER: Final = "t.seq = coalesce(t.previous_seq, 0) + 1"

# What vouches for a row: its own events and, for rows of an earlier release, what the tenant's trail said of it when the chain began.
# Where an earlier release has written since, nothing vouches (`silent` after `base`).
VOUCHED: Final = """
WITH said AS (
    SELECT e.subject_id AS id, e.seq, false AS is_base, e.attests FROM events e
    WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s) AND e.subject_type = 'request'
    UNION ALL
    SELECT b.key::uuid, (b.value ->> 'seq')::int, true, b.value - 'seq' FROM events e
    CROSS JOIN LATERAL jsonb_each(e.attests -> 'requests') AS b
    WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = %(tenant_id)s AND e.type = 'tenant.attested'
      AND (e.meta ->> 'from')::uuid <= %(last)s AND (e.meta ->> 'upto')::uuid >= %(first)s AND b.key::uuid = ANY (%(ids)s)
), vouched AS (
    SELECT s.id, jsonb_merged(s.attests ORDER BY s.seq, s.is_base) AS says FROM said s GROUP BY s.id
    HAVING coalesce(max(s.seq) FILTER (WHERE s.attests IS NULL), 0) <= coalesce(max(s.seq) FILTER (WHERE s.is_base), 0)
)
"""

_TEXT: Final = "encode(sha256(convert_to({}, 'UTF8')), 'hex')"


def _erased(what: str, of: str = "r.id") -> str:
    """Writes the condition that the trail of the request `of` says that `what` was erased by law."""
    return f"""EXISTS (SELECT 1 FROM events x WHERE x.tenant_id = %(tenant_id)s AND x.subject_id = {of}
        AND x.type IN ('text.erased', 'comment.erased') AND {what})"""


_COLUMNS: Final = ", ".join(
    f"('{name}', r.{name}::text, s.{name}::text, r.{name} IS DISTINCT FROM s.{name})" for name in ATTESTED
)

_COMMENTS: Final = f"""
FROM (SELECT e.subject_id, e.seq, (e.meta ->> 'comment_id')::uuid AS id, e.meta ->> 'sha256' AS sha256, e.meta -> 'internal' AS internal
      FROM events e
      WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s) AND e.type IN ({_types("comment.added")})) AS t
FULL JOIN (SELECT c.id, c.request_id, c.body, c.is_internal FROM comments c
           WHERE c.tenant_id = %(tenant_id)s AND c.request_id = ANY (%(ids)s)) AS c ON c.id = t.id AND c.request_id = t.subject_id
JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = coalesce(t.subject_id, c.request_id)
"""

_COMMENT_ERASED: Final = _erased(
    "(x.meta ->> 'comment_id' = t.id::text OR jsonb_exists(x.meta -> 'comments', t.id::text))"
)

_EVIDENCE: Final = f"""
{VOUCHED}, told AS (
    SELECT s.id, h.sha256 FROM said s CROSS JOIN LATERAL jsonb_array_elements_text(s.attests -> 'evidence') AS h (sha256)
    UNION
    SELECT e.subject_id, h.sha256 FROM events e CROSS JOIN LATERAL jsonb_array_elements_text(
        CASE jsonb_typeof(e.meta -> 'evidence') WHEN 'array' THEN e.meta -> 'evidence' END) AS h (sha256)
    WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s) AND e.subject_type = 'request'
), kept AS (
    SELECT x.id, x.request_id, x.sha256 FROM evidence x WHERE x.tenant_id = %(tenant_id)s AND x.request_id = ANY (%(ids)s)
)
"""

_EVIDENCE_ERASED: Final = _erased("jsonb_exists(x.meta -> 'evidence', t.sha256)")

_RATINGS: Final = f"""
FROM (SELECT e.subject_id, e.seq, e.meta, e.attests FROM events e
      WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s) AND e.type IN ({_types("request.rated")})) AS t
FULL JOIN (SELECT f.request_id, f.rating, f.reason_codes, f.dispute_flag, f.comment FROM feedback f
           WHERE f.tenant_id = %(tenant_id)s AND f.request_id = ANY (%(ids)s)) AS f ON f.request_id = t.subject_id
JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = coalesce(t.subject_id, f.request_id)
"""

CHECKS: Final = (
    Check(
        "event missing",
        "first broken event: {what} seq {seq} ({type}, {at}) has no predecessor: events are missing",
        f"SELECT {_EVENT} {_TRAIL} WHERE NOT {_IN_ORDER} ORDER BY t.subject_id, t.seq LIMIT 1",
    ),
    Check(
        "event altered",
        "first broken event: {what} seq {seq} ({type}, {at}) does not match its hash: it, or the one before it, was altered",
        f"""
SELECT {_EVENT} {_TRAIL}
WHERE {_IN_ORDER} AND t.hash <> event_hash(t.previous_hash, t.tenant_id, t.subject_id, t.seq, t.subject_type, t.type, t.actor_type,
                                           t.actor_id, t.at, t.meta)
ORDER BY t.subject_id, t.seq LIMIT 1
""",
    ),
    Check(
        "time runs backwards",
        "{what} seq {seq} ({type}) is at {at}, before the event that it follows",
        f"SELECT {_EVENT} {_TRAIL} WHERE t.attests IS NOT NULL AND t.at < t.previous_at ORDER BY t.subject_id, t.seq LIMIT 1",
    ),
    Check(
        "trail cut off",
        "{number} has had {event_seq} events, its trail ends at {last}: events are missing",
        """
SELECT r.number, r.event_seq, coalesce(e.last, 0) AS last
FROM requests r
LEFT JOIN (SELECT e.subject_id, max(e.seq) AS last FROM events e
           WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s) GROUP BY e.subject_id) AS e ON e.subject_id = r.id
WHERE r.tenant_id = %(tenant_id)s AND r.id = ANY (%(ids)s) AND r.event_seq <> coalesce(e.last, 0)
ORDER BY r.number LIMIT 1
""",
    ),
    Check(
        "request missing",
        "the request {subject_id} is gone, its trail of {events} events is there",
        """
SELECT e.subject_id, count(*) AS events FROM events e
LEFT JOIN requests r ON r.tenant_id = e.tenant_id AND r.id = e.subject_id
WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s) AND e.subject_type = 'request' AND r.id IS NULL
GROUP BY e.subject_id ORDER BY e.subject_id LIMIT 1
""",
    ),
    Check(
        "request altered",
        "{number} has {column} {stored}, and its trail says {told}: the row was changed past the trail",
        f"""
{VOUCHED}
SELECT r.number, c.column, coalesce(c.stored, 'nothing') AS stored, coalesce(c.told, 'nothing') AS told
FROM vouched v JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = v.id
CROSS JOIN LATERAL jsonb_populate_record(NULL::requests, v.says) AS s
CROSS JOIN LATERAL (VALUES {_COLUMNS}) AS c ("column", stored, told, differs)
WHERE ({", ".join(f"r.{name}" for name in ATTESTED)}) IS DISTINCT FROM ({", ".join(f"s.{name}" for name in ATTESTED)})
  AND c.differs AND (jsonb_exists(v.says, c.column) OR jsonb_exists(v.says, 'number'))
ORDER BY r.number, c.column LIMIT 1
""",
    ),
    Check(
        "description altered",
        "the description of {number} is not the one that its trail vouches for: it was changed past the trail",
        f"""
{VOUCHED}
SELECT r.number FROM vouched v JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = v.id
WHERE v.says ->> 'description' <> {_TEXT.format("r.description")} AND NOT {_erased("x.meta -> 'description' = 'true'::jsonb")}
ORDER BY r.number LIMIT 1
""",
    ),
    Check(
        "comment altered",
        "a comment of {number} (event {seq}) is not what was said, or not to whom: it was changed past the trail",
        f"""
SELECT r.number, t.seq {_COMMENTS}
WHERE c.id IS NOT NULL AND ({_TEXT.format("c.body")} <> t.sha256 AND NOT {_COMMENT_ERASED} OR to_jsonb(c.is_internal) <> t.internal)
ORDER BY r.number, t.seq LIMIT 1
""",
    ),
    Check(
        "comment missing",
        "a comment of {number} (event {seq}) is gone, and its trail does not say that it was erased",
        f"""
SELECT r.number, t.seq {_COMMENTS}
WHERE t.id IS NOT NULL AND (c.id IS NULL OR c.body IS NULL) AND NOT {_COMMENT_ERASED} ORDER BY r.number, t.seq LIMIT 1
""",
    ),
    Check(
        "comment inserted",
        "{number} has a comment ({id}) of which its trail knows nothing",
        f"SELECT r.number, c.id {_COMMENTS} WHERE t.seq IS NULL ORDER BY r.number, c.id LIMIT 1",
    ),
    Check(
        "evidence altered",
        "{number} has evidence ({id}) with a hash that its trail does not know",
        f"""
{_EVIDENCE}
SELECT r.number, k.id FROM kept k JOIN vouched v ON v.id = k.request_id
JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = k.request_id
WHERE NOT EXISTS (SELECT 1 FROM told t WHERE t.id = k.request_id AND t.sha256 = k.sha256) ORDER BY r.number, k.id LIMIT 1
""",
    ),
    Check(
        "evidence missing",
        "evidence of {number} is gone: its trail knows a file with the hash {sha256}",
        f"""
{_EVIDENCE}
SELECT r.number, t.sha256 FROM told t JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = t.id
WHERE NOT EXISTS (SELECT 1 FROM kept k WHERE k.request_id = t.id AND k.sha256 = t.sha256) AND NOT {_EVIDENCE_ERASED}
ORDER BY r.number, t.sha256 LIMIT 1
""",
    ),
    Check(
        "rating altered",
        "the rating of {number} is not the one that its trail tells of",
        f"""
SELECT r.number {_RATINGS}
WHERE t.seq IS NOT NULL AND (
    f.request_id IS NULL
    OR (to_jsonb(f.rating), to_jsonb(f.reason_codes), to_jsonb(f.dispute_flag))
       IS DISTINCT FROM (t.meta -> 'rating', t.meta -> 'reason_codes', t.meta -> 'dispute_flag')
    OR jsonb_exists(t.attests, 'feedback') AND {_TEXT.format("f.comment")} IS DISTINCT FROM t.attests ->> 'feedback'
       AND NOT {_erased("x.meta -> 'feedback' = 'true'::jsonb")})
ORDER BY r.number LIMIT 1
""",
    ),
    Check(
        "rating inserted",
        "{number} has a rating of which its trail knows nothing",
        f"SELECT r.number {_RATINGS} WHERE t.seq IS NULL ORDER BY r.number LIMIT 1",
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

UNVOUCHED: Final = f"""
{VOUCHED}
SELECT count(DISTINCT s.id) FROM said s LEFT JOIN vouched v ON v.id = s.id WHERE v.id IS NULL
"""

TOTAL: Final = "SELECT count(*) FROM events WHERE tenant_id = %(tenant_id)s"

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
