"""What leaves is what is declared: each answer that a test gets over HTTP is held against what its operation declares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI

    from civicpulse.base.web import DeclaredRoute

FAILED = "internal_error"  # every operation declares it, and none may answer it unless a test is about that

_expected: list[str] = []


@contextmanager
def fault_expected() -> Iterator[None]:
    """For a test that makes the product fail on purpose: elsewhere an answer 500 `internal_error` fails the test, though declared."""
    _expected.append(FAILED)
    try:
        yield
    finally:
        _expected.pop()


def checker(app: FastAPI) -> Callable[[httpx.Response], Awaitable[None]]:
    """A hook of an HTTP client that fails the test whose answer is not declared."""

    async def check(answer: httpx.Response) -> None:
        await answer.aread()
        route = operation(app, answer.request.method, answer.request.url.path)
        if route is not None:
            told = f"{answer.request.method} {route.path} answered {answer.status_code}"
            for fault in faults_of(route, answer):
                raise AssertionError(f"{told}: {fault}\n{answer.text[:2000]}")

    return check


def operation(app: FastAPI, method: str, path: str) -> DeclaredRoute | None:
    """The operation that answers `method` of `path`; None for pages and for what is not there."""
    from starlette.routing import Match

    from civicpulse.base.web import DeclaredRoute

    plain = path.removeprefix("/api") if path.startswith("/api/") else path
    scope = {"type": "http", "method": method, "path": plain.rstrip("/") or "/", "headers": [], "root_path": ""}
    for route in app.routes:
        if isinstance(route, DeclaredRoute) and route.matches(scope)[0] is Match.FULL:
            return route
    return None


def faults_of(route: DeclaredRoute, answer: httpx.Response) -> Iterator[str]:
    """What about the answer is not declared."""
    media = answer.headers.get("content-type", "").split(";")[0]
    if media == "application/problem+json":
        yield from _problem_faults(route, answer)
        return
    declared: dict[str, Any] | None = route.responses.get(answer.status_code)
    if declared is None:
        yield "this status is not declared"
    elif "model" in declared:
        wanted = getattr(route.response_class, "media_type", None) or "application/json"
        if media != wanted:
            yield f"{media} leaves, {wanted} is declared"
        yield from _model_faults(declared["model"], answer.content)
    elif "content" in declared:
        if media not in declared["content"]:
            yield f"{media} leaves, {', '.join(declared['content'])} is declared"
    elif answer.content:
        yield "a body leaves and none is declared"


def _problem_faults(route: DeclaredRoute, answer: httpx.Response) -> Iterator[str]:
    from civicpulse.base.answers import ProblemView

    yield from _model_faults(ProblemView, answer.content)
    code = answer.json()["code"]
    if code not in route.problems.get(answer.status_code, ()):
        yield f"the problem {code} is not declared: it is {answer.json()['detail']}"
    elif code == FAILED and FAILED not in _expected:
        yield "the product failed"


def _model_faults(model: Any, content: bytes) -> Iterator[str]:
    from pydantic import ValidationError

    try:
        _adapter(model).validate_json(content, strict=True)
    except ValidationError as error:
        yield f"it is not {model}: {error}"


@cache
def _adapter(model: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(model)
