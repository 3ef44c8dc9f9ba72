"""How well the offline engine files two real sets: learnt from the earlier 80 %, judged on the later 20 %."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.session import Session
from bench.table import Figure, Goal
from civicpulse.evaluation.analysis import quality_rows

SECTION: Final = "quality-analysis"
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SUREST_HALF_GOAL: Final = 0.8


@dataclass(frozen=True, slots=True)
class Floor:
    """What a study of the same sources found; of other editions of the files, so not of the same rows."""

    accuracy: float
    top3: float
    macro_f1: float


FLOORS: Final = {
    "Boston Vision Zero": Floor(0.635, 0.883, 0.556),
    "Newport SeeClickFix": Floor(0.551, 0.904, 0.502),
}


def analysis_quality(session: Session) -> None:
    """Right at first, among three, macro-F1, the surest half, and what would be decided alone at the pack's threshold."""
    if not DATA.is_dir():
        session.say.print(f"  {SECTION}: not run, there is no {DATA}")
        return
    for found in quality_rows(DATA):
        _add(session, found)


def _add(session: Session, found: dict[str, Any]) -> None:
    name, floor, majority = found["set"], FLOORS[found["set"]], found["majority"]
    note = f"{found['rows_train']:,} learnt, {found['rows_test']:,} judged, {found['classes']} labels"
    lines = (
        ("right at first", found["accuracy"], floor.accuracy, note),
        ("right among three", found["top3"], floor.top3, ""),
        ("macro-F1", found["macro_f1"], floor.macro_f1, ""),
        ("surest half, right", _surest_half(found), SUREST_HALF_GOAL, ""),
    )
    for what, value, limit, remark in lines:
        is_first = what == "right at first"
        ratio = value / majority if is_first else None
        against = "of the commonest label" if is_first else ""
        goal = Goal(limit * 100, at_least=True)
        session.add(Figure(SECTION, f"{name}: {what}", value * 100, "%", goal, ratio, against, remark))
    decided = found["at_threshold"]
    note = f"{decided['accuracy']:.0%} of them right" if decided["share"] else ""
    session.add(
        Figure(
            SECTION,
            f"{name}: decided alone from confidence {decided['threshold']:g}",
            decided["share"] * 100,
            "%",
            note=note,
        )
    )


def _surest_half(found: dict[str, Any]) -> float:
    return float(next(entry["accuracy"] for entry in found["coverage"] if entry["share"] == 0.5))
