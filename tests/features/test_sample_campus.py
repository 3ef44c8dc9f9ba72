"""The sample campus: its reports went through the inbox, and its figures hang together."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from audit_support import verified
from fastapi import FastAPI

from civicpulse.base.db import Row
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.sample.build import build_sample

SLUG = "lakeside-university"
UNTIL = datetime(2025, 6, 30, 18, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
async def campus(app: FastAPI, database_url: str) -> tuple[Services, Tenant, dict[str, Any]]:
    services: Services = app.state.services
    answer = await build_sample(services, "campus", until=UNTIL, scale=0.4)
    tenant = await services.tenants.by_slug(SLUG)
    assert tenant is not None
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        await owner.execute("UPDATE tenants SET slug = slug || '-aside' WHERE slug = %s", [SLUG])
    await services.tenants.refresh()
    return services, tenant, answer


async def rows(campus: tuple[Services, Tenant, dict[str, Any]], statement: str) -> list[Row]:
    services, tenant, _ = campus
    async with services.db.transaction(tenant) as tx:
        return await tx.rows(statement)


async def test_every_report_is_a_request_or_waits_for_the_worker(campus) -> None:
    (figures,) = await rows(
        campus,
        "SELECT count(*) AS reports, count(*) FILTER (WHERE state = 'processed') AS processed,"
        " count(*) FILTER (WHERE state = 'parked') AS parked, (SELECT count(*) FROM requests) AS requests,"
        " (SELECT count(*) FROM analyses) AS analyses FROM reports",
    )
    assert 70 <= figures["reports"] <= 80
    assert figures["parked"] == 0
    assert figures["processed"] == figures["requests"] == figures["analyses"]


async def test_buildings_are_found_by_their_names_and_work_gets_done(campus) -> None:
    (figures,) = await rows(
        campus,
        "SELECT avg((zone_id <> 'UNZONED')::int)::float8 AS placed, avg((lon IS NULL)::int)::float8 AS in_words,"
        " avg((state_category IN ('resolved', 'closed'))::int)::float8 AS done,"
        " bool_and(resolved_at IS NULL OR resolved_at >= created_at) AS in_order FROM requests",
    )
    assert figures["placed"] > 0.85
    assert figures["in_words"] > 0.4
    assert 0.6 < figures["done"] < 1
    assert figures["in_order"]


async def test_the_trail_holds_and_there_is_a_log_in_for_the_desk(campus) -> None:
    services, tenant, answer = campus
    found = await verified(services, tenant)
    assert (found.faults, found.events > 300, found.unvouched) == ({}, True, 0)
    assert [login["role"] for login in answer["tokens"]] == ["admin", "dispatcher", "agent"]
