"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}

A column or table goes away in two releases: stop using it first, drop it in the next one.
"""

from civicpulse.migrations.sql import run_sql

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """${message}."""
    run_sql("${up_revision}.sql")
