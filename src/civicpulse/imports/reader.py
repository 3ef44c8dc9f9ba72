"""A city's CSV as records with line numbers: streamed, plain or gzip, with or without a byte-order mark."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from civicpulse.base.errors import Invalid

if TYPE_CHECKING:
    from _csv import Reader

GZIP_MAGIC = b"\x1f\x8b"
LONGEST_FIELD = 1_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the file; `line` is the physical line on which it starts. `fault` says why it cannot be read."""

    line: int
    fields: list[str]
    fault: str | None = None


@contextmanager
def open_table(path: Path, *, delimiter: str = ",") -> Iterator[tuple[list[str], Iterator[Record]]]:
    """The header and the records of a CSV file; raises Invalid when it cannot be opened or has no header."""
    csv.field_size_limit(LONGEST_FIELD)
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
        opener = gzip.open if packed else open
        # Broken bytes must reach the record that holds them, to be named there, instead of ending the file.
        stream = opener(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise Invalid(f"{path} cannot be opened: {error}", code="unreadable_file") from error
    with stream:
        reader = csv.reader(stream, delimiter=delimiter)
        yield _header(reader, path), _records(reader)


def _header(reader: "Reader", path: Path) -> list[str]:
    try:
        header = [name.strip() for name in next(reader, [])]
    except (csv.Error, EOFError, OSError, zlib.error) as error:
        raise Invalid(f"{path} cannot be read as CSV: {error}", code="unreadable_file") from error
    if not any(header):
        raise Invalid(f"{path} is empty: it has no header line.", code="unreadable_file")
    return header


def _records(reader: "Reader") -> Iterator[Record]:
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(line, [], f"is no CSV: {error}")
            continue
        except (EOFError, OSError, zlib.error) as error:  # a gzip file cut short: nothing follows that can be read
            yield Record(line, [], f"the file is damaged from here on: {error}")
            return
        if fields:
            yield Record(line, fields, _fault(fields))


def _fault(fields: list[str]) -> str | None:
    text = "".join(fields)
    if "\0" in text:
        return "it holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "it is not UTF-8"
    return None
