"""Keyset cursors: the place where a page ended, not its number, so page 1,000 costs what page 1 costs."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from civicpulse.base.errors import Invalid

MAX_LIMIT = 500


def encode_cursor(sort: str, values: Sequence[Any]) -> str:
    """Makes an opaque cursor for the row that ended the page, under `sort`; values are datetime, UUID, str or int."""
    plain = [
        value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
        for value in values
    ]
    return base64.urlsafe_b64encode(orjson.dumps([sort, *plain])).decode().rstrip("=")


def decode_cursor(cursor: str, sort: str, kinds: Sequence[type]) -> tuple[Any, ...]:
    """Reads the values inside `cursor` as `kinds`; raises Invalid when it is damaged or was made under another sort."""
    try:
        made_under, *plain = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if made_under != sort or len(plain) != len(kinds):
            raise ValueError("made for another list")
        return tuple(_as(kind, value) for kind, value in zip(kinds, plain, strict=True))
    except (ValueError, TypeError) as error:
        raise Invalid(
            "This cursor does not fit: take the one from an answer to the same list in the same order.", field="cursor"
        ) from error


def _as(kind: type, value: Any) -> Any:
    if kind is datetime:
        return datetime.fromisoformat(value)
    if kind is UUID and isinstance(value, str):
        return UUID(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not {kind}")
    return value


def page(items: Sequence[Mapping[str, Any]], next_cursor: str | None, **more: Any) -> dict[str, Any]:
    """Makes the body of a list answer."""
    return {"items": items, "next_cursor": next_cursor, **more}
