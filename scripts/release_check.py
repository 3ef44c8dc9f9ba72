"""Checks that the version in hand can be released: what is said of it agrees, and its wheel is whole (docs/releasing.md)."""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = "civicpulse/portal/static/dist/"
SHIPPED = (".py", ".sql", ".yaml", ".html", ".typed")  # every file of these kinds under src travels in the wheel


def faults_of_what_is_said() -> list[str]:
    """Version in three places, previous release in one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version, previous = project["project"]["version"], project["tool"]["civicpulse"]["previous-release"]
    package = re.search(r'__version__ = "([^"]+)"', (ROOT / "src/civicpulse/__init__.py").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    faults = []
    if package is None or package[1] != version:
        faults.append(f"pyproject.toml says {version}, src/civicpulse/__init__.py something else")
    if not re.search(rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$", changelog, re.MULTILINE):
        faults.append(f"CHANGELOG.md has no heading '## {version} (YYYY-MM-DD)'")
    if previous["version"] == version:
        faults.append(f"pyproject.toml names {version} as its own previous release")
    found = subprocess.run(["git", "-C", str(ROOT), "cat-file", "-e", previous["commit"]], check=False)
    if found.returncode != 0:
        faults.append(f"the previous release's commit {previous['commit']} is not in the history")
    return faults


def build(folder: Path) -> Path:
    """The wheel, built from what is here."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def faults_of_the_wheel(wheel: Path, unpacked: Path) -> list[str]:
    """What it lacks, and whether its commands start from it alone."""
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        packed.extractall(unpacked)
    source = ROOT / "src"
    wanted = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.suffix in SHIPPED and "__pycache__" not in path.parts
    }
    faults = [f"the wheel lacks {name}" for name in sorted(wanted - names)]
    if BUNDLE + "manifest.json" not in names or sum(name.startswith(BUNDLE) for name in names) < 5:
        faults.append("the wheel lacks the page bundle: make setup, then build again")
    started = subprocess.run(
        [sys.executable, "-m", "civicpulse.cli.main", "--help"],
        env=os.environ | {"PYTHONPATH": str(unpacked)}, cwd=unpacked, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if started.returncode != 0:
        faults.append(f"its command does not start: {started.stderr.strip()[-500:]}")
    return faults


def main() -> int:
    """Prints every fault; 0 when there is none."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        faults = faults_of_what_is_said() + faults_of_the_wheel(wheel, Path(folder) / "unpacked")
        size = wheel.stat().st_size / 2**20
    for fault in faults:
        sys.stderr.write(f"release: {fault}\n")
    if not faults:
        sys.stdout.write(f"release: {wheel.name} can be released ({size:.1f} MB)\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
