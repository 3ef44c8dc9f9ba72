"""The shapes in which citizens and agents leave (R-PRIV-01)."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from civicpulse.base.answers import View, optional

Channel = Literal["email", "sms", "none"]


class VerificationView(View):
    """Whether a contact was proved; `expires_at` of the code that was just sent."""

    state: Literal["verified", "unverified"]
    method: str
    verified_at: datetime | None
    expires_at: datetime = optional()


class CitizenContactsView(View):
    """How to reach a citizen, masked for those who may not see it."""

    email: str | None
    phone: str | None


class PrivacyView(View):
    """What a citizen wants to be seen of."""

    default_anonymous: bool
    share_publicly_on_map: bool


class WishesView(View):
    """What a citizen wants to hear of."""

    on_status_change: bool
    on_resolution: bool


class PreferencesView(View):
    """A citizen's choices."""

    preferred_contact: Channel
    language: str
    privacy: PrivacyView
    notifications: WishesView


class AddressView(View):
    """Roughly where a citizen lives."""

    neighborhood: str | None
    city: str | None
    zone_id: str | None


class CitizenStatsView(View):
    """All that a citizen reported."""

    total_requests: int
    avg_rating: float | None


class CitizenKpisView(View):
    """What a citizen reported and what became of it."""

    open_requests: int
    resolved_requests: int


class CitizenView(View):
    """A citizen's profile."""

    id: UUID = Field(alias="_id")
    full_name: str | None
    verification: VerificationView
    contacts: CitizenContactsView
    preferences: PreferencesView
    address: AddressView
    stats: CitizenStatsView
    kpis: CitizenKpisView
    created_at: datetime


class VerifiedCitizenView(CitizenView):
    """A citizen whose code came back, with a token to act as them, shown this once."""

    token: str
    token_expires_at: datetime


class CodeSentView(View):
    """A code is on its way."""

    id: UUID = Field(alias="_id")
    verification: VerificationView


class FenceView(View):
    """A GeoJSON polygon in degrees."""

    type: Literal["Polygon"]
    coordinates: list[list[tuple[float, float]]]


class CoverageView(View):
    """Where an agent works."""

    zone_ids: list[str]
    geo_fence: FenceView | None


class ShiftView(View):
    """A weekly shift on the agent's wall clock."""

    day: str
    start: str
    end: str


class ScheduleView(View):
    """When an agent works."""

    timezone: str
    shifts: list[ShiftView]
    on_call: bool


class AgentContactsView(View):
    """How to reach an agent, masked for other agents."""

    phone: str | None


class AgentView(View):
    """An agent or team; the last three where they belong to an office."""

    id: UUID = Field(alias="_id")
    agent_code: str
    name: str
    department: str
    skills: list[str]
    coverage: CoverageView
    schedule: ScheduleView
    contacts: AgentContactsView
    roles: list[str]
    active: bool
    created_at: datetime
    office_id: UUID = optional()
    position: str = optional()
    base_load: int = optional()


class ListedAgentView(AgentView):
    """An agent with their open work."""

    open_load: int
    on_shift_now: bool


class ByPriorityView(View):
    """Open requests by priority."""

    P1: int
    P2: int
    P3: int
    P4: int


class WorkloadView(View):
    """An agent's open work."""

    open: int
    assigned: int
    in_progress: int
    by_priority: ByPriorityView


class PerformanceView(View):
    """How the last 30 days went."""

    resolved_30d: int
    avg_resolution_minutes: float | None
    sla_met_pct: float | None
    avg_rating: float | None
    escalations: int


class AgentProfileView(AgentView):
    """An agent with workload and performance.

    Both are over all of the agent's requests: null for who does not see all, unless it is themselves. `/analytics/agents` has the
    figures of what one sees.
    """

    workload: WorkloadView | None
    performance: PerformanceView | None
    on_shift_now: bool
    next_shift_start: datetime | None
