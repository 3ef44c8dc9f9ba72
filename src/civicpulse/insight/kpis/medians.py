"""The median time to resolution: exact, whatever the number of requests."""

from dataclasses import asdict
from typing import Any, Final

from psycopg import sql

from civicpulse.base.conditions import stands_resolved
from civicpulse.base.db import Row, Tx
from civicpulse.insight.kpis.ledger import ends
from civicpulse.insight.kpis.measures import MS_PER_MINUTE, Middle
from civicpulse.insight.schemas import Period, Scope

# Every dimension is named with the values that occur, so that the index requests_resolution is descended to each of them.
OF_FEW: Final = sql.SQL(f"""
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY date_part('epoch', c.resolved_at - c.created_at) / 60)
FROM requests c
WHERE c.tenant_id = %(tenant_id)s AND {stands_resolved("c")}
  AND c.zone_id = ANY(%(zones)s) AND c.category = ANY(%(categories)s) AND c.priority = ANY(%(priorities)s)
  AND c.created_at >= %(since)s AND c.created_at < %(until)s AND {{seen}}
""")

# From the nearer end of a bucket on, in the order of the index requests_resolution_ms: nothing is sorted, and no more is read
# than half of the bucket. The gate does so; for a sight between the public's and everything the row policy stands, and what
# lies before the bound is read, too.
BY_GATE: Final = """
SELECT ms FROM gate_resolution_ms(
    p_bound => %(bound_ms)s, p_is_down => %(is_down)s, p_passed => %(passed)s, p_many => %(many)s, p_since => %(since)s, p_until => %(until)s,
    p_zones => %(zone_id)s, p_categories => %(category)s, p_priorities => %(priority)s, p_public_only => %(public_only)s)
"""
_MS = "(date_part('epoch', c.resolved_at - c.created_at) * 1000)::bigint"
BY_RANK: Final = sql.SQL(f"""
SELECT {_MS} AS ms FROM requests c
WHERE c.tenant_id = %(tenant_id)s AND {stands_resolved("c")} AND {_MS} {{bound}}
  AND c.created_at >= %(since)s AND c.created_at < %(until)s{{filters}} AND {{seen}}
ORDER BY {_MS} {{way}} OFFSET %(passed)s LIMIT %(many)s
""")


async def median_of_few(
    tx: Tx, scope: Scope, period: Period, *, zones: list[str], categories: list[str], priorities: list[str]
) -> float | None:
    """Computes the median in minutes over all that was resolved in these zones, categories and priorities; cost grows with how many."""
    values: dict[str, Any] = {"zones": zones, "categories": categories, "priorities": priorities}
    statement = OF_FEW.format(seen=scope.sight.predicate("c"))
    median: float | None = await tx.value(statement, _values(tx, scope, period) | values)
    return median


async def median_by_rank(tx: Tx, scope: Scope, period: Period, middle: Middle) -> float:
    """Finds the median in minutes by its rank, counted from where `middle` says."""
    if scope.sight.is_everything or scope.public_only:
        found = await _past_the_policy(tx, scope, period, middle)
    else:
        found = await _by_sight(tx, scope, period, middle)
    times = [row["ms"] for row in found] or [middle.bound_ms]  # none only when they were all reopened at this moment
    return float(sum(times) / len(times) / MS_PER_MINUTE)


async def _past_the_policy(tx: Tx, scope: Scope, period: Period, middle: Middle) -> list[Row]:
    any_of: dict[str, None] = dict.fromkeys(("zone_id", "category", "priority"))
    filtered = any_of | scope.values() | {"public_only": scope.public_only}
    return await tx.rows(BY_GATE, asdict(middle) | filtered | ends(period))


async def _by_sight(tx: Tx, scope: Scope, period: Period, middle: Middle) -> list[Row]:
    filters = [
        sql.SQL(" AND c.{column} = ANY(%({column})s)").format(column=sql.SQL(column)) for column in scope.values()
    ]
    statement = BY_RANK.format(
        bound=sql.SQL("< %(bound)s" if middle.is_down else ">= %(bound)s"),
        way=sql.SQL("DESC" if middle.is_down else "ASC"),
        filters=sql.Composed(filters),
        seen=scope.sight.predicate("c"),
    )
    values = {"bound": middle.bound_ms, "passed": middle.passed, "many": middle.many}
    return await tx.rows(statement, _values(tx, scope, period) | values)


def _values(tx: Tx, scope: Scope, period: Period) -> dict[str, Any]:
    return {"tenant_id": tx.tenant_id, **scope.values(), **scope.sight.parameters, **ends(period)}
