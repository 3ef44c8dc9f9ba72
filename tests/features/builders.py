"""Bodies and short cuts that many tests share; all of them go over HTTP."""

import struct
import zlib
from typing import Any

import httpx

DOWNTOWN = (-74.0, 40.71)
SHA = "ab" * 32
PHOTO = {"type": "photo", "url": "https://files.example.org/after.jpg", "sha256": SHA}


def png(shade: int = 0) -> bytes:
    """A picture of one grey dot."""
    head = struct.pack(">2I5B", 1, 1, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes([0, shade]))), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def report(
    category: str = "pothole", *, lon: float = DOWNTOWN[0], lat: float = DOWNTOWN[1], **changes: Any
) -> dict[str, Any]:
    """A body for POST /requests."""
    body = {
        "citizen_ref": {"contact_channel": "none"},
        "category": category,
        "description": "Large pothole near downtown",
        "location": {"type": "Point", "coordinates": [lon, lat], "address_hint": "Main St"},
    }
    return body | changes


async def create(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    """A new request's document."""
    answer = await client.post("/requests/", json=report(**changes))
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def move(client: httpx.AsyncClient, number: str, to: str, **fields: Any) -> httpx.Response:
    """PATCH transition."""
    return await client.patch(f"/requests/{number}/transition", json={"to": to, **fields})


async def add_agent(client: httpx.AsyncClient, code: str = "AG-1", **changes: Any) -> dict[str, Any]:
    """A new agent who can do road work anywhere and is on call."""
    body = {
        "agent_code": code,
        "name": f"Agent {code}",
        "department": "Public works",
        "skills": ["road_maintenance", "asphalt"],
        "coverage": {"zone_ids": ["UNZONED"]},
        "schedule": {"timezone": "America/New_York", "shifts": [], "on_call": True},
        "roles": ["agent"],
        "active": True,
    }
    answer = await client.post("/agents/", json=body | changes)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def walk_to(client: httpx.AsyncClient, number: str, state: str) -> None:
    """Moves a new request along the civic workflow to `state`, as an admin would."""
    agent = await add_agent(client, f"AG-{number}")
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("triaged", "transition", {"to": "triaged"}),
        ("assigned", "transition", {"to": "assigned", "assigned_agent_id": agent["agent_code"]}),
        ("in_progress", "milestone", {"milestone": "work_started"}),
        ("resolved", "milestone", {"milestone": "resolution", "evidence": [PHOTO]}),
        ("closed", "transition", {"to": "closed"}),
    ]
    for name, verb, body in steps:
        if state == "new":
            return
        answer = await client.patch(f"/requests/{number}/{verb}", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == name
        if name == state:
            return
