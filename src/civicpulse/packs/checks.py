"""What must hold between the parts of a pack: every name that is used is defined, and figures are in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from civicpulse.packs.shapes import CalendarShape, SlaShape, window_minutes
from civicpulse.rules import distribution
from civicpulse.rules.assignment import STEPS
from civicpulse.rules.workflow import State, Transition, Workflow, check_workflow

if TYPE_CHECKING:
    from civicpulse.packs.model import PackDocument

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault and the path of the field that has it, such as ("sla", 3, "category")."""

    path: Path
    message: str

    @property
    def field(self) -> str:
        """The path as people write it: "sla[3].category"."""
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return text.removeprefix(".") or "pack"

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def inconsistencies(document: PackDocument) -> Iterator[Problem]:
    """Finds every fault between the parts of a document whose single fields are valid."""
    yield from _category_problems(document)
    yield from _workflow_problems(document)
    yield from _calendar_problems(document)
    yield from _sla_problems(document)
    yield from _assignment_problems(document)
    yield from _milestone_problems(document)
    yield from _figure_problems(document)
    yield from _message_problems(document)


def _category_problems(document: PackDocument) -> Iterator[Problem]:
    by_id = {category.id: category for category in document.categories}
    yield from _repeated(("categories",), [category.id for category in document.categories], "id")
    for index, category in enumerate(document.categories):
        path: Path = ("categories", index)
        yield from _repeated((*path, "sub_categories"), [sub.id for sub in category.sub_categories], "id")
        for position, other in enumerate(category.compatible_with):
            where = (*path, "compatible_with", position)
            if other not in by_id:
                yield Problem(where, f"unknown category {other!r}")
            elif not (category.dedupe and by_id[other].dedupe):
                yield Problem(where, f"{category.id!r} and {other!r} must both have dedupe on to be compatible")


def _workflow_problems(document: PackDocument) -> Iterator[Problem]:
    shape = document.workflow
    unknown = list(_unknown_states(document))
    yield from unknown
    if unknown:
        return  # what cannot be reached, or ends nowhere, is only known once every name is
    states = {name: State(name, state.category, state.timestamp) for name, state in shape.states.items()}
    edges = tuple(Transition(edge.source, edge.target, frozenset(edge.roles)) for edge in shape.transitions)
    for message in check_workflow(Workflow(shape.version, shape.initial, states, edges)):
        blamed = next((name for name in states if f"state {name!r}" in message), None)
        yield Problem(("workflow",) if blamed is None else ("workflow", "states", blamed), message)


def _unknown_states(document: PackDocument) -> Iterator[Problem]:
    shape = document.workflow
    if shape.initial not in shape.states:
        yield Problem(("workflow", "initial"), f"unknown state {shape.initial!r}")
    for index, edge in enumerate(shape.transitions):
        for field, name in (("from", edge.source), ("to", edge.target)):
            if name not in shape.states:
                yield Problem(("workflow", "transitions", index, field), f"unknown state {name!r}")


def _calendar_problems(document: PackDocument) -> Iterator[Problem]:
    for name, calendar in document.calendars.items():
        if calendar.always == bool(calendar.windows):
            yield Problem(("calendars", name), "give either always: true or windows")
        yield from _window_problems(("calendars", name, "windows"), calendar)


def _window_problems(path: Path, calendar: CalendarShape) -> Iterator[Problem]:
    for day, windows in calendar.windows.items():
        free_from = 0
        for start, end in sorted(window_minutes(window) for window in windows):
            if start >= end:
                yield Problem((*path, day), "a window must end after it starts, at 24:00 at the latest")
            elif start < free_from:
                yield Problem((*path, day), "windows overlap")
            free_from = max(free_from, end)


def _sla_problems(document: PackDocument) -> Iterator[Problem]:
    yield from _repeated(("sla",), [entry.policy_id for entry in document.sla], "policy_id")
    selectors = [f"{entry.category}/{entry.zone}/{entry.priority}" for entry in document.sla]
    yield from _repeated(("sla",), selectors, "policy_id", what="category/zone/priority")
    known = {category.id for category in document.categories}
    for index, entry in enumerate(document.sla):
        path: Path = ("sla", index)
        if entry.category is not None and entry.category not in known:
            yield Problem((*path, "category"), f"unknown category {entry.category!r}")
        if entry.calendar is not None and entry.calendar not in document.calendars:
            yield Problem((*path, "calendar"), f"unknown calendar {entry.calendar!r}")
        yield from _hours_problems(path, entry)


def _hours_problems(path: Path, entry: SlaShape) -> Iterator[Problem]:
    if entry.breach_threshold_hours < entry.target_hours:
        message = f"{entry.breach_threshold_hours:g} is less than target_hours ({entry.target_hours:g})"
        yield Problem((*path, "breach_threshold_hours"), message)
    if entry.response_hours is not None and entry.response_hours > entry.target_hours:
        message = f"{entry.response_hours:g} is more than target_hours ({entry.target_hours:g})"
        yield Problem((*path, "response_hours"), message)
    hours = [step.after_hours for step in entry.escalation_steps]
    if hours != sorted(hours):
        yield Problem((*path, "escalation_steps"), "steps must stand in the order of after_hours")


def _assignment_problems(document: PackDocument) -> Iterator[Problem]:
    steps = document.assignment.steps
    if document.assignment.moves_to not in (None, *document.workflow.states):
        yield Problem(("assignment", "moves_to"), f"unknown state {document.assignment.moves_to!r}")
    by_offices = any(step in distribution.STEPS and step not in STEPS for step in steps)
    known: tuple[str, ...] = distribution.STEPS if by_offices else tuple(STEPS)
    for index, step in enumerate(steps):
        if step not in known:
            yield Problem(("assignment", "steps", index), f"unknown step {step!r}: one of {', '.join(known)}")
    if by_offices and "nearest_office" not in steps:
        yield Problem(("assignment", "steps"), "a distribution over offices begins with nearest_office")
    if by_offices and document.distribution is None:
        yield Problem(("assignment", "steps"), "these steps need the section distribution")
    yield from _distribution_problems(document)


def _distribution_problems(document: PackDocument) -> Iterator[Problem]:
    shape = document.distribution
    if shape is None:
        return
    categories = {category.id for category in document.categories}
    known = {"category": categories, "segment": set(document.segments), "language": set(document.language_labels)}
    yield from _repeated(("distribution", "split"), [entry.office for entry in shape.split], "office")
    for index, name in enumerate(shape.unassigned):
        if name not in categories:
            yield Problem(("distribution", "unassigned", index), f"unknown category {name!r}")
    for index, entry in enumerate(shape.eligibility):
        path: Path = ("distribution", "eligibility", index)
        if entry.skill is None and not entry.positions:
            yield Problem(path, "give a skill, positions or both")
        for field, values in entry.when.items():
            yield from _unlisted((*path, "when", field), values, known[field], what=field)
        yield from _unlisted((*path, "positions"), entry.positions, document.positions, what="position")
        if entry.skill is not None and entry.skill not in document.skills:
            yield Problem((*path, "skill"), f"unknown skill {entry.skill!r}")


def _unlisted(path: Path, values: Iterable[str], known: Container[str], *, what: str) -> Iterator[Problem]:
    for index, value in enumerate(values):
        if value not in known:
            yield Problem((*path, index), f"unknown {what} {value!r}")


def _milestone_problems(document: PackDocument) -> Iterator[Problem]:
    for name, milestone in document.milestones.items():
        if milestone.moves_to is not None and milestone.moves_to not in document.workflow.states:
            yield Problem(("milestones", name, "moves_to"), f"unknown state {milestone.moves_to!r}")
    for index, edge in enumerate(document.workflow.transitions):
        for position, item in enumerate(edge.requires):
            for wanted in item.split("|"):
                name = wanted.removeprefix("milestone.")
                if name != wanted and name not in document.milestones:
                    path = ("workflow", "transitions", index, "requires", position)
                    yield Problem(path, f"unknown milestone {name!r}")


def _figure_problems(document: PackDocument) -> Iterator[Problem]:
    total = document.score.compliance + document.score.speed
    if abs(total - 1) > 1e-9:
        yield Problem(("score",), f"weights must add up to 1, not {total:g}")
    missing = [name for name in ("P1", "P2", "P3", "P4") if name not in document.priority_weights]
    if missing:
        yield Problem(("priority_weights",), f"no weight for {', '.join(missing)}")


def _message_problems(document: PackDocument) -> Iterator[Problem]:
    for event, templates in document.messages.items():
        if document.language not in templates:
            yield Problem(("messages", event), f"no template in the pack's language {document.language!r}")


def _repeated(path: Path, values: Iterable[str], field: str, *, what: str | None = None) -> Iterator[Problem]:
    seen = Counter[str]()
    for index, value in enumerate(values):
        seen[value] += 1
        if seen[value] > 1:
            yield Problem((*path, index, field), f"{what or field} {value!r} is taken by an earlier entry")
