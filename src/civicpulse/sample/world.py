"""What every life of a sample can reach, and what every sample lives through: the SLA clock and its scores."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

from civicpulse.base import clock
from civicpulse.base.db import Tx
from civicpulse.base.events import Actor
from civicpulse.base.services import Services
from civicpulse.insight.scores.scores import compute_scores
from civicpulse.packs.model import Pack
from civicpulse.requests.deadlines.sweep import BATCH, SweepReport, sweep_batch
from civicpulse.sample.engine import Engine, Life
from civicpulse.sample.loader import About, read_sample
from civicpulse.sample.staff import Staff


class World(ABC):
    """A tenant and its time; each kind of sample adds what only its own lives need. `told` is its description.

    `staff`, `pack` and `engine` are there once the tenant is founded.
    """

    staff: Staff
    pack: Pack
    engine: Engine

    def __init__(self, name: str, services: Services, *, until: datetime, scale: float) -> None:
        self.name, self.services, self.until, self.scale = name, services, until, scale
        self.told = read_sample(name)
        self.about: About = self.told.tenant
        self.since = until - timedelta(days=self.about.days)
        self.many = round(self.about.reports * scale)
        self.rng = Random(self.about.seed)  # noqa: S311 - it decides what people write, not who may do what

    @property
    def tx(self) -> Tx:
        """Gives the open transaction."""
        return self.engine.tx

    def fence(self, zone: str) -> Mapping[str, Any] | None:  # noqa: ARG002 - for those who have a map
        """Draws the geofence of somebody who walks the heart of a zone."""
        return None

    async def settle(self, tx: Tx) -> None:  # noqa: B027 - not every tenant has people beside its staff
        """Makes the people who are there before the sample begins, beside the staff."""

    @abstractmethod
    def begin(self) -> None:
        """Starts the lives."""

    async def somebody(self, tx: Tx, who: str) -> tuple[Actor, str] | None:  # noqa: ARG002
        """Finds who is meant by a log-in that is no code of the staff, with a label; None where nobody is there."""
        return None

    def chance(self, probability: float) -> bool:
        """Draws whether something with this probability happens."""
        return self.rng.random() < probability

    def after(self, low: float, high: float) -> datetime:
        """Draws a moment between so many minutes from now."""
        return clock.now() + timedelta(minutes=self.rng.uniform(low, high))


def drawn(rng: Random, weights: Mapping[str, float]) -> str:
    """Draws one of the keys, by its weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


async def sweep_life(world: World) -> Life:
    """Sweeps the SLA clock as the worker would."""
    report = SweepReport()
    while True:
        while await sweep_batch(world.tx, now=clock.now(), report=report) == BATCH:
            pass
        yield clock.now() + timedelta(hours=world.about.swept_every_hours)


async def score_life(world: World) -> Life:
    """Computes the scores of one hour as the worker would."""
    await compute_scores(world.tx)
    return
    yield  # a life is a generator, though this one has nothing to wait for
