"""A run's files read in a process of their own: a file that never ends costs its run alone, and nothing is written of it.

The process writes what it has read beside the file, and the run takes it from there batch by batch: no record of a
stranger's file is looked at here.
"""

import asyncio
import pickle
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from civicpulse.base.processes import Built, ProcessLost, TookTooLong
from civicpulse.base.tables import Notice, Unreadable
from civicpulse.centre.incoming import TOO_MUCH, fetch, limit
from civicpulse.centre.reader import Layout, layout_from_json, open_records
from civicpulse.centre.rows import Fault, RowError, RowReader
from civicpulse.centre.run import Run, RunFailed
from civicpulse.packs.model import Pack, pack_of_json

Kind: TypeAlias = Literal["office", "manager", "ticket"]  # as RowReader calls them

MAX_STAFF: Final = 50_000  # offices or managers in a file: they are written at once
KINDS: Final[dict[str, Kind]] = {"business_units": "office", "managers": "manager", "tickets": "ticket"}


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A record as it was read: its position in the file, its line, what it means (None for nothing), and what is wrong with it."""

    position: int
    line: int
    row: Any
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that was read to its end: where its rows lie, and notices of the file itself."""

    path: Path
    notices: list[Notice]

    async def batches(self) -> AsyncIterator[list[ReadRow]]:
        """Reads the rows, in the batches in which they were read."""
        with self.path.open("rb") as file:
            while batch := await asyncio.to_thread(pickle.load, file):
                yield batch

    async def rows(self) -> AsyncIterator[ReadRow]:
        """Reads the rows one by one."""
        async for batch in self.batches():
            for row in batch:
                yield row


async def read_file(run: Run, field: str, folder: Path, *, skip: int = 0, batch: int) -> ReadFile | None:
    """Reads one of the run's tables from its `skip`-th record on; None when it did not come.

    Raises RunFailed when that takes too much.
    """
    file = run.file(field)
    if file is None:
        return None
    source, target = folder / field, folder / f"{field}.rows"
    await fetch(run.storage, file, source)
    document = run.pack.document.model_dump_json()
    try:
        notices = await run.services.processes.run(
            read_rows,
            KINDS[field],
            str(source),
            str(target),
            layout_from_json(file["layout"]),
            file["name"],
            skip,
            batch,
            seconds=limit(source.stat().st_size),
            built=Built(("pack", run.tenant.tenant_id, hash(document)), pack_of_json, (document,)),
            owner=run.tenant.tenant_id,
        )
    except (TookTooLong, ProcessLost) as error:
        raise RunFailed(f"{file['name']} cannot be read. {TOO_MUCH}") from error
    return ReadFile(target, notices)


# ------------------------------------------------------------------------------------------------- in the process itself


def read_rows(
    pack: Pack, kind: Kind, source: str, target: str, layout: Layout, name: str, skip: int, batch: int
) -> list[Notice]:
    """Reads the records of `source` after the first `skip`, and writes the rows to `target`; notices of the file.

    Raises Unreadable for more offices or managers than a company has.
    """
    with (
        Path(source).open("rb") as file,
        Path(target).open("wb") as out,
        open_records(file, layout) as (records, notices),
    ):
        found = islice(enumerate(records, 1), skip, None)
        reader = RowReader(pack, name)
        while rows := [_read(reader, kind, *one) for one in islice(found, batch)]:
            if kind != "ticket" and rows[-1].position > MAX_STAFF:
                raise Unreadable(f"{name} has more than {MAX_STAFF} rows: send it in parts.")
            pickle.dump(rows, out, protocol=5)
        pickle.dump([], out, protocol=5)
    return notices


def _read(reader: RowReader, kind: Kind, position: int, record: Any) -> ReadRow:
    row, reader.faults = None, []
    try:
        row = getattr(reader, kind)(record)
    except RowError as error:
        reader.refuse(record, error)
    return ReadRow(position, record.line, row, reader.faults)
