"""A city's file of requests as intake would have met them, in order of time, and what the city's staff flagged."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from civicpulse.base.tables import Table
from civicpulse.evaluation.analysis import QualityError, opened_table
from civicpulse.imports.mapping import Mapping as ImportMapping
from civicpulse.imports.rows import Case, CaseReader, RowError
from civicpulse.packs.model import Pack
from civicpulse.places.cells import cell_of
from civicpulse.rules.addresses import address_key
from civicpulse.rules.duplicates import distance_m

CASE_COLUMNS: Final = ("case_enquiry_id", "Service_Request_Number", "external_id", "request_id", "id")
PARENT_COLUMNS: Final = ("parent_id", "likely_parent_id", "parent", "master_id")
GOLD_COLUMN: Final = "gold"
GOLD_METRES: Final = 100.0
GOLD_SPAN: Final = timedelta(days=30)
_YES: Final = frozenset({"true", "1", "yes", "t", "y"})
_ALWAYS_GONE: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Past:
    """A request of the file: what `POST /requests` would have been told, and when the city closed it (None: never).

    `kind` is the file's own type: the coarsest, which is the last that the mapping lists for the sub-category. It and the
    channel take no part in the rule.
    """

    number: str
    kind: str
    category: str
    sub_category: str | None
    lon: float
    lat: float
    cell: int
    at: datetime
    closed_at: datetime | None
    address: str | None
    address_key: str | None
    asset_id: str | None
    text: str
    channel: str | None


@dataclass(frozen=True, slots=True)
class History:
    """The requests that have a place, oldest first, and how many rows of the file were left out, by reason."""

    requests: tuple[Past, ...]
    rows: int
    skipped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Label:
    """A request that staff flagged as a duplicate; of which one (None: not said); `is_gold` None: the file has no word on it."""

    number: str
    parent: str | None
    is_gold: bool | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two requests of the history that are one, as positions in it; `is_gold`: near enough in place and time to be sure."""

    earlier: int
    later: int
    is_gold: bool


@dataclass(frozen=True, slots=True)
class Truth:
    """What the labels say of a history: positions that are part of a flagged pair, and the pairs whose ends are both there."""

    flagged: frozenset[int]
    pairs: tuple[Pair, ...]


def read_history(path: Path, mapping: ImportMapping, pack: Pack) -> History:
    """Reads the requests of a table (CSV, plain or gzip, or XLSX) as the importer reads them. Raises QualityError.

    Left out: rows that the importer refuses, ids that came before, and requests without a place or at a point that the
    mapping lists under `no_place` (where nothing is known of the place, nothing can be compared).
    """
    unknown = sorted(mapping.category_names - pack.categories.keys())
    if unknown:
        raise QualityError(f"the mapping {mapping.name} names categories that the pack lacks: {', '.join(unknown)}")
    zone = ZoneInfo(mapping.timezone)
    skipped = {"bad": 0, "repeated": 0, "no_place": 0}
    found: dict[str, Past] = {}
    seen: set[str] = set()
    rows = 0
    with opened_table(path, encoding=mapping.encoding, known=mapping.named_columns) as table:
        reader = CaseReader(mapping, table.header)
        lacking = [name for name in mapping.required_columns if name in reader.missing_columns]
        if lacking:
            raise QualityError(f"{path}: there is no column {lacking[0]!r}; there are {', '.join(table.header)}")
        kind_column = table.find(*reversed(mapping.columns.sub_category))
        for record in table.records:
            rows += 1
            try:
                case = reader.case(record)
            except RowError:
                skipped["bad"] += 1
                continue
            cell = (
                cell_of(case.lon, case.lat) if case.is_place and case.lon is not None and case.lat is not None else None
            )
            if case.external_id in seen:
                skipped["repeated"] += 1
            elif cell is None:
                skipped["no_place"] += 1
            else:
                kind = record.fields[kind_column].strip() if kind_column is not None else case.category
                found[case.external_id] = _past(case, cell, kind.casefold(), pack, zone)
            seen.add(case.external_id)
    return History(tuple(sorted(found.values(), key=lambda past: past.at)), rows, skipped)


def _past(case: Case, cell: int, kind: str, pack: Pack, zone: ZoneInfo) -> Past:
    return Past(
        number=case.external_id,
        kind=kind,
        category=case.category,
        sub_category=case.sub_category,
        lon=case.lon or 0.0,
        lat=case.lat or 0.0,
        cell=cell,
        at=case.created_at,
        closed_at=_closed_at(case, zone),
        address=case.address,
        address_key=address_key(case.address),
        asset_id=case.asset_id,
        text=case.description or pack.categories[case.category].name,
        channel=case.channel,
    )


def _closed_at(case: Case, zone: ZoneInfo) -> datetime | None:
    """Says when a case closed. A file of dates without times closes at the end of the day; what was closed nobody knows when is never a master."""
    if not case.is_closed:
        return None
    if case.closed_at is None:
        return _ALWAYS_GONE
    dates_only = all(moment.astimezone(zone).time() == time() for moment in (case.created_at, case.closed_at))
    return case.closed_at + timedelta(days=1) if dates_only else case.closed_at


def read_labels(path: Path, id_column: str) -> list[Label]:
    """Reads the labels of a table (CSV, plain or gzip, or XLSX), one row a flagged request. Raises QualityError.

    The request is in the column `id_column` or the first there is of `CASE_COLUMNS`, its parent in the first of
    `PARENT_COLUMNS` (may be blank), and whether the pair is certain in `gold` (may be missing).
    """
    known = (id_column, *CASE_COLUMNS, *PARENT_COLUMNS, GOLD_COLUMN)
    with opened_table(path, known=known) as table:
        case = _column(path, table, (id_column, *CASE_COLUMNS))
        parent = _column(path, table, PARENT_COLUMNS)
        gold = table.find(GOLD_COLUMN)
        found = []
        for record in table.records:
            fields = [field.strip() for field in record.fields]
            fields.extend([""] * (len(table.header) - len(fields)))
            if fields[case]:
                is_gold = None if gold is None else fields[gold].casefold() in _YES
                found.append(Label(fields[case], fields[parent] or None, is_gold))
    return found


def _column(path: Path, table: Table, names: Sequence[str]) -> int:
    place = table.find(*names)
    if place is None:
        raise QualityError(
            f"{path}: there is none of the columns {', '.join(names)}; there are {', '.join(table.header)}"
        )
    return place


def truth_of(history: History, labels: Iterable[Label]) -> Truth:
    """Reads the labels on the history. Pairs are unordered: a parent may be the later case.

    Without a word in the file a pair is gold when its ends are within 100 m and 30 days of each other.
    """
    places = {past.number: index for index, past in enumerate(history.requests)}
    flagged: set[int] = set()
    pairs: dict[tuple[int, int], Pair] = {}
    for label in labels:
        ends = [places.get(number) for number in (label.number, label.parent) if number is not None]
        flagged.update(end for end in ends if end is not None)
        if len(ends) == 2 and ends[0] is not None and ends[1] is not None and ends[0] != ends[1]:
            earlier, later = sorted((ends[0], ends[1]))
            is_gold = (
                _is_gold(history.requests[earlier], history.requests[later]) if label.is_gold is None else label.is_gold
            )
            pairs.setdefault((earlier, later), Pair(earlier, later, is_gold))
    return Truth(frozenset(flagged), tuple(pairs.values()))


def _is_gold(one: Past, other: Past) -> bool:
    return distance_m(one.lon, one.lat, other.lon, other.lat) <= GOLD_METRES and abs(one.at - other.at) <= GOLD_SPAN
