"""Every statement on runs: begun, taken under a lease, moved on batch by batch, ended, listed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from civicpulse.base import clock, leases
from civicpulse.base.db import Row, Tx
from civicpulse.base.due import MARK
from civicpulse.base.ids import lock_number
from civicpulse.base.leases import Queue
from civicpulse.base.paging import decode_cursor, encode_cursor

COLUMNS = """p.id, p.kind, p.state, p.step, p.files, p.options, p.progress, p.counts, p.errors, p.ticket_ids, p.last_error,
p.requested_by, p.attempts, p.created_at, p.started_at, p.updated_at, p.finished_at"""

BRIEF = COLUMNS.replace("p.errors", "'[]'::jsonb AS errors").replace("p.ticket_ids", "'{}'::uuid[] AS ticket_ids")

ADD = f"""
WITH woken AS ({MARK})
INSERT INTO pipeline_runs (tenant_id, id, kind, step, files, options, counts, errors, requested_by, created_at, updated_at, due_at)
VALUES (%(tenant_id)s, %(id)s, %(kind)s, 'ingest', %(files)s, %(options)s, %(counts)s, %(errors)s, %(by)s, %(created_at)s,
        %(created_at)s, %(at)s)
"""

# One run of a tenant at a time, oldest first; one whose worker died is due again when its lease ends. Who asks for one that
# waits gets it before its time.
QUEUE = Queue(
    name="runs",
    table="pipeline_runs",
    ready="""
(%(id)s::uuid IS NULL OR id = %(id)s) AND (due_at <= %(now)s OR (id = %(id)s AND state = 'waiting'))
AND NOT EXISTS (SELECT 1 FROM pipeline_runs o WHERE o.tenant_id = %(tenant_id)s AND o.state = 'running' AND o.due_at > %(now)s)
""",
    order="created_at, id",
    taken="state = 'running', started_at = coalesce(q.started_at, %(now)s), updated_at = %(now)s",
    returned="state = 'waiting'",
    parked="state = 'failed', due_at = NULL, finished_at = %(at)s, updated_at = %(at)s",
    tries=5,
    read=f"""
SELECT {COLUMNS.replace("p.attempts", "t.attempts")}
FROM taken t JOIN pipeline_runs p ON p.tenant_id = %(tenant_id)s AND p.id = t.id
""",
)

SAVE = """
UPDATE pipeline_runs SET step = %(step)s, progress = %(progress)s, counts = %(counts)s, ticket_ids = %(ticket_ids)s,
    errors = errors || %(errors)s, due_at = %(until)s, updated_at = %(at)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND state = 'running' AND attempts = %(attempt)s
"""

DONE = """
UPDATE pipeline_runs SET state = 'done', due_at = NULL, last_error = NULL, finished_at = %(at)s, updated_at = %(at)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND state = 'running' AND attempts = %(attempt)s
"""

RETRY = f"""
WITH woken AS ({MARK})
UPDATE pipeline_runs SET state = 'waiting', due_at = %(at)s, attempts = 0, last_error = NULL, finished_at = NULL, updated_at = %(at)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND state = 'failed'
"""

GET = f"SELECT {COLUMNS} FROM pipeline_runs p WHERE p.tenant_id = %(tenant_id)s AND p.id = %(id)s"

# A thousand errors of each would be a heavy page.
LIST = f"""
SELECT {BRIEF} FROM pipeline_runs p
WHERE p.tenant_id = %(tenant_id)s AND (%(state)s::text IS NULL OR p.state = %(state)s)
  AND (%(after_at)s::timestamptz IS NULL OR (p.created_at, p.id) < (%(after_at)s, %(after_id)s::uuid))
ORDER BY p.created_at DESC, p.id DESC LIMIT %(limit)s
"""

SORT = "-created_at"


async def add_run(
    tx: Tx,
    run_id: UUID,
    *,
    kind: str,
    files: Sequence[dict[str, Any]],
    options: dict[str, Any],
    errors: Sequence[dict[str, Any]],
    by: str,
    at: datetime,
    due_in: float,
) -> None:
    """Adds a run that waits for whoever takes it, in `due_in` seconds; `errors` are what was seen wrong with its files before it began."""
    counts = {"errors": 0, "warnings": len(errors)}
    due_at = clock.wall() + timedelta(seconds=due_in)
    values = {"tenant_id": tx.tenant_id, "id": run_id, "kind": kind, "by": by, "created_at": at}
    values |= {"queue": QUEUE.name, "at": due_at}
    stored = {"files": files, "options": options, "counts": counts, "errors": errors}
    await tx.run(ADD, values | {name: Jsonb(value) for name, value in stored.items()})


async def take(tx: Tx, *, run_id: UUID | None, seconds: float) -> Row | None:
    """Takes the oldest due run, or that one, under a lease; None when there is none or another one of the tenant is at work."""
    await tx.value("SELECT pg_advisory_xact_lock(%s)", [lock_number(tx.tenant_id, "pipeline")])
    rows = await leases.take(tx, QUEUE, limit=1, seconds=seconds, id=run_id)
    return rows[0] if rows else None


async def save(tx: Tx, run_id: UUID, attempt: int, state: dict[str, Any], *, seconds: float, at: datetime) -> bool:
    """Writes where the run stands and prolongs its lease; False when the lease is somebody else's now."""
    until = clock.wall() + timedelta(seconds=seconds)
    values = {"tenant_id": tx.tenant_id, "id": run_id, "attempt": attempt, "until": until, "at": at}
    stored = {name: Jsonb(value) for name, value in state.items() if isinstance(value, dict | list)}
    return await tx.run(SAVE, values | state | stored | {"ticket_ids": state["ticket_ids"]}) == 1


async def done(tx: Tx, run_id: UUID, attempt: int, *, at: datetime) -> bool:
    """Marks the run as done; False when the lease is somebody else's now."""
    return await tx.run(DONE, {"tenant_id": tx.tenant_id, "id": run_id, "attempt": attempt, "at": at}) == 1


async def retry(tx: Tx, run_id: UUID, *, at: datetime) -> bool:
    """Lets a failed run wait again, to go on where it failed; False when it has not failed."""
    return await tx.run(RETRY, {"tenant_id": tx.tenant_id, "queue": QUEUE.name, "id": run_id, "at": at}) == 1


async def find_run(tx: Tx, run_id: UUID) -> Row | None:
    """Finds the run, or None."""
    return await tx.row(GET, {"tenant_id": tx.tenant_id, "id": run_id})


async def list_runs(tx: Tx, *, state: str | None, limit: int, cursor: str | None) -> tuple[list[Row], str | None]:
    """Lists one page of runs without their errors, newest first, and the cursor of the next."""
    at, key = decode_cursor(cursor, SORT, (datetime, UUID)) if cursor is not None else (None, None)
    values = {"tenant_id": tx.tenant_id, "state": state, "after_at": at, "after_id": key, "limit": limit + 1}
    rows = await tx.rows(LIST, values)
    more, rows = len(rows) > limit, rows[:limit]
    return rows, encode_cursor(SORT, [rows[-1]["created_at"], rows[-1]["id"]]) if more else None
