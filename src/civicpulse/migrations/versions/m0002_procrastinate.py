"""The job queue's own tables, as the library writes them.

Revision ID: 0002_procrastinate
"""

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0002_procrastinate"
down_revision = "0001_core"


def upgrade() -> None:
    """Creates Procrastinate's tables, types and functions and lets the application role use them."""
    op.get_bind().exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))
    op.get_bind().exec_driver_sql(
        """
        DO $$
        DECLARE name text;
        BEGIN
            FOR name IN SELECT relname FROM pg_class WHERE relname LIKE 'procrastinate_%%'
                        AND relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
                EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %%I TO civicpulse_app', name);
            END LOOP;
            FOR name IN SELECT relname FROM pg_class WHERE relname LIKE 'procrastinate_%%'
                        AND relkind = 'S' AND relnamespace = 'public'::regnamespace LOOP
                EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %%I TO civicpulse_app', name);
            END LOOP;
        END $$;
        """
    )
