"""Step 2: the uploaded files join the tickets whose rows name them; nothing here fails a run (R-CSV-04)."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.ids import new_id
from civicpulse.centre import staging, ticket_queries
from civicpulse.centre.incoming import drop
from civicpulse.centre.rows import Fault
from civicpulse.centre.run import ACTOR, Run
from civicpulse.requests import store
from civicpulse.requests.files import evidence_key
from civicpulse.requests.queries import add_evidence
from civicpulse.requests.views.ticket import file_key, file_names

BATCH: Final = 500


async def join_attachments(run: Run) -> None:
    """Joins each file to the tickets that name it; what is left over, or did not come, is a warning."""
    files = _by_name(run)
    run.progress.setdefault("used", [])
    while rows := await _next(run):
        copies = list[tuple[str, str]]()
        joined = _join(run, rows, files, copies)
        for source, target in copies:
            await run.storage.put(target, await run.storage.get(source))
        async with run.batch() as tx:
            await staging.attach(tx, run.id, joined)
            # The others get theirs when the analysis writes them.
            await add_files(tx, [row for row in joined if row["outcome"] == "unchanged"])
            run.progress.update(done=run.progress["done"] + len(rows), after=rows[-1]["position"])
    left = [file for same in files.values() for file in same if file["id"] not in run.progress["used"]]
    async with run.batch():
        for same in files.values():
            if len({file["sha256"] for file in same}) > 1:
                words = run.say("attachment_twice", name=same[0]["name"], count=len(same))
                run.tell([Fault(same[0]["name"], None, words, "warning")])
        for file in left:
            run.tell([Fault(file["name"], None, run.say("attachment_left"), "warning")])
        run.progress["total"] = run.progress["done"]
        run.enter("geocode", total=run.todo)
    await drop(run.storage, left)


def _by_name(run: Run) -> dict[str, list[Row]]:
    """Finds the attachments that came, by name: several of one name are several files."""
    files: dict[str, list[Row]] = {}
    for file in run.row["files"]:
        if file["field"] == "attachments":
            files.setdefault(file_key(file["name"]), []).append(file)
    return files


async def _next(run: Run) -> list[Row]:
    """Finds the next rows that name a file, each with the hashes of the files that its ticket has, by name."""
    async with run.services.db.transaction(run.tenant) as tx:
        after = run.progress.get("after", 0)
        rows = await staging.tickets_with_attachment(tx, run.id, after=after, limit=BATCH)
        there = await ticket_queries.find_evidence(tx, [row["request_id"] for row in rows])
    has: dict[UUID, dict[str, set[str]]] = {row["request_id"]: {} for row in rows}
    for file in there:
        has[file["request_id"]].setdefault(file_key(file["file_name"]), set()).add(file["sha256"])
    return [row | {"has": has[row["request_id"]]} for row in rows]


def _join(
    run: Run, rows: Sequence[Row], files: Mapping[str, Sequence[Row]], copies: list[tuple[str, str]]
) -> list[Row]:
    """Finds the rows that get files, with their evidence; `copies` (from, to) are made of files that several rows name."""
    joined = list[Row]()
    for row in rows:
        evidence = list[Row]()
        for name in dict.fromkeys(file_names(row["given"]["attachment"])):
            came, has = files.get(name, ()), set(row["has"].get(name, ()))
            if not came and not has:
                words = run.say("attachment_missing", name=name)
                run.tell([Fault(run.name_of("tickets"), row["line"], words, "warning", "attachment")])
            for file in came:
                if file["sha256"] not in has:
                    has.add(file["sha256"])
                    evidence.append(_evidence(run, file, copies))
        if evidence:
            joined.append({name: row[name] for name in ("position", "request_id", "outcome")} | {"evidence": evidence})
    return joined


def _evidence(run: Run, file: Row, copies: list[tuple[str, str]]) -> Row:
    evidence_id, used = UUID(file["id"]), run.progress["used"]
    if file["id"] in used:  # a piece of evidence belongs to one request
        evidence_id = new_id()
        copies.append((file["key"], evidence_key(run.tenant.tenant_id, evidence_id)))
    else:
        used.append(file["id"])
        run.count("attachments_stored", 1)
    about = {key: file[key] for key in ("type", "media_type", "file_name", "sha256")}
    return about | {"id": str(evidence_id), "url": f"/evidence/{evidence_id}"}


async def add_files(tx: Tx, rows: Sequence[Row]) -> None:
    """Adds the files of tickets that are there, and tells their trails."""
    rows = [row for row in rows if row["evidence"]]
    if not rows:
        return
    now = clock.now()
    files = [file | {"request_id": row["request_id"]} for row in rows for file in row["evidence"]]
    await add_evidence(tx, files, uploaded_by="staff", at=now)
    told = [
        store.Changed(
            row["request_id"],
            {},
            [store.Event("evidence.added", {"evidence": [file["sha256"] for file in row["evidence"]]})],
        )
        for row in rows
    ]
    await store.change(tx, ACTOR, told, at=now)
