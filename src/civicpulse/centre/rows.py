"""Records of the three files as offices, managers and tickets, and what is wrong with those that are none. No I/O."""

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal, TypeAlias

from civicpulse.base.tables import read_number
from civicpulse.centre.reader import Record
from civicpulse.centre.texts import say
from civicpulse.packs.model import Pack
from civicpulse.places.offices import OfficeDraft
from civicpulse.places.place import AddressParts

Severity: TypeAlias = Literal["error", "warning"]

LONGEST_CELL: Final = 1_000  # characters
LONGEST_GUID: Final = 200
LONGEST_TEXT: Final = 20_000  # what is longer is cut, as everywhere in the intake
MAX_LOAD: Final = 1_000_000
FIRST_YEAR: Final = 1900

_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})|(\d{1,2})[./](\d{1,2})[./](\d{4})")
_TIME = re.compile(r"[ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?Z?")
_BETWEEN = re.compile(r"[,;/|\n]+")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a file: an error costs its row, a warning does not. `column` as the pack calls it.

    `request_id` is the number of the request whose state the words tell: they are for those who see it.
    """

    file: str
    line: int | None
    message: str
    severity: Severity = "error"
    column: str | None = None
    request_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Writes the fault as it is stored and served."""
        found: dict[str, Any] = {"file": self.file, "line": self.line, "message": self.message}
        more = {"column": self.column, "request_id": self.request_id}
        return found | {"severity": self.severity} | {name: value for name, value in more.items() if value}


class RowError(Exception):
    """A record cannot be used; `what` of the texts says why, `column` where."""

    def __init__(self, what: str, column: str | None = None, **values: object) -> None:
        super().__init__(what)
        self.what, self.column, self.values = what, column, values


@dataclass(frozen=True, slots=True)
class ManagerRow:
    """A manager as the file has it; the office by its name."""

    name: str
    office: str
    position: str | None
    skills: tuple[str, ...]
    load: int


@dataclass(frozen=True, slots=True)
class TicketRow:
    """A ticket as the file has it; `given` holds the values as they are kept, `fingerprint` tells a changed row."""

    client_guid: str
    given: dict[str, Any]
    fingerprint: bytes


class RowReader:
    """Reads the records of one file by the tenant's pack; what deserves a look is told to `faults`."""

    def __init__(self, pack: Pack, file: str) -> None:
        self._pack, self._file = pack, file
        self.faults: list[Fault] = []

    def warn(self, record: Record, what: str, column: str | None = None, **values: object) -> None:
        """Notes what costs nothing."""
        message = say(self._pack.document.language, what, **values)
        self.faults.append(Fault(self._file, record.line, message, "warning", column))

    def refuse(self, record: Record, error: RowError) -> None:
        """Notes what costs the row."""
        message = say(self._pack.document.language, error.what, **error.values)
        self.faults.append(Fault(self._file, record.line, message, "error", error.column))

    def office(self, record: Record) -> OfficeDraft:
        """Reads an office. Raises RowError."""
        values = self._values(record)
        return OfficeDraft(_one_line(_wanted(values, "name")), _one_line(values.get("address", "")))

    def manager(self, record: Record) -> ManagerRow:
        """Reads a manager. Raises RowError."""
        values = self._values(record)
        name, office = _one_line(_wanted(values, "name")), _one_line(_wanted(values, "office"))
        load = _load(values.get("load", ""))
        position = self._spelled(record, "positions", values.get("position", ""), "position")
        words = [word.strip() for word in _BETWEEN.split(values.get("skills", "")) if word.strip()]
        skills = [self._spelled(record, "skills", word, "skills") or word for word in words]
        return ManagerRow(name, office, position, tuple(dict.fromkeys(skills)), load)

    def ticket(self, record: Record) -> TicketRow:
        """Reads a ticket; one without a text is one all the same. Raises RowError."""
        values = self._values(record)
        guid = _wanted(values, "client_guid")
        if len(guid) > LONGEST_GUID:
            raise RowError("guid_long", "client_guid", limit=LONGEST_GUID)
        born = self._born(record, values.get("birth_date", ""))
        text = values.get("description", "")
        if len(text) > LONGEST_TEXT:
            self.warn(record, "text_cut", "description", limit=LONGEST_TEXT, length=len(text))
        given = {
            "description": text[:LONGEST_TEXT],
            "segment": self._spelled(record, "segments", values.get("segment", ""), "segment"),
            "birth_date": born.isoformat() if born else None,
        }
        given |= {name: values.get(name) or None for name in PLAIN}
        whole = "\x1f".join(f"{name}\x1e{values[name]}" for name in sorted(values))
        return TicketRow(guid, given, hashlib.blake2b(whole.encode(), digest_size=16).digest())

    def _born(self, record: Record, text: str) -> date | None:
        """Reads a date of birth; what is none is told, and the ticket comes without it."""
        born = _birth_date(text)
        if text and born is None:
            self.warn(record, "birth_date", "birth_date", text=text[:40])
        return born

    def _values(self, record: Record) -> dict[str, str]:
        if record.fault:
            raise RowError("unreadable_row", fault=record.fault)
        for name, value in record.values.items():
            if name != "description" and len(value) > LONGEST_CELL:
                raise RowError("cell_long", name, limit=LONGEST_CELL)
        if record.flaw:
            self.warn(record, "flaw", flaw=record.flaw)
        return dict(record.values)

    def _spelled(self, record: Record, vocabulary: Any, word: str, column: str) -> str | None:
        """Finds the value that the rules know by this word; a word they do not know stays as it is, and is told."""
        if not word:
            return None
        known = self._pack.spelled(vocabulary, word)
        if known is None:
            self.warn(record, vocabulary, column, word=word[:60])
        return known or " ".join(word.split())


# What of a ticket is kept as the file has it.
PLAIN: Final = ("gender", "attachment", "country", "region", "town", "street", "house")


def address_parts(given: dict[str, Any]) -> AddressParts:
    """Takes the parts of a ticket that say where its customer lives."""
    return AddressParts(given["country"], given["region"], given["town"], given["street"], given["house"])


def address_line(given: dict[str, Any]) -> str | None:
    """Writes where a ticket's customer lives in one line, for people."""
    street = " ".join(part for part in (given["street"], given["house"]) if part)
    parts = (given["country"], given["region"], given["town"], street)
    return ", ".join(" ".join(part.split()) for part in parts if part) or None


def _wanted(values: dict[str, str], column: str) -> str:
    value = values.get(column, "")
    if not value:
        raise RowError("empty", column)
    return value


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _load(text: str) -> int:
    """Reads a cell that holds a number of tickets in work; empty means none."""
    if not text:
        return 0
    load = read_number(text)
    if load is None or not (0 <= load <= MAX_LOAD and load.is_integer()):
        raise RowError("load", "load", text=text[:40])
    return int(load)


def _birth_date(text: str) -> date | None:
    """Reads a date of birth, also with a time behind it; None where it is no day on which somebody alive was born."""
    found = _DATE.match(text)
    if found is None or not (found.end() == len(text) or _TIME.fullmatch(text, found.end())):
        return None
    year, month, day = found.group(1, 2, 3) if found.group(1) else found.group(6, 5, 4)
    try:
        born = date(int(year), int(month), int(day))
    except ValueError:
        return None
    return born if born.year >= FIRST_YEAR else None
