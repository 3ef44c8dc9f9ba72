"""What a table says of itself and of each of its records."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from civicpulse.base.errors import Invalid

Origin: TypeAlias = Literal["stated", "marked", "found"]

WORKBOOK: Final = "xlsx"  # in place of an encoding
LONGEST_LINE: Final = 1_000_000  # characters
NAMES: Final = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp1251": "Windows-1251",
    "cp1252": "Windows-1252",
    WORKBOOK: "XLSX",
}


class Unreadable(Invalid):
    """A file that cannot be used as a whole; the message says why and what to do."""

    code = "unreadable_file"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is to be read, and where that is known from: stated by whoever hands it in, marked in it, or found.

    `encoding` is one of utf-8, utf-16-le, utf-16-be, cp1251, cp1252, or xlsx for a workbook.
    """

    encoding: str
    delimiter: str = ","
    origin: Origin = "found"

    @property
    def name(self) -> str:
        """The encoding as people call it."""
        return NAMES[self.encoding]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about a file that its owner should know and that costs no record."""

    message: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One record: `line` to `last_line` are its physical lines (of a workbook: its row), counted from 1.

    `fault` says why it cannot be used. `flaw` says what is wrong although it could be read: a byte that is no character
    (U+FFFD stands for it), a quote that nobody closes (the line was read as it stands).
    """

    line: int
    fields: list[str]
    fault: str | None = None
    flaw: str | None = None
    last_line: int = 0

    @property
    def trouble(self) -> str | None:
        """Fault or flaw, for readers that take only records without either."""
        return self.fault or self.flaw


def folded_header(name: str) -> str:
    """Folds a column's name as it is compared: case, ё and runs of blanks do not matter."""
    return " ".join(name.casefold().replace("ё", "е").split())


@dataclass(slots=True)
class Table:
    """An open file: its header as written, its records (read once, in order), and notices, which may grow while it is read."""

    layout: Layout
    header: list[str]
    records: Iterator[Record]
    notices: list[Notice] = field(default_factory=list)

    def find(self, *names: str) -> int | None:
        """Finds the position of the first column that has one of these names; a name as written wins over one in another case."""
        return find_column(self.header, *names)


def find_column(header: Sequence[str], *names: str) -> int | None:
    """Finds the position of the first of `names` that the header has, as written or else without regard to case; None without."""
    folded: list[str] = []
    for name in names:
        if name.strip() in header:
            return header.index(name.strip())
        folded = folded or [folded_header(column) for column in header]
        if folded_header(name) in folded:
            return folded.index(folded_header(name))
    return None
