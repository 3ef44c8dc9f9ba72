"""All samples of a first start: a city, a campus, a contact centre, each lived up to this moment."""

from typing import Any

from rich.console import Console

from civicpulse.base import clock
from civicpulse.base.services import Services
from civicpulse.sample.build import analyze, build_sample
from civicpulse.sample.campus import build_campus


async def build_samples(services: Services, *, say: Console) -> dict[str, Any]:
    """{"tenants": [{"tenant", "name", "tokens": [{"role", "token", "label"}]}]}; the first is who a caller without a name means."""
    until = clock.now()
    city = await build_sample(services, say=say, until=until)
    with say.status("sample    the campus reports"):
        campus = await build_campus(services, until=until)
    await analyze(services)
    return {"tenants": [city, campus]}
