"""Reports that come at the same moment are written together: one statement and one commit for all of them.

A commit waits for the disk, and a process pays for every round trip. The first report of a quiet moment is written at
once; those that come while it is under way share the next one. Nobody is answered before the commit that holds their
report, and a report that cannot be written fails alone.
"""

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Final

from civicpulse.base.db import Database, Row, is_outage
from civicpulse.base.tenancy import Tenant
from civicpulse.reports import queries

MAX_TOGETHER: Final = 100


@dataclass(slots=True)
class _Sent:
    row: Row
    written: asyncio.Future[bool]


class InboxWriter:
    """Writes the reports that one process takes in."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: dict[Tenant, deque[_Sent]] = defaultdict(deque)
        self._at_work: dict[Tenant, asyncio.Task[None]] = {}

    async def add(self, tenant: Tenant, row: Row) -> bool:
        """Returns after the commit: True when the report is kept, False when its key was used before (see `add_reports`).

        Raises what the database says of this report.
        """
        sent = _Sent(row, asyncio.get_running_loop().create_future())
        self._waiting[tenant].append(sent)
        if tenant not in self._at_work:
            self._at_work[tenant] = asyncio.create_task(self._work(tenant))
        return await sent.written

    async def _work(self, tenant: Tenant) -> None:
        waiting = self._waiting[tenant]
        try:
            while waiting:
                await self._write(tenant, _together(waiting))
        finally:
            del self._at_work[tenant], self._waiting[tenant]

    async def _write(self, tenant: Tenant, batch: list[_Sent]) -> None:
        try:
            async with self._db.transaction(tenant) as tx:
                written = await queries.add_reports(tx, [sent.row for sent in batch])
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
            if len(batch) == 1 or is_outage(error):
                for sent in batch:
                    if not sent.written.done():
                        sent.written.set_exception(error)
                return
            for sent in batch:  # the fault is one report's: each hears of its own
                await self._write(tenant, [sent])
            return
        for sent in batch:
            if not sent.written.done():  # its caller may have hung up
                sent.written.set_result(sent.row["id"] in written)


def _together(waiting: deque[_Sent]) -> list[_Sent]:
    """Picks the next reports, in their order; of those with one key, the first: the others find it written afterwards."""
    batch: list[_Sent] = []
    later: list[_Sent] = []
    keys: set[tuple[str, str]] = set()
    while waiting and len(batch) < MAX_TOGETHER:
        sent = waiting.popleft()
        key = (sent.row["scope"], sent.row["key"])
        if sent.row["key"] is None or key not in keys:
            keys.add(key)
            batch.append(sent)
        else:
            later.append(sent)
    waiting.extendleft(reversed(later))
    return batch
