"""Roles are a pack's data: no name of a role decides anything in code or in SQL."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
from constants_in_code import constants_among, set_beside

from civicpulse.packs.loader import available_packs, read_pack

SOURCE = Path(__file__).resolve().parents[2] / "src" / "civicpulse"
# A sample is the life of one shipped pack: who does what in it is written with that pack's names.
WITHOUT_SAMPLES = [path for path in sorted(SOURCE.rglob("*")) if "sample" not in path.relative_to(SOURCE).parts]
# Words that are code's own as well. The kinds of actor of the trail; what a pack gives without being asked
# (`roles.callers`), and `created_by` of strangers. As the name of a role they are looked for where code says "role".
CODE_WORDS = {"citizen", "agent", "dispatcher", "system", "anonymous"}
# CivicPulse itself acts in no role of a tenant: `base.events.platform` calls it "system".
ALLOWED = {"base/events.py: Actor('system', 'system', part, frozenset(Permission), is_bound=False, scope='all')"}

NAMES = {name for pack in available_packs() for name in read_pack(pack).roles.named}
ROLE = re.compile(r"(^|[._'\"])roles?(\.name)?['\"\]]*$")
ROLE_IN_SQL = re.compile(rf"\broles?\s*(=|<>|!=|IN|@>|&&)[^;%]{{0,40}}'({'|'.join(sorted(NAMES))})'", re.IGNORECASE)


def is_role(name: str) -> bool:
    return bool(ROLE.search(name))


def called(node: ast.AST) -> Iterator[tuple[list[str], list[ast.AST | None]]]:
    """What a node sets beside each other; the arguments of an actor or a role are beside the word role."""
    yield from set_beside(node)
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Actor", "Role", "actor_as"):
        yield ["role"], [node]


def decided(tree: ast.AST) -> Iterator[ast.AST]:
    """Where a constant is compared with a role, given as one, or called one."""
    for node in ast.walk(tree):
        for names, values in called(node):
            if any(map(is_role, names)) and any(constants_among(value, NAMES) for value in values):
                yield node


def found_in(path: Path) -> Iterator[str]:
    text = path.read_text()
    name = path.relative_to(SOURCE).as_posix()
    if path.suffix == ".py":
        tree = ast.parse(text)
        yield from (f"{name}: {ast.unparse(node)}" for node in decided(tree))
        yield from (
            f"{name}: {node.value!r}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and node.value in NAMES - CODE_WORDS
        )
    if not name.startswith("migrations/"):  # what was, is history
        yield from (f"{name}: {match.group()}" for match in ROLE_IN_SQL.finditer(text))


def test_no_name_of_a_role_stands_in_code() -> None:
    assert len(NAMES) == 7
    found = {line for path in WITHOUT_SAMPLES if path.suffix in (".py", ".sql") for line in found_in(path)}
    # What a language model calls its own turn has the same word.
    found = {line for line in found if not line.startswith("base/clients/llm.py: {'role': 'system'")}
    assert found == ALLOWED


def test_no_name_of_a_role_stands_in_a_page() -> None:
    pages = [path for path in WITHOUT_SAMPLES if path.suffix in (".html", ".js") and "static" not in path.parts]
    said = re.compile(rf"['\"]({'|'.join(sorted(NAMES - CODE_WORDS))})['\"]")
    assert pages
    assert [path.name for path in pages if said.search(path.read_text())] == []


def test_the_search_finds_what_it_looks_for() -> None:
    for line in (
        "caller.role == 'citizen'",
        "role in ('agent', 'dispatcher')",
        "create_token(tx, role='citizen')",
        "ESCALATION_ROLE = role = 'dispatcher'",
        "roles: Words = ['agent']",
        "Actor('citizen', 'citizen')",
        "{'role': 'agent'}",
    ):
        assert list(decided(ast.parse(line))), line
    for line in ("role.kind == 'citizen'", "subject_type = 'citizen'", "Listener('role', role)", "kind == 'agent'"):
        assert not list(decided(ast.parse(line))), line
    assert ROLE_IN_SQL.search("WHERE role = 'citizen' AND actor_id = %(id)s")
    assert not ROLE_IN_SQL.search("WHERE recipient_type = 'citizen'")


def test_no_constraint_lists_roles(database_url: str) -> None:
    with psycopg.connect(database_url) as owner:
        checks = owner.execute(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
        ).fetchall()
    assert len(checks) > 20
    only_roles = NAMES - CODE_WORDS
    assert [table for table, text in checks if any(f"'{name}'" in text for name in only_roles)] == []
