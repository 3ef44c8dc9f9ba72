"""All samples of a first start: a city, a campus, a contact centre, each lived up to this moment."""

from typing import Any

from rich.console import Console

from civicpulse.base import clock
from civicpulse.base.clients.storage import Storage
from civicpulse.base.services import Services
from civicpulse.sample.build import analyze, build_sample
from civicpulse.sample.campus import build_campus
from civicpulse.sample.centre import build_centre
from civicpulse.sample.tenant import measure


async def build_samples(services: Services, *, say: Console) -> dict[str, Any]:
    """{"tenants": [{"tenant", "name", "tokens": [{"role", "token", "label"}]}]}; the first is who a caller without a name means."""
    until, storage = clock.now(), Storage(services.settings.storage_url)
    made = [await build_sample(services, say=say, until=until)]
    with say.status("sample    a campus"):
        made.append(await build_campus(services, until=until))
    with say.status("sample    a contact centre"):
        made.append(await build_centre(services, storage, until=until))
    await analyze(services)
    for sample in made[1:]:
        tenant = await services.tenants.by_slug(sample["tenant"])
        assert tenant is not None, "the tenant was made a moment ago"
        await measure(services, tenant, at=until)
    return {"tenants": made}
