"""docs/map.md tells the truth: its rooms, its paths, and the closed lists in its table of words are those of the code."""

import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from civicpulse.places.cells import CELL_RESOLUTION
from civicpulse.places.place import Quality
from civicpulse.places.zones import UNZONED
from civicpulse.reports.views import Outcome
from civicpulse.requests.views.request import SlaState
from civicpulse.rules.access import Kind, Permission, Scope
from civicpulse.rules.scoring import Weights
from civicpulse.rules.workflow import StateCategory

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "civicpulse"
PAGE = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")


def table(heading: str) -> dict[str, str]:
    """First cell → second cell of the table under that heading of the page."""
    part = PAGE.split(heading)[1].split("\n\n##")[0]
    rows = re.findall(r"^\| ([^|]+) \| (.+) \|$", part, re.MULTILINE)[1:]
    assert [name for name, times in Counter(name for name, _ in rows).items() if times > 1] == []
    return dict(rows)


def test_every_room_is_on_the_page_and_every_room_of_the_page_is_there() -> None:
    named = {name for cell in table("# The house on one page") for name in re.findall(r"`(\w+)`", cell)}
    there = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert named == there - {"__init__"}


def test_every_path_on_the_page_exists() -> None:
    paths = re.findall(r"`([a-z_]+/[\w./]+)`", PAGE)
    assert len(paths) > 15
    assert [path for path in paths if not any((folder / path).exists() for folder in (SOURCE, ROOT))] == []


@pytest.mark.parametrize(
    ("word", "choices"),
    [
        ("state category", StateCategory),
        ("SLA state", SlaState),
        ("quality of a place", Quality),
        ("outcome", Outcome),
        ("scope", Scope),
        ("actor", Kind),
    ],
)
def test_a_closed_list_of_words_is_that_of_the_code(word: str, choices: object) -> None:
    said = table("## Words")[word]
    assert [choice for choice in get_args(choices) if not re.search(rf"\b{choice}\b", said)] == []
    marked = set(re.findall(r"`([a-z_]+)`", said))
    assert marked <= set(get_args(choices))


def test_figures_and_names_in_the_table_of_words_are_those_of_the_code() -> None:
    words, weights = table("## Words"), Weights()
    assert f"resolution {CELL_RESOLUTION};" in words["cell"]
    assert f"`{UNZONED}`" in words["zone"]
    assert f"{weights.compliance:.0%} SLA compliance, {weights.speed:.0%} speed" in words["score"].replace(" %", "%")
    assert set(re.findall(r"`([a-z]+:[a-z_:]+)`", words["permission"])) <= {str(one) for one in Permission}
