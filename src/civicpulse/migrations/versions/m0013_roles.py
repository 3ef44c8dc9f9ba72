"""Roles of tokens are names from the tenant's pack, no longer a list in SQL.

Revision ID: 0013_roles
"""

from civicpulse.migrations.sql import run_sql

revision = "0013_roles"
down_revision = "0012_pipeline"


def upgrade() -> None:
    """Lets a token have any role that a pack may name."""
    run_sql("0013_roles.sql")
