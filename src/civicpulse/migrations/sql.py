"""Runs a revision's SQL file: a revision is a .py that names it and a .sql that says it."""

from importlib.resources import files

from alembic import op


def run_sql(name: str, *, lock_timeout: str = "5s", statement_timeout: str = "60s") -> None:
    """Executes `versions/NAME` as one script, under time-outs, so that a migration never blocks the service for long."""
    script = files("civicpulse.migrations").joinpath("versions", name).read_text(encoding="utf-8")
    op.execute(f"SET LOCAL lock_timeout = '{lock_timeout}'; SET LOCAL statement_timeout = '{statement_timeout}'")
    # exec_driver_sql: colons and percent signs in the script are SQL, not bind parameters.
    op.get_bind().exec_driver_sql(script.replace("%", "%%"))


def run_alone(name: str) -> None:
    """Executes the one statement of `versions/NAME` outside a transaction, for as long as it takes: it commits by itself.

    What the revision did before is committed first, so all of that must bear to be run again.
    """
    statement = files("civicpulse.migrations").joinpath("versions", name).read_text(encoding="utf-8")
    with op.get_context().autocommit_block():
        op.get_bind().exec_driver_sql(statement.replace("%", "%%"))
