"""How PostgreSQL would answer the statements of the code, in a database whose statistics no other test touches."""

from __future__ import annotations

from typing import Any

import psycopg

from civicpulse.base.db import Tx


class Explaining(Tx):
    """A transaction that asks for the plan of each read instead of its rows, and keeps the plans in their order."""

    def __init__(self, tx: Tx) -> None:
        super().__init__(tx.conn, tx.tenant)
        self.plans: list[str] = []

    async def rows(self, statement: Any, params: Any = None) -> Any:
        """Keeps the plan of `statement` and answers with no rows."""
        text = statement if isinstance(statement, str) else statement.as_string(self.conn)
        found = await super().rows("EXPLAIN " + text, params)
        self.plans.append("\n".join(row["QUERY PLAN"] for row in found))
        return []


async def fill(database_url: str, statement: Any, params: Any, *tables: str) -> None:
    """Writes many rows as the owner and has the planner learn what is in `tables` now."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        await owner.execute(statement, params)
        for table in tables:
            await owner.execute(f"VACUUM ANALYZE {table}".encode())
