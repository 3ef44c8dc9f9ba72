"""Step 1: offices and managers upserted by their natural keys, the tickets' rows taken in, batch by batch (R-CSV-02)."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.ids import new_id
from civicpulse.base.tables import Notice
from civicpulse.centre import staging
from civicpulse.centre.incoming import fetched
from civicpulse.centre.reader import Record, layout_from_json, open_records
from civicpulse.centre.rows import Fault, ManagerRow, RowError, RowReader, TicketRow
from civicpulse.centre.run import ACTOR, Run, RunFailed
from civicpulse.packs.model import plain_word
from civicpulse.people.managers import ManagerDraft, put_managers
from civicpulse.places.offices import OfficeDraft, list_offices, put_offices
from civicpulse.requests.assignment.bulk import count_managers

BATCH: Final = 2_000
NOBODY_TO_GIVE_TO: Final = "There are no offices or no managers to give tickets to."


async def ingest(run: Run) -> None:
    """Takes in what was uploaded; a run without files takes up the tickets that are here."""
    if run.row["kind"] == "process":
        await _take_up(run)
        return
    if not run.progress.get("staff"):
        await _staff(run)
    await _tickets(run)
    async with run.batch() as tx:
        found = await staging.summary(tx, run.id)
        run.progress["total"] = run.progress["done"]
        _count(run, found)
        run.enter("attachments", total=None)


def _count(run: Run, found: Row) -> None:
    for outcome, name in (("new", "added"), ("changed", "changed"), ("unchanged", "unchanged")):
        run.count(f"tickets_{name}", found[outcome])
    run.count("tickets_loaded", sum(found[name] for name in ("new", "changed", "unchanged", "redo")))
    run.row["ticket_ids"] = found["first"]


async def _take_up(run: Run) -> None:
    """Takes up the tickets in the queue; with `all` also those that are assigned and that nobody has begun to work on."""
    async with run.batch() as tx:
        offices, managers = len(await list_offices(tx)), await count_managers(tx)
        for name, many in (("business_units", offices), ("managers", managers)):
            if not many:
                words = f"There are no {name.replace('_', ' ')}: send them with POST /upload first."
                run.tell([Fault(name, None, words)])
        if offices and managers:
            every, initial = bool(run.row["options"].get("all")), run.pack.workflow.initial
            states = [initial, run.pack.assigned_state or initial] if every else [initial]
            await staging.stage_again(tx, run.id, states=states, every=every, at=clock.now())
            found = await staging.summary(tx, run.id)
            _count(run, found)
            run.progress.update(done=found["redo"], total=found["redo"])
            run.enter("geocode", total=run.todo)
    if not (offices and managers):
        raise RunFailed(NOBODY_TO_GIVE_TO)


async def _read(run: Run, field: str) -> list[Record] | None:
    """Reads all records of one of the small files; None when it did not come."""
    file = run.file(field)
    if file is None:
        return None
    async with fetched(run.storage, file) as local:
        with open_records(local, layout_from_json(file["layout"])) as (records, notices):
            found = await asyncio.to_thread(list, records)
    _tell_notices(run, file["name"], notices)
    return found


def _tell_notices(run: Run, file: str, notices: Sequence[Notice]) -> None:
    run.tell([Fault(file, notice.line, notice.message, "warning") for notice in notices])


async def _staff(run: Run) -> None:
    """Offices and managers, in one transaction."""
    units, people = await _read(run, "business_units"), await _read(run, "managers")
    async with run.batch() as tx:
        if units is not None:
            await _put_offices(run, tx, units)
        if people is not None:
            await _put_managers(run, tx, people)
        run.progress["staff"] = True


async def _put_offices(run: Run, tx: Tx, found: Sequence[Record]) -> None:
    reader = RowReader(run.pack, run.name_of("business_units"))
    known = {plain_word(row["name"]): row["name"] for row in await list_offices(tx)}
    drafts: dict[str, OfficeDraft] = {}
    for record in found:
        try:
            draft = reader.office(record)
        except RowError as error:
            reader.refuse(record, error)
            continue
        name = known.setdefault(plain_word(draft.name), draft.name)
        if name in drafts:
            reader.warn(record, f"The office “{name}” comes more than once: the last row counts.", "name")
        drafts[name] = OfficeDraft(name, draft.address)
    if drafts:
        await put_offices(tx, ACTOR, list(drafts.values()))
    run.count("business_units_loaded", len(drafts))
    run.tell(reader.faults)


async def _put_managers(run: Run, tx: Tx, found: Sequence[Record]) -> None:
    reader = RowReader(run.pack, run.name_of("managers"))
    offices = {plain_word(row["name"]): row["id"] for row in await list_offices(tx)}
    drafts: dict[tuple[str, Any], ManagerDraft] = {}
    for record in found:
        try:
            row: ManagerRow = reader.manager(record)
            office_id = offices.get(plain_word(row.office))
            if office_id is None:
                raise RowError(
                    f"There is no office “{row.office[:60]}”, so “{row.name[:60]}” was not loaded.", "office"
                )
        except RowError as error:
            reader.refuse(record, error)
            continue
        if (row.name, office_id) in drafts:
            reader.warn(record, f"“{row.name}” of this office comes more than once: the last row counts.", "name")
        drafts[row.name, office_id] = ManagerDraft(row.name, office_id, row.position, row.skills, row.load)
    if drafts:
        await put_managers(tx, ACTOR, list(drafts.values()), timezone=run.pack.document.timezone)
    run.count("managers_loaded", len(drafts))
    run.tell(reader.faults)


async def _tickets(run: Run) -> None:
    """Streams the tickets' file; `done` rows of it are taken in already."""
    file = run.file("tickets")
    assert file is not None, "an upload has tickets"
    async with fetched(run.storage, file) as local:
        with open_records(local, layout_from_json(file["layout"])) as (found, notices):
            await asyncio.to_thread(_skip, found, run.progress["done"])
            while batch := await asyncio.to_thread(_next, found):
                reader = RowReader(run.pack, file["name"])
                rows = await asyncio.to_thread(_rows, reader, batch, run.progress["done"])
                async with run.batch() as tx:
                    await _stage(run, tx, reader, rows)
                    run.progress["done"] += len(batch)
                    run.tell(reader.faults)
    _tell_notices(run, file["name"], notices)


def _skip(found: Iterator[Record], many: int) -> None:
    for _ in islice(found, many):
        pass


def _next(found: Iterator[Record]) -> list[Record]:
    return list(islice(found, BATCH))


def _rows(reader: RowReader, batch: Sequence[Record], before: int) -> dict[str, tuple[int, Record, TicketRow]]:
    """The batch by GUID, each with its position in the file; of two with one GUID the last."""
    rows: dict[str, tuple[int, Record, TicketRow]] = {}
    for position, record in enumerate(batch, before + 1):
        try:
            row = reader.ticket(record)
        except RowError as error:
            reader.refuse(record, error)
            continue
        if row.client_guid in rows:
            _tell_again(reader, record, row.client_guid, rows[row.client_guid][1].line)
        rows[row.client_guid] = position, record, row
    return rows


def _tell_again(reader: RowReader, record: Record, guid: str, line: int | None) -> None:
    reader.warn(record, f"The GUID {guid[:60]} stands in line {line} too: the last row counts.", "client_guid")


async def _stage(run: Run, tx: Tx, reader: RowReader, rows: dict[str, tuple[int, Record, TicketRow]]) -> None:
    known = await staging.find_known(tx, list(rows))
    before = await staging.find_staged(tx, run.id, list(rows)) if run.progress["done"] else {}
    staged = list[Row]()
    for guid, (position, record, row) in rows.items():
        earlier = known.get(guid)
        is_same = earlier is not None and earlier["fingerprint"] == row.fingerprint
        if guid in before:
            _tell_again(reader, record, guid, before[guid]["line"])
        staged.append(
            {
                "position": position,
                "line": record.line,
                "request_id": earlier["id"] if earlier else before[guid]["request_id"] if guid in before else new_id(),
                "outcome": "new" if earlier is None else "unchanged" if is_same else "changed",
                "client_guid": guid,
                "given": row.given,
                "fingerprint": row.fingerprint.hex(),
            }
        )
    if staged:
        await staging.stage(tx, run.id, staged, at=clock.now())
