"""How HTTP is spoken here: one transaction per request committed before the answer leaves, problem documents, JSON by orjson."""

import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from psycopg import DataError, OperationalError
from psycopg_pool import PoolTimeout
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from civicpulse.base.answers import ANY, WITH_BODY, WITH_CALLER, ProblemView, merged, problem_answers, response_class
from civicpulse.base.errors import Invalid, Problem
from civicpulse.base.log import get_logger
from civicpulse.base.services import Services

log = get_logger(__name__)

# Checks that an id in a path exists for the caller, so that a caller of another tenant learns "not found" before
# anything about the body. Rooms register theirs by the path parameter's name.
ID_GUARDS: dict[str, Callable[[Request], Awaitable[None]]] = {}


class Json(Response):
    """A JSON answer serialised by orjson; what comes out of our own tables is not validated again."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Serialises `content`; datetimes become RFC 3339 UTC with Z."""
        return orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


class ProblemJson(Json):
    """An RFC 9457 answer."""

    media_type = "application/problem+json"


class DeclaredRoute(APIRoute):
    """An operation that declares what it may answer (`responses=answers(…)`) and refuses parameters that it does not have."""

    problems: dict[int, tuple[str, ...]]
    parameters: frozenset[str]

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        declared = options.get("responses") or {}
        own = {int(status): answer["codes"] for status, answer in declared.items() if "codes" in answer}
        options["responses"] = {status: answer for status, answer in declared.items() if "codes" not in answer}
        options["operation_id"] = options.get("operation_id") or endpoint.__name__
        if (answer_class := response_class(options["responses"])) is not None:
            options["response_class"] = answer_class
        super().__init__(path, endpoint, **options)
        self.problems = merged(
            own, ANY, WITH_CALLER if _admissions(self) else {}, WITH_BODY if self.body_field is not None else {}
        )
        self.responses = {**self.responses, **problem_answers(self.problems)}
        self.parameters = frozenset(_parameters(self.dependant))

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Puts the check of the query's parameters before the handler."""
        handle = super().get_route_handler()

        async def known(request: Request) -> Response:
            unknown = [name for name in request.query_params if name not in self.parameters]
            if unknown:
                await self._refuse(request, unknown)
            return await handle(request)

        return known

    async def _refuse(self, request: Request, unknown: list[str]) -> None:
        """Raises what the caller would hear anyway, else Invalid that names what this operation takes."""
        for admit in _admissions(self):
            await admit(request)
        await _check_ids(request)
        choices = sorted(self.parameters)
        takes = f"it takes {', '.join(choices)}" if choices else "it takes none"
        raise Invalid(
            f"This operation has no parameter {', '.join(unknown)}; {takes}.",
            errors=[{"field": name, "detail": "There is no such parameter.", "choices": choices} for name in unknown],
        )


def _admissions(route: APIRoute) -> list[Callable[[Request], Awaitable[object]]]:
    """Finds the dependencies that let a caller in."""
    return [part.call for part in route.dependant.dependencies if part.call and hasattr(part.call, "permission")]


def _parameters(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        yield field.alias
    for part in dependant.dependencies:
        yield from _parameters(part)


async def _check_ids(request: Request) -> None:
    for name, guard in ID_GUARDS.items():
        if name in request.path_params:
            await guard(request)


class TransactionRoute(DeclaredRoute):
    """Ends the caller's transaction after the handler and before the answer leaves.

    FastAPI runs the exit of a `yield` dependency after the response; a failing commit would then have answered 200.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wraps the handler in its transaction."""
        handle = super().get_route_handler()

        async def in_transaction(request: Request) -> Response:
            try:
                response = await handle(request)
            except RequestValidationError:
                try:
                    await _check_ids(request)
                finally:
                    await _finish(request, commit=False)
                raise
            except BaseException as error:
                await _finish(request, commit=isinstance(error, Problem) and error.keeps_changes)
                raise
            await _finish(request, commit=response.status_code < 400 or getattr(request.state, "keep", False))
            return response

        return in_transaction


async def _finish(request: Request, *, commit: bool) -> None:
    tx = getattr(request.state, "tx", None)
    if tx is not None:
        request.state.tx = None
        await services_of(request).db.finish(tx, commit=commit)


async def end_transaction(request: Request) -> None:
    """Commits the caller's transaction and gives its connection back, before slow work that needs none or its own."""
    await _finish(request, commit=True)


def services_of(request: Request) -> Services:
    """Finds the process's services."""
    services: Services = request.app.state.services
    return services


def _problem(request: Request, problem: Problem) -> Response:
    return ProblemJson(problem.document(request.url.path), status_code=problem.status, headers=problem.headers)


def _field(location: tuple[Any, ...]) -> str:
    parts = [str(part) for part in location if part not in ("body", "query", "path", "header", "[key]")]
    return ".".join(parts) or str(location[0])


def _choices(error: dict[str, Any]) -> dict[str, Any]:
    """Lists the values that a field of a fixed few may have."""
    named = re.findall(r"'([^']*)'", error["ctx"]["expected"]) if error["type"] == "literal_error" else []
    return {"choices": named} if named else {}


def _safe(value: str) -> str:
    return value.encode("utf-8", "replace").decode("utf-8")


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problem = Problem("The input is not valid: see errors.", code="invalid")
    problem.status, problem.title = 422, "Invalid input"
    errors = error.errors()
    if any(item["type"] == "json_invalid" for item in errors):
        problem.status, problem.code, problem.title = 400, "malformed_json", "Malformed JSON"
        problem.detail = "The body is not valid JSON: " + "; ".join(
            _safe(str(item.get("ctx", {}).get("error", item["msg"]))) for item in errors
        )
    else:
        problem.extra["errors"] = [
            {"field": _safe(_field(item["loc"])), "detail": _safe(item["msg"])} | _choices(item) for item in errors
        ]
    return _problem(request, problem)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _problem(request, error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 400: "bad_request"}
    problem = Problem(str(error.detail), code=codes.get(error.status_code, f"http_{error.status_code}"))
    problem.status, problem.title = error.status_code, str(error.detail)
    problem.headers = dict(error.headers or {})
    return _problem(request, problem)


async def _on_data(request: Request, error: Exception) -> Response:
    """Answers, as the last net, for text that PostgreSQL cannot hold, such as a NUL byte in a path or query."""
    log.info("unusable_value", error=str(error))
    problem = Problem(
        "A value cannot be stored: it holds a NUL byte, a broken character or a number out of range.", code="invalid"
    )
    problem.status, problem.title = 422, "Invalid input"
    return _problem(request, problem)


async def _on_no_database(request: Request, error: Exception) -> Response:
    log.error("database_unavailable", error=str(error))
    problem = Problem(
        "The database cannot be reached or is overloaded; nothing was changed. Try again.", code="unavailable"
    )
    problem.status, problem.title, problem.headers = 503, "Unavailable", {"Retry-After": "1"}
    return _problem(request, problem)


async def _on_anything(request: Request, error: Exception) -> Response:
    log.error("unexpected_error", exc_info=error)
    return _problem(request, Problem("Something failed on our side; nothing was changed. The log has the details."))


def add_error_handlers(app: FastAPI) -> None:
    """Makes every failure leave as a problem document."""
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(DataError, _on_data)
    app.add_exception_handler(UnicodeError, _on_data)
    app.add_exception_handler(OperationalError, _on_no_database)
    app.add_exception_handler(PoolTimeout, _on_no_database)
    app.add_exception_handler(Exception, _on_anything)


def complete_openapi(app: FastAPI) -> None:
    """Adds to the OpenAPI document what FastAPI cannot know: that a bearer token may be sent, and what a problem is."""
    describe = app.openapi

    def complete() -> dict[str, Any]:
        document = describe()
        components = document.setdefault("components", {})
        components.setdefault("securitySchemes", {})["token"] = {"type": "http", "scheme": "bearer"}
        _, shapes = models_json_schema([(ProblemView, "serialization")], ref_template="#/components/schemas/{model}")
        shapes["$defs"]["Problem"] = shapes["$defs"].pop("ProblemView")
        components["schemas"] = dict(sorted({**components.get("schemas", {}), **shapes["$defs"]}.items()))
        document["security"] = [{}, {"token": []}]
        return document

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's own way to extend the document


class GzipReads(GZipMiddleware):
    """Compresses what is read. Answers to writes are short, and their way through the compressor is not."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        is_read = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        await (super().__call__ if is_read else self.app)(scope, receive, send)


class Doorway:
    """The outermost layer: `/api/x` and `/x/` are `/x`; a body over the limit is refused before it is held in memory."""

    def __init__(self, app: ASGIApp, *, body_limit_bytes: int, upload_limit_bytes: int) -> None:
        self.app = app
        self.body_limit_bytes = body_limit_bytes
        self.upload_limit_bytes = upload_limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["path"] = _plain(scope["path"])
        headers = dict(scope["headers"])
        # A multipart body is spooled to disk piece by piece, so it may be larger than one that is held in memory.
        is_upload = headers.get(b"content-type", b"").startswith(b"multipart/form-data")
        limit = self.upload_limit_bytes if is_upload else self.body_limit_bytes
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            await self._refuse(scope, receive, send, limit)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise HTTPException(413, f"The body is larger than {limit} bytes.")
            return message

        await self.app(scope, counted, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        problem = Problem(f"The body is larger than {limit} bytes.", code="too_large")
        problem.status, problem.title = 413, "Too large"
        await ProblemJson(problem.document(scope["path"]), status_code=413)(scope, receive, send)


def _plain(path: str) -> str:
    if path == "/api" or path.startswith("/api/"):
        path = path[4:] or "/"
    return path.rstrip("/") or "/"
