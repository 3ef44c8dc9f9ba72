"""Every SQL statement of the package keeps the rules of a database that is spread over several machines (R-OPS-02).

Statements are found by importing every module: constants that are SQL, and what queues and sources have composed. What is
put together inside a function is found in the text of the file.
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

import civicpulse
from civicpulse.base.due import Source
from civicpulse.base.leases import Queue

SOURCE = Path(civicpulse.__file__).parent

IS_SQL = re.compile(r"^\s*(?:WITH|SELECT|INSERT INTO|UPDATE|DELETE FROM|MERGE INTO|TRUNCATE|COPY|LOCK)\b", re.ASCII)
TENANT = re.compile(r"\btenant_id\s*=\s*(?:%\(tenant_id\)s|%s|current_tenant\(\))")
TIMES = re.compile(
    r"\b(?:now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(|\bcurrent_(?:timestamp|date|time)\b",
    re.IGNORECASE,
)
WRITES = re.compile(
    r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?)\s+([a-z_]+)\b(?!\s*(?:=|,))"
)

# Which room writes a table. `base` writes what every room goes through: trail, outbox, directory, answers.
ROOMS: dict[str, set[str]] = {
    "accounts": {"tenants", "tokens"},
    "audit": {"chain_blocks", "chain_waiting", "checkpoints"},
    "base": {"due", "events", "idempotency_keys", "outbox", "seats"},
    "centre": {"pipeline_runs", "pipeline_tickets", "ticket_details"},
    "duplicates": {"duplicate_links", "duplicate_opinions", "duplicate_rejections"},
    "imports": {"import_runs"},
    "insight": {
        "geo_feeds",
        "kpi_cells",
        "kpi_deltas",
        "kpi_ledgers",
        "performance_scores",
        "sla_metrics",
        "sla_unmeasured",
    },
    "notify": {"notifications"},
    "packs": {"pack_versions"},
    "people": {"agents", "citizens", "otp_challenges"},
    "places": {"geocodes", "offices", "zones"},
    "reports": {"reports"},
    "requests": {"assignments", "comments", "distribution_state", "escalations", "evidence", "feedback", "requests"},
    "triage": {"analyses", "llm_calls", "models"},
}

# What is written in one statement with the room's own rows, so that both are there or neither.
TOGETHER: set[tuple[str, str]] = {
    ("accounts/tenants.py", "pack_versions"),  # a tenant begins with a pack
    ("reports/queries.py", "idempotency_keys"),
    ("requests/store.py", "events"),
    ("requests/store.py", "outbox"),
}


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and where it stands."""

    name: str
    text: str


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages([str(SOURCE)], "civicpulse."):
        if ".migrations." not in found.name and not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def statements() -> list[Statement]:
    """Every statement, once."""
    found: dict[str, str] = {}
    for module in modules():
        for name, value in vars(module).items():
            for text in texts_of(value):
                if IS_SQL.match(text):
                    found.setdefault(text, f"{module.__name__}.{name}")
    assert len(found) > 200, "the walk must see every room's statements"
    return [Statement(name, text) for text, name in found.items()]


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, sql.Composable):
        yield value.as_string(None)
    elif isinstance(value, Queue):
        yield from value.statements.values()
        yield from texts_of(value.source)
    elif isinstance(value, Source):
        yield from (value.renewing, value.feeding, value.covering)
    elif isinstance(value, dict):
        for one in value.values():
            if isinstance(one, str | sql.Composable):
                yield from texts_of(one)


STATEMENTS = statements()


def around(text: str, at: int) -> str:
    """The part of a statement that stands within the same parentheses as the place `at`."""
    depth, start = 0, at
    while start > 0:
        start -= 1
        depth += {")": 1, "(": -1}.get(text[start], 0)
        if depth < 0:
            break
    return text[start if depth < 0 else 0 : at] + after(text, at)


def after(text: str, at: int) -> str:
    """What follows the place `at` within the same parentheses."""
    depth = 0
    for end in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if depth < 0:
            return text[at:end]
    return text[at:]


@pytest.fixture(scope="module")
def unsteady(database_url: str) -> set[str]:
    """Names of functions of which no variant always answers the same."""
    with psycopg.connect(database_url) as owner:
        found = owner.execute("SELECT proname FROM pg_proc GROUP BY proname HAVING bool_and(provolatile <> 'i')")
        return {row[0] for row in found}


@pytest.fixture(scope="module")
def tenant_tables(database_url: str) -> set[str]:
    """Tables with a row per tenant."""
    with psycopg.connect(database_url) as owner:
        found = owner.execute(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id'"
        )
        return {row[0] for row in found} - {"tenants", "tokens"}


def test_what_is_returned_depends_on_the_row_alone(unsteady: set[str]) -> None:
    faults = [
        f"{statement.name}: {function}()"
        for statement in STATEMENTS
        for returning in re.finditer(r"\bRETURNING\b", statement.text)
        for function in re.findall(r"\b([a-z_]+)\(", after(statement.text, returning.end()))
        if function in unsteady
    ]
    assert faults == []


def test_rows_are_locked_in_one_tenant_only() -> None:
    faults = [
        statement.name
        for statement in STATEMENTS
        for lock in re.finditer(r"\bFOR (?:NO KEY )?(?:UPDATE|SHARE)\b|\bSKIP LOCKED\b", statement.text)
        if not TENANT.search(around(statement.text, lock.start()))
    ]
    assert faults == []


def test_the_time_comes_with_the_call_when_rows_are_changed() -> None:
    faults = [
        statement.name
        for statement in STATEMENTS
        for update in re.finditer(r"(?<!FOR )(?<!KEY )(?<!DO )\bUPDATE\b", statement.text)
        if TIMES.search(after(statement.text, update.end()))
    ]
    assert faults == []


def test_every_statement_on_tenants_rows_names_the_tenant(tenant_tables: set[str]) -> None:
    reads = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+([a-z_]+)\b")
    faults = [
        statement.name
        for statement in STATEMENTS
        if set(reads.findall(statement.text)) & tenant_tables and "tenant_id" not in statement.text
    ]
    assert faults == []


def test_nothing_is_copied_into_a_table() -> None:
    copying = [statement.name for statement in STATEMENTS if re.match(r"\s*COPY\b", statement.text)]
    copying += [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if re.search(r"\.copy\(\s*f?[\"']COPY", path.read_text())
    ]
    assert copying == []


def test_only_the_gate_looks_across_tenants() -> None:
    """Who holds a token, which tenants there are, what is due, the public ranking; the searches and the median are bound to one tenant."""
    calls = {gate for path in SOURCE.rglob("*.py") for gate in re.findall(r"\bgate_\w+(?=\()", path.read_text())}
    assert calls == {
        "gate_chain",
        "gate_due",
        "gate_public_scores",
        "gate_queues",
        "gate_resolution_ms",
        "gate_search",
        "gate_search_public",
        "gate_tenants",
        "gate_token",
    }


def literals(path: Path) -> Iterator[str]:
    """The texts in a file; holes of f-strings are empty. Docstrings are none."""
    tree = ast.parse(path.read_text())
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def writes() -> set[tuple[str, str]]:
    """(file, table) for each table that a file writes."""
    found: set[tuple[str, str]] = set()
    for path in SOURCE.rglob("*.py"):
        if "migrations" in path.parts:
            continue
        name = str(path.relative_to(SOURCE))
        found |= {(name, table) for text in literals(path) for table in WRITES.findall(text)}
    for module in modules():
        name = module.__name__.removeprefix("civicpulse.").replace(".", "/") + ".py"
        found |= {
            (name, value.table)
            for value in vars(module).values()
            if isinstance(value, Queue) and is_home(module, value)
        }
    return found


def is_home(module: Any, queue: Queue) -> bool:
    return f'name="{queue.name}"' in Path(module.__file__).read_text()


def test_a_table_is_written_by_its_own_room_only(tenant_tables: set[str]) -> None:
    known = {table: room for room, tables in ROOMS.items() for table in tables}
    tables = tenant_tables | {"tenants", "tokens"}
    assert known.keys() <= tables, "the map names tables that are there"
    found = {(name, table) for name, table in writes() if table in tables}
    assert {table for _, table in found} <= known.keys(), "each table that is written has its room"
    foreign = {(name, table) for name, table in found if known[table] != name.split("/")[0].removesuffix(".py")}
    foreign -= TOGETHER
    assert foreign == set()
