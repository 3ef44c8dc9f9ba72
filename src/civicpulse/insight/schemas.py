"""The filters that a question to analytics may have, read from the query string."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import Query

from civicpulse.base.db import Tx
from civicpulse.base.errors import Invalid
from civicpulse.base.wire import DayOrInstant
from civicpulse.packs.store import began_here, current_pack
from civicpulse.requests.filters import Box, RequestQuery, read_filters
from civicpulse.requests.visibility import PUBLIC, Sight

Since = Annotated[
    DayOrInstant | None, Query(alias="from", description="First instant, or a day of the tenant's time zone")
]
Until = Annotated[
    DayOrInstant | None,
    Query(alias="to", description="The instant, or the day of the tenant's time zone, before which"),
]

UTC: Final = ZoneInfo("UTC")


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
        """Gives the filters that are lists, by column name."""
        lists = {"zone_id": self.zone, "category": self.category, "priority": self.priority, "status": self.status}
        return {column: list(given) for column, given in lists.items() if given}


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open: since <= instant < until; None on either side is open. Its days begin and end in `zone`."""

    since: datetime | None = None
    until: datetime | None = None
    zone: ZoneInfo = UTC

    def document(self) -> dict[str, Any]:
        """Writes the period as it was understood."""
        return {"from": self.since, "to": self.until}


async def scope(
    tx: Tx,
    *,
    sight: Sight,
    zone: list[str] | None = None,
    category: list[str] | None = None,
    priority: list[str] | None = None,
    status: list[str] | None = None,
    bbox: str | None = None,
) -> Scope:
    """Makes the scope that the parameters describe. Raises NoSuchChoice for a value that does not exist, Invalid for others."""
    asked = RequestQuery(zone=zone, category=category, priority=priority, status=status, bbox=bbox)
    wanted = await read_filters(tx, asked)
    return Scope(
        sight=sight,
        zone=wanted.zone,
        category=wanted.category,
        priority=wanted.priority,
        status=wanted.status,
        bbox=wanted.bbox,
    )


async def period(tx: Tx, since: datetime | None, until: datetime | None) -> Period:
    """Makes the period, of the tenant's days; raises Invalid when it ends before it starts."""
    begun, ended = await began_here(tx, since, until)
    if begun is not None and ended is not None and begun > ended:
        raise Invalid("from must not be later than to.", field="from")
    return Period(begun, ended, (await current_pack(tx)).time_zone)
