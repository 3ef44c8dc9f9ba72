"""The shapes in which SLA metrics, scores and rankings leave (R-SLA-08, R-KPI-05, R-KPI-06)."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from civicpulse.base.answers import Page, View, optional
from civicpulse.requests.views.request import Priority, Severity


class SlaMetricView(View):
    """How a resolution stood against its threshold."""

    id: UUID
    request_id: str
    category: str
    priority: Priority
    severity: Severity
    zone_id: str
    resolution_time_hours: float
    threshold_hours: float | None
    met_sla: bool | None
    judged_by: str
    due_at: datetime | None
    resolved_at: datetime
    calculated_at: datetime
    superseded_at: datetime | None


class SlaMetricsComputedView(View):
    """Whose days are meant."""

    time_zone: str


class SlaMetricsPage(Page[SlaMetricView]):
    """A page of SLA metrics."""

    computed: SlaMetricsComputedView


class TrendView(View):
    """A score against an earlier one."""

    before: float | None
    change: float | None
    direction: Literal["up", "down", "flat"] | None


class FiguresView(View):
    """The parts of a score; null where there is nothing to judge."""

    score: float | None
    compliance_rate: float | None
    speed: float | None
    avg_resolution_hours: float | None


class TrendsView(View):
    """Against the day and the month before."""

    day: TrendView = Field(alias="24h")
    month: TrendView = Field(alias="30d")


class WeightsView(View):
    """Shares of the score's parts."""

    compliance: float
    speed: float


class ScoreOfZoneView(FiguresView):
    """One score with its parts and its trend; `zone_id` null is the whole tenant."""

    id: UUID
    zone_id: str | None
    name: str | None
    metric_type: Literal["overall"]
    resolved_count: int
    open_count: int
    met_count: int
    missed_count: int
    closed_count: int
    trend: TrendsView
    weights: WeightsView
    window_days: int
    hour: datetime
    calculated_at: datetime
    note: str | None


class ScoresComputedView(View):
    """Of which hour, for whom, and how scores come about."""

    latest_hour: datetime | None
    history: bool
    public_only: bool
    time_zone: str
    note: str | None
    how: dict[str, str]


class ScoresPage(Page[ScoreOfZoneView]):
    """A page of scores."""

    computed: ScoresComputedView


class RankView(FiguresView):
    """A zone, an office, a manager, or a tenant that chose to be compared, with its rank; null without a score.

    A tenant that no score was calculated for yet stands there with null in each figure.
    """

    resolved_count: int | None
    open_count: int | None
    rank: int | None
    rank_change: int | None
    name: str
    zone_id: str = optional()
    office_id: UUID = optional()
    manager_id: UUID = optional()
    slug: str = optional()
    type: str = optional()
    trend: TrendView
    calculated_at: datetime | None


class Leaderboard(Page[RankView]):
    """A page of ranks."""

    scope: Literal["zones", "offices", "managers", "tenants"]


class RecalculatedView(View):
    """How many scores were written, and the tenant's own."""

    written: int
    tenant: ScoreOfZoneView
