"""Every statement on what a file says of tickets beside their requests. Rows travel as one JSON parameter."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import orjson

from civicpulse.base.db import Row, Tx
from civicpulse.base.events import stored_types

CORRECTED = """
SELECT DISTINCT e.subject_id FROM events e
WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = ANY (%(ids)s) AND e.type = ANY (%(types)s)
  AND e.actor_type IN ('dispatcher', 'agent') AND e.meta ?| ARRAY['category', 'priority']
"""

PUT_DETAILS = """
INSERT INTO ticket_details (tenant_id, request_id, client_guid, gender, birth_date, country, region, town, street, house, attachment,
                            fingerprint, updated_at)
SELECT %(tenant_id)s, g.request_id, g.client_guid, g.gender, g.birth_date, g.country, g.region, g.town, g.street, g.house,
       g.attachment, decode(g.fingerprint, 'hex'), %(at)s
FROM json_to_recordset(%(rows)s::json) AS g (request_id uuid, client_guid text, gender text, birth_date date, country text,
    region text, town text, street text, house text, attachment text, fingerprint text)
ON CONFLICT (tenant_id, request_id) DO UPDATE
SET client_guid = excluded.client_guid, gender = excluded.gender, birth_date = excluded.birth_date, country = excluded.country,
    region = excluded.region, town = excluded.town, street = excluded.street, house = excluded.house,
    attachment = excluded.attachment, fingerprint = excluded.fingerprint, updated_at = excluded.updated_at
"""

FIND_EVIDENCE = """
SELECT e.request_id, e.file_name, e.sha256 FROM evidence e
WHERE e.tenant_id = %(tenant_id)s AND e.request_id = ANY (%(ids)s) AND e.media_type IS NOT NULL
"""


async def corrected_by_staff(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """Finds which of these requests had their category or priority set by staff."""
    values = {"tenant_id": tx.tenant_id, "ids": list(ids), "types": stored_types("request.classified")}
    return {row["subject_id"] for row in await tx.rows(CORRECTED, values)}


async def put_details(tx: Tx, rows: Sequence[Row], *, at: datetime) -> None:
    """Stores what the file says of the customers."""
    await tx.run(PUT_DETAILS, {"tenant_id": tx.tenant_id, "rows": orjson.dumps(rows).decode(), "at": at})


async def find_evidence(tx: Tx, ids: Sequence[UUID]) -> list[Row]:
    """Finds request_id, file_name and sha256 of the files that requests have."""
    return await tx.rows(FIND_EVIDENCE, {"tenant_id": tx.tenant_id, "ids": list(ids)})
