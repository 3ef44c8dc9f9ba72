"""One frozen Settings; the only reader of the environment."""

import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path


class SettingsError(ValueError):
    """A variable holds something that cannot be used; the message names it and says what is expected."""


def _number(name: str, default: float, *, minimum: float = 0) -> float:
    raw = os.environ.get(name, "").strip()
    try:
        value = float(raw) if raw else default
    except ValueError:
        raise SettingsError(f"{name} must be a number, not {raw!r}") from None
    if value < minimum:
        raise SettingsError(f"{name} must be at least {minimum:g}, not {value:g}")
    return value


def _text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


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
        url = _text("CIVICPULSE_DATABASE_URL")
        return cls(
            database_url=url,
            migration_url=_text("CIVICPULSE_MIGRATION_URL", url),
            pool_size=int(_number("CIVICPULSE_POOL_SIZE", 16, minimum=1)),
            statement_timeout_seconds=_number("CIVICPULSE_STATEMENT_TIMEOUT_SECONDS", 30),
            lock_timeout_seconds=_number("CIVICPULSE_LOCK_TIMEOUT_SECONDS", 10),
            idle_transaction_timeout_seconds=_number("CIVICPULSE_IDLE_TRANSACTION_TIMEOUT_SECONDS", 60),
            job_timeout_seconds=_number("CIVICPULSE_JOB_TIMEOUT_SECONDS", 900),
            default_tenant=_text("CIVICPULSE_DEFAULT_TENANT"),
            anonymous_writes_per_minute=int(_number("CIVICPULSE_ANONYMOUS_WRITES_PER_MINUTE", 120)),
            anonymous_reads_per_minute=int(_number("CIVICPULSE_ANONYMOUS_READS_PER_MINUTE", 1200)),
            body_limit_bytes=int(_number("CIVICPULSE_BODY_LIMIT_BYTES", 2 * 1024 * 1024, minimum=1024)),
            upload_limit_bytes=int(_number("CIVICPULSE_UPLOAD_LIMIT_BYTES", 64 * 1024 * 1024, minimum=1024)),
            storage_url=_text("CIVICPULSE_STORAGE_URL"),
            audit_dir=_text("CIVICPULSE_AUDIT_DIR"),
            audit_checkpoint_minutes=_number("CIVICPULSE_AUDIT_CHECKPOINT_MINUTES", 60, minimum=1),
            audit_witness_url=_text("CIVICPULSE_AUDIT_WITNESS_URL"),
            worker_metrics_port=int(_number("CIVICPULSE_WORKER_METRICS_PORT", 0)),
            log_level=_text("CIVICPULSE_LOG_LEVEL", "INFO").upper(),
            senders=tuple(part.strip() for part in _text("CIVICPULSE_SENDERS").split(",") if part.strip()),
            messages_in_log=_number("CIVICPULSE_MESSAGES_IN_LOG", 0) > 0,
            public_url=_text("CIVICPULSE_PUBLIC_URL"),
            tile_url=_text("CIVICPULSE_TILE_URL"),
            nominatim_url=_text("CIVICPULSE_NOMINATIM_URL"),
            nominatim_timeout_seconds=_number("CIVICPULSE_NOMINATIM_TIMEOUT_SECONDS", 5, minimum=0.1),
            llm_url=_text("CIVICPULSE_LLM_URL"),
            llm_model=_text("CIVICPULSE_LLM_MODEL"),
            llm_key=_text("CIVICPULSE_LLM_KEY"),
            llm_daily_tokens=int(_number("CIVICPULSE_LLM_DAILY_TOKENS", 1_000_000)),
            llm_timeout_seconds=_number("CIVICPULSE_LLM_TIMEOUT_SECONDS", 8, minimum=0.1),
            otlp_url=_text("CIVICPULSE_OTLP_URL"),
            otlp_headers=_text("CIVICPULSE_OTLP_HEADERS"),
            # The names that Langfuse's own software reads.
            langfuse_host=_text("LANGFUSE_HOST"),
            langfuse_public_key=_text("LANGFUSE_PUBLIC_KEY"),
            langfuse_secret_key=_text("LANGFUSE_SECRET_KEY"),
            parent_pid=int(_number("CIVICPULSE_PARENT_PID", 0)),
        )


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Reads the process's settings, once."""
    return Settings.from_environment()


def default_data_dir() -> Path:
    """Says where `civicpulse up` keeps its database when no --data is given: ./data."""
    return Path("data")
