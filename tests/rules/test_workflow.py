"""The workflow as data: who may move a request where, and why not."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.rules.moving import is_complete, refuse_fields
from civicpulse.rules.outcome import Refusal
from civicpulse.rules.workflow import (
    Decision,
    State,
    Transition,
    Workflow,
    check_workflow,
    decide_transition,
)

STAFF = frozenset({"dispatcher"})
FIELD = frozenset({"dispatcher", "agent"})
NAMES = ("new", "triaged", "assigned", "in_progress", "resolved", "closed")


def state(name: str) -> State:
    categories = {"resolved": "resolved", "closed": "closed"}
    return State(name, categories.get(name, "open"), None if name == "new" else f"{name}_at")  # type: ignore[arg-type]


CIVIC = Workflow(
    "v1.2",
    "new",
    {name: state(name) for name in NAMES},
    (
        Transition("new", "triaged", STAFF, ("category", "priority", "sla_policy", "zone_id")),
        Transition("new", "closed", STAFF),
        Transition("triaged", "assigned", STAFF, ("assigned_agent_id",)),
        Transition("triaged", "closed", STAFF),
        Transition("assigned", "in_progress", FIELD, ("arrived|work_started",)),
        Transition("in_progress", "resolved", FIELD, ("evidence|checklist",)),
        Transition("resolved", "closed", STAFF),
        Transition("resolved", "in_progress", STAFF, when=("dispute_accepted",)),
    ),
)
EDGES = {(edge.source, edge.target) for edge in CIVIC.transitions}
EVERYTHING = frozenset({"category", "priority", "sla_policy", "zone_id", "assigned_agent_id", "arrived", "evidence"})
DISPUTE = frozenset({"dispute_accepted"})


@pytest.mark.parametrize(("current", "to"), list(product(NAMES, NAMES)))
def test_each_pair_of_states_is_an_edge_or_refused(current: str, to: str) -> None:
    answer = decide_transition(CIVIC, current=current, to=to, role="dispatcher", present=EVERYTHING, facts=DISPUTE)
    if (current, to) in EDGES:
        assert answer == Decision(CIVIC.state(current), CIVIC.state(to))
    else:
        assert isinstance(answer, Refusal)
        assert answer.code == "transition_not_allowed"
        assert answer.allowed_next == CIVIC.next_states(current)


@pytest.mark.parametrize(
    ("current", "to", "present", "missing"),
    [
        ("new", "triaged", set(), ["category", "priority", "sla_policy", "zone_id"]),
        ("new", "triaged", {"category", "priority"}, ["sla_policy", "zone_id"]),
        ("triaged", "assigned", {"category"}, ["assigned_agent_id"]),
        ("assigned", "in_progress", {"evidence"}, ["arrived|work_started"]),
        ("assigned", "in_progress", {"work_started"}, []),
        ("in_progress", "resolved", {"arrived"}, ["evidence|checklist"]),
        ("in_progress", "resolved", {"checklist"}, []),
        ("in_progress", "resolved", {"evidence", "checklist"}, []),
    ],
)
def test_each_missing_name_is_a_reason(current: str, to: str, present: set[str], missing: list[str]) -> None:
    answer = decide_transition(CIVIC, current=current, to=to, role="dispatcher", present=frozenset(present))
    if not missing:
        assert isinstance(answer, Decision)
        return
    assert isinstance(answer, Refusal)
    assert answer.code == "missing_fields"
    assert [reason.field for reason in answer.reasons] == missing
    assert (answer.source, answer.target) == (current, to)
    assert answer.allowed_next == CIVIC.next_states(current)


def test_a_role_outside_the_list_is_refused_and_told_who_may() -> None:
    answer = decide_transition(CIVIC, current="new", to="closed", role="agent", present=EVERYTHING)
    assert isinstance(answer, Refusal)
    assert answer.code == "role_not_allowed"
    assert (answer.role, answer.roles) == ("agent", ("dispatcher",))
    assert answer.allowed_next == ("triaged", "closed")


def test_a_refusal_names_the_unbound_roles_among_those_who_may() -> None:
    workflow = replace(CIVIC, unbound_roles=frozenset({"mayor"}))
    answer = decide_transition(workflow, current="new", to="closed", role="agent", present=EVERYTHING)
    assert isinstance(answer, Refusal)
    assert answer.roles == ("dispatcher", "mayor")


@pytest.mark.parametrize("role", ["system", "admin", "mayor"])
def test_who_is_not_bound_may_take_every_edge_but_still_owes_its_fields(role: str) -> None:
    for edge in CIVIC.transitions:
        ask: dict[str, Any] = {"current": edge.source, "to": edge.target, "role": role, "is_bound": False}
        assert isinstance(decide_transition(CIVIC, present=EVERYTHING, facts=DISPUTE, **ask), Decision)
        bare = decide_transition(CIVIC, present=frozenset(), facts=DISPUTE, **ask)
        assert isinstance(bare, Refusal if edge.requires else Decision)


def test_a_resolved_request_reopens_only_when_the_dispute_is_accepted() -> None:
    ask: dict[str, Any] = {"current": "resolved", "to": "in_progress", "role": "dispatcher", "present": EVERYTHING}
    refused = decide_transition(CIVIC, **ask)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.reasons[0].field) == ("condition_not_met", "dispute_accepted")
    assert refused.allowed_next == ("closed",)
    assert isinstance(decide_transition(CIVIC, facts=DISPUTE, **ask), Decision)


@pytest.mark.parametrize(
    ("current", "to", "allowed"), [("new", "lost", ("triaged", "closed")), ("lost", "new", ()), ("lost", "lost", ())]
)
def test_an_unknown_state_is_refused(current: str, to: str, allowed: tuple[str, ...]) -> None:
    answer = decide_transition(CIVIC, current=current, to=to, role="admin", present=EVERYTHING)
    assert isinstance(answer, Refusal)
    assert (answer.code, answer.allowed_next) == ("unknown_state", allowed)
    assert "lost" in (answer.source, answer.target)


def two_ways() -> Workflow:
    """Finance resolves with a receipt, support with a customer's consent: two edges between the same states."""
    edges = (
        Transition("open", "done", frozenset({"finance"}), ("receipt",)),
        Transition("open", "done", frozenset({"support"}), ("note",), ("consent",)),
    )
    return Workflow("v1", "open", {"open": State("open", "open"), "done": State("done", "closed")}, edges)


@pytest.mark.parametrize(
    ("role", "present", "facts", "code"),
    [
        ("finance", {"receipt"}, set(), None),
        ("support", {"note"}, {"consent"}, None),
        ("admin", {"note"}, {"consent"}, None),
        ("finance", {"note"}, {"consent"}, "missing_fields"),
        ("support", {"receipt"}, {"consent"}, "missing_fields"),
        ("support", {"note"}, set(), "condition_not_met"),
        ("citizen", {"receipt", "note"}, {"consent"}, "role_not_allowed"),
    ],
)
def test_of_two_edges_between_the_same_states_either_will_do(
    role: str, present: set[str], facts: set[str], code: str | None
) -> None:
    workflow = two_ways()
    ask: dict[str, Any] = {"current": "open", "to": "done", "role": role, "is_bound": role != "admin"}
    answer = decide_transition(workflow, present=frozenset(present), facts=frozenset(facts), **ask)
    assert getattr(answer, "code", None) == code
    assert workflow.next_states("open") == ("done",)


def test_an_unknown_state_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        CIVIC.state("lost")


def test_the_civic_workflow_is_sound() -> None:
    assert check_workflow(CIVIC) == []


ANYONE = frozenset({"anyone"})


@pytest.mark.parametrize(
    ("workflow", "words"),
    [
        (Workflow("v", "start", {"end": State("end", "closed")}, ()), ["initial state 'start'"]),
        (
            Workflow("v", "a", {"a": State("a", "open"), "z": State("z", "closed")}, (Transition("a", "x", ANYONE),)),
            ["unknown state 'x'", "'z' cannot be reached", "no path leads from state 'a'"],
        ),
        (Workflow("v", "a", {"a": State("a", "open")}, ()), ["no state has the category closed", "'a' is not closed"]),
        (
            Workflow(
                "v",
                "a",
                {name: State(name, "closed" if name == "z" else "open") for name in "abcz"},
                (
                    Transition("a", "z", ANYONE),
                    Transition("a", "b", ANYONE),
                    Transition("b", "c", ANYONE),
                    Transition("c", "b", ANYONE),
                ),
            ),
            ["from state 'b'", "from state 'c'"],
        ),
        (Workflow("v", "a", {"a": State("b", "closed")}, ()), ["'a' is defined under another name"]),
    ],
)
def test_each_fault_of_a_workflow_is_named(workflow: Workflow, words: list[str]) -> None:
    problems = check_workflow(workflow)
    assert len(problems) == len(words)
    for word, problem in zip(words, problems, strict=True):
        assert word in problem


names = st.sampled_from("abcde")


@given(edges=st.lists(st.tuples(names, names), max_size=12), closed=st.sets(names, min_size=1))
def test_in_a_sound_workflow_every_state_can_still_be_closed(edges: list[tuple[str, str]], closed: set[str]) -> None:
    states = {name: State(name, "closed" if name in closed else "open") for name in "abcde"}
    workflow = Workflow("v", "a", states, tuple(Transition(*edge, ANYONE) for edge in edges))
    if check_workflow(workflow):
        return
    for name in states:
        seen, todo = {name}, [name]
        while todo:
            new = set(workflow.next_states(todo.pop())) - seen
            seen |= new
            todo.extend(new)
        assert seen & closed


@pytest.mark.parametrize(
    ("checklist", "complete"),
    [
        (["filled"], True),
        ({"filled": True, "sealed": True}, True),
        ({"filled": True, "sealed": False}, False),
        ([""], False),
        (["filled", " "], False),
        ([], False),
        ({}, False),
    ],
)
def test_a_checklist_is_complete_when_each_item_is_ticked(checklist: Any, complete: bool) -> None:
    assert is_complete(checklist) is complete


@pytest.mark.parametrize(
    ("source", "to", "role", "fields", "code", "refused"),
    [
        ("new", "triaged", "dispatcher", {"category", "priority", "sla_policy", "tags"}, None, []),
        ("triaged", "assigned", "dispatcher", {"assigned_agent_id", "priority"}, None, []),
        ("assigned", "in_progress", "agent", {"reason", "note"}, None, []),
        ("assigned", "in_progress", "agent", {"priority"}, "not_yours_to_classify", ["priority"]),
        ("assigned", "in_progress", "dispatcher", {"priority"}, None, []),
        ("assigned", "in_progress", "admin", {"priority", "assigned_agent_id"}, None, []),
        ("in_progress", "resolved", "agent", {"checklist", "sla_policy"}, "too_late_to_classify", ["sla_policy"]),
        ("in_progress", "resolved", "admin", {"assigned_agent_id"}, "too_late_to_classify", ["assigned_agent_id"]),
        (
            "resolved",
            "closed",
            "dispatcher",
            {"priority", "category"},
            "too_late_to_classify",
            ["category", "priority"],
        ),
        ("resolved", "in_progress", "dispatcher", {"assigned_agent_id"}, None, []),
    ],
)
def test_a_move_brings_along_what_its_caller_may_decide(
    source: str, to: str, role: str, fields: set[str], code: str | None, refused: list[str]
) -> None:
    refusal = refuse_fields(CIVIC, source=source, to=to, role=role, is_bound=role != "admin", fields=fields)
    assert (refusal and refusal.code) == code
    assert [reason.field for reason in (refusal.reasons if refusal else ())] == refused


def test_who_does_not_triage_brings_what_the_move_asks_for() -> None:
    edge = Transition("new", "triaged", frozenset({"clerk"}), ("category|priority",))
    flow = replace(CIVIC, transitions=(Transition("new", "closed", STAFF), replace(edge, source="assigned")))
    asked: dict[str, Any] = {"source": "assigned", "to": "triaged", "role": "clerk", "is_bound": True}
    assert refuse_fields(flow, fields={"category"}, **asked) is None
    refusal = refuse_fields(flow, fields={"category", "tags"}, **asked)
    assert refusal is not None
    assert [reason.field for reason in refusal.reasons] == ["tags"]
