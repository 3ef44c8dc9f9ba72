"""Step 4: texts are read, and each ticket becomes a request, or is written anew when its row has changed (R-CSV-01)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from civicpulse.base import clock as time
from civicpulse.base.db import Row, Tx
from civicpulse.base.processes import TookTooLong
from civicpulse.centre import staging, ticket_queries
from civicpulse.centre.attachments import add_files
from civicpulse.centre.rows import Fault
from civicpulse.centre.run import ACTOR, Run
from civicpulse.centre.writing import Writer
from civicpulse.intake.opening import open_requests
from civicpulse.intake.preparing import Preparer
from civicpulse.places.zones import zone_index
from civicpulse.requests.changes import Change, apply_all, open_changes
from civicpulse.triage.analysis import Analysis, ReportText
from civicpulse.triage.analyst import analyse_batch, analyse_each
from civicpulse.triage.queries import add_analyses

BATCH: Final = 1_000
LLM_BATCH: Final = 25  # a language model answers five at once: a batch must not outlast its lease
DETAILS: Final = ("gender", "birth_date", "country", "region", "town", "street", "house", "attachment")


async def analyse(run: Run) -> None:
    """Works through the tickets, a batch in a transaction; the texts are read with none open."""
    settings = run.services.settings
    limit = LLM_BATCH if settings.llm_url or settings.llm_key else BATCH
    while rows := await _next(run, limit):
        texts = [ReportText(row["given"]["description"]) for row in rows]
        found = await _read(run, rows, texts)
        async with run.batch() as tx:
            await _write(run, tx, rows, found)
            run.count("tickets_analyzed", len(rows))
            run.progress.update(done=run.progress["done"] + len(rows), after=rows[-1]["position"])
    async with run.batch():
        run.enter("assign", total=None)


async def _read(run: Run, rows: Sequence[Row], texts: Sequence[ReportText]) -> list[Analysis]:
    """Reads texts, one analysis for each. A text that takes too long is left to a person, as if it said nothing, and told of."""
    try:
        return await analyse_batch(run.services, run.tenant, run.pack, texts)
    except TookTooLong:
        found = await analyse_each(run.services, run.tenant, run.pack, texts)
    (unread,) = await analyse_batch(run.services, run.tenant, run.pack, [ReportText("")])
    read: list[Analysis] = []
    for row, one in zip(rows, found, strict=True):
        if isinstance(one, TookTooLong):
            run.tell([Fault(run.name_of("tickets"), row["line"], run.say("too_slow"), "warning")])
        elif isinstance(one, Exception):
            raise one
        read.append(unread if isinstance(one, Exception) else one)
    return read


async def _next(run: Run, limit: int) -> list[Row]:
    async with run.services.db.transaction(run.tenant) as tx:
        return await staging.next_tickets(tx, run.id, after=run.progress.get("after", 0), limit=limit)


async def _write(run: Run, tx: Tx, rows: Sequence[Row], found: Sequence[Analysis]) -> None:
    pairs = list(zip(rows, found, strict=True))
    now = time.now()
    preparer = Preparer(run.pack, tx.tenant.pack_version, now)
    writer = Writer(preparer, await zone_index(tx), str(run.id))
    there = [row["request_id"] for row in rows if row["outcome"] != "new"]
    opened = await open_changes(tx, ACTOR, there, at=now) if there else {}
    new = [pair for pair in pairs if pair[0]["outcome"] == "new"]
    fresh = await asyncio.to_thread(lambda: [preparer.prepare(writer.incoming(*pair)) for pair in new])
    known = set(opened)
    if fresh:
        known |= {one.row["id"] for one in await open_requests(tx, ACTOR, preparer, fresh)}
    if opened:
        await _rewrite(run, tx, writer, pairs, opened)
    kept = [pair for pair in pairs if pair[0]["request_id"] in known]
    await ticket_queries.put_details(tx, [_details(row) for row, _ in kept if row["outcome"] != "redo"], at=now)
    await add_analyses(tx, [(row["request_id"], one) for row, one in kept], at=now, by=ACTOR.key)


def _details(row: Row) -> Row:
    given = {name: row["given"][name] for name in DETAILS}
    return given | {name: row[name] for name in ("request_id", "client_guid", "fingerprint")}


async def _rewrite(
    run: Run, tx: Tx, writer: Writer, pairs: Sequence[tuple[Row, Analysis]], opened: Mapping[UUID, Change]
) -> None:
    """Begins tickets anew that nobody works on; of the others only the text changes."""
    untouched = {run.pack.workflow.initial, run.pack.assigned_state}
    corrected = await ticket_queries.corrected_by_staff(tx, list(opened))
    changes = list[Change]()
    for row, one in pairs:
        change = opened.get(row["request_id"])
        if change is None:
            continue
        is_free = change.row["master_id"] is None and change.row["status"] in untouched
        if is_free and writer.renew(change, row, one, corrected=change.row["id"] in corrected):
            changes.append(change)
        elif row["outcome"] == "changed":
            writer.reword(change, row)
            changes.append(change)
            _tell_kept(run, row, change.row)
    await apply_all(tx, ACTOR, changes, at=time.now())
    await add_files(tx, [row for row, _ in pairs if row["outcome"] != "new"])


def _tell_kept(run: Run, row: Row, known: Row) -> None:
    words = run.say("kept", number=known["number"], state=run.pack.title_of(known["status"]))
    run.tell([Fault(run.name_of("tickets"), row["line"], words, "warning", request_id=known["number"])])
