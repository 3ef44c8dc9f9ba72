"""What the application's log-in may do, table by table, and that SQL which finds its way in gets no further (R-TEN-08)."""

from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest
from builders import create
from psycopg.rows import TupleRow

from civicpulse.base.db import Database
from civicpulse.base.logins import APP_ROLE, UnsafeLogin, application_url, make_login
from civicpulse.base.tenancy import TenantDirectory

ADD, CHANGE, TAKE = "SELECT INSERT", "SELECT INSERT UPDATE", "SELECT INSERT UPDATE DELETE"

# A new table is named here with what the application has to do with it, and with no more.
TABLES: Final = {
    "agents": CHANGE,
    "analyses": f"{ADD} UPDATE(recommendation) UPDATE(summary)",
    "assignments": CHANGE,
    "chain_blocks": ADD,
    "chain_waiting": "SELECT INSERT DELETE",
    "checkpoints": ADD,
    "citizens": CHANGE,
    "comments": CHANGE,
    "distribution_state": CHANGE,
    "due": TAKE,
    "duplicate_links": CHANGE,
    "duplicate_opinions": CHANGE,
    "duplicate_rejections": TAKE,
    "escalations": CHANGE,
    "events": ADD,
    "evidence": CHANGE,
    "feedback": CHANGE,
    "geo_feeds": TAKE,
    "geocodes": TAKE,
    "idempotency_keys": TAKE,
    "import_runs": CHANGE,
    "kpi_cells": TAKE,
    "kpi_contributions": "SELECT",
    "kpi_deltas": TAKE,
    "kpi_ledgers": TAKE,
    "llm_calls": ADD,
    "models": f"{ADD} UPDATE(active)",
    "notifications": CHANGE,
    "offices": CHANGE,
    "otp_challenges": TAKE,
    "outbox": TAKE,
    "pack_versions": ADD,
    "performance_scores": TAKE,
    "pipeline_runs": CHANGE,
    "pipeline_tickets": TAKE,
    "processes": TAKE,
    "reports": TAKE,
    "requests": CHANGE,
    "seats": CHANGE,
    "sla_metrics": CHANGE,
    "sla_unmeasured": TAKE,
    "tenants": "SELECT UPDATE(kind) UPDATE(name) UPDATE(pack_version) UPDATE(zones_version)",
    "ticket_details": TAKE,
    "tokens": CHANGE,
    "zones": TAKE,
    # Tables of a library that only the release before the last one used; they hold nothing of a tenant.
    "procrastinate_events": TAKE,
    "procrastinate_jobs": TAKE,
    "procrastinate_periodic_defers": TAKE,
    "procrastinate_workers": TAKE,
}

# What looks across tenants, and all that it says. A secret stands in none: `gate_tenants` has the column for the release before.
GATES: Final = {
    "gate_chain": "waiting_since checkpoint_at",
    "gate_due": "queue tenant_id",
    "gate_public_scores": "slug name kind score compliance speed avg_resolution_hours resolved_count open_count calculated_at day_before",
    "gate_queues": "queue depth oldest parked",
    "gate_resolution_ms": "ms",
    "gate_search": "id",
    "gate_search_public": "id",
    "gate_tenants": "tenant_id slug name kind pack_version zones_version secret",
    "gate_tenants_due": "tenant_id",
    "gate_tenants_kpis": "tenant_id",
    "gate_tenants_notifications": "tenant_id",
    "gate_tenants_opinions": "tenant_id",
    "gate_tenants_outbox": "tenant_id",
    "gate_tenants_pipeline": "tenant_id",
    "gate_tenants_reports": "tenant_id",
    "gate_tenants_unmeasured": "tenant_id",
    "gate_tenants_unscored": "tenant_id",
    "gate_token": "tenant_id token_id role actor_id label expires_at",
}

RIGHTS = """
SELECT c.relname, array_agg(DISTINCT CASE WHEN has_table_privilege(%(role)s, c.oid, p.name) THEN p.name
                                          ELSE p.name || '(' || a.attname || ')' END)
FROM pg_class c CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN']) AS p (name)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND (has_table_privilege(%(role)s, c.oid, p.name)
       OR p.name IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') AND has_column_privilege(%(role)s, c.oid, a.attnum, p.name))
GROUP BY c.relname
"""

GATE_COLUMNS = """
SELECT p.proname, array_to_string(p.proargnames[1 + p.pronargs:], ' ') FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef AND has_function_privilege(%s, p.oid, 'EXECUTE')
"""

# Each is one statement, as it would stand in a query that something was smuggled into, or in its place.
WAYS_UP: Final = (
    "SET ROLE postgres",
    "SET ROLE civicpulse_gate",
    "SET SESSION AUTHORIZATION postgres",
    "SELECT set_config('role', 'postgres', false)",
    "SELECT set_config('civicpulse.tenant', '{other}', true)",
    "UPDATE pg_settings SET setting = '{other}' WHERE name = 'civicpulse.tenant'",
    "GRANT civicpulse_gate TO civicpulse_app",
    "ALTER ROLE civicpulse_app SUPERUSER",
    "ALTER ROLE civicpulse_app BYPASSRLS",
    "CREATE ROLE another LOGIN",
    "ALTER TABLE requests NO FORCE ROW LEVEL SECURITY",
    "DROP POLICY tenant ON requests",
    "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql AS $$ SELECT '{other}'::uuid $$",
    "CREATE EXTENSION dblink",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "COPY requests TO '/tmp/requests'",
    "SELECT rolpassword FROM pg_authid",
    "SELECT create_request_numbers('{other}')",
    "TRUNCATE events",
    "DELETE FROM events",
    "UPDATE tenants SET secret = ''",
)

# Each ends in what it should not reach; the first column is whose row it was.
SMUGGLED: Final = (
    "SELECT tenant_id, number FROM requests WHERE tenant_id = %(other)s OR 1 = 1",
    "SELECT tenant_id, number FROM requests WHERE number = '' UNION ALL SELECT tenant_id, number FROM requests",
    "SELECT tenant_id, secret FROM tenants",
    "SELECT tenant_id, email FROM citizens",
    "SELECT tenant_id, token_hash FROM tokens",
    "SELECT tenant_id, meta FROM events",
    "SELECT q.tenant_id, q.number FROM requests r RIGHT JOIN requests q ON q.tenant_id = %(other)s OR true",
)


@pytest.fixture
def application(database_url: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """A session of the application's own log-in."""
    with psycopg.connect(application_url(database_url)) as conn:
        yield conn
        conn.rollback()


def test_the_application_may_do_what_is_written_here_and_no_more(database_url: str) -> None:
    with psycopg.connect(database_url) as owner:
        found: dict[str, list[str]] = dict(owner.execute(RIGHTS, {"role": APP_ROLE}).fetchall())
    assert {name: set(rights) for name, rights in found.items()} == {
        name: set(rights.split()) for name, rights in TABLES.items()
    }


def test_every_gate_says_what_is_written_here_and_no_more(city, application) -> None:
    assert dict(application.execute(GATE_COLUMNS, [APP_ROLE]).fetchall()) == GATES
    secrets = application.execute("SELECT slug, secret FROM gate_tenants()").fetchall()
    assert city.tenant.slug in {slug for slug, _ in secrets}
    assert {secret for _, secret in secrets} == {None}


def test_there_is_no_way_up(city, other_city, application) -> None:
    application.execute(f"SET civicpulse.tenant = '{city.tenant.tenant_id}'")
    application.commit()
    for statement in WAYS_UP:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application.execute(statement.format(other=other_city.tenant.tenant_id))
        application.rollback()
    for statement in ("RESET ROLE", "RESET SESSION AUTHORIZATION", "SET row_security = off"):
        application.execute(statement)
        session = application.execute("SELECT current_user, session_user").fetchone()
        assert session == (APP_ROLE, APP_ROLE)


async def test_smuggled_sql_sees_one_tenant_only(city, other_city, application) -> None:
    for one in (city, other_city):
        client = await one.client("dispatcher")
        await create(client)
        await client.post("/citizens", json={"full_name": "Ada", "contacts": {"email": "ada@example.org"}})
    for ours, theirs in ((city.tenant, other_city.tenant), (other_city.tenant, city.tenant)):
        application.execute(f"SET LOCAL civicpulse.tenant = '{ours.tenant_id}'")
        for statement in SMUGGLED:
            rows = application.execute(statement, {"other": theirs.tenant_id}).fetchall()
            assert {row[0] for row in rows} == {ours.tenant_id}, statement
        application.rollback()


async def test_the_tenants_secrets_are_read_under_their_own_binding(city, other_city) -> None:
    directory = TenantDirectory(city.services.db)
    secrets = {tenant.tenant_id: tenant.secret for tenant in await directory.all()}
    for one in (city, other_city):
        async with one.transaction() as tx:
            assert (
                secrets[one.tenant.tenant_id]
                == bytes(await tx.value("SELECT secret FROM tenants"))
                == one.tenant.secret
            )


async def test_a_log_in_that_may_do_more_is_refused_with_a_word_how(database_url: str) -> None:
    with pytest.raises(
        UnsafeLogin, match=r"(?s)'postgres' .* is a superuser.*CIVICPULSE_MIGRATION_URL.*civicpulse migrate"
    ):
        await Database(database_url, size=2).open()


@pytest.fixture
def strong(database_url: str, worker_id: str) -> Iterator[tuple[str, psycopg.Connection[TupleRow]]]:
    """A log-in named by itself that may take on the application's role, and a superuser's session to give it more."""
    name = f"strong_{worker_id}"
    with psycopg.connect(database_url, autocommit=True) as chief:
        chief.execute(f"CREATE ROLE {name} LOGIN IN ROLE {APP_ROLE}")
        yield name, chief
        chief.execute(f"DROP OWNED BY {name}")
        chief.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("ALTER ROLE {name} CREATEROLE", "may make roles"),
        ("ALTER ROLE {name} BYPASSRLS", "passes by row-level security"),
        ("GRANT civicpulse_gate TO {name}", "may become civicpulse_gate"),
        ("CREATE TABLE of_{name} (); ALTER TABLE of_{name} OWNER TO {name}", "owns things in the database"),
    ],
)
async def test_each_strength_is_told(database_url: str, strong: tuple[str, Any], given: str, words: str) -> None:
    name, chief = strong
    url = application_url(database_url).replace(APP_ROLE, name)
    weak = Database(url, size=2)
    await weak.open()
    await weak.close()
    chief.execute(given.format(name=name))
    with pytest.raises(UnsafeLogin, match=words):
        await Database(url, size=2).open()


def test_migrating_makes_the_log_in_with_its_password(own_database_url: str) -> None:
    """Its verifier is kept, never the password; a URL that names somebody else is left alone."""
    with psycopg.connect(own_database_url, autocommit=True) as owner:
        kept = f"SELECT rolcanlogin, rolpassword FROM pg_authid WHERE rolname = '{APP_ROLE}'"
        try:
            url = application_url(own_database_url).replace("@", ":s3cret@", 1)
            assert make_login(own_database_url, url)
            can_login, verifier = owner.execute(kept).fetchone() or (None, None)
            assert can_login
            assert str(verifier).startswith("SCRAM-SHA-256$")
            assert "s3cret" not in str(verifier)
            assert not make_login(own_database_url, own_database_url)
            assert make_login(own_database_url, application_url(own_database_url)), "done already"
            assert owner.execute(kept).fetchone() == (True, verifier)
        finally:
            owner.execute(f"ALTER ROLE {APP_ROLE} PASSWORD NULL")
