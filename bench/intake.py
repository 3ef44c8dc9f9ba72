"""Intake: POST /requests over HTTP against pgbench doing the same rows, turn by turn in the same run."""

from bench.load import Load, run_load
from bench.pgbench import Yardstick
from bench.reports import posts
from bench.session import Session, middle
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
    for connections, count in ((1, 500 if session.quick else 2000), (CONNECTIONS, 2000 if session.quick else 8000)):
        loads: list[Load] = []
        yards: list[float] = []
        for _ in range(1 if session.quick else 3):
            loads.append(run_load(server.port, posts(count, token=city.token), connections=connections))
            yards.append(yardstick.run(count, clients=connections).tps)
        _tell(session, connections, loads, yards)


def _tell(session: Session, connections: int, loads: list[Load], yards: list[float]) -> None:
    at = f"{connections} connection{'s' if connections > 1 else ''}"
    rate, yard = middle([load.per_second for load in loads]), middle(yards)
    ratio = middle([load.per_second / tps for load, tps in zip(loads, yards, strict=True)])
    best = sorted(loads, key=lambda load: load.per_second)[len(loads) // 2]
    cpu = best.cpu / best.count * 1e6
    failed = any(load.failures for load in loads)
    note = f"{best.tail}; load generator {cpu:.0f} µs of CPU per request"
    session.add(Figure("intake", f"POST /requests, {at}", rate, "/s", note=note, failed=failed))
    session.add(Figure("intake", f"pgbench, the same rows, {at}", yard, "/s"))
    goal = Goal(RATIO_GOAL, at_least=True) if connections == CONNECTIONS else None
    session.add(Figure("intake", f"HTTP ÷ pgbench, {at}", ratio, "", goal, note="median of the rounds"))
    if connections == CONNECTIONS:
        session.empty_intake, session.empty_ratio = rate, ratio


def intake_full(session: Session) -> None:
    """The same with the filled tables: the empty figure divided by this one, plain and against pgbench."""
    city, server = session.filled(), session.server
    yardstick = Yardstick(server, server.city(YARDSTICK))
    run_load(server.port, posts(300, token=city.token), connections=CONNECTIONS)
    yardstick.run(800, clients=CONNECTIONS)
    count = 2000 if session.quick else 8000
    loads: list[Load] = []
    yards: list[float] = []
    for _ in range(1 if session.quick else 3):
        loads.append(run_load(server.port, posts(count, token=city.token), connections=CONNECTIONS))
        yards.append(yardstick.run(count, clients=CONNECTIONS).tps)
    rate, yard = middle([load.per_second for load in loads]), middle(yards)
    failed = any(load.failures for load in loads)
    session.add(Figure("intake-full", "POST /requests, 16 connections", rate, "/s", note=loads[-1].tail, failed=failed))
    session.add(Figure("intake-full", "pgbench, the same rows, 16 connections", yard, "/s"))
    session.add(Figure("intake-full", "empty ÷ full", session.empty_intake / rate, "", Goal(FULL_GOAL)))
    note = "the same with both measured against pgbench, in case the machine was busier"
    session.add(
        Figure("intake-full", "(empty ÷ full) of HTTP ÷ pgbench", session.empty_ratio / (rate / yard), "", note=note)
    )
