"""docs/requirements.md tells the truth: each id once, files and tests that exist, no id cited that is not there, and no document"""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE, TESTS = ROOT / "src" / "civicpulse", ROOT / "tests"
PAGE = ROOT / "docs" / "requirements.md"

ROW = re.compile(r"^\| (R-[A-Z]+-\d\d) \| (.+) \| `([^`]+)` \| `([^`]+)::(\w+)` \|$", re.MULTILINE)
ID = re.compile(r"\bR-[A-Z]{2,5}-\d\d\b")

# Documents that are not in the repository: whoever reads the code could not look them up.
ELSEWHERE = re.compile(
    r"\bspec(?:ification)? [1-5]\b|\b(?:design|nlp|perf|style)\.md\b|\bdesign, section\b|\bshared study\b",
    re.IGNORECASE,
)


def rows() -> list[tuple[str, str, str, str, str]]:
    found = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert len(found) > 50
    return found


def texts(*folders: Path) -> dict[Path, str]:
    """What people wrote in those folders; not what is built, nor revisions of the tables, which nobody edits."""
    kinds = {".py", ".sql", ".yaml", ".md", ".html", ".js", ".css", ".mjs"}
    paths = [path for folder in folders for path in folder.rglob("*") if path.suffix in kinds]
    return {
        path: path.read_text(encoding="utf-8")
        for path in paths
        if not {"__pycache__", "dist", "versions"} & set(path.relative_to(ROOT).parts) and path != Path(__file__)
    }


def test_every_line_of_a_table_is_a_requirement_with_an_id_of_its_own() -> None:
    ids = [row[0] for row in rows()]
    assert ids == [line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line.startswith("| R-")]
    assert [name for name, times in Counter(ids).items() if times > 1] == []


def test_every_requirement_has_its_file_and_its_test() -> None:
    missing = []
    for name, _, module, file, test in rows():
        if not (SOURCE / module).exists():
            missing.append(f"{name}: no {module}")
        path = TESTS / file
        if not path.is_file() or not re.search(
            rf"^(async )?def {test}\(", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            missing.append(f"{name}: no {file}::{test}")
    assert missing == []


def test_every_cited_id_exists() -> None:
    known = {row[0] for row in rows()}
    cited = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in texts(ROOT / "src", TESTS, ROOT / "docs").items()
        for name in ID.findall(text)
        if name not in known
    }
    assert cited == set()


def test_callers_of_the_api_are_told_no_ids() -> None:
    assert ID.findall((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")) == []


def test_no_document_is_cited_that_is_not_here() -> None:
    cited = {
        f"{path.relative_to(ROOT)}: {found}"
        for path, text in texts(ROOT / "src", TESTS, ROOT / "bench", ROOT / "docs").items()
        for found in ELSEWHERE.findall(text)
    }
    assert cited == set()
