"""The duplicates of one request: what is merged, what may be the same, and what staff said is not."""

from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from civicpulse.base.db import Row, Tx
from civicpulse.duplicates import queries
from civicpulse.duplicates.search import candidates_of, report_of
from civicpulse.packs.store import current_pack
from civicpulse.requests.visibility import Sight, readers_of, seen_candidates
from civicpulse.rules.duplicates import rank

MAX_LINKED: Final = 500
MAX_CANDIDATES: Final = 20


async def duplicates_of(tx: Tx, row: Row, sight: Sight) -> dict[str, Any]:
    """Writes the document of a request's duplicates, as far as the reader sees the others; `row` is from `find_seen`.

    Candidates are judged as at intake, by the pack of today, among the masters before and after it, best first. Those
    that staff turned down are left out and stand under `rejected`. A number of statements that does not depend on how
    many there are.
    """
    pack = await current_pack(tx)
    rejected = await queries.list_rejected(tx, row["id"], sight)
    opinions = {opinion["other_id"]: _without_ids(opinion) for opinion in await queries.list_opinions(tx, row["id"])}
    own = [row["id"]] if row["master_id"] is None else [row["id"], row["master_id"]]
    found = await queries.around_request(tx, pack, row, except_ids=own)
    seen, shared = await seen_candidates(tx, [(sight, found), (readers_of(row), found)])
    found = [one for one in found if UUID(one["id"]) in seen]
    statuses = {one["number"]: one["status"] for one in found}
    matches = rank(
        report_of(row, row["created_at"]),
        candidates_of(found, shared),
        pack.duplicate_policy(row["category"]),
        # What was said of a request holds for the master that it has got since.
        rejected=frozenset(pair[one] for pair in rejected for one in ("other_id", "other_root")),
    )
    return {
        "request_id": row["number"],
        "is_master": row["master_id"] is None,
        "master_request_id": row["master_request_id"],
        "linked": await queries.list_linked(tx, row["id"], sight, limit=MAX_LINKED),
        "candidates": [
            {
                "request_id": match.candidate.number,
                "category": match.candidate.category,
                "status": statuses[match.candidate.number],
                "created_at": match.candidate.created_at,
                "score": asdict(match.score),
                "why": match.why,
                "attachable": match.attachable,
                "opinion": opinions.get(match.candidate.id),
            }
            for match in matches[:MAX_CANDIDATES]
        ],
        "rejected": [_without_ids(pair) for pair in rejected],
    }


def _without_ids(row: Row) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("other_id", "other_root")}


async def decisions(tx: Tx) -> dict[str, Any]:
    """Sums up how staff decided about duplicates so far, as labels to judge the rule by; shares are None where nothing was decided."""
    links, rejections, proposals = await queries.count_decisions(tx)
    made = {link["origin"]: {"merged": link["made"], "undone": link["undone"]} for link in links}
    origins = {origin: made.get(origin, {"merged": 0, "undone": 0}) for origin in ("intake", "staff", "import", "llm")}
    kinds = {rejection["kind"]: rejection["made"] for rejection in rejections}
    attached, undone = origins["intake"]["merged"], origins["intake"]["undone"]
    decided = proposals["accepted"] + proposals["rejected"]
    return {
        "merges": origins,
        "rejections": {kind: kinds.get(kind, 0) for kind in ("rejected", "unmerged")},
        "proposals": {**proposals, "undecided": proposals["made"] - decided},
        "precision_of_attached": 1 - undone / attached if attached else None,
        "acceptance_of_proposals": proposals["accepted"] / decided if decided else None,
    }
