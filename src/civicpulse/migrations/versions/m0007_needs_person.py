"""The mark of requests that wait for a person because their analysis was too unsure.

Revision ID: 0007_needs_person
"""

from civicpulse.migrations.sql import run_sql

revision = "0007_needs_person"
down_revision = "0006_places"


def upgrade() -> None:
    """Adds the column and the index of those that wait."""
    run_sql("0007_needs_person.sql")
