"""What a question to analytics may be narrowed to, read from the query string."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query

from civicpulse.base.errors import Invalid
from civicpulse.base.wire import DayOrInstant, storable
from civicpulse.requests.listing import parse_bbox
from civicpulse.requests.visibility import PUBLIC, Sight
from civicpulse.rules.priority import PRIORITIES

MOST_VALUES = 200
MOST_VALUE_CHARACTERS = 200

Many = Annotated[list[str] | None, Query(description="Repeated or comma-separated")]
Since = Annotated[DayOrInstant | None, Query(alias="from", description="First instant, or a day (its midnight, UTC)")]
Until = Annotated[
    DayOrInstant | None, Query(alias="to", description="The instant or day (its midnight, UTC) before which")
]

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which requests are meant: of those that `sight` sees. Empty tuples mean any."""

    sight: Sight
    zone: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    priority: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    bbox: Box | None = None

    @property
    def public_only(self) -> bool:
        """Whether only what everybody may see is meant."""
        return self.sight == PUBLIC

    def values(self) -> dict[str, list[str]]:
        """The lists that narrow, by column name."""
        lists = {"zone_id": self.zone, "category": self.category, "priority": self.priority, "status": self.status}
        return {column: list(given) for column, given in lists.items() if given}


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open: since <= instant < until; None on either side is open."""

    since: datetime | None = field(default=None)
    until: datetime | None = field(default=None)

    def document(self) -> dict[str, Any]:
        """The period as it was understood."""
        return {"from": self.since, "to": self.until}


def words(name: str, values: list[str] | None) -> tuple[str, ...]:
    """Distinct values of a repeatable, comma-separated parameter, sorted. Raises Invalid for what cannot be a name."""
    found = {word.strip() for value in values or () for word in value.split(",")} - {""}
    if len(found) > MOST_VALUES or any(len(word) > MOST_VALUE_CHARACTERS for word in found):
        raise Invalid(
            f"{name} takes up to {MOST_VALUES} values of up to {MOST_VALUE_CHARACTERS} characters.", field=name
        )
    try:
        return tuple(sorted(storable(word) for word in found))
    except ValueError as error:
        raise Invalid(f"{name} {error}.", field=name) from error


def one_of(name: str, given: tuple[str, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    """`given`, when all of it is in `allowed`; raises Invalid naming what is not."""
    unknown = [value for value in given if value not in allowed]
    if unknown:
        raise Invalid(f"{name} is one of {', '.join(allowed)}, not {', '.join(unknown)}.", field=name)
    return given


def scope(
    *,
    sight: Sight,
    zone: list[str] | None = None,
    category: list[str] | None = None,
    priority: list[str] | None = None,
    status: list[str] | None = None,
    bbox: str | None = None,
) -> Scope:
    """The scope that the parameters describe; raises Invalid."""
    return Scope(
        sight=sight,
        zone=words("zone", zone),
        category=words("category", category),
        priority=one_of("priority", words("priority", priority), PRIORITIES),
        status=words("status", status),
        bbox=parse_bbox(bbox),
    )


def period(since: datetime | None, until: datetime | None) -> Period:
    """The period; raises Invalid when it ends before it starts."""
    if since is not None and until is not None and since > until:
        raise Invalid("from must not be later than to.", field="from")
    return Period(since, until)
