"""Who may see a request is said in one place."""

import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "civicpulse"

# `is_public` as a condition: in SQL after a word that filters, in Python wherever a row is asked for it, unless to copy it.
CONDITION = re.compile(
    r"(\b(and|or|not|where|when)\s+\(?(\w+\.)?is_public\b(?!\s*=\s*\w+\.))"
    r"|((?<!is_public=)(?<!is_public.: )\b\w+\[.is_public.\](?!\s*=[^=]))",
    re.IGNORECASE,
)


def test_whether_a_request_is_public_is_asked_by_the_visibility_module_only() -> None:
    """Lists, feeds, figures and duplicates take their condition from there; a ledger may keep the column as a dimension."""
    asking = {
        (str(path.relative_to(SOURCE)), line)
        for path in SOURCE.rglob("*.py")
        if path.name != "visibility.py" and "migrations" not in path.parts
        for line in path.read_text().splitlines()
        if CONDITION.search(line)
    }
    assert asking == set()
