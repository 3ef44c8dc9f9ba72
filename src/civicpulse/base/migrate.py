"""Brings a database to the newest revision."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine

from civicpulse.base.logins import application_url, keep_settings_out_of_queries, make_login


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "civicpulse:migrations")
    return config


def _engine_url(url: str) -> str:
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    raise ValueError("the database URL must start with postgresql://")


def migrate(url: str, *, to: str = "head") -> bool:
    """Applies what is missing up to the revision `to`, as the owner `url` connects as; safe to run at once twice.

    True when the database was not at the newest revision before.
    """
    engine = create_engine(_engine_url(url), poolclass=NullPool)
    config = _config()
    head = ScriptDirectory.from_config(config).get_current_head()
    try:
        with engine.connect() as connection:
            before = MigrationContext.configure(connection).get_current_revision()
            connection.rollback()
            config.attributes["connection"] = connection
            command.upgrade(config, to)
        return before != head
    finally:
        engine.dispose()


def make_ready(url: str) -> str:
    """Brings the database of an embedded server to the newest revision, by its owner's URL; the URL for the application."""
    migrate(url)
    keep_settings_out_of_queries(url)
    login = application_url(url)
    make_login(url, login)
    return login
