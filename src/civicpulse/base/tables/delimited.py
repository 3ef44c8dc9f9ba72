"""Delimited text as records, piece by piece: constant memory, and time in proportion to the file whatever it holds."""

import csv
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import IO, BinaryIO, Final, cast

from civicpulse.base.tables.encodings import DAMAGED, KEEP, MARKS
from civicpulse.base.tables.shapes import LONGEST_LINE, Layout, Record, folded_header

DELIMITERS: Final = (",", ";", "\t", "|")
MAX_LINES: Final = 2_000  # of one record: more is a quote that nobody closed
FIRST_CREDIT: Final = 4 * LONGEST_LINE  # characters that may be read twice
CREDIT: Final = 4  # more of them for each character that was read
SAMPLE_LINES: Final = 30
_BLANK: Final = ",;|\t \r\n\ufeff"
_SEPARATOR: Final = re.compile(r'"?sep=([^\w"\s]|\t)"?[,;|\t]*\s*', re.IGNORECASE)
_NO_CHARACTER: Final = re.compile("[\ud800-\udfff]")

csv.field_size_limit(2 * LONGEST_LINE)


@contextmanager
def text_of(file: IO[bytes], encoding: str) -> Iterator[Iterator[str]]:
    """Reads the file's physical lines after its mark, each at most a little over LONGEST_LINE: the rest of a longer one is left out.

    At the end of the block the file is still open, and at its start.
    """
    mark = MARKS.get(encoding, b"")
    file.seek(0)
    file.seek(len(mark) if mark and file.read(len(mark)) == mark else 0)
    text = TextIOWrapper(cast("BinaryIO", file), encoding, errors=KEEP, newline="")
    try:
        yield _physical(text)
    finally:
        if not file.closed:  # whoever stopped reading half-way may have closed it
            text.detach()
            file.seek(0)


def _physical(text: TextIOWrapper) -> Iterator[str]:
    while line := text.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            rest = line
            while rest and not rest.endswith(("\n", "\r")):
                rest = text.readline(LONGEST_LINE)
        yield line


def stated_delimiter(line: str) -> str | None:
    """Finds the delimiter that a first line such as `sep=;` states (a spreadsheet program's habit); None for any other line."""
    found = _SEPARATOR.fullmatch(line)
    return found.group(1) if found else None


def found_delimiter(lines: Iterator[str], known: Collection[str]) -> str:
    """Finds the delimiter of a file by its first lines.

    It is the one that finds most of the `known` columns in the header; among equals, the one by which most of the lines
    after it have as many cells as the header; then, the one with most cells.
    """
    sample: list[str] = []
    room = LONGEST_LINE
    for line in lines:
        if not sample and (not line.strip(_BLANK) or _SEPARATOR.fullmatch(line)):
            continue
        room -= len(line)
        if len(sample) > SAMPLE_LINES or room < 0:
            break
        sample.append(line)
    wanted = {folded_header(name) for name in known}

    def fitness(delimiter: str) -> tuple[int, int, int]:
        try:
            header, *rows = csv.reader(sample, delimiter=delimiter)
        except (csv.Error, ValueError):
            return 0, 0, 0
        width = _width(header)
        found = len(wanted & {folded_header(name) for name in header})
        same = sum(len(row) == width or _width(row) == width for row in rows) if width > 1 else 0
        return found, same, width

    return max(DELIMITERS, key=fitness)  # of equals the first


class _Lines:
    """The physical lines, with those of the record at hand, so that some of them can be given back.

    What may be given back is limited by a credit that grows with what was read for good, so that no file, however it
    is made, is read more than about five times over.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._returned = lines, deque[str]()
        self._credit = FIRST_CREDIT
        self._room = 0
        self.taken: list[str] = []
        self.number = 0  # of the last line taken

    def __iter__(self) -> Iterator[str]:
        return self

    def begin(self) -> None:
        """Begins a new record; the lines of the one before are read for good."""
        self._credit += CREDIT * (len(self.taken[0]) if len(self.taken) == 1 else sum(map(len, self.taken)))
        self._room = min(self._credit, LONGEST_LINE)
        self.taken = []

    def __next__(self) -> str:
        if self.taken and (len(self.taken) >= MAX_LINES or self._room <= 0):
            raise csv.Error("a cell that never ends")
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.number += 1
        self.taken.append(line)
        if len(line) > LONGEST_LINE:
            raise csv.Error("a line that is too long")
        if len(self.taken) > 1:
            self._room -= len(line)
        return line

    def keep_first(self) -> str:
        """Gives back all lines of the record but its first, which it answers."""
        first, *rest = self.taken
        self._returned.extendleft(reversed(rest))
        self.number -= len(rest)
        self._credit -= sum(map(len, rest))
        self.taken = [first]
        return first


class DelimitedReader:
    """Reads the header first, then the records, of lines of text. Lines of nothing but delimiters and blanks are left out."""

    def __init__(self, lines: Iterator[str], layout: Layout) -> None:
        self._lines = _Lines(lines)
        self._reader = csv.reader(self._lines, delimiter=layout.delimiter)
        self._layout = layout
        self._width = 0

    def header(self) -> Record | None:
        """Reads the header's record, cells as written; None where the file has none. Raises what a damaged file raises."""
        while (record := self._next()) is not None:
            is_statement = record.line == 1 and stated_delimiter(self._lines.taken[0])
            if not is_statement and (record.fault or any(cell.strip().strip(_BLANK) for cell in record.fields)):
                self._width = _width(record.fields)
                return record
        return None

    def records(self) -> Iterator[Record]:
        """Reads the records after the header."""
        while True:
            try:
                record = self._next()
            except DAMAGED as error:  # a packed file cut short: nothing follows that can be read
                line = self._lines.number + 1
                yield Record(line, [], f"the file is damaged from here on: {error}", last_line=line)
                return
            if record is None:
                return
            if record.fault or "".join(record.fields).strip():
                yield record

    def _next(self) -> Record | None:
        lines = self._lines
        lines.begin()
        line = lines.number + 1
        try:
            cells = next(self._reader)
        except StopIteration:
            return None
        except csv.Error:
            cells = []
        if len(lines.taken[0]) > LONGEST_LINE:
            lines.keep_first()
            return Record(line, [], f"the line has more than {LONGEST_LINE:,} characters", last_line=line)
        flaw = None
        if _is_lone_quote(lines.taken, cells, self._layout.delimiter, self._width):
            flaw = _lone_quote(line, lines.number)
            cells = next(
                csv.reader([lines.keep_first()], delimiter=self._layout.delimiter, quoting=csv.QUOTE_NONE), cells
            )
        fault, byte = _nul(lines.taken, line), self._bad_byte(lines.taken, line)
        if byte:
            flaw = f"{flaw}; {byte}" if flaw else byte
            cells = [_NO_CHARACTER.sub("\ufffd", cell) for cell in cells]
        return Record(line, cells, fault, flaw, lines.number)

    def _bad_byte(self, taken: Sequence[str], number: int) -> str | None:
        """Says in words where the first byte stands that is no character."""
        for line in taken:
            if not line.isascii() and (found := _NO_CHARACTER.search(line)):
                encoding = self._layout.encoding
                mark = MARKS[encoding] if number == 1 and self._layout.origin == "marked" else b""
                place = len(mark) + len(line[: found.start()].encode(encoding)) + 1
                return f"line {number}, byte {place}: 0x{ord(found.group()) & 0xFF:02X} is not {self._layout.name}"
            number += 1
        return None


def _nul(taken: Sequence[str], line: int) -> str | None:
    for number, text in enumerate(taken, line):
        if "\0" in text:
            return f"line {number} holds a NUL character"
    return None


def _lone_quote(line: int, searched_to: int) -> str:
    to = f" (looked for up to line {searched_to})" if searched_to > line else ""
    return f"a quote opens a cell in line {line} and nobody closes it{to}: the line was read as it stands"


def _is_lone_quote(taken: Sequence[str], cells: Sequence[str], delimiter: str, width: int) -> bool:
    """Tells whether a quote opened a cell that nobody closed; then the first line stands for itself.

    A record of one line with as many cells as the header is taken as it is, unless the file ends within a quote. One of
    several lines must close its quotes where cells end; if it does not, its lines must at least be no records themselves.
    """
    fits = width > 0 and (len(cells) == width or _width(cells) <= width <= len(cells))
    if not taken or (fits and len(taken) == 1 and taken[0].count('"') % 2 == 0):
        return False
    fault = _strictly(taken, delimiter)
    if fault is None or not fits:
        return fault is not None
    return "unexpected end" in fault or any(
        len(next(csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE), [])) == width for line in taken[1:]
    )


def _strictly(taken: Sequence[str], delimiter: str) -> str | None:
    """Says what is wrong with the quotes of a record."""
    try:
        next(csv.reader(taken, delimiter=delimiter, strict=True), None)
    except csv.Error as error:
        return str(error)
    return None


def _width(cells: Sequence[str]) -> int:
    """Counts how many cells there are up to the last one that says something."""
    return next((position for position in range(len(cells), 0, -1) if cells[position - 1].strip()), 0)
