"""Errors of runs of before: which request they are about is read from their words."""

from importlib.resources import files
from uuid import uuid4

import psycopg
from psycopg.types.json import Jsonb

from conftest import City

SCRIPT = files("civicpulse.migrations").joinpath("versions", "0017_run_errors.sql").read_text(encoding="utf-8")

ABOUT = {
    "file": "tickets.csv",
    "line": 2,
    "message": "CC-2026-000001 is В работе: its text was changed, its type, priority and manager were kept.",
    "severity": "warning",
}
OTHER = {"file": "tickets.csv", "line": 3, "message": "This cell is empty.", "severity": "error"}


async def test_an_error_about_a_request_gets_its_number_once(city: City, database_url: str) -> None:
    run, other = uuid4(), uuid4()
    async with city.transaction() as tx:
        for key, errors in ((run, [OTHER, ABOUT]), (other, [])):
            await tx.run(
                "INSERT INTO pipeline_runs (tenant_id, id, kind, state, step, files, options, counts, errors, requested_by, "
                "created_at, updated_at, due_at) VALUES (%s, %s, 'upload', 'failed', 'assign', '[]', '{}', '{}', %s, 'agent', now(), now(), NULL)",
                [tx.tenant_id, key, Jsonb(errors)],
            )
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        for _ in range(2):
            await conn.execute(SCRIPT)
    async with city.transaction() as tx:
        rows = await tx.rows("SELECT id, errors FROM pipeline_runs WHERE tenant_id = %s", [tx.tenant_id])
    assert {row["id"]: row["errors"] for row in rows} == {
        run: [OTHER, ABOUT | {"request_id": "CC-2026-000001"}],
        other: [],
    }
