"""The intake's first round trip: it queues behind rivals, then reads a stored answer, or candidates and a number."""

from dataclasses import dataclass

from civicpulse.base.db import Row, Tx
from civicpulse.duplicates.search import NEAR, Surroundings, array

OPEN = f"""
SELECT fingerprint, answer, number, candidates FROM intake_open(
    %(scope)s, %(key)s, %(key_lock)s, %(place_locks)s::bigint[], {NEAR}, %(closed_since)s)
"""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the intake learns in its first round trip."""

    fingerprint: bytes | None
    answer: str | None
    number: int | None
    candidates: list[Row]


async def open_intake(tx: Tx, *, scope: str, key: str | None, key_lock: int, around: Surroundings) -> Answered:
    """Queues behind rivals, then reads a stored answer, or the candidates and a new number."""
    about = {"scope": scope, "key": key, "key_lock": key_lock, "place_locks": array(around.place_locks)}
    values = about | around.values
    row = await tx.row(OPEN, values)
    assert row is not None, "intake_open returns one row"
    return Answered(row["fingerprint"], row["answer"], row["number"], row["candidates"] or [])
