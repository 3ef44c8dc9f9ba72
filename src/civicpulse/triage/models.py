"""A tenant's model: the active one for use, and training that puts a better one in its place."""

import asyncio
import time as monotonic_time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from civicpulse.base import clock as time
from civicpulse.base.db import Row
from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.packs.model import Pack
from civicpulse.packs.store import current_pack
from civicpulse.triage import queries
from civicpulse.triage.metrics import THRESHOLD, Metrics, measure
from civicpulse.triage.model import TextModel, categories_of, load_model
from civicpulse.triage.seeds import seeds_of
from civicpulse.triage.trainer import fit_apart
from civicpulse.triage.training import Example
from civicpulse.triage.words import read

log = get_logger(__name__)

FRESH_SECONDS: Final = 30.0
MAX_HELD: Final = 16  # tenants whose model a process keeps in memory
MAX_HISTORY: Final = 20_000
TRAIN_SHARE: Final = 0.8
ENOUGH_HISTORY: Final = 50  # confirmed requests: fewer cannot judge a model
ENOUGH_FRESH: Final = 30  # of them that the old model has not seen
ENOUGH_TO_RETRAIN: Final = 100
CORRECTED_WEIGHT: Final = 2.0
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ActiveModel:
    """The active model as it is stored, its version, and the categories that it knows."""

    payload: bytes = field(repr=False)
    version: int

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Read without loading the rest, which is for the processes that analyse."""
        return categories_of(self.payload)


@dataclass(slots=True)
class _Held:
    active: ActiveModel
    read_at: float


@dataclass(frozen=True, slots=True)
class Training:
    """What came of a training: the stored version, whether it is active, why, and figures on the later slice.

    `metrics` and `metrics_before` are on the same rows, which neither model had seen; None where there were too few.
    """

    version: int | None
    active: bool
    reason: str
    rows: int
    metrics: dict[str, Any] | None = None
    metrics_before: dict[str, Any] | None = None


_held: dict[UUID, _Held] = {}
_seeded: dict[str, bytes] = {}
_seeding = asyncio.Lock()


async def active_model(services: Services, tenant: Tenant, pack: Pack) -> ActiveModel:
    """Gives the tenant's active model; the first time, one that knows what the pack says is made and stored."""
    held = _held.get(tenant.tenant_id)
    if held is not None and monotonic_time.monotonic() - held.read_at < FRESH_SECONDS and _serves(held.active, pack):
        return held.active
    async with services.db.transaction(tenant) as tx:
        row = await queries.find_active_model(tx)
        if row is not None:
            if held is None or held.active.version != row["version"]:
                active = ActiveModel(await queries.get_payload(tx, row["version"]), row["version"])
            else:
                active = held.active
    if row is None or not _serves(active, pack):
        active = await _seed(services, tenant, pack)
    _keep(tenant, active)
    return active


def _serves(active: ActiveModel, pack: Pack) -> bool:
    """Tells whether a model is of use: one that knows not one category of the pack is of none; the rest waits for the next training."""
    return any(name in pack.categories for name in active.categories)


def _keep(tenant: Tenant, active: ActiveModel) -> None:
    _held.pop(tenant.tenant_id, None)
    while len(_held) >= MAX_HELD:
        _held.pop(next(iter(_held)))
    _held[tenant.tenant_id] = _Held(active, monotonic_time.monotonic())


async def _seed(services: Services, tenant: Tenant, pack: Pack) -> ActiveModel:
    payload = await _seed_payload(pack)
    async with services.db.transaction(tenant) as tx:
        await queries.lock_models(tx)
        found = await queries.find_active_model(tx)
        if found is not None:  # somebody else was faster
            other = ActiveModel(await queries.get_payload(tx, found["version"]), found["version"])
            if _serves(other, pack):
                return other
        version = await queries.add_model(
            tx, payload, at=time.now(), by="system", rows=0, trained_until=None, metrics=None, active=True
        )
    log.info("model_seeded", tenant=tenant.slug, version=version)
    return ActiveModel(payload, version)


async def _seed_payload(pack: Pack) -> bytes:
    """Trains once a process for equal packs: many tenants start from the same one."""
    key = pack.document.model_dump_json(include={"categories"})
    async with _seeding:
        if key not in _seeded:
            _seeded[key] = await fit_apart(seeds_of(pack), facts={"pack": pack.version})
        return _seeded[key]


# ------------------------------------------------------------------------------------------------------------ training


@dataclass(frozen=True, slots=True)
class _Confirmed:
    """What staff stands behind, oldest first."""

    examples: list[Example]
    times: list[datetime]

    @property
    def until(self) -> datetime | None:
        return self.times[-1] if self.times else None

    @property
    def cut(self) -> int:
        return int(len(self.examples) * TRAIN_SHARE)


async def train(services: Services, tenant: Tenant, *, by: str, force: bool = False) -> Training:
    """Trains on the pack and on what staff confirmed; the new model becomes active if it is not worse than the old.

    Both are judged on the later fifth of the history, as far as the old one has not seen it, the new one as trained on
    the earlier part alone; then it learns from all of it. `force` makes it active whatever the figures.
    """
    pack, history, before = await _material(services, tenant)
    if len(history.examples) < ENOUGH_HISTORY:
        return await _store(services, tenant, pack, history, Verdict(active=True, reason="too_few_to_judge"), by=by)
    earlier, fresh = history.examples[: history.cut], _unseen(history, before)
    old = await _stored(services, tenant, before)
    is_new_pack = old is None or set(old.categories) != set(pack.categories)
    if len(fresh) < ENOUGH_FRESH and not (force or is_new_pack):
        return Training(None, False, "nothing_new", len(history.examples))
    trial = load_model(await fit_apart([*seeds_of(pack), *earlier], facts={}))
    threshold = pack.document.analysis.confidence_threshold
    metrics = judge(trial, history.examples[history.cut :], seen=earlier, threshold=threshold)
    verdict = Verdict(active=True, reason="not_worse", metrics=metrics)
    if old is not None and len(fresh) >= ENOUGH_FRESH:
        trial_fresh, old_fresh = (judge(model, fresh, seen=earlier, threshold=threshold) for model in (trial, old))
        is_better = not is_worse(trial_fresh, old_fresh)
        reason = "not_worse" if is_better else "forced" if force else "worse_than_before"
        verdict = Verdict(is_better or force, reason, trial_fresh, old_fresh)
    return await _store(services, tenant, pack, history, verdict, by=by)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a new model is to be active, and on what grounds; both figures are of the same rows."""

    active: bool
    reason: str
    metrics: Metrics | None = None
    before: Metrics | None = None


async def evaluate(services: Services, tenant: Tenant) -> dict[str, Any]:
    """Computes figures of a model trained on the earlier part of the tenant's history, on the later; and the stored versions."""
    pack, history, _ = await _material(services, tenant)
    async with services.db.transaction(tenant) as tx:
        versions = await queries.list_models(tx)
    found: dict[str, Any] = {"rows": len(history.examples), "models": versions, "metrics": None}
    if len(history.examples) >= ENOUGH_HISTORY:
        earlier, later = history.examples[: history.cut], history.examples[history.cut :]
        trial = load_model(await fit_apart([*seeds_of(pack), *earlier], facts={}))
        threshold = pack.document.analysis.confidence_threshold
        found["metrics"] = judge(trial, later, seen=earlier, threshold=threshold).to_json()
    return found


async def needs_training(services: Services, tenant: Tenant) -> bool:
    """Tells whether the active model lacks a category of the pack, or a hundred confirmed requests are new to it."""
    async with services.db.transaction(tenant) as tx:
        pack = await current_pack(tx)
        row = await queries.find_active_model(tx)
        if row is None:
            return False  # nobody has asked this tenant's model anything yet
        since = row["trained_until"] or LONG_AGO
        fresh = await queries.count_confirmed_since(tx, since, limit=ENOUGH_TO_RETRAIN)
    return fresh >= ENOUGH_TO_RETRAIN or set(pack.categories) != set(
        (await active_model(services, tenant, pack)).categories
    )


async def _material(services: Services, tenant: Tenant) -> tuple[Pack, _Confirmed, Row | None]:
    """Reads the pack, the confirmed history, and the active model's row."""
    async with services.db.transaction(tenant) as tx:
        pack = await current_pack(tx)
        rows = await queries.list_confirmed(tx, limit=MAX_HISTORY)
        before = await queries.find_active_model(tx)
    usable = [row for row in reversed(rows) if row["category"] in pack.categories and read(row["text"]).words]
    examples = [Example(row["text"], row["category"], CORRECTED_WEIGHT if row["corrected"] else 1.0) for row in usable]
    return pack, _Confirmed(examples, [row["created_at"] for row in usable]), before


def _unseen(history: _Confirmed, before: Row | None) -> list[Example]:
    """Picks the later part of the history, as far as the model before has not learnt from it."""
    until = (before["trained_until"] if before else None) or LONG_AGO
    later = zip(history.examples[history.cut :], history.times[history.cut :], strict=True)
    return [example for example, at in later if at > until]


async def _stored(services: Services, tenant: Tenant, row: Row | None) -> TextModel | None:
    if row is None:
        return None
    async with services.db.transaction(tenant) as tx:
        return load_model(await queries.get_payload(tx, row["version"]))


def judge(
    model: TextModel, rows: Sequence[Example], *, seen: Sequence[Example], threshold: float = THRESHOLD
) -> Metrics:
    """Computes figures of `model` on `rows`; the majority class is that of the rows it has `seen`."""
    probabilities = model.probabilities([read(row.text).words for row in rows])
    truth = [row.category for row in rows]
    labels = [row.category for row in seen]
    return measure(probabilities, model.categories, truth, train_labels=labels, threshold=threshold)


def is_worse(metrics: Metrics, before: Metrics) -> bool:
    """Tells whether accuracy and macro-F1 together have fallen."""
    return metrics.accuracy + metrics.macro_f1 < before.accuracy + before.macro_f1


async def _store(
    services: Services, tenant: Tenant, pack: Pack, history: _Confirmed, verdict: Verdict, *, by: str
) -> Training:
    """Fits on everything, stores it as the next version, and makes it active where the verdict says so."""
    payload = await fit_apart([*seeds_of(pack), *history.examples], facts={"pack": pack.version})
    figures = None if verdict.metrics is None else verdict.metrics.to_json()
    before = None if verdict.before is None else verdict.before.to_json()
    rows = len(history.examples)
    async with services.db.transaction(tenant) as tx:
        await queries.lock_models(tx)
        version = await queries.add_model(
            tx,
            payload,
            at=time.now(),
            by=by,
            rows=rows,
            trained_until=history.until,
            metrics=figures,
            active=verdict.active,
        )
    _held.pop(tenant.tenant_id, None)
    log.info(
        "model_trained", tenant=tenant.slug, version=version, active=verdict.active, reason=verdict.reason, rows=rows
    )
    return Training(version, verdict.active, verdict.reason, rows, figures, before)
