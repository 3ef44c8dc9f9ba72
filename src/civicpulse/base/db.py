"""The database: a pool of connections that can only be used through a transaction bound to one tenant."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, LiteralString, TypeAlias
from uuid import UUID

import orjson
from psycopg import AsyncConnection, OperationalError, sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from civicpulse.base.errors import Problem
from civicpulse.base.logins import as_application, refuse_strong_login
from civicpulse.base.tenancy import Tenant

WAIT_SECONDS: Final = 15.0  # for a connection
WAITING_FOR_EACH: Final = 16  # calls of a tenant that may wait, for each of its connections

Params: TypeAlias = Mapping[str, Any] | Sequence[Any] | None
Row: TypeAlias = dict[str, Any]


def is_outage(error: BaseException) -> bool:
    """Tells whether the database itself is away or out of means, for all or this tenant: the next statement would fare no better."""
    if isinstance(error, TenantBusy | PoolTimeout):
        return True
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


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds a statement, the wait for a lock, and a transaction in which nothing happens may last; 0: without end."""

    statement: float = 30.0
    lock: float = 10.0
    idle: float = 60.0

    @property
    def settings(self) -> dict[str, str]:
        """The time-outs by the names of the server's settings, in milliseconds."""
        return {
            "statement_timeout": f"{self.statement * 1000:.0f}",
            "lock_timeout": f"{self.lock * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{self.idle * 1000:.0f}",
        }


class TenantBusy(Problem):
    """The tenant has as many transactions open as it may: the others are not to wait for it."""

    status, code, title = 503, "tenant_busy", "Busy"

    def __init__(self) -> None:
        super().__init__(
            "There is too much under way for this organisation; nothing was changed. Try again in a moment."
        )
        self.headers = {"Retry-After": "2"}


class Share:
    """The transactions that one tenant may have open at once in this process, and how many more may wait for one."""

    __slots__ = ("_free", "_limit", "waiting")

    def __init__(self, limit: int) -> None:
        self._limit, self._free = limit, asyncio.Semaphore(limit)
        self.waiting = 0

    async def take(self) -> None:
        """Returns once there is a place; raises TenantBusy when too many wait already, or for too long."""
        if self.waiting >= self._limit * WAITING_FOR_EACH:
            raise TenantBusy
        self.waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise TenantBusy from None
        finally:
            self.waiting -= 1

    def give_back(self) -> None:
        """Leaves the place to the next."""
        self._free.release()


class Database:
    """The pool. `url` is the connection string of the application's own log-in.

    No tenant has more than half of the connections at once, so that one whose transactions hang takes none from the others.
    """

    def __init__(self, url: str, *, size: int, patience: Patience = Patience()) -> None:
        self._shares: defaultdict[UUID, Share] = defaultdict(lambda: Share(max(min(size, 2), size // 2)))
        self._pool = AsyncConnectionPool(
            as_application(url, **patience.settings),
            min_size=min(2, size),
            max_size=size,
            open=False,
            timeout=WAIT_SECONDS,
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

    def usage(self) -> dict[str, int]:
        """Counts connections that there may be, that are open, that are in use, and calls that wait for one."""
        stats = self._pool.get_stats()
        size = stats["pool_size"]
        waiting = stats["requests_waiting"] + sum(share.waiting for share in self._shares.values())
        return {
            "most": stats["pool_max"],
            "open": size,
            "used": size - stats["pool_available"],
            "waiting": waiting,
        }

    async def begin(self, tenant: Tenant) -> Tx:
        """Opens a transaction for `tenant`. The caller must end it with `finish`. Raises TenantBusy."""
        share = self._shares[tenant.tenant_id]
        await share.take()
        try:
            conn = await self._pool.getconn()
        except BaseException:
            share.give_back()
            raise
        try:
            # One round trip for both. SET LOCAL, not set_config: Citus propagates only the former.
            await conn.execute(
                f"BEGIN; SET LOCAL civicpulse.tenant = '{tenant.tenant_id}'".encode()
            )  # a UUID needs no quoting
        except BaseException:
            share.give_back()
            await self._pool.putconn(conn)
            raise
        return Tx(conn, tenant)

    async def finish(self, tx: Tx, *, commit: bool) -> None:
        """Commits or rolls back and gives the connection back. A failing commit raises: nobody may be told it worked."""
        try:
            if not tx.conn.closed and tx.conn.info.transaction_status != TransactionStatus.IDLE:
                await tx.conn.execute("COMMIT" if commit else "ROLLBACK")
        finally:
            self._shares[tx.tenant_id].give_back()
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
