"""Places for something dear, so many for each tenant, over all processes: whoever finds none free waits for one.

A place is a row that says until when it is held. Who dies with one loses it at that time, so `seconds` must be longer
than what is done in it may take.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from civicpulse.base import clock
from civicpulse.base.db import Database
from civicpulse.base.ids import new_id
from civicpulse.base.tenancy import Tenant

LOOK_SECONDS: Final = 0.1

MAKE_SEATS: Final = """
INSERT INTO seats (tenant_id, name, place, held_until)
SELECT %(tenant_id)s, %(name)s, place, %(now)s FROM generate_series(1, %(count)s::int) AS place
ON CONFLICT (tenant_id, name, place) DO NOTHING
"""

TAKE_SEAT: Final = """
WITH free AS (
    SELECT s.place FROM seats s
    WHERE s.tenant_id = %(tenant_id)s AND s.name = %(name)s AND s.place <= %(count)s AND s.held_until <= %(now)s
    ORDER BY s.place LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE seats s SET holder = %(holder)s, held_until = %(until)s FROM free
WHERE s.tenant_id = %(tenant_id)s AND s.name = %(name)s AND s.place = free.place RETURNING s.place
"""

LEAVE_SEAT: Final = """
UPDATE seats SET holder = NULL, held_until = %(now)s
WHERE tenant_id = %(tenant_id)s AND name = %(name)s AND place = %(place)s AND holder = %(holder)s
"""


@dataclass(frozen=True, slots=True)
class Seats:
    """The places of a tenant for one thing: `count` of them, each held for `seconds` at the longest."""

    db: Database
    tenant: Tenant
    name: str
    count: int
    seconds: float

    @asynccontextmanager
    async def seat(self) -> AsyncIterator[None]:
        """Holds a place while the block works; waits until one is free, with no connection held meanwhile."""
        about = {"tenant_id": self.tenant.tenant_id, "name": self.name, "count": self.count, "holder": new_id()}
        while True:
            place = await self._take(about)
            if place is not None:
                break
            await asyncio.sleep(LOOK_SECONDS)
        try:
            yield
        finally:
            async with self.db.transaction(self.tenant) as tx:
                await tx.run(LEAVE_SEAT, about | {"place": place, "now": clock.wall()})

    async def _take(self, about: dict[str, object]) -> int | None:
        now = clock.wall()
        times = {"now": now, "until": now + timedelta(seconds=self.seconds)}
        async with self.db.transaction(self.tenant) as tx:
            place: int | None = await tx.value(TAKE_SEAT, about | times)
            if place is None and await tx.run(MAKE_SEATS, about | times):
                place = await tx.value(TAKE_SEAT, about | times)
        return place
