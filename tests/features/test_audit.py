"""The audit trail cannot be edited, and whoever forces it is found out (R-AUD-02)."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from audit_support import verified
from builders import add_agent, create, walk_to
from psycopg.rows import dict_row

from civicpulse.base.logins import application_url
from conftest import City

UPSERT = """
INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, at, hash)
SELECT tenant_id, subject_id, seq, 'forged', actor_type, at, hash FROM events WHERE tenant_id = %(tenant_id)s
ON CONFLICT (tenant_id, subject_id, seq) DO UPDATE SET type = 'forged'
"""
MERGE = """
MERGE INTO events e USING (SELECT %(tenant_id)s::uuid AS tenant_id) AS s ON e.tenant_id = s.tenant_id
WHEN MATCHED THEN {}
"""
STATEMENTS = {
    "update": "UPDATE events SET meta = '{}' WHERE tenant_id = %(tenant_id)s",
    "update of nothing": "UPDATE events SET meta = '{}' WHERE tenant_id = %(tenant_id)s AND false",
    "delete": "DELETE FROM events WHERE tenant_id = %(tenant_id)s",
    "inside another": "WITH gone AS (DELETE FROM events WHERE tenant_id = %(tenant_id)s RETURNING 1) SELECT * FROM gone",
    "upsert": UPSERT,
    "merge that updates": MERGE.format("UPDATE SET type = 'forged'"),
    "merge that deletes": MERGE.format("DELETE"),
    "truncate": "TRUNCATE events",
    "truncate from above": "TRUNCATE tenants CASCADE",
}
BECOME = {
    "superuser": (),
    "application": ("SET LOCAL ROLE civicpulse_app",),
    "owner": (
        "CREATE ROLE audit_owner NOSUPERUSER",
        "GRANT ALL ON SCHEMA public TO audit_owner",
        "ALTER TABLE events OWNER TO audit_owner",
        "GRANT SELECT, TRUNCATE ON ALL TABLES IN SCHEMA public TO audit_owner",
        "SET LOCAL ROLE audit_owner",
    ),
}


@pytest.mark.parametrize("who", BECOME)
@pytest.mark.parametrize("what", STATEMENTS)
async def test_no_statement_changes_an_event(city, database_url, who: str, what: str) -> None:
    await create(await city.client())
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        for statement in BECOME[who]:
            await conn.execute(statement)
        tenant_id = city.tenant.tenant_id
        await conn.execute(f"SET LOCAL civicpulse.tenant = '{tenant_id}'")
        values = {"tenant_id": tenant_id} if "%(" in STATEMENTS[what] else None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await conn.execute(STATEMENTS[what], values)
        await conn.rollback()


async def test_an_event_without_its_predecessor_cannot_be_added(city) -> None:
    number = (await create(await city.client()))["_id"]
    for seq, error in ((3, psycopg.errors.IntegrityConstraintViolation), (1, psycopg.errors.UniqueViolation)):
        with pytest.raises(error):
            async with city.transaction() as tx:
                await tx.run(
                    "INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, at) VALUES (%s, %s, %s, 'x', 'system', now())",
                    [tx.tenant_id, UUID(number), seq],
                )


def command(database_url: str, slug: str) -> subprocess.CompletedProcess[str]:
    """`civicpulse audit verify`, as the operator runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "civicpulse.cli.main", "audit", "verify", "--tenant", slug],
        env=os.environ | {"CIVICPULSE_DATABASE_URL": application_url(database_url)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


async def verify(city: City) -> str | None:
    """What the command would say of the first broken row; None: the trail is whole."""
    return "\n".join((await verified(city.services, city.tenant)).faults.values()) or None


@asynccontextmanager
async def forced(database_url: str, city: City, how: str, *statements: str, **values: Any) -> AsyncIterator[None]:
    """Changes the trail by force, with the triggers out of the way, and puts it back afterwards."""
    off, on = {
        "replica role": ("SET session_replication_role = replica", "RESET session_replication_role"),
        "no trigger": ("ALTER TABLE events DISABLE TRIGGER USER", "ALTER TABLE events ENABLE TRIGGER USER"),
    }[how]
    tenant = {"tenant_id": city.tenant.tenant_id}
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True, row_factory=dict_row) as conn:
        kept = await (
            await conn.execute("SELECT e::text AS row FROM events e WHERE tenant_id = %(tenant_id)s", tenant)
        ).fetchall()

        async def by_force(*commands: str) -> None:
            async with conn.transaction():
                await conn.execute(off)
                for command in commands:
                    cursor = await conn.execute(command, values | tenant)
                    assert cursor.rowcount > 0
                await conn.execute(on)

        await by_force(*statements)
        try:
            yield
        finally:
            await by_force("DELETE FROM events WHERE tenant_id = %(tenant_id)s")
            async with conn.transaction():
                await conn.execute(off)
                for row in kept:
                    await conn.execute("INSERT INTO events SELECT (%s::events).*", [row["row"]])
                await conn.execute(on)


async def lived(city: City) -> list[tuple[str, UUID]]:
    """A tenant with some life in it: number and id of three requests with seven or more events each."""
    admin = await city.client("admin")
    documents = [await create(admin, lat=40 + index / 10) for index in range(3)]
    for document in documents:
        await walk_to(admin, document["request_id"], "closed")
    await add_agent(admin, "AG-LAST")
    return [(document["request_id"], UUID(document["_id"])) for document in documents]


WHERE = "WHERE tenant_id = %(tenant_id)s AND subject_id = %(id)s AND seq = %(seq)s"
FORGERIES = {
    "meta": f"UPDATE events SET meta = meta || '{{\"forged\": 1}}' {WHERE}",
    "type": f"UPDATE events SET type = 'closed' {WHERE}",
    "actor": f"UPDATE events SET actor_id = 'somebody else' {WHERE}",
    "time": f"UPDATE events SET at = at + interval '1 microsecond' {WHERE}",
    "hash": f"UPDATE events SET hash = sha256('x') {WHERE}",
    "the row and its hash": f"""
        UPDATE events SET type = 'forged', hash = event_hash(
            (SELECT p.hash FROM events p WHERE p.tenant_id = events.tenant_id AND p.subject_id = events.subject_id AND p.seq = events.seq - 1),
            tenant_id, subject_id, seq, subject_type, 'forged', actor_type, actor_id, at, meta) {WHERE}""",
}


async def test_the_command_names_the_altered_event_and_finds_the_rest_whole(city, database_url) -> None:
    _, (number, request_id), _ = await lived(city)
    async with forced(database_url, city, "no trigger", FORGERIES["meta"], id=request_id, seq=4):
        done = await asyncio.to_thread(command, database_url, city.tenant.slug)
    assert (done.returncode, number in done.stdout, "seq 4 " in done.stdout) == (1, True, True), done.stdout
    done = await asyncio.to_thread(command, database_url, city.tenant.slug)
    assert (done.returncode, done.stdout) == (0, "31 events verified, the trail is whole\n")


async def test_the_command_says_when_there_is_no_such_tenant(city, database_url) -> None:
    done = await asyncio.to_thread(command, database_url, "nobody")
    assert (done.returncode, "nobody" in done.stderr) == (2, True)


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_an_altered_event_is_found(city, database_url, forgery: str) -> None:
    _, (number, request_id), _ = await lived(city)
    assert await verify(city) is None
    async with forced(database_url, city, "replica role", FORGERIES[forgery], id=request_id, seq=4):
        told = await verify(city)
    assert told is not None
    assert number in told
    # A forger who seals the forged row anew is found at the next one, which still holds the true hash.
    assert f"seq {5 if forgery == 'the row and its hash' else 4} " in told
    assert await verify(city) is None


async def test_missing_events_are_found(city, database_url) -> None:
    (number, request_id), (other, other_id), _ = await lived(city)
    delete = f"DELETE FROM events {WHERE}"
    for seq in (1, 4):
        async with forced(database_url, city, "replica role", delete, id=request_id, seq=seq):
            told = await verify(city) or ""
        assert number in told
        assert f"seq {seq + 1} " in told
    async with forced(database_url, city, "replica role", delete, id=other_id, seq=9):
        told = await verify(city) or ""
    assert other in told
    assert "9 events" in told
    assert "ends at 8" in told
    all_of_it = "DELETE FROM events WHERE tenant_id = %(tenant_id)s AND subject_id = %(id)s"
    async with forced(database_url, city, "replica role", all_of_it, id=other_id):
        assert other in (await verify(city) or "")


async def test_two_events_that_changed_places_are_found(city, database_url) -> None:
    _, _, (number, request_id) = await lived(city)
    swap = """
        UPDATE events e SET (type, actor_type, actor_id, at, meta, hash) =
            (SELECT o.type, o.actor_type, o.actor_id, o.at, o.meta, o.hash FROM events o
             WHERE o.tenant_id = e.tenant_id AND o.subject_id = e.subject_id AND o.seq = 9 - e.seq)
        WHERE tenant_id = %(tenant_id)s AND subject_id = %(id)s AND seq IN (4, 5)"""
    async with forced(database_url, city, "replica role", swap, id=request_id):
        told = await verify(city) or ""
    assert number in told
    assert "seq 4 " in told
