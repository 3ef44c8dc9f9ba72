"""Step 1: offices and managers upserted by their natural keys, the tickets' rows taken in, batch by batch (R-CSV-02)."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.ids import new_id
from civicpulse.base.tables import Notice
from civicpulse.centre import staging
from civicpulse.centre.parsing import ReadFile, ReadRow, read_file
from civicpulse.centre.rows import Fault, ManagerRow, TicketRow
from civicpulse.centre.run import ACTOR, Run, RunFailed
from civicpulse.packs.model import plain_word
from civicpulse.people.managers import ManagerDraft, put_managers
from civicpulse.places.offices import OfficeDraft, list_offices, put_offices
from civicpulse.requests.assignment.bulk import count_managers

BATCH: Final = 2_000


async def ingest(run: Run) -> None:
    """Takes in what was uploaded; a run without files takes up the tickets that are here."""
    if run.row["kind"] == "process":
        await _take_up(run)
        return
    await _take_in(run)
    async with run.batch() as tx:
        found = await staging.summary(tx, run.id)
        run.progress["total"] = run.progress["done"]
        _count(run, found)
        run.enter("attachments", total=None)


async def _take_in(run: Run) -> None:
    """Reads every file to its end before anything of one of them is written; offices and managers in one transaction.

    `done` rows of the tickets are taken in already when the run was cut off.
    """
    with tempfile.TemporaryDirectory() as folder:
        read = partial(read_file, run, folder=Path(folder), batch=BATCH)
        is_first = not run.progress.get("staff")
        units = await read("business_units") if is_first else None
        people = await read("managers") if is_first else None
        tickets = await read("tickets", skip=run.progress["done"])
        assert tickets is not None, "an upload has tickets"
        if is_first:
            async with run.batch() as tx:
                if units is not None:
                    await _put_offices(run, tx, units)
                if people is not None:
                    await _put_managers(run, tx, people)
                run.progress["staff"] = True
        await _tickets(run, tickets)


def _count(run: Run, found: Row) -> None:
    for outcome, name in (("new", "added"), ("changed", "changed"), ("unchanged", "unchanged")):
        run.count(f"tickets_{name}", found[outcome])
    run.count("tickets_loaded", sum(found[name] for name in ("new", "changed", "unchanged", "redo")))
    run.row["ticket_ids"] = found["first"]


async def _take_up(run: Run) -> None:
    """Takes up the tickets in the queue; with `all` also those that are assigned and that nobody has begun to work on."""
    async with run.batch() as tx:
        offices, managers = len(await list_offices(tx)), await count_managers(tx)
        for name, what, many in (("business_units", "no_offices", offices), ("managers", "no_managers", managers)):
            if not many:
                run.tell([Fault(name, None, run.say(what))])
        if offices and managers:
            every, initial = bool(run.row["options"].get("all")), run.pack.workflow.initial
            states = [initial, run.pack.assigned_state or initial] if every else [initial]
            await staging.stage_again(tx, run.id, states=states, every=every, at=clock.now())
            found = await staging.summary(tx, run.id)
            _count(run, found)
            run.progress.update(done=found["redo"], total=found["redo"])
            run.enter("geocode", total=run.todo)
    if not (offices and managers):
        raise RunFailed(run.say("nobody"))


def _tell_notices(run: Run, file: str, notices: Sequence[Notice]) -> None:
    run.tell([Fault(file, notice.line, notice.message, "warning") for notice in notices])


async def _put_offices(run: Run, tx: Tx, read: ReadFile) -> None:
    _tell_notices(run, run.name_of("business_units"), read.notices)
    known = {plain_word(row["name"]): row["name"] for row in await list_offices(tx)}
    drafts: dict[str, OfficeDraft] = {}
    async for one in read.rows():
        run.tell(one.faults)
        if one.row is None:
            continue
        name = known.setdefault(plain_word(one.row.name), one.row.name)
        if name in drafts:
            _warn(run, "business_units", one, run.say("office_twice", name=name), "name")
        drafts[name] = OfficeDraft(name, one.row.address)
    if drafts:
        await put_offices(tx, ACTOR, list(drafts.values()))
    run.count("business_units_loaded", len(drafts))


async def _put_managers(run: Run, tx: Tx, read: ReadFile) -> None:
    _tell_notices(run, run.name_of("managers"), read.notices)
    offices = {plain_word(row["name"]): row["id"] for row in await list_offices(tx)}
    drafts: dict[tuple[str, Any], ManagerDraft] = {}
    async for one in read.rows():
        run.tell(one.faults)
        if one.row is None:
            continue
        row: ManagerRow = one.row
        office_id = offices.get(plain_word(row.office))
        if office_id is None:
            words = run.say("no_such_office", office=row.office[:60], name=row.name[:60])
            run.tell([Fault(run.name_of("managers"), one.line, words, "error", "office")])
            continue
        if (row.name, office_id) in drafts:
            _warn(run, "managers", one, run.say("manager_twice", name=row.name), "name")
        drafts[row.name, office_id] = ManagerDraft(row.name, office_id, row.position, row.skills, row.load)
    if drafts:
        await put_managers(tx, ACTOR, list(drafts.values()), timezone=run.pack.document.timezone)
    run.count("managers_loaded", len(drafts))


def _warn(run: Run, field: str, one: ReadRow, words: str, column: str) -> None:
    run.tell([Fault(run.name_of(field), one.line, words, "warning", column)])


async def _tickets(run: Run, read: ReadFile) -> None:
    """Takes in the tickets batch by batch."""
    async for batch in read.batches():
        async with run.batch() as tx:
            await _stage(run, tx, _by_guid(run, batch))
            run.progress["done"] += len(batch)
    _tell_notices(run, run.name_of("tickets"), read.notices)


def _by_guid(run: Run, batch: Sequence[ReadRow]) -> dict[str, ReadRow]:
    """Gives the batch by GUID; of two rows with one GUID the last."""
    rows: dict[str, ReadRow] = {}
    for one in batch:
        run.tell(one.faults)
        if one.row is None:
            continue
        guid = one.row.client_guid
        if guid in rows:
            _tell_again(run, one, rows[guid].line)
        rows[guid] = one
    return rows


def _tell_again(run: Run, one: ReadRow, line: int | None) -> None:
    words = run.say("guid_twice", guid=one.row.client_guid[:60], line=line)
    _warn(run, "tickets", one, words, "client_guid")


async def _stage(run: Run, tx: Tx, rows: dict[str, ReadRow]) -> None:
    known = await staging.find_known(tx, list(rows))
    before = await staging.find_staged(tx, run.id, list(rows)) if run.progress["done"] else {}
    staged = list[Row]()
    for guid, one in rows.items():
        row: TicketRow = one.row
        earlier = known.get(guid)
        is_same = earlier is not None and earlier["fingerprint"] == row.fingerprint
        if guid in before:
            _tell_again(run, one, before[guid]["line"])
        staged.append(
            {
                "position": one.position,
                "line": one.line,
                "request_id": earlier["id"] if earlier else before[guid]["request_id"] if guid in before else new_id(),
                "outcome": "new" if earlier is None else "unchanged" if is_same else "changed",
                "client_guid": guid,
                "given": row.given,
                "fingerprint": row.fingerprint.hex(),
            }
        )
    if staged:
        await staging.stage(tx, run.id, staged, at=clock.now())
