"""The number of a request gets a name of its own.

Revision ID: 0014_number
"""

from civicpulse.migrations.sql import run_sql

revision = "0014_number"
down_revision = "0013_roles"


def upgrade() -> None:
    """Adds requests.number, kept the same as request_id for a release that still writes the old column."""
    run_sql("0014_number.sql")
