"""Writes of this room: an analysis of a request, run again at a person's wish."""

from civicpulse.base import clock as time
from civicpulse.base.db import Row, Tx
from civicpulse.base.events import Actor
from civicpulse.base.services import Services
from civicpulse.packs.store import current_pack
from civicpulse.triage import queries
from civicpulse.triage.analysis import Analysis, ReportText
from civicpulse.triage.analyst import analyse_batch


async def keep(tx: Tx, actor: Actor, request: Row, analysis: Analysis) -> None:
    """Appends `analysis` to those of `request` (a row with its id); it is the current one from now on."""
    await queries.add_analysis(tx, request["id"], analysis, at=time.now(), by=actor.key)


async def analyse_again(tx: Tx, actor: Actor, request: Row, services: Services) -> Analysis:
    """Analyses a request's text and tags by the tenant's current pack and model, and keeps the outcome.

    It decides nothing about the request: its category and priority change by a person's hand.
    """
    pack = await current_pack(tx)
    text = ReportText(request["description"], tuple(request["tags"]))
    (analysis,) = await analyse_batch(services, tx.tenant, pack, [text])
    await keep(tx, actor, request, analysis)
    return analysis
