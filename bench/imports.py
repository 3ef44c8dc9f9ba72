"""The importer as an operator runs it, and how much memory it and the API process took."""

import subprocess
import sys
import time

from bench.server import peak_memory_kb
from bench.session import Session, middle
from bench.table import Figure, Goal

ROWS_GOAL = 5000
MEMORY_GOAL_MB = 300


def import_file(session: Session) -> None:
    """`civicpulse import requests` of a city's file into a new tenant each time, next to the filled one."""
    if not session.import_file.exists():
        session.say.print(f"  import: not run, there is no {session.import_file}; give one with --import-file")
        return
    start_up = middle([_start_up(session) for _ in range(3)])
    times: list[float] = []
    peaks, rows = [], 0
    for index in range(1 if session.quick else 3):
        city = session.server.city(f"import-{index}")
        seconds, peak = _import(session, city.tenant.slug)
        with session.server.owner() as owner:
            wanted = "SELECT count(*) FROM requests WHERE tenant_id = %s"
            (rows,) = owner.execute(wanted, [city.tenant.tenant_id]).fetchone() or (0,)
        times.append(seconds)
        peaks.append(peak)
    took = middle(times)
    rate = rows / max(took - start_up, 0.001)
    note = f"{rows:,} rows; whole command {took:.1f} s, of which {start_up:.1f} s to start, not counted"
    session.add(
        Figure("import", "rows per second", rate, "/s", Goal(ROWS_GOAL, at_least=True), note=note, failed=not rows)
    )
    session.add(Figure("memory", "importer, peak", max(peaks) / 1024, "MB", Goal(MEMORY_GOAL_MB)))


def _start_up(session: Session) -> float:
    """Seconds that the command takes before it does anything."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "civicpulse.cli.main", "import", "requests", "--help"]
    subprocess.run(command, env=session.server.environment, capture_output=True, check=True)
    return time.perf_counter() - began


def _import(session: Session, slug: str) -> tuple[float, int]:
    """Seconds and peak kB of one import."""
    command = [sys.executable, "-m", "civicpulse.cli.main", "import", "requests", str(session.import_file)]
    log = session.server.folder / f"{slug}.log"
    began, peak = time.perf_counter(), 0
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--tenant", slug, "--mapping", "boston"],
            env=session.server.environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        while process.poll() is None:
            peak = max(peak, peak_memory_kb(process.pid))
            time.sleep(0.05)
    seconds = time.perf_counter() - began
    if process.returncode:
        lines = log.read_text(errors="replace").splitlines()
        session.say.print("\n".join(["  import failed:", *lines[-15:]]), markup=False, style="red")
    return seconds, peak


def memory(session: Session) -> None:
    """The API process's peak over everything that was asked of it in this run."""
    server = session.server
    assert server.process is not None
    peak = max(server.peak_kb, peak_memory_kb(server.process.pid)) / 1024
    session.add(Figure("memory", "API process, peak of the run", peak, "MB", Goal(MEMORY_GOAL_MB)))
