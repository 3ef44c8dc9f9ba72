"""Duplicates judged on Boston's September 2011 against what its staff flagged (docs/quality.md)."""

from datetime import date
from pathlib import Path

from bench.session import Session
from bench.table import Figure, Goal
from civicpulse.evaluation.duplicates import judge_duplicates

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
REQUESTS, LABELS = DATA / "boston_311_2011-07_09.csv.gz", DATA / "boston_dup_labels_2011-07_09.csv"
SECTION = "quality"


def quality(session: Session) -> None:
    """Precision and recall of attached and of attached or proposed, and of three plain rules at equal recall."""
    missing = [path for path in (REQUESTS, LABELS) if not path.exists()]
    if missing:
        session.say.print(f"quality: not measured, there is no {missing[0]}", style="yellow", markup=False)
        return
    found = judge_duplicates(REQUESTS, LABELS, mapping="boston", since=date(2011, 9, 1), until=date(2011, 10, 1))
    attached, offered = found.attached, found.offered
    note = f"{attached.count} of {found.rows} requests; a lower bound, as staff does not flag every duplicate"
    at_least = {
        "attached: precision": (attached.precision, Goal(0.60, at_least=True), note),
        "attached: recall of gold pairs": (attached.recall_gold, Goal(0.55, at_least=True), ""),
        "attached: recall of all pairs": (attached.recall, None, ""),
        "attached or proposed: recall": (offered.recall, Goal(0.80, at_least=True), f"{offered.count} requests"),
        "attached or proposed: precision": (offered.precision, None, ""),
    }
    for what, (value, goal, remark) in at_least.items():
        session.add(Figure(SECTION, what, value, "", goal, note=remark))
    for plain in found.baselines:
        rule = f"{plain.metres:g} m, {plain.hours / 24:g} d"
        goal = Goal(round(plain.figures.precision, 3), at_least=True)
        remark = f"plain rule: {plain.figures.precision:.2f} at gold recall {plain.figures.recall_gold:.2f}"
        ours = plain.ours or 0.0
        session.add(Figure(SECTION, f"precision at the recall of {rule}", ours, "", goal, note=remark))
