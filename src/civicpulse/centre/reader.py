"""A contact centre's CSV as records: whatever program wrote it, read piece by piece.

UTF-8 with or without a mark, else Windows-1251; commas, semicolons or tabs; cells of several lines; a quote that nobody
closed costs one record, not the rest of the file.
"""

import codecs
import csv
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from typing import IO, BinaryIO, Final, cast

from civicpulse.packs.model import plain_word
from civicpulse.packs.shapes import CsvColumn

ENCODINGS: Final = ("utf-8-sig", "cp1251")
DELIMITERS: Final = (",", ";", "\t")
PIECE: Final = 1 << 20  # bytes
MOST_LINES: Final = 2_000  # of one record: more is a quote that nobody closed
LONGEST_LINE: Final = 1_000_000  # characters
SPREADSHEETS: Final = {b"PK\x03\x04": "an Excel workbook (xlsx)", b"\xd0\xcf\x11\xe0": "an Excel workbook (xls)"}
UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Unreadable(Exception):
    """The file cannot be used as a whole; the message says why and what to do. `column` names a missing column."""

    def __init__(self, reason: str, column: str | None = None) -> None:
        super().__init__(reason)
        self.column = column


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is to be read: its encoding, its delimiter, and the position of each known column in a record."""

    encoding: str
    delimiter: str
    columns: Mapping[str, int]
    width: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record by column; `line` is the physical line on which it starts, `fault` why it cannot be used."""

    line: int
    values: Mapping[str, str]
    lone_quote: bool = False
    fault: str | None = None


def layout_of(file: IO[bytes], columns: Mapping[str, CsvColumn]) -> Layout:
    """Reads the whole file once to find out how it is to be read; leaves it at its start. Raises Unreadable."""
    encoding = _encoding(file)
    with _text(file, encoding) as lines:
        header = next((line for line in lines if line.strip(",;\t \r\n")), None)
        if header is None:
            raise Unreadable("The file is empty: it has no header line.")
        found, delimiter = _header(header, columns)
        width = len(next(csv.reader([header], delimiter=delimiter)))
        missing = [column.headers[0] for name, column in columns.items() if column.required and name not in found]
        if missing:
            known = next(csv.reader([header], delimiter=delimiter))
            raise Unreadable(_lacking(missing, known), missing[0])
        if not any(line.strip(",;\t \r\n") for line in lines):
            raise Unreadable("The file has a header and no rows.")
    return Layout(encoding, delimiter, found, width)


def _lacking(missing: Sequence[str], header: Sequence[str]) -> str:
    named = ", ".join(f"“{name}”" for name in missing)
    shown = ", ".join(f"“{name.strip()[:40]}”" for name in header[:30])
    return f"The file lacks {'the column' if len(missing) == 1 else 'the columns'} {named}. Its header has: {shown}."


def _encoding(file: IO[bytes]) -> str:
    file.seek(0)
    start = file.read(4)
    for mark, what in SPREADSHEETS.items():
        if start.startswith(mark):
            raise Unreadable(f"The file is {what}, not CSV: save it as CSV (UTF-8) and send that.")
    if start.startswith(UTF_16):
        raise Unreadable("The file is UTF-16: save it as CSV in UTF-8 and send that.")
    for encoding in ENCODINGS:
        if _decodes(file, encoding):
            return encoding
    raise Unreadable("The file is neither UTF-8 nor Windows-1251: save it as CSV in UTF-8 and send that.")


def _decodes(file: IO[bytes], encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    try:
        while piece := file.read(PIECE):
            if b"\x00" in piece:
                raise Unreadable("The file is no text (it holds NUL bytes): save it as CSV in UTF-8 and send that.")
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _header(line: str, columns: Mapping[str, CsvColumn]) -> tuple[dict[str, int], str]:
    """The positions of the known columns, by the delimiter that finds most of them."""
    known = {plain_word(header): name for name, column in columns.items() for header in column.headers}
    best: tuple[dict[str, int], str] = {}, DELIMITERS[0]
    for delimiter in DELIMITERS:
        found: dict[str, int] = {}
        for position, header in enumerate(next(csv.reader([line], delimiter=delimiter))):
            name = known.get(plain_word(header))
            if name is not None:
                found.setdefault(name, position)
        if len(found) > len(best[0]):
            best = found, delimiter
    return best


class _Lines:
    """The physical lines, with those of a record at hand, so that some of them can be given back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._returned = lines, deque[str]()
        self.taken: list[str] = []
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MOST_LINES:
            raise csv.Error("a cell that never ends")
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.number += 1
        self.taken.append(line)
        return line

    def keep_first(self) -> str:
        """Gives back all lines of the record but its first, which it answers."""
        first, *rest = self.taken
        self._returned.extendleft(reversed(rest))
        self.number -= len(rest)
        self.taken = [first]
        return first


def records(file: IO[bytes], layout: Layout) -> Iterator[Record]:
    """The records after the header, blank ones left out. The file must stay open and untouched meanwhile."""
    csv.field_size_limit(LONGEST_LINE)
    with _text(file, layout.encoding) as text:
        lines = _Lines(text)
        reader = csv.reader(lines, delimiter=layout.delimiter)
        is_header = True
        while True:
            lines.taken, line = [], lines.number + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                cells = []
            lone = _is_lone_quote(lines.taken, cells, layout)
            if lone:
                first = lines.keep_first()
                cells = next(csv.reader([first], delimiter=layout.delimiter, quoting=csv.QUOTE_NONE))
            if is_header and any(cell.strip() for cell in cells):
                is_header = False
            elif lines.taken and len(lines.taken[0]) > LONGEST_LINE:
                yield Record(line, {}, fault="a line of more than a million characters")
            elif any(cell.strip() for cell in cells):
                yield _record(line, cells, layout, lone=lone)


def _is_lone_quote(taken: Sequence[str], cells: Sequence[str], layout: Layout) -> bool:
    """Whether a quote opened a cell that nobody closed; then the line stands for itself."""
    if _filled(cells) <= layout.width <= len(cells) or not taken or len(taken[0]) > LONGEST_LINE:
        return False
    try:
        next(csv.reader(taken, delimiter=layout.delimiter, strict=True))
    except csv.Error:
        return True
    return False


def _filled(cells: Sequence[str]) -> int:
    """How many cells there are up to the last one that says something."""
    return max((position for position, cell in enumerate(cells, 1) if cell.strip()), default=0)


def _record(line: int, cells: Sequence[str], layout: Layout, *, lone: bool) -> Record:
    filled, fault = _filled(cells), None
    if filled > layout.width:
        fault = (
            f"{filled} cells under a header of {layout.width}: a text with the delimiter in it needs quotes around it"
        )
    values = {
        name: cells[position].strip() if position < len(cells) else "" for name, position in layout.columns.items()
    }
    return Record(line, values, lone, fault)


@contextmanager
def _text(file: IO[bytes], encoding: str) -> Iterator[Iterator[str]]:
    """The file's lines from its start; at the end of the block the file is still open."""
    file.seek(0)
    wrapper = TextIOWrapper(cast("BinaryIO", file), encoding, newline="")
    try:
        yield wrapper
    finally:
        if not file.closed:  # whoever stopped reading half-way may have closed it
            wrapper.detach()
            file.seek(0)
