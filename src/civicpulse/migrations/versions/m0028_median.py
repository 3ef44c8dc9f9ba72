"""The median of many resolutions is looked up from its bucket on.

Revision ID: 0028_median
"""

from civicpulse.migrations.sql import run_sql

revision = "0028_median"
down_revision = "0027_operators"


def upgrade() -> None:
    """Adds the gate to the times that resolutions took."""
    run_sql("0028_median.sql")
