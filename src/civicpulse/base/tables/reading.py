"""Opening a file that somebody hands in: what it is, how it is to be read, and its table."""

import gzip
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Final, cast

from civicpulse.base.tables.delimited import DelimitedReader, found_delimiter, stated_delimiter, text_of
from civicpulse.base.tables.encodings import DAMAGED, found_encoding, marked_encoding, wide_encoding
from civicpulse.base.tables.shapes import (
    NAMES,
    WORKBOOK,
    Layout,
    Notice,
    Origin,
    Record,
    Table,
    Unreadable,
    folded_header,
)
from civicpulse.base.tables.workbook import OLD_OFFICE, ZIP, rows_of

GZIP: Final = b"\x1f\x8b"
LONGEST_SHOWN: Final = 40


@contextmanager
def open_table(
    source: Path | IO[bytes],
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    known: Collection[str] = (),
    layout: Layout | None = None,
) -> Iterator[Table]:
    """Opens the table of a file: delimited text (a path may be packed with gzip) or the first sheet of an XLSX workbook.

    `encoding` (see `known_encoding`) and `delimiter` state how it is written; without, both are found, the delimiter with
    the help of `known` column names. `layout`, from an earlier opening, spares looking through the file. Raises Unreadable.
    A file that is handed over open must be seekable; it stays open.
    """
    with _opened(source) as file:
        layout = layout or _layout(file, encoding, delimiter, known)
        if layout.encoding == WORKBOOK:
            with rows_of(file) as (rows, told):
                yield _table(layout, next(rows, None), rows, [Notice(words) for words in told])
            return
        with text_of(file, layout.encoding) as lines:
            reader = DelimitedReader(lines, layout)
            try:
                header = reader.header()
            except DAMAGED as error:
                raise Unreadable(f"The file is damaged: {error}. Send it again.") from error
            yield _table(layout, header, reader.records(), _notices(layout, encoding))


@contextmanager
def _opened(source: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    if not isinstance(source, Path):
        if _start(source).startswith(GZIP):
            raise Unreadable("The file is packed with gzip: unpack it and send the file in it.")
        yield source
        return
    try:
        raw = source.open("rb")
    except OSError as error:
        raise Unreadable(f"{source} cannot be opened: {error}") from error
    with raw:
        is_packed = _start(raw).startswith(GZIP)
        if source.suffix == ".gz" and not is_packed:
            raise Unreadable(f"{source} is called a gzip file and is none.")
        if is_packed:
            with gzip.open(raw) as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            yield raw


def _start(file: IO[bytes]) -> bytes:
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    return start


def _layout(file: IO[bytes], encoding: str | None, delimiter: str | None, known: Collection[str]) -> Layout:
    try:
        start = _start(file)
    except DAMAGED as error:
        raise Unreadable(f"The file is damaged: {error}. Send it again.") from error
    if start.startswith(ZIP):
        return Layout(WORKBOOK, "", "marked")
    if start.startswith(OLD_OFFICE[:4]):
        raise Unreadable(
            "The file is an Excel workbook of the old kind (xls) or locked with a password: save it as xlsx or as CSV "
            "(UTF-8), without a password, and send that."
        )
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        raise Unreadable(
            "The file is JSON, such as GeoJSON, and not a table: what is wanted is CSV or XLSX with one row each and a line of column "
            "names first. (Zones come as GeoJSON: 'civicpulse import zones'.)"
        )
    name, origin = _encoding(file, encoding)
    with text_of(file, name) as lines:
        try:
            first = next(lines, "")
            delimiter = stated_delimiter(first) or delimiter or found_delimiter(chain([first], lines), known)
        except DAMAGED:  # the records say where it ends
            delimiter = delimiter or ","
    return Layout(name, delimiter, origin)


def _encoding(file: IO[bytes], stated: str | None) -> tuple[str, Origin]:
    """Decides on the encoding. A mark wins over what is stated: it cannot be wrong."""
    marked = marked_encoding(file)
    if marked is not None:
        return marked, "marked"
    if stated == "utf-16":
        return wide_encoding(file) or "utf-16-le", "stated"
    if stated is not None:
        return stated, "stated"
    return wide_encoding(file) or found_encoding(file), "found"


def _notices(layout: Layout, stated: str | None) -> list[Notice]:
    if layout.origin != "marked" or stated is None or NAMES.get(stated, "UTF-16") == layout.name:
        return []
    return [
        Notice(f"The file's byte-order mark says {layout.name}, not what was stated: it was read as {layout.name}.")
    ]


def _table(layout: Layout, first: Record | None, records: Iterator[Record], notices: list[Notice]) -> Table:
    if first is None:
        raise Unreadable("The file is empty: it has no header line.")
    if first.fault is not None:
        raise Unreadable(f"The file's header cannot be used: {first.fault}. It is no text, or damaged.")
    header = [name.replace("\ufeff", "").strip() for name in first.fields]
    while header and not header[-1]:
        header.pop()
    if not header:
        raise Unreadable("The file is empty: it has no header line.")
    if first.flaw is not None:
        notices.append(Notice(f"In the header {first.flaw}.", first.line))
    notices += _repeated(header, first.line)
    table = Table(layout, header, iter(()), notices)
    table.records = _measured(table, len(first.fields), records)
    return table


def _repeated(header: Sequence[str], line: int) -> Iterator[Notice]:
    seen: dict[str, int] = {}
    for place, name in enumerate(header, 1):
        first = seen.setdefault(folded_header(name), place) if name else place
        if first == place:
            continue
        called = f"The column “{name[:LONGEST_SHOWN]}” comes more than once (columns {first} and {place})"
        counts = "the first counts" if header[first - 1] == name else "they differ in case, and each counts as written"
        yield Notice(f"{called}: {counts}.", line)


def _measured(table: Table, written: int, records: Iterator[Record]) -> Iterator[Record]:
    """Cuts the records to the header's width: empty cells behind it go, anything else there is a fault.

    `written` counts the header's cells with the empty ones at its end.
    """
    width, is_told = len(table.header), False
    for record in records:
        if len(record.fields) <= width:
            if table.layout.encoding == WORKBOOK:  # which says nothing of empty cells at the end
                record.fields.extend([""] * (width - len(record.fields)))
            yield record
            continue
        filled = max((place for place, cell in enumerate(record.fields, 1) if cell.strip()), default=0)
        fault = record.fault
        if filled > width and fault is None:
            fault = (
                f"{filled} cells under a header of {width}: a text with the delimiter in it needs quotes around it"
                f"{'' if record.last_line == record.line else f' (lines {record.line} to {record.last_line})'}"
            )
        elif filled <= width and len(record.fields) > written and not is_told:
            is_told = True
            table.notices.append(
                Notice("Lines end with more delimiters than the header has: they were left out.", record.line)
            )
        yield Record(record.line, record.fields[:width], fault, record.flaw, record.last_line)
