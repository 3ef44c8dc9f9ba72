"""Every statement on reports."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from civicpulse.base import clock, due
from civicpulse.base.db import Row, Tx
from civicpulse.base.leases import Queue
from civicpulse.rules.masking.masker import HIDDEN

# One statement for reports and, of those with a key, their answers; usually one report, many when many come at once. Whoever
# comes second with a key waits for the first to commit and then writes nothing. Keys in one order for everybody: so that two
# processes never wait for each other.
ADD = f"""
WITH sent AS (
    SELECT s.id, s.role, s.actor_id, s.citizen_id, s.contact_channel, s.description, s.location, s.tags, s.evidence, s.asset_id,
           s.external_id, s.is_public, s.submitted_at, s.scope, s.key, s.fingerprint, s.answer
    FROM json_to_recordset(%(sent)s::json) AS s (
        id uuid, role text, actor_id text, citizen_id uuid, contact_channel text, description text, location jsonb, tags text[],
        evidence jsonb, asset_id text, external_id text, is_public boolean, submitted_at timestamptz,
        scope text, key text, fingerprint text, answer text)
), kept AS (
    INSERT INTO idempotency_keys (tenant_id, scope, key, fingerprint, answer)
    SELECT %(tenant_id)s, s.scope, s.key, decode(s.fingerprint, 'hex'), s.answer FROM sent s WHERE s.key IS NOT NULL
    ORDER BY s.scope, s.key
    ON CONFLICT (tenant_id, scope, key) DO NOTHING
    RETURNING scope, key
), woken AS (
    {due.MARK}
)
INSERT INTO reports (tenant_id, id, role, actor_id, citizen_id, contact_channel, description, location, tags, evidence, asset_id,
                     external_id, is_public, submitted_at)
SELECT %(tenant_id)s, s.id, s.role, s.actor_id, s.citizen_id, s.contact_channel, s.description, s.location, s.tags, s.evidence,
       s.asset_id, s.external_id, s.is_public, s.submitted_at
FROM sent s
WHERE s.key IS NULL OR EXISTS (SELECT 1 FROM kept k WHERE k.scope = s.scope AND k.key = s.key)
RETURNING id
"""

QUEUE = Queue(
    name="reports",
    table="reports",
    read="""
SELECT r.id, r.role, r.actor_id, r.contact_channel, r.description, r.location, r.tags, r.evidence, r.asset_id, r.external_id,
    r.is_public, r.submitted_at, t.attempts,
    (SELECT c.id FROM citizens c WHERE c.tenant_id = r.tenant_id AND c.id = r.citizen_id AND c.erased_at IS NULL) AS citizen_id
FROM taken t JOIN reports r ON r.tenant_id = %(tenant_id)s AND r.id = t.id
ORDER BY r.submitted_at, r.id
""",
)

LOCK = "SELECT state FROM reports WHERE tenant_id = %(tenant_id)s AND id = %(id)s FOR UPDATE"

FINISH = """
UPDATE reports SET state = 'processed', due_at = NULL, last_error = NULL, outcome = %(outcome)s, decision = %(decision)s,
    processed_at = %(at)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s
"""

# By hand: a parked report begins anew, one that waits for its next try is due now.
RETRY = f"""
WITH woken AS ({due.MARK})
UPDATE reports SET state = 'waiting', due_at = %(at)s, attempts = 0
WHERE tenant_id = %(tenant_id)s AND state <> 'processed' AND id = %(id)s
"""

RETRY_PARKED = f"""
WITH woken AS ({due.MARK})
UPDATE reports SET state = 'waiting', due_at = %(at)s, attempts = 0 WHERE tenant_id = %(tenant_id)s AND state = 'parked'
"""

COLUMNS = """
r.id, r.state, r.role, r.actor_id, r.citizen_id, r.description, r.location, r.tags, r.asset_id, r.external_id, r.submitted_at,
r.due_at, r.attempts, r.last_error, r.outcome, r.decision, r.processed_at, q.number, m.number AS issue_number, m.status AS issue_status,
m.pack_version
"""

# The report's own request has its id; the issue is that request or its master.
RELATED = """
LEFT JOIN requests q ON q.tenant_id = r.tenant_id AND q.id = r.id
LEFT JOIN requests m ON m.tenant_id = r.tenant_id AND m.id = coalesce(q.master_id, q.id)
"""

GET = f"SELECT {COLUMNS} FROM reports r {RELATED} WHERE r.tenant_id = %(tenant_id)s AND r.id = %(id)s"

FIND_ID = "SELECT id FROM reports WHERE tenant_id = %(tenant_id)s AND id = %(id)s"

OF_ISSUE = """
SELECT q.id FROM requests q WHERE q.tenant_id = %(tenant_id)s AND q.id = %(issue)s
UNION ALL SELECT q.id FROM requests q WHERE q.tenant_id = %(tenant_id)s AND q.master_id = %(issue)s
"""


async def add_reports(tx: Tx, sent: Sequence[Row]) -> set[UUID]:
    """Writes reports, each with scope, key or None, fingerprint in hex and answer; no two with one scope and key.

    The ids of those that were written: the others came with a key that was used before.
    """
    rows = await tx.rows(ADD, _now_due(tx) | {"sent": orjson.dumps(sent).decode()})
    return {row["id"] for row in rows}


async def lock_waiting(tx: Tx, report_id: UUID) -> bool:
    """Locks a report; whether it still waits to be processed."""
    return bool(await tx.value(LOCK, {"tenant_id": tx.tenant_id, "id": report_id}) == "waiting")


async def finish(tx: Tx, report_id: UUID, *, outcome: str, decision: dict[str, Any], at: datetime) -> None:
    """Marks the report as processed, with this decision."""
    values = {"tenant_id": tx.tenant_id, "id": report_id, "outcome": outcome, "decision": Jsonb(decision), "at": at}
    await tx.run(FINISH, values)


async def retry(tx: Tx, report_id: UUID) -> bool:
    """Makes one report due now; False when it is processed already or not there."""
    return await tx.run(RETRY, _now_due(tx) | {"id": report_id}) == 1


async def retry_parked(tx: Tx) -> int:
    """Makes every parked report due now; how many."""
    return await tx.run(RETRY_PARKED, _now_due(tx))


async def find_report(tx: Tx, report_id: UUID) -> Row | None:
    """Finds the report with its request and its issue, or None."""
    return await tx.row(GET, {"tenant_id": tx.tenant_id, "id": report_id})


_OF_PERSON = "(citizen_id = %(citizen_id)s OR actor_id = %(actor_id)s)"

# Nobody has read it yet: nothing is left of it.
DROP_UNREAD = (
    f"DELETE FROM reports WHERE tenant_id = %(tenant_id)s AND {_OF_PERSON} AND state <> 'processed' RETURNING id"
)

ERASE_READ = f"""
UPDATE reports SET description = %(hidden)s, location = NULL, tags = '{{}}', evidence = '[]', last_error = NULL,
    decision = decision || '{{"summary": "", "recommendation": ""}}'
WHERE tenant_id = %(tenant_id)s AND {_OF_PERSON} AND state = 'processed' AND description <> %(hidden)s RETURNING id
"""


async def erase_reports(tx: Tx, citizen_id: UUID) -> list[UUID]:
    """Takes a citizen's words out of their reports, and drops those that nobody has read yet; the ids of both."""
    values = {"tenant_id": tx.tenant_id, "citizen_id": citizen_id, "actor_id": str(citizen_id), "hidden": HIDDEN}
    rows = [*await tx.rows(DROP_UNREAD, values), *await tx.rows(ERASE_READ, values)]
    return [row["id"] for row in rows]


async def report_exists(tx: Tx, report_id: UUID) -> bool:
    """Tells whether the tenant has such a report."""
    return await tx.value(FIND_ID, {"tenant_id": tx.tenant_id, "id": report_id}) is not None


def _now_due(tx: Tx) -> dict[str, Any]:
    return {"tenant_id": tx.tenant_id, "queue": QUEUE.name, "at": clock.wall()}
