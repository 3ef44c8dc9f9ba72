"""HTTP of assignments: what another policy would have done."""

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import Field

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import answers
from civicpulse.base.web import Json, TransactionRoute
from civicpulse.base.wire import DayOrInstant, Wire, Word
from civicpulse.packs.store import began_here
from civicpulse.requests.assignment.simulating import simulate
from civicpulse.requests.views.simulation import SimulationView
from civicpulse.requests.visibility import reader_of
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["assignments"])

MAX_TICKETS = 5_000


class PolicyIn(Wire):
    """Fields to change in the pack's sections of these names; what is not named stays as it is."""

    assignment: dict[str, Any] = Field(default_factory=dict, description="Fields of AssignmentShape")
    distribution: dict[str, Any] = Field(default_factory=dict, description="Fields of DistributionShape")


class SimulationIn(Wire):
    """Which tickets, and the policy to try on them: created from `from` until before `to`, or listed."""

    policy: PolicyIn = PolicyIn()
    since: Annotated[DayOrInstant | None, Field(alias="from")] = None
    until: Annotated[DayOrInstant | None, Field(alias="to")] = None
    numbers: Annotated[list[Word] | None, Field(alias="request_ids", max_length=MAX_TICKETS)] = None
    limit: Annotated[int, Field(ge=1, le=MAX_TICKETS)] = 500


@router.post(
    "/assignments/simulate", summary="Try another assignment policy on past tickets", responses=answers(SimulationView)
)
async def simulate_assignments(body: SimulationIn, caller: Caller = needs(Permission.ASSIGNMENT_SIMULATE)) -> Response:
    """Shows before and after for each ticket, counts of changes and the load of each office and agent. Nothing is written."""
    since, until = await began_here(caller.tx, body.since, body.until)
    simulated = await simulate(
        caller.tx,
        body.policy.model_dump(),
        (await reader_of(caller)).reach,
        since=since,
        until=until,
        numbers=body.numbers,
        limit=body.limit,
    )
    return Json(simulated)
