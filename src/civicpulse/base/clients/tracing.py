"""Optional tracing of calls to language models, over OTLP/HTTP, to any collector, to Langfuse, or to both.

Figures leave the machine and nothing else: model, tokens, times, outcome, purpose, tenant. No text, not even that of an
error, which may quote what was asked. A collector that is slow or gone costs its own spans only.
"""

import base64
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from opentelemetry import trace
from opentelemetry.trace import Span, StatusCode, TracerProvider

from civicpulse import __version__
from civicpulse.settings import Settings, SettingsError

NAME: Final = "civicpulse"
EXPORT_SECONDS: Final = 5.0  # that one batch may take, tries included
FLUSH_SECONDS: Final = 5.0  # that the end of a process may wait for its last spans
EXPORT_EVERY_SECONDS: Final = 2.0
MAX_AT_ONCE: Final = 512  # spans of one batch
MAX_WAITING: Final = 4096  # spans; when more wait, the oldest are dropped
TRACES_PATH: Final = "/v1/traces"
LANGFUSE_PATH: Final = "/api/public/otel/v1/traces"

Fact = str | int


@dataclass(frozen=True, slots=True)
class Target:
    """Where spans go."""

    url: str
    headers: Mapping[str, str] = field(repr=False)


_own: TracerProvider | None = None
_facts: ContextVar[Mapping[str, Fact] | None] = ContextVar("facts", default=None)


@contextmanager
def traced(name: str, **facts: Fact) -> Iterator[Span]:
    """Makes a span called `name` with `facts` and those of the spans around it; nothing is recorded where nobody listens."""
    known = {**(_facts.get() or {}), **facts}
    token = _facts.set(known)
    tracer = (_own or trace.get_tracer_provider()).get_tracer(NAME)
    try:
        # An exception's words are not ours to send: servers quote the prompt in them.
        with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
            note(span, **known)
            yield span
    finally:
        _facts.reset(token)


def note(span: Span, **facts: Fact) -> None:
    """Writes facts on a span, also under the names that Langfuse can filter by."""
    for name, value in facts.items():
        span.set_attribute(f"civicpulse.{name}", value)
        span.set_attribute(f"langfuse.observation.metadata.{name}", value)


def note_outcome(span: Span, outcome: str) -> None:
    """Writes how it went: "ok", or one word for what went wrong."""
    note(span, outcome=outcome)
    if outcome != "ok":
        span.set_status(StatusCode.ERROR, outcome)


@contextmanager
def tracing(settings: Settings) -> Iterator[None]:
    """Sends spans while the block runs, where the settings say so, and what is left of them at its end.

    Raises SettingsError as `check_tracing` does.
    """
    global _own  # one a process, like the clients that make the spans
    targets = check_tracing(settings)
    if not targets:
        yield
        return
    processors = [_processor(target) for target in targets]
    before, _own = _own, _provider(processors)
    try:
        yield
    finally:
        _own = before
        _flush(processors)


def check_tracing(settings: Settings) -> list[Target]:
    """Says where spans go by the settings. Raises SettingsError when they cannot: a wrong variable, or the extra is missing."""
    targets = [target for target in (_collector(settings), _langfuse(settings)) if target is not None]
    if targets:
        try:
            import opentelemetry.exporter.otlp.proto.http.trace_exporter
            import opentelemetry.sdk.trace.export  # noqa: F401
        except ImportError:
            raise SettingsError(
                "CIVICPULSE_OTLP_URL or LANGFUSE_PUBLIC_KEY asks for tracing, which is not installed: "
                "pip install 'civicpulse[tracing]', or unset it"
            ) from None
    return targets


def _collector(settings: Settings) -> Target | None:
    if not settings.otlp_url:
        return None
    url = _checked("CIVICPULSE_OTLP_URL", settings.otlp_url)
    headers = {}
    for part in filter(None, settings.otlp_headers.split(",")):
        name, equals, value = part.partition("=")
        if not (name.strip() and equals):
            raise SettingsError("CIVICPULSE_OTLP_HEADERS must be written name=value, several with commas between them")
        headers[name.strip()] = unquote(value.strip())
    return Target(url if url.endswith(TRACES_PATH) else url + TRACES_PATH, headers)


def _langfuse(settings: Settings) -> Target | None:
    values = {
        "LANGFUSE_PUBLIC_KEY": settings.langfuse_public_key,
        "LANGFUSE_SECRET_KEY": settings.langfuse_secret_key,
        "LANGFUSE_HOST": settings.langfuse_host,
    }
    if not (settings.langfuse_public_key or settings.langfuse_secret_key):
        return None
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise SettingsError(f"{', '.join(missing)} must be set too: Langfuse needs {', '.join(values)}")
    url = _checked("LANGFUSE_HOST", settings.langfuse_host)
    pair = f"{settings.langfuse_public_key}:{settings.langfuse_secret_key}"
    return Target(url + LANGFUSE_PATH, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"})


def _checked(name: str, url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"{name} must begin with http:// or https://, not be {url!r}")
    return url.rstrip("/")


def _processor(target: Target) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # of the extra
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # Each retry is a warning; that a batch is lost is one line, and enough.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)
    return BatchSpanProcessor(
        OTLPSpanExporter(endpoint=target.url, headers=target.headers, timeout=EXPORT_SECONDS),
        max_queue_size=MAX_WAITING,
        schedule_delay_millis=EXPORT_EVERY_SECONDS * 1000,
        max_export_batch_size=MAX_AT_ONCE,
    )


def _provider(processors: Sequence[Any]) -> TracerProvider:
    """Makes a provider of our own, not the process's: the web framework would send paths and queries through that one."""
    from opentelemetry.sdk import trace as sdk  # of the extra
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    resource = Resource({"service.name": NAME, "service.version": __version__})
    provider = sdk.TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


def _flush(processors: Sequence[Any]) -> None:
    """Sends what waits, side by side; the SDK alone would wait half a minute for each collector that is gone."""
    deadline = time.monotonic() + FLUSH_SECONDS
    threads = [threading.Thread(target=processor.shutdown, daemon=True) for processor in processors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
