"""What an ORM would cost: the same five statements in one transaction by psycopg, SQLAlchemy Core and SQLAlchemy ORM.

`python -m bench.drivers` prints transactions a second and client CPU per transaction at 8 connections (ADR 0002).
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import uvloop
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from civicpulse.base.embedded import embedded_server

CONNECTIONS, TRANSACTIONS = 8, 4000
SCHEMA = (
    "CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL, seen bigint NOT NULL DEFAULT 0, body text NOT NULL)"
)
BODY = "x" * 500


class Base(DeclarativeBase):
    """The ORM's side of the table."""


class Item(Base):
    """One row."""

    __tablename__ = "item"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    seen: Mapped[int] = mapped_column(BigInteger, default=0)
    body: Mapped[str] = mapped_column(Text)


ITEM = Table(
    "item",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    *(Column(n, t) for n, t in (("name", Text), ("seen", BigInteger), ("body", Text))),
)


def with_psycopg(pool: AsyncConnectionPool) -> Callable[[int], Awaitable[None]]:
    """Hand-written SQL, as the product does it."""

    async def work(key: int) -> None:
        async with pool.connection() as conn, conn.transaction():
            cursor = conn.cursor(row_factory=dict_row)
            await cursor.execute("INSERT INTO item (id, name, body) VALUES (%s, %s, %s)", [key, f"n{key}", BODY])
            await cursor.execute("SELECT id, name, seen, body FROM item WHERE id = %s", [key])
            await cursor.fetchone()
            await cursor.execute("UPDATE item SET seen = seen + 1 WHERE id = %s", [key])
            await cursor.execute("SELECT id, name, seen, body FROM item WHERE id = ANY(%s)", [[key, key - 1, key - 2]])
            await cursor.fetchall()
            await cursor.execute("SELECT count(*) FROM item WHERE id BETWEEN %s AND %s", [key - 5, key])
            await cursor.fetchone()

    return work


def with_core(engine: AsyncEngine) -> Callable[[int], Awaitable[None]]:
    """SQLAlchemy Core."""

    async def work(key: int) -> None:
        async with engine.begin() as conn:
            await conn.execute(insert(ITEM).values(id=key, name=f"n{key}", seen=0, body=BODY))
            (await conn.execute(select(ITEM).where(ITEM.c.id == key))).mappings().one()
            await conn.execute(update(ITEM).where(ITEM.c.id == key).values(seen=ITEM.c.seen + 1))
            (await conn.execute(select(ITEM).where(ITEM.c.id.in_([key, key - 1, key - 2])))).mappings().all()
            (
                await conn.execute(select(func.count()).select_from(ITEM).where(ITEM.c.id.between(key - 5, key)))
            ).scalar_one()

    return work


def with_orm(engine: AsyncEngine) -> Callable[[int], Awaitable[None]]:
    """SQLAlchemy ORM."""

    async def work(key: int) -> None:
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            session.add(Item(id=key, name=f"n{key}", seen=0, body=BODY))
            await session.flush()
            session.expunge_all()
            item = (await session.execute(select(Item).where(Item.id == key))).scalar_one()
            item.seen += 1
            await session.flush()
            (await session.execute(select(Item).where(Item.id.in_([key, key - 1, key - 2])))).scalars().all()
            (
                await session.execute(select(func.count()).select_from(Item).where(Item.id.between(key - 5, key)))
            ).scalar_one()

    return work


async def measure(work: Callable[[int], Awaitable[None]], first: int) -> tuple[float, float]:
    """Transactions a second and milliseconds of this process's CPU per transaction."""
    keys = iter(range(first, first + TRANSACTIONS))

    async def client() -> None:
        for key in keys:
            await work(key)

    for key in range(first - 200, first):
        await work(key)
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return TRANSACTIONS / (time.perf_counter() - began), (time.process_time() - cpu) / TRANSACTIONS * 1000


async def main(url: str) -> None:
    """Runs the three and prints them."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        await owner.execute(SCHEMA)
    engine = create_async_engine(url.replace("postgresql://", "postgresql+psycopg://"), pool_size=CONNECTIONS)
    async with AsyncConnectionPool(
        url, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs={"autocommit": True}
    ) as pool:
        contenders = {
            "psycopg, SQL by hand": with_psycopg(pool),
            "SQLAlchemy Core": with_core(engine),
            "SQLAlchemy ORM": with_orm(engine),
        }
        for number, (name, work) in enumerate(contenders.items(), 1):
            rate, cpu = await measure(work, number * 1_000_000)
            print(f"{name:<22} {rate:7.0f} transactions/s   {cpu:.2f} ms client CPU each")
    await engine.dispose()


if __name__ == "__main__":
    folder = tempfile.mkdtemp(prefix="civicpulse-bench-")
    try:
        with embedded_server(Path(folder)) as server:
            uvloop.run(main(server))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
