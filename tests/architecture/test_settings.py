"""The settings table of the README is that of the code: each variable with its default, and none that is not read."""

import ast
import re
from pathlib import Path

import pytest

from civicpulse.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (`[A-Z…_]+`(?:, `[A-Z…_]+`)*) \| *(.*?) *\| .+ \|$", re.MULTILINE)
READERS = {"_text", "_number", "_whole", "_choice", "_url"}
BETWEEN_PROCESSES = {"CIVICPULSE_PARENT_PID"}  # given by `up` to the processes it starts, by nobody else


def variables_of_the_code() -> set[str]:
    """The names that settings.py asks the environment for."""
    tree = ast.parse((ROOT / "src" / "civicpulse" / "settings.py").read_text(encoding="utf-8"))
    return {
        str(call.args[0].value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in READERS
        if isinstance(call.args[0], ast.Constant)
    }


def documented() -> dict[str, str]:
    """Each variable of the table with what it says of the default; `…` stands for the prefix."""
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("## Configuration")[1].split("\n## ")[0]
    found: dict[str, str] = {}
    for names, default in ROW.findall(table):
        for name in re.findall(r"`([^`]+)`", names):
            assert name not in found, f"{name} is there twice"
            found[name.replace("…", "CIVICPULSE")] = default
    return found


def test_each_variable_is_documented_and_none_that_is_not_read() -> None:
    assert set(documented()) == variables_of_the_code() - BETWEEN_PROCESSES


def test_each_documented_default_is_the_one_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in variables_of_the_code():
        monkeypatch.delenv(name, raising=False)
    settings = Settings.from_environment()
    assert settings == Settings()
    wrong = []
    for name, default in documented().items():
        value = getattr(settings, name.removeprefix("CIVICPULSE_").lower())
        said = default if re.fullmatch(r"[\d.]+|[A-Z]+", default) else ""
        actual = f"{value:g}" if isinstance(value, float) else str(value or "")
        if said != actual and not (value == () and said == ""):
            wrong.append(f"{name}: {default!r} is documented, the code has {value!r}")
    assert wrong == []


def test_files_that_run_the_product_name_only_variables_that_it_reads() -> None:
    paths = [ROOT / "compose.yaml", ROOT / "Dockerfile", ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {name for path in paths for name in re.findall(r"\bCIVICPULSE_[A-Z_]+\b", path.read_text(encoding="utf-8"))}
    assert named - variables_of_the_code() == set()
