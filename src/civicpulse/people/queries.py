"""Every SQL statement about citizens, their codes, and agents."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from civicpulse.base.conditions import has_ended, is_open, is_open_master, stands_resolved
from civicpulse.base.db import Row, Tx
from civicpulse.base.ids import lock_number

LOCK = "SELECT pg_advisory_xact_lock(%(number)s)"

# A contact is proven when a code that was sent to it came back.
PROVEN = sql.SQL("""EXISTS (SELECT 1 FROM otp_challenges o WHERE o.tenant_id = c.tenant_id AND o.citizen_id = c.id
    AND o.channel = {} AND o.consumed_at IS NOT NULL)""")

FIND_BY_CONTACTS = sql.SQL("""
SELECT c.id, c.verified, c.email, c.phone, {email_proven} AS email_proven, {phone_proven} AS phone_proven
FROM citizens c WHERE c.tenant_id = %(tenant_id)s AND (c.email = %(email)s OR c.phone = %(phone)s)
ORDER BY c.id FOR UPDATE OF c
""").format(email_proven=PROVEN.format(sql.Literal("email")), phone_proven=PROVEN.format(sql.Literal("sms")))

ADD_CITIZEN = """
INSERT INTO citizens (tenant_id, id, full_name, email, phone, preferences, neighborhood, city, zone_id, created_at)
VALUES (%(tenant_id)s, %(id)s, %(full_name)s, %(email)s, %(phone)s, %(preferences)s, %(neighborhood)s, %(city)s,
        %(zone_id)s, %(created_at)s)
"""

GET_CITIZEN = f"""
SELECT c.id, c.full_name, c.verified, c.verify_method, c.verified_at, c.email, c.phone, c.preferences, c.neighborhood,
       c.city, c.zone_id, c.created_at, s.total_requests, s.avg_rating, s.open_requests, s.resolved_requests
FROM citizens c CROSS JOIN LATERAL (
    SELECT count(*) AS total_requests, avg(r.rating)::float8 AS avg_rating,
           count(*) FILTER (WHERE {is_open("r")}) AS open_requests,
           count(*) FILTER (WHERE {has_ended("r")}) AS resolved_requests
    FROM requests r WHERE r.tenant_id = c.tenant_id AND r.citizen_id = c.id
) s
WHERE c.tenant_id = %(tenant_id)s AND c.id = %(id)s
"""

LOCK_CITIZEN = """
SELECT tenant_id, id, full_name, email, phone, preferences, neighborhood, city, zone_id, erased_at
FROM citizens WHERE tenant_id = %(tenant_id)s AND id = %(id)s FOR UPDATE
"""

# A caller may hold the id of the citizen, or of a challenge that stands for one (citizens.register).
FIND_BEHIND = """
SELECT id, NULL AS channel FROM citizens WHERE tenant_id = %(tenant_id)s AND id = %(id)s
UNION ALL
SELECT citizen_id, channel FROM otp_challenges WHERE tenant_id = %(tenant_id)s AND id = %(id)s
LIMIT 1
"""

CHANGE_CITIZEN = """
UPDATE citizens SET full_name = %(full_name)s, preferences = %(preferences)s, neighborhood = %(neighborhood)s,
    city = %(city)s, zone_id = %(zone_id)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s
"""

RELEASE_EMAIL = "UPDATE citizens SET email = NULL WHERE tenant_id = %(tenant_id)s AND id = %(id)s"
RELEASE_PHONE = "UPDATE citizens SET phone = NULL WHERE tenant_id = %(tenant_id)s AND id = %(id)s"

SET_VERIFIED = """
UPDATE citizens SET verified = true, verify_method = 'otp', verified_at = %(at)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND NOT verified
"""

ERASE_CITIZEN = """
UPDATE citizens SET full_name = NULL, email = NULL, phone = NULL, neighborhood = NULL, city = NULL, zone_id = NULL,
    verified = false, verify_method = NULL, verified_at = NULL, erased_at = %(at)s,
    preferences = preferences || '{"preferred_contact": "none"}'
WHERE tenant_id = %(tenant_id)s AND id = %(id)s
"""

# Kept answers hold what the citizen sent; they name the citizen by id or by one of the challenges.
CHALLENGES = "SELECT id FROM otp_challenges WHERE tenant_id = %(tenant_id)s AND citizen_id = %(id)s"
FORGET_CHALLENGES = "DELETE FROM otp_challenges WHERE tenant_id = %(tenant_id)s AND citizen_id = %(id)s"

ADD_CHALLENGE = """
INSERT INTO otp_challenges (tenant_id, id, citizen_id, channel, code_hash, asker, tries_left, created_at, expires_at)
VALUES (%(tenant_id)s, %(id)s, %(citizen_id)s, %(channel)s, %(code_hash)s, %(asker)s, %(tries_left)s, %(created_at)s,
        %(expires_at)s)
"""

COUNT_CODES = """
SELECT max(created_at) FILTER (WHERE asker = %(asker)s) AS latest_at,
       count(*) FILTER (WHERE asker = %(asker)s AND created_at > %(since)s) AS recent,
       count(*) FILTER (WHERE created_at > %(since)s) AS for_all
FROM otp_challenges WHERE tenant_id = %(tenant_id)s AND citizen_id = %(citizen_id)s AND code_hash <> ''
"""

LOCK_LATEST_CODE = """
SELECT id, channel, code_hash, tries_left, expires_at, consumed_at
FROM otp_challenges WHERE tenant_id = %(tenant_id)s AND citizen_id = %(citizen_id)s AND code_hash <> '' AND asker IN (%(asker)s, '')
ORDER BY created_at DESC, id DESC LIMIT 1 FOR UPDATE
"""

COUNT_WRONG_TRY = (
    "UPDATE otp_challenges SET tries_left = tries_left - 1 WHERE tenant_id = %(tenant_id)s AND id = %(id)s"
)
CONSUME_CODE = "UPDATE otp_challenges SET consumed_at = %(at)s WHERE tenant_id = %(tenant_id)s AND id = %(id)s"

# The pack as it is stored: its room stands above this one. Packs are checked when they are stored.
CODE_TEMPLATES = """
SELECT coalesce(document -> 'messages' -> 'otp', '{}') AS templates, document ->> 'language' AS language
FROM pack_versions WHERE tenant_id = %(tenant_id)s AND version = %(version)s
"""

ADD_AGENT = """
INSERT INTO agents (tenant_id, id, agent_code, name, department, skills, zone_ids, geo_fence, timezone, shifts, on_call,
                    contacts, roles, active, office_id, position, base_load, created_at, updated_at)
VALUES (%(tenant_id)s, %(id)s, %(agent_code)s, %(name)s, %(department)s, %(skills)s, %(zone_ids)s, %(geo_fence)s,
        %(timezone)s, %(shifts)s, %(on_call)s, %(contacts)s, %(roles)s, %(active)s, %(office_id)s, %(position)s, %(base_load)s, %(created_at)s,
        %(created_at)s)
ON CONFLICT DO NOTHING
"""

CHANGE_AGENT = """
UPDATE agents SET name = %(name)s, department = %(department)s, skills = %(skills)s, zone_ids = %(zone_ids)s,
    geo_fence = %(geo_fence)s, timezone = %(timezone)s, shifts = %(shifts)s, on_call = %(on_call)s,
    contacts = %(contacts)s, roles = %(roles)s, active = %(active)s, office_id = %(office_id)s, position = %(position)s,
    base_load = %(base_load)s, updated_at = %(updated_at)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s
"""

AGENT_COLUMNS = sql.SQL("""a.id, a.agent_code, a.name, a.department, a.skills, a.zone_ids, a.geo_fence, a.timezone, a.shifts,
    a.on_call, a.contacts, a.roles, a.active, a.office_id, a.position, a.base_load, a.last_assigned_at, a.created_at""")

FIND_AGENT = sql.SQL("""
SELECT {columns} FROM agents a
WHERE a.tenant_id = %(tenant_id)s AND (a.id = %(id)s OR a.agent_code = %(code)s)
ORDER BY a.id = %(id)s DESC LIMIT 1
""").format(columns=AGENT_COLUMNS)
LOCK_AGENT = sql.SQL(
    "SELECT {columns} FROM agents a WHERE a.tenant_id = %(tenant_id)s AND a.id = %(id)s FOR UPDATE"
).format(columns=AGENT_COLUMNS)

AGENT_WORK = f"""
SELECT count(*) FILTER (WHERE w.open) AS open,
       count(*) FILTER (WHERE w.open AND w.status = ANY(%(assigned)s)) AS assigned,
       count(*) FILTER (WHERE w.open AND w.status = ANY(%(in_progress)s)) AS in_progress,
       count(*) FILTER (WHERE w.open AND w.priority = 'P1') AS p1,
       count(*) FILTER (WHERE w.open AND w.priority = 'P2') AS p2,
       count(*) FILTER (WHERE w.open AND w.priority = 'P3') AS p3,
       count(*) FILTER (WHERE w.open AND w.priority = 'P4') AS p4,
       count(*) FILTER (WHERE w.done) AS resolved,
       (avg(extract(epoch FROM w.resolved_at - w.created_at) / 60) FILTER (WHERE w.done))::float8 AS resolution_minutes,
       (avg(w.sla_met::int * 100) FILTER (WHERE w.done))::float8 AS sla_met_pct,
       (avg(w.rating) FILTER (WHERE w.done))::float8 AS rating,
       coalesce(sum(w.escalation_count) FILTER (WHERE w.assigned_at >= %(since)s AND w.assigned_at < %(until)s), 0)::int AS escalations
FROM (
    SELECT r.status, r.priority, r.created_at, r.assigned_at, r.resolved_at, r.sla_met, r.rating, r.escalation_count,
           {is_open("r")} AS open, {stands_resolved("r")} AND r.resolved_at >= %(since)s AND r.resolved_at < %(until)s AS done
    FROM requests r
    WHERE r.tenant_id = %(tenant_id)s AND r.assigned_agent_id = %(id)s AND r.master_id IS NULL
      AND ({is_open("r")} OR r.assigned_at >= %(since)s OR {stands_resolved("r")} AND r.resolved_at >= %(since)s)
) w
"""


def open_loads(*, of: LiteralString = "true") -> LiteralString:
    """Counts the open work of each agent (`id`, `open_load`) that fits the condition `of` on `r`; always anew, so it never drifts.

    Without a condition it is read from the index requests_agent_open alone.
    """
    return f"""
    SELECT r.assigned_agent_id AS id, count(*)::int AS open_load FROM requests r
    WHERE r.tenant_id = %(tenant_id)s AND r.assigned_agent_id IS NOT NULL AND {is_open_master("r")} AND {of}
    GROUP BY r.assigned_agent_id
"""


LIST_AGENTS = sql.SQL("""
SELECT {columns}, coalesce(load.open_load, 0) AS open_load
FROM agents a LEFT JOIN ({loads}) load ON load.id = a.id
WHERE a.tenant_id = %(tenant_id)s {conditions}
ORDER BY a.agent_code LIMIT %(limit)s
""")

AGENT_FILTERS = {
    "skill": sql.SQL("AND %(skill)s = ANY (a.skills)"),
    "zone": sql.SQL("AND a.zone_ids @> ARRAY[%(zone)s]"),
    "active": sql.SQL("AND a.active = %(active)s"),
    "ids": sql.SQL("AND a.id = ANY (%(ids)s)"),
    "after": sql.SQL("AND a.agent_code > %(after)s"),
}


async def lock_contacts(tx: Tx, contacts: list[str]) -> None:
    """Queues behind every other transaction that registers one of `contacts`."""
    for contact in sorted(contacts):  # in one order, so that two callers cannot wait for each other
        await tx.run(LOCK, {"number": lock_number("contact", tx.tenant_id, contact)})


async def find_by_contacts(tx: Tx, *, email: str | None, phone: str | None) -> list[Row]:
    """Locks the profiles that hold one of the contacts, each with email_proven and phone_proven."""
    return await tx.rows(FIND_BY_CONTACTS, {"tenant_id": tx.tenant_id, "email": email, "phone": phone})


async def add_citizen(tx: Tx, values: dict[str, Any]) -> None:
    """Inserts a citizen; `values` as the columns are called, preferences a dict."""
    await tx.run(ADD_CITIZEN, values | {"tenant_id": tx.tenant_id, "preferences": Jsonb(values["preferences"])})


async def find_citizen(tx: Tx, citizen_id: UUID) -> Row | None:
    """Finds a citizen with the figures of their requests, in one statement; None when there is none."""
    return await tx.row(GET_CITIZEN, {"tenant_id": tx.tenant_id, "id": citizen_id})


async def lock_citizen(tx: Tx, citizen_id: UUID) -> Row | None:
    """Locks a citizen's row."""
    return await tx.row(LOCK_CITIZEN, {"tenant_id": tx.tenant_id, "id": citizen_id})


async def find_behind(tx: Tx, known_as: UUID) -> Row | None:
    """Finds the citizen's `id` behind a citizen's or a challenge's id, and the challenge's `channel`."""
    return await tx.row(FIND_BEHIND, {"tenant_id": tx.tenant_id, "id": known_as})


async def change_citizen(tx: Tx, row: Row) -> None:
    """Stores name, preferences and address of `row`."""
    await tx.run(CHANGE_CITIZEN, row | {"preferences": Jsonb(row["preferences"])})


async def release_contact(tx: Tx, citizen_id: UUID, *, channel: str) -> None:
    """Takes the contact of `channel` off a citizen."""
    await tx.run(RELEASE_EMAIL if channel == "email" else RELEASE_PHONE, {"tenant_id": tx.tenant_id, "id": citizen_id})


async def set_verified(tx: Tx, citizen_id: UUID, *, at: datetime) -> bool:
    """Marks a citizen as verified; False when they were."""
    return await tx.run(SET_VERIFIED, {"tenant_id": tx.tenant_id, "id": citizen_id, "at": at}) == 1


async def known_as(tx: Tx, citizen_id: UUID) -> list[UUID]:
    """Finds the ids that a citizen is answered to by: their own and those of their codes."""
    values = {"tenant_id": tx.tenant_id, "id": citizen_id}
    return [citizen_id, *(row["id"] for row in await tx.rows(CHALLENGES, values))]


async def erase_citizen(tx: Tx, citizen_id: UUID, *, at: datetime) -> None:
    """Blanks a citizen and forgets their codes; the row stays."""
    values = {"tenant_id": tx.tenant_id, "id": citizen_id, "at": at}
    for statement in (FORGET_CHALLENGES, ERASE_CITIZEN):
        await tx.run(statement, values)


async def add_challenge(tx: Tx, values: dict[str, Any]) -> None:
    """Inserts a challenge; an empty code_hash means that no code was sent and the id only stands for the citizen."""
    await tx.run(ADD_CHALLENGE, values | {"tenant_id": tx.tenant_id})


async def count_codes(tx: Tx, citizen_id: UUID, *, asker: str, since: datetime) -> Row:
    """Tells when the last code that `asker` wanted went out (latest_at, may be None), how many since `since` (recent), and
    how many whoever wanted them (for_all)."""
    about = {"tenant_id": tx.tenant_id, "citizen_id": citizen_id, "asker": asker, "since": since}
    row = await tx.row(COUNT_CODES, about)
    assert row is not None
    return row


async def lock_latest_code(tx: Tx, citizen_id: UUID, *, asker: str) -> Row | None:
    """Locks the last code sent to a citizen of those that `asker` wanted or that are anybody's."""
    return await tx.row(LOCK_LATEST_CODE, {"tenant_id": tx.tenant_id, "citizen_id": citizen_id, "asker": asker})


async def count_wrong_try(tx: Tx, challenge_id: UUID) -> None:
    """Takes one try from a code."""
    await tx.run(COUNT_WRONG_TRY, {"tenant_id": tx.tenant_id, "id": challenge_id})


async def consume_code(tx: Tx, challenge_id: UUID, *, at: datetime) -> None:
    """Uses up a code: it works once."""
    await tx.run(CONSUME_CODE, {"tenant_id": tx.tenant_id, "id": challenge_id, "at": at})


async def code_templates(tx: Tx) -> Row:
    """Reads the tenant's `templates` for codes, {language: {subject, body}}, and the tenant's own `language`."""
    row = await tx.row(CODE_TEMPLATES, {"tenant_id": tx.tenant_id, "version": tx.tenant.pack_version})
    return row or {"templates": {}, "language": "en"}


def _agent_values(tx: Tx, row: dict[str, Any]) -> dict[str, Any]:
    fence = row["geo_fence"]
    return row | {
        "tenant_id": tx.tenant_id,
        "geo_fence": Jsonb(fence) if fence is not None else None,
        "shifts": Jsonb(row["shifts"]),
        "contacts": Jsonb(row["contacts"]),
    }


IS_OFFICE = "SELECT EXISTS (SELECT 1 FROM offices WHERE tenant_id = %(tenant_id)s AND id = %(id)s)"

NAMESAKE = """
SELECT agent_code FROM agents
WHERE tenant_id = %(tenant_id)s AND office_id = %(office_id)s AND name = %(name)s AND id <> %(id)s
"""


async def is_office(tx: Tx, office_id: UUID) -> bool:
    """Tells whether the tenant has an office of that id."""
    return bool(await tx.value(IS_OFFICE, {"tenant_id": tx.tenant_id, "id": office_id}))


async def find_namesake(tx: Tx, row: dict[str, Any]) -> str | None:
    """Finds the code of another agent of the same name in the same office, or None."""
    values = {name: row[name] for name in ("office_id", "name", "id")} | {"tenant_id": tx.tenant_id}
    code: str | None = await tx.value(NAMESAKE, values)
    return code


async def add_agent(tx: Tx, row: dict[str, Any]) -> bool:
    """Inserts an agent; False when the code, or the name in the office, is taken."""
    return await tx.run(ADD_AGENT, _agent_values(tx, row)) == 1


async def change_agent(tx: Tx, row: dict[str, Any]) -> None:
    """Stores all that may change of an agent."""
    await tx.run(CHANGE_AGENT, _agent_values(tx, row))


async def find_agent(tx: Tx, *, agent_id: UUID | None, code: str) -> Row | None:
    """Finds an agent by id or, when no id fits, by agent_code."""
    return await tx.row(FIND_AGENT, {"tenant_id": tx.tenant_id, "id": agent_id, "code": code})


async def lock_agent(tx: Tx, agent_id: UUID) -> Row | None:
    """Locks an agent's row."""
    return await tx.row(LOCK_AGENT, {"tenant_id": tx.tenant_id, "id": agent_id})


async def agent_work(
    tx: Tx, agent_id: UUID, *, assigned: Sequence[str], in_progress: Sequence[str], since: datetime, until: datetime
) -> Row:
    """Counts open requests of an agent, what was resolved in [since, until), and escalations of what was assigned then, in one statement.

    `assigned`, `in_progress`: the states that are counted by these names.
    """
    values = {
        "id": agent_id,
        "assigned": list(assigned),
        "in_progress": list(in_progress),
        "since": since,
        "until": until,
    }
    row = await tx.row(AGENT_WORK, values | {"tenant_id": tx.tenant_id})
    return row or {}


async def list_agents(tx: Tx, *, limit: int | None, **filters: Any) -> list[Row]:
    """Lists agents by agent_code with their open_load, in one statement; `filters` from AGENT_FILTERS, None is no filter."""
    wanted = {name: value for name, value in filters.items() if value is not None}
    conditions = sql.SQL(" ").join(AGENT_FILTERS[name] for name in wanted)
    statement = LIST_AGENTS.format(columns=AGENT_COLUMNS, loads=sql.SQL(open_loads()), conditions=conditions)
    return await tx.rows(statement, {"tenant_id": tx.tenant_id, "limit": limit, **wanted})


AGENTS_WORDS = """
SELECT array(SELECT DISTINCT skill FROM agents a, unnest(a.skills) AS skill WHERE a.tenant_id = %(tenant_id)s ORDER BY 1) AS skills,
       array(SELECT DISTINCT zone FROM agents a, unnest(a.zone_ids) AS zone WHERE a.tenant_id = %(tenant_id)s ORDER BY 1) AS zones
"""


async def agents_words(tx: Tx) -> Row:
    """Finds the skills and zones that agents have, each once."""
    row = await tx.row(AGENTS_WORDS, {"tenant_id": tx.tenant_id})
    assert row is not None
    return row


TOUCH_AGENTS = "UPDATE agents SET last_assigned_at = %(at)s WHERE tenant_id = %(tenant_id)s AND id = ANY(%(ids)s)"


async def touch_agents(tx: Tx, ids: Sequence[UUID], *, at: datetime) -> None:
    """Remembers when agents were given something last."""
    await tx.run(TOUCH_AGENTS, {"tenant_id": tx.tenant_id, "ids": list(ids), "at": at})


AGENT_CODES = "SELECT id, agent_code FROM agents WHERE tenant_id = %(tenant_id)s AND id = ANY(%(ids)s)"


async def agent_codes(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Finds the codes of agents by their ids."""
    rows = await tx.rows(AGENT_CODES, {"tenant_id": tx.tenant_id, "ids": list(set(ids))}) if ids else []
    return {row["id"]: row["agent_code"] for row in rows}


FIND_REPORTER = "SELECT id, preferences, erased_at FROM citizens WHERE tenant_id = %(tenant_id)s AND id = %(id)s"


async def find_reporter(tx: Tx, citizen_id: UUID) -> Row | None:
    """Reads what decides whether a citizen may report and be shown on the map; None when there is no such citizen."""
    return await tx.row(FIND_REPORTER, {"tenant_id": tx.tenant_id, "id": citizen_id})
