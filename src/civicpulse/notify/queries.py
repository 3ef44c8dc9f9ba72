"""Every SQL statement about notifications."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import sql

from civicpulse.base.db import Row, Tx
from civicpulse.base.leases import Queue
from civicpulse.requests.visibility import Sight

# The pause after each failed try; after the last one the notification is given up, with its error.
PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=4))

# A contact is written to only after a code that was sent to it came back.
FIND_FACTS = """
SELECT r.id, r.number, r.pack_version, r.category, r.priority, r.status, r.sla_state, r.address_hint,
       r.assigned_agent_id, r.contact_channel, m.assigned_agent_id AS master_agent_id, c.id AS citizen_id, c.preferences,
       (SELECT array_agg(DISTINCT o.channel) FROM otp_challenges o
        WHERE o.tenant_id = c.tenant_id AND o.citizen_id = c.id AND o.consumed_at IS NOT NULL
          AND CASE o.channel WHEN 'email' THEN c.email ELSE c.phone END IS NOT NULL) AS proven
FROM requests r LEFT JOIN citizens c ON c.tenant_id = r.tenant_id AND c.id = r.citizen_id AND c.erased_at IS NULL
LEFT JOIN requests m ON m.tenant_id = r.tenant_id AND m.id = r.master_id
WHERE r.tenant_id = %(tenant_id)s AND r.id = %(id)s
"""

ADD_NOTIFICATION = """
INSERT INTO notifications (tenant_id, id, subject_id, seq, recipient_type, recipient, channel, title, body, created_at,
                           next_try_at)
VALUES (%(tenant_id)s, %(id)s, %(subject_id)s, %(seq)s, %(recipient_type)s, %(recipient)s, %(channel)s, %(title)s,
        %(body)s, %(created_at)s, %(next_try_at)s)
ON CONFLICT (tenant_id, subject_id, seq, recipient_type, recipient, channel) DO NOTHING
"""

FORGET_TEXTS = """
UPDATE notifications SET title = '', body = '', next_try_at = NULL
WHERE tenant_id = %(tenant_id)s AND recipient_type = 'citizen' AND recipient = %(citizen_id)s AND title <> ''
"""

FORGET_ABOUT = """
UPDATE notifications SET title = '', body = '', next_try_at = NULL
WHERE tenant_id = %(tenant_id)s AND subject_id = ANY(%(ids)s) AND title <> ''
"""

# The contact is read when the message leaves, so that no notification holds one and an erased one is never used.
QUEUE = Queue(
    name="notifications",
    table="notifications",
    due="next_try_at",
    error="error",
    parked="next_try_at = NULL",
    tries=len(PAUSES) + 1,
    pause=lambda tries: PAUSES[tries - 1],
    read="""
SELECT n.id, n.channel, n.title, n.body, t.attempts, r.number,
       CASE n.channel WHEN 'email' THEN c.email ELSE c.phone END AS contact
FROM taken t JOIN notifications n ON n.tenant_id = %(tenant_id)s AND n.id = t.id
LEFT JOIN citizens c ON c.tenant_id = n.tenant_id AND n.recipient_type = 'citizen' AND c.id::text = n.recipient
LEFT JOIN requests r ON r.tenant_id = n.tenant_id AND r.id = n.subject_id
ORDER BY n.id
""",
)

SENT = """
UPDATE notifications SET sent_at = %(at)s, error = NULL, next_try_at = NULL WHERE tenant_id = %(tenant_id)s AND id = %(id)s
"""

AGENT_ROLES = "SELECT roles FROM agents WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND active"

# Each recipient's newest by index, then the newest of all.
LIST_OWN = sql.SQL("""
SELECT n.id, r.number AS request_id, n.recipient_type, n.channel, n.title, n.body, n.created_at, n.sent_at
FROM (
    SELECT own.id, own.subject_id, own.recipient_type, own.channel, own.title, own.body, own.created_at, own.sent_at
    FROM unnest(%(types)s::text[], %(recipients)s::text[]) AS w (recipient_type, recipient)
    CROSS JOIN LATERAL (
        SELECT n.id, n.subject_id, n.recipient_type, n.channel, n.title, n.body, n.created_at, n.sent_at
        FROM notifications n
        WHERE n.tenant_id = %(tenant_id)s AND n.recipient_type = w.recipient_type AND n.recipient = w.recipient
          AND n.title <> '' AND (%(before)s::uuid IS NULL OR n.id < %(before)s){seen}
        ORDER BY n.id DESC LIMIT %(limit)s
    ) own
    ORDER BY own.id DESC LIMIT %(limit)s
) n LEFT JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = n.subject_id
ORDER BY n.id DESC
""")
_ABOUT_SEEN = sql.SQL(
    " AND EXISTS (SELECT 1 FROM requests q WHERE q.tenant_id = n.tenant_id AND q.id = n.subject_id AND {seen})"
)


async def find_facts(tx: Tx, request_id: UUID) -> Row | None:
    """Reads what decides who hears of a request's events; `proven` are the citizen's proven channels or None."""
    return await tx.row(FIND_FACTS, {"tenant_id": tx.tenant_id, "id": request_id})


async def add_notification(tx: Tx, values: dict[str, Any]) -> None:
    """Inserts a notification; the same one again is none."""
    await tx.run(ADD_NOTIFICATION, values | {"tenant_id": tx.tenant_id})


async def forget_texts(tx: Tx, citizen_id: UUID) -> int:
    """Blanks what was written to a citizen and sends nothing more of it; how many."""
    return await tx.run(FORGET_TEXTS, {"tenant_id": tx.tenant_id, "citizen_id": str(citizen_id)})


async def forget_about(tx: Tx, request_ids: Sequence[UUID]) -> int:
    """Blanks what anybody was told about these requests: it names their places; how many."""
    return await tx.run(FORGET_ABOUT, {"tenant_id": tx.tenant_id, "ids": list(request_ids)})


async def sent(tx: Tx, notification_id: UUID, *, at: datetime) -> None:
    """Writes down that the message has left."""
    await tx.run(SENT, {"tenant_id": tx.tenant_id, "id": notification_id, "at": at})


async def agent_roles(tx: Tx, agent_id: UUID) -> list[str]:
    """Finds the roles of an active agent; none when there is no such agent."""
    return await tx.value(AGENT_ROLES, {"tenant_id": tx.tenant_id, "id": agent_id}) or []


async def list_own(
    tx: Tx, recipients: Sequence[tuple[str, str]], sight: Sight, *, before: UUID | None, limit: int
) -> list[Row]:
    """Lists the newest notifications of any of `recipients` (type, recipient) about what is seen, older than the one called `before`."""
    values = {
        "tenant_id": tx.tenant_id,
        "types": [kind for kind, _ in recipients],
        "recipients": [recipient for _, recipient in recipients],
        "before": before,
        "limit": limit,
    }
    seen = sql.SQL("") if sight.is_everything else _ABOUT_SEEN.format(seen=sight.predicate("q"))
    return await tx.rows(LIST_OWN.format(seen=seen), values | sight.parameters)
