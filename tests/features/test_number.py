"""The number of a request under its old and its new name, while two releases run on one schema."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import TupleRow
from sqlalchemy.exc import DBAPIError

from civicpulse.base.migrate import migrate
from conftest import City, with_database

BEFORE = "0013_roles"
TENANTS = {uuid4(): "first", uuid4(): "second"}

ADD_TENANT = """
INSERT INTO tenants (tenant_id, slug, name, pack_version, secret) VALUES (%s, %s, 'A city', 1, decode(repeat('ab', 32), 'hex'))
"""
ADD = """
INSERT INTO requests (tenant_id, id, {column}, pack_version, category, description, status, state_category, priority, priority_score,
    created_at, updated_at)
SELECT %s, lpad(n::text, 32, '0')::uuid, 'CST-2026-' || n, 1, 'pothole', 'A hole', 'new', 'open', 'P3', 5, now(), now()
FROM generate_series(%s::int, %s::int) AS n
"""
OF_BEFORE, OF_NOW = ADD.format(column="request_id"), ADD.format(column="number")
BOTH = "SELECT request_id, number FROM requests WHERE tenant_id = %s ORDER BY number"
BATCHES = "SELECT count(DISTINCT xmin::text) FROM requests"
FILLED = "SELECT count(*) FROM requests WHERE number = request_id"
STUMBLE = """
CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the power is out';
END $$;
CREATE TRIGGER stumble BEFORE UPDATE ON requests FOR EACH ROW
WHEN (OLD.request_id = 'CST-2026-1200') EXECUTE FUNCTION stumble();
"""


@pytest.fixture
def old(server_url: str, worker_id: str) -> Iterator[tuple[str, psycopg.Connection[TupleRow]]]:
    """A database as the release before left it, with two tenants: its owner's URL, and a way in for a superuser.

    The owner is nobody special, so the row policies bind it too.
    """
    name, role = f"old_{worker_id}", f"owner_{worker_id}"
    url = with_database(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as chief:
        chief.execute(f"CREATE ROLE {role} CREATEROLE")
        chief.execute(f"GRANT civicpulse_app, civicpulse_gate TO {role} WITH ADMIN OPTION")
        chief.execute(f"CREATE DATABASE {name} OWNER {role}")
        owners_url = f"{url}&options=-c%20role%3D{role}"
        migrate(owners_url, to=BEFORE)
        with psycopg.connect(url, autocommit=True) as inside:
            for tenant, slug in TENANTS.items():
                inside.execute(ADD_TENANT, [tenant, slug])
            yield owners_url, inside
        chief.execute(f"DROP DATABASE {name} WITH (FORCE)")
        chief.execute(f"DROP OWNED BY {role}")
        chief.execute(f"DROP ROLE {role}")


def test_rows_of_the_release_before_get_their_number_in_batches(old: tuple[str, psycopg.Connection[TupleRow]]) -> None:
    url, inside = old
    counts = dict(zip(TENANTS, (2500, 1), strict=True))
    for tenant, count in counts.items():
        inside.execute(OF_BEFORE, [tenant, 1, count])
    inside.execute("DELETE FROM kpi_deltas")
    assert migrate(url)
    for tenant, count in counts.items():
        rows = inside.execute(BOTH, [tenant]).fetchall()
        assert len(rows) == count
        assert all(before == now for before, now in rows)
    assert inside.execute(BATCHES).fetchone() == (4,), "nobody waits for more than one batch"
    assert inside.execute("SELECT count(*) FROM kpi_deltas").fetchone() == (0,), "no figure has changed"
    assert not migrate(url), "it is done once"


def test_filling_that_was_interrupted_goes_on(old: tuple[str, psycopg.Connection[TupleRow]]) -> None:
    url, inside = old
    tenant = next(iter(TENANTS))
    inside.execute(OF_BEFORE, [tenant, 1, 1500])
    inside.execute(STUMBLE)
    with pytest.raises(DBAPIError, match="the power is out"):
        migrate(url)
    assert inside.execute(FILLED).fetchone() == (1000,)
    inside.execute(OF_BEFORE, [tenant, 1501, 1501])
    inside.execute("DROP TRIGGER stumble ON requests")
    assert migrate(url)
    assert inside.execute(FILLED).fetchone() == (1501,)


async def test_both_releases_write_and_read_one_number(city: City) -> None:
    async with city.transaction() as tx:
        await tx.run(OF_BEFORE, [tx.tenant_id, 1, 1])
        await tx.run(OF_NOW, [tx.tenant_id, 2, 2])
        rows = await tx.rows(BOTH, [tx.tenant_id])
    assert [tuple(row.values()) for row in rows] == [("CST-2026-1",) * 2, ("CST-2026-2",) * 2]
    for statement in (OF_BEFORE, OF_NOW):
        for taken in (1, 2):
            with pytest.raises(psycopg.errors.UniqueViolation):
                async with city.transaction() as tx:
                    await tx.run(statement, [tx.tenant_id, taken, taken])
