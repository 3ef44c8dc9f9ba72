"""Who may see a request: the rule, stated once, from which the condition of a list and the check of one row are made.

A reader sees a request for one of a few reasons (`Ground`): a column of the request holds one of the reader's values.

| reader | sees |
|---|---|
| anybody | what is public |
| who holds a request's tracking token | also that request |
| a citizen, or a caller with a token of their own | also what they reported themselves |
| staff, by the scope of their role: own | also what is assigned to them |
| category | and what they have the skills for |
| zone | and what lies in their zones |
| office | and what belongs to their office |
| all | everything |

Staff sees what is inside the scope as staff does, with its notes and people, and may work on it. What is outside it and
public, staff sees as the public does. A request that the reader may not see does not exist for them: not in the trail,
the counts, the duplicates or the master of one that they do see.
"""

import base64
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from fastapi import Request
from psycopg import sql

from civicpulse.accounts.callers import PATH_GUARDS, Caller
from civicpulse.accounts.roles import roles_of
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Forbidden
from civicpulse.base.events import Actor, event_name
from civicpulse.base.tenancy import Tenant
from civicpulse.packs.store import current_pack
from civicpulse.requests import queries, store
from civicpulse.requests.changes import not_found
from civicpulse.rules.access import Permission

# What whoever sees a request may ask for or do; everything else is staff's work on it.
OF_READERS: Final = frozenset({Permission.REQUEST_READ, Permission.REQUEST_COMMENT, Permission.REQUEST_RATE})


@dataclass(frozen=True, slots=True)
class Ground:
    """One reason to see a request: its `column` holds one of `values`."""

    column: str
    values: tuple[Any, ...]

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Tells whether the row is seen for this reason."""
        return row[self.column] in self.values

    def condition(self, alias: str) -> sql.Composed:
        """Writes this reason in SQL; its parameter is in Sight.parameters."""
        column = sql.Identifier(alias, self.column)
        if self.values == (True,):
            return sql.SQL("{}").format(column)  # as the planner knows it from indexes
        # One value by equality, so that an index on it gives the order as well.
        pattern = "{} = {}" if len(self.values) == 1 else "{} = ANY({})"
        return sql.SQL(pattern).format(column, sql.Placeholder(f"sight_{self.column}"))


@dataclass(frozen=True, slots=True)
class Sight:
    """Which requests somebody sees: those for which one of the grounds holds; `is_everything`: all of the tenant's."""

    grounds: tuple[Ground, ...] = ()
    is_everything: bool = False

    def sees(self, row: Mapping[str, Any]) -> bool:
        """Tells whether a request is seen, from its row. The row holds the columns of the grounds: store.COLUMNS has all of them."""
        return self.is_everything or any(ground.holds(row) for ground in self.grounds)

    def predicate(self, alias: str = "r") -> sql.Composed:
        """Writes `sees` as a condition in SQL, for a request called `alias`; to be run with `parameters`."""
        if self.is_everything:
            return sql.Composed([sql.SQL("true")])
        if not self.grounds:
            return sql.Composed([sql.SQL("false")])
        joined = sql.SQL(" OR ").join(ground.condition(alias) for ground in self.grounds)
        return sql.SQL("({})").format(joined)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of `predicate`; one set for every alias."""
        return {
            f"sight_{ground.column}": ground.values[0] if len(ground.values) == 1 else list(ground.values)
            for ground in self.grounds
            if ground.values != (True,)
        }

    def __or__(self, other: "Sight") -> "Sight":
        """Joins two sights: what either of them sees."""
        if self.is_everything or other.is_everything:
            return EVERYTHING
        columns: dict[str, dict[Any, None]] = {}
        for ground in (*self.grounds, *other.grounds):
            columns.setdefault(ground.column, {}).update(dict.fromkeys(ground.values))
        return Sight(tuple(Ground(column, tuple(values)) for column, values in columns.items() if values))


EVERYTHING: Final = Sight(is_everything=True)
NOTHING: Final = Sight()
PUBLIC: Final = Sight((Ground("is_public", (True,)),))


def reported_by(actor: Actor) -> Sight:
    """Makes the sight of what `actor` reported: with an account, or with the token that the report was sent with.

    Callers without a token are one actor: what one of them reported in confidence is not the next one's to see.
    """
    if actor.id is None:
        return NOTHING
    return of_citizen(UUID(actor.id)) if actor.type == "citizen" else Sight((Ground("created_by", (actor.key,)),))


def of_citizen(citizen_id: UUID) -> Sight:
    """Makes the sight of what a citizen reported, or had reported for them."""
    return Sight((Ground("created_by", (f"citizen:{citizen_id}",)), Ground("citizen_id", (citizen_id,))))


def readers_of(row: Mapping[str, Any]) -> Sight:
    """Makes the sight of all those who see this request, staff apart: of a public one anybody, of a private one who reported it."""
    if PUBLIC.sees(row):
        return PUBLIC
    if row["citizen_id"] is not None:
        return PUBLIC | of_citizen(row["citizen_id"])
    is_anybody = ":" not in row["created_by"]  # a kind of caller, not somebody
    return PUBLIC if is_anybody else PUBLIC | Sight((Ground("created_by", (row["created_by"],)),))


@dataclass(frozen=True, slots=True)
class Reader:
    """A caller as one who sees requests.

    `sight` is what they see at all, `reach` what is theirs to work on. `is_staff`: they see what is in reach as staff does.
    """

    sight: Sight
    reach: Sight
    is_staff: bool

    def sees_as_staff(self, row: Mapping[str, Any]) -> bool:
        """Tells whether the reader sees all of a request: its notes, its people, its whole trail."""
        return self.is_staff and self.reach.sees(row)

    @property
    def reads_whole(self) -> Sight:
        """Those whose texts the reader reads, and therefore searches, whole: of the others what the public reads."""
        return self.reach if self.is_staff else NOTHING

    @property
    def of_figures(self) -> Sight:
        """What maps and figures are made of: they are kept for the next caller, so nobody but staff adds what is their own."""
        return PUBLIC | self.reach if self.is_staff else PUBLIC

    @property
    def of_sums(self) -> Sight:
        """What sums are taken over: they are kept of all requests and of the public ones, and of nothing between."""
        return EVERYTHING if self.of_figures.is_everything else PUBLIC


# What a request's grounds are read from.
SIGHT_COLUMNS = (
    "r.id, r.number, r.is_public, r.created_by, r.citizen_id, r.assigned_agent_id, r.category, r.zone_id, r.office_id"
)

AGENT = "SELECT skills, zone_ids, office_id FROM agents WHERE tenant_id = %(tenant_id)s AND id = %(id)s AND active"


async def reader_of(caller: Caller) -> Reader:
    """Makes a reader of the caller; asks the database only where the scope of the role depends on the agent."""
    own = reported_by(caller.actor)
    reach = await _reach(caller, own)
    return Reader(PUBLIC | own | reach, reach, caller.is_staff)


async def _reach(caller: Caller, own: Sight) -> Sight:
    scope = caller.scope
    if scope == "all":
        return EVERYTHING
    if scope == "none":
        return NOTHING
    if caller.actor_id is None or caller.is_citizen:
        return own
    own |= Sight((Ground("assigned_agent_id", (caller.actor_id,)),))
    if scope == "own":
        return own
    agent = await caller.tx.row(AGENT, {"tenant_id": caller.tx.tenant_id, "id": caller.actor_id})
    return own if agent is None else own | await _of_agent(caller.tx, scope, agent)


async def _of_agent(tx: Tx, scope: str, agent: Row) -> Sight:
    if scope == "zone":
        return Sight((Ground("zone_id", tuple(agent["zone_ids"])),))
    if scope == "office":
        return NOTHING if agent["office_id"] is None else Sight((Ground("office_id", (agent["office_id"],)),))
    pack, skills = await current_pack(tx), frozenset(agent["skills"])
    skilled = tuple(category for category in pack.categories if pack.required_skills(category) <= skills)
    return Sight((Ground("category", skilled),))


# ---------------------------------------------------------------------------------------------------------- tracking tokens


def tracking_token(tenant: Tenant, request_id: UUID) -> str:
    """Makes the word that proves who made a report without an account: in the reporter's link, in no list and no log."""
    digest = hmac.digest(tenant.secret, b"tracking" + request_id.bytes, "sha256")
    return base64.b32encode(digest[:15]).decode().lower()


def is_tracking_token(tenant: Tenant, request_id: UUID, given: str | None) -> bool:
    """Tells whether `given` is the request's tracking token, compared in constant time."""
    return given is not None and hmac.compare_digest(
        tracking_token(tenant, request_id).encode(), given.encode("utf-8", "replace")
    )


def tracked(tenant: Tenant, request_id: UUID, token: str | None) -> Sight:
    """Says what holding `token` adds to a reader's sight, when it is that of this request."""
    return Sight((Ground("id", (request_id,)),)) if is_tracking_token(tenant, request_id, token) else NOTHING


def is_reporter(caller: Caller, row: Mapping[str, Any], token: str | None = None) -> bool:
    """Tells whether the caller made the report, by account, by token or by the tracking link."""
    return (reported_by(caller.actor) | tracked(caller.tenant, row["id"], token)).sees(row)


async def speaking(caller: Caller, row: Mapping[str, Any], token: str | None) -> Actor:
    """Finds out as whom the caller adds to a request: as nobody, where the tracking token of an anonymous report is what lets
    them. So a signed-in citizen who follows their anonymous report is not named in its trail."""
    is_anonymous = row["citizen_id"] is None and caller.is_citizen
    if is_anonymous and is_tracking_token(caller.tenant, row["id"], token):
        return Actor.of((await roles_of(caller.tx)).anonymous, None)
    return caller.actor


# ------------------------------------------------------------------------------------------------------------ one and many


GET_SEEN = sql.SQL(
    "SELECT {columns}, {related}, {feedback} FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.number = %(number)s"
)
FIND_GROUNDS = f"SELECT {SIGHT_COLUMNS} FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.number = %(number)s"


@lru_cache(maxsize=100)
def related(sight: Sight) -> sql.SQL:
    """Writes the columns of a request `r` about its master, its duplicates and its evidence, as far as the reader sees those."""
    seen = {"master_seen": sight.predicate("m"), "duplicate_seen": sight.predicate("d")}
    return sql.SQL(sql.SQL(queries.RELATED_SEEN).format(**seen).as_string())


def as_seen(row: Row) -> Row:
    """Shows a row that was read with `related`: the duplicate of a master that the reader does not see is on its own."""
    if row["master_request_id"] is None:
        row["master_id"] = None
    return row


async def visible_request(caller: Caller, number: str, token: str | None = None) -> Row:
    """Finds the request as far as the caller may see it; NotFound when it is absent or not theirs to see."""
    reader = await reader_of(caller)
    row = await find_seen(caller.tx, number, reader.sight)
    if row is None or not (reader.sight | tracked(caller.tenant, row["id"], token)).sees(row):
        raise not_found(number)
    return row


async def find_seen(tx: Tx, number: str, sight: Sight) -> Row | None:
    """Finds the request with its evidence, its feedback, and those of its master and duplicates that `sight` sees, or None."""
    statement = GET_SEEN.format(
        columns=sql.SQL(store.COLUMNS), related=related(sight), feedback=sql.SQL(queries.FEEDBACK)
    )
    row = await tx.row(statement, {"tenant_id": tx.tenant_id, "number": number} | sight.parameters)
    return row if row is None else as_seen(row)


async def check_reach(caller: Caller, number: str) -> None:
    """Lets the caller work on a request: NotFound when they may not see it, Forbidden when it is outside their scope.

    Of a caller who sees everything nothing is asked: what they do finds out itself that a request is absent.
    """
    await _check(caller, number, needs_reach=True)


async def guard_path(request: Request, number: str) -> None:
    """Stands before every route with a request's number in its path: what the caller may not see is answered as absent.

    Reading, commenting and rating are for whoever sees the request, the rest for those in whose scope it is.
    """
    token = request.headers.get("x-tracking-token")
    needs_reach = request.state.permission not in OF_READERS
    await _check(request.state.caller, number, token=token, needs_reach=needs_reach)


async def _check(caller: Caller, number: str, *, token: str | None = None, needs_reach: bool) -> None:
    reader = await reader_of(caller)
    if reader.reach.is_everything:
        return
    row = await caller.tx.row(FIND_GROUNDS, {"tenant_id": caller.tx.tenant_id, "number": number})
    if row is None or not (reader.sight | tracked(caller.tenant, row["id"], token)).sees(row):
        raise not_found(number)
    if needs_reach and not reader.reach.sees(row):
        raise Forbidden(
            f"{number} is outside what your role may work on: you see it as the public does.", code="outside_scope"
        )


PATH_GUARDS.update(number=guard_path, other=guard_path)

SEEN_BY_NUMBER = sql.SQL(
    "SELECT r.number FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.number = ANY(%(numbers)s) AND {seen}"
)


async def seen_numbers(tx: Tx, sight: Sight, numbers: Iterable[str]) -> set[str]:
    """Finds which of the requests, by number, are seen."""
    asked = list(numbers)
    if sight.is_everything or not asked:
        return set(asked)
    values = {"tenant_id": tx.tenant_id, "numbers": asked} | sight.parameters
    rows = await tx.rows(SEEN_BY_NUMBER.format(seen=sight.predicate()), values)
    return {row["number"] for row in rows}


GROUNDS_OF = f"SELECT {SIGHT_COLUMNS} FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.id = ANY(%(ids)s)"


async def seen_candidates(tx: Tx, asked: Sequence[tuple[Sight, Iterable[Row]]]) -> list[set[UUID]]:
    """Finds, for each sight, the ids of those found by `near_candidates` that it sees; one statement for all of them.

    What is public is known from the row; of the rest the grounds are read only where somebody may see more.
    """
    seen, unsure = list[set[UUID]](), list[set[UUID]]()
    for sight, found in asked:
        public = {UUID(row["id"]): PUBLIC.sees(row) for row in found}
        seen.append({key for key, is_public in public.items() if is_public or sight.is_everything})
        unsure.append(set() if sight == PUBLIC else public.keys() - seen[-1])
    wanted = list(set().union(*unsure))
    rows = await tx.rows(GROUNDS_OF, {"tenant_id": tx.tenant_id, "ids": wanted}) if wanted else []
    return [
        known | {row["id"] for row in rows if row["id"] in more and sight.sees(row)}
        for known, more, (sight, _) in zip(seen, unsure, asked, strict=True)
    ]


# Where an event names another request. A transition says more than that there is one: the state that it brought.
OTHER_REQUESTS: Final = ("master_request_id", "duplicate_request_id", "other_request_id")


async def trail_as_seen(tx: Tx, sight: Sight, events: list[Row]) -> list[Row]:
    """Shows events of a request (type, meta) without a word of others that are not seen: what is only about one is left out."""
    named = {event["meta"][key] for event in events for key in OTHER_REQUESTS if event["meta"].get(key)}
    hidden = named - await seen_numbers(tx, sight, named)
    if not hidden:
        return events
    shown = []
    for event in events:
        about = [key for key in OTHER_REQUESTS if event["meta"].get(key) in hidden]
        if not about:
            shown.append(event)
        elif event_name(event["type"], event["meta"]) == "request.transitioned":
            kept = {key: value for key, value in event["meta"].items() if key not in about}
            shown.append({**event, "meta": kept})
    return shown
