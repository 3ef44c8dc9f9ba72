"""The first sheet of an XLSX workbook as records, row by row, within bounds that a hostile file cannot pass.

`openpyxl` reads rows as they come. Python's `zipfile` never unpacks more than a member's stated size, so stated sizes are
what is bounded.
"""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import IO, Any, Final

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from civicpulse.base.tables.shapes import Record, Unreadable

MAX_ROWS: Final = 1_048_576  # a sheet of the format has no more
MAX_COLUMNS: Final = 500
MAX_UNPACKED: Final = 512 << 20  # bytes of all members together
MAX_TEXTS: Final = 128 << 20  # bytes of the member that holds the workbook's texts: it is kept in memory
MAX_OTHER: Final = 16 << 20  # bytes of any other member but a sheet
ZIP: Final = b"PK\x03\x04"
OLD_OFFICE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_AGAIN: Final = "save it again as xlsx or as CSV (UTF-8) and send that"
# What a workbook raises that is not what it says it is.
_BROKEN: Final = (
    zipfile.BadZipFile, zlib.error, InvalidFileException, LookupError, ValueError, TypeError, AttributeError, ArithmeticError,
    EOFError, OSError, SyntaxError, RuntimeError,
)  # fmt: skip


@contextmanager
def rows_of(file: IO[bytes]) -> Iterator[tuple[Iterator[Record], list[str]]]:
    """Reads the rows of the first sheet, blank ones left out, and what its owner should know. Raises Unreadable."""
    _check_sizes(file)
    try:
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except _BROKEN as error:
        raise Unreadable(f"The file is no workbook that can be read ({_brief(error)}): {_AGAIN}.") from error
    try:
        if not book.worksheets:
            raise Unreadable("The workbook has no sheet with cells.")
        sheet = next((one for one in book.worksheets if one.sheet_state == "visible"), book.worksheets[0])
        told = []
        if len(book.worksheets) > 1:
            told.append(f"The workbook has {len(book.worksheets)} sheets: “{sheet.title}” was read, the others not.")
        if (sheet.max_column or 0) > MAX_COLUMNS:
            told.append(f"The sheet says that it has {sheet.max_column} columns: the first {MAX_COLUMNS} were read.")
        sheet.reset_dimensions()
        yield _records(sheet), told
    finally:
        book.close()


def _check_sizes(file: IO[bytes]) -> None:
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except _BROKEN as error:
        raise Unreadable(f"The file is no workbook that can be read ({_brief(error)}): {_AGAIN}.") from error
    if not any(member.filename == "[Content_Types].xml" for member in members):
        raise Unreadable("The file is a ZIP archive, not a workbook: unpack it and send the file in it.")
    total = sum(member.file_size for member in members)
    if total > MAX_UNPACKED or any(member.file_size > _max_bytes(member.filename) for member in members):
        raise Unreadable(
            f"The workbook is too large ({total >> 20} MB unpacked): save it as CSV (UTF-8) and send that."
        )
    file.seek(0)


def _max_bytes(name: str) -> int:
    if name.startswith("xl/worksheets/"):
        return MAX_UNPACKED
    return MAX_TEXTS if name.startswith(("xl/sharedStrings", "xl/media/")) else MAX_OTHER


def _records(sheet: Any) -> Iterator[Record]:
    number, blank = 0, None
    try:
        for number, row in enumerate(sheet.iter_rows(max_row=MAX_ROWS, max_col=MAX_COLUMNS, values_only=True), 1):
            if row is blank:
                continue
            if row.count(None) == len(row):
                blank = row  # for rows that the sheet leaves out the library gives one and the same
                continue
            last = next(place for place in range(len(row), 0, -1) if row[place - 1] is not None)
            fields = [_text(value) for value in row[:last]]
            if any(cell.strip() for cell in fields):
                yield Record(number, fields, _fault(fields), last_line=number)
    except _BROKEN as error:
        yield Record(number + 1, [], f"the workbook is damaged from here on: {_brief(error)}", last_line=number + 1)


def _fault(fields: list[str]) -> str | None:
    return "it holds a NUL character" if any("\0" in cell for cell in fields) else None


def _text(value: Any) -> str:
    """Writes a cell's value as a CSV file would have it; times as ISO 8601, a day alone without a time."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(timespec="seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
