"""The shapes of a city's description; what each field means is said in `data/city`, beside its value."""

from typing import Annotated

from pydantic import Field

from civicpulse.sample.shapes import Description, Lines, Shape, Share, Span, Weights

Stars = tuple[float, float, float, float, float]


class ZonePlan(Shape):
    """A district."""

    code: str
    name: str
    middle: tuple[float, float]
    share: float
    bearing: float
    landmarks: Lines
    streets: Lines


class Plan(Shape):
    """The map."""

    centre: tuple[float, float]
    limit: tuple[tuple[float, float], ...]
    metres_per_house: float
    hot_spots_per_zone: int
    zones: tuple[ZonePlan, ...]


class Kind(Shape):
    """How a category behaves."""

    share: float
    hours: str = "day"
    week: str = "city"
    months: dict[int, float] = Field(default_factory=dict)
    storm: float = 1.0
    noticed: Share = 0.0
    returns: Share = 0.0
    has_asset: bool = False
    tags: Lines = ()
    hazard: Share = 0.0
    mistaken_for: str | None = None
    round_the_clock: bool = False
    checklist: dict[str, bool] | None = None


class Demand(Shape):
    """What goes wrong, when, and who notices."""

    troubled_share: Share
    pressing: Share
    pressing_tags: Weights
    hours: dict[str, Annotated[tuple[float, ...], Field(min_length=24, max_length=24)]]
    weeks: dict[str, Annotated[tuple[float, ...], Field(min_length=7, max_length=7)]]
    kinds: dict[str, Kind]


class People(Shape):
    """Who lives there."""

    residents: int
    languages: Weights
    channels: Weights
    verified: Share
    given: dict[str, Lines]
    family: dict[str, Lines]


class Reporting(Shape):
    """How people report."""

    from_neighbours: Share
    by_phone: Share
    nameless: Share
    sources: Lines
    spam: Share
    wrong_category: Share
    out_of_town: Share
    out_of_town_degrees: float
    hidden: Share
    with_photo: Share
    with_details: Share
    with_note: Share
    pressed: Share


class Triage(Shape):
    """What operations do with a new report."""

    minutes: Weights
    forgotten: Share
    not_ours: Share
    other_priority: Share
    merged: Share
    unmerged: Share


class Work(Shape):
    """How crews work."""

    by_hand: Share
    pace_median: float
    pace_spread: float
    stuck: Share
    strain: float
    strain_days: float


class Verdict(Shape):
    """How reporters judge the work."""

    disputed: Share
    dispute_accepted: Share
    rated: Share
    rated_by_followers: Share
    stars_late: Stars
    stars_in_time: Stars


class CityLife(Shape):
    """How the city reports and works."""

    reporting: Reporting
    triage: Triage
    work: Work
    verdict: Verdict
    operations_hours: tuple[Span | None, ...]
    crew_hours: tuple[Span | None, ...]


class CityTexts(Shape):
    """What is written beside reports and talk."""

    details: Lines
    hazards: Lines
    spam: Lines
    internal_notes: Lines
    internal_answers: Lines
    notes: Lines
    escalation_reasons: Lines
    not_ours: Lines
    spam_reason: str
    reopened_reason: str
    by_hand_reason: str
    praised_for: Lines
    blamed_for: Lines
    checklist: dict[str, bool]
    photo_url: str


class CityDescription(Description):
    """A city: requests come by the API."""

    plan: Plan
    demand: Demand
    people: People
    life: CityLife
    reports: dict[str, dict[str, Lines]]
    talk: dict[str, dict[str, Lines]]
    texts: CityTexts
