"""One frozen Settings; the only reader of the environment."""

import math
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path


class SettingsError(ValueError):
    """A variable holds something that cannot be used; the message names it and says what is expected."""


POSTGRES, WEB, STORES = ("postgresql", "postgres"), ("https", "http"), ("file", "s3", "gs", "az")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _number(name: str, default: float, *, minimum: float = 0) -> float:
    raw = os.environ.get(name, "").strip()
    try:
        value = float(raw) if raw else default
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SettingsError(f"{name} is {raw!r}: it must be a number, such as {default:g}")
    if value < minimum:
        raise SettingsError(f"{name} is {value:g}: it must be at least {minimum:g}")
    return value


def _whole(name: str, default: int, *, minimum: int = 0) -> int:
    value = _number(name, default, minimum=minimum)
    if value != int(value):
        raise SettingsError(f"{name} is {value:g}: it must be a whole number, such as {default}")
    return int(value)


def _text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def _choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = _text(name, default).upper()
    if value not in choices:
        raise SettingsError(f"{name} is {value!r}: it must be one of {', '.join(choices)}")
    return value


def _url(name: str, default: str = "", *, schemes: tuple[str, ...]) -> str:
    """Reads a URL; of one that cannot be used only the scheme is told: the rest may hold a password."""
    value = _text(name, default)
    scheme, mark, _ = value.partition("://")
    if value and (not mark or scheme.lower() not in schemes):
        begins = f"begins with {scheme[:20]!r}" if mark else "has no scheme"
        raise SettingsError(f"{name} {begins}: it must begin with {' or '.join(f'{one}://' for one in schemes)}")
    return value


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set from outside; docs in README, section Configuration."""

    database_url: str = ""
    migration_url: str = ""
    pool_size: int = 16
    statement_timeout_seconds: float = 30.0
    lock_timeout_seconds: float = 10.0
    idle_transaction_timeout_seconds: float = 60.0
    job_timeout_seconds: float = 900.0
    default_tenant: str = ""
    anonymous_writes_per_minute: int = 120
    anonymous_reads_per_minute: int = 1200
    body_limit_bytes: int = 2 * 1024 * 1024
    upload_limit_bytes: int = 64 * 1024 * 1024
    storage_url: str = ""
    audit_dir: str = ""
    audit_checkpoint_minutes: float = 60.0
    audit_witness_url: str = ""
    worker_metrics_port: int = 0
    log_level: str = "INFO"
    senders: tuple[str, ...] = ()
    messages_in_log: bool = False
    public_url: str = ""
    tile_url: str = ""
    nominatim_url: str = ""
    nominatim_timeout_seconds: float = 5.0
    llm_url: str = ""
    llm_model: str = ""
    llm_key: str = field(default="", repr=False)
    llm_daily_tokens: int = 1_000_000
    llm_timeout_seconds: float = 8.0
    otlp_url: str = ""
    otlp_headers: str = field(default="", repr=False)
    langfuse_host: str = ""
    langfuse_public_key: str = ""
    langfuse_secret_key: str = field(default="", repr=False)
    parent_pid: int = 0

    @classmethod
    def from_environment(cls) -> "Settings":
        """Reads CIVICPULSE_* variables and Langfuse's; raises SettingsError naming the one that is wrong."""
        url = _url("CIVICPULSE_DATABASE_URL", schemes=POSTGRES)
        return cls(
            database_url=url,
            migration_url=_url("CIVICPULSE_MIGRATION_URL", url, schemes=POSTGRES),
            pool_size=_whole("CIVICPULSE_POOL_SIZE", 16, minimum=1),
            statement_timeout_seconds=_number("CIVICPULSE_STATEMENT_TIMEOUT_SECONDS", 30),
            lock_timeout_seconds=_number("CIVICPULSE_LOCK_TIMEOUT_SECONDS", 10),
            idle_transaction_timeout_seconds=_number("CIVICPULSE_IDLE_TRANSACTION_TIMEOUT_SECONDS", 60),
            job_timeout_seconds=_number("CIVICPULSE_JOB_TIMEOUT_SECONDS", 900),
            default_tenant=_text("CIVICPULSE_DEFAULT_TENANT"),
            anonymous_writes_per_minute=_whole("CIVICPULSE_ANONYMOUS_WRITES_PER_MINUTE", 120),
            anonymous_reads_per_minute=_whole("CIVICPULSE_ANONYMOUS_READS_PER_MINUTE", 1200),
            body_limit_bytes=_whole("CIVICPULSE_BODY_LIMIT_BYTES", 2 * 1024 * 1024, minimum=1024),
            upload_limit_bytes=_whole("CIVICPULSE_UPLOAD_LIMIT_BYTES", 64 * 1024 * 1024, minimum=1024),
            storage_url=_url("CIVICPULSE_STORAGE_URL", schemes=STORES),
            audit_dir=_text("CIVICPULSE_AUDIT_DIR"),
            audit_checkpoint_minutes=_number("CIVICPULSE_AUDIT_CHECKPOINT_MINUTES", 60, minimum=1),
            audit_witness_url=_url("CIVICPULSE_AUDIT_WITNESS_URL", schemes=WEB),
            worker_metrics_port=_whole("CIVICPULSE_WORKER_METRICS_PORT", 0),
            log_level=_choice("CIVICPULSE_LOG_LEVEL", "INFO", LEVELS),
            senders=tuple(part.strip() for part in _text("CIVICPULSE_SENDERS").split(",") if part.strip()),
            messages_in_log=_number("CIVICPULSE_MESSAGES_IN_LOG", 0) > 0,
            public_url=_url("CIVICPULSE_PUBLIC_URL", schemes=WEB),
            tile_url=_url("CIVICPULSE_TILE_URL", schemes=WEB),
            nominatim_url=_url("CIVICPULSE_NOMINATIM_URL", schemes=WEB),
            nominatim_timeout_seconds=_number("CIVICPULSE_NOMINATIM_TIMEOUT_SECONDS", 5, minimum=0.1),
            llm_url=_url("CIVICPULSE_LLM_URL", schemes=WEB),
            llm_model=_text("CIVICPULSE_LLM_MODEL"),
            llm_key=_text("CIVICPULSE_LLM_KEY"),
            llm_daily_tokens=_whole("CIVICPULSE_LLM_DAILY_TOKENS", 1_000_000),
            llm_timeout_seconds=_number("CIVICPULSE_LLM_TIMEOUT_SECONDS", 8, minimum=0.1),
            otlp_url=_text("CIVICPULSE_OTLP_URL"),
            otlp_headers=_text("CIVICPULSE_OTLP_HEADERS"),
            # The names that Langfuse's own software reads.
            langfuse_host=_text("LANGFUSE_HOST"),
            langfuse_public_key=_text("LANGFUSE_PUBLIC_KEY"),
            langfuse_secret_key=_text("LANGFUSE_SECRET_KEY"),
            parent_pid=_whole("CIVICPULSE_PARENT_PID", 0),
        )


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Reads the process's settings, once."""
    return Settings.from_environment()


def default_data_dir() -> Path:
    """Says where `civicpulse up` keeps its database when no --data is given: ./data."""
    return Path("data")
