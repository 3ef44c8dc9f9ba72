"""A pack of which no name occurs anywhere else: states, roles, categories and linked types made up for the tests.

Whoever keys on a name of a shipped pack fails here.
"""

from typing import Any

from civicpulse.packs.loader import read_pack


def invented_pack(**changes: Any) -> dict[str, Any]:
    """The document, taken from a shipped pack where a name means nothing (messages, CSV headers)."""
    base = read_pack("contact_centre").model_dump(mode="json")
    titles: dict[str, Any] = {"titles": {}}
    step = {
        "logged": {"category": "open", "title": "Written down", **titles},
        "weighed": {"category": "open", "timestamp": "triaged_at", "title": "Weighed up", **titles},
        "handed": {"category": "open", "timestamp": "assigned_at", "title": "Handed out", **titles},
        "underway": {"category": "open", "timestamp": "in_progress_at", "title": "Being mended", **titles},
        "waiting_parts": {"category": "waiting", "title": "Waiting for parts", **titles},
        "mended": {"category": "resolved", "timestamp": "resolved_at", "title": "Mended", **titles},
        "shelved": {"category": "closed", "timestamp": "closed_at", "title": "Put away", **titles},
    }
    desk = ["foreman", "keeper"]
    edges = [
        ("logged", "weighed", desk),
        ("logged", "handed", desk),
        ("weighed", "handed", desk),
        ("handed", "underway", ["fitter", *desk]),
        ("underway", "waiting_parts", ["fitter", *desk]),
        ("waiting_parts", "underway", ["fitter", *desk]),
        ("underway", "mended", ["fitter", *desk]),
        ("mended", "logged", desk),
        ("mended", "shelved", desk),
        ("handed", "logged", desk),
    ]
    roles = {
        "callers": {"anonymous": "passer_by", "citizen": "tenant_of_house", "agent": "fitter"},
        "escalations": "foreman",
        "named": {
            "passer_by": {
                "title": "Passer-by",
                "kind": "citizen",
                "scope": "none",
                "permissions": ["analytics:read", "citizen:create", "place:read", "request:create", "request:rate", "request:read"],
            },
            "tenant_of_house": {
                "title": "Tenant",
                "kind": "citizen",
                "extends": "passer_by",
                "scope": "own",
                "permissions": ["citizen:read", "notification:read", "request:comment"],
            },
            "fitter": {
                "title": "Fitter",
                "kind": "agent",
                "extends": "tenant_of_house",
                "scope": "all",
                "permissions": [
                    "agent:read", "request:comment_internal", "request:escalate", "request:events", "request:milestone",
                    "request:read_all", "request:transition", "tenant:read",
                ],
            },
            "foreman": {
                "title": "Foreman",
                "kind": "dispatcher",
                "extends": "fitter",
                "scope": "all",
                "permissions": ["request:*", "analytics:*", "citizen:*", "agent:*", "pipeline:run", "report:retry", "score:recalculate"],
            },
            "keeper": {"title": "Keeper", "kind": "dispatcher", "scope": "all", "bound": False, "permissions": ["*"]},
        },
    }  # fmt: skip
    category = {**base["categories"][0], "compatible_with": [], "sub_categories": [], "public": True}
    return base | {
        "name": "workshop",
        "version": "workshop-1",
        "language": "en",
        "categories": [
            {**category, "id": "squeak", "name": "Squeak", "names": {}, "dedupe": True, "skills": []},
            {**category, "id": "rattle", "name": "Rattle", "names": {}, "dedupe": False, "skills": []},
        ],
        "workflow": {
            "version": "w1",
            "initial": "logged",
            "states": step,
            "transitions": [{"from": a, "to": b, "roles": roles, "requires": [], "when": []} for a, b, roles in edges],
        },
        "milestones": {"fixed_it": {"title": "Fixed", "moves_to": "mended"}},
        "roles": roles,
        "sla": [
            {
                "policy_id": "HOUSE",
                "target_hours": 10,
                "breach_threshold_hours": 20,
                "escalation_steps": [{"after_hours": 11, "action": "call_foreman", "role": "foreman"}],
            }
        ],
        "messages": {
            name: {"en": {"subject": f"{name} {{request_id}}", "body": "{status}"}}
            for name in ("created", "status_changed", "resolved", "merged", "escalated", "otp")
        },
        "distribution": base["distribution"] | {"unassigned": [], "eligibility": []},
        "language_labels": {},
        "linked_entity_types": ["spanner"],
        "analysis": base["analysis"] | {"threshold": 0.0} if "threshold" in base["analysis"] else base["analysis"],
        "dashboard": {},
        "tag_priorities": {},
        "hazard_words": {},
    }
