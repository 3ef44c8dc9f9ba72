"""Spans over a real socket: what a collector and Langfuse are sent, what never leaves, and what a dead one costs."""

import base64
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from analysis_support import HOLE, analysed, with_llm
from llm_server import GOOD, LlmServer, running
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from civicpulse.base.clients import tracing as module
from civicpulse.base.clients.llm import LlmCall, LlmClient, LlmFault, Question, close_llm_clients
from civicpulse.base.clients.tracing import check_tracing, traced, tracing
from civicpulse.cli.base import OperatorError
from civicpulse.cli.processes import serve
from civicpulse.settings import Settings, SettingsError
from civicpulse.triage.analysis import ReportText

SECRET = "the report of joe@example.org about Elm Street"
QUESTION = Question("analysis", "You file reports.", SECRET, {"type": "object"}, lambda said: said)


@dataclass
class Collector:
    """Takes OTLP over HTTP and keeps what it is sent."""

    url: str = ""
    status: int = 200
    delay: float = 0.0
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def spans(self) -> dict[str, dict[str, Any]]:
        """Attributes by the span's name; the latest of a name."""
        found = {}
        for span in self.raw:
            found[span.name] = {entry.key: _value(entry.value) for entry in span.attributes}
        return found

    @property
    def raw(self) -> list[Any]:
        """The spans as they were sent."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        scopes = [scope for request in requests for group in request.resource_spans for scope in group.scope_spans]
        return [span for scope in scopes for span in scope.spans]


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


@contextmanager
def collecting() -> Iterator[Collector]:
    kept = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(kept.delay)
            kept.paths.append(self.path)
            kept.headers.append({name.lower(): value for name, value in self.headers.items()})
            kept.bodies.append(body)
            self.send_response(kept.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as kept:
        yield kept


@pytest.fixture
async def server() -> AsyncIterator[LlmServer]:
    async with running() as kept:
        yield kept
        await close_llm_clients()


async def ask(server: LlmServer, calls: list[LlmCall] | None = None) -> str:
    client = LlmClient(server.url, "small", "key", timeout_seconds=1.0)
    try:
        return await client.ask(QUESTION, record=(calls if calls is not None else []).append)
    except LlmFault as fault:
        return fault.reason
    finally:
        await client.close()


async def test_a_collector_gets_the_figures_of_a_call_and_no_text(server, collector) -> None:
    settings = Settings(otlp_url=collector.url + "/", otlp_headers="x-team=water, x-key=a%2Cb")
    with tracing(settings), traced("analyse", purpose="analysis", tenant="springfield"):
        await ask(server)
    assert collector.paths == ["/v1/traces"]
    assert (collector.headers[0]["x-team"], collector.headers[0]["x-key"]) == ("water", "a,b")
    assert collector.spans["chat small"] == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "small",
        "gen_ai.response.model": "small-2026",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
    } | {
        f"{prefix}.{name}": value
        for prefix in ("civicpulse", "langfuse.observation.metadata")
        for name, value in {
            "purpose": "analysis", "tenant": "springfield", "mode": "json_schema", "outcome": "ok",
        }.items()
    }  # fmt: skip
    call, batch = collector.raw
    assert (call.parent_span_id, call.trace_id) == (batch.span_id, batch.trace_id)
    assert call.end_time_unix_nano > call.start_time_unix_nano
    resource = ExportTraceServiceRequest.FromString(collector.bodies[0]).resource_spans[0].resource
    assert {entry.key for entry in resource.attributes} == {"service.name", "service.version"}
    for secret in ("joe@example.org", "Elm Street", "You file reports", GOOD["summary"]):
        assert secret.encode() not in b"".join(collector.bodies)


async def test_langfuse_gets_them_at_its_own_address_with_its_keys(server, collector) -> None:
    settings = Settings(langfuse_host=collector.url, langfuse_public_key="pk-1", langfuse_secret_key="sk-2")
    with tracing(settings):
        await ask(server)
    assert collector.paths == ["/api/public/otel/v1/traces"]
    assert collector.headers[0]["authorization"] == f"Basic {base64.b64encode(b'pk-1:sk-2').decode()}"
    assert "chat small" in collector.spans
    assert "sk-2" not in repr(settings)


async def test_both_get_all_of_them(server, collector) -> None:
    with collecting() as langfuse:
        keys: dict[str, Any] = {"langfuse_public_key": "p", "langfuse_secret_key": "s", "langfuse_host": langfuse.url}
        with tracing(Settings(otlp_url=collector.url, **keys)):
            await ask(server)
        assert collector.spans == langfuse.spans


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ((500, {"error": {"message": SECRET}}), "http_500"),
        ((200, SECRET.encode()), "JSONDecodeError"),
        (None, "timeout"),
    ],
)
async def test_a_call_that_fails_says_how_in_one_word_and_quotes_nothing(server, collector, reply, outcome) -> None:
    server.answer = lambda body, number: reply
    with tracing(Settings(otlp_url=collector.url)):
        assert await ask(server) != "pothole"
    assert collector.spans["chat small"]["civicpulse.outcome"] == outcome
    span = collector.raw[0]
    assert (span.status.code, span.status.message, list(span.events)) == (2, outcome, [])
    assert b"Elm Street" not in b"".join(collector.bodies)


async def test_an_analysis_is_traced_with_its_tenant(city, server, collector) -> None:
    refused = ReportText("Loud music next door")
    server.answer = lambda body, _: (401, {}) if refused.text in str(body["messages"][-1]) else json.dumps(GOOD)
    with tracing(Settings(otlp_url=collector.url)):
        await analysed(city, with_llm(city, server), HOLE, refused)
    assert collector.spans["analyse"] | {"civicpulse.texts": 2, "civicpulse.fell_back": 1} == collector.spans["analyse"]
    assert {span["civicpulse.tenant"] for span in collector.spans.values()} == {city.tenant.slug}
    assert {span["civicpulse.purpose"] for span in collector.spans.values()} == {"analysis"}


async def test_the_web_frameworks_own_spans_stay_here(app, city, collector) -> None:
    """A path or a query may hold what people wrote; it would be sent if the process's provider were ours."""
    with tracing(Settings(otlp_url=collector.url)):
        client: httpx.AsyncClient = await city.client()
        await client.get("/requests?q=Elm+Street")
        with traced("here"):
            pass
    assert set(collector.spans) == {"here"}


@pytest.mark.parametrize("kind", ["gone", "hanging", "broken"])
async def test_a_dead_collector_neither_slows_nor_fails_a_call(server, collector, monkeypatch, kind) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.3)
    monkeypatch.setattr(module, "EXPORT_EVERY_SECONDS", 0.01)
    collector.delay, collector.status = (30, 200) if kind == "hanging" else (0, 503)
    url = "http://127.0.0.1:9" if kind == "gone" else collector.url
    calls: list[LlmCall] = []
    with tracing(Settings(otlp_url=url)):
        started = time.monotonic()
        for _ in range(20):
            assert json.loads(await ask(server, calls)) == GOOD
        assert time.monotonic() - started < 25, "twenty calls wait for no collector"
        ending = time.monotonic()
    assert time.monotonic() - ending < 10, "the end waits for it only so long"
    assert {call.outcome for call in calls} == {"ok"}


async def test_without_settings_nothing_is_sent(server, collector) -> None:
    with tracing(Settings()):
        await ask(server)
    await ask(server)
    assert collector.bodies == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(otlp_url="collector:4318"), "CIVICPULSE_OTLP_URL must begin with http"),
        (Settings(otlp_url="http://c", otlp_headers="no equals"), "CIVICPULSE_OTLP_HEADERS must be written name=value"),
        (Settings(langfuse_public_key="pk"), "LANGFUSE_SECRET_KEY, LANGFUSE_HOST must be set too"),
        (
            Settings(langfuse_public_key="pk", langfuse_secret_key="sk", langfuse_host="lf"),
            "LANGFUSE_HOST must begin with http",
        ),
    ],
)
def test_a_wrong_variable_is_named(settings, message) -> None:
    with pytest.raises(SettingsError, match=message):
        check_tracing(settings)


def test_who_asks_for_tracing_that_is_not_installed_is_told_at_the_start(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert check_tracing(Settings()) == []
    settings = Settings(database_url="postgresql://nowhere", otlp_url="http://127.0.0.1:4318")
    with pytest.raises(SettingsError, match=r"pip install 'civicpulse\[tracing\]'"):
        serve(settings, host="127.0.0.1", port=0, workers=1)
    with pytest.raises(OperatorError, match="CIVICPULSE_DATABASE_URL"):
        serve(Settings(), host="127.0.0.1", port=0, workers=1)
