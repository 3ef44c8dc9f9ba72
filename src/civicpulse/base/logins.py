"""The application's own log-in: made by the owner of the database, and tried before anything is served with it.

Whoever logs in as more than `civicpulse_app` can go back to what they logged in as by RESET ROLE, and so can any SQL that finds
its way in: row-level security would be a habit, not a wall. So the processes log in as a role that owns nothing, is a
member of nothing and may do what the migrations grant it, table by table (ADR 0004).
"""

from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

APP_ROLE: Final = "civicpulse_app"

# What a session could do beyond the application's own rights, in words; no row when there is nothing.
STRENGTHS: Final = f"""
WITH login AS (
    SELECT r.oid, r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, r.rolreplication
    FROM pg_roles r WHERE r.rolname = session_user
)
SELECT l.rolname, s.words FROM login l CROSS JOIN LATERAL (
    SELECT 'is a superuser' WHERE l.rolsuper
    UNION ALL SELECT 'passes by row-level security' WHERE l.rolbypassrls
    UNION ALL SELECT 'may make roles' WHERE l.rolcreaterole
    UNION ALL SELECT 'may make databases' WHERE l.rolcreatedb
    UNION ALL SELECT 'may read the replication stream' WHERE l.rolreplication
    UNION ALL SELECT 'owns things in the database' WHERE EXISTS (
        SELECT 1 FROM pg_shdepend d
        WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = l.oid AND d.deptype = 'o')
    UNION ALL SELECT 'may become ' || string_agg(DISTINCT m.roleid::regrole::text, ', ') FROM pg_auth_members m
    WHERE m.member IN (l.oid, '{APP_ROLE}'::regrole) AND m.roleid <> '{APP_ROLE}'::regrole HAVING count(*) > 0
) AS s (words)
"""

HOW: Final = f"""Let the application log in as a role of its own:
  1. put the URL that you have now into CIVICPULSE_MIGRATION_URL: with it the owner migrates,
  2. set CIVICPULSE_DATABASE_URL=postgresql://{APP_ROLE}:PASSWORD@HOST/DATABASE with a new password,
  3. run 'civicpulse migrate' with both: it makes the log-in."""

# One lock for all who change the role: two ALTER ROLE at once would fail on each other.
LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('civicpulse log-in'))"

# SQL that finds its way into a query could name another tenant by it; SET LOCAL is a statement of its own.
NO_SETTING_IN_QUERIES: Final = "REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC"


class UnsafeLogin(RuntimeError):
    """The log-in may do more than the application needs; the message says what, and how to do it right."""


def as_application(url: str, **settings: str) -> str:
    """Makes of `url` one for a connection of the application, with these server settings; it takes the application role at log-in."""
    options = conninfo_to_dict(url).get("options") or ""
    wanted = {"role": APP_ROLE, "timezone": "UTC", "jit": "off"} | settings
    chosen = " ".join(f"-c {name}={value}" for name, value in wanted.items())
    return make_conninfo(url, options=f"{options} {chosen}".strip())


def application_url(owner_url: str) -> str:
    """Makes the URL of the application's log-in on the server and database of `owner_url`, where no password is asked (embedded)."""
    about = {name: value for name, value in conninfo_to_dict(owner_url).items() if value is not None}
    host, database = about["host"], about.get("dbname", "")
    return f"postgresql://{APP_ROLE}@/{database}?host={host}"


def make_login(owner_url: str, login_url: str) -> bool:
    """Lets the application role log in with the password of `login_url`; False when that names another role or the owner."""
    login = conninfo_to_dict(login_url)
    if login.get("user") != APP_ROLE:
        return False
    with psycopg.connect(owner_url) as owner:
        owner.execute(LOCK)
        change = sql.SQL("ALTER ROLE {} LOGIN NOINHERIT").format(sql.Identifier(APP_ROLE))
        if password := login.get("password"):
            # As a verifier, so that the password itself stands in no log of statements.
            kept = owner.pgconn.encrypt_password(str(password).encode(), APP_ROLE.encode(), b"scram-sha-256").decode()
            change += sql.SQL(" PASSWORD {}").format(kept)
        elif owner.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", [APP_ROLE]).fetchone() == (True,):
            return True
        owner.execute(change)
    return True


def keep_settings_out_of_queries(owner_url: str) -> None:
    """Takes from everybody but superusers the function that changes a setting from within a query. For a server of our own."""
    with psycopg.connect(owner_url) as owner:
        owner.execute(LOCK)
        owner.execute(NO_SETTING_IN_QUERIES)


async def refuse_strong_login(conn: AsyncConnection[Any]) -> None:
    """Raises UnsafeLogin when the session could do more than the application needs."""
    found = await (await conn.execute(STRENGTHS)).fetchall()
    if found:
        name, strengths = found[0][0], "; ".join(words for _, words in found)
        raise UnsafeLogin(f"the database log-in {name!r} may do more than CivicPulse needs: it {strengths}.\n{HOW}")
