"""Every operation of the API, by every kind of caller, with whatever the document admits and much that it does not.

What comes back is declared (`declared.checker`), and never a fault of the product. `make fuzz` tries many more.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import requests
import schemathesis
from builders import add_agent, create, png
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok

from conftest import make_city

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
PICTURE = {"file": ("hole.png", png(), "image/png")}
# Words without which hardly any generated body gets past its first check.
TELLING = {
    "category": ("pothole", "graffiti", "streetlight"),
    "to": ("triaged", "assigned", "in_progress", "resolved", "closed"),
    "milestone": ("arrived", "work_started", "resolution"),
}
OWN_HEADERS = ("authorization", "x-tenant", "content-length")
ROLES = (None, "citizen", "agent", "dispatcher", "supervisor", "admin")
EXAMPLES = int(os.environ.get("CIVICPULSE_FUZZ_EXAMPLES", "20"))
FOUND = schemathesis.openapi.from_path(DOCUMENT).get_all_operations()
OPERATIONS = {one.ok().label: one.ok() for one in FOUND if isinstance(one, Ok)}
MODES = {mode: {label: one.as_strategy(mode) for label, one in OPERATIONS.items()} for mode in GenerationMode}


@dataclass(frozen=True)
class Town:
    """A tenant with one of each thing, a caller of each role, and the names by which the things are asked for."""

    callers: dict[str | None, httpx.AsyncClient]
    names: dict[str, list[str]]


@pytest.fixture(scope="module")
async def town(app: FastAPI, database_url: str) -> Town:
    """A small town; what the calls change in it stays for the calls after."""
    city = await make_city(app, database_url)
    callers = {role: await city.client(role) for role in ROLES}
    admin, anybody = callers["admin"], callers[None]
    numbers = [(await create(anybody, lat=40.0 + number))["request_id"] for number in range(4)]
    ann = {"profile": {"name": "Ann"}, "contacts": {"email": "ann@city.test"}}
    photo = (await admin.post(f"/requests/{numbers[0]}/evidence", files=PICTURE)).json()
    report = (await anybody.post("/reports", json={"description": "A deep hole"})).json()
    names = {
        "number": numbers,
        "other": numbers,
        "ticket_id": numbers,
        "agent_id": [(await add_agent(admin))["_id"]],
        "citizen_id": [(await admin.post("/citizens", json=ann)).json()["_id"]],
        "report_id": [report["id"]],
        "evidence_id": [photo["items"][0]["url"].rpartition("/")[2]],
        "slug": [city.tenant.slug],
        "version": ["1"],
    }
    return Town(callers, names)


@pytest.mark.parametrize("label", OPERATIONS)
@settings(max_examples=EXAMPLES)
@given(role=st.sampled_from(ROLES), mode=st.sampled_from(GenerationMode), data=st.data(), chance=st.randoms())
async def test_no_call_makes_the_product_fail(
    town: Town, label: str, role: str | None, mode: GenerationMode, data: st.DataObject, chance: random.Random
) -> None:
    case: Case = data.draw(MODES[mode][label])
    parameters, body = case.path_parameters or {}, case.body if isinstance(case.body, dict) else {}
    for given_fields, telling in ((parameters, town.names), (body, TELLING)):
        for name in sorted(given_fields.keys() & telling.keys()):
            if chance.random() < 0.7:
                given_fields[name] = chance.choice(telling[name])
    asked = requests.Request(**case.as_transport_kwargs(base_url="http://city.test")).prepare()
    headers = {name: str(value) for name, value in asked.headers.items() if name.lower() not in OWN_HEADERS}
    content = asked.body.encode() if isinstance(asked.body, str) else asked.body
    assert content is None or isinstance(content, bytes)
    await town.callers[role].request(str(asked.method), str(asked.url), headers=headers, content=content)
