"""Every operation says what it answers, and the committed OpenAPI document is the app's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from civicpulse.base.web import DeclaredRoute

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


def operations(app: FastAPI) -> list[DeclaredRoute]:
    found = [route for route in app.routes if isinstance(route, DeclaredRoute)]
    assert len(found) > 70, "the walk must see every room's operations"
    return found


def documented(app: FastAPI) -> list[tuple[str, dict[str, Any]]]:
    paths = app.openapi()["paths"]
    return [
        (f"{method.upper()} {path}", operation) for path, named in paths.items() for method, operation in named.items()
    ]


def test_every_route_in_the_document_is_declared(app: FastAPI) -> None:
    plain = [route for route in app.routes if isinstance(route, APIRoute) and route.include_in_schema]
    assert [route.path for route in plain if not isinstance(route, DeclaredRoute)] == []


def test_every_operation_declares_what_it_answers(app: FastAPI) -> None:
    """A model, the media types of what is not JSON, or that there is no body."""
    silent = []
    for name, operation in documented(app):
        good = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
        shapes = [shape["schema"] for answer in good.values() for shape in answer.get("content", {}).values()]
        if not good or {} in shapes or not (shapes or list(good) == ["204"]):
            silent.append(name)
    assert silent == []


def test_every_operation_declares_its_problems_with_their_codes(app: FastAPI) -> None:
    for name, operation in documented(app):
        problems = {
            int(status): answer["content"]["application/problem+json"]["schema"]["properties"]["code"]["enum"]
            for status, answer in operation["responses"].items()
            if "application/problem+json" in answer.get("content", {})
        }
        assert "invalid" in problems[422], name
        assert "internal_error" in problems[500], name
        if any(hint in name for hint in ("/health", "/metrics")):
            continue
        assert set(problems) >= {401, 403, 404, 422, 429, 503}, name
        if "requestBody" in operation:
            assert set(problems) >= {400, 413}, name


def test_operations_are_named_after_their_functions(app: FastAPI) -> None:
    """The names are a part of the contract: clients are generated from them."""
    names = {operation["operationId"] for _, operation in documented(app)}
    assert len(names) == len(documented(app))
    assert names == {route.endpoint.__name__ for route in operations(app)}


def test_every_model_has_a_name_of_its_own(app: FastAPI) -> None:
    assert [name for name in app.openapi()["components"]["schemas"] if "__" in name] == []


# Objects that may hold anything, and whose it is to fill them.
OPEN = {
    "ConfigIn.config": "checked as a pack, with every fault by its line",
    "ConfigChange": "sections of a pack, checked as one",
    "ConfigChange.config": "sections of a pack, checked as one",
    "PolicyIn.assignment": "fields of a pack's section, checked with it",
    "PolicyIn.distribution": "fields of a pack's section, checked with it",
    "ZoneView.properties": "what a tenant's file says of a zone",
    "ZoneFeature.properties": "what a tenant's file says of a zone",
    "Problem": "RFC 9457: more members by code",
    "FieldProblem": "RFC 9457: more members by code",
}


def test_only_what_others_fill_is_open_and_says_so(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    found = dict(open_objects(schemas))
    assert found.keys() == OPEN.keys()
    assert [name for name, schema in found.items() if not schema.get("description")] == []


def open_objects(schemas: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas, and the properties of schemas, that take any member."""
    for name, schema in schemas.items():
        parts = {name: schema} | {f"{name}.{key}": value for key, value in schema.get("properties", {}).items()}
        for path, part in parts.items():
            if any(one.get("additionalProperties") is True for one in (part, *part.get("anyOf", ()))):
                yield path, part


def test_the_committed_document_is_the_apps(app: FastAPI) -> None:
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == json.loads(json.dumps(app.openapi())), (
        "the API declares something else than docs/openapi.json says: run `make openapi` and commit it"
    )
