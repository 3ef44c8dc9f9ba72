"""The plans that PostgreSQL really took for each list and feed, as auto_explain saw them behind the running API.

Each path is asked often enough for prepared statements to reach their generic plan, then once more; that last
time counts. What reads a large table from end to end, or far more rows than it gives, is called a problem.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from bench.load import http_request, run_load
from bench.reads import ORDERS, PAGE, analytics_paths, cursor_of_page, list_paths, search_paths
from bench.session import Session
from bench.table import Figure, Goal

WARM_UP = 12
LARGE = {"requests", "events", "outbox", "idempotency_keys", "duplicate_links"}
MANY_ROWS = 20_000
# These sum up everything that is open, or everything of a period, by their nature.
MAY_READ_MUCH = {"total", "heatmap", "heatmap, 20,000 points", "clusters, zoom 12", "zones", "cohorts"}
PLAN = re.compile(rb"duration: ([\d.]+) ms  plan:\n((?:\t[^\n]*\n)+)")
SETTINGS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_format": "json",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_nested_statements": "on",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One statement as it ran. `touched`: the most rows that one node read; `whole`: tables read from end to end."""

    ms: float
    text: str
    top: str
    scans: tuple[str, ...]
    touched: int
    whole: tuple[str, ...]


def explain(session: Session) -> None:
    """Prints, for each path, its statements' plans in short, and in full what looks wrong."""
    city, server = session.filled(), session.server
    paths = {f"list, {sort}": f"/requests?limit={PAGE}&sort={sort}" for sort in ORDERS}
    far = session.rows // PAGE // 2
    paths |= {
        f"{name}, page {far}": f"{path}&cursor={cursor_of_page(session, name.split()[1], far)}"
        for name, path in paths.items()
    }
    paths |= list_paths(session) | search_paths() | analytics_paths()
    with server.owner() as owner:
        for name, value in SETTINGS.items():
            owner.execute(f"ALTER DATABASE civicpulse SET {name} = '{value}'".encode())
    server.restart_api()
    problems = 0
    for name, path in paths.items():
        request = http_request("GET", path, headers=city.headers)
        run_load(server.port, [request] * WARM_UP, connections=1)
        offset = server.database_log.stat().st_size
        run_load(server.port, [request], connections=1)
        time.sleep(0.05)
        problems += _tell(session, name, list(_seen(server.database_log.read_bytes()[offset:])))
    with server.owner() as owner:
        for name in SETTINGS:
            owner.execute(f"ALTER DATABASE civicpulse RESET {name}".encode())
    server.restart_api()
    session.add(Figure("explain", "paths that read too much", problems, "", Goal(1)))


def _seen(log: bytes) -> Iterator[Seen]:
    for match in PLAN.finditer(log):
        document = orjson.loads(match[2].replace(b"\n\t", b"\n").lstrip(b"\t"))
        nodes = list(_nodes(document["Plan"]))
        relations = [node for node in nodes if "Relation Name" in node or "Index Name" in node]
        if not relations:
            continue
        scans = tuple(
            f"{node['Node Type']} {node.get('Index Name') or node.get('Relation Name')}"
            + (f" x{node['Actual Loops']:.0f}" if node["Actual Loops"] > 1 else "")
            for node in relations
        )
        whole = tuple(
            node["Relation Name"]
            for node in nodes
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE
        )
        yield Seen(
            float(match[1]), document["Query Text"], document["Plan"]["Node Type"], scans, max(map(_rows, nodes)), whole
        )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _rows(node: dict[str, Any]) -> int:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])


def _tell(session: Session, name: str, seen: list[Seen]) -> bool:
    limit = float("inf") if name in MAY_READ_MUCH else MANY_ROWS
    wrong = [statement for statement in seen if statement.whole or statement.touched > limit]
    session.say.print(f"{'PROBLEM ' if wrong else ''}{name}", style="bold red" if wrong else "bold", markup=False)
    for statement in seen:
        line = f"  {statement.ms:8.1f} ms  {statement.touched:>9,} rows  {statement.top}: {', '.join(statement.scans)}"
        session.say.print(line, markup=False)
    for statement in wrong:
        text = " ".join(statement.text.split())
        session.say.print(f"    {text[:60]} … {text[-400:]}", markup=False)
    return bool(wrong)
