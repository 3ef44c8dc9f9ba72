"""The issue behind a request: itself, or its master."""

from civicpulse.base.db import Row, Tx
from civicpulse.requests.changes import not_found

FIND_ISSUE = """
SELECT m.id, m.number FROM requests r JOIN requests m ON m.tenant_id = r.tenant_id AND m.id = coalesce(r.master_id, r.id)
WHERE r.tenant_id = %(tenant_id)s AND r.number = %(number)s
"""


async def find_issue(tx: Tx, number: str) -> Row:
    """Finds id and number of the master behind a request's number. Raises NotFound."""
    found = await tx.row(FIND_ISSUE, {"tenant_id": tx.tenant_id, "number": number})
    if found is None:
        raise not_found(number)
    return found
