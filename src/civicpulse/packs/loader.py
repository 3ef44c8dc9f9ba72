"""Packs from YAML, with errors that name the file, the line and the field."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from civicpulse.base.shipped import as_path, located, shipped_names, shipped_text
from civicpulse.packs.checks import Problem
from civicpulse.packs.model import INCONSISTENT, PackDocument

MAX_CHARACTERS = 2_000_000
MAX_NODES = 200_000


class PackError(ValueError):
    """A pack that cannot be used; the message has one line per problem, "file:line: field: what is wrong"."""

    def __init__(self, source: str, problems: Sequence[tuple[int | None, str]]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(located(source, problems))


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars only: `no` is Norwegian, 08:30 is not a number of minutes, and dates stay text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"^(?:true|false|True|False)$", "tfTF"),
    ("tag:yaml.org,2002:null", r"^(?:~|null|)$", ["~", "n", ""]),
    ("tag:yaml.org,2002:int", r"^[-+]?(?:0|[1-9]\d{0,17})$", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"^[-+]?\d+\.\d+(?:e[-+]?\d+)?$", "-+0123456789"),
):
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))


def available_packs() -> tuple[str, ...]:
    """Lists the names of the packs that ship with the product."""
    return shipped_names(__package__)


def read_pack(name_or_path: str | Path) -> PackDocument:
    """Reads a shipped pack by name, or any pack by path (a `Path`, or text that ends in .yaml or .yml); else PackError."""
    if (path := as_path(name_or_path)) is not None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PackError(str(path), [(None, f"cannot be read: {error}")]) from error
        return parse_pack(text, str(path))
    name = str(name_or_path)
    if name not in available_packs():
        raise PackError(name, [(None, f"no such pack; these ship: {', '.join(available_packs())}")])
    return parse_pack(*shipped_text(__package__, name))


def parse_pack(text: str, source: str) -> PackDocument:
    """Validates a pack in YAML; `source` is its name in messages. PackError names line and field of every problem."""
    root, data = _parse(text, source)
    try:
        return PackDocument.model_validate(data)
    except ValidationError as error:
        raise PackError(
            source, sorted((_line(root, problem.path), str(problem)) for problem in problems_of(error))
        ) from None


def _parse(text: str, source: str) -> tuple[Node, Any]:
    if len(text) > MAX_CHARACTERS:
        raise PackError(source, [(None, f"longer than {MAX_CHARACTERS} characters")])
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if not isinstance(root, MappingNode):
            raise PackError(source, [(1, "a pack is a mapping of fields")])
        _refuse_bomb(root, source)
        repeated = list(_repeated_keys(root))
        if repeated:
            raise PackError(source, repeated)
        return root, loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PackError(source, [(mark.line + 1 if mark else None, f"not YAML: {error.problem}")]) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, PackError):
            raise
        raise PackError(source, [(None, f"not YAML: {error}")]) from error


def _refuse_bomb(root: Node, source: str) -> None:
    """Refuses a document that unfolds to too much: aliases may name a part many times over, so it is counted before anything unfolds."""
    sizes: dict[int, int | None] = {}

    def size(node: Node) -> int:
        known = sizes.get(id(node), 0)
        if known is None:
            raise PackError(source, [(node.start_mark.line + 1, "a part that contains itself")])
        if known:
            return known
        sizes[id(node)] = None
        sizes[id(node)] = total = 1 + sum(size(child) for child in _children(node))
        return total

    if size(root) > MAX_NODES:
        raise PackError(source, [(None, f"more than {MAX_NODES} values")])


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, SequenceNode):
        yield from node.value


def _repeated_keys(node: Node) -> Iterator[tuple[int, str]]:
    """Finds repeated keys: YAML lets the last of two equal keys win in silence; a pack must not lose a rule that way."""
    if isinstance(node, MappingNode):
        seen = set[str]()
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and key.value in seen:
                yield key.start_mark.line + 1, f"{key.value}: given twice"
            seen.add(str(key.value))
    for child in _children(node):
        yield from _repeated_keys(child)


def problems_of(error: ValidationError) -> Iterator[Problem]:
    """Lists every fault that validation found, each with the path of its field."""
    for fault in error.errors(include_url=False):
        if fault["type"] == INCONSISTENT:
            yield from (Problem(tuple(one["path"]), one["message"]) for one in fault["ctx"]["problems"])
        else:
            path = tuple(part for part in fault["loc"] if part != "[key]")
            yield Problem(path, fault["msg"].removeprefix("Value error, "))


def _line(root: Node, path: tuple[str | int, ...]) -> int:
    """Finds the line of a field: of its key or item, or of the nearest part around it where the field is missing."""
    node, line = root, root.start_mark.line
    for part in path:
        step = _step(node, part)
        if step is None:
            break
        node, line = step
    return line + 1


def _step(node: Node, part: str | int) -> tuple[Node, int] | None:
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item, item.start_mark.line
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == str(part):
                return value, key.start_mark.line
    return None
