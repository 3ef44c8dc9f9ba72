"""Where code compares names with constants, or gives them one: for the tests that keep a pack's words out of code."""

import ast
from collections.abc import Iterator, Set


def constants_among(node: ast.AST | None, names: Set[str]) -> set[str]:
    """Those of `names` that stand as constants in an expression."""
    if node is None:
        return set()
    values = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return {value for value in values if isinstance(value, str) and value in names}


def set_beside(node: ast.AST) -> Iterator[tuple[list[str], list[ast.AST | None]]]:
    """What a node sets beside each other: names, and the values that they are compared with or given."""
    match node:
        case ast.Compare(left=left, comparators=others):
            yield [ast.unparse(part) for part in (left, *others)], [left, *others]
        case ast.keyword(arg=str(name), value=value):
            yield [name], [value]
        case ast.Assign(targets=targets, value=value):
            yield [ast.unparse(target) for target in targets], [value]
        case ast.AnnAssign(target=target, value=value):
            yield [ast.unparse(target)], [value]
        case ast.Dict(keys=keys, values=values):
            for key, given in zip(keys, values, strict=True):
                if key:
                    yield [ast.unparse(key)], [given]
