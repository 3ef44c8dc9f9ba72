"""Every statement on analyses, models, calls of a language model, and on what staff has confirmed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from civicpulse.base.clients.llm import LlmCall
from civicpulse.base.db import Row, Tx
from civicpulse.base.ids import new_id
from civicpulse.triage.analysis import Analysis
from civicpulse.triage.disagreement import Record

MAX_SETTLED: Final = 200
NEWEST: Final = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))  # before it comes every call

ANALYSIS = """
a.category, a.category_scores, a.priority, a.sentiment, a.language, a.summary, a.recommendation, a.confidence, a.needs_person,
a.engine, a.model, a.version, a.fell_back_because, a.disagreement, a.created_at, a.created_by
"""

ADD_ANALYSIS = """
INSERT INTO analyses (tenant_id, id, request_id, category, category_scores, priority, sentiment, language, summary, recommendation,
                      confidence, needs_person, engine, model, version, fell_back_because, disagreement, created_at, created_by)
VALUES (%(tenant_id)s, %(id)s, %(request_id)s, %(category)s, %(category_scores)s, %(priority)s, %(sentiment)s, %(language)s,
        %(summary)s, %(recommendation)s, %(confidence)s, %(needs_person)s, %(engine)s, %(model)s, %(version)s,
        %(fell_back_because)s, %(disagreement)s, %(created_at)s, %(created_by)s)
"""

# The same for many at once, as one JSON parameter.
ADD_ANALYSES = """
INSERT INTO analyses (tenant_id, id, request_id, category, category_scores, priority, sentiment, language, summary, recommendation,
                      confidence, needs_person, engine, model, version, fell_back_because, disagreement, created_at, created_by)
SELECT %(tenant_id)s, g.id, g.request_id, g.category, g.category_scores, g.priority, g.sentiment, g.language, g.summary,
       g.recommendation, g.confidence, g.needs_person, g.engine, g.model, g.version, g.fell_back_because, g.disagreement, %(at)s, %(by)s
FROM json_to_recordset(%(rows)s::json) AS g (id uuid, request_id uuid, category text, category_scores jsonb, priority smallint,
    sentiment text, language text, summary text, recommendation text, confidence float8, needs_person boolean, engine text,
    model text, version text, fell_back_because text, disagreement jsonb)
"""

FIND_ANALYSIS = f"""
SELECT {ANALYSIS} FROM analyses a WHERE a.tenant_id = %(tenant_id)s AND a.request_id = %(request_id)s
ORDER BY a.created_at DESC, a.id DESC LIMIT 1
"""

ACTIVE_MODEL = "SELECT version, trained_until, rows FROM models WHERE tenant_id = %(tenant_id)s AND active"

MODEL_PAYLOAD = "SELECT payload FROM models WHERE tenant_id = %(tenant_id)s AND version = %(version)s"

LIST_MODELS = """
SELECT version, trained_at, trained_by, trained_until, rows, metrics, active, length(payload) AS bytes
FROM models WHERE tenant_id = %(tenant_id)s ORDER BY version DESC LIMIT 50
"""

# Whoever stores a model queues here, so that versions count without gaps and one is active.
LOCK_MODELS = "SELECT pg_advisory_xact_lock(hashtextextended('civicpulse.models:' || %(tenant_id)s::text, 0))"

RETIRE_MODELS = "UPDATE models SET active = false WHERE tenant_id = %(tenant_id)s AND active"

ADD_MODEL = """
INSERT INTO models (tenant_id, version, trained_at, trained_by, trained_until, rows, metrics, payload, active)
SELECT %(tenant_id)s, coalesce(max(version), 0) + 1, %(trained_at)s, %(trained_by)s, %(trained_until)s, %(rows)s, %(metrics)s,
       %(payload)s, %(active)s
FROM models WHERE tenant_id = %(tenant_id)s RETURNING version
"""

ADD_CALLS = """
INSERT INTO llm_calls (tenant_id, id, at, purpose, model, version, mode, tokens_in, tokens_out, latency_ms, prompt_sha256, outcome,
                       masked)
SELECT %(tenant_id)s, c.* FROM unnest(%(ids)s::uuid[], %(times)s::timestamptz[], %(purposes)s::text[], %(models)s::text[],
    %(versions)s::text[], %(modes)s::text[], %(ins)s::int[], %(outs)s::int[], %(latencies)s::int[], %(hashes)s::bytea[],
    %(outcomes)s::text[], %(masked)s::jsonb[]) AS c
"""

LIST_CALLS = """
SELECT c.id, c.at, c.purpose, c.model, c.version, c.mode, c.tokens_in, c.tokens_out, c.latency_ms, c.outcome, c.masked,
       encode(c.prompt_sha256, 'hex') AS prompt_sha256
FROM llm_calls c
WHERE c.tenant_id = %(tenant_id)s AND (%(purpose)s::text IS NULL OR c.purpose = %(purpose)s)
  AND (%(outcome)s::text IS NULL OR c.outcome = %(outcome)s) AND (c.at, c.id) < (%(before_at)s, %(before_id)s)
ORDER BY c.at DESC, c.id DESC LIMIT %(limit)s
"""

# Of the latest texts that the engines read differently and that staff has settled: how often each was right.
SETTLED = """
SELECT count(*)::int AS settled,
       count(*) FILTER (WHERE r.category = CASE a.engine WHEN 'llm' THEN a.category ELSE a.disagreement ->> 'category' END)::int AS llm,
       count(*) FILTER (WHERE r.category = CASE a.engine WHEN 'llm' THEN a.disagreement ->> 'category' ELSE a.category END)::int
           AS offline
FROM (
    SELECT x.request_id, x.engine, x.category, x.disagreement FROM analyses x
    WHERE x.tenant_id = %(tenant_id)s AND x.disagreement IS NOT NULL ORDER BY x.created_at DESC LIMIT %(limit)s
) AS a JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = a.request_id
WHERE {is_confirmed}
"""

TOKENS_SINCE = """
SELECT coalesce(sum(tokens_in + tokens_out), 0) FROM llm_calls WHERE tenant_id = %(tenant_id)s AND at >= %(since)s
"""

# What staff stands behind: triaged, assigned or resolved. A category that staff itself set or changed (the event
# "request.classified") is a correction and counts double. Closed straight away says nothing about the category, nor does an
# assignment by the CSV pipeline, which no person has looked at: the model would learn from itself.
_IS_CONFIRMED = """
(r.triaged_at IS NOT NULL OR r.resolved_at IS NOT NULL OR r.assigned_at IS NOT NULL AND r.source <> 'csv')
AND r.description <> ''
"""

SETTLED = SETTLED.format(is_confirmed=_IS_CONFIRMED)

CONFIRMED = f"""
SELECT r.description AS text, r.category, r.created_at,
       EXISTS (SELECT 1 FROM events e WHERE e.tenant_id = r.tenant_id AND e.subject_id = r.id AND e.type IN ('request.classified', 'classified')
               AND e.actor_type IN ('dispatcher', 'agent') AND e.meta ? 'category') AS corrected
FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND {_IS_CONFIRMED}
ORDER BY r.created_at DESC, r.id DESC LIMIT %(limit)s
"""

COUNT_CONFIRMED_SINCE = f"""
SELECT count(*) FROM (
    SELECT 1 FROM requests r
    WHERE r.tenant_id = %(tenant_id)s AND r.created_at > %(since)s AND {_IS_CONFIRMED}
    LIMIT %(limit)s) AS confirmed
"""


async def add_analysis(tx: Tx, request_id: UUID, analysis: Analysis, *, at: datetime, by: str) -> None:
    """Appends an analysis to a request's; it is the current one from now on."""
    values = analysis.to_json()
    values["category_scores"] = Jsonb(values["category_scores"])
    values["disagreement"] = Jsonb(values["disagreement"]) if values["disagreement"] else None
    about = {"tenant_id": tx.tenant_id, "id": new_id(), "request_id": request_id, "created_at": at, "created_by": by}
    await tx.run(ADD_ANALYSIS, values | about)


async def add_analyses(tx: Tx, found: Sequence[tuple[UUID, Analysis]], *, at: datetime, by: str) -> None:
    """Appends an analysis to each of many requests, in one statement."""
    rows = [analysis.to_json() | {"id": new_id(), "request_id": request_id} for request_id, analysis in found]
    await tx.run(ADD_ANALYSES, {"tenant_id": tx.tenant_id, "rows": orjson.dumps(rows).decode(), "at": at, "by": by})


ERASE_ANALYSES = """
UPDATE analyses SET summary = '', recommendation = ''
WHERE tenant_id = %(tenant_id)s AND request_id = ANY(%(ids)s) AND (summary <> '' OR recommendation <> '')
"""


async def erase_analyses(tx: Tx, request_ids: Sequence[UUID]) -> int:
    """Takes the words out of the analyses of requests; how many."""
    return await tx.run(ERASE_ANALYSES, {"tenant_id": tx.tenant_id, "ids": list(request_ids)})


async def find_analysis(tx: Tx, request_id: UUID) -> Row | None:
    """Finds the current analysis of a request, or None."""
    return await tx.row(FIND_ANALYSIS, {"tenant_id": tx.tenant_id, "request_id": request_id})


async def find_active_model(tx: Tx) -> Row | None:
    """Finds version, rows and trained_until of the tenant's active model, or None."""
    return await tx.row(ACTIVE_MODEL, {"tenant_id": tx.tenant_id})


async def get_payload(tx: Tx, version: int) -> bytes:
    """Reads the bytes of a stored model."""
    return bytes(await tx.value(MODEL_PAYLOAD, {"tenant_id": tx.tenant_id, "version": version}))


async def list_models(tx: Tx) -> list[Row]:
    """Lists the tenant's models without their bytes, newest first."""
    return await tx.rows(LIST_MODELS, {"tenant_id": tx.tenant_id})


async def add_model(
    tx: Tx,
    payload: bytes,
    *,
    at: datetime,
    by: str,
    rows: int,
    trained_until: datetime | None,
    metrics: dict[str, Any] | None,
    active: bool,
) -> int:
    """Stores a model as the next version; an active one takes the place of the one before. Call `lock_models` first."""
    if active:
        await tx.run(RETIRE_MODELS, {"tenant_id": tx.tenant_id})
    values = {
        "tenant_id": tx.tenant_id,
        "trained_at": at,
        "trained_by": by,
        "trained_until": trained_until,
        "rows": rows,
        "metrics": None if metrics is None else Jsonb(metrics),
        "payload": payload,
        "active": active,
    }
    version: int = await tx.value(ADD_MODEL, values)
    return version


async def lock_models(tx: Tx) -> None:
    """Queues behind whoever else stores a model of this tenant."""
    await tx.run(LOCK_MODELS, {"tenant_id": tx.tenant_id})


async def add_calls(tx: Tx, calls: list[tuple[datetime, LlmCall]], *, purpose: str, version: str) -> None:
    """Writes down calls of a language model, one statement."""
    values = {
        "tenant_id": tx.tenant_id,
        "ids": [new_id() for _ in calls],
        "times": [at for at, _ in calls],
        "purposes": [purpose] * len(calls),
        "versions": [version] * len(calls),
        "models": [call.model for _, call in calls],
        "modes": [call.mode for _, call in calls],
        "ins": [call.tokens_in for _, call in calls],
        "outs": [call.tokens_out for _, call in calls],
        "latencies": [call.latency_ms for _, call in calls],
        "hashes": [call.prompt_sha256 for _, call in calls],
        "outcomes": [call.outcome for _, call in calls],
        "masked": [orjson.dumps(call.masked).decode() for _, call in calls],
    }
    await tx.run(ADD_CALLS, values)


async def list_calls(
    tx: Tx, *, purpose: str | None, outcome: str | None, before: tuple[datetime, UUID], limit: int
) -> list[Row]:
    """Lists calls of a language model, newest first: what they cost and what came of them, never their text."""
    values = {"purpose": purpose, "outcome": outcome, "before_at": before[0], "before_id": before[1], "limit": limit}
    return await tx.rows(LIST_CALLS, values | {"tenant_id": tx.tenant_id})


async def find_record(tx: Tx) -> Record:
    """Counts how often either engine was right where they disagreed, of the latest that staff has settled."""
    row = await tx.row(SETTLED, {"tenant_id": tx.tenant_id, "limit": MAX_SETTLED})
    assert row is not None, "an aggregate has a row"
    return Record(row["settled"], row["llm"], row["offline"])


async def tokens_since(tx: Tx, since: datetime) -> int:
    """Counts the tokens that the tenant has used since then."""
    return int(await tx.value(TOKENS_SINCE, {"tenant_id": tx.tenant_id, "since": since}))


async def list_confirmed(tx: Tx, *, limit: int) -> list[Row]:
    """Lists texts with the category that staff confirmed, newest first, at most `limit`."""
    return await tx.rows(CONFIRMED, {"tenant_id": tx.tenant_id, "limit": limit})


async def count_confirmed_since(tx: Tx, since: datetime, *, limit: int) -> int:
    """Counts the confirmed requests that are newer than `since`; counting stops at `limit`."""
    return int(await tx.value(COUNT_CONFIRMED_SINCE, {"tenant_id": tx.tenant_id, "since": since, "limit": limit}))
