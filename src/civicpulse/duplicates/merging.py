"""Merging duplicates into a master, and undoing it (R-DUP-04)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from civicpulse.base import clock as time
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Conflict, Invalid
from civicpulse.base.events import Actor
from civicpulse.base.ids import new_id
from civicpulse.duplicates import queries as pairs
from civicpulse.packs.store import pack_version
from civicpulse.requests import queries, store
from civicpulse.requests.changes import Change, follow_masters, not_found
from civicpulse.requests.visibility import PUBLIC, readers_of
from civicpulse.rules.lifecycle import STATE_COLUMNS, follow, is_ended


async def merge(
    tx: Tx,
    actor: Actor,
    number: str,
    *,
    other: str,
    force: bool = False,
    origin: str = "staff",
    score: dict[str, Any] | None = None,
) -> Row:
    """Makes `number` and `other` one: `precedence` says which of their masters stays. Returns the row of the one merged away.

    Both may already have duplicates. Raises Conflict when they are one already and, unless `force`, when staff had
    said before that the two differ, or when open work would be ended by an older request that has ended.
    """
    one, two = await _masters(tx, number, other)
    if one["id"] == two["id"]:
        raise Conflict(f"{number} and {other} are merged already.", code="already_merged")
    master, duplicate = sorted((one, two), key=precedence)
    if origin != "staff" and not readers_of(duplicate).sees(master):
        raise Conflict(
            f"Not everybody who sees {duplicate['number']} may see {master['number']}: only staff merges the two.",
            code="not_for_all_readers",
        )
    pair = {"tenant_id": tx.tenant_id, "one": master["id"], "other": duplicate["id"]}
    if not force and await tx.value(pairs.IS_REJECTED, pair):
        raise Conflict(
            f"Staff decided before that {number} and {other} differ: send force with true to merge all the same.",
            code="pair_rejected",
        )
    if not force and is_ended(master["state_category"]) and not is_ended(duplicate["state_category"]):
        raise Conflict(
            f"The work on {master['number']} has ended: merging would end {duplicate['number']}, which is still open. "
            "Send force with true to merge all the same.",
            code="master_has_ended",
        )
    return await attach(tx, actor, duplicate=duplicate, master=master, origin=origin, score=score)


def precedence(row: Row) -> tuple[bool, datetime, UUID]:
    """Decides which of two is the master: the public one, so that a private report takes no public one off the map; else the older."""
    return not PUBLIC.sees(row), row["created_at"], row["id"]


async def _masters(tx: Tx, number: str, other: str) -> tuple[Row, Row]:
    """Locks the masters of the two, in one order for everybody."""
    roots: list[UUID] = []
    for wanted in (number, other):
        found = await tx.row(FIND_ROOT, {"tenant_id": tx.tenant_id, "number": wanted})
        if found is None:
            raise (
                not_found(wanted)
                if wanted == number
                else Invalid(f"There is no request {wanted!r} here.", field="other")
            )
        roots.append(found["root"])
    rows = {row["id"]: row for row in await queries.lock_by_ids(tx, sorted(set(roots)))}
    if any(row["master_id"] is not None for row in rows.values()):
        raise Conflict("One of the two was merged elsewhere in this moment: look again.", code="merge_race")
    return rows[roots[0]], rows[roots[1]]


FIND_ROOT = (
    "SELECT id, coalesce(master_id, id) AS root FROM requests WHERE tenant_id = %(tenant_id)s AND number = %(number)s"
)


async def attach(
    tx: Tx, actor: Actor, *, duplicate: Row, master: Row, origin: str, score: dict[str, Any] | None
) -> Row:
    """Attaches a locked request and all that was merged into it to a locked master. Returns the duplicate's row."""
    at = time.now()
    below = await tx.rows(pairs.MERGED_BELOW, {"tenant_id": tx.tenant_id, "id": duplicate["id"]})
    await add_links(tx, actor, [link_row(duplicate, master, score=score)], origin=origin, at=at)
    change = Change(tx, actor, duplicate, await pack_version(tx, duplicate["pack_version"]), at)
    change.set(master_id=master["id"], **follow(duplicate, master))
    about = {"master_request_id": master["number"], "master_id": str(master["id"]), "origin": origin, "score": score}
    change.tell("request.merged", **about)
    await change.apply()
    if below:
        await _move_along(tx, actor, below, master=master, along_with=duplicate, at=at)
        await follow_masters(tx, actor, [master], at=at)
    await tell_masters(tx, actor, [(master, [duplicate["number"]])], type="request.duplicate_added", at=at)
    return change.row


def link_row(duplicate: Row, master: Row, *, score: dict[str, Any] | None) -> Row:
    """Makes a link with how the duplicate stood before, so that the merge can be undone."""
    prior = {name: duplicate[name] for name in STATE_COLUMNS}
    return {
        "id": new_id(),
        "duplicate_id": duplicate["id"],
        "master_id": master["id"],
        "score": score,
        "prior": prior,
    }


async def add_links(tx: Tx, actor: Actor, links: Sequence[Row], *, origin: str, at: datetime) -> None:
    """Keeps links, each as `link_row` makes it."""
    values = {"rows": orjson.dumps(links).decode(), "origin": origin, "at": at, "by": actor.key}
    await tx.run(pairs.ADD_LINKS, values | {"tenant_id": tx.tenant_id})


async def tell_masters(
    tx: Tx,
    actor: Actor,
    masters: Sequence[tuple[Row, Sequence[str]]],
    *,
    type: str,
    at: datetime,
    quietly: bool = False,
) -> None:
    """Adds an event in the trail of each master, for each number of a duplicate."""
    changes = [
        store.Changed(master["id"], {}, [store.Event(type, {"duplicate_request_id": number}) for number in numbers])
        for master, numbers in masters
    ]
    await store.change(tx, actor, changes, at=at, quietly=quietly)


async def _move_along(tx: Tx, actor: Actor, below: list[Row], *, master: Row, along_with: Row, at: datetime) -> None:
    """Gives requests that were merged into `along_with` the new master that it got, each with an event of its own."""
    meta = {
        "master_request_id": master["number"],
        "master_id": str(master["id"]),
        "origin": "along",
        "along_with": along_with["number"],
    }
    told = [store.Event("request.merged", meta)]
    await store.change(tx, actor, [store.Changed(row["id"], {"master_id": master["id"]}, told) for row in below], at=at)


async def unmerge(tx: Tx, actor: Actor, number: str) -> Row:
    """Undoes a merge: the request is its own again, with what had been merged into it, in the state it had before.

    The pair is kept as rejected, so that it is not attached again. Raises Conflict when it is not a duplicate.
    """
    at = time.now()
    found = await tx.row(FIND_ROOT, {"tenant_id": tx.tenant_id, "number": number})
    if found is None:
        raise not_found(number)
    # The master first, as everybody does who moves it and then its duplicates.
    (master,) = await queries.lock_by_ids(tx, [found["root"]])
    (row,) = await queries.lock_by_ids(tx, [found["id"]])
    if row["master_id"] is None:
        raise Conflict(f"{number} is not a duplicate of anything.", code="not_merged")
    if row["master_id"] != master["id"]:
        raise Conflict(f"{number} was merged elsewhere in this moment: look again.", code="merge_race")
    link = await tx.row(pairs.ACTIVE_LINK, {"tenant_id": tx.tenant_id, "duplicate_id": row["id"]})
    assert link is not None, "a duplicate has an active link"
    below = await tx.rows(pairs.MERGED_BELOW, {"tenant_id": tx.tenant_id, "id": row["id"]})
    await tx.run(pairs.UNDO_LINK, {"tenant_id": tx.tenant_id, "id": link["id"], "at": at, "by": actor.key})
    for other in {link["master_id"], master["id"]}:  # two, when the one it was merged into was merged on
        pair = {"tenant_id": tx.tenant_id, "one": row["id"], "other": other}
        await tx.run(pairs.REJECT_PAIR, pair | {"at": at, "by": actor.key, "kind": "unmerged", "reason": None})
    change = Change(tx, actor, row, await pack_version(tx, row["pack_version"]), at)
    change.set(master_id=None, **_prior(link["prior"]))
    change.tell("request.unmerged", master_request_id=master["number"])
    if below:
        await _move_along(tx, actor, below, master=row, along_with=row, at=at)
    await change.apply()
    await tell_masters(tx, actor, [(master, [number])], type="request.duplicate_removed", at=at)
    return change.row


def _prior(prior: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if value and name.endswith("_at") else value
        for name, value in prior.items()
        if name in STATE_COLUMNS
    }
