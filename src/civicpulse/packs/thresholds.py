"""SLA thresholds by category and severity, in hours (R-TEN-04), as entries of a pack's section `sla`. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from civicpulse.packs.model import PackDocument, compile_pack
from civicpulse.rules.priority import PRIORITY_OF_SEVERITY
from civicpulse.rules.sla import choose_policy

ANY_CATEGORY: Final = "*"
MAX_HOURS: Final = 100_000.0
MIN_HOURS: Final = 0.0001
GRACE: Final = 1.5  # breach threshold ÷ target, where no policy says otherwise

Entry = dict[str, Any]


def with_thresholds(document: PackDocument, thresholds: Mapping[str, Mapping[Any, float]]) -> list[Entry]:
    """Makes the section `sla` of `document` with those targets; entries that no threshold names stay as they are.

    A threshold is the target of the policy for exactly that category (or any) and priority, in the hours of the calendar
    that this policy has. Where there is none yet, one is made after the policy that applied so far. Response, breach and
    escalation keep their proportion to the target. As ever, the most specific entry rules: "*" does not reach a category
    that has an entry of its own. Raises KeyError for a category that the document does not have.
    """
    pack = compile_pack(document)
    entries: list[Entry] = [entry.model_dump(mode="json") for entry in document.sla]
    by_id = {entry["policy_id"]: entry for entry in entries}
    for name, by_severity in thresholds.items():
        category = None if name == ANY_CATEGORY else pack.categories[name].id
        for severity, hours in by_severity.items():
            priority = PRIORITY_OF_SEVERITY.get(severity, severity)
            applied = choose_policy(pack.sla_rules, category=category, zone=None, priority=priority)
            base = by_id[applied.policy_id] if applied else None
            entry = _scaled(base, float(hours))
            if base is not None and (base["category"], base["priority"]) == (category, priority):
                base |= entry
                continue
            entry |= {"policy_id": _free_id(category, priority, by_id), "category": category, "priority": priority}
            by_id[entry["policy_id"]] = entry
            entries.append(entry)
    return entries


def _scaled(base: Entry | None, hours: float) -> Entry:
    """Gives `base` with that target and all else in proportion."""
    if base is None:
        return {"target_hours": hours, "breach_threshold_hours": min(MAX_HOURS, hours * GRACE)}
    ratio: float = hours / base["target_hours"]

    def scaled(value: float) -> float:
        return min(MAX_HOURS, max(MIN_HOURS, round(value * ratio, 4)))

    response = base["response_hours"]
    return base | {
        "target_hours": hours,
        "breach_threshold_hours": max(hours, scaled(base["breach_threshold_hours"])),
        "response_hours": None if response is None else min(hours, scaled(response)),
        "escalation_steps": [step | {"after_hours": scaled(step["after_hours"])} for step in base["escalation_steps"]],
    }


def _free_id(category: str | None, priority: str, taken: Mapping[str, Entry]) -> str:
    wanted = f"SLA-{(category or 'any').upper()}-{priority}"
    number, free = 1, wanted
    while free in taken:
        number += 1
        free = f"{wanted}-{number}"
    return free
