"""The number of a request gets a name of its own.

Revision ID: 0014_number
"""

from civicpulse.migrations.sql import run_alone, run_sql

revision = "0014_number"
down_revision = "0013_roles"


def upgrade() -> None:
    """Adds requests.number, kept the same as request_id for a release that still writes the old column.

    The rows that are there are filled while the service runs; only then do the indexes move.
    """
    run_sql("0014_number.sql")
    run_alone("0014_number_fill.sql")
    run_sql("0014_number_filled.sql")
