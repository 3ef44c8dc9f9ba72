"""Answers in JSON, serialised by orjson."""

from typing import Any

import orjson
from fastapi import Response


class Json(Response):
    """A JSON answer serialised by orjson; what comes out of our own tables is not validated again."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Serialises `content`; datetimes become RFC 3339 UTC with Z."""
        return orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


class ProblemJson(Json):
    """An RFC 9457 answer."""

    media_type = "application/problem+json"
