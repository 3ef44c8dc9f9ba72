"""One change of one request: the row, its events, its clock and its duplicates, together."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from civicpulse.base import clock as time
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import NotFound, PreconditionFailed
from civicpulse.base.events import Actor, record
from civicpulse.packs.model import Pack
from civicpulse.packs.store import pack_version
from civicpulse.requests import clock, queries


@dataclass(slots=True)
class Change:
    """A request under its row lock, with what is to change. `apply` writes all of it."""

    tx: Tx
    actor: Actor
    row: Row
    pack: Pack
    at: datetime
    columns: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def set(self, **columns: Any) -> None:
        """Sets columns, in the row too, so that later steps of the same change see them."""
        self.columns |= columns
        self.row |= columns

    def tell(self, type: str, **meta: Any) -> None:
        """Adds an event to the trail."""
        self.events.append((type, meta))

    async def apply(self) -> Row:
        """Writes the row, its clock's columns, its events, and moves its duplicates along; the row as it is now."""
        before = self.row["event_seq"]
        if self.columns.keys() & {"status", "sla", "sla_pauses", "master_id"}:
            self.set(**clock.row_columns(self.row, self.pack, self.at))
        await queries.update_request(self.tx, self.row["id"], self.columns, events=len(self.events), at=self.at)
        for number, (type, meta) in enumerate(self.events, before + 1):
            await record(self.tx, self.actor, subject_id=self.row["id"], seq=number, type=type, at=self.at, meta=meta)
        if "status" in self.columns and self.row["master_id"] is None:
            await queries.follow_masters(self.tx, self.actor, [self.row["id"]], at=self.at)
        self.row |= {"version": self.row["version"] + 1, "event_seq": before + len(self.events), "updated_at": self.at}
        return self.row


async def open_change(tx: Tx, actor: Actor, number: str, *, seen_version: int | None = None) -> Change:
    """Locks a request for a change. NotFound when the tenant has none such; PreconditionFailed when it has moved on."""
    row = await queries.lock_request(tx, number)
    if row is None:
        raise not_found(number)
    if seen_version is not None and seen_version != row["version"]:
        raise PreconditionFailed(
            f"{number} is at version {row['version']}, not {seen_version}: read it again, then decide."
        )
    return Change(tx, actor, row, await pack_version(tx, row["pack_version"]), time.now())


def not_found(number: str) -> NotFound:
    """The same answer for a request that is absent, another tenant's, or not the caller's to see."""
    return NotFound(f"There is no request {number!r} here.", code="request_not_found")
