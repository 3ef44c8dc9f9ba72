"""CST's five MongoDB collections, written as Extended JSON, one document a line (R-KPI-08).

`mongoimport --collection X X.json` reads them. Ids are UUIDs and stay so ({"$uuid"}), instants are {"$date"}.
What the specification's indexes refuse is left out: `location` (2dsphere) of a request without a place, whose address
and zone are then its `location_words`, and the contacts (sparse, unique) that a citizen does not have.
"""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import orjson
from psycopg import sql
from psycopg.rows import dict_row

from civicpulse.base.db import Row, Tx
from civicpulse.packs.store import pack_version
from civicpulse.people import agents, citizens
from civicpulse.requests.queries import FEEDBACK, RELATED
from civicpulse.requests.store import COLUMNS
from civicpulse.requests.trail import actor_id_of, cst_name, cst_stream, name_of
from civicpulse.requests.views.request import kpis_document, request_document

# The operator's command: all of the tenant's requests, whoever may see them.
REQUESTS = f"SELECT {COLUMNS}, {RELATED}, {FEEDBACK} FROM requests r WHERE r.tenant_id = %(tenant_id)s ORDER BY r.created_at, r.id"

CITIZENS = """
SELECT c.id, c.full_name, c.verified, c.verify_method, c.verified_at, c.email, c.phone, c.preferences, c.neighborhood, c.city, c.zone_id,
       c.created_at, s.total_requests, s.avg_rating
FROM citizens c
LEFT JOIN LATERAL (SELECT count(*) AS total_requests, avg(r.rating)::float8 AS avg_rating FROM requests r
                   WHERE r.tenant_id = c.tenant_id AND r.citizen_id = c.id) s ON true
WHERE c.tenant_id = %(tenant_id)s ORDER BY c.created_at, c.id
"""

AGENTS = """
SELECT id, agent_code, name, department, skills, zone_ids, geo_fence, timezone, shifts, on_call, contacts, roles, active, created_at
FROM agents WHERE tenant_id = %(tenant_id)s ORDER BY agent_code
"""

LOGS = f"""
SELECT r.id, r.created_at, r.anonymous, r.resolved_at, r.sla, r.sla_state, r.sla_met, r.escalation_count, r.breach_reason, {FEEDBACK},
       (SELECT json_agg(json_build_object('type', e.type, 'actor_type', e.actor_type, 'actor_id', e.actor_id, 'at', e.at, 'meta', e.meta,
                                          'message', c.body) ORDER BY e.seq)
        FROM events e LEFT JOIN comments c
            ON e.type IN ('comment.added', 'comment') AND c.tenant_id = e.tenant_id AND c.id = (e.meta ->> 'comment_id')::uuid
        WHERE e.tenant_id = r.tenant_id AND e.subject_id = r.id) AS events
FROM requests r WHERE r.tenant_id = %(tenant_id)s ORDER BY r.created_at, r.id
"""

FEEDS = """
SELECT feed_name, filters_key, generated_at, filters, geojson, aggregation FROM geo_feeds
WHERE tenant_id = %(tenant_id)s ORDER BY feed_name, filters_key
"""

TIMES = frozenset({"at", "due_at", "generated_at", "submitted_at", "target_at", "uploaded_at", "verified_at"})
"""Fields whose instants may be stored as text."""


async def dump_documents(tx: Tx, out: Path, *, progress: Callable[[int], None]) -> dict[str, int]:
    """Writes the five files into `out`; documents by collection. Rows are streamed: memory does not grow with them."""
    written: dict[str, int] = {}
    for name, statement, shape in (
        ("service_requests", REQUESTS, _request),
        ("citizens", CITIZENS, _citizen),
        ("service_agents", AGENTS, _agent),
        ("performance_logs", LOGS, _log),
        ("geo_feeds", FEEDS, _feed),
    ):
        count = 0
        with (out / f"{name}.json").open("wb") as file:
            async for row in _stream(tx, statement):
                document = await shape(tx, row)
                file.write(orjson.dumps(extended(document), option=orjson.OPT_APPEND_NEWLINE))
                count += 1
                if count % 500 == 0:
                    progress(sum(written.values()) + count)
        written[name] = count
    return written


async def _stream(tx: Tx, statement: str) -> AsyncIterator[Row]:
    async with tx.conn.cursor("dump", row_factory=dict_row) as cursor:
        cursor.itersize = 500
        await cursor.execute(sql.SQL(statement), {"tenant_id": tx.tenant_id})
        async for row in cursor:
            yield row


def extended(value: Any, key: str = "") -> Any:
    """Writes `value` in MongoDB's relaxed Extended JSON."""
    if isinstance(value, dict):
        # A request's milestones are named by its pack: each name holds the instant at which it was reached.
        return {name: extended(inner, "at" if key == "milestones" else name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [extended(inner) for inner in value]
    if isinstance(value, UUID):
        return {"$uuid": str(value)}
    if isinstance(value, datetime):
        return {"$date": value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    if isinstance(value, str) and key in TIMES:
        return extended(datetime.fromisoformat(value))
    return value


async def _request(tx: Tx, row: Row) -> dict[str, Any]:
    document = request_document(row, await pack_version(tx, row["pack_version"]))
    if row["lon"] is None:
        place = document.pop("location")
        document["location_words"] = {name: place[name] for name in ("address_hint", "zone_id", "asset_id")}
    return {key: value for key, value in document.items() if key not in ("computed_kpis", "citizen_feedback")}


async def _citizen(_: Tx, row: Row) -> dict[str, Any]:
    document = citizens.plain_document(row)
    contacts = {name: contact for name, contact in document["contacts"].items() if contact is not None}
    return document | {"contacts": contacts}


async def _agent(_: Tx, row: Row) -> dict[str, Any]:
    return agents.plain_document(row)


async def _log(_: Tx, row: Row) -> dict[str, Any]:
    return {
        "_id": row["id"],
        "request_id": row["id"],
        "event_stream": _stream_of(row),
        "computed_kpis": kpis_document(row) | {"sla_met": row["sla_met"]},
        "citizen_feedback": row["feedback"],
    }


def _stream_of(row: Row) -> list[dict[str, Any]]:
    events = row["events"] or []
    opened_by = events[0]["actor_id"] if events else None
    return [_event({**event, "opened_by": opened_by}, row["anonymous"]) for event in cst_stream(events)]


def _event(event: dict[str, Any], is_anonymous: bool) -> dict[str, Any]:
    meta = event["meta"] | ({"message": event["message"]} if name_of(event) == "comment.added" else {})
    return {
        "type": cst_name(event),
        "by": {"actor_type": event["actor_type"], "actor_id": actor_id_of(event, is_anonymous=is_anonymous)},
        "at": event["at"],
        "meta": meta,
    }


async def _feed(tx: Tx, row: Row) -> dict[str, Any]:
    """Gives a feed the id that its tenant, name and filters make: the same in every dump."""
    known_by = uuid5(tx.tenant_id, f"{row['feed_name']} {row['filters_key']}")
    return {"_id": known_by} | {name: value for name, value in row.items() if name != "filters_key"}
