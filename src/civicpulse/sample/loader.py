"""Reads the descriptions of the sample tenants: `data/NAME/*.yaml`, one part of the description a file."""

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from civicpulse.base.shipped import located
from civicpulse.sample.shapes import Shape

S = TypeVar("S", bound=Shape)
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C, where PyYAML was built with it


class SampleError(ValueError):
    """A sample that cannot be built; the message has one line per problem, "file: field: what is wrong"."""


def read_sample(name: str, shape: type[S], folder: Traversable | None = None) -> S:
    """Reads the description of the sample `name`, from `folder` instead of the shipped one where that is given.

    Raises SampleError, which names the file and the field of every problem.
    """
    source = folder or resources.files(__package__) / "data" / name
    files = {file.name.removesuffix(".yaml"): file for file in source.iterdir() if file.name.endswith(".yaml")}
    parts = {part: _parse(f"{name}/{part}.yaml", file) for part, file in files.items()}
    try:
        return shape.model_validate(parts)
    except ValidationError as error:
        raise SampleError("\n".join(_told(name, fault) for fault in error.errors(include_url=False))) from None


def _parse(source: str, file: Traversable) -> Any:
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader)  # noqa: S506 - a safe loader, in C or in Python
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise SampleError(located(source, [(line, f"not YAML: {error.problem}")])) from None


def _told(name: str, fault: Any) -> str:
    part, *path = fault["loc"]
    field = ".".join(map(str, path)) or "the file"
    return f"{name}/{part}.yaml: {field}: {fault['msg']}"
