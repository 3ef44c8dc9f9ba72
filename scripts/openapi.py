"""Writes what the API declares to docs/openapi.json, which the tests compare with the app."""

import json
from pathlib import Path
from typing import Any

from civicpulse.app import create_app
from civicpulse.settings import Settings

TARGET = Path(__file__).resolve().parents[1] / "docs" / "openapi.json"


def written(value: Any, levels: int, indent: str = "") -> str:
    """`value` as JSON, its outer `levels` with a line for each entry."""
    if not levels or not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    inner = indent + " "
    lines = [f"{inner}{json.dumps(key)}: {written(entry, levels - 1, inner)}" for key, entry in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


if __name__ == "__main__":
    TARGET.write_text(written(create_app(Settings()).openapi(), 3) + "\n", encoding="utf-8")
