"""Who works for a sample tenant, and who acts there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from civicpulse.accounts.callers import Caller
from civicpulse.base.db import Tx
from civicpulse.base.events import SYSTEM, Actor
from civicpulse.packs.model import Pack
from civicpulse.people import agents
from civicpulse.people.schemas import AgentIn
from civicpulse.sample.loader import About, Post


@dataclass(frozen=True, slots=True)
class Worker:
    """A member of staff as the simulation sees them; `pace` is above 1 for those who take their time."""

    id: UUID
    post: Post
    actor: Actor
    pace: float


@dataclass(frozen=True, slots=True)
class Staff:
    """Everybody who works for the tenant, by code and by id; `crews` are those with skills."""

    by_code: dict[str, Worker]
    by_id: dict[UUID, Worker]
    crews: tuple[Worker, ...]

    def of_role(self, role: str) -> tuple[Worker, ...]:
        """Lists the workers of that role."""
        return tuple(worker for worker in self.by_code.values() if worker.post.role == role)


def acting(pack: Pack, role: str, actor_id: object) -> Actor:
    """Makes the actor who is somebody of the tenant in that role."""
    return Actor.of(pack.roles.named[role], str(actor_id))


def stranger(pack: Pack) -> Actor:
    """Makes the actor who is somebody without an account."""
    return Actor.of(pack.roles.anonymous, None)


async def hire(
    tx: Tx, about: About, pack: Pack, rng: Random, fence: Callable[[str], Mapping[str, Any] | None]
) -> Staff:
    """Makes the agents through the product's own action; `fence` gives the geofence of a post that names a zone for it."""
    caller = Caller(tx, SYSTEM, None, None, None)
    workers = []
    for post in about.staff:
        made = await agents.create(caller, _wanted(post, about.timezone, fence(post.fence) if post.fence else None))
        workers.append(
            Worker(made["_id"], post, acting(pack, post.role, made["_id"]), round(rng.uniform(0.75, 1.3), 2))
        )
    by_code, by_id = {worker.post.code: worker for worker in workers}, {worker.id: worker for worker in workers}
    return Staff(by_code, by_id, tuple(worker for worker in workers if worker.post.skills))


def _wanted(post: Post, timezone: str, fence: Mapping[str, Any] | None) -> AgentIn:
    shifts = [{"day": day, "start": post.hours[0], "end": post.hours[1]} for day in post.days]
    return AgentIn.model_validate(
        {
            "agent_code": post.code,
            "name": post.name,
            "department": post.department,
            "skills": post.skills,
            "coverage": {"zone_ids": post.zones, "geo_fence": fence},
            "schedule": {"timezone": timezone, "shifts": shifts, "on_call": post.on_call},
            "contacts": {"phone": post.phone} if post.phone else {},
            "roles": ("agent",) if post.role == "agent" else ("agent", post.role),
        }
    )
