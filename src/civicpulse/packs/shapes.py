"""The parts of a pack as they stand in YAML and JSON: shapes and limits of single fields."""

import re
from datetime import date
from functools import cache
from string import Formatter
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from civicpulse.packs.order import with_order
from civicpulse.rules.duplicates import DuplicatePolicy
from civicpulse.rules.lifecycle import Reopening

# What a message may say; anything else in braces is refused, so a template cannot reach into objects.
PLACEHOLDERS = frozenset(
    {
        "address", "category", "code", "level", "master_request_id", "minutes", "name", "priority", "reason",
        "request_id", "status", "tenant", "url",
    }
)  # fmt: skip

_WINDOW = re.compile(r"((?:[01]\d|2[0-3]):[0-5]\d)-((?:[01]\d|2[0-3]):[0-5]\d|24:00)")


@cache
def _timezones() -> frozenset[str]:
    """Lists the names that Python and PostgreSQL both know; `localtime` is one on some machines only."""
    return frozenset(available_timezones() - {"localtime"})


def _known_timezone(name: str) -> str:
    if name not in _timezones():
        raise ValueError(f"unknown time zone {name!r}")
    return name


def _known_placeholders(template: str) -> str:
    for _, field, spec, conversion in Formatter().parse(template):
        if field is not None and (field not in PLACEHOLDERS or spec or conversion):
            raise ValueError(f"unknown placeholder {{{field}}}: one of {', '.join(sorted(PLACEHOLDERS))}")
    return template


def _readable_window(window: str) -> str:
    if not _WINDOW.fullmatch(window):
        raise ValueError(f"{window!r} is not a window HH:MM-HH:MM")
    return window


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Label = Annotated[str, Field(min_length=1, max_length=200)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$")]
Priority = Literal["P1", "P2", "P3", "P4"]
Timezone = Annotated[str, AfterValidator(_known_timezone)]
Template = Annotated[str, Field(max_length=4000), AfterValidator(_known_placeholders)]
Window = Annotated[str, AfterValidator(_readable_window)]
MAX_HOURS = 100_000
Hours = Annotated[float, Field(gt=0, le=MAX_HOURS, allow_inf_nan=False)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Shape(BaseModel):
    """Base of every part: frozen, and a field that nobody reads is an error, not a surprise."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class SubCategory(Shape):
    """A finer kind; `skills`, when given, replace those of the category."""

    id: Name
    name: Label
    names: dict[Language, Label] = {}
    skills: tuple[Name, ...] | None = None


class Category(Shape):
    """What people can report. `names` and `keywords` are by language; `examples` are sentences as people write them;
    `recommendations` say, by language, what staff should do with such a report.

    `dedupe` off: equal reports at one place are lawful repeats. `attach` off: duplicates are proposed, and attached at once for an equal asset only.
    `neighbours` and the radii and hours: see `DuplicatePolicy`; left out, the tenant's count. `public`: on the public map.
    """

    id: Name
    name: Label
    names: dict[Language, Label] = {}
    description: str = Field(default="", max_length=1000)
    group: Label
    skills: tuple[Name, ...] = ()
    default_priority: Priority = "P3"
    sub_categories: tuple[SubCategory, ...] = ()
    keywords: dict[Language, tuple[Label, ...]] = {}
    examples: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] = ()
    recommendations: dict[Language, Annotated[str, Field(min_length=1, max_length=500)]] = {}
    compatible_with: tuple[Name, ...] = ()
    dedupe: bool = True
    public: bool = True
    radius_m: float | None = Field(default=None, gt=0, le=5000)
    window_hours: Hours | None = None
    attach: bool = True
    neighbours: bool = False
    attach_radius_m: float | None = Field(default=None, ge=0, le=5000)
    attach_hours: float | None = Field(default=None, ge=0)
    address_hours: float | None = Field(default=None, ge=0)
    color: str = Field(default="#667382", pattern=r"^#[0-9a-f]{6}$")
    icon: str = Field(default="map-pin", pattern=r"^[a-z0-9-]+$")

    def name_in(self, language: str) -> str:
        """Finds the name in that language, else in the pack's own."""
        return self.names.get(language, self.name)

    def sub_category(self, sub_category_id: str | None) -> SubCategory | None:
        """Finds the finer kind of that id, or None."""
        return next((sub for sub in self.sub_categories if sub.id == sub_category_id), None)

    @property
    def all_keywords(self) -> tuple[str, ...]:
        """The keywords of all languages."""
        return tuple(word for words in self.keywords.values() for word in words)


class StateShape(Shape):
    """A state; `timestamp` is the field that is set on entry."""

    category: Literal["open", "waiting", "resolved", "closed"]
    timestamp: str | None = Field(default=None, pattern=r"^[a-z_]+_at$")
    title: Label
    titles: dict[Language, Label] = {}


class TransitionShape(Shape):
    """An edge from state to state. In `requires`, "a|b" means that one of them suffices."""

    source: Name = Field(alias="from")
    target: Name = Field(alias="to")
    roles: tuple[Name, ...] = Field(min_length=1)
    requires: tuple[Annotated[str, Field(pattern=r"^[a-z_.]+(\|[a-z_.]+)*$")], ...] = ()
    when: tuple[Name, ...] = ()


class WorkflowShape(Shape):
    """States and transitions; its version is what a request remembers as `transition_rules_version`.

    `order` is the order in which people see the states: left out, that in which they are written.
    `reopening`: what the clock makes of the time between the end of the work and a dispute that opens it again.
    """

    version: Label
    initial: Name
    states: dict[Name, StateShape] = Field(min_length=1)
    order: tuple[Name, ...] = ()
    transitions: tuple[TransitionShape, ...]
    reopening: Reopening = "counts"

    @model_validator(mode="before")
    @classmethod
    def _in_order(cls, raw: Any) -> Any:
        sound = (
            isinstance(raw, dict)
            and isinstance(raw.get("states"), dict)
            and isinstance(raw.get("order", ()), list | tuple)
        )
        if not sound or not all(isinstance(name, str) for name in raw.get("order", ())):
            return raw  # the fields say what is wrong
        return with_order(raw)


class CalendarShape(Shape):
    """Working hours by weekday, in the pack's time zone unless another is named; `always` means 24x7."""

    timezone: Timezone | None = None
    always: bool = False
    windows: dict[Day, tuple[Window, ...]] = {}
    holidays: tuple[date, ...] = ()


class EscalationStep(Shape):
    """A rung of the ladder: after so many working hours do `action`, towards `role`."""

    after_hours: Hours
    action: Name
    role: Name | None = None


class SlaShape(Shape):
    """A policy and where it applies; a dimension that is left out matches anything. Without calendar: 24x7."""

    policy_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)
    category: Name | None = None
    zone: Label | None = None
    priority: Priority | None = None
    response_hours: Hours | None = None
    target_hours: Hours
    breach_threshold_hours: Hours
    at_risk_ratio: float = Field(default=0.8, gt=0, lt=1)
    calendar: Label | None = None
    escalation_steps: tuple[EscalationStep, ...] = ()


_DUPLICATES = DuplicatePolicy()


class DuplicatesShape(Shape):
    """The tenant's duplicate rule; a category may set its own radii and hours.

    `llm_attach`: what is proposed is attached when a language model is sure of it (`rules.duplicates.attaches_by_opinion`).
    """

    radius_m: float = Field(default=_DUPLICATES.radius_m, gt=0, le=5000)
    window_hours: Hours = _DUPLICATES.window_hours
    attach_radius_m: float = Field(default=_DUPLICATES.attach_radius_m, ge=0, le=5000)
    attach_hours: float = Field(default=_DUPLICATES.attach_hours, ge=0)
    address_hours: float = Field(default=_DUPLICATES.address_hours, ge=0)
    reopen_hours: float = Field(default=_DUPLICATES.reopen_hours, ge=0)
    max_proposals: int = Field(default=_DUPLICATES.max_proposals, ge=0, le=20)
    llm_attach: bool = _DUPLICATES.llm_attach


class AssignmentShape(Shape):
    """The steps of `rules.assignment`, in order.

    `moves_to`: the state that an assigned request enters; left out, the first one that notes `assigned_at`.
    """

    name: Label
    steps: tuple[Name, ...] = Field(min_length=1)
    moves_to: Name | None = None
    match_all_skills: bool = True


class EligibilityShape(Shape):
    """`when` a ticket's segment, category or language is one of these, it takes the `skill`, one of the `positions`."""

    name: Name
    when: dict[Literal["segment", "category", "language"], tuple[Label, ...]] = Field(min_length=1, max_length=1)
    skill: Label | None = None
    positions: tuple[Label, ...] = ()


class SplitShare(Shape):
    """An office, by name, and its share of the addresses that are unknown or abroad."""

    office: Label
    share: int = Field(default=1, ge=1, le=1000)


class DistributionShape(Shape):
    """How tickets reach managers by offices (`rules.distribution`).

    `split` shares unknown and foreign addresses among offices in turn, equal shares unless said; a place of less than
    `least_quality` counts as unknown; `unassigned` are categories that nobody gets.
    """

    home_country: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    split: tuple[SplitShare, ...] = ()
    least_quality: Literal["region", "town", "house"] = "region"
    eligibility: tuple[EligibilityShape, ...] = ()
    unassigned: tuple[Name, ...] = ()


class CsvColumn(Shape):
    """A column of a CSV file: the headers it is known by, and whether a file without it is refused."""

    headers: tuple[Label, ...] = Field(min_length=1)
    required: bool = True


class Milestone(Shape):
    """What field staff can log; `moves_to` names the state it leads to, `evidence` that it carries a file or note."""

    title: Label
    moves_to: Name | None = None
    evidence: bool = False


# R-KPI-05
class ScoreShape(Shape):
    """Weights of the performance score; together 1.

    `public`: the tenant stands in the leaderboard that every caller of this engine may see.
    """

    compliance: float = Field(default=0.7, ge=0, le=1)
    speed: float = Field(default=0.3, ge=0, le=1)
    public: bool = False


class Message(Shape):
    """A message in one language; `{request_id}` and the like are filled in, see `PLACEHOLDERS`."""

    subject: Template
    body: Template


class AnalysisShape(Shape):
    """How texts are read. A category under `confidence_threshold` is decided by a person.

    `languages` are those that people write in (none named: those of the pack's texts); what cannot be told apart counts
    as `default_language`, else as the pack's own.
    """

    confidence_threshold: float = Field(default=0.5, ge=0, le=1)
    languages: tuple[Language, ...] = ()
    default_language: Language | None = None


class MapView(Shape):
    """Where the map opens: degrees and zoom."""

    lon: float = Field(default=0.0, ge=-180, le=180)
    lat: float = Field(default=20.0, ge=-90, le=90)
    zoom: float = Field(default=2.0, ge=0, le=22)


class Dashboard(Shape):
    """What the console shows first. Without `map` it opens on the tenant's zones."""

    map: MapView | None = None
    columns: tuple[Name, ...] = ()
    widgets: tuple[Name, ...] = ()
    refresh_seconds: int = Field(default=60, ge=5, le=3600)


def window_minutes(window: str) -> tuple[int, int]:
    """Reads "08:00-12:00" as minutes after midnight."""
    start, end = window.split("-")
    return _minutes(start), _minutes(end)


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])
