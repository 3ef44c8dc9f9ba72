"""Every statement of the import; what becomes of its rows is written by the intake."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from civicpulse.base.db import Row, Tx

# Nobody here has done anything with a request whose trail knows nobody but the engine itself.
FIND_KNOWN = """
SELECT r.external_id, r.id, r.state_category, r.master_id, NOT EXISTS (
    SELECT 1 FROM events e WHERE e.tenant_id = r.tenant_id AND e.subject_id = r.id AND e.actor_type <> 'system') AS is_untouched
FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND r.source = %(source)s AND r.external_id = ANY(%(ids)s::text[])
"""

START_RUN = """
INSERT INTO import_runs (tenant_id, id, kind, source, mapping, state, started_at)
VALUES (%(tenant_id)s, %(id)s, 'requests', %(source)s, %(mapping)s, 'running', %(at)s)
"""

END_RUN = """
UPDATE import_runs SET state = %(state)s, counts = %(counts)s, errors = %(errors)s, finished_at = %(at)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s
"""


async def commit_lazily(tx: Tx) -> None:
    """Lets this transaction's commit return before it is on disk; the run's own last commit flushes all of them.

    After a crash in between the run still says `running`, and the file is imported again: that adds what is missing.
    """
    await tx.run("SET LOCAL synchronous_commit = off")


async def find_known(tx: Tx, source: str, external_ids: Sequence[str]) -> dict[str, Row]:
    """Finds the requests that this source already brought, by its id."""
    rows = await tx.rows(FIND_KNOWN, {"tenant_id": tx.tenant_id, "source": source, "ids": list(external_ids)})
    return {row["external_id"]: row for row in rows}


async def start_run(tx: Tx, run_id: UUID, *, source: str, mapping: str, at: datetime) -> None:
    """Notes that an import has begun."""
    await tx.run(START_RUN, {"tenant_id": tx.tenant_id, "id": run_id, "source": source, "mapping": mapping, "at": at})


async def end_run(tx: Tx, run_id: UUID, *, state: str, counts: dict[str, Any], errors: list[Row], at: datetime) -> None:
    """Notes how an import ended: done or failed, with its counts and its first bad rows."""
    written = {"counts": Jsonb(counts), "errors": Jsonb(errors)}
    await tx.run(END_RUN, {"tenant_id": tx.tenant_id, "id": run_id, "state": state, "at": at} | written)
