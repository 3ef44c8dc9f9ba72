"""A record of the file as a case: the mapping applied to one row. Pure: values in, a Case or a reason out."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from string import Formatter
from zoneinfo import ZoneInfo

from civicpulse.base.tables import Record, find_column, read_number
from civicpulse.imports.mapping import OUTCOMES, CategoryMap, Mapping, PriorityMap, VerdictMap, folded
from civicpulse.imports.times import read_time, to_utc
from civicpulse.intake.incoming import End
from civicpulse.rules.duplicates import distance_m

LONGEST_TEXT = 10_000
LONGEST_ID = 200
FIRST_YEAR = 1900
MAX_REMEMBERED = 10_000

Fields = list[str]
Reader = Callable[[Fields], str | None]


class RowError(ValueError):
    """A row that cannot become a request; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row, understood. Times are UTC; `is_place` is False where there are no coordinates or only a placeholder.

    What ended with an `outcome` (duplicate, cancelled, invalid) has a tag, and nobody resolved it.
    `doubt` says what in the row contradicts itself: a request that the city closed before it was created has no closing time.
    `city_zone` and `city_verdict` (deadline met?) are what the file says; `known_category` is False where no table
    knew the row and the mapping's default was taken.
    """

    line: int
    external_id: str
    created_at: datetime
    closed_at: datetime | None
    target_at: datetime | None
    is_closed: bool
    category: str
    known_category: bool
    sub_category: str | None
    priority: str | None
    description: str | None
    channel: str | None
    address: str | None
    asset_id: str | None
    tags: tuple[str, ...]
    lon: float | None
    lat: float | None
    is_place: bool
    city_zone: str | None
    city_verdict: bool | None
    outcome: str | None = None
    doubt: str | None = None

    @property
    def end(self) -> End | None:
        """How it ended; None while it is open."""
        return End(self.closed_at, was_resolved=self.outcome is None) if self.is_closed else None


class CaseReader:
    """A mapping bound to the header of one file."""

    def __init__(self, mapping: Mapping, header: Sequence[str]) -> None:
        self.mapping = mapping
        self._width = len(header)
        self._zone = ZoneInfo(mapping.timezone)
        places = ((name, find_column(header, name)) for name in mapping.named_columns)
        self._places = {name: place for name, place in places if place is not None}
        self._blanks = frozenset({"", *(blank.strip() for blank in mapping.blanks)})
        self.missing_columns = tuple(name for name in mapping.named_columns if name not in self._places)
        columns = mapping.columns
        self._external_id = self._first(columns.external_id)
        self._created, self._closed = self._first_of(columns.created_at), self._first_of(columns.closed_at)
        self._closed_itself = self._first_of(columns.closed_at[:1])
        self._target = self._first_of(columns.target_at)
        self._status = self._first(columns.status)
        self._sub_category, self._channel = self._first_of(columns.sub_category), self._first_of(columns.channel)
        self._address, self._asset = self._first_of(columns.address), self._first_of(columns.asset_id)
        self._lon, self._lat, self._city_zone = map(self._first, (columns.lon, columns.lat, columns.zone))
        self._tags = [self._first(name) for name in columns.tags]
        self._statuses = _statuses(mapping)
        self._categories = [(self._first(column), table) for column, table in _categories(mapping.category)]
        self._priority = self._first(mapping.priority.column if mapping.priority else None)
        self._priorities = _priorities(mapping.priority)
        self._verdict = self._first(mapping.verdict.column if mapping.verdict else None)
        self._verdicts = _verdicts(mapping.verdict)
        self._zone_rules = [(re.compile(rule.pattern), rule.code) for rule in mapping.zones]
        self._known_zones: dict[str, str | None] = {}
        self._description = [self._part(part) for part in mapping.description]

    def _first(self, column: str | None) -> Reader:
        return self._first_of(() if column is None else (column,))

    def _first_of(self, columns: Sequence[str]) -> Reader:
        """Makes a function that reads the first of `columns` that is not blank; columns the file lacks are always blank."""
        if any("{" in name for name in columns):
            parts = [self._part(name) if "{" in name else self._first(name) for name in columns]
            return lambda fields: next((value for part in parts if (value := part(fields)) is not None), None)
        places = [self._places[name] for name in columns if name in self._places]
        blanks = self._blanks

        def read(fields: Fields) -> str | None:
            for place in places:
                value = fields[place].strip()
                if value not in blanks:
                    return value
            return None

        return read

    def _part(self, part: str) -> Reader:
        """Makes a function that fills a text with columns in braces; None when one of them is blank."""
        pieces = [(text, self._first(column) if column else None) for text, column, _, _ in Formatter().parse(part)]

        def fill(fields: Fields) -> str | None:
            texts = []
            for text, reader in pieces:
                texts.append(text)
                if reader is not None:
                    value = reader(fields)
                    if value is None:
                        return None
                    texts.append(value)
            return "".join(texts)

        return fill

    def case(self, record: Record) -> Case:
        """Makes the case of a record; raises RowError with the reason."""
        fields = record.fields
        if record.trouble is not None:
            raise RowError(record.trouble)
        if len(fields) != self._width:
            raise RowError(f"it has {len(fields)} fields where the header has {self._width}")
        external_id = self._id(fields)
        created_at = self._time(self._created, fields, "created")
        if created_at is None:
            raise RowError("it has no creation time")
        status = self._status_of(fields)
        is_closed = status != "open"
        outcome = status if status in OUTCOMES else None
        # The other columns (last touched, say) tell when a closed row was closed, and nothing of an open one.
        closed_at = self._time(self._closed if is_closed else self._closed_itself, fields, "closed")
        doubt = None
        if is_closed and closed_at is not None and closed_at < created_at:
            closed_at, doubt = self._closed_too_early(created_at, closed_at)
        category, known_category = self._category(fields)
        lon, lat = self._point(fields)
        sub_category = self._sub_category(fields)
        return Case(
            line=record.line,
            external_id=external_id,
            created_at=created_at,
            closed_at=closed_at,
            target_at=self._time(self._target, fields, "target"),
            is_closed=is_closed,
            category=category,
            known_category=known_category,
            sub_category=sub_category,
            priority=self._priorities.get(folded(self._priority(fields) or "")),
            description=self._text(fields) or sub_category,
            channel=self._channel(fields),
            address=_cut(self._address(fields)),
            asset_id=_cut(self._asset(fields)),
            tags=(
                *self.mapping.tags,
                *([outcome] if outcome else []),
                *(tag for read in self._tags if (tag := read(fields)) is not None),
            ),
            lon=lon,
            lat=lat,
            is_place=self._is_place(lon, lat),
            city_zone=self._zone_code(self._city_zone(fields)),
            city_verdict=self._verdicts.get(folded(self._verdict(fields) or "")),
            outcome=outcome,
            doubt=doubt,
        )

    def _id(self, fields: Fields) -> str:
        value = self._external_id(fields)
        if value is None:
            raise RowError(f"its {self.mapping.columns.external_id} is blank")
        if len(value) > LONGEST_ID:
            raise RowError(f"its {self.mapping.columns.external_id} is longer than {LONGEST_ID} characters")
        return value

    def _time(self, read: Reader, fields: Fields, what: str) -> datetime | None:
        text = read(fields)
        if text is None:
            return None
        try:
            instant = read_time(text, self.mapping.date_formats, self._zone)
        except (ValueError, OverflowError) as error:
            raise RowError(f"its {what} time {error}") from error
        if instant.year < FIRST_YEAR:
            raise RowError(f"its {what} time {text!r} is before {FIRST_YEAR}")
        return instant

    def _closed_too_early(self, created_at: datetime, closed_at: datetime) -> tuple[datetime | None, str | None]:
        """Says what to make of a closing before the creation: a day without a time means its end, anything else no time at all."""
        opened, closed = created_at.astimezone(self._zone), closed_at.astimezone(self._zone)
        if closed.time() == time() and opened.date() == closed.date():
            return to_utc(datetime.combine(closed.date(), time(23, 59, 59)), self._zone), None
        words = f"closed {closed:%Y-%m-%d %H:%M} before it was created {opened:%Y-%m-%d %H:%M}"
        return None, f"it was {words}: kept as closed at an unknown time, so it counts in no duration and no SLA figure"

    def _status_of(self, fields: Fields) -> str:
        """Says whether a case is open, closed or which outcome it had."""
        word = self._status(fields)
        status = self._statuses.get(folded(word or ""), self.mapping.status.other)
        if status == "reject":
            raise RowError(f"its status {word!r} is not in the mapping" if word else "its status is blank")
        return status

    def _category(self, fields: Fields) -> tuple[str, bool]:
        for read, table in self._categories:
            value = read(fields)
            category = table.get(folded(value)) if value is not None else None
            if category is not None:
                return category, True
        return self.mapping.category.default, False

    def _point(self, fields: Fields) -> tuple[float | None, float | None]:
        lon_text, lat_text = self._lon(fields), self._lat(fields)
        if lon_text is None and lat_text is None:
            return None, None
        lon, lat = (read_number(text or "") for text in (lon_text, lat_text))
        if lon is None or lat is None or not (-180 <= lon <= 180 and -90 <= lat <= 90):
            raise RowError(f"its point ({lon_text}, {lat_text}) is no longitude and latitude")
        return (None, None) if lon == 0 and lat == 0 else (lon, lat)

    def _is_place(self, lon: float | None, lat: float | None) -> bool:
        if lon is None or lat is None:
            return False
        for place in self.mapping.no_place:
            if abs(lat - place.lat) < 0.1 and distance_m(lon, lat, place.lon, place.lat) <= place.within_m:
                return False
        return True

    def _zone_code(self, value: str | None) -> str | None:
        if value is None:
            return None
        if value not in self._known_zones:
            if len(self._known_zones) >= MAX_REMEMBERED:
                self._known_zones.clear()
            found = ((pattern.fullmatch(value), code) for pattern, code in self._zone_rules)
            self._known_zones[value] = next((match.expand(code) for match, code in found if match), None)
        return self._known_zones[value]

    def _text(self, fields: Fields) -> str | None:
        parts = (fill(fields) for fill in self._description)
        return _cut(" ".join(part for part in parts if part is not None).strip(), LONGEST_TEXT)


def _cut(text: str | None, limit: int = 500) -> str | None:
    return text[:limit] if text else None


def _statuses(mapping: Mapping) -> dict[str, str]:
    meanings = ("open", "closed", *OUTCOMES)
    return {folded(word): meaning for meaning in meanings for word in getattr(mapping.status, meaning)}


def _categories(category: CategoryMap) -> list[tuple[str, dict[str, str]]]:
    return [
        (table.column, {folded(value): name for name, values in table.values.items() for value in values})
        for table in category.by
    ]


def _priorities(priority: PriorityMap | None) -> dict[str, str]:
    if priority is None:
        return {}
    return {folded(value): name for name, values in priority.values.items() for value in values}


def _verdicts(verdict: VerdictMap | None) -> dict[str, bool]:
    if verdict is None:
        return {}
    return {folded(word): True for word in verdict.met} | {folded(word): False for word in verdict.missed}
