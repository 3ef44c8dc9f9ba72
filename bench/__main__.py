"""`python -m bench [section …] [--quick] [--rows N] [--json FILE]`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bench.analysis import analysis
from bench.audit import audit
from bench.changes import sweep_clocks, transition
from bench.duplicates import duplicates
from bench.explain import explain
from bench.fairness import fairness
from bench.imports import import_file, memory
from bench.inbox import inbox
from bench.intake import intake, intake_full
from bench.pipeline import pipeline
from bench.quality import quality
from bench.quality_analysis import analysis_quality
from bench.reads import analytics, get, lists, search
from bench.scores import scores
from bench.server import BenchError, bench_server
from bench.session import Session
from bench.table import machine, print_table, write_json

# In the order in which they run: what needs empty tables first, what changes much last.
SECTIONS: dict[str, Callable[[Session], None]] = {
    "intake": intake,
    "reports": inbox,
    "duplicates": duplicates,
    "list": lists,
    "search": search,
    "get": get,
    "analytics": analytics,
    "explain": explain,  # only when asked for: it is a check, not a figure
    "transition": transition,
    "sweep": sweep_clocks,
    "scores": scores,
    "fairness": fairness,
    "intake-full": intake_full,
    "audit": audit,
    "import": import_file,
    "pipeline": pipeline,
    "analysis": analysis,
    "quality-analysis": analysis_quality,
    "memory": memory,
    "quality": quality,
}
NEEDS = {"intake-full": "intake"}
BOSTON = Path(__file__).resolve().parents[2] / "shared" / "data" / "boston_311_2011-07_09.csv.gz"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="CivicPulse's performance table.")
    parser.add_argument("sections", nargs="*", metavar="section", help=f"any of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer requests and rounds, 100,000 rows")
    parser.add_argument("--rows", type=int, help="requests in the filled city (default 1,000,000)")
    parser.add_argument("--import-file", type=Path, default=BOSTON, help="a Boston 311 CSV for the import section")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"there is no section {', '.join(unknown)}")
    return arguments


def main() -> int:
    """Runs the sections and prints the table, also what there is of it after Ctrl-C. 1 when something failed."""
    arguments, say = _arguments(), Console(stderr=True, highlight=False)
    wanted = set(arguments.sections or SECTIONS.keys() - {"explain"})
    wanted |= {NEEDS[name] for name in wanted if name in NEEDS}
    rows = arguments.rows or (100_000 if arguments.quick else 1_000_000)
    with bench_server() as server:
        facts = machine(server)
        session = Session(server, arguments.quick, rows, arguments.import_file, say)
        try:
            for name, section in SECTIONS.items():
                if name in wanted:
                    say.print(f"{name} …")
                    section(session)
        except KeyboardInterrupt:
            say.print("interrupted")
        except BenchError as error:
            say.print(f"bench: {error}", style="red", markup=False)
            return 1
        finally:
            print_table(facts, session.figures)
            if arguments.json:
                write_json(arguments.json, facts, session.figures)
    return int(any(figure.failed for figure in session.figures))


if __name__ == "__main__":
    raise SystemExit(main())
