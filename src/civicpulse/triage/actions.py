"""Writes of this room: an analysis of a request, kept beside those before it."""

from civicpulse.base import clock as time
from civicpulse.base.db import Row, Tx
from civicpulse.base.events import Actor
from civicpulse.triage import queries
from civicpulse.triage.analysis import Analysis


async def keep(tx: Tx, actor: Actor, request: Row, analysis: Analysis) -> None:
    """Appends `analysis` to those of `request` (a row with its id); it is the current one from now on.

    It decides nothing about the request: category and priority change by a person's hand.
    """
    await queries.add_analysis(tx, request["id"], analysis, at=time.now(), by=actor.key)
