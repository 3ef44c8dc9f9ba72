"""What follows a new request that may duplicate another."""

from civicpulse.base.db import Row, Tx
from civicpulse.duplicates.opinion_queries import add_pairs


async def ask_about_proposals(tx: Tx, event: Row) -> None:
    """Keeps the pairs that the intake proposed, for a language model to be asked about; twice changes nothing."""
    proposed = event["meta"].get("proposed")
    if proposed:
        await add_pairs(tx, event["subject_id"], proposed)
