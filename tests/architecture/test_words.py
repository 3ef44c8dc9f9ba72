"""The house's words: one word for each thing, in the English of the field."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).parents[2] / "src" / "civicpulse"
# A landed migration is never edited; the sample's data are texts of citizens and agents.
LEFT_OUT = (HOUSE / "migrations" / "versions", HOUSE / "sample" / "data")
FILES = [path for path in sorted(HOUSE.rglob("*.py")) if not any(place in path.parents for place in LEFT_OUT)]

# word -> what the house says instead
# first words of a docstring that end in s and are no verb; of those that may be one, with what makes a noun of them
NOUNS = (
    "Address Agents Aliases Always As Categories Cells Codes Columns Conditions Contacts Days Digits Does Events Figures "
    "Has Hours Ids Is Its Letters Masters Minutes Offices Points Problems Requests Resolutions Rows Seconds Segments "
    "Services Settings Skills States Texts This Tickets Tokens Totals Towns Versions Was Ways Words Zones"
)
NO_VERB = frozenset(NOUNS.split())
OF = re.compile(r"(Chains|Counts|Files|Marks|Names|Numbers|Places|Scores|Sums)(,| of| by| over| \()")
BANNED = {"twin": "duplicate", "twins": "duplicates", "narrowed": "filtered"}
WORD = re.compile("[a-z]+")


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Finds what a file names: parameters, keywords, variables and constants, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.value.lineno, node.arg
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Finds the docstrings of a file's module, classes and functions, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


def is_told(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Says whether a function's docstring tells what it does: a property's names what it is, a dunder's what Python asks."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    is_property = any(name.endswith(("property", ".setter")) for name in decorators)
    return not is_property and not re.fullmatch("__.+__", node.name)


def begins_with_a_verb(text: str) -> bool:
    """Says whether a docstring begins with a verb in the third person: Reads, Finds, Makes."""
    first = re.match(r"([A-Z][a-z]+s)(?=[\s,])", text)
    return first is not None and first[1] not in NO_VERB and not OF.match(text)


def without_a_verb(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Finds the docstrings of functions that do not begin with a verb, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_told(node):
            text = ast.get_docstring(node)
            if text and not begins_with_a_verb(text):
                yield node.lineno, text


def faults(source: str) -> list[str]:
    """Lists what a file's words break, each with its line."""
    found = [
        f"{number}: {word!r} is {BANNED[word]!r} here"
        for number, line in enumerate(source.splitlines(), 1)
        for word in WORD.findall(line.lower())
        if word in BANNED
    ]
    tree = ast.parse(source)
    found += [
        f"{line}: {name!r} is called limit, or MAX_ and what it limits"
        for line, name in names(tree)
        if re.fullmatch(r"_?(most|most_\w+|MOST|MOST_\w+|\w+_MOST)", name)
    ]
    found += [
        f"{line}: a docstring that cannot be understood alone: {text.splitlines()[0]!r}"
        for line, text in docstrings(tree)
        if text.startswith("The same")
    ]
    found += [
        f"{line}: a function's docstring that does not begin with what it does: {text.splitlines()[0]!r}"
        for line, text in without_a_verb(tree)
    ]
    return found


def test_the_house_uses_its_own_words() -> None:
    """One word for each thing; every docstring understandable alone, a function's with its verb first."""
    found = {str(path.relative_to(HOUSE)): faults(path.read_text(encoding="utf-8")) for path in FILES}
    assert not {path: listed for path, listed in found.items() if listed}


def test_each_fault_is_found() -> None:
    source = '''
MOST_ROWS = 3  # of a twin
def first(most: int) -> None:
    """The same in short."""
def second() -> None:
    """Keeps what narrowed_sums holds, the most of it; a twinkle is no fault."""
'''
    assert [fault.split(":")[0] for fault in faults(source)] == ["2", "6", "2", "3", "3", "3"]


def test_a_noun_is_no_verb() -> None:
    source = '''
class Clock:
    """The clock."""
    @property
    def hand(self) -> str:
        """The longer one."""
    def __len__(self) -> int:
        """How many hours it has."""
    def first(self) -> None:
        """Names of the hours."""
    def second(self) -> None:
        """Names the hours."""
    async def third(self) -> None:
        """Rows of the hours."""
    def fourth(self) -> None:
        """Whether it stands still."""
    def fifth(self) -> None:
        """Judges, counts and writes."""
    def sixth(self) -> None:
        pass
'''
    assert [fault.split(":")[0] for fault in faults(source)] == ["9", "13", "15"]
