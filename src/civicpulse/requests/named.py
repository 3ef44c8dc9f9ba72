"""What a parameter of a list names by its id, or by what people call it: agents, offices, citizens, requests."""

from collections.abc import Mapping
from typing import Final, Literal, NoReturn
from uuid import UUID

from psycopg import sql

from civicpulse.base.db import Tx
from civicpulse.base.errors import Invalid, NoSuchChoice
from civicpulse.requests.visibility import Sight

FEW: Final = 50  # agents or offices that a refusal names

Thing = Literal["agent", "office", "citizen"]

# Whom and what a filter may name: by id; agents also by code, offices by name. Retired and erased ones are there, too.
FIND_THINGS: Final = """
SELECT w.name, CASE w.thing
    WHEN 'agent' THEN (
        SELECT a.id FROM agents a WHERE a.tenant_id = %(tenant_id)s AND (a.agent_code = w.word OR a.id = w.id)
        ORDER BY a.agent_code = w.word DESC LIMIT 1)
    WHEN 'office' THEN (
        SELECT o.id FROM offices o WHERE o.tenant_id = %(tenant_id)s AND (o.name = w.word OR o.id = w.id)
        ORDER BY o.name = w.word DESC LIMIT 1)
    ELSE (SELECT c.id FROM citizens c WHERE c.tenant_id = %(tenant_id)s AND c.id = w.id)
END AS id
FROM unnest(%(names)s::text[], %(things)s::text[], %(words)s::text[], %(ids)s::uuid[]) AS w (name, thing, word, id)
"""

# What can be named in a refusal: who works here and where. Who reported is nobody's to be told.
LIST_THINGS: Final = """
SELECT array(SELECT a.agent_code FROM agents a WHERE a.tenant_id = %(tenant_id)s AND a.active ORDER BY 1 LIMIT %(few)s) AS agent,
       array(SELECT o.name FROM offices o WHERE o.tenant_id = %(tenant_id)s ORDER BY 1 LIMIT %(few)s) AS office
"""

FIND_SEEN: Final = sql.SQL(
    "SELECT r.id FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.number = %(number)s AND {seen}"
)


async def known_things(tx: Tx, asked: Mapping[str, tuple[Thing, str | UUID | None]]) -> dict[str, UUID | None]:
    """Finds the ids of what parameters name, by parameter: None where nothing was asked. One statement for all of them.

    Raises NoSuchChoice for what is not there where those that are there are few, else Invalid.
    """
    given = {name: (thing, str(word)) for name, (thing, word) in asked.items() if word is not None}
    if not given:
        return dict.fromkeys(asked)
    rows = await tx.rows(
        FIND_THINGS,
        {
            "tenant_id": tx.tenant_id,
            "names": list(given),
            "things": [thing for thing, _ in given.values()],
            "words": [word for _, word in given.values()],
            "ids": [_uuid(word) for _, word in given.values()],
        },
    )
    found: dict[str, UUID | None] = {row["name"]: row["id"] for row in rows}
    for name, (thing, word) in given.items():
        if found[name] is None:
            await _refuse_thing(tx, name, thing, word)
    return dict.fromkeys(asked) | found


async def _refuse_thing(tx: Tx, name: str, thing: Thing, word: str) -> NoReturn:
    there = await tx.row(LIST_THINGS, {"tenant_id": tx.tenant_id, "few": FEW + 1}) or {}
    if 0 < len(there.get(thing, ())) <= FEW:
        raise NoSuchChoice(name, [word], there[thing])
    raise Invalid(f"There is no {thing} {word!r} here.", field=name)


def _uuid(word: str) -> UUID | None:
    try:
        return UUID(word)
    except ValueError:
        return None


async def known_request(tx: Tx, name: str, number: str, sight: Sight) -> UUID:
    """Finds the id of the request that parameter `name` names. Raises Invalid when there is none, or none that is seen."""
    found: UUID | None = await tx.value(
        FIND_SEEN.format(seen=sight.predicate()), {"tenant_id": tx.tenant_id, "number": number} | sight.parameters
    )
    if found is None:
        raise Invalid(f"There is no request {number!r} here, or it is outside what your role sees.", field=name)
    return found
