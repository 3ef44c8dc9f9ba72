"""A process says that it lives: a row of its own, written and committed each time, so that it also shows that writes work."""

from typing import Final

from civicpulse.base import clock
from civicpulse.base.db import Database
from civicpulse.base.ids import new_id

BEAT: Final = """
INSERT INTO processes (id, kind, started_at, beat_at) VALUES (%(id)s, %(kind)s, %(at)s, %(at)s)
ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at
"""

LEAVE: Final = "DELETE FROM processes WHERE id = %(id)s OR beat_at < %(at)s - interval '1 day'"


class Heart:
    """The heartbeat of this process."""

    def __init__(self, db: Database, kind: str) -> None:
        self._db, self._about = db, {"id": new_id(), "kind": kind}

    async def beat(self) -> None:
        """Writes that the process lives now. Raises what the database raises where it takes no writes."""
        async with self._db.gate() as conn:
            await conn.execute(BEAT, self._about | {"at": clock.wall()})

    async def leave(self) -> None:
        """Takes the row away, and those of processes that died a day ago."""
        async with self._db.gate() as conn:
            await conn.execute(LEAVE, self._about | {"at": clock.wall()})
