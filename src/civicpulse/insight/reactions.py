"""What this room does after an event."""

from civicpulse.base.db import Row, Tx
from civicpulse.insight.kpis import ledger
from civicpulse.packs.store import current_pack


async def follow_time_zone(tx: Tx, _event: Row) -> None:
    """Makes sure that key figures are made anew when a new configuration moved the tenant to another time zone; idempotent."""
    await ledger.forget_other_zone(tx, (await current_pack(tx)).document.timezone)
