"""One change of one request: what is to be set and told, with its clock and its duplicates; written for one or many."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from civicpulse.base import clock as time
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Conflict, NotFound, PreconditionFailed
from civicpulse.base.events import Actor
from civicpulse.packs.model import Pack
from civicpulse.packs.store import pack_version
from civicpulse.requests import clock, queries, store
from civicpulse.requests.privacy.public import TEXTS, public_texts
from civicpulse.rules.lifecycle import Standing, enter, follow
from civicpulse.rules.sla import RUNNING, breach_reason
from civicpulse.rules.words.saying import say_standing
from civicpulse.rules.workflow import State

CLOCKED = frozenset({"status", "sla", "sla_pauses", "master_id"})
"""Columns after whose change the clock is read again."""
SHOWN = TEXTS | {"redacted"}
"""Columns after whose change the public reads something else."""
LED = frozenset({"status", "sla_state"})
"""Columns of a master in which its duplicates follow it."""


@dataclass(slots=True)
class Change:
    """A request under its row lock, with what is to change. `apply` writes all of it.

    `at` is never before what happened to the request last: another machine's clock may have been ahead.
    """

    tx: Tx
    actor: Actor
    row: Row
    pack: Pack
    at: datetime
    columns: dict[str, Any] = field(default_factory=dict)
    events: list[store.Event] = field(default_factory=list)
    attests: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.at = max(self.at, self.row["updated_at"])

    def set(self, **columns: Any) -> None:
        """Sets columns, in the row too, so that later steps of the same change see them."""
        self.columns |= columns
        self.row |= columns

    def tell(self, type: str, **meta: Any) -> None:
        """Adds an event to the trail."""
        self.events.append(store.Event(type, meta))

    def conflict(self, code: str, **extra: Any) -> Conflict:
        """Makes the refusal of what cannot be done to the request as it stands, in words of its tenant's people."""
        said = say_standing(code, self.row["number"], self.row["status"], self.pack.titles)
        return Conflict(said, code=code, extra=extra)

    def attest(self, **facts: Any) -> None:
        """Lets the change's last event vouch for what is stored beside the row, such as hashes of files or of a text."""
        self.attests |= facts

    def enter(self, target: State, *, at: datetime | None = None) -> None:
        """Lets the request stand in `target`, with all that this does to its clock and times (rules.lifecycle)."""
        row = self.row
        standing = Standing(
            category=row["state_category"],
            resolved_at=row["resolved_at"],
            closed_at=row["closed_at"],
            pauses=tuple(clock.pauses_from_json(row["sla_pauses"])),
            milestones=row["milestones"],
        )
        columns = enter(
            standing,
            target,
            at or self.at,
            ending_milestones=self.pack.ending_milestones,
            reopening=self.pack.document.workflow.reopening,
        )
        if "sla_pauses" in columns:
            columns["sla_pauses"] = clock.pauses_to_json(columns["sla_pauses"])
        self.set(**columns)

    def read_clock(self) -> None:
        """Reads the clock now, and tells the trail when a decision made the request late or on time again."""
        before = self.row["sla_state"]
        columns = clock.row_columns(self.row, self.pack, self.at)
        reason = breach_reason(self.row["breach_reason"], state=columns["sla_state"], met=columns["sla_met"])
        self.set(**columns, breach_reason=reason)
        after = columns["sla_state"]
        if after != before and {before, after} <= RUNNING:
            due_at = columns["sla_due_at"].isoformat() if columns["sla_due_at"] else None
            self.tell("request.sla_changed", **{"from": before, "to": after, "due_at": due_at})

    def settle(self) -> store.Changed:
        """Reads the clock again where the change calls for it; what the store is to write."""
        if self.columns.keys() & SHOWN:
            self.set(public_texts=public_texts(self.row))
        if self.columns.keys() & CLOCKED:
            self.read_clock()
        if self.attests:
            self.events[-1].attests |= self.attests
        return store.Changed(self.row["id"], self.columns, self.events)

    async def apply(self) -> Row:
        """Writes the row with its clock and its events, and moves its duplicates along; the row as it is now."""
        await apply_all(self.tx, self.actor, [self], at=self.at)
        return self.row


async def apply_all(tx: Tx, actor: Actor, changes: Sequence[Change], *, at: datetime, quietly: bool = False) -> None:
    """Writes changes of different requests as `Change.apply` does, together."""
    await store.change(tx, actor, [change.settle() for change in changes], at=at, quietly=quietly)
    for change in changes:
        news = len(change.events)
        if news:
            change.row |= {
                "version": change.row["version"] + 1,
                "event_seq": change.row["event_seq"] + news,
                "updated_at": max(at, change.row["updated_at"]),
            }
    moved = [one.row for one in changes if one.columns.keys() & LED and one.row["master_id"] is None]
    if moved:
        await follow_masters(tx, actor, moved, at=at)


async def follow_masters(tx: Tx, actor: Actor, masters: Iterable[Row], *, at: datetime) -> int:
    """Lets the duplicates of masters stand where their masters stand; how many changed.

    A move has an event of its own; that the clock went on is told of the master alone.
    """
    by_id = {master["id"]: master for master in masters}
    found = await queries.lock_duplicates(tx, list(by_id))
    changes = []
    for row in found:
        master = by_id[row["master_id"]]
        columns = follow(row, master)
        if row["status"] != master["status"]:
            changes.append(store.Changed(row["id"], columns, [_moved_along(row, master)]))
        elif row["sla_state"] != columns["sla_state"]:
            changes.append(store.Changed(row["id"], {"sla_state": columns["sla_state"]}))
    await store.change(tx, actor, changes, at=at)
    return len(changes)


def _moved_along(row: Row, master: Row) -> store.Event:
    meta = {
        "from": row["status"],
        "to": master["status"],
        "from_category": row["state_category"],
        "category": master["state_category"],
        "master_request_id": master["number"],
    }
    return store.Event("request.transitioned", meta)


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


async def open_changes(tx: Tx, actor: Actor, ids: Sequence[UUID], *, at: datetime) -> dict[UUID, Change]:
    """Locks requests for changes at `at`, by id and in one order for everybody; those that are not there are left out."""
    rows = await queries.lock_by_ids(tx, list(ids))
    packs = {version: await pack_version(tx, version) for version in {row["pack_version"] for row in rows}}
    return {row["id"]: Change(tx, actor, row, packs[row["pack_version"]], at) for row in rows}


def not_found(number: str) -> NotFound:
    """Makes the answer for a request that is absent, another tenant's, or not the caller's to see: all three alike."""
    return NotFound(f"There is no request {number!r} here.", code="request_not_found")
