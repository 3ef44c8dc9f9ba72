"""What is known already of what somebody is about to report: looked up while they type, nothing is written."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import ConfigDict, Field

from civicpulse.base import clock as time
from civicpulse.base.db import Tx
from civicpulse.base.wire import Text, Wire, Word
from civicpulse.duplicates.queries import near
from civicpulse.duplicates.search import candidates_of, match_json, report_of, surroundings
from civicpulse.intake.opening import wanted_category
from civicpulse.intake.placing import place_report
from civicpulse.intake.schemas import LocationIn, Where
from civicpulse.packs.store import current_pack
from civicpulse.requests.visibility import PUBLIC
from civicpulse.rules.duplicates import Match, rank

MAX_SUGGESTED: Final = 3


class SimilarIn(Wire):
    """What somebody has typed so far."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "category": "pothole",
                    "description": "Deep hole in the right lane",
                    "location": {"type": "Point", "coordinates": [-71.06, 42.36], "address_hint": "15 Main St"},
                }
            ]
        },
    )

    category: Word
    description: Annotated[Text, Field(default="", max_length=20_000)]
    location: Where = None
    asset_id: Word | None = None


async def find_similar(tx: Tx, body: SimilarIn) -> list[dict[str, Any]]:
    """Finds the best of the public, open requests that a report of this would duplicate. Raises Invalid for what cannot be used."""
    pack = await current_pack(tx)
    wanted_category(pack, body.category)
    place = body.location.model_dump(mode="json") if isinstance(body.location, LocationIn) else body.location
    placed = await place_report(tx, pack, {"id": None, "location": place, "description": body.description}, {})
    about = {"category": body.category, "asset_id": body.asset_id, "description": body.description}
    spot = placed.spot.columns(finds_duplicates=bool(pack.compatible(body.category)))
    row, now = spot | about, time.now()
    around = await near(tx, surroundings(tx.tenant_id, pack, row, now))
    found = [one for one in around if one["is_open"] and PUBLIC.sees(one)]
    statuses = {one["number"]: one["status"] for one in found}
    matches = rank(
        report_of(row, now),
        candidates_of(found, {UUID(one["id"]) for one in found}),
        pack.duplicate_policy(body.category),
    )
    return [_shown(match, statuses[match.candidate.number]) for match in matches[:MAX_SUGGESTED]]


def _shown(match: Match, status: str) -> dict[str, Any]:
    candidate = match.candidate
    about = {"category": candidate.category, "status": status, "created_at": candidate.created_at}
    return match_json(match) | about | {"attachable": match.attachable}
