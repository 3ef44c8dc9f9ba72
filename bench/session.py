"""What the sections of one run share: the server, the sizes, the figures so far, the filled city."""

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console

from bench.fill import fill
from bench.load import Load, http_request, run_load
from bench.server import City, Server
from bench.table import Figure, Goal

FILLED = "filled"


def middle(values: list[float]) -> float:
    """The median."""
    return float(median(values))


@dataclass(slots=True)
class Turns:
    """Rounds of intake over HTTP and by pgbench."""

    loads: list[Load] = field(default_factory=list)
    yards: list[float] = field(default_factory=list)
    api_cpu_ms: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Reports per second over HTTP."""
        return middle([load.per_second for load in self.loads])

    @property
    def yard(self) -> float:
        """Reports per second by pgbench."""
        return middle(self.yards)

    @property
    def ratio(self) -> float:
        """HTTP ÷ pgbench, the median of the rounds' own ratios."""
        return middle([load.per_second / tps for load, tps in zip(self.loads, self.yards, strict=True)])


@dataclass(slots=True)
class Session:
    """One run of the bench."""

    server: Server
    quick: bool
    rows: int
    import_file: Path
    say: Console
    figures: list[Figure] = field(default_factory=list)
    empty: Turns | None = None  # the intake at 16 connections while the tables were empty

    def add(self, figure: Figure) -> None:
        """Keeps a figure for the table and tells it at once."""
        self.figures.append(figure)
        self.say.print(
            f"  {figure.section}: {figure.what}: {figure.value:,.2f} {figure.unit} {figure.verdict} {figure.note}"
        )

    def filled(self) -> City:
        """The city with `rows` requests, filled at the first call."""
        if FILLED not in self.server.cities:
            city = self.server.city(FILLED)
            fill(self.server, city, self.rows, say=self.say)
            self.server.restart_api()
        return self.server.cities[FILLED]

    def gets(self, path: str, count: int, *, headers: dict[str, str]) -> Load:
        """`count` times GET `path` over one connection, after a few that are not counted."""
        request = http_request("GET", path, headers=headers)
        run_load(self.server.port, [request] * 3, connections=1)
        return run_load(self.server.port, [request] * count, connections=1)

    def add_latency(
        self,
        section: str,
        what: str,
        load: Load,
        *,
        goal_ms: float | None = None,
        ratio_to: float = 0.0,
        against: str = "",
    ) -> float:
        """Keeps a run's median latency as a figure; the median in ms."""
        p50 = load.percentile(0.5)
        ratio = p50 / ratio_to if ratio_to else None
        note = f"{load.tail}; {len(load.last_body):,} bytes"
        goal = Goal(goal_ms) if goal_ms else None
        self.add(Figure(section, what, p50, "ms p50", goal, ratio, against, note, failed=bool(load.failures)))
        return p50
