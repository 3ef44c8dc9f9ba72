"""The database: a pool of connections that can only be used through a transaction bound to one tenant."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString, TypeAlias
from uuid import UUID

import orjson
from psycopg import AsyncConnection, OperationalError, sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool

from civicpulse.base.logins import as_application, refuse_strong_login
from civicpulse.base.tenancy import Tenant

Params: TypeAlias = Mapping[str, Any] | Sequence[Any] | None
Row: TypeAlias = dict[str, Any]


def is_outage(error: BaseException) -> bool:
    """Tells whether the database itself is away or out of means, so that the next statement would fare no better."""
    if not isinstance(error, OperationalError):
        return False
    return error.sqlstate is None or error.sqlstate.startswith(("08", "53", "57P"))


class Tx:
    """One open transaction of one tenant. Rooms get it from a Caller or a job; only the edge ends it."""

    __slots__ = ("conn", "tenant", "tenant_id")

    def __init__(self, conn: AsyncConnection[Any], tenant: Tenant) -> None:
        self.conn = conn
        self.tenant = tenant
        self.tenant_id: UUID = tenant.tenant_id

    async def rows(self, statement: LiteralString | sql.Composed, params: Params = None) -> list[Row]:
        """Reads all rows of `statement` as dicts."""
        cursor = self.conn.cursor(row_factory=dict_row)
        await cursor.execute(statement, params)
        return await cursor.fetchall()

    async def row(self, statement: LiteralString | sql.Composed, params: Params = None) -> Row | None:
        """Reads the first row of `statement`, or None."""
        cursor = self.conn.cursor(row_factory=dict_row)
        await cursor.execute(statement, params)
        return await cursor.fetchone()

    async def value(self, statement: LiteralString | sql.Composed, params: Params = None) -> Any:
        """Reads the first column of the first row, or None."""
        cursor = await self.conn.execute(statement, params)
        row = await cursor.fetchone()
        return row[0] if row else None

    async def run(self, statement: LiteralString | sql.Composed, params: Params = None) -> int:
        """Executes `statement`; the number of rows it touched."""
        cursor = await self.conn.execute(statement, params)
        return cursor.rowcount


async def _read_json_fast(conn: AsyncConnection[Any]) -> None:
    """Lets the connection read JSON with orjson: rows carry up to a dozen JSON columns, and Python's own reader is slow at them."""
    set_json_loads(orjson.loads, conn)


class Database:
    """The pool. `url` is the connection string of the application's own log-in."""

    def __init__(self, url: str, *, size: int) -> None:
        self._pool = AsyncConnectionPool(
            as_application(url),
            min_size=min(2, size),
            max_size=size,
            open=False,
            timeout=15,
            kwargs={"autocommit": True, "prepare_threshold": 2},
            configure=_read_json_fast,
        )

    async def open(self) -> None:
        """Opens the pool and waits for its first connections. Raises UnsafeLogin when they could do too much."""
        await self._pool.open(wait=True, timeout=30)
        try:
            async with self.gate() as conn:
                await refuse_strong_login(conn)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Closes every connection."""
        await self._pool.close()

    async def begin(self, tenant: Tenant) -> Tx:
        """Opens a transaction for `tenant`. The caller must end it with `finish`."""
        conn = await self._pool.getconn()
        try:
            # One round trip for both. SET LOCAL, not set_config: Citus propagates only the former.
            await conn.execute(
                f"BEGIN; SET LOCAL civicpulse.tenant = '{tenant.tenant_id}'".encode()
            )  # a UUID needs no quoting
        except BaseException:
            await self._pool.putconn(conn)
            raise
        return Tx(conn, tenant)

    async def finish(self, tx: Tx, *, commit: bool) -> None:
        """Commits or rolls back and gives the connection back. A failing commit raises: nobody may be told it worked."""
        try:
            if not tx.conn.closed and tx.conn.info.transaction_status != TransactionStatus.IDLE:
                await tx.conn.execute("COMMIT" if commit else "ROLLBACK")
        finally:
            await self._pool.putconn(tx.conn)

    @asynccontextmanager
    async def transaction(self, tenant: Tenant) -> AsyncIterator[Tx]:
        """Opens a transaction for jobs and commands: committed at the end of the block, rolled back when it raises."""
        tx = await self.begin(tenant)
        try:
            yield tx
        except BaseException:
            await self.finish(tx, commit=False)
            raise
        await self.finish(tx, commit=True)

    @asynccontextmanager
    async def gate(self) -> AsyncIterator[AsyncConnection[Any]]:
        """Opens a connection bound to no tenant: sees no tenant's rows, may only call the gate functions."""
        async with self._pool.connection() as conn:
            yield conn
