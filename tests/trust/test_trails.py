"""Changes of one subject at the same moment each have their own number in its trail (R-DOOR-04)."""

import asyncio
from datetime import UTC, datetime

from civicpulse.base.events import SYSTEM, record
from civicpulse.base.ids import new_id
from conftest import City

SEQS = "SELECT seq FROM events WHERE tenant_id = %s AND subject_id = %s ORDER BY seq"


async def test_events_of_one_subject_at_once_are_all_kept_in_a_row(city: City) -> None:
    subject, at = new_id(), datetime.now(UTC)
    ready = asyncio.Barrier(8)

    async def tell(number: int) -> None:
        async with city.transaction() as tx:
            await tx.value("SELECT 1")  # the transaction has begun
            await ready.wait()
            await record(
                tx, SYSTEM, subject_id=subject, seq=None, type="tenant.configured", at=at, meta={"n": number},
                subject_type="tenant",
            )  # fmt: skip

    await asyncio.gather(*(tell(number) for number in range(8)))
    async with city.transaction() as tx:
        assert [row["seq"] for row in await tx.rows(SEQS, [tx.tenant_id, subject])] == list(range(1, 9))
