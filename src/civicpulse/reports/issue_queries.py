"""What issues need besides the statements of requests: who else reported them, and what was understood."""

from collections.abc import Sequence
from uuid import UUID

from psycopg import sql

from civicpulse.base.db import Row, Tx
from civicpulse.requests.visibility import Sight

# What a page of issues needs besides its requests: who else reported each, and what was understood of it.
ISSUE_FACTS = sql.SQL("""
SELECT wanted.id, d.count, d.first_at, d.last_at, a.summary
FROM unnest(%(ids)s::uuid[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count, min(r.created_at) AS first_at, max(r.created_at) AS last_at FROM requests r
    WHERE r.tenant_id = %(tenant_id)s AND r.master_id = wanted.id AND {seen}
) AS d
LEFT JOIN LATERAL (
    SELECT x.summary FROM analyses x WHERE x.tenant_id = %(tenant_id)s AND x.request_id = wanted.id
    ORDER BY x.created_at DESC, x.id DESC LIMIT 1
) AS a ON true
""")

ISSUE_REPORTS = sql.SQL("""
SELECT q.number, q.source, q.description, q.address_hint, q.created_at, q.master_id IS NULL AS is_master, r.id AS report_id, r.outcome
FROM (
    SELECT x.id, x.number, x.source, x.description, x.address_hint, x.created_at, x.master_id, x.tenant_id FROM requests x
    WHERE x.tenant_id = %(tenant_id)s AND x.id = %(issue)s
    UNION ALL
    (SELECT x.id, x.number, x.source, x.description, x.address_hint, x.created_at, x.master_id, x.tenant_id FROM requests x
     WHERE x.tenant_id = %(tenant_id)s AND x.master_id = %(issue)s AND {seen} ORDER BY x.created_at, x.id LIMIT %(limit)s)
) AS q
LEFT JOIN reports r ON r.tenant_id = q.tenant_id AND r.id = q.id
ORDER BY q.created_at, q.number
""")


async def issue_facts(tx: Tx, ids: Sequence[UUID], sight: Sight) -> dict[UUID, Row]:
    """Reads for each master: count, first_at and last_at of the duplicates that are seen, and the summary of its analysis."""
    values = {"tenant_id": tx.tenant_id, "ids": list(ids)} | sight.parameters
    rows = await tx.rows(ISSUE_FACTS.format(seen=sight.predicate()), values)
    return {row["id"]: row for row in rows}


async def issue_reports(tx: Tx, issue: UUID, sight: Sight, *, limit: int) -> list[Row]:
    """Lists the master and the first `limit` of its duplicates that are seen, oldest first."""
    values = {"tenant_id": tx.tenant_id, "issue": issue, "limit": limit} | sight.parameters
    return await tx.rows(ISSUE_REPORTS.format(seen=sight.predicate("x")), values)
