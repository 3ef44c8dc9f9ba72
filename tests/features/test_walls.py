"""The wall between tenants, tried on every route and on every table (R-TEN-01)."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
from builders import add_agent, create
from fastapi.routing import APIRoute
from psycopg import sql
from psycopg.rows import dict_row

from civicpulse.base.ids import new_id
from civicpulse.base.web import TransactionRoute
from civicpulse.packs.loader import read_pack
from conftest import City

MARK = "MARK7f3a"  # in every text of the tenant that is spied on
ROLES = list(read_pack("civic").roles.named)
# Pages and files, not data: the first asks the API for the data as its reader, the second serves the bundle.
WITHOUT_CALLER = {"/track/{number}", "/static/{name}"}
# A valid body by the end of the path; others take none.
BODIES: dict[str, dict[str, Any]] = {
    "/transition": {"to": "triaged"},
    "/milestone": {"milestone": "arrived"},
    "/escalate": {"reason": "late"},
    "/comment": {"message": "hello"},
    "/rating": {"rating": 5},
    "/merge": {"other": "CST-2026-000001"},
    "/reject": {"reason": "another one"},
    "/verify": {"code": "123456"},
    "PATCH /citizens/{citizen_id}": {"full_name": "Someone"},
    "PATCH /agents/{agent_id}": {"name": "Someone"},
    "PUT /tenants/{slug}/config": {"config": {}},
    "/rollback": {"version": 1},
}


@dataclass(frozen=True)
class Things:
    """Ids of what a tenant has, by the name they have in paths."""

    ids: dict[str, list[str]]


async def furnish(city: City, *, mark: str, requests: int) -> Things:
    """Fills a tenant with one of each thing."""
    admin = await city.client("admin")
    for index in range(requests):
        document = await create(admin, description=f"{mark} hole", lat=40.0 + index / 10)
    number = document["request_id"]
    await admin.post(f"/requests/{number}/comment", json={"message": f"{mark} words", "internal": True})
    agent = await add_agent(admin, f"AG-{mark}", name=f"{mark} Agent")
    citizen = await admin.post("/citizens", json={"full_name": mark, "contacts": {"email": f"{mark}@example.org"}})
    assert citizen.status_code == 201, citizen.text
    async with city.transaction() as tx:
        await tx.run(
            "INSERT INTO zones (tenant_id, zone_id, name, geometry) VALUES (%s, %s, %s, %s)",
            [
                tx.tenant_id,
                f"Z-{mark}",
                f"{mark} zone",
                '{"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,0]]]}',
            ],
        )
    kept = await admin.post(
        f"/requests/{number}/evidence", files={"file": (f"{mark}.txt", mark.encode(), "text/plain")}
    )
    assert kept.status_code == 201, kept.text
    report = await admin.post("/reports", json={"description": f"{mark} hole", "location": f"{mark} street"})
    assert report.status_code == 202, report.text
    run_id = new_id()
    async with city.transaction() as tx:
        await tx.run(
            "INSERT INTO pipeline_runs (tenant_id, id, kind, state, step, requested_by, created_at, updated_at, due_at, last_error) "
            "VALUES (%s, %s, 'upload', 'done', 'assign', 'test', now(), now(), NULL, %s)",
            [tx.tenant_id, run_id, mark],
        )
    evidence_id = kept.json()["items"][0]["url"].rpartition("/")[2]
    ids = {
        "evidence_id": [evidence_id],
        "number": [number],
        "other": [number],
        "agent_id": [agent["_id"], agent["agent_code"]],
    }
    ids |= {"report_id": [report.json()["id"]], "ticket_id": [number]}
    ids |= {"slug": [city.tenant.slug], "version": ["1"], "run_id": [str(run_id)]}
    return Things(ids | {"citizen_id": [citizen.json()["_id"]], "zone_id": [f"Z-{mark}"]})


def body_for(route: APIRoute, method: str) -> dict[str, Any] | None:
    """A body that the route would take."""
    named = BODIES.get(f"{method} {route.path}")
    return named or next((body for end, body in BODIES.items() if route.path.endswith(end)), None)


def routes_with_ids(city: City) -> list[tuple[str, APIRoute, list[str]]]:
    """(method, route, names of its ids) of each route that names a thing."""
    found: list[tuple[str, APIRoute, list[str]]] = []
    for route in city.app.routes:
        names = list(getattr(route, "param_convertors", {}))
        if not names or getattr(route, "path", "") in WITHOUT_CALLER:
            continue
        assert isinstance(route, TransactionRoute), f"{route} names a thing and has no Caller"
        found += [(method, route, names) for method in sorted(route.methods or ())]
    return found


async def test_another_tenants_things_are_not_found_on_any_route(city, other_city) -> None:
    theirs = await furnish(city, mark=MARK, requests=3)
    ours = await furnish(other_city, mark="ours", requests=1)
    clients = {
        role: await other_city.client(
            None if role == "anonymous" else role, **({} if role == "anonymous" else {"X-Tenant": city.tenant.slug})
        )
        for role in ROLES
    }
    tried, leaks = 0, []
    for method, route, names in routes_with_ids(city):
        unknown = [name for name in names if name not in theirs.ids]
        assert not unknown, f"{route.path}: furnish() makes nothing for {unknown}"
        for role, client in clients.items():
            body = body_for(route, method)
            for values in itertools.product(*(theirs.ids[name] for name in names)):
                path = route.path_format.format(**dict(zip(names, values, strict=True)))
                answers = [await client.request(method, path, **sent) for sent in _bodies(method, route, body)]
                tried += len(answers)
                if all(answer.status_code == 404 and MARK not in _told(answer, path) for answer in answers):
                    continue
                own = route.path_format.format(**{name: ours.ids[name][0] for name in names})
                control = await client.request(method, own, json=body)
                for answer in answers:
                    refused = answer.status_code in (401, 403) and control.status_code == answer.status_code
                    if answer.status_code != 404 and not refused:
                        leaks.append(f"{role} {method} {path}: {answer.status_code} {answer.text[:150]}")
    assert tried > 250
    assert not leaks, "\n".join(leaks)


def _bodies(method: str, route: APIRoute, body: dict[str, Any] | None) -> list[dict[str, Any]]:
    if method in ("GET", "HEAD", "DELETE"):
        return [{}]
    sent: list[dict[str, Any]] = [{}, {"json": {}}, {"json": body if body is not None else {"x": 1}}]
    if route.path.endswith("/evidence"):
        sent.append({"files": {"file": ("a.txt", b"a", "text/plain")}})
    return sent


def _told(answer: httpx.Response, path: str) -> str:
    """What the answer says beyond the id that was asked for."""
    return answer.text.replace(path, "").replace(path.split("/")[2], "")


async def test_absent_and_anothers_look_the_same(city, other_city) -> None:
    theirs = (await furnish(city, mark=MARK, requests=3)).ids["number"][0]
    await create(await other_city.client())
    spy = await other_city.client("admin")
    absent = "CST-2026-999999"
    for path in ("", "/events", "/sla"):
        answers = [await spy.get(f"/requests/{number}{path}") for number in (theirs, absent)]
        told = [answer.text.replace(theirs, "#").replace(absent, "#") for answer in answers]
        assert told[0] == told[1]


async def test_no_list_shows_another_tenants_rows(city, other_city) -> None:
    things = await furnish(city, mark=MARK, requests=2)
    spies = [await other_city.client(role, **{"X-Tenant": city.tenant.slug}) for role in ROLES if role != "anonymous"]
    listed = [
        route.path
        for route in city.app.routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and not route.param_convertors
    ]
    queries = ["", "?total=true", f"?q={MARK}", f"?citizen_id={things.ids['citizen_id'][0]}"]
    queries += [f"?agent={things.ids['agent_id'][0]}", f"?zone=Z-{MARK}", "?bbox=-180,-90,180,90", "?lon=0.9&lat=0.1"]
    deep = {id(spies[-1])}
    for spy in spies:
        for path, query in itertools.product(listed, queries if id(spy) in deep else queries[:1]):
            answer = await spy.get(f"{path}{query}")
            assert answer.status_code < 500, answer.text
            told = answer.text.replace(f"Z-{MARK}", "") if "zone=" in query else answer.text  # filters are echoed
            assert MARK not in told, (path, query, answer.text)
    assert (await spies[-1].get("/requests?total=true")).json() == {"items": [], "next_cursor": None, "total": 0}


async def test_a_citizens_id_of_another_tenant_cannot_be_reported_for(city, other_city) -> None:
    things = await furnish(city, mark=MARK, requests=1)
    staff = await other_city.client("dispatcher")
    ref = {"citizen_ref": {"citizen_id": things.ids["citizen_id"][0]}}
    body = {"category": "pothole", "description": "x", "location": {"coordinates": [1, 1]}} | ref
    assert (await staff.post("/requests", json=body)).status_code == 422
    number = (await create(staff))["request_id"]
    moved = {"to": "triaged", "assigned_agent_id": things.ids["agent_id"][1]}
    assert (await staff.patch(f"/requests/{number}/transition", json=moved)).status_code == 422


# --------------------------------------------------------------------------------------------------- below the API


@asynccontextmanager
async def backstage(database_url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A superuser's transaction that leaves no trace, with triggers and foreign keys off so that any row can be made."""
    async with await psycopg.AsyncConnection.connect(database_url, row_factory=dict_row) as conn:
        await conn.execute("SET LOCAL session_replication_role = replica")
        yield conn
        await conn.rollback()


TENANT_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname
"""

COLUMNS = """
SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attnotnull AND attname <> 'tenant_id'
"""

SAMPLES = {
    "uuid": "gen_random_uuid()", "text": "'x'", "integer": "1", "smallint": "1", "bigint": "1", "boolean": "true", "date": "'2026-01-01'",
    "timestamp with time zone": "now()", "jsonb": "'{}'", "json": "'{}'", "bytea": "'\\x00'", "text[]": "'{}'", "uuid[]": "'{}'",
    "double precision": "1", "integer[]": "'{}'",
}  # fmt: skip


async def tables(conn: psycopg.AsyncConnection[Any]) -> list[str]:
    """Every table that has tenants' rows."""
    found = [row["relname"] for row in await (await conn.execute(TENANT_TABLES)).fetchall()]
    assert len(found) > 20
    return found


async def put_row(conn: psycopg.AsyncConnection[Any], table: str, tenant_id: object) -> None:
    """A row of that tenant, whatever the table asks for."""
    checks = "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = %s::regclass"
    for row in await (await conn.execute(checks, [table])).fetchall():
        await conn.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.Identifier(table), sql.Identifier(row["conname"]))
        )
    columns = await (await conn.execute(COLUMNS, [table])).fetchall()
    statement = sql.SQL("INSERT INTO {} (tenant_id{}) VALUES (%s{}) ON CONFLICT DO NOTHING").format(
        sql.Identifier(table),
        sql.SQL("").join(sql.SQL(", {}").format(sql.Identifier(column["name"])) for column in columns),
        sql.SQL("").join(sql.SQL(f", {SAMPLES[column['type']]}") for column in columns),
    )
    await conn.execute(statement, [tenant_id])


async def attempt(conn: psycopg.AsyncConnection[Any], statement: str, table: str, *values: object) -> int:
    """Rows that the statement touched; -1 when it was refused."""
    try:
        async with conn.transaction():
            cursor = await conn.execute(sql.SQL(statement).format(sql.Identifier(table)), values)
            return cursor.rowcount
    except psycopg.errors.InsufficientPrivilege:
        return -1


async def play(conn: psycopg.AsyncConnection[Any], tenant_id: object | None) -> None:
    """Goes on as the application, for that tenant or for none."""
    await conn.execute(sql.SQL("SET LOCAL civicpulse.tenant = {}").format(str(tenant_id or "")))
    await conn.execute("SET LOCAL ROLE civicpulse_app")


async def test_sql_of_one_tenant_reaches_no_row_of_another_in_any_table(city, other_city, database_url) -> None:
    ours, theirs = city.tenant.tenant_id, other_city.tenant.tenant_id
    async with backstage(database_url) as conn:
        names = await tables(conn)
        for table, tenant_id in itertools.product(names, (ours, theirs)):
            await put_row(conn, table, tenant_id)
        await play(conn, ours)
        for table in names:
            count = "SELECT count(*) FILTER (WHERE tenant_id = %s) AS ours, count(*) AS seen FROM {}"
            row = await (await conn.execute(sql.SQL(count).format(sql.Identifier(table)), [ours])).fetchone()
            assert row is not None
            assert row["seen"] == row["ours"] > 0, table
            assert await attempt(conn, "UPDATE {} SET tenant_id = tenant_id WHERE tenant_id = %s", table, theirs) <= 0
            assert await attempt(conn, "UPDATE {} SET tenant_id = %s", table, theirs) == -1, table
            assert await attempt(conn, "DELETE FROM {} WHERE tenant_id = %s", table, theirs) <= 0
            assert await attempt(conn, "INSERT INTO {} (tenant_id) VALUES (%s)", table, theirs) == -1, table
            assert await attempt(conn, "TRUNCATE {}", table) == -1, table


async def test_a_forgotten_tenant_sees_and_writes_nothing(city, database_url) -> None:
    async with backstage(database_url) as conn:
        names = await tables(conn)
        for table in names:
            await put_row(conn, table, city.tenant.tenant_id)
        await play(conn, None)
        for table in names:
            assert await attempt(conn, "SELECT 1 FROM {}", table) == 0, table
            assert await attempt(conn, "UPDATE {} SET tenant_id = tenant_id", table) <= 0
            assert await attempt(conn, "DELETE FROM {}", table) <= 0
            assert await attempt(conn, "INSERT INTO {} (tenant_id) VALUES (%s)", table, city.tenant.tenant_id) == -1


async def rows(database_url: str, statement: str) -> list[dict[str, Any]]:
    """What the catalogue says."""
    async with await psycopg.AsyncConnection.connect(database_url, row_factory=dict_row) as conn:
        return await (await conn.execute(statement)).fetchall()


async def test_every_table_has_a_tenant_and_a_forced_policy_or_is_the_machinerys_own(database_url) -> None:
    found = await rows(
        database_url,
        """
        SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS walled, pg_get_userbyid(c.relowner) AS owner,
               EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull) AS has_tenant
        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'm', 'f')
        """,
    )
    for row in found:
        assert row["owner"] not in ("civicpulse_app", "civicpulse_gate")
        if not row["has_tenant"]:
            is_of_nobody = row["relname"] in ("alembic_version", "processes")  # revisions, and processes that live
            assert is_of_nobody or row["relname"].startswith("procrastinate_"), row
        else:
            assert row["walled"], row


async def test_foreign_keys_and_unique_rules_stay_within_a_tenant(database_url) -> None:
    keys = await rows(
        database_url,
        """
        SELECT k.conname, k.contype, k.conrelid::regclass::text AS name, k.confrelid::regclass::text AS target,
               (SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attname = 'tenant_id') AS here,
               (SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = k.confrelid AND a.attname = 'tenant_id') AS there,
               k.conkey, k.confkey
        FROM pg_constraint k WHERE k.connamespace = 'public'::regnamespace AND k.contype IN ('f', 'p', 'u')
        """,
    )
    mine = [key for key in keys if key["here"] is not None]
    assert len(mine) > 30
    for key in mine:
        if key["conname"] == "tenants_slug_key":
            continue
        assert key["here"] in key["conkey"], key
        if key["contype"] == "f":
            assert key["confkey"][key["conkey"].index(key["here"])] == key["there"], key


async def test_a_reference_to_another_tenants_row_is_refused(city, other_city) -> None:
    theirs = await furnish(other_city, mark=MARK, requests=1)
    number = (await create(await city.client()))["request_id"]
    for column, value in (
        ("citizen_id", theirs.ids["citizen_id"][0]),
        ("assigned_agent_id", theirs.ids["agent_id"][0]),
    ):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            async with city.transaction() as tx:
                await tx.run(f"UPDATE requests SET {column} = %s WHERE number = %s", [value, number])


async def test_the_applications_roles_have_no_way_up(database_url) -> None:
    roles = await rows(
        database_url,
        """
        SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication AS strong,
               (SELECT count(*) FROM pg_auth_members m WHERE m.member = r.oid) AS memberships,
               has_schema_privilege(r.oid, 'public', 'CREATE') AS creates
        FROM pg_roles r WHERE rolname IN ('civicpulse_app', 'civicpulse_gate')
        """,
    )
    assert len(roles) == 2
    for role in roles:
        assert (role["strong"], role["memberships"], role["creates"]) == (False, 0, False), role


async def test_only_the_gate_looks_across_and_only_at_what_it_needs(database_url) -> None:
    functions = await rows(
        database_url,
        """
        SELECT proname, pg_get_userbyid(proowner) AS owner, proconfig, has_function_privilege('public', p.oid, 'EXECUTE') AS anybody
        FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND prosecdef
        """,
    )
    assert {row["proname"] for row in functions} >= {"gate_tenants", "gate_token", "gate_search"}
    for row in functions:
        assert row["proname"].startswith("gate_"), row
        assert (row["owner"], row["anybody"]) == ("civicpulse_gate", False), row
        assert any(setting.startswith("search_path=") for setting in row["proconfig"]), row
    rights = await rows(
        database_url,
        """
        SELECT table_name, privilege_type FROM information_schema.role_table_grants
        WHERE grantee = 'civicpulse_gate' AND privilege_type <> 'SELECT'
        """,
    )
    assert rights == []


RESOLVE = """
UPDATE requests SET state_category = 'resolved', resolved_at = created_at + interval '1 hour' * %s WHERE tenant_id = %s
"""
TIMES = "SELECT ms FROM gate_resolution_ms(0, false, 0, 10, '-infinity', 'infinity', NULL, NULL, NULL, false)"


async def test_gates_reveal_no_more_than_their_purpose(city, other_city, database_url) -> None:
    await furnish(other_city, mark=MARK, requests=1)
    await create(await city.client(), description=f"{MARK} of our own")
    async with backstage(database_url) as conn:
        for one, hours in ((city, 1), (other_city, 2)):
            await conn.execute(RESOLVE, [hours, one.tenant.tenant_id])
        await play(conn, city.tenant.tenant_id)
        found = await (await conn.execute("SELECT id FROM gate_search(%s, 10)", [MARK])).fetchall()
        assert len(found) == 1
        assert [row["ms"] for row in await (await conn.execute(TIMES)).fetchall()] == [3_600_000]
        assert await (await conn.execute("SELECT * FROM gate_token('\\x00')")).fetchall() == []
        for gate in ("gate_tenants_due(now() + interval '1 year')", "gate_tenants_outbox()"):
            (row, *_) = await (await conn.execute(f"SELECT * FROM {gate}")).fetchall()
            assert list(row) == ["tenant_id"]
        await play(conn, None)
        assert await (await conn.execute("SELECT id FROM gate_search(%s, 10)", [MARK])).fetchall() == []
        assert await (await conn.execute(TIMES)).fetchall() == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with conn.transaction():
                await conn.execute("SELECT create_request_numbers(gen_random_uuid())")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with conn.transaction():
                await conn.execute("CREATE TABLE mine (x int)")
