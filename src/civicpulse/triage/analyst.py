"""The one interface to analysis: texts in, analyses out, whichever engine answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from civicpulse.base import clock as time
from civicpulse.base.clients.llm import LlmCall, LlmClient, llm_client
from civicpulse.base.clients.tracing import note, traced
from civicpulse.base.db import is_outage
from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.packs.model import Pack
from civicpulse.triage import queries
from civicpulse.triage.analysis import Analysis, ReportText
from civicpulse.triage.apart import OfflineApart
from civicpulse.triage.llm import PURPOSE, VERSION, Budget, LlmAnalyst
from civicpulse.triage.models import active_model

log = get_logger(__name__)


class Analyst(Protocol):
    """Both engines keep this contract."""

    async def analyse(self, texts: Sequence[ReportText]) -> list[Analysis]:
        """Makes one analysis per text, in order."""
        ...


async def analyse_batch(services: Services, tenant: Tenant, pack: Pack, texts: Sequence[ReportText]) -> list[Analysis]:
    """Makes one analysis per text, in order. Never raises for a fault of the LLM: the offline engine answers and says so.

    Raises TookTooLong when a text runs into the time limit: `analyse_each` says which.

    Opens its own short transactions (model, budget, log of calls): call it with no transaction of yours open, for an
    LLM may take seconds. Empty texts are analysed too, with confidence 0.
    """
    if not texts:
        return []
    active = await active_model(services, tenant, pack)
    offline = OfflineApart(services.processes, tenant, pack, active.payload, version=active.version)
    client = llm_client(services.settings)
    if client is None:
        return await offline.analyse(texts)
    return await _with_llm(services, tenant, pack, (offline, client), texts)


async def analyse_each(
    services: Services, tenant: Tenant, pack: Pack, texts: Sequence[ReportText]
) -> Sequence[Analysis | Exception]:
    """Makes an analysis for each text, or why it has none; when the batch cannot be read as a whole, each for itself."""
    try:
        return await analyse_batch(services, tenant, pack, texts)
    except Exception as error:
        if is_outage(error):
            raise
        log.warning("batch_not_read", tenant=tenant.slug, texts=len(texts), exc_info=error)
    return [await _analyse_one(services, tenant, pack, text) for text in texts]


async def _analyse_one(services: Services, tenant: Tenant, pack: Pack, text: ReportText) -> Analysis | Exception:
    try:
        (analysis,) = await analyse_batch(services, tenant, pack, [text])
    except Exception as error:
        if is_outage(error):
            raise
        log.warning("text_not_read", tenant=tenant.slug, exc_info=error)
        return error
    return analysis


async def _with_llm(
    services: Services,
    tenant: Tenant,
    pack: Pack,
    engines: tuple[OfflineApart, LlmClient],
    texts: Sequence[ReportText],
) -> list[Analysis]:
    offline, client = engines
    calls: list[tuple[datetime, LlmCall]] = []
    budget = await budget_of(services, tenant)
    async with services.db.transaction(tenant) as tx:
        settled = await queries.find_record(tx)
    analyst: Analyst = LlmAnalyst(
        pack,
        offline,
        client,
        budget=budget,
        record=lambda call: calls.append((time.now(), call)),
        seats=client.seats_of(services.db, tenant),
        settled=settled,
    )
    try:
        with traced("analyse", purpose=PURPOSE, tenant=tenant.slug) as span:
            found = await analyst.analyse(texts)
            note(span, texts=len(found), fell_back=sum(analysis.fell_back_because is not None for analysis in found))
        return found
    finally:
        if calls:
            async with services.db.transaction(tenant) as tx:
                await queries.add_calls(tx, calls, purpose=PURPOSE, version=VERSION)


async def budget_of(services: Services, tenant: Tenant) -> Budget:
    """Computes the tokens left of the tenant's day (UTC), for whatever a model is asked."""
    limit = services.settings.llm_daily_tokens
    if not limit:
        return Budget(None)
    midnight = time.now().replace(hour=0, minute=0, second=0, microsecond=0)
    async with services.db.transaction(tenant) as tx:
        used = await queries.tokens_since(tx, midnight)
    return Budget(max(0, limit - used))
