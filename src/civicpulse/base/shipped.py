"""YAML files that ship with the product, or that a caller names by path; and how their faults are told."""

from collections.abc import Iterable
from importlib import resources
from pathlib import Path


def shipped_names(package: str) -> tuple[str, ...]:
    """Lists the names (without .yaml) of the files that ship in `package`."""
    files = resources.files(package).iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def as_path(name_or_path: str | Path) -> Path | None:
    """Finds the path that is meant (a `Path`, or text that ends in .yaml or .yml), or None for the name of a shipped file."""
    if isinstance(name_or_path, Path) or name_or_path.endswith((".yaml", ".yml")):
        return Path(name_or_path)
    return None


def shipped_text(package: str, name: str) -> tuple[str, str]:
    """Reads text and file name of a shipped file."""
    file = resources.files(package) / f"{name}.yaml"
    return file.read_text(encoding="utf-8"), file.name


def located(source: str, problems: Iterable[tuple[int | None, str]]) -> str:
    """Writes one line per problem, "file:line: what is wrong"."""
    return "\n".join(f"{source}:{line}: {text}" if line else f"{source}: {text}" for line, text in problems)
