"""A tenant's rules as data: the pack document, and the pack compiled for use by the rules (R-TEN-02)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from civicpulse.packs.checks import Problem, inconsistencies
from civicpulse.packs.order import stored_order
from civicpulse.packs.roles import RolesShape, role_problems, standard_roles, unknown_roles
from civicpulse.packs.shapes import (
    DAYS,
    MAX_HOURS,
    AnalysisShape,
    AssignmentShape,
    CalendarShape,
    Category,
    CsvColumn,
    Dashboard,
    DistributionShape,
    DuplicatesShape,
    Label,
    Language,
    Message,
    Milestone,
    Name,
    Priority,
    ScoreShape,
    Shape,
    SlaShape,
    Timezone,
    WorkflowShape,
    window_minutes,
)
from civicpulse.packs.trials import trial_problems
from civicpulse.rules.access import Roles
from civicpulse.rules.assignment import AssignmentPolicy
from civicpulse.rules.calendar import ALWAYS, Calendar
from civicpulse.rules.distribution import DistributionPolicy, EligibilityRule
from civicpulse.rules.duplicates import DuplicatePolicy
from civicpulse.rules.lifecycle import OPEN_WORK, is_ended
from civicpulse.rules.sla import Policy, PolicyRule, Step, choose_policy
from civicpulse.rules.words.saying import Titles, readable, spoken
from civicpulse.rules.workflow import State, Transition, Workflow

__all__ = ["Category", "Message", "Milestone", "Pack", "PackDocument", "Problem", "compile_pack"]

# What a category may set of the tenant's duplicate rule.
OWN_DUPLICATES = ("radius_m", "window_hours", "attach_radius_m", "attach_hours", "address_hours")
INCONSISTENT = "pack_inconsistent"
_STORED = {"stored": True}
_DEFAULT_WEIGHTS: dict[Priority, float] = {"P1": 8, "P2": 4, "P3": 2, "P4": 1}
Vocabulary: TypeAlias = Literal["segments", "positions", "skills"]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PackDocument(Shape):
    """The whole pack. Fields are checked one by one, then against each other; every fault is reported, not only the
    first. `model_dump(mode="json")` validates back to an equal document."""

    name: Name
    version: Label
    title: Label
    request_id_prefix: str = Field(pattern=r"^[A-Z][A-Z0-9]{1,9}$")
    timezone: Timezone = "UTC"
    language: Language = "en"
    outside_zones: Literal["reject", "unzoned"] = "unzoned"
    keep_original_photos: bool = False  # beside the cleaned ones, for staff
    categories: tuple[Category, ...] = Field(min_length=1, max_length=1000)
    tag_priorities: dict[Label, Priority] = Field(default={})
    hazard_words: dict[Label, Priority] = Field(default={})
    roles: RolesShape = Field(default_factory=standard_roles)
    workflow: WorkflowShape
    calendars: dict[Label, CalendarShape] = Field(default={})
    sla: tuple[SlaShape, ...] = ()
    duplicates: DuplicatesShape = DuplicatesShape()
    assignment: AssignmentShape
    analysis: AnalysisShape = AnalysisShape()
    rating_reason_codes: tuple[Name, ...] = ()
    milestones: dict[Name, Milestone] = Field(default={})
    score: ScoreShape = ScoreShape()
    priority_weights: dict[Priority, Weight] = _DEFAULT_WEIGHTS
    messages: dict[Name, dict[Language, Message]] = Field(default={})
    dashboard: Dashboard = Dashboard()
    linked_entity_types: tuple[Name, ...] = ()
    # The words that files use for a value: the value as the rules know it, and its other spellings.
    segments: dict[Label, tuple[Label, ...]] = Field(default={})
    positions: dict[Label, tuple[Label, ...]] = Field(default={})
    skills: dict[Label, tuple[Label, ...]] = Field(default={})
    language_labels: dict[Language, Label] = Field(default={})
    distribution: DistributionShape | None = None
    csv_columns: dict[Name, dict[Name, CsvColumn]] = Field(default={})

    @classmethod
    def stored(cls, document: Any) -> Self:
        """Reads a version that was stored, maybe by an earlier release, when transitions could name any role."""
        return cls.model_validate(stored_order(document), context=_STORED)

    @model_validator(mode="after")
    def _is_consistent(self, info: ValidationInfo) -> Self:
        problems = (*inconsistencies(self), *role_problems(self.roles))
        if info.context is not _STORED:
            problems += (*unknown_roles(self), *trial_problems(self))
        if problems:
            summary = "; ".join(str(problem) for problem in problems)
            details = [{"path": list(problem.path), "message": problem.message} for problem in problems]
            raise PydanticCustomError(INCONSISTENT, "{summary}", {"summary": summary, "problems": details})
        return self


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack compiled into the values that the rules take. Immutable; share it freely."""

    document: PackDocument
    roles: Roles
    workflow: Workflow
    sla_rules: tuple[PolicyRule, ...]
    policies: Mapping[str, Policy]
    calendars: Mapping[str, Calendar]
    categories: Mapping[str, Category]
    assignment: AssignmentPolicy
    milestones: Mapping[str, Milestone]
    priority_weights: Mapping[str, float]
    open_states: tuple[str, ...]
    """States whose clock may run or wait: everything but resolved and closed."""
    distribution: DistributionPolicy | None
    """The cascade over offices, when the pack's assignment is one; then `assignment` is not asked."""
    titles: Titles
    """What the tenant's people call states, roles and milestones, for what is said to them."""
    _duplicates: DuplicatePolicy
    _duplicates_of: Mapping[str, DuplicatePolicy]
    _compatible: Mapping[str, tuple[str, ...]]
    _spellings: Mapping[str, Mapping[str, str]]

    _chosen: dict[tuple[str, str, str], Policy | None] = field(default_factory=dict, repr=False, compare=False)

    def title_of(self, state: str, language: str | None = None) -> str:
        """Finds what people call a state, in that language or as the pack itself calls it.

        One that an earlier version had is called by its name, made readable.
        """
        known = self.document.workflow.states.get(state)
        if known is None:
            return readable(state).capitalize()
        return known.titles.get(language, known.title) if language else known.title

    @property
    def ending_milestones(self) -> frozenset[str]:
        """The milestones that end the work: opened again, a request has not reached them."""
        states = self.workflow.states
        return frozenset(
            name for name, one in self.milestones.items() if one.moves_to and is_ended(states[one.moves_to].category)
        )

    @property
    def assigned_state(self) -> str | None:
        """The state that a request enters when it is assigned; None where it stays in its own."""
        named = self.document.assignment.moves_to
        return named or next(iter(self.stages("assigned_at")), None)

    def stages(self, timestamp: str) -> tuple[str, ...]:
        """Lists the names of the states that note this stage time on entry (rules.lifecycle.STAGE_TIMES), in pack order."""
        return tuple(name for name, state in self.workflow.states.items() if state.timestamp == timestamp)

    @property
    def time_zone(self) -> ZoneInfo:
        """The time zone in which the tenant's days begin and end."""
        return ZoneInfo(self.document.timezone)

    @property
    def version(self) -> str:
        """The pack's version, such as "civic-1.0"."""
        return self.document.version

    def states_of(self, category: str) -> tuple[str, ...]:
        """Lists the names of the states of a category (open, waiting, resolved, closed), in pack order."""
        return tuple(name for name, state in self.workflow.states.items() if state.category == category)

    def calendar_of(self, policy: Policy | None) -> Calendar:
        """Finds the working hours that a policy counts in: 24x7 unless it names a calendar."""
        return ALWAYS if policy is None or policy.calendar is None else self.calendars[policy.calendar]

    def policy_for(self, category: str, zone: str, priority: str) -> Policy | None:
        """Finds the SLA policy of a request, by the rule (R-SLA-01); remembered, as there are few combinations."""
        key = (category, zone, priority)
        if key not in self._chosen:
            self._chosen[key] = choose_policy(self.sla_rules, category=category, zone=zone, priority=priority)
        return self._chosen[key]

    def duplicate_policy(self, category: str) -> DuplicatePolicy:
        """Gives the tenant's duplicate rule, with what the category sets itself (`OWN_DUPLICATES`, `attach`, `neighbours`)."""
        return self._duplicates_of.get(category, self._duplicates)

    def compatible(self, category: str) -> tuple[str, ...]:
        """Finds the categories in which to look for duplicates, itself first; empty where `dedupe` is off."""
        return self._compatible.get(category, ())

    def required_skills(self, category: str, sub_category: str | None = None) -> frozenset[str]:
        """Names the skills that the work takes (R-ASG-01). A category that a later version dropped needs none."""
        own = self.categories.get(category)
        if own is None:
            return frozenset()
        sub = own.sub_category(sub_category)
        return frozenset(own.skills if sub is None or sub.skills is None else sub.skills)

    def spelled(self, vocabulary: Vocabulary, word: str) -> str | None:
        """Finds the value that a file's word stands for, whatever its case and blanks; None when it is none of them."""
        return self._spellings[vocabulary].get(plain_word(word))

    def message(self, event: str, language: str) -> Message | None:
        """Finds the template for an event: in that language, else in its base language, else in the pack's own."""
        templates = self.document.messages.get(event, {})
        wanted = (language, language.split("-")[0], self.document.language)
        return next((templates[code] for code in wanted if code in templates), None)


def pack_of_json(document: str) -> Pack:
    """Makes a pack of a stored document as JSON: what a process of its own is handed instead of the pack."""
    return compile_pack(PackDocument.stored(json.loads(document)))


def compile_pack(document: PackDocument) -> Pack:
    """Turns a valid document into what the rules take; a fraction of a millisecond, so cache it per stored version."""
    roles = document.roles.compiled(document.language)
    workflow = _workflow(document.workflow, roles.unbound)
    rules = tuple(PolicyRule(_policy(entry), entry.category, entry.zone, entry.priority) for entry in document.sla)
    assignment = document.assignment
    duplicates = DuplicatePolicy(**_capped(document.duplicates.model_dump()))
    return Pack(
        document=document,
        roles=roles,
        workflow=workflow,
        sla_rules=rules,
        policies=MappingProxyType({rule.policy.policy_id: rule.policy for rule in rules}),
        calendars=MappingProxyType(
            {name: _calendar(shape, document.timezone) for name, shape in document.calendars.items()}
        ),
        categories=MappingProxyType({category.id: category for category in document.categories}),
        assignment=AssignmentPolicy(assignment.name, assignment.steps, assignment.match_all_skills),
        milestones=MappingProxyType(document.milestones),
        priority_weights=MappingProxyType({str(key): value for key, value in document.priority_weights.items()}),
        open_states=tuple(name for name, state in workflow.states.items() if state.category in OPEN_WORK),
        distribution=distribution_policy(document),
        titles=_titles(document, roles),
        _duplicates=duplicates,
        _duplicates_of=MappingProxyType(
            {category.id: _own_duplicates(category, duplicates) for category in document.categories}
        ),
        _compatible=MappingProxyType(dict(_compatibilities(document.categories))),
        _spellings=MappingProxyType(
            {
                "segments": _spellings(document.segments),
                "positions": _spellings(document.positions),
                "skills": _spellings(document.skills),
            }
        ),
    )


def _capped(policy: dict[str, Any]) -> dict[str, Any]:
    """Cuts hours that no date can bear, which a pack of release 0.1 could hold."""
    return {name: min(value, MAX_HOURS) if name.endswith("_hours") else value for name, value in policy.items()}


def _titles(document: PackDocument, roles: Roles) -> Titles:
    language = spoken(document.language)
    return Titles(
        language=document.language,
        states=MappingProxyType(
            {name: one.titles.get(language, one.title) for name, one in document.workflow.states.items()}
        ),
        roles=roles.titles.roles,
        milestones=MappingProxyType({name: one.title for name, one in document.milestones.items()}),
    )


def _own_duplicates(category: Category, general: DuplicatePolicy) -> DuplicatePolicy:
    named = {name: value for name in OWN_DUPLICATES if (value := getattr(category, name)) is not None}
    return replace(general, attach=category.attach, neighbours=category.neighbours, **_capped(named))


def plain_word(word: str) -> str:
    """Folds a word of a file as spellings are compared: case, ё and blanks do not matter."""
    return " ".join(word.casefold().replace("ё", "е").split())


def _spellings(words: Mapping[str, tuple[str, ...]]) -> Mapping[str, str]:
    spelled = {plain_word(other): value for value, others in words.items() for other in others}
    return MappingProxyType(spelled | {plain_word(value): value for value in words})


def distribution_policy(document: PackDocument) -> DistributionPolicy | None:
    """Makes the cascade that the steps of `assignment` and the section `distribution` describe; None for other packs."""
    shape, steps = document.distribution, document.assignment.steps
    if shape is None or "nearest_office" not in steps:
        return None
    labels = {category.id: category.name_in(document.language) for category in document.categories}
    return DistributionPolicy(
        name=document.assignment.name,
        home_country=shape.home_country,
        split=MappingProxyType({entry.office: entry.share for entry in shape.split}),
        least_quality=shape.least_quality,
        rules=tuple(_eligibility(shape)) if "eligibility" in steps else (),
        in_turn=2 if "two_in_turn" in steps else 1,
        next_office="next_office" in steps,
        unassigned=frozenset(shape.unassigned),
        language=document.language,
        labels=MappingProxyType(labels | dict(document.language_labels)),
    )


def _eligibility(shape: DistributionShape) -> Iterator[EligibilityRule]:
    for entry in shape.eligibility:
        field, values = next(iter(entry.when.items()))
        yield EligibilityRule(entry.name, field, frozenset(values), entry.skill, frozenset(entry.positions))


def _workflow(shape: WorkflowShape, unbound: frozenset[str]) -> Workflow:
    states = {name: State(name, state.category, state.timestamp) for name, state in shape.states.items()}
    edges = (
        Transition(edge.source, edge.target, frozenset(edge.roles), edge.requires, edge.when)
        for edge in shape.transitions
    )
    return Workflow(shape.version, shape.initial, MappingProxyType(states), tuple(edges), unbound)


def _policy(entry: SlaShape) -> Policy:
    steps = (Step(step.after_hours, step.action, step.role) for step in entry.escalation_steps)
    return Policy(
        policy_id=entry.policy_id,
        target_hours=entry.target_hours,
        breach_threshold_hours=entry.breach_threshold_hours,
        response_hours=entry.response_hours,
        at_risk_ratio=entry.at_risk_ratio,
        steps=tuple(sorted(steps, key=lambda step: step.after_hours)),
        calendar=entry.calendar,
    )


def _calendar(shape: CalendarShape, timezone: str) -> Calendar:
    windows = {
        weekday: tuple(window_minutes(window) for window in shape.windows[day])
        for weekday, day in enumerate(DAYS)
        if day in shape.windows
    }
    return Calendar(shape.timezone or timezone, MappingProxyType(windows), frozenset(shape.holidays), shape.always)


def _compatibilities(categories: tuple[Category, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Pairs compatible categories: declared once, meant both ways; not passed on from friend to friend."""
    named = [category for category in categories if category.dedupe]
    for one in named:
        others = [
            other.id
            for other in named
            if other is not one and (other.id in one.compatible_with or one.id in other.compatible_with)
        ]
        yield one.id, (one.id, *others)
