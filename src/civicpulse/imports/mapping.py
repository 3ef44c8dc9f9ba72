"""An import mapping: how the columns of a city's CSV become requests. YAML; errors name the line."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from yaml.nodes import MappingNode, Node, SequenceNode

from civicpulse.base.errors import Invalid
from civicpulse.base.shipped import as_path, located, shipped_names, shipped_text
from civicpulse.base.tables import known_encoding
from civicpulse.packs.shapes import Label, Name, Priority, Timezone

MAPPINGS = "civicpulse.imports.mappings"
ISO = "iso"
EPOCHS = {"epoch": 1.0, "epoch_ms": 1000.0}  # units in a second since 1970


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _known_format(text: str) -> str:
    """Checks that a date format reads back what it writes, to the day at least."""
    if text == ISO or text in EPOCHS:
        return text
    moment = datetime(2024, 11, 23, 17, 46, 39)  # noqa: DTZ001 - a wall clock: formats know no zone
    try:
        back = datetime.strptime(moment.strftime(text), text)  # noqa: DTZ007
    except ValueError as error:
        raise ValueError(f"{text!r} is no date format (strptime's, iso, epoch or epoch_ms): {error}") from error
    if back.date() != moment.date():
        raise ValueError(f"the date format {text!r} lacks year, month or day")
    return text


def _known_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error
    return text


def columns_in(text: str) -> tuple[str, ...]:
    """Finds the columns that a text such as "{Day} {Time}" is made of; a text without braces is one column's name."""
    if "{" not in text:
        return (text,)
    return tuple(field for _, field, _, _ in Formatter().parse(text) if field)


def _check_braces(text: str) -> None:
    for _, field, spec, conversion in Formatter().parse(text):
        if field is not None and (not field.strip() or spec or conversion):
            raise ValueError(f"{text!r} may hold column names in braces and nothing else")


def _known_column(text: str) -> str:
    if "{" in text:
        _check_braces(text)
    return text


Column = Annotated[Label, AfterValidator(_known_column)]
Columns = Annotated[tuple[Column, ...], BeforeValidator(_as_list)]
Values = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
DateFormat = Annotated[str, Field(min_length=2, max_length=60), BeforeValidator(_known_format)]
Pattern = Annotated[str, Field(min_length=1, max_length=500), BeforeValidator(_known_pattern)]


class Shape(BaseModel):
    """Base of every part: frozen, and a key that nobody reads is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnMap(Shape):
    """Which column holds what. Where several are listed, the first that is not blank counts.

    Each is a column's name, or a text such as "{Day} {Time}", which is blank as soon as one of its columns is.
    """

    external_id: Column
    created_at: Columns = Field(min_length=1)
    status: Column
    closed_at: Columns = ()
    target_at: Columns = ()
    sub_category: Columns = ()
    channel: Columns = ()
    address: Columns = ()
    asset_id: Columns = ()
    lon: Column | None = None
    lat: Column | None = None
    zone: Column | None = None
    tags: Columns = ()


OUTCOMES = ("duplicate", "cancelled", "invalid")


class StatusMap(Shape):
    """The city's words for closed and open; `other` says what any other word means (reject: a bad row).

    A request that ended as a duplicate, cancelled or invalid is closed, and nobody has resolved it.
    """

    closed: Values = Field(min_length=1)
    open: Values = ()
    duplicate: Values = ()
    cancelled: Values = ()
    invalid: Values = ()
    other: Literal["open", "closed", "reject"] = "reject"

    @model_validator(mode="after")
    def _once(self) -> Self:
        words = [folded(word) for name in ("open", "closed", *OUTCOMES) for word in getattr(self, name)]
        if repeated := sorted({word for word in words if words.count(word) > 1}):
            raise ValueError(f"{', '.join(map(repr, repeated))} is listed more than once")
        return self


class CategoryTable(Shape):
    """For one column: pack category → the city's values, compared without regard to case and runs of blanks."""

    column: Column
    values: dict[Name, Values]


class CategoryMap(Shape):
    """Tables in the order in which they are asked; `default` where none knows the row."""

    default: Name
    by: tuple[CategoryTable, ...] = ()


class PriorityMap(Shape):
    """Priority by a column; a value that is not listed leaves the category's default."""

    column: Column
    values: dict[Priority, Values]


class ZoneRule(Shape):
    """A value of the zone column that matches `pattern` in full is the zone `code` (with groups as \\1)."""

    pattern: Pattern
    code: str = r"\1"

    @model_validator(mode="after")
    def _groups_exist(self) -> Self:
        wanted = max((int(number) for number in re.findall(r"\\(\d)", self.code)), default=0)
        if wanted > re.compile(self.pattern).groups:
            raise ValueError(f"the code {self.code!r} names a group that the pattern {self.pattern!r} does not have")
        return self


class VerdictMap(Shape):
    """The city's own word on whether its deadline was met; compared with ours, never taken over."""

    column: Column
    met: Values = Field(min_length=1)
    missed: Values = Field(min_length=1)


class Placeholder(Shape):
    """A point that some systems write when they do not know the place."""

    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)
    within_m: float = Field(default=1.0, ge=0, le=10_000)


class Mapping(Shape):
    """The whole mapping. `source` and the id column make an imported request unique in its tenant.

    `description` is made of parts such as "{Descriptor}"; a part with a blank column is left out. `blanks` are values
    that mean nothing; an empty cell or one of blanks always does. `no_place` are points that are no place. `encoding` and
    `delimiter` are found where the mapping does not state them.
    """

    name: Name
    title: Label
    source: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")
    timezone: Timezone
    encoding: Annotated[str, AfterValidator(known_encoding)] | None = None
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    date_formats: Annotated[tuple[DateFormat, ...], BeforeValidator(_as_list)] = Field(default=(ISO,), min_length=1)
    blanks: tuple[str, ...] = ()
    columns: ColumnMap
    status: StatusMap
    category: CategoryMap
    priority: PriorityMap | None = None
    zones: tuple[ZoneRule, ...] = ()
    verdict: VerdictMap | None = None
    no_place: tuple[Placeholder, ...] = ()
    description: Annotated[tuple[Label, ...], BeforeValidator(_as_list)] = Field(min_length=1)
    tags: tuple[Label, ...] = ()

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if (self.columns.lon is None) != (self.columns.lat is None):
            raise ValueError("columns: lon and lat come together")
        for part in self.description:
            try:
                _check_braces(part)
            except ValueError as error:
                raise ValueError(f"description: {error}") from error
        for table in self.category.by:
            values = [folded(value) for known in table.values.values() for value in known]
            repeated = sorted({value for value in values if values.count(value) > 1})
            if repeated:
                raise ValueError(f"category: {table.column!r} lists {', '.join(map(repr, repeated))} twice")
        return self

    @property
    def category_names(self) -> frozenset[str]:
        """Every pack category that the mapping can answer."""
        return frozenset({self.category.default}.union(*(table.values for table in self.category.by)))

    @property
    def required_columns(self) -> tuple[str, ...]:
        """Columns without which no row can be read."""
        needed = (self.columns.external_id, self.columns.created_at[0], self.columns.status)
        return tuple(name for column in needed for name in columns_in(column))

    @property
    def named_columns(self) -> tuple[str, ...]:
        """Every column the mapping names, in order."""
        shape = self.columns.model_dump()
        plain = [name for value in shape.values() if value for name in ([value] if isinstance(value, str) else value)]
        parts = [part for part in self.description if "{" in part]
        tables = [*self.category.by, *(table for table in (self.priority, self.verdict) if table is not None)]
        texts = [*plain, *(table.column for table in tables), *parts]
        return tuple(dict.fromkeys(name for text in texts for name in columns_in(text)))


def folded(value: str) -> str:
    """Folds a value as it is compared: without case, runs of blanks as one."""
    return " ".join(value.split()).casefold()


class MappingError(Invalid):
    """A mapping that cannot be used; the message has one line per problem, "file:line: field: what is wrong"."""

    def __init__(self, source: str, problems: list[tuple[int | None, str]]) -> None:
        super().__init__(located(source, problems), code="invalid_mapping")


def available_mappings() -> tuple[str, ...]:
    """Lists the names of the mappings that ship with the product."""
    return shipped_names(MAPPINGS)


def read_mapping(name_or_path: str | Path) -> Mapping:
    """Reads a shipped mapping by name, or any by path (a `Path`, or text that ends in .yaml or .yml); else MappingError."""
    if (path := as_path(name_or_path)) is not None:
        try:
            return parse_mapping(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise MappingError(str(path), [(None, f"cannot be read: {error}")]) from error
    name = str(name_or_path)
    if name not in available_mappings():
        shipped = ", ".join(available_mappings())
        raise MappingError(name, [(None, f"no such mapping; these ship: {shipped}; or give a path to a .yaml file")])
    return parse_mapping(*shipped_text(MAPPINGS, name))


def parse_mapping(text: str, source: str) -> Mapping:
    """Validates a mapping in YAML; `source` is its name in messages."""
    try:
        # BaseLoader makes nothing but text, lists and mappings: `no` stays a word, 03 keeps its nought.
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise MappingError(source, [(mark.line + 1 if mark else None, f"is not YAML: {error}")]) from error
    if root is None or not isinstance(document, dict):
        raise MappingError(source, [(None, "is empty, or no mapping of keys to values")])
    repeated = sorted(_repeated_keys(root))
    if repeated:
        raise MappingError(source, list(repeated))
    try:
        return Mapping.model_validate(document)
    except ValidationError as error:
        problems = [(_line(root, fault["loc"]), _words(fault["loc"], fault["msg"])) for fault in error.errors()]
        raise MappingError(source, sorted(problems)) from None


def _words(location: tuple[int | str, ...], message: str) -> str:
    path = ".".join(str(part) for part in location if part != "[key]")
    message = message.removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def _repeated_keys(node: Node) -> Iterator[tuple[int, str]]:
    if isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.start_mark.line + 1, f"{key.value}: given twice"
            seen.add(str(key.value))
            yield from _repeated_keys(value)
    elif isinstance(node, SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item)


def _line(root: Node, path: tuple[int | str, ...]) -> int:
    """Finds the line of a field, or of the nearest part around it where the field is missing."""
    node, line = root, root.start_mark.line
    for part in path:
        found: tuple[Node, int] | None = None
        if isinstance(node, MappingNode):
            found = next(((value, key.start_mark.line) for key, value in node.value if key.value == str(part)), None)
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node.value[part], node.value[part].start_mark.line)
        if found is None:
            break
        node, line = found
    return line + 1
