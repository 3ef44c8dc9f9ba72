"""What every sample does: found a tenant, give out log-ins, and let go of what nobody is to hear of any more."""

import json
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from civicpulse.accounts.tenants import create_tenant
from civicpulse.accounts.tokens import create_token
from civicpulse.base import clock
from civicpulse.base.db import Tx
from civicpulse.base.events import Actor
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.insight.jobs import measure_tenant
from civicpulse.insight.scores.scores import compute_scores
from civicpulse.packs.loader import read_pack
from civicpulse.places.zones import import_zones

EMPTY_OUTBOX = "DELETE FROM outbox WHERE tenant_id = %(tenant_id)s"


async def found_tenant(
    services: Services, *, slug: str, name: str, kind: str, pack: str, zones: dict[str, Any] | None = None
) -> Tenant:
    """A tenant with a shipped pack and, where given, zones (GeoJSON features with `zone_id` and `name`)."""
    url = services.settings.migration_url or services.settings.database_url
    document = read_pack(pack).model_dump(mode="json")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        tenant = await create_tenant(owner, slug=slug, name=name, kind=kind, pack_document=document)
    if zones is not None:
        await _put_zones(services, tenant, zones)
    await services.tenants.refresh()
    founded = await services.tenants.by_slug(slug)
    assert founded is not None, "the tenant was made a moment ago"
    return founded


async def _put_zones(services: Services, tenant: Tenant, zones: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "zones.geojson"
        file.write_text(json.dumps(zones))
        async with services.db.transaction(tenant) as tx:
            await import_zones(tx, file, code_property="zone_id", name_property="name")


async def log_in(tx: Tx, who: Actor, label: str) -> dict[str, str]:
    """A token for `who`, as the list of log-ins has it."""
    token = await create_token(tx, role=who.role, actor_id=UUID(who.id), label=label)
    return {"role": who.role, "token": token, "label": label}


async def forget_outbox(tx: Tx) -> None:
    """What happened in a sample's past is told to nobody."""
    await tx.run(EMPTY_OUTBOX, {"tenant_id": tx.tenant_id})


async def measure(services: Services, tenant: Tenant, *, at: datetime) -> None:
    """What the worker would have worked out by then: SLA metrics and scores."""
    await measure_tenant(services, tenant)
    with clock.at(at):
        async with services.db.transaction(tenant) as tx:
            await compute_scores(tx)
