"""The reports that are sent: scattered over a large city, so that most are new and rarely meet in one place."""

import random
from collections.abc import Iterator
from uuid import uuid4

import orjson

from bench.load import http_request

# A metropolitan area of about 41 x 55 km, cut into 20 zones.
WEST, SOUTH, SIZE = -71.4, 42.1, 0.5
COLUMNS, ROWS = 5, 4

# Categories that reports come in, all with duplicate search and a policy of their own or of their priority.
CATEGORIES = (
    "pothole",
    "street_light",
    "sign_damage",
    "sidewalk_damage",
    "water_leak",
    "illegal_dumping",
    "graffiti",
    "park_maintenance",
)
TEXT = (
    "There is something wrong at this place and it has been so for several days now: cars swerve around it, people "
    "with prams have to use the road, and in the evening nobody can see it in time. Please send somebody to look at "
    "it before an accident happens. It is near the bus stop, on the side of the park, opposite the pharmacy."
)


def zones() -> dict[str, object]:
    """The zones as GeoJSON; each side has several points, as real borders have."""
    width, height = SIZE / COLUMNS, SIZE / ROWS
    features = []
    for index in range(COLUMNS * ROWS):
        west, south = WEST + index % COLUMNS * width, SOUTH + index // COLUMNS * height
        steps = [step / 16 for step in range(16)]
        ring = [[west + width * step, south] for step in steps]
        ring += [[west + width, south + height * step] for step in steps]
        ring += [[west + width * (1 - step), south + height] for step in steps]
        ring += [[west, south + height * (1 - step)] for step in steps]
        geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        properties = {"code": f"Z-{index:02}", "name": f"Zone {index}"}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}


def zone_at(lon: float, lat: float) -> str:
    """The code of the zone that holds the point."""
    column = min(COLUMNS - 1, int((lon - WEST) / SIZE * COLUMNS))
    row = min(ROWS - 1, int((lat - SOUTH) / SIZE * ROWS))
    return f"Z-{row * COLUMNS + column:02}"


def a_place(rng: random.Random) -> tuple[float, float]:
    """A point of the city."""
    return round(WEST + rng.random() * SIZE, 6), round(SOUTH + rng.random() * SIZE, 6)


def report(rng: random.Random, category: str) -> dict[str, object]:
    """One report's body."""
    lon, lat = a_place(rng)
    number = rng.randrange(10**9, 10**10)
    return {
        "citizen_ref": {"citizen_id": None, "anonymous": True, "contact_channel": "none"},
        "category": category,
        "description": f"{TEXT} My number for it is {number}.",
        "tags": ["app"],
        "location": {
            "type": "Point",
            "coordinates": [lon, lat],
            "address_hint": f"{number % 9973 + 1} Street {number // 9973}, Springfield",
        },
    }


def posts(count: int, *, token: str) -> list[bytes]:
    """That many POST /requests, each with a key of its own."""
    rng = random.Random(uuid4().int)
    return list(_posts(rng, count, token))


def _posts(rng: random.Random, count: int, token: str) -> Iterator[bytes]:
    for index in range(count):
        body = orjson.dumps(report(rng, CATEGORIES[index % len(CATEGORIES)]))
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"{rng.randrange(10**18, 9 * 10**18)}"}
        yield http_request("POST", "/requests", headers=headers, body=body)
