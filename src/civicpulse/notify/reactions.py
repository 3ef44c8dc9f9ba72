"""Who hears of an event, by which way, and in which words. Runs after the commit, at least once: telling twice is once."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from civicpulse.accounts.roles import roles_of
from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.ids import new_id
from civicpulse.notify import queries
from civicpulse.packs.model import Pack
from civicpulse.packs.store import pack_version
from civicpulse.requests.trail import name_of
from civicpulse.requests.visibility import EVERYTHING, PUBLIC, Sight, of_citizen, tracking_token, trail_as_seen
from civicpulse.rules.words.saying import readable, say_escalation, say_level

# The pack's template for the reporter; of a transition it depends on the category of the state that was reached.
REPORTER_TEMPLATES = {"request.opened": "created", "request.merged": "merged", "comment.added": "commented"}


@dataclass(frozen=True, slots=True)
class Listener:
    """One who hears: recipient_type and recipient as stored, the channel, the template and the language."""

    type: str
    recipient: str
    channel: str
    template: str
    language: str


async def tell_people(tx: Tx, event: Row) -> None:
    """Writes down who is to hear of a request's event (subject_id, seq, type, meta); idempotent.

    The reporter hears of the receipt, of each change of state and of a merge as their preferences say; the agent of
    what they are assigned; the escalation step's role, and the agent, of an escalation. Of a comment hear the reporter and
    whoever works on the request or on its master, but not its author; of an internal note only those who work on it. An
    event for which the tenant's pack has no template is told to nobody, and what is about a request that the reporter may
    not see is not told to them.
    """
    facts = await queries.find_facts(tx, event["subject_id"])
    if facts is None:
        return
    pack = await pack_version(tx, facts["pack_version"])
    roles = await roles_of(tx)
    for listener in _listeners(event, facts, pack, roles.escalations):
        seen = await trail_as_seen(tx, _sight(listener), [event])
        words = _words(tx, seen[0], facts, pack, listener) if seen else None
        if words is None:
            continue
        now = clock.now()
        values = {
            "id": new_id(),
            "subject_id": event["subject_id"],
            "seq": event["seq"],
            "recipient_type": listener.type,
            "recipient": listener.recipient,
            "channel": listener.channel,
            "title": words[0],
            "body": words[1],
            "created_at": now,
            "next_try_at": None if listener.channel == "inapp" else now,
        }
        await queries.add_notification(tx, values)


async def forget_citizen(tx: Tx, event: Row) -> None:
    """Blanks every text that was written to a citizen who was erased by law; idempotent."""
    await queries.forget_texts(tx, event["subject_id"])


def _sight(listener: Listener) -> Sight:
    """Says what a listener may hear of other requests: a citizen of those that they see."""
    return PUBLIC | of_citizen(UUID(listener.recipient)) if listener.type == "citizen" else EVERYTHING


def track_path(tx: Tx, number: str, *, token_of: UUID | None) -> str:
    """Says where a request can be followed; with `token_of`, the request's own id, as its reporter."""
    path = f"/track/{number}?t={tx.tenant.slug}"
    return f"{path}#token={tracking_token(tx.tenant, token_of)}" if token_of else path


def _listeners(event: Row, facts: Row, pack: Pack, escalations: str) -> Iterator[Listener]:
    name, language = name_of(event), pack.document.language
    if name == "request.escalated":
        role = event["meta"].get("role") or escalations
        yield Listener("role", role, "inapp", "escalated", language)
        if facts["assigned_agent_id"]:
            yield Listener("agent", str(facts["assigned_agent_id"]), "inapp", "escalated", language)
    elif name == "comment.added":
        yield from _of_comment(event, facts, pack)
    elif name == "request.assigned":
        yield Listener("agent", event["meta"]["agent_id"], "inapp", "status_changed", language)
    elif reporter := _reporter(event, facts, pack):
        yield reporter


def _of_comment(event: Row, facts: Row, pack: Pack) -> Iterator[Listener]:
    author = event["actor_id"]
    workers = {facts["assigned_agent_id"], facts["master_agent_id"]} - {None}
    for agent_id in sorted(map(str, workers)):
        if agent_id != author:
            yield Listener("agent", agent_id, "inapp", "commented", pack.document.language)
    if event["meta"].get("internal") or event["actor_type"] == "citizen":
        return
    if reporter := _reporter(event, facts, pack):
        yield reporter


def _reporter(event: Row, facts: Row, pack: Pack) -> Listener | None:
    """Finds the citizen behind the report, if they want to hear of it; by a proven contact, else in the application."""
    if facts["citizen_id"] is None:
        return None
    wishes = facts["preferences"]["notifications"]
    solved = name_of(event) == "request.transitioned" and _category_reached(event, pack) == "resolved"
    template = "resolved" if solved else REPORTER_TEMPLATES.get(name_of(event), "status_changed")
    if not wishes["on_resolution" if solved else "on_status_change"]:
        return None
    chosen = facts["contact_channel"]
    channel = chosen if chosen != "none" else facts["preferences"]["preferred_contact"]
    if channel not in (facts["proven"] or ()):
        channel = "inapp"
    return Listener("citizen", str(facts["citizen_id"]), channel, template, facts["preferences"]["language"])


def _category_reached(event: Row, pack: Pack) -> str | None:
    """Finds the category of the state that a transition led to; of one that release 0.1 wrote, by its pack."""
    meta = event["meta"]
    state = pack.workflow.states.get(meta["to"])
    return meta.get("category") or (state.category if state else None)


def _words(tx: Tx, event: Row, facts: Row, pack: Pack, listener: Listener) -> tuple[str, str] | None:
    message = pack.message(listener.template, listener.language)
    if message is None:
        return None
    category, meta = pack.categories.get(facts["category"]), event["meta"]
    token_of = facts["id"] if listener.type == "citizen" else None
    state = meta["to"] if name_of(event) == "request.transitioned" else facts["status"]
    said = defaultdict(
        str,
        address=facts["address_hint"] or "",
        category=category.name_in(listener.language) if category else readable(facts["category"]),
        level=say_level(facts["sla_state"], listener.language),
        master_request_id=meta.get("master_request_id") or "",
        priority=facts["priority"],
        reason=meta.get("reason") or _escalation(meta, facts, pack),
        request_id=facts["number"],
        status=pack.title_of(state, listener.language),
        tenant=tx.tenant.name,
        url=track_path(tx, facts["number"], token_of=token_of),
    )
    return message.subject.format_map(said), message.body.format_map(said)


def _escalation(meta: Row, facts: Row, pack: Pack) -> str:
    """Says why the clock escalated; empty for what a person or another event did."""
    if "after_hours" not in meta:
        return ""
    role = meta.get("role") or pack.roles.escalations
    return say_escalation(meta["after_hours"], role, pack.titles, is_taken=facts["assigned_agent_id"] is not None)
