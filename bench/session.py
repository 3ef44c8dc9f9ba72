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


@dataclass(slots=True)
class Session:
    """One run of the bench."""

    server: Server
    quick: bool
    rows: int
    import_file: Path
    say: Console
    figures: list[Figure] = field(default_factory=list)
    empty_intake: float = 0.0  # reports per second while the tables were empty
    empty_ratio: float = 0.0  # and as a share of pgbench's

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


def middle(values: list[float]) -> float:
    """The median."""
    return float(median(values))
