"""Intake: POST /requests over HTTP against pgbench doing the same rows, turn by turn in the same run."""

from bench.load import run_load
from bench.pgbench import Yardstick
from bench.reports import posts
from bench.server import City
from bench.session import Session, Turns, middle
from bench.table import Figure, Goal

CONNECTIONS = 16
RATIO_GOAL = 0.35
FULL_GOAL = 1.3
YARDSTICK = "yardstick"


def intake(session: Session) -> None:
    """Empty tables, 16 connections and one."""
    server, city = session.server, session.server.city("intake")
    yardstick = Yardstick(server, server.city(YARDSTICK))
    run_load(server.port, posts(300, token=city.token), connections=CONNECTIONS)
    yardstick.run(800, clients=CONNECTIONS)
    for connections, count in ((1, 500 if session.quick else 2000), (CONNECTIONS, _count(session))):
        turns = _turns(session, city, yardstick, connections=connections, count=count)
        at = f"{connections} connection{'s' if connections > 1 else ''}"
        _tell(session, "intake", at, turns)
        goal = Goal(RATIO_GOAL, at_least=True) if connections == CONNECTIONS else None
        session.add(Figure("intake", f"HTTP ÷ pgbench, {at}", turns.ratio, "", goal, note="median of the rounds"))
        session.empty = turns


def _count(session: Session) -> int:
    return 2000 if session.quick else 8000


def _turns(session: Session, city: City, yardstick: Yardstick, *, connections: int, count: int) -> Turns:
    """HTTP and pgbench turn by turn, so that a machine that is busier for a while is so for both."""
    server, turns = session.server, Turns()
    for _ in range(1 if session.quick else 3):
        requests, before = posts(count, token=city.token), server.api_cpu()
        turns.loads.append(run_load(server.port, requests, connections=connections))
        turns.api_cpu_ms.append((server.api_cpu() - before) / count * 1000)
        turns.yards.append(yardstick.run(count, clients=connections).tps)
    return turns


def _tell(session: Session, section: str, at: str, turns: Turns) -> None:
    load = sorted(turns.loads, key=lambda load: load.per_second)[len(turns.loads) // 2]
    cpu = (
        f"CPU per request: API {middle(turns.api_cpu_ms):.2f} ms, load generator {load.cpu / load.count * 1000:.2f} ms"
    )
    failed = any(load.failures for load in turns.loads)
    session.add(Figure(section, f"POST /requests, {at}", turns.rate, "/s", note=f"{load.tail}; {cpu}", failed=failed))
    session.add(Figure(section, f"pgbench, the same rows, {at}", turns.yard, "/s"))


def intake_full(session: Session) -> None:
    """Measures intake with the filled tables: the empty figure divided by this one, plain and against pgbench."""
    city, server = session.filled(), session.server
    assert session.empty is not None, "the empty tables are measured first"
    yardstick = Yardstick(server, server.city(YARDSTICK))
    run_load(server.port, posts(300, token=city.token), connections=CONNECTIONS)
    yardstick.run(800, clients=CONNECTIONS)
    turns = _turns(session, city, yardstick, connections=CONNECTIONS, count=_count(session))
    _tell(session, "intake-full", "16 connections", turns)
    session.add(Figure("intake-full", "empty ÷ full", session.empty.rate / turns.rate, "", Goal(FULL_GOAL)))
    note = "the same, each against the pgbench of its minute"
    relative = session.empty.ratio / turns.ratio
    session.add(Figure("intake-full", "empty ÷ full, relative to pgbench", relative, "", note=note))
