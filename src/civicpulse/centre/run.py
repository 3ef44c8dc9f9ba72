"""A run at work: its lease, where it stands, what it has counted. Kept with each batch, in the batch's own transaction."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from psycopg import OperationalError

from civicpulse.base import clock, leases
from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import Row, Tx
from civicpulse.base.events import platform
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.centre import run_queries
from civicpulse.centre.rows import Fault
from civicpulse.centre.texts import say
from civicpulse.packs.model import Pack

STEPS: Final = ("ingest", "attachments", "geocode", "analyse", "assign")
MAX_FAULTS: Final = 1_000  # kept with a run; all of them are counted
MAX_TICKETS: Final = 1_000  # in an answer
ACTOR: Final = platform("pipeline")


class LostLease(Exception):
    """Somebody else has taken the run: whatever this worker still does would be done twice."""


class RunFailed(Exception):
    """The run cannot go on; the message says why and what to do."""


class Stopped(Exception):
    """The process ends: the run goes on elsewhere."""


@dataclass(slots=True)
class Run:
    """A run under a lease. Change it inside `batch()`, and what was changed is written with that batch or not at all."""

    services: Services
    storage: Storage
    tenant: Tenant
    pack: Pack
    row: Row
    stopping: Callable[[], bool] = lambda: False
    faults: list[Fault] = field(default_factory=list)
    saved: float = field(default_factory=time.monotonic)  # when it was written down last

    @property
    def id(self) -> UUID:
        """The run's id."""
        found: UUID = self.row["id"]
        return found

    @property
    def step(self) -> str:
        """The step that it is at."""
        found: str = self.row["step"]
        return found

    def file(self, field: str) -> dict[str, Any] | None:
        """Finds the table that came in that field, or None."""
        return next((file for file in self.row["files"] if file["field"] == field), None)

    def name_of(self, field: str) -> str:
        """Names that table as errors do: the uploaded file's own name."""
        file = self.file(field)
        return str(file["name"]) if file else field

    @property
    def progress(self) -> dict[str, Any]:
        """Of the step at hand: `done`, `total` where it is known, and what the step itself keeps."""
        found: dict[str, Any] = self.row["progress"].setdefault(self.step, {"done": 0, "total": None})
        return found

    def count(self, name: str, by: int) -> None:
        """Adds to a count of the result."""
        self.row["counts"][name] = self.row["counts"].get(name, 0) + by

    def tell(self, faults: Sequence[Fault]) -> None:
        """Notes errors and warnings."""
        self.faults += faults

    def say(self, what: str, **values: object) -> str:
        """Says something of `texts` in the tenant's language."""
        return say(self.pack.document.language, what, **values)

    def enter(self, step: str, *, total: int | None) -> None:
        """Goes on to another step; `total` is how much it has to do, as far as that is known."""
        self._clock()
        self.row["step"] = step
        self.row["progress"][step] = {"done": 0, "total": total}

    @property
    def todo(self) -> int:
        """How many tickets have to be placed and read."""
        counts = self.row["counts"]
        found: int = counts["tickets_loaded"] - counts["tickets_unchanged"]
        return found

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[Tx]:
        """Opens a transaction that holds the lease: at its end the run's place is written with it, or all of it is undone.

        Raises LostLease, and Stopped before it begins when the process is to end.
        """
        if self.stopping():
            raise Stopped
        async with self.services.db.transaction(self.tenant) as tx:
            yield tx
            await self._save(tx)

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Keeps the lease while the block works, however long one batch of it takes."""
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _beat(self) -> None:
        held = True
        while held:
            await asyncio.sleep(leases.BEAT_SECONDS)
            with suppress(OperationalError):  # the next beat may reach the database again
                async with self.services.db.transaction(self.tenant) as tx:
                    held = await leases.heartbeat(tx, run_queries.QUEUE, self.row, seconds=leases.LEASE_SECONDS)

    def _clock(self) -> None:
        """Counts the seconds that the step has taken so far, whoever worked on it."""
        now = time.monotonic()
        self.progress["seconds"] = round(self.progress.get("seconds", 0.0) + now - self.saved, 3)
        self.saved = now

    async def _save(self, tx: Tx) -> None:
        self._clock()
        room = max(0, MAX_FAULTS - self.row["counts"].get("errors", 0) - self.row["counts"].get("warnings", 0))
        told = [fault.to_json() for fault in self.faults[:room]]
        for fault in self.faults:
            self.count(f"{fault.severity}s", 1)
        self.faults = []
        state = {name: self.row[name] for name in ("step", "progress", "counts", "ticket_ids")} | {"errors": told}
        held = await run_queries.save(
            tx, self.id, self.row["attempts"], state, seconds=leases.LEASE_SECONDS, at=clock.now()
        )
        if not held:
            raise LostLease
