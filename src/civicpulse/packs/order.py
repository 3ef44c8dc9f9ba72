"""The order of a pack's states: that in which people see them. JSON in the database keeps none, so it is said beside them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def with_order(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """Puts the states of a workflow, as raw data, into the order that `order` says, those that it does not name last."""
    states = workflow["states"]
    named = [name for name in workflow.get("order", ()) if name in states]
    names = tuple(dict.fromkeys((*named, *states)))
    return {**workflow, "states": {name: states[name] for name in names}, "order": list(names)}


def stored_order(document: Mapping[str, Any]) -> dict[str, Any]:
    """Puts the states of a stored document into their order; of one that has none, into that in which they are reached."""
    workflow = document["workflow"]
    if "order" not in workflow:
        reached = _reached(workflow["initial"], workflow["transitions"])
        workflow = {**workflow, "order": list(reached)}
    return {**document, "workflow": with_order(workflow)}


def _reached(initial: str, transitions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    found, seen = [initial], {initial}
    for state in found:
        yield state
        following = [edge["to"] for edge in transitions if edge["from"] == state]
        found += [name for name in dict.fromkeys(following) if name not in seen]
        seen.update(following)
