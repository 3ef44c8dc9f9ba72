"""What a problem document must look like."""

from typing import Any

import httpx

from civicpulse.base import clock
from civicpulse.requests.deadlines.sweep import BATCH, SweepReport, sweep_batch
from conftest import City


def problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem document of `answer`, which must have that status and, when given, that code."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "code", "detail", "instance"} <= document.keys()
    assert document["status"] == status
    if code is not None:
        assert document["code"] == code, document
    return document


async def sweep_city(city: City) -> SweepReport:
    """A sweep of this tenant alone: other tests forge trails in theirs, and a forged trail cannot be swept."""
    report = SweepReport()
    taken = BATCH
    while taken == BATCH:
        async with city.transaction() as tx:
            taken = await sweep_batch(tx, now=clock.now(), report=report)
    return report
