"""What another assignment policy would have done."""

from uuid import UUID

from civicpulse.base.answers import View
from civicpulse.packs.shapes import AssignmentShape, DistributionShape


class PolicyView(View):
    """The pack's sections of these names."""

    assignment: AssignmentShape
    distribution: DistributionShape | None


class PoliciesView(View):
    """The policy in force and the one that was tried."""

    before: PolicyView
    after: PolicyView


class SimulationCountsView(View):
    """How many tickets, and of how many something would have changed."""

    tickets: int
    changed: int
    other_office: int
    other_agent: int
    unassigned_before: int
    unassigned_after: int


class OfficeLoadView(View):
    """How many of the tickets an office gets."""

    office: str
    before: int
    after: int


class AgentLoadView(View):
    """How many of the tickets an agent gets."""

    agent: str
    before: int
    after: int


class AssignedView(View):
    """Who really has it."""

    agent_id: UUID | None
    agent: str | None
    office: str | None


class ChosenView(AssignedView):
    """Whom a policy chooses, and why."""

    reason: str


class SimulatedTicketView(View):
    """One ticket under both policies."""

    request_id: str
    changed: bool
    assigned: AssignedView
    before: ChosenView
    after: ChosenView


class SimulationView(View):
    """Both policies on the same tickets."""

    policy: PoliciesView
    counts: SimulationCountsView
    offices: list[OfficeLoadView]
    agents: list[AgentLoadView]
    items: list[SimulatedTicketView]
