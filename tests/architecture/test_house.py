"""The house's own rules: no route without a caller, no table outside the wall, no upward import, no huge function."""

import ast
from pathlib import Path

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from importlinter import cli as import_linter

from civicpulse.base.web import TransactionRoute
from civicpulse.portal.pages import PUBLIC_PAGES

SOURCE = Path(__file__).resolve().parents[2] / "src" / "civicpulse"

PUBLIC = {"/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs", "/docs/oauth2-redirect"} | set(
    PUBLIC_PAGES
)

FUNCTION_LINES = 60
FILE_LINES = 500
ROOM_LINES = 3_000


def permissions_of(route: APIRoute) -> list[object]:
    return [found for part in route.dependant.dependencies if (found := getattr(part.call, "permission", None))]


def api_routes(app: FastAPI) -> list[APIRoute]:
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    assert len(routes) > 25, "the walk must see every room's routes"
    return routes


def test_every_route_has_a_caller_or_is_listed_as_public(app: FastAPI) -> None:
    open_doors = [route.path for route in api_routes(app) if not permissions_of(route) and route.path not in PUBLIC]
    assert open_doors == []


def test_every_route_with_a_caller_commits_at_the_edge(app: FastAPI) -> None:
    assert [
        route.path for route in api_routes(app) if permissions_of(route) and not isinstance(route, TransactionRoute)
    ] == []


def test_every_tenant_table_forces_row_level_security(database_url: str) -> None:
    with psycopg.connect(database_url) as owner:
        tables = owner.execute(
            "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity, count(p.polname) FROM pg_class c "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped "
            "LEFT JOIN pg_policy p ON p.polrelid = c.oid WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace "
            "GROUP BY 1, 2"
        ).fetchall()
    assert len(tables) > 20
    assert [name for name, is_forced, policies in tables if not is_forced or policies == 0] == []


def test_every_key_of_a_tenant_table_holds_the_tenant(database_url: str) -> None:
    """So that no row can point across tenants, and tables can be distributed by tenant."""
    with psycopg.connect(database_url) as owner:
        keys = owner.execute(
            "SELECT c.conrelid::regclass::text, c.conname FROM pg_constraint c "
            "JOIN pg_attribute t ON t.attrelid = c.conrelid AND t.attname = 'tenant_id' "
            "WHERE c.contype IN ('p', 'u', 'f') AND NOT t.attnum = ANY (c.conkey) AND c.connamespace = 'public'::regnamespace"
        ).fetchall()
    assert keys == [("tenants", "tenants_slug_key")]


def test_the_application_role_owns_nothing_and_cannot_bypass_the_wall(database_url: str) -> None:
    with psycopg.connect(database_url) as owner:
        role = owner.execute(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcanlogin FROM pg_roles WHERE rolname = 'civicpulse_app'"
        ).fetchone()
        owned = owner.execute("SELECT count(*) FROM pg_class WHERE relowner = 'civicpulse_app'::regrole").fetchone()
    assert role == (False, False, False, True), "it may log in, and nothing else"
    assert owned == (0,)


def test_rooms_import_downward_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SOURCE.parents[1])
    assert import_linter.lint_imports(no_cache=True) == import_linter.EXIT_STATUS_SUCCESS


def test_functions_and_files_stay_small() -> None:
    too_long = []
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        if text.count("\n") > FILE_LINES:
            too_long.append(f"{path.name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES
            ):
                too_long.append(f"{path.name}:{node.lineno} {node.name}")
    assert too_long == []


def test_a_room_fits_in_the_head() -> None:
    """A room, or a part of one that is a package of its own, has 3,000 lines at the most."""
    lines = {
        str(package.parent.relative_to(SOURCE)): sum(
            path.read_text().count("\n") for path in package.parent.glob("*.py")
        )
        for package in SOURCE.rglob("__init__.py")
    }
    assert {room: many for room, many in lines.items() if many > ROOM_LINES} == {}


def test_no_statement_asks_for_all_columns() -> None:
    asking = [
        path.name
        for path in SOURCE.rglob("*")
        if path.suffix in (".py", ".sql") and "SELECT *" in path.read_text().upper()
    ]
    assert asking == []


def test_only_settings_reads_the_environment() -> None:
    # processes.py, up.py and trainer.py hand their own environment on to the processes that they start.
    readers = {
        path.name for path in SOURCE.rglob("*.py") if "os.environ" in path.read_text() or "getenv" in path.read_text()
    }
    assert readers == {"settings.py", "processes.py", "up.py", "trainer.py"}
