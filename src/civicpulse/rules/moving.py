"""What a move may bring along, and what shows that work was done. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from civicpulse.rules.lifecycle import is_ended
from civicpulse.rules.outcome import Reason, Refusal
from civicpulse.rules.workflow import Workflow

CLASSIFYING = frozenset({"category", "sub_category", "priority", "zone_id", "tags", "sla_policy"})
"""What triage decides of a request."""


def is_complete(checklist: Sequence[str] | Mapping[str, bool]) -> bool:
    """Tells whether a checklist shows finished work: each item ticked, or each named as done (R-WF-12)."""
    ticked = checklist.values() if isinstance(checklist, Mapping) else (item.strip() for item in checklist)
    return bool(checklist) and all(ticked)


def refuse_fields(
    workflow: Workflow, *, source: str, to: str, role: str, is_bound: bool, fields: Iterable[str]
) -> Refusal | None:
    """Refuses what a permitted move may not bring along: a new classification or another agent (R-WF-14).

    Who triages, that is who may take a request out of its initial state, may correct both while the work goes on.
    Anybody else brings only what the move itself asks for. Nothing is reclassified by a move that ends the work.
    """
    brought = sorted(({*CLASSIFYING, "assigned_agent_id"}) & frozenset(fields))
    if not brought:
        return None
    edges = [edge for edge in workflow.transitions if (edge.source, edge.target) == (source, to)]
    asked = {name for edge in edges for item in edge.requires for name in item.split("|")}
    triages = any(edge.source == workflow.initial and role in edge.roles for edge in workflow.transitions)
    if is_ended(workflow.states[to].category):
        code, refused = "too_late_to_classify", brought
    elif is_bound and not triages:
        code, refused = "not_yours_to_classify", [name for name in brought if name not in asked]
    else:
        return None
    reasons = tuple(Reason(code, name) for name in refused)
    allowed = workflow.next_states(source)
    return Refusal(code, source, to, role, reasons, allowed) if refused else None
