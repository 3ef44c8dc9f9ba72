"""Is the trail whole? Every hash is computed anew from the rows as they stand (R-AUD-02)."""

from civicpulse.base.db import Row, Tx

COUNT = "SELECT count(*) FROM events WHERE tenant_id = %(tenant_id)s"

FIRST_BROKEN = """
SELECT subject_id, subject_type, seq, type, at, seq = coalesce(previous_seq, 0) + 1 AS in_order
FROM (SELECT e.*, lag(e.hash) OVER trail AS previous_hash, lag(e.seq) OVER trail AS previous_seq
      FROM events e WHERE e.tenant_id = %(tenant_id)s WINDOW trail AS (PARTITION BY e.subject_id ORDER BY e.seq)) AS e
WHERE seq <> coalesce(previous_seq, 0) + 1
   OR hash <> event_hash(previous_hash, tenant_id, subject_id, seq, subject_type, type, actor_type, actor_id, at, meta)
ORDER BY subject_id, seq LIMIT 1
"""

# A request knows how many events it has had, so a trail cut off at its end shows too.
CUT_OFF = """
SELECT r.number, r.event_seq, coalesce(e.last, 0) AS last
FROM requests r
LEFT JOIN (SELECT subject_id, max(seq) AS last FROM events WHERE tenant_id = %(tenant_id)s GROUP BY subject_id) e ON e.subject_id = r.id
WHERE r.tenant_id = %(tenant_id)s AND r.event_seq <> coalesce(e.last, 0)
ORDER BY r.number LIMIT 1
"""

NUMBER = "SELECT number FROM requests WHERE tenant_id = %(tenant_id)s AND id = %(id)s"


async def verify_tenant(tx: Tx) -> tuple[int, str | None]:
    """Counts the events checked, and words the first broken row (None: the trail is whole)."""
    scope = {"tenant_id": tx.tenant_id}
    count: int = await tx.value(COUNT, scope)
    broken = await tx.row(FIRST_BROKEN, scope)
    if broken is not None:
        return count, await _describe(tx, broken)
    cut = await tx.row(CUT_OFF, scope)
    if cut is not None:
        return (
            count,
            f"{cut['number']} has had {cut['event_seq']} events, its trail ends at {cut['last']}: events are missing",
        )
    return count, None


async def _describe(tx: Tx, broken: Row) -> str:
    number = await tx.value(NUMBER, {"tenant_id": tx.tenant_id, "id": broken["subject_id"]})
    what = number or f"{broken['subject_type']} {broken['subject_id']}"
    fault = (
        "does not match its hash: it, or the one before it, was altered"
        if broken["in_order"]
        else "has no predecessor: events are missing"
    )
    return f"first broken event: {what} seq {broken['seq']} ({broken['type']}, {broken['at'].isoformat()}) {fault}"
