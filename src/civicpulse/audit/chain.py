"""The chain of a tenant over all its subjects: what its trails took in, in batches, beside the writers and never in their way.

Every statement that writes events leaves a row in `chain_waiting`, committed with them. Whoever holds the tenant's lock takes
some of these rows, and adds a block over their events in the same transaction: nothing is missed, however late a transaction
commits, nothing is taken twice, and a crash leaves everything as it was.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from prometheus_client import Histogram
from psycopg.types.json import Jsonb

from civicpulse.audit.merkle import Block, root
from civicpulse.base import clock, due
from civicpulse.base.db import Database, Row, Tx
from civicpulse.base.due import Source
from civicpulse.base.events import CHAIN_QUEUE, platform, record
from civicpulse.base.ids import lock_number
from civicpulse.base.tenancy import Tenant
from civicpulse.base.turns import Line
from civicpulse.requests.store import ATTESTED

KEEPER: Final = platform("chain")
WAITED: Final = Histogram(
    "civicpulse_audit_chain_waited_seconds",
    "How long what a statement wrote waited for its tenant's chain",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)

BLOCK_EVENTS: Final = 4096
"""A block takes statements until it has so many events; the last one may bring more."""
STATEMENTS: Final = 1000
ATTESTED_AT_ONCE: Final = 500

# A tenant whose chain has not begun is looked at as long as it has events.
CHAIN: Final = Source(
    CHAIN_QUEUE,
    """
SELECT min(w.at) FROM (
    SELECT c.at FROM chain_waiting c WHERE c.tenant_id = %(tenant_id)s
    UNION ALL
    SELECT t.created_at FROM tenants t
    WHERE t.tenant_id = %(tenant_id)s
      AND NOT EXISTS (SELECT 1 FROM chain_blocks b WHERE b.tenant_id = %(tenant_id)s)
      AND EXISTS (SELECT 1 FROM events e WHERE e.tenant_id = %(tenant_id)s)
) AS w
""",
)

LOCK: Final = "SELECT pg_try_advisory_xact_lock(%s)"

HEAD: Final = """
SELECT position, hash, counts FROM chain_blocks WHERE tenant_id = %(tenant_id)s ORDER BY position DESC LIMIT 1
"""

TAKE: Final = """
DELETE FROM chain_waiting WHERE tenant_id = %(tenant_id)s AND ctid = ANY (ARRAY(
    SELECT f.place FROM (
        SELECT w.ctid AS place, sum(cardinality(w.seqs)) OVER (ORDER BY w.at, w.ctid) - cardinality(w.seqs) AS before
        FROM chain_waiting w WHERE w.tenant_id = %(tenant_id)s ORDER BY w.at, w.ctid LIMIT %(limit)s
    ) AS f WHERE f.before < %(events)s))
RETURNING at, subjects, seqs
"""

# An event that is gone by now keeps its place, with a leaf that no event has: verifying the chain will say so. As `merkle.leaf`
# makes them; here, because a block's events are many and its leaves are short.
CONTENT: Final = """
WITH member AS MATERIALIZED (
    SELECT m.place, m.subject_id, m.seq, e.type,
           sha256(decode('00', 'hex') || coalesce(e.hash, '') || coalesce(sha256(convert_to(e.attests::text, 'UTF8')), '')) AS leaf
    FROM unnest(%(subjects)s::uuid[], %(seqs)s::int[]) WITH ORDINALITY AS m (subject_id, seq, place)
    LEFT JOIN events e ON e.tenant_id = %(tenant_id)s AND e.subject_id = m.subject_id AND e.seq = m.seq
)
SELECT string_agg(m.leaf, ''::bytea ORDER BY m.place) AS leaves,
       (SELECT jsonb_object_agg(k.type, k.events) FROM (
            SELECT x.type, count(*) AS events FROM member x WHERE x.type IS NOT NULL GROUP BY x.type) AS k) AS counts,
       (SELECT 'event ' || x.seq || ' of ' || x.subject_id FROM member x WHERE x.type IS NULL ORDER BY x.place LIMIT 1) AS missing
FROM member m
"""

ADD_BLOCK: Final = """
INSERT INTO chain_blocks (tenant_id, position, subjects, seqs, root, counts, at, hash)
VALUES (%(tenant_id)s, %(position)s, %(subjects)s, %(seqs)s, %(root)s, %(counts)s, %(at)s, %(hash)s)
"""

# What was written before there was a chain waits for it in the order of its subjects.
TAKE_IN: Final = """
INSERT INTO chain_waiting (tenant_id, at, subjects, seqs)
SELECT %(tenant_id)s, %(at)s, array_agg(b.subject_id ORDER BY b.subject_id, b.seq), array_agg(b.seq ORDER BY b.subject_id, b.seq)
FROM (
    SELECT e.subject_id, e.seq, (row_number() OVER (ORDER BY e.subject_id, e.seq) - 1) / %(events)s AS part
    FROM events e
    LEFT JOIN (SELECT unnest(w.subjects) AS subject_id, unnest(w.seqs) AS seq FROM chain_waiting w WHERE w.tenant_id = %(tenant_id)s) AS m
      ON m.subject_id = e.subject_id AND m.seq = e.seq
    WHERE e.tenant_id = %(tenant_id)s AND m.seq IS NULL
) AS b GROUP BY b.part
"""

ATTESTED_UP_TO: Final = """
SELECT meta ->> 'upto' FROM events
WHERE tenant_id = %(tenant_id)s AND subject_id = %(tenant_id)s AND type = 'tenant.attested' ORDER BY seq DESC LIMIT 1
"""

_COLUMNS: Final = ", ".join(f"'{name}', r.{name}" for name in ATTESTED)

UNATTESTED: Final = f"""
SELECT r.id, jsonb_strip_nulls(jsonb_build_object('seq', r.event_seq, {_COLUMNS},
    'description', encode(sha256(convert_to(r.description, 'UTF8')), 'hex'),
    'feedback', (SELECT encode(sha256(convert_to(f.comment, 'UTF8')), 'hex') FROM feedback f
                 WHERE f.tenant_id = r.tenant_id AND f.request_id = r.id),
    'evidence', (SELECT jsonb_agg(x.sha256 ORDER BY x.id) FROM evidence x WHERE x.tenant_id = r.tenant_id AND x.request_id = r.id)
)) AS stands
FROM requests r JOIN events e ON e.tenant_id = r.tenant_id AND e.subject_id = r.id AND e.seq = 1
WHERE r.tenant_id = %(tenant_id)s AND r.id > %(after)s AND e.attests IS NULL
ORDER BY r.id LIMIT %(limit)s
"""


def chain_line(db: Database) -> Line:
    """Makes the worker's line of chains."""

    async def work(tenant: Tenant) -> int:
        async with db.transaction(tenant) as tx:
            return await extend(tx)

    return Line(CHAIN_QUEUE, work)


async def extend(tx: Tx) -> int:
    """Adds one block to the tenant's chain; how many events it took. 0 when none waits or another worker is at it."""
    if not await tx.value(LOCK, [lock_number(tx.tenant_id, CHAIN_QUEUE)]):
        await due.replace(tx, CHAIN_QUEUE, at=clock.wall() + timedelta(seconds=1))
        return 0
    head = await tx.row(HEAD, {"tenant_id": tx.tenant_id})
    if head is None and (attested := await _attest_rows(tx)):
        return attested
    if head is None:
        await tx.run(TAKE_IN, {"tenant_id": tx.tenant_id, "at": clock.wall(), "events": BLOCK_EVENTS})
    values = {"tenant_id": tx.tenant_id, "limit": STATEMENTS, "events": BLOCK_EVENTS}
    taken = await tx.rows(TAKE, values)
    if taken:
        await _add_block(tx, head, taken)
        for row in taken:
            WAITED.observe(max(0.0, (clock.wall() - row["at"]).total_seconds()))
    await due.renew(tx, CHAIN, now=clock.wall())
    return sum(len(row["seqs"]) for row in taken)


@dataclass(frozen=True, slots=True)
class Content:
    """The events that a block names, as they are now: leaves in its order, how many of each type, and the first that is gone."""

    leaves: list[bytes]
    counts: Counter[str]
    missing: str | None


async def _add_block(tx: Tx, head: Row | None, taken: Sequence[Row]) -> None:
    places = sorted(place for row in taken for place in zip(row["subjects"], row["seqs"], strict=True))
    named = {"subjects": [subject for subject, _ in places], "seqs": [seq for _, seq in places]}
    content = await content_of(tx, named)
    counts = Counter(head["counts"] if head else {}) + content.counts
    block = Block(
        tenant_id=tx.tenant_id,
        position=head["position"] + 1 if head else 1,
        previous=bytes(head["hash"]) if head else b"",
        root=root(content.leaves),
        counts=counts,
        at=clock.wall(),
    )
    shown = {"position": block.position, "root": block.root, "at": block.at, "hash": block.hash()}
    await tx.run(ADD_BLOCK, named | shown | {"tenant_id": tx.tenant_id, "counts": Jsonb(dict(counts))})


async def content_of(tx: Tx, block: Mapping[str, Any]) -> Content:
    """Reads the events that a block names by `subjects` and `seqs`."""
    values = {"tenant_id": tx.tenant_id, "subjects": block["subjects"], "seqs": block["seqs"]}
    row = await tx.row(CONTENT, values)
    assert row is not None, "an aggregate has one row"
    leaves = bytes(row["leaves"])
    return Content(
        [leaves[at : at + 32] for at in range(0, len(leaves), 32)], Counter(row["counts"] or {}), row["missing"]
    )


async def _attest_rows(tx: Tx) -> int:
    """Vouches, before the chain begins, for some requests of an earlier release, as they stand; how many.

    Their own trails do not say what each change left in the row. The tenant's trail does from now on.
    """
    upto = await tx.value(ATTESTED_UP_TO, {"tenant_id": tx.tenant_id})
    values = {"tenant_id": tx.tenant_id, "after": upto or UUID(int=0), "limit": ATTESTED_AT_ONCE}
    rows = await tx.rows(UNATTESTED, values)
    if rows:
        await record(
            tx,
            KEEPER,
            subject_id=tx.tenant_id,
            subject_type="tenant",
            seq=None,
            type="tenant.attested",
            at=clock.now(),
            meta={"requests": len(rows), "from": str(rows[0]["id"]), "upto": str(rows[-1]["id"])},
            attests={"requests": {str(row["id"]): row["stands"] for row in rows}},
        )
    return len(rows)
