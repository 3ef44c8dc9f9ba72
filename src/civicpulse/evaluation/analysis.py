"""How well the offline engine would have filed a tenant's own history: train on the earlier rows, test on the later.

The product's own path: the same reading, training and scoring; a label stands for a category whose name it is.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from civicpulse.base.tables import Table, Unreadable, open_table
from civicpulse.triage.metrics import THRESHOLD, Metrics
from civicpulse.triage.model import dump_model, load_model
from civicpulse.triage.models import judge
from civicpulse.triage.seeds import NAME_WEIGHT
from civicpulse.triage.training import Example, fit
from civicpulse.triage.words import read

MIN_ROWS: Final = 10  # of a label: fewer can neither be learnt nor judged
_FEWEST_DIGITS: Final = 9  # of seconds since 1970
_MILLISECONDS_FROM: Final = 1e11
_TIMES: Final = (
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
)


class QualityError(ValueError):
    """The file cannot be judged; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """A text, its label, and when it was written."""

    text: str
    label: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures, and what became of the file's rows."""

    metrics: Metrics
    skipped: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Writes the keys accuracy, top3, macro_f1, majority, coverage, at_threshold, rows_train, rows_test, classes, skipped and more."""
        return self.metrics.to_json() | {"skipped": self.skipped}


def judge_file(
    path: Path,
    *,
    text: tuple[str, ...],
    label: str,
    time: str | None,
    train_share: float = 0.8,
    least: int = MIN_ROWS,
    threshold: float = THRESHOLD,
) -> Outcome:
    """Trains on the earlier `train_share` of a table (CSV, plain or .gz, or XLSX) and judges on the rest. Raises QualityError.

    `text` names the columns whose words count, read one after the other. `time` None: the file's own order counts.

    Left out: rows without text, label or readable time, later copies of a text, labels with fewer than `least` rows.
    """
    rows, skipped = usable_rows(path, text=text, label=label, time=time, least=least)
    cut = int(len(rows) * train_share)
    earlier, later = rows[:cut], rows[cut:]
    if not later or len({row.label for row in earlier}) < 2:
        raise QualityError(f"{path}: {len(rows)} usable rows are too few to train on a part and test on the rest")
    seen = [Example(row.text, row.label) for row in earlier]
    names = [Example(name, name, NAME_WEIGHT, is_history=False) for name in sorted({row.label for row in earlier})]
    # Stored and read back, as a tenant's is.
    model = load_model(dump_model(fit([*seen, *names])))
    judged = [Example(row.text, row.label) for row in later]
    return Outcome(judge(model, judged, seen=seen, threshold=threshold), skipped)


def usable_rows(
    path: Path, *, text: tuple[str, ...], label: str, time: str | None, least: int
) -> tuple[list[Row], dict[str, int]]:
    """Finds the rows that can be judged, oldest first, and how many were left out, by reason."""
    skipped: Counter[str] = Counter()
    rows: list[Row] = []
    columns = (*text, label) if time is None else (*text, label, time)
    for number, record in enumerate(records_of(path, columns)):
        said, named = "\n".join(record[column] for column in text if record[column].strip()), record[label]
        if not read(said).words:
            skipped["no_text"] += 1
        elif not named.strip():
            skipped["no_label"] += 1
        elif (moment := datetime.fromtimestamp(number, UTC) if time is None else parse_time(record[time])) is None:
            skipped["no_time"] += 1
        else:
            rows.append(Row(said.strip(), named.strip(), moment))
    rows.sort(key=lambda row: row.at)
    unique: dict[str, Row] = {}
    for row in rows:
        unique.setdefault(" ".join(row.text.casefold().split()), row)
    skipped["copies"] = len(rows) - len(unique)
    counts = Counter(row.label for row in unique.values())
    kept = [row for row in unique.values() if counts[row.label] >= least]
    skipped["rare_labels"] = len(unique) - len(kept)
    return kept, dict(skipped)


@contextmanager
def opened_table(path: Path, *, encoding: str | None = None, known: Sequence[str] = ()) -> Iterator[Table]:
    """Opens the table of a file. Raises QualityError with the file's name when it cannot be read."""
    try:
        with open_table(path, encoding=encoding, known=known) as table:
            yield table
    except Unreadable as error:
        raise QualityError(f"{path}: cannot be read: {error}") from error


def records_of(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Reads the records of a table by column; of one that cannot be read every cell is blank. Raises QualityError naming a missing column."""
    with opened_table(path, known=columns) as table:
        wanted = {column: place for column in columns if (place := table.find(column)) is not None}
        missing = [column for column in columns if column not in wanted]
        if missing:
            raise QualityError(f"{path}: there is no column {missing[0]!r}; there are {', '.join(table.header)}")
        for record in table.records:
            cells = record.fields
            yield {name: cells[place] if place < len(cells) else "" for name, place in wanted.items()}


def parse_time(text: str) -> datetime | None:
    """Reads ISO 8601, seconds since 1970, or a common American or European form; naive times count as UTC. None otherwise."""
    moment = _moment(text.strip())
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    if len(text) >= _FEWEST_DIGITS and text.replace(".", "", 1).isdecimal():
        seconds = float(text)
        return datetime.fromtimestamp(seconds / 1000 if seconds > _MILLISECONDS_FROM else seconds, UTC)
    return next((moment for form in _TIMES if (moment := _parsed(text, form)) is not None), None)


def _parsed(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return None


def quality_rows(data: Path) -> list[dict[str, Any]]:
    """Computes the figures on the two real sets of `data` for the bench's table: one dict a set with its name and the keys above."""
    found = []
    for name, file, text, label, time in (
        ("Boston Vision Zero", "boston_vision_zero_before_cut.csv.gz", "COMMENTS", "label", "REQUESTDATE"),
        ("Newport SeeClickFix", "newport_seeclickfix_2009_2017.csv", "description", "request_type.title", "created_at"),
    ):
        outcome = judge_file(data / file, text=(text,), label=label, time=time)
        found.append({"set": name} | outcome.to_json())
    return found


def to_json_text(value: Any) -> str:
    """Writes JSON for the command line."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
