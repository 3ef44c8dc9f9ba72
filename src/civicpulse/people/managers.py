"""Managers: agents who belong to an office, upserted by name and office (R-CSV-02)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from civicpulse.accounts.roles import roles_of
from civicpulse.base import clock
from civicpulse.base.db import Tx
from civicpulse.base.events import Actor, record
from civicpulse.base.ids import new_id

# A load that did not change is no change: the file is the truth about work that came from elsewhere.
PUT_MANAGERS = """
INSERT INTO agents (tenant_id, id, agent_code, name, office_id, position, skills, base_load, roles, timezone, created_at, updated_at)
SELECT %(tenant_id)s, m.id, m.code, m.name, m.office_id, m.position, string_to_array(m.skills, E'\\x1f'), m.base_load,
       ARRAY[%(role)s], %(timezone)s, %(at)s, %(at)s
FROM unnest(%(ids)s::uuid[], %(codes)s::text[], %(names)s::text[], %(office_ids)s::uuid[], %(positions)s::text[],
            %(skills)s::text[], %(base_loads)s::int[]) AS m (id, code, name, office_id, position, skills, base_load)
ON CONFLICT (tenant_id, office_id, name) WHERE office_id IS NOT NULL DO UPDATE
SET position = excluded.position, skills = excluded.skills, base_load = excluded.base_load, active = true,
    updated_at = excluded.updated_at
WHERE (agents.position, agents.skills, agents.base_load, agents.active)
      IS DISTINCT FROM (excluded.position, excluded.skills, excluded.base_load, true)
RETURNING name, xmax = 0 AS added
"""

MANAGER_IDS = """
SELECT a.id, a.name, a.office_id FROM agents a
JOIN unnest(%(names)s::text[], %(office_ids)s::uuid[]) AS m (name, office_id) ON a.name = m.name AND a.office_id = m.office_id
WHERE a.tenant_id = %(tenant_id)s
"""


@dataclass(frozen=True, slots=True)
class ManagerDraft:
    """A manager as a file has it; name and office are the natural key. `base_load` is the work from elsewhere."""

    name: str
    office_id: UUID
    position: str | None = None
    skills: tuple[str, ...] = ()
    base_load: int = 0


@dataclass(frozen=True, slots=True)
class ManagersPut:
    """Ids of all named managers by (name, office), and how many were added and changed."""

    ids: Mapping[tuple[str, UUID], UUID]
    added: int
    changed: int


async def put_managers(tx: Tx, actor: Actor, drafts: Sequence[ManagerDraft], *, timezone: str) -> ManagersPut:
    """Adds and changes managers by name and office; of two drafts for one the last counts. Others stay as they are."""
    latest = {(draft.office_id, draft.name): draft for draft in drafts}
    ordered = [latest[key] for key in sorted(latest)]  # in one order: no deadlocks
    now = clock.now()
    values = {
        "tenant_id": tx.tenant_id,
        "role": (await roles_of(tx)).agent,
        "timezone": timezone,
        "at": now,
        "ids": [new_id() for _ in ordered],
        "codes": [_code(draft) for draft in ordered],
        "names": [draft.name for draft in ordered],
        "office_ids": [draft.office_id for draft in ordered],
        "positions": [draft.position for draft in ordered],
        "skills": ["\x1f".join(draft.skills) for draft in ordered],
        "base_loads": [draft.base_load for draft in ordered],
    }
    touched = await tx.rows(PUT_MANAGERS, values)
    added = sum(row["added"] for row in touched)
    if touched:
        meta = {"added": added, "changed": len(touched) - added}
        await record(
            tx,
            actor,
            subject_id=tx.tenant_id,
            subject_type="tenant",
            seq=None,
            type="tenant.managers_put",
            at=now,
            meta=meta,
        )
    rows = await tx.rows(MANAGER_IDS, values)
    return ManagersPut({(row["name"], row["office_id"]): row["id"] for row in rows}, added, len(touched) - added)


def _code(draft: ManagerDraft) -> str:
    """Makes a code that is the same each time the file comes; codes are unique, names are not."""
    digest = hashlib.blake2b(f"{draft.office_id}\x1f{draft.name}".encode(), digest_size=5).hexdigest()
    return f"M-{digest.upper()}"
