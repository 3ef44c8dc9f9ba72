"""Who lives in the sample city: citizens with languages, wishes and more or less zeal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from civicpulse.base.db import Tx
from civicpulse.base.events import Actor
from civicpulse.base.ids import id_at
from civicpulse.packs.model import Pack
from civicpulse.people import queries
from civicpulse.people.citizens import record_citizen
from civicpulse.sample.city import Zone
from civicpulse.sample.loader import Part
from civicpulse.sample.staff import acting
from civicpulse.sample.world import drawn


@dataclass(frozen=True, slots=True)
class Resident:
    """A registered citizen; `zeal` is how readily they write and rate."""

    id: UUID
    actor: Actor
    language: str
    zone: str
    channel: str
    zeal: float
    verified: bool


@dataclass(frozen=True, slots=True)
class Town:
    """Where people settle; `name` is what stands behind their neighbourhood in an address."""

    name: str
    zones: Sequence[Zone]
    people: Part
    pack: Pack

    async def settle(self, tx: Tx, rng: Random, *, many: int, before: datetime) -> list[Resident]:
        """Registers `many` citizens in the year before the sample begins.

        They are stored below the registration's one-time codes, which cost 40 ms of hashing each and would go nowhere.
        So no contact is proven, and nothing is ever sent to the made-up addresses: messages to these citizens stay in
        the app.
        """
        days = enumerate(sorted(rng.uniform(1, 300) for _ in range(many)))
        return [await self._settle_one(tx, rng, number, before - timedelta(days=day)) for number, day in days]

    async def _settle_one(self, tx: Tx, rng: Random, number: int, at: datetime) -> Resident:
        language = drawn(rng, self.people.languages)
        zone = rng.choices(self.zones, [zone.share for zone in self.zones])[0]
        channel = drawn(rng, self.people.channels)
        citizen_id, verified = id_at(at), rng.random() < self.people.verified
        preferences = {
            "preferred_contact": channel,
            "language": language,
            "privacy": {"default_anonymous": rng.random() < 0.06, "share_publicly_on_map": rng.random() < 0.9},
            "notifications": {"on_status_change": rng.random() < 0.8, "on_resolution": rng.random() < 0.95},
        }
        row: dict[str, Any] = {
            "id": citizen_id,
            "full_name": f"{rng.choice(self.people.given[language])} {rng.choice(self.people.family[language])}",
            "email": f"resident{number:03}@example.org" if channel != "sms" or rng.random() < 0.5 else None,
            "phone": f"+12015550{number:03}" if channel == "sms" or rng.random() < 0.3 else None,
            "preferences": preferences,
            "neighborhood": zone.name,
            "city": self.name,
            "zone_id": zone.code,
            "created_at": at,
        }
        actor = acting(self.pack, "citizen", citizen_id)
        await queries.add_citizen(tx, row)
        channels = [name for name, column in (("email", "email"), ("sms", "phone")) if row[column]]
        meta = {"channels": channels, "zone_id": zone.code}
        await record_citizen(tx, actor, citizen_id, type="citizen.created", at=at, meta=meta)
        if verified:
            proven_at, meta = at + timedelta(minutes=rng.randint(1, 9)), {"channel": channel}
            await queries.set_verified(tx, citizen_id, at=proven_at)
            await record_citizen(tx, actor, citizen_id, type="citizen.verified", at=proven_at, meta=meta)
        return Resident(citizen_id, actor, language, zone.code, channel, rng.betavariate(2, 3), verified)
