"""Alembic's entry: one advisory lock, one transaction per revision, short lock and statement time-outs.

The connection comes from `civicpulse.base.migrate`; there are no models, revisions are hand-written SQL.
"""

from alembic import context
from sqlalchemy import Connection, text

MIGRATION_LOCK = 0x0C1F1C_0001


def run(connection: Connection) -> None:
    """Applies the wanted revisions on `connection`; waits for any other migrator first."""
    connection.execute(text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
    try:
        connection.commit()
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(text(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})"))
        connection.commit()


run(context.config.attributes["connection"])
