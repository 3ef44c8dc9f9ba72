"""The shapes in which analytics leave: key figures, cohorts, agents' figures and map feeds."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from civicpulse.base.answers import Page, View, optional
from civicpulse.places.views import Box, PolygonView
from civicpulse.requests.views.request import Priority


class PeriodView(View):
    """Half-open: from <= instant < to; null is open."""

    since: datetime | None = Field(alias="from")
    until: datetime | None = Field(alias="to")


class FiltersView(View):
    """The filters as they were understood; `public_only` for everybody but staff."""

    public_only: bool
    zone_id: list[str] = optional()
    category: list[str] = optional()
    priority: list[Priority] = optional()
    status: list[str] = optional()


# ------------------------------------------------------------------------------------------------------------ key figures


class SlaFiguresView(View):
    """Masters with an SLA by how they stand."""

    with_sla: int
    met: int
    missed: int
    on_time: int
    at_risk: int
    overdue: int
    breached: int
    met_pct: float | None
    breach_pct: float | None


class ResolutionView(View):
    """How long it took."""

    count: int
    avg_minutes: float | None
    median_minutes: float | None
    median_method: Literal["exact"]


class RatingsView(View):
    """What reporters thought."""

    count: int
    average: float | None
    by_score: dict[Literal["1", "2", "3", "4", "5"], int]
    disputes: int


class TotalsView(View):
    """The measures of everything that was asked for; `by_state` is the backlog."""

    requests: int
    masters: int
    duplicates: int
    backlog: int
    by_state: dict[str, int]
    sla: SlaFiguresView
    resolution: ResolutionView
    ratings: RatingsView
    escalations: int


class MeasuresView(View):
    """The measures of one row of a breakdown."""

    requests: int
    masters: int
    duplicates: int
    backlog: int
    resolved: int
    avg_resolution_minutes: float | None
    sla_met: int
    sla_missed: int
    at_risk: int
    overdue: int
    breached: int
    breach_pct: float | None
    ratings: int
    avg_rating: float | None
    disputes: int
    escalations: int


class ZoneMeasuresView(MeasuresView):
    """A zone."""

    zone_id: str


class CategoryMeasuresView(MeasuresView):
    """A category."""

    category: str


class PriorityMeasuresView(MeasuresView):
    """A priority."""

    priority: Priority


class PeriodMeasuresView(MeasuresView):
    """A day, ISO week or month."""

    period: str
    start: date


class KpisComputedView(View):
    """What was asked for, as of when, and how the figures come about."""

    period: PeriodView
    grain: Literal["day", "week", "month"]
    filters: FiltersView
    generated_at: datetime
    time_zone: str
    how: dict[str, str]


class KpisView(View):
    """Totals and the breakdowns that were asked for."""

    totals: TotalsView
    by_zone: list[ZoneMeasuresView] = optional()
    by_category: list[CategoryMeasuresView] = optional()
    by_priority: list[PriorityMeasuresView] = optional()
    by_period: list[PeriodMeasuresView] = optional()
    computed: KpisComputedView


# ---------------------------------------------------------------------------------------------------------------- cohorts


class CohortTotalsView(View):
    """All first reports of the period."""

    first_reports: int
    repeated: int
    repeats: int
    recurrence_rate: float | None


class CohortView(CohortTotalsView):
    """The first reports of one ISO week."""

    week: str
    start: date
    median_days_to_repeat: float | None


class WorstPlaceView(View):
    """Where most came back."""

    cell: str
    lon: float
    lat: float
    category: str
    count: int
    repeats: int


class CohortsComputedView(View):
    """What was asked for, as of when, and how the figures come about."""

    period: PeriodView
    days: int
    filters: FiltersView
    generated_at: datetime
    time_zone: str
    how: dict[str, str]


class CohortsView(View):
    """What comes back at the same place."""

    totals: CohortTotalsView
    cohorts: list[CohortView]
    worst_places: list[WorstPlaceView]
    computed: CohortsComputedView


# ----------------------------------------------------------------------------------------------------------------- agents


class AgentFiguresView(View):
    """An agent's open work now, and what they did in the period."""

    agent_id: UUID
    agent_code: str
    name: str
    department: str
    active: bool
    open: int
    in_progress: int
    overdue: int
    breached: int
    assigned: int
    resolved: int
    avg_resolution_minutes: float | None
    sla_met_pct: float | None
    avg_rating: float | None
    ratings: int
    escalations: int


class AgentsComputedView(View):
    """The period, as of when."""

    period: PeriodView
    generated_at: datetime
    time_zone: str


class AgentFiguresPage(Page[AgentFiguresView]):
    """A page of agents by code."""

    computed: AgentsComputedView


# -------------------------------------------------------------------------------------------------------------- map feeds


class PointView(View):
    """A GeoJSON point."""

    type: Literal["Point"]
    coordinates: tuple[float, float]


class HeatView(View):
    """A request, or a cell with those in it."""

    weight: float
    request_id: str = optional()
    category: str = optional()
    priority: Priority = optional()
    age_hours: float = optional()
    cell: str = optional()
    count: int = optional()


class ClusterView(View):
    """A group and the zoom at which it falls apart, or a single request."""

    cluster: bool
    count: int
    weight: float
    cell: str = optional()
    expansion_zoom: int = optional()
    request_id: str = optional()
    category: str = optional()
    priority: Priority = optional()
    status: str = optional()


class ZoneFiguresView(View):
    """What is open in a zone now, and what was resolved lately."""

    zone_id: str
    name: str
    open: int
    backlog: int
    at_risk: int
    overdue: int
    breached: int
    weight: float
    resolved_30d: int
    avg_resolution_hours: float | None


class HeatFeature(View):
    """A weighted point."""

    type: Literal["Feature"]
    properties: HeatView
    geometry: PointView


class ClusterFeature(View):
    """A group at its middle, a single request at its place."""

    type: Literal["Feature"]
    properties: ClusterView
    geometry: PointView


class ZoneFiguresFeature(View):
    """A zone's polygon; null for what lies outside every zone that has one."""

    type: Literal["Feature"]
    properties: ZoneFiguresView
    geometry: PolygonView | None


class AggregationView(View):
    """How the features came about, and how many requests are in them.

    `left_out`: how many others are on no map, as they have no place, or one of which only the town or the region is known.
    """

    method: str
    weight_formula: str
    unit: Literal["request", "cell", "zone"]
    count: int
    left_out: int = optional()
    h3_resolution: int = optional()
    tile_hint: str = optional()


class FeedFiltersView(View):
    """The filters by their public names, with what else makes it another feed: `sight` of readers who see a part only."""

    status_in: list[str]
    zone_id: str | None
    zone_in: list[str]
    category_in: list[str]
    priority_in: list[Priority]
    bbox: Box | None
    public_only: bool
    sight: dict[str, str] = optional()
    max_points: int = optional()
    zoom: int = optional()


class FeedView(View):
    """A GeoJSON feature collection with what it is a feed of."""

    type: Literal["FeatureCollection"]
    feed_name: str
    generated_at: datetime
    filters: FeedFiltersView
    aggregation: AggregationView
    features: list[Any]


class HeatmapFeed(FeedView):
    """Open requests weighted by priority and age."""

    features: list[HeatFeature]


class ClustersFeed(FeedView):
    """Open requests grouped for a zoom."""

    features: list[ClusterFeature]


class ZonesFeed(FeedView):
    """Zones with their figures."""

    features: list[ZoneFiguresFeature]
