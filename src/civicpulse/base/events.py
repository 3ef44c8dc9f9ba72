"""The event trail: append-only, hash-chained by the database, written in the transaction of the change."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

from psycopg.types.json import Jsonb

from civicpulse.base.db import Tx
from civicpulse.base.ids import lock_number
from civicpulse.rules.access import Kind, Permission, Role, Scope

ANONYMOUS_KEY = "anonymous"
CHAIN_QUEUE: Final = "chain"
"""The queue of events that wait for their place in the tenant's chain."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the name of a role and the rights that it gave, and the id of the person, agent or token behind it.

    Without an id it is a stranger. `kind` is what the trail names; `is_bound` and `scope` as in `rules.access.Role`.
    """

    role: str
    kind: Kind
    id: str | None = None
    permissions: frozenset[Permission] = frozenset()
    is_bound: bool = True
    scope: Scope = "none"

    @classmethod
    def of(cls, role: Role, id: str | None) -> Self:
        """Makes somebody in `role`."""
        return cls(role.name, role.kind, id, role.permissions, role.is_bound, role.scope)

    def may(self, permission: Permission) -> bool:
        """Tells whether the actor holds `permission`."""
        return permission in self.permissions

    @property
    def type(self) -> Kind:
        """The kind of actor as the trail names it (R-AUD-01): citizen, dispatcher, agent or system."""
        return self.kind

    @property
    def key(self) -> str:
        """One word that tells two actors apart, for `created_by` and the scope of an idempotency key; one for all strangers."""
        return f"{self.kind}:{self.id}" if self.id else ANONYMOUS_KEY


def platform(part: str) -> Actor:
    """Makes CivicPulse itself an actor, by the name of the part that acts: it may do everything, and no role of a tenant limits it."""
    return Actor("system", "system", part, frozenset(Permission), is_bound=False, scope="all")


SYSTEM = platform("civicpulse")

NAMES_BEFORE: Final = {
    "created": "request.opened",
    "classified": "request.classified",
    "assignment_failed": "request.assignment_failed",
    "followed": "request.transitioned",
    "milestone": "request.milestone",
    "sla_state": "request.sla_changed",
    "sla_escalation": "request.escalated",
    "rating": "request.rated",
    "merged": "request.merged",
    "unmerged": "request.unmerged",
    "duplicate_added": "request.duplicate_added",
    "duplicate_removed": "request.duplicate_removed",
    "duplicate_rejected": "duplicate.rejected",
    "duplicate_rejection_undone": "duplicate.rejection_undone",
    "comment": "comment.added",
    "evidence": "evidence.added",
    "citizen_created": "citizen.created",
    "citizen_updated": "citizen.changed",
    "citizen_verified": "citizen.verified",
    "citizen_erased": "citizen.erased",
    "agent_created": "agent.created",
    "agent_updated": "agent.changed",
    "offices_put": "tenant.offices_put",
    "managers_put": "tenant.managers_put",
    "config_changed": "tenant.configured",
}
"""Release 0.1 wrote these types, and called a transition by the state it led to. The trail keeps what it was given."""


def event_name(type: str, meta: Mapping[str, Any]) -> str:
    """Gives an event's name as code has it today, also of one that release 0.1 wrote."""
    if "." in type:
        return type
    return "request.transitioned" if "to" in meta and type != "sla_state" else NAMES_BEFORE.get(type, type)


def stored_types(name: str) -> list[str]:
    """Names the types under which events of that name may stand in the trail, for statements that look for them."""
    return [name, *(before for before, now in NAMES_BEFORE.items() if now == name)]


RECORD_EVENT = """
WITH recorded AS (
    INSERT INTO events (tenant_id, subject_id, seq, subject_type, type, actor_type, actor_id, at, meta, attests)
    VALUES (%(tenant_id)s, %(subject_id)s, %(seq)s, %(subject_type)s, %(type)s, %(actor_type)s, %(actor_id)s, %(at)s, %(meta)s,
            %(attests)s)
    RETURNING tenant_id, subject_id, seq, type
)
INSERT INTO outbox (tenant_id, subject_id, seq, type) SELECT tenant_id, subject_id, seq, type FROM recorded
"""

RECORD_NEXT_EVENT = """
WITH recorded AS (
    INSERT INTO events (tenant_id, subject_id, seq, subject_type, type, actor_type, actor_id, at, meta, attests)
    SELECT %(tenant_id)s, %(subject_id)s, coalesce(max(seq), 0) + 1, %(subject_type)s, %(type)s, %(actor_type)s, %(actor_id)s,
           %(at)s, %(meta)s, %(attests)s
    FROM events WHERE tenant_id = %(tenant_id)s AND subject_id = %(subject_id)s
    RETURNING tenant_id, subject_id, seq, type
)
INSERT INTO outbox (tenant_id, subject_id, seq, type) SELECT tenant_id, subject_id, seq, type FROM recorded
"""


# A statement of its own before the number is looked up: whoever waited then sees what was written meanwhile.
LOCK_TRAIL = "SELECT pg_advisory_xact_lock(%(number)s)"


async def record(
    tx: Tx,
    actor: Actor,
    *,
    subject_id: UUID,
    seq: int | None,
    type: str,
    at: datetime,
    meta: dict[str, Any],
    subject_type: str = "request",
    attests: Mapping[str, Any] | None = None,
) -> None:
    """Appends one event and its outbox row.

    `seq` is the subject's next number when the caller holds its row lock (requests); None takes the next one under the
    lock of the subject's trail (citizens, agents, tenants, whose changes are rare). `meta` must not hold text a person may have erased.
    `attests` is what the event vouches for besides (audit/chain.py).
    """
    params = {
        "tenant_id": tx.tenant_id,
        "subject_id": subject_id,
        "seq": seq,
        "subject_type": subject_type,
        "type": type,
        "actor_type": actor.type,
        "actor_id": actor.id,
        "at": at,
        "meta": Jsonb(meta),
        "attests": Jsonb(attests or {}),
    }
    if seq is None:
        await tx.run(LOCK_TRAIL, {"number": lock_number("trail", tx.tenant_id, subject_id)})
    await tx.run(RECORD_NEXT_EVENT if seq is None else RECORD_EVENT, params)
