"""Writes that move a request: transition, milestone, escalation. Each runs in the caller's transaction."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Invalid, NoSuchChoice, RuleRefused
from civicpulse.base.events import Actor
from civicpulse.base.ids import new_id
from civicpulse.places.zones import UNZONED, zone_index
from civicpulse.requests import clock, queries
from civicpulse.requests.changes import Change, open_change
from civicpulse.requests.correcting import following_priority
from civicpulse.rules.lifecycle import conditions_of, is_ended
from civicpulse.rules.moving import is_complete, refuse_fields
from civicpulse.rules.outcome import Refusal
from civicpulse.rules.priority import score_of_priority
from civicpulse.rules.workflow import Decision, decide_transition

_OF_THE_ROW = ("category", "sub_category", "priority", "zone_id", "assigned_agent_id", "citizen_id", "tags")
UPLOADERS = {"citizen": "citizen", "agent": "agent", "dispatcher": "staff", "system": "staff"}


async def transition(
    tx: Tx, actor: Actor, number: str, *, to: str, fields: Mapping[str, Any], seen_version: int | None = None
) -> Row:
    """Moves a request to state `to` with the fields the call brings (R-WF-01). Returns its row.

    Raises RuleRefused (409; 403 when only the role is in the way) with reasons, Invalid for a field that cannot be used.
    """
    change = await open_change(tx, actor, number, seen_version=seen_version)
    if change.row["needs_person"] and actor.kind != "system":
        change.set(needs_person=False)  # now a person has decided
    source = change.row["status"]
    agent = await _take_fields(change, fields)
    await move(change, to, said=_said(fields, agent))
    workflow, who = change.pack.workflow, change.actor
    refusal = refuse_fields(workflow, source=source, to=to, role=who.role, is_bound=who.is_bound, fields=fields.keys())
    if refusal:
        raise RuleRefused(refusal, change.pack.titles)
    return await change.apply()


def decide_move(change: Change, to: str, *, said: Mapping[str, Any]) -> Decision | Refusal:
    """Asks the pack's workflow about a move to `to`, with what the request and the call (`said`) bring."""
    row = change.row
    return decide_transition(
        change.pack.workflow,
        current=row["status"],
        to=to,
        role=change.actor.role,
        is_bound=change.actor.is_bound,
        present=_present(change, said),
        facts=conditions_of(row),
    )


def move_as_decided(change: Change, decision: Decision, *, said: Mapping[str, Any]) -> None:
    """Lets the request enter the state that was decided on, and tells its trail."""
    source, target = decision.source, decision.target
    change.enter(target)
    about = {"from": source.name, "to": target.name, "from_category": source.category, "category": target.category}
    change.tell("request.transitioned", **about, **said)


async def move(change: Change, to: str, *, said: Mapping[str, Any]) -> None:
    """Decides on the move to `to` and, when it is allowed, adds it to `change`. Raises RuleRefused or Conflict."""
    move_as_decided(change, check_move(change, to, said=said), said=said)


def check_move(change: Change, to: str, *, said: Mapping[str, Any]) -> Decision:
    """Decides on the move to `to` and changes nothing. Raises RuleRefused, or Conflict for a duplicate."""
    refuse_duplicate(change)
    outcome = decide_move(change, to, said=said)
    if isinstance(outcome, Refusal):
        raise RuleRefused(outcome, change.pack.titles)
    return outcome


def refuse_duplicate(change: Change) -> None:
    """Raises Conflict for a duplicate: what is to happen to it must happen to its master."""
    if change.row["master_id"] is not None:
        raise change.conflict("follows_master", reasons=[], allowed_next=[])


def _present(change: Change, said: Mapping[str, Any]) -> frozenset[str]:
    row = change.row
    names = {name for name in _OF_THE_ROW if row[name]}
    if row["notes"]:
        names.add("note")
    names |= {f"milestone.{name}" for name in row["milestones"]}
    names |= {name for name, value in said.items() if value and (name != "checklist" or is_complete(value))}
    if row["sla"]:
        names.add("sla_policy")
    if row.get("has_evidence"):
        names.add("evidence")
    return frozenset(names)


def _said(fields: Mapping[str, Any], agent: Row | None) -> dict[str, Any]:
    """Picks what the event keeps of the call: staff's words and decisions, the agent it names, no citizen's text."""
    kept = {name: fields[name] for name in ("reason", "checklist", "resolution_code") if fields.get(name)}
    if agent is not None:
        kept |= {"assigned_agent_id": str(agent["id"]), "agent_code": agent["agent_code"]}
    return kept


async def _take_fields(change: Change, fields: Mapping[str, Any]) -> Row | None:
    """Writes the fields a transition brings: triage decisions, the agent, evidence, a note. Returns the agent it names."""
    agent = None
    zone_id = fields.get("zone_id")
    if zone_id and zone_id != change.row["zone_id"]:
        await _check_zone(change.tx, zone_id)
    decided = {
        name: fields[name]
        for name in ("category", "sub_category", "priority", "zone_id", "tags")
        if fields.get(name) is not None
    }
    _classify(change, decided, follows=await following_priority(change, decided))
    if policy_id := fields.get("sla_policy"):
        _set_policy(change, policy_id)
    if given := fields.get("assigned_agent_id"):
        agent = await find_agent(change.tx, str(given))
        if agent["id"] != change.row["assigned_agent_id"]:
            give_to(change, agent["id"], agent["agent_code"], reason=fields.get("reason"))
    if evidence := fields.get("evidence"):
        await add_evidence(change, evidence)
    if note := fields.get("note"):
        change.set(notes=[*change.row["notes"], note])
    return agent


async def _check_zone(tx: Tx, zone_id: str) -> None:
    """Raises NoSuchChoice for a zone that the tenant does not have; UNZONED it always has."""
    known = (UNZONED, *(await zone_index(tx)).codes)
    if zone_id not in known:
        raise NoSuchChoice("zone_id", [zone_id], known)


def _classify(change: Change, decided: dict[str, Any], *, follows: str | None) -> None:
    """Sets what triage decided; the policy follows category, zone and priority, and the pauses so far stay.

    `follows` is the priority that comes with another category.
    """
    pack, row = change.pack, change.row
    if (category := decided.get("category")) is not None and category not in pack.categories:
        raise Invalid(f"There is no category {category!r}; see GET /categories.", field="category")
    decided = decided | ({"priority": follows} if follows else {})
    changed = {name: value for name, value in decided.items() if row[name] != value}
    if not changed:
        return
    if "priority" in changed:
        changed["priority_score"] = score_of_priority(changed["priority"])
    change.set(**changed)
    if changed.keys() & {"category", "priority", "zone_id"} and not (row["sla"] or {}).get("target_at"):
        policy = pack.policy_for(row["category"], row["zone_id"], row["priority"])
        if policy and policy.policy_id != (row["sla"] or {}).get("policy_id"):
            change.set(sla=clock.policy_to_json(policy), sla_steps_fired=0)
            changed["sla_policy"] = policy.policy_id
    told = {name: value for name, value in changed.items() if name != "priority_score"}
    change.tell("request.classified", **told, **({"priority_follows": True} if follows else {}))


def _set_policy(change: Change, policy_id: str) -> None:
    policy = next((rule.policy for rule in change.pack.sla_rules if rule.policy.policy_id == policy_id), None)
    if policy is None:
        known = ", ".join(sorted({rule.policy.policy_id for rule in change.pack.sla_rules}))
        raise Invalid(f"There is no SLA policy {policy_id!r}; the pack has {known}.", field="sla_policy")
    if (change.row["sla"] or {}).get("policy_id") != policy_id:
        change.set(sla=clock.policy_to_json(policy), sla_steps_fired=0)
        change.tell("request.classified", sla_policy=policy_id)


def give_to(
    change: Change, agent_id: UUID, agent_code: str, *, reason: str | None, office_id: UUID | None = None
) -> None:
    """Makes an agent the one who works on the request, and says so in its trail."""
    about = {"agent_id": str(agent_id), "agent_code": agent_code, "office_id": str(office_id) if office_id else None}
    change.set(assigned_agent_id=agent_id)
    change.tell("request.assigned", **about, reason=reason, policy=change.row["assignment_policy"])


async def find_agent(tx: Tx, given: str) -> Row:
    """Finds an active agent by id or code. Raises Invalid when there is none."""
    agent = await tx.row(queries.FIND_AGENT, {"tenant_id": tx.tenant_id, "given": given})
    if agent is None or not agent["active"]:
        raise Invalid(f"There is no active agent {given!r}.", field="assigned_agent_id")
    return agent


async def add_evidence(change: Change, items: Sequence[Mapping[str, Any]]) -> None:
    """Stores pieces of evidence (type, url, sha256) with the change."""
    rows = [evidence_row(change.row["id"], item) for item in items]
    await queries.add_evidence(change.tx, rows, uploaded_by=UPLOADERS[change.actor.type], at=change.at)
    change.attest(evidence=[*change.attests.get("evidence", ()), *(item["sha256"] for item in items)])
    if change.actor.type != "citizen":
        change.row["has_evidence"] = True


def evidence_row(request_id: UUID, item: Mapping[str, Any]) -> Row:
    """Writes a piece of evidence of a request (type, url, sha256) as it is stored."""
    return {"id": new_id(), "request_id": request_id} | {name: item[name] for name in ("type", "url", "sha256")}


async def milestone(
    tx: Tx,
    actor: Actor,
    number: str,
    *,
    name: str,
    evidence: Sequence[Mapping[str, Any]],
    note: str | None,
    seen_version: int | None,
) -> Row:
    """Notes a milestone in the trail; when the pack says so it moves the state (R-WF-05). Returns the row."""
    change = await open_change(tx, actor, number, seen_version=seen_version)
    known = change.pack.milestones.get(name)
    if known is None:
        titles = ", ".join(one.title for one in change.pack.milestones.values())
        detail = f"There is no milestone {name!r} here; there are: {titles}."
        raise Invalid(
            detail, errors=[{"field": "milestone", "detail": detail, "choices": list(change.pack.milestones)}]
        )
    if known.evidence and not evidence and not change.row.get("has_evidence"):
        raise Invalid(
            f"The milestone “{known.title}” needs evidence, such as a photo: send it along.", field="evidence"
        )
    if evidence:
        await add_evidence(change, evidence)
    if note:
        change.set(notes=[*change.row["notes"], note])
    change.set(milestones={**change.row["milestones"], name: change.at.isoformat()})
    hashes = [item["sha256"] for item in evidence]
    change.tell("request.milestone", milestone=name, **({"evidence": hashes} if hashes else {}))
    if known.moves_to and change.row["status"] != known.moves_to:
        await move(change, known.moves_to, said={})
    elif not known.moves_to and change.row["state_category"] == "closed":
        raise change.conflict("request_closed")
    return await change.apply()


async def escalate(tx: Tx, actor: Actor, number: str, *, reason: str, seen_version: int | None = None) -> Row:
    """Escalates by hand (R-SLA-06): an event with who and why, one more on the count, the clock read anew."""
    change = await open_change(tx, actor, number, seen_version=seen_version)
    refuse_duplicate(change)
    if is_ended(change.row["state_category"]):
        raise change.conflict("not_open")
    change.read_clock()
    change.set(escalation_count=change.row["escalation_count"] + 1)
    change.tell("request.escalated", manual=True, reason=reason, sla_state=change.row["sla_state"])
    return await change.apply()
