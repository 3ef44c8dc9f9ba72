"""How HTTP is spoken here: one transaction per request committed before the answer leaves, problem documents, JSON by orjson."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.params import File
from fastapi.routing import APIRoute
from psycopg import DataError, OperationalError
from psycopg.errors import LockNotAvailable, QueryCanceled
from psycopg_pool import PoolTimeout
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

from civicpulse.base.answers import ANY, WITH_BODY, WITH_CALLER, ProblemView, merged, problem_answers, response_class
from civicpulse.base.db import Tx
from civicpulse.base.doors.bodies import check_shape, check_size, raise_limit
from civicpulse.base.doors.json import Json as Json
from civicpulse.base.doors.json import ProblemJson as ProblemJson
from civicpulse.base.errors import Invalid, Problem
from civicpulse.base.idempotency import answer_before, keep_answer
from civicpulse.base.log import get_logger
from civicpulse.base.services import Services

log = get_logger(__name__)

MAX_ERRORS = 100  # told of in one answer
MAX_WORDS = 300  # of a field's name or what is wrong with it, in characters

# Checks that an id in a path exists for the caller, so that a caller of another tenant learns "not found" before
# anything about the body. Rooms register theirs by the path parameter's name.
ID_GUARDS: dict[str, Callable[[Request], Awaitable[None]]] = {}


class DeclaredRoute(APIRoute):
    """An operation that declares what it may answer (`responses=answers(…)`) and refuses parameters that it does not have."""

    problems: dict[int, tuple[str, ...]]
    parameters: frozenset[str]
    takes_files: bool

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
        for status, answer in problem_answers(self.problems).items():
            self.responses[status] = {**self.responses.get(status, {}), **answer}  # beside a model of the same status
        self.parameters = frozenset(_parameters(self.dependant))
        self.takes_files = any(isinstance(field.field_info, File) for field in self.dependant.body_params)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Puts before the handler what can be said without the body: which parameters there are, who calls, and how often."""
        handle = super().get_route_handler()

        async def known(request: Request) -> Response:
            unknown = [name for name in request.query_params if name not in self.parameters]
            if unknown:
                await self._refuse(request, unknown)
            if self.body_field is not None:
                await self._meet(request)
            return await handle(request)

        return known

    async def _meet(self, request: Request) -> None:
        """Lets nobody send a body who may not, and nobody one that is too large, too deep or too wide."""
        for admit in _admissions(self):
            await admit.at_door(request)  # type: ignore[attr-defined]  # see accounts.callers
        if self.takes_files:
            raise_limit(request, services_of(request).settings.upload_limit_bytes)
        check_size(request)
        if not self.takes_files:
            check_shape(await request.body())

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
                await _keep_answer(request, response)
            except Replayed as before:
                await _finish(request, commit=False)
                return before.response
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


class Replayed(Exception):
    """The call was done before, and `response` is what it was answered."""

    def __init__(self, answer: str) -> None:
        super().__init__("done before")
        headers = {"Idempotent-Replayed": "true"}
        self.response = Response(answer, status_code=200, media_type=Json.media_type, headers=headers)


async def begin_once(request: Request, tx: Tx, scope: str, key: str) -> dict[str, Any]:
    """Sees to it that a call is done once: under what its answer is to be kept. Raises Replayed when it was done before.

    The answer is kept in the transaction of the change, which the handler must not end by itself.
    """
    kept: dict[str, Any] = {"scope": scope, "key": key, "fingerprint": await _fingerprint(request)}
    if (answer := await answer_before(tx, **kept)) is not None:
        raise Replayed(answer)
    return kept


async def _fingerprint(request: Request) -> bytes:
    """Hashes what was sent: of a form, whose parts may be separated by any word, what is in it; anything else byte by byte."""
    if not request.headers.get("content-type", "").startswith("multipart/"):
        return hashlib.sha256(await request.body()).digest()
    parts: list[bytes] = []
    for name, value in (await request.form()).multi_items():
        content = value.encode() if isinstance(value, str) else await value.read()
        if not isinstance(value, str):
            await value.seek(0)
        parts += [name.encode(), hashlib.sha256(content).digest()]
    return hashlib.sha256(b"\x1f".join(parts)).digest()


async def _keep_answer(request: Request, response: Response) -> None:
    kept = getattr(request.state, "kept", None)
    if kept is not None and response.status_code < 400:
        await keep_answer(request.state.tx, **kept, answer=bytes(response.body).decode())


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
    return value[:MAX_WORDS].encode("utf-8", "replace").decode("utf-8")


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problem = Problem("The input is not valid: see errors.", code="invalid")
    problem.status, problem.title = 422, "Invalid input"
    errors = error.errors()
    listed = errors[:MAX_ERRORS]
    if len(errors) > MAX_ERRORS:
        problem.detail = f"The input is not valid: see errors, the first {MAX_ERRORS} of {len(errors)}."
    if any(item["type"] == "json_invalid" for item in errors):
        problem.status, problem.code, problem.title = 400, "malformed_json", "Malformed JSON"
        problem.detail = "The body is not valid JSON: " + "; ".join(
            _safe(str(item.get("ctx", {}).get("error", item["msg"]))) for item in listed
        )
    else:
        problem.extra["errors"] = [
            {"field": _safe(_field(item["loc"])), "detail": _safe(item["msg"])} | _choices(item) for item in listed
        ]
    return _problem(request, problem)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _problem(request, error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 408: "too_slow", 413: "too_large"}
    problem = Problem(str(error.detail), code=codes.get(error.status_code, f"http_{error.status_code}"))
    problem.status, problem.title = error.status_code, str(error.detail)
    problem.headers = dict(error.headers or {}) | ({"Connection": "close"} if error.status_code == 408 else {})
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
    words = "The database cannot be reached or is overloaded; nothing was changed. Try again."
    if isinstance(error, LockNotAvailable):
        words = "Somebody else has been changing the same thing for long; nothing was changed. Try again."
    elif isinstance(error, QueryCanceled):
        words = "This took too long and was given up; nothing was changed. Ask for less at once, or try again."
    problem = Problem(words, code="unavailable")
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
