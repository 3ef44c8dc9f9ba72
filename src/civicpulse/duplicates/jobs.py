"""The worker's share: a language model is asked about proposed pairs, outside any transaction and never on the intake's way."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from civicpulse.base import clock as time
from civicpulse.base import leases
from civicpulse.base.clients.llm import CHARACTERS_PER_TOKEN, LlmCall, LlmClient, LlmFault, llm_client
from civicpulse.base.db import Row, Tx, is_outage
from civicpulse.base.errors import Problem
from civicpulse.base.events import SYSTEM
from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.base.turns import Line, work_off
from civicpulse.duplicates import opinion_queries as queries
from civicpulse.duplicates.merging import merge
from civicpulse.duplicates.opinion_queries import QUEUE
from civicpulse.duplicates.opinions import MAX_REASON, PURPOSE, VERSION, Opinion, Side, question
from civicpulse.packs.model import Pack
from civicpulse.packs.store import current_pack
from civicpulse.rules.duplicates import attaches_by_opinion
from civicpulse.triage.analyst import budget_of
from civicpulse.triage.llm import Budget
from civicpulse.triage.queries import add_calls

log = get_logger(__name__)

BATCH: Final = 10
AT_ONCE: Final = 2  # of the five places that the client has: reports wait for theirs
PAUSED_SECONDS: Final = 60.0

DECIDED = "Not asked: staff has decided meanwhile."


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one batch of a tenant works with."""

    services: Services
    tenant: Tenant
    pack: Pack
    client: LlmClient
    budget: Budget
    places: asyncio.Semaphore


def opinions_line(services: Services) -> Line | None:
    """Makes the worker's line of opinions; None without a model: nothing is looked at then."""
    client = llm_client(services.settings)
    if client is None:
        return None

    async def work(tenant: Tenant) -> int:
        return await opine_batch(services, tenant, client)

    return Line(QUEUE.name, work)


async def give_opinions(services: Services) -> int:
    """Asks about the due pairs of every tenant; how many it took. For commands and tests."""
    line = opinions_line(services)
    return 0 if line is None else await work_off(services.db, services.tenants, line)


async def opine_batch(services: Services, tenant: Tenant, client: LlmClient) -> int:
    """Takes up to a batch of due pairs, asks about each, and keeps what is said; how many it took.

    Safe beside itself and when cut off: what was taken is due again when its lease ends. A fault costs one pair a try.
    """
    async with services.db.transaction(tenant) as tx:
        pack = await current_pack(tx)
        taken = await leases.take(tx, QUEUE, limit=BATCH, seconds=leases.LEASE_SECONDS)
    budget = await budget_of(services, tenant)
    batch = _Batch(services, tenant, pack, client, budget, asyncio.Semaphore(AT_ONCE))
    async with leases.holding(services.db, tenant, QUEUE, taken), asyncio.TaskGroup() as group:
        for pair in taken:
            group.create_task(_settle(batch, pair))
    return len(taken)


async def _settle(batch: _Batch, pair: Row) -> None:
    try:
        async with batch.places:
            await _ask(batch, pair)
    except Exception as error:
        if is_outage(error):
            raise  # not this pair's fault: it comes back when its lease ends
        log.warning("opinion_failed", tenant=batch.tenant.slug, pair=_name(pair), exc_info=error)
        await _put_back(batch, pair, f"{type(error).__name__}: {error}")


async def _ask(batch: _Batch, pair: Row) -> None:
    if pair["is_decided"] or pair["attempts"] > QUEUE.tries:
        async with batch.services.db.transaction(batch.tenant) as tx:
            await leases.park(tx, QUEUE, pair, DECIDED if pair["is_decided"] else leases.CUT_OFF)
        return
    asked = question(batch.pack, _side(pair), _side(pair, "other_"), score=pair["score"])
    reserved = (len(asked.system) + len(asked.user)) // CHARACTERS_PER_TOKEN
    if not batch.budget.reserve(reserved):
        midnight = time.now().replace(hour=0, minute=0, second=0, microsecond=0)
        await _postpone(batch, pair, "daily_token_budget", until=midnight + timedelta(days=1))
        return
    calls: list[tuple[datetime, LlmCall]] = []
    try:
        opinion = await batch.client.ask(
            asked,
            record=lambda call: calls.append((time.now(), call)),
            seats=batch.client.seats_of(batch.services.db, batch.tenant),
        )
    except LlmFault as fault:
        if fault.reason == "paused_after_faults":
            await _postpone(batch, pair, fault.reason, until=time.now() + timedelta(seconds=PAUSED_SECONDS))
        else:
            await _put_back(batch, pair, fault.reason)
        return
    finally:
        batch.budget.settle(reserved=reserved, used=sum(call.tokens_in + call.tokens_out for _, call in calls))
        if calls:
            async with batch.services.db.transaction(batch.tenant) as tx:
                await add_calls(tx, calls, purpose=PURPOSE, version=VERSION)
    async with batch.services.db.transaction(batch.tenant) as tx:
        await _keep(tx, batch, pair, opinion)


async def _keep(tx: Tx, batch: _Batch, pair: Row, opinion: Opinion) -> None:
    """Keeps the answer and, where the pack lets a sure model attach, merges the two, which can be undone."""
    reason = opinion.reason.strip().replace("\x00", "")[:MAX_REASON]
    said = {"verdict": opinion.verdict, "confidence": opinion.confidence, "reason": reason}
    kept = await queries.answer(tx, pair, said | {"model": batch.client.model, "version": VERSION}, at=time.now())
    total = float(pair["score"]["total"])
    policy = batch.pack.duplicate_policy(pair["category"])
    agrees = attaches_by_opinion(policy, verdict=opinion.verdict, confidence=opinion.confidence, total=total)
    if not kept or not agrees:
        return
    if not await queries.are_open(tx, pair):
        await queries.note(tx, pair, "Not merged: one of the two has ended")
        return
    score = pair["score"] | {"opinion": said}
    try:
        async with tx.conn.transaction():
            await merge(tx, SYSTEM, pair["number"], other=pair["other_number"], origin="llm", score=score)
    except Problem as problem:  # staff was quicker: the answer stands, nothing is merged
        await queries.note(tx, pair, f"Not merged: {problem.code}")


async def _put_back(batch: _Batch, pair: Row, error: str) -> None:
    async with batch.services.db.transaction(batch.tenant) as tx:
        is_given_up = await leases.retry_later(tx, QUEUE, pair, error)
    if is_given_up:
        log.warning("opinion_given_up", tenant=batch.tenant.slug, pair=_name(pair), error=error)


async def _postpone(batch: _Batch, pair: Row, error: str, *, until: datetime) -> None:
    async with batch.services.db.transaction(batch.tenant) as tx:
        await leases.postpone(tx, QUEUE, pair, error=error, until=until)


def _side(pair: Row, prefix: str = "") -> Side:
    return Side(pair[f"{prefix}category"], pair[f"{prefix}address_hint"], pair[f"{prefix}description"])


def _name(pair: Row) -> str:
    return f"{pair['number']} and {pair['other_number']}"
