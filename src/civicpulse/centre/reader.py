"""A contact centre's files as records by column: the headers that the pack knows, found in whatever file was sent."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from civicpulse.base import tables
from civicpulse.base.tables import Notice, Table, Unreadable, open_table
from civicpulse.packs.shapes import CsvColumn


class MissingColumn(Unreadable):
    """A file without a column that the pack requires; `column` is the first that is missing."""

    code = "missing_column"

    def __init__(self, reason: str, column: str) -> None:
        super().__init__(reason)
        self.column = column


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is to be read, and the position of each known column in a record."""

    written: tables.Layout
    columns: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Writes the layout as it is kept with a run."""
        written = self.written
        return {
            "encoding": written.encoding,
            "delimiter": written.delimiter,
            "origin": written.origin,
            "columns": dict(self.columns),
        }


def layout_from_json(stored: Mapping[str, Any]) -> Layout:
    """Reads what `to_json` gave. Runs that an earlier release began say `utf-8-sig`, and nothing of the origin."""
    encoding = "utf-8" if stored["encoding"] == "utf-8-sig" else stored["encoding"]
    return Layout(tables.Layout(encoding, stored["delimiter"], stored.get("origin", "found")), dict(stored["columns"]))


@dataclass(frozen=True, slots=True)
class Record:
    """One record by column; `line` is the physical line on which it starts.

    `fault` says why it cannot be used, `flaw` what is wrong with it although it can.
    """

    line: int
    values: Mapping[str, str]
    flaw: str | None = None
    fault: str | None = None


def layout_of(file: IO[bytes], columns: Mapping[str, CsvColumn]) -> Layout:
    """Looks through a file to find out how it is to be read; leaves it at its start. Raises Unreadable."""
    known = [header for column in columns.values() for header in column.headers]
    with open_table(file, known=known) as table:
        found = {name: place for name, column in columns.items() if (place := table.find(*column.headers)) is not None}
        missing = [column.headers[0] for name, column in columns.items() if column.required and name not in found]
        if missing:
            raise MissingColumn(_lacking(missing, table.header), missing[0])
        if next(table.records, None) is None:
            raise Unreadable("The file has a header and no rows.")
    return Layout(table.layout, found)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a file cannot be used, and the column that it lacks if that is why."""

    reason: str
    column: str | None = None


def look_at(path: str, columns: Mapping[str, CsvColumn]) -> Layout | Refused:
    """Looks through a file on disk as `layout_of` does; for a process of its own, which answers with plain values."""
    with Path(path).open("rb") as file:
        try:
            return layout_of(file, columns)
        except MissingColumn as error:
            return Refused(str(error), error.column)
        except Unreadable as error:
            return Refused(str(error))


def _lacking(missing: Sequence[str], header: Sequence[str]) -> str:
    named = ", ".join(f"“{name}”" for name in missing)
    shown = ", ".join(f"“{name[:40]}”" for name in header[:30])
    return f"The file lacks {'the column' if len(missing) == 1 else 'the columns'} {named}. Its header has: {shown}."


@contextmanager
def open_records(file: IO[bytes], layout: Layout) -> Iterator[tuple[Iterator[Record], list[Notice]]]:
    """Opens the records after the header, and notices of the file, complete when all records are read. The file stays open."""
    with open_table(file, layout=layout.written) as table:
        yield _records(table, layout), table.notices


def _records(table: Table, layout: Layout) -> Iterator[Record]:
    for record in table.records:
        cells = record.fields
        values = {
            name: cells[position].strip() if position < len(cells) else "" for name, position in layout.columns.items()
        }
        yield Record(record.line, values, record.flaw, record.fault)
