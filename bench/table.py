"""Figures, their goals and the table they are printed in."""

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from bench.server import Server


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be: at least or at most `limit`."""

    limit: float
    at_least: bool = False

    def met_by(self, value: float) -> bool:
        """Whether `value` is good enough."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '<'} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; `ratio` compares with the figure that `against` names."""

    section: str
    what: str
    value: float
    unit: str
    goal: Goal | None = None
    ratio: float | None = None
    against: str = ""
    note: str = ""
    failed: bool = False

    @property
    def verdict(self) -> str:
        """ok, miss or failed; nothing where there is no goal. A goal on a ratio (no unit) judges the ratio."""
        if self.failed:
            return "FAILED"
        if self.goal is None:
            return ""
        return "ok" if self.goal.met_by(self.value) else "miss"


def machine(server: Server) -> dict[str, str]:
    """What the figures were taken on."""
    with server.owner() as owner:
        (version,) = owner.execute("SHOW server_version").fetchone() or ("?",)
        settings = owner.execute(
            "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings "
            "WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')"
        ).fetchone()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.machine()}",
        "versions": f"PostgreSQL {version}, Python {platform.python_version()}",
        "durability": settings[0] if settings else "?",
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def print_table(facts: dict[str, str], figures: list[Figure]) -> None:
    """The facts and the table, on stdout."""
    console = Console(highlight=False, width=max(150, Console().width))
    for name, value in facts.items():
        console.print(f"{name:<12} {value}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("section", "what", "figure", "goal", "verdict", "ratio", "remarks"):
        table.add_column(name, justify="right" if name in ("figure", "ratio") else "left", overflow="fold")
    for figure in figures:
        ratio = f"{figure.ratio:.2f} {figure.against}" if figure.ratio is not None else ""
        style = {"ok": "green", "miss": "yellow", "FAILED": "red"}.get(figure.verdict)
        goal = str(figure.goal) if figure.goal else ""
        row = (
            figure.section,
            figure.what,
            f"{_short(figure.value)} {figure.unit}",
            goal,
            figure.verdict,
            ratio,
            figure.note,
        )
        table.add_row(*row, style=style)
    console.print(table)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def write_json(path: Path, facts: dict[str, str], figures: list[Figure]) -> None:
    """Writes the figures for programs."""
    lines: list[dict[str, Any]] = [asdict(figure) | {"verdict": figure.verdict} for figure in figures]
    path.write_bytes(orjson.dumps({"facts": facts, "figures": lines}, option=orjson.OPT_INDENT_2))
