"""Analyses of a test city, with and without a language model of its own."""

from dataclasses import replace
from typing import Any

from llm_server import LlmServer

from civicpulse.base.services import Services
from civicpulse.packs.store import current_pack
from civicpulse.triage.analysis import Analysis, ReportText
from civicpulse.triage.analyst import analyse_batch
from conftest import City

HOLE = ReportText("There is a deep pothole in the right lane of Elm Street")


def with_llm(city: City, server: LlmServer, **changes: Any) -> Services:
    """The city's services with a model of its own to ask."""
    settings = replace(
        city.services.settings, llm_url=server.url, llm_model="small", **({"llm_timeout_seconds": 1.5} | changes)
    )
    return replace(city.services, settings=settings)


async def analysed(city: City, services: Services, *texts: ReportText) -> list[Analysis]:
    async with city.transaction() as tx:
        pack = await current_pack(tx)
    return await analyse_batch(services, city.tenant, pack, texts)


async def calls_of(city: City) -> list[dict[str, Any]]:
    async with city.transaction() as tx:
        return await tx.rows("SELECT * FROM llm_calls WHERE tenant_id = %s ORDER BY at", [tx.tenant_id])
