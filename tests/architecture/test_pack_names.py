"""States, categories and milestones are a pack's data: none of their names decides anything in code or in SQL."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from constants_in_code import constants_among, set_beside

from civicpulse.packs.loader import available_packs, read_pack
from civicpulse.rules.lifecycle import ENDED, OPEN_WORK, STAGE_TIMES

SOURCE = Path(__file__).resolve().parents[2] / "src" / "civicpulse"
# A sample is the life of one shipped pack and written with its names; what was, is history.
ELSEWHERE = {"sample", "migrations"}

PACKS = [read_pack(name) for name in available_packs()]
NAMES = (
    {state for pack in PACKS for state in pack.workflow.states}
    | {category.id for pack in PACKS for category in pack.categories}
    | {name for pack in PACKS for name in pack.milestones}
)
# Words that are code's own as well. They are looked for where code says state, category or milestone.
STAGES = {name.removesuffix("_at") for name in STAGE_TIMES}
CODE_WORDS = {*OPEN_WORK, *ENDED, *STAGES, "new", "answered", "resolution"}
"""Categories of states; stages, which figures are called by; "new": neither duplicate nor known, and a report that waits;
"answered": a language model has; "resolution": how fine the map's cells are, and the median of times."""

CALLED = re.compile(r"(^|[._'\"])(status|category|milestone|event)(\.name)?['\"\]]*$")
IN_SQL = re.compile(
    rf"\b(status|category|milestone)\s*(=|<>|!=|IN|@>|&&)[^;%]{{0,40}}'({'|'.join(sorted(NAMES))})'", re.IGNORECASE
)
# `.category` of a state is one of the four words of rules/lifecycle.py, and so are these.
OF_A_STATE = re.compile(r"state_category|from_category|(state|target|source|before|standing|initial)\.category")

COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*|<!--.*?-->|\{#.*?#\}", re.DOTALL)


def is_called(name: str) -> bool:
    return bool(CALLED.search(name)) and not OF_A_STATE.search(name)


def decided(tree: ast.AST) -> Iterator[ast.AST]:
    """Where a constant is compared with a state, category or milestone, or given as one."""
    for node in ast.walk(tree):
        for names, values in set_beside(node):
            if any(map(is_called, names)) and any(constants_among(value, NAMES) for value in values):
                yield node


def without_examples(tree: ast.AST) -> ast.AST:
    """The code but for what it shows as an example: that is written with the city's pack."""

    class Cut(ast.NodeTransformer):
        def visit_keyword(self, node: ast.keyword) -> ast.keyword | None:
            return None if node.arg in ("json_schema_extra", "examples", "openapi_extra") else self.generic_visit(node)  # type: ignore[return-value]

    return ast.fix_missing_locations(Cut().visit(tree))


def found_in(path: Path) -> Iterator[str]:
    name = path.relative_to(SOURCE).as_posix()
    tree = without_examples(ast.parse(path.read_text()))
    yield from (f"{name}: {ast.unparse(node)}" for node in decided(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value in NAMES - CODE_WORDS:
                yield f"{name}: {node.value!r}"
            yield from (f"{name}: {match.group()}" for match in IN_SQL.finditer(node.value))


def test_no_state_category_or_milestone_of_a_pack_stands_in_code() -> None:
    assert len(NAMES) > 50
    paths = [path for path in SOURCE.rglob("*.py") if not ELSEWHERE & set(path.relative_to(SOURCE).parts)]
    assert len(paths) > 200
    assert sorted({line for path in paths for line in found_in(path)}) == []


def test_no_state_category_or_milestone_of_a_pack_stands_in_a_page() -> None:
    pages = [path for path in SOURCE.rglob("*") if path.suffix in (".html", ".js") and "static" not in path.parts]
    said = re.compile(rf"['\"]({'|'.join(sorted(NAMES - CODE_WORDS))})['\"]")
    compared = re.compile(rf"\b(status|category|milestone)\s*[!=]==?\s*['\"]({'|'.join(sorted(NAMES))})['\"]")
    code = {path: COMMENT.sub("", path.read_text()) for path in pages}
    assert len(code) > 20
    assert [path.name for path, text in code.items() if said.search(text) or compared.search(text)] == []


@pytest.mark.parametrize(
    "line",
    [
        "row['status'] == 'in_progress'",
        "pack.status in ('new', 'assigned')",
        "move(status='resolved')",
        "{'milestone': 'resolution'}",
        "status = 'closed'",
    ],
)
def test_the_search_finds_a_name_that_decides(line: str) -> None:
    assert list(decided(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "row['state_category'] == 'closed'",
        "state.category == 'resolved'",
        "outcome == 'new'",
        "{'resolved': row['resolved']}",
    ],
)
def test_the_search_leaves_codes_own_words(line: str) -> None:
    assert not list(decided(ast.parse(line)))


def test_the_search_reads_sql() -> None:
    assert IN_SQL.search("SELECT count(*) FILTER (WHERE r.status = 'in_progress')")
    assert not IN_SQL.search("WHERE r.state_category IN ('open', 'waiting')")
