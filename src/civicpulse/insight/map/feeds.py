"""A feed's life: taken from geo_feeds while young enough, else made anew and kept there (R-KPI-04)."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from civicpulse.base import clock
from civicpulse.base.db import Tx
from civicpulse.insight import actions
from civicpulse.insight.map import geo_queries
from civicpulse.insight.schemas import Scope

Made = tuple[list[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed ready to leave: `body` is None for a caller who has it already."""

    etag: str
    generated_at: datetime
    body: bytes | None


def filters_of(scope: Scope, **more: Any) -> dict[str, Any]:
    """Writes the feed's filters by their public names (R-KPI-04), with what else makes it another feed."""
    # Whatever limits a reader's sight makes it another feed, so that it is served to nobody who sees less.
    own = {} if scope.public_only else {name: str(value) for name, value in scope.sight.parameters.items()}
    return {
        "status_in": list(scope.status),
        "zone_id": scope.zone[0] if len(scope.zone) == 1 else None,
        "zone_in": list(scope.zone),
        "category_in": list(scope.category),
        "priority_in": list(scope.priority),
        "bbox": list(scope.bbox) if scope.bbox else None,
        "public_only": scope.public_only,
        **({"sight": own} if own else {}),
        **more,
    }


def _body(
    feed_name: str, generated_at: datetime, filters: dict[str, Any], aggregation: dict[str, Any], collection: bytes
) -> bytes:
    # Spliced, not parsed: a stored feed is sent on as it is.
    told = {"feed_name": feed_name, "generated_at": generated_at, "filters": filters, "aggregation": aggregation}
    return orjson.dumps(told, option=orjson.OPT_UTC_Z | orjson.OPT_SORT_KEYS)[:-1] + b"," + collection[1:]


async def feed(
    tx: Tx,
    feed_name: str,
    filters: dict[str, Any],
    make: Callable[[datetime], Awaitable[Made]],
    *,
    max_age: int,
    seen: Sequence[str],
) -> Feed:
    """Gives the feed of that name and filters, at most `max_age` seconds old (0: made now)."""
    at = clock.now()
    # The audience is part of the filters: what staff may see is never served from here to anybody else.
    key = hashlib.sha256(orjson.dumps(filters, option=orjson.OPT_SORT_KEYS)).hexdigest()
    kept = None
    if max_age > 0:
        kept = await geo_queries.find_feed(tx, feed_name=feed_name, filters_key=key, at=at, max_age=max_age, seen=seen)
    if kept is not None:
        text = kept["geojson"]
        body = (
            None
            if text is None
            else _body(feed_name, kept["generated_at"], kept["filters"], kept["aggregation"], text.encode())
        )
        return Feed(kept["etag"], kept["generated_at"], body)
    features, aggregation = await make(at)
    collection = orjson.dumps({"type": "FeatureCollection", "features": features})
    body = _body(feed_name, at, filters, aggregation, collection)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    made = {
        "feed_name": feed_name,
        "filters": filters,
        "generated_at": at,
        "aggregation": aggregation,
        "geojson": collection.decode(),
        "etag": etag,
    }
    await actions.keep_feed(tx, made, filters_key=key)
    return Feed(etag, at, None if etag in seen else body)
