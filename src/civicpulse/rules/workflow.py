"""The state machine of a request, as data: states, transitions, who may, what is mandatory (R-WF-01)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from civicpulse.rules.outcome import Reason, Refusal

StateCategory = Literal["open", "waiting", "resolved", "closed"]

# How far a refused edge got; of several edges between two states the refusal that is nearest to a "yes" is reported.
_PROGRESS = ("role_not_allowed", "missing_fields", "condition_not_met")


@dataclass(frozen=True, slots=True)
class State:
    """A state; `timestamp` is the request's column that is set on entry, such as "triaged_at"."""

    name: str
    category: StateCategory
    timestamp: str | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """An edge. `requires`: names that must be present ("a|b": one suffices). `when`: facts that must hold."""

    source: str
    target: str
    roles: frozenset[str]
    requires: tuple[str, ...] = ()
    when: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workflow:
    """One immutable version of a tenant's workflow. `states` maps each name to its state.

    `unbound_roles` may take every edge whatever its roles, and a refusal names them among those who may.
    """

    version: str
    initial: str
    states: Mapping[str, State]
    transitions: tuple[Transition, ...]
    unbound_roles: frozenset[str] = frozenset()

    def state(self, name: str) -> State:
        """Finds the state of that name; KeyError when the workflow has none."""
        return self.states[name]

    def next_states(self, state: str, facts: frozenset[str] | None = None) -> tuple[str, ...]:
        """Lists the names of the states that an edge from `state` leads to, in pack order; empty for an unknown state.

        With `facts` only the edges whose conditions hold.
        """
        edges = (edge for edge in self.transitions if edge.source == state)
        return tuple(dict.fromkeys(edge.target for edge in edges if facts is None or facts.issuperset(edge.when)))


@dataclass(frozen=True, slots=True)
class Decision:
    """A permitted transition."""

    source: State
    target: State


def decide_transition(
    workflow: Workflow,
    *,
    current: str,
    to: str,
    role: str,
    is_bound: bool = True,
    present: frozenset[str],
    facts: frozenset[str] = frozenset(),
) -> Decision | Refusal:
    """Decides whether a caller of `role` may move a request from `current` to `to` (R-WF-01).

    The roles of a transition bind who `is_bound`, its mandatory fields bind everybody. `present` holds the names that
    the request or the call satisfies, `facts` the conditions that hold. Refusal codes: unknown_state,
    transition_not_allowed, role_not_allowed, missing_fields, condition_not_met.
    """
    asked = Refusal("transition_not_allowed", current, to, role, allowed_next=workflow.next_states(current, facts))
    for name in (current, to):
        if name not in workflow.states:
            return replace(asked, code="unknown_state", target=name, reasons=(Reason("unknown_state"),))
    edges = [edge for edge in workflow.transitions if edge.source == current and edge.target == to]
    if not edges:
        return asked
    refusals = []
    for edge in edges:
        refusal = _refuse_role(edge, asked, workflow.unbound_roles) if is_bound else None
        refusal = refusal or _refuse(edge, asked, present, facts)
        if refusal is None:
            return Decision(workflow.states[current], workflow.states[to])
        refusals.append(refusal)
    return max(refusals, key=lambda refusal: _PROGRESS.index(refusal.code))


def _refuse_role(edge: Transition, asked: Refusal, unbound: frozenset[str]) -> Refusal | None:
    if asked.role in edge.roles:
        return None
    who = tuple(sorted(edge.roles | unbound))
    return replace(asked, code="role_not_allowed", reasons=(Reason("role_not_allowed"),), roles=who)


def _refuse(edge: Transition, asked: Refusal, present: frozenset[str], facts: frozenset[str]) -> Refusal | None:
    missing = tuple(Reason("missing", item) for item in edge.requires if present.isdisjoint(item.split("|")))
    if missing:
        return replace(asked, code="missing_fields", reasons=missing)
    unmet = tuple(Reason("condition_not_met", fact) for fact in edge.when if fact not in facts)
    return replace(asked, code="condition_not_met", reasons=unmet) if unmet else None


def check_workflow(workflow: Workflow) -> list[str]:
    """Lists every fault of a workflow in words people can act on; an empty list when it is sound (R-WF-04)."""
    return [
        *_naming_problems(workflow),
        *_reach_problems(workflow),
        *_ending_problems(workflow),
    ]


def _naming_problems(workflow: Workflow) -> Iterator[str]:
    for key, state in workflow.states.items():
        if key != state.name:
            yield f"state {key!r} is defined under another name, {state.name!r}"
    if workflow.initial not in workflow.states:
        yield f"the initial state {workflow.initial!r} is not among the states"
    for edge in workflow.transitions:
        for name in dict.fromkeys((edge.source, edge.target)):
            if name not in workflow.states:
                yield f"transition {edge.source} -> {edge.target} names the unknown state {name!r}"


def _reach_problems(workflow: Workflow) -> Iterator[str]:
    if workflow.initial not in workflow.states:
        return
    reached = _closure([workflow.initial], ((edge.source, edge.target) for edge in workflow.transitions))
    for name in workflow.states:
        if name not in reached:
            yield f"state {name!r} cannot be reached from the initial state {workflow.initial!r}"


def _ending_problems(workflow: Workflow) -> Iterator[str]:
    final = [name for name, state in workflow.states.items() if state.category == "closed"]
    if not final:
        yield "no state has the category closed, so a request can never end"
    ends = _closure(final, ((edge.target, edge.source) for edge in workflow.transitions))
    for name, state in workflow.states.items():
        if state.category == "closed":
            continue
        if not workflow.next_states(name):
            yield f"state {name!r} is not closed and has no way out"
        elif final and name not in ends:
            yield f"no path leads from state {name!r} to a closed state"


def _closure(seeds: Iterable[str], edges: Iterable[tuple[str, str]]) -> set[str]:
    follows: dict[str, list[str]] = {}
    for source, target in edges:
        follows.setdefault(source, []).append(target)
    seen = set(seeds)
    todo = list(seen)
    while todo:
        new = [name for name in follows.get(todo.pop(), ()) if name not in seen]
        seen.update(new)
        todo.extend(new)
    return seen
