"""What an operation may answer, said once beside its route: a model for each status, and the codes of its problems.

Nothing here runs for an answer: documents are made by functions beside the models, and the tests hold every answer that
they get against what its operation declares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")
Problems = Mapping[int, Sequence[str]]  # status → the codes that it comes with

PROBLEM_MEDIA = "application/problem+json"
PROBLEM_REFERENCE = {"$ref": "#/components/schemas/Problem"}

REPLAYABLE: Problems = {422: ("idempotency_key_reused",)}
CONDITIONAL: Problems = {412: ("version_mismatch",)}
ANY: Problems = {422: ("invalid",), 500: ("internal_error",), 503: ("unavailable", "tenant_busy")}
WITH_BODY: Problems = {400: ("malformed_json", "bad_request"), 408: ("too_slow",), 413: ("too_large",)}
WITH_CALLER: Problems = {
    401: ("unauthenticated", "invalid_token"),
    403: ("forbidden", "unknown_role"),
    404: ("unknown_tenant",),
    429: ("too_many_requests",),
}

MEANINGS = {
    400: "The body cannot be read",
    401: "A token is needed, or the one sent is not valid",
    403: "The caller may not",
    404: "Not there, or not the caller's to see",
    408: "The body comes too slowly",
    409: "The state of things does not allow it",
    410: "It was valid once",
    412: "Somebody else changed it meanwhile",
    413: "The body is too large",
    422: "The input cannot be used",
    429: "Too often: come back later",
    500: "It failed on our side",
    503: "The database or the store of files cannot be reached, or has too much to do",
    507: "There is no room for the file",
}


class View(BaseModel):
    """What an answer holds, no more and no less."""

    model_config = ConfigDict(extra="forbid")


class Page(View, Generic[Item]):
    """A part of a list; `next_cursor` asks for what follows and is null at the end."""

    items: list[Item]
    next_cursor: str | None


class GeoJson(JSONResponse):
    """Names the media type of GeoJSON in the OpenAPI document."""

    media_type = "application/geo+json"


@dataclass(frozen=True, slots=True)
class Media:
    """An answer that is not JSON, by its media types."""

    types: tuple[str, ...]

    def content(self) -> dict[str, Any]:
        """Describes the answer in the OpenAPI document."""
        binary = {"type": "string", "format": "binary"}
        return {name: {"schema": {"type": "string"} if name.startswith("text/") else binary} for name in self.types}


def answers(model: Any, *problems: Problems) -> dict[int | str, dict[str, Any]]:
    """Makes the `responses` of an operation: `model` is that of 200, or for each status a model, Media, or None for no body.

    Problems of every operation, of every one with a body and of every one with a caller are added by its route.
    """
    good = model if isinstance(model, Mapping) else {200: model}
    declared: dict[int | str, dict[str, Any]] = {status: _answer(kind) for status, kind in good.items()}
    return declared | {status: {"codes": codes} for status, codes in merged(*problems).items()}


def _answer(kind: Any) -> dict[str, Any]:
    if kind is None:
        return {}
    return {"content": kind.content()} if isinstance(kind, Media) else {"model": kind}


def merged(*problems: Problems) -> dict[int, tuple[str, ...]]:
    """Joins all of the codes by status, each once, in the order in which they were given."""
    found: dict[int, tuple[str, ...]] = {}
    for given in problems:
        for status, codes in given.items():
            found[status] = tuple(dict.fromkeys((*found.get(status, ()), *codes)))
    return dict(sorted(found.items()))


def problem_answers(problems: Problems) -> dict[int | str, dict[str, Any]]:
    """Writes problems as the OpenAPI document writes them, each with its codes."""
    return {
        status: {
            "description": f"{MEANINGS[status]}: {', '.join(codes)}",
            "content": {
                PROBLEM_MEDIA: {"schema": {**PROBLEM_REFERENCE, "properties": {"code": {"enum": list(codes)}}}}
            },
        }
        for status, codes in problems.items()
    }


def response_class(responses: Mapping[int | str, Mapping[str, Any]]) -> type[Response] | None:
    """Gives the class that keeps FastAPI from writing JSON where none leaves; None where JSON does."""
    good = [answer for status, answer in responses.items() if "codes" not in answer and 200 <= int(status) < 300]
    return None if any("model" in answer for answer in good) else Response


class FieldProblem(BaseModel):
    """What is wrong with one field, parameter or header."""

    model_config = ConfigDict(extra="allow")

    field: str
    detail: str
    choices: list[str] | None = None


class ProblemView(BaseModel):
    """Any failure (RFC 9457); `code` is stable and is what a program should look at."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    errors: list[FieldProblem] | None = None


def optional(*, alias: str | None = None) -> Any:
    """Makes the default of a field that is only there where it means something; it is never null for want of a value."""
    return Field(default_factory=lambda: None, alias=alias)
