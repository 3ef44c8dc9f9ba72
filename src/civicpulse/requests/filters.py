"""Which requests are meant: one typed object for lists, bulk changes, exports, analytics and pages, read from plain words."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query
from psycopg import sql

from civicpulse.base.conditions import has_ended, is_open
from civicpulse.base.db import Tx
from civicpulse.base.errors import Invalid, NoSuchChoice
from civicpulse.base.wire import DayOrInstant, storable
from civicpulse.packs.store import began_here, current_pack
from civicpulse.places.zones import UNZONED, zone_index
from civicpulse.requests.named import known_things
from civicpulse.requests.views.issue import WORDS, word_of
from civicpulse.requests.visibility import NOTHING, Sight
from civicpulse.rules.priority import PRIORITIES, PRIORITY_OF_SEVERITY

Box = tuple[float, float, float, float]

MAX_VALUES: Final = 200
MAX_CHARACTERS: Final = 200

SLA_STATES: Final = ("on_time", "at_risk", "overdue", "breached", "completed", "no_sla")
# Other names for states of the clock, accepted as filters (R-SLA-02).
SLA_STATE_ALIASES: Final = {"on_track": "on_time", "near_breach": "at_risk"}
# What this product opens itself; an import names its own source.
SOURCES: Final = ("api", "report", "csv")

# A value that today's rules do not know may still be one that an older version gave to a request.
KNOWN_ONCE: Final = {
    "status": "v.document -> 'workflow' -> 'states' ? w.word",
    "category": "v.document -> 'categories' @> jsonb_build_array(jsonb_build_object('id', w.word))",
}

Many = Annotated[list[str] | None, Query(description="Repeated or comma-separated")]


@dataclass(frozen=True, slots=True)
class RequestFilters:
    """What a list is filtered by; empty means everything. Who may see is not said here: a list takes both.

    A request must meet every filter, and of one filter's values any. `bbox` is west, south, east, north; with west greater
    than east it goes across the 180th meridian. `text` is looked for in whole texts of those requests that `whole` sees, else in
    what the public reads of them.
    """

    status: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    priority: tuple[str, ...] = ()
    zone: tuple[str, ...] = ()
    sla_state: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    segment: tuple[str, ...] = ()
    agent_id: UUID | None = None
    office_id: UUID | None = None
    assigned: bool | None = None
    ended: bool | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    text: str | None = None
    whole: Sight = NOTHING
    merged: bool | None = None
    needs_person: bool | None = None
    bbox: Box | None = None
    external_id: str | None = None
    citizen_id: UUID | None = None
    reporter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestQuery:
    """Filters as they are written in a query string or a stored filter, before anything is looked up."""

    status: Sequence[str] | None = None
    category: Sequence[str] | None = None
    priority: Sequence[str] | None = None
    zone: Sequence[str] | None = None
    sla_state: Sequence[str] | None = None
    source: Sequence[str] | None = None
    agent: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    q: str | None = None
    merged: bool | None = None
    needs_person: bool | None = None
    bbox: str | None = None
    external_id: str | None = None
    citizen_id: UUID | None = None


async def request_query(
    status: Many = None,
    category: Many = None,
    priority: Many = None,
    zone: Many = None,
    sla_state: Many = None,
    source: Many = None,
    agent: Annotated[str | None, Query(max_length=200, description="Id or code of the agent; staff only")] = None,
    created_from: Annotated[DayOrInstant | None, Query(alias="from")] = None,
    created_to: Annotated[DayOrInstant | None, Query(alias="to")] = None,
    q: Annotated[str | None, Query(max_length=500)] = None,
    merged: Annotated[bool | None, Query(description="true: duplicates only; false: masters only")] = None,
    needs_person: Annotated[
        bool | None, Query(description="Whether an unsure analysis waits for a person; staff only")
    ] = None,
    bbox: Annotated[str | None, Query(max_length=200, description="west,south,east,north in degrees")] = None,
    external_id: Annotated[str | None, Query(max_length=200)] = None,
    citizen_id: UUID | None = None,
) -> RequestQuery:
    """Reads the filters of a query string, for a route that depends on it."""
    return RequestQuery(
        status=status,
        category=category,
        priority=priority,
        zone=zone,
        sla_state=sla_state,
        source=source,
        agent=agent,
        created_from=created_from,
        created_to=created_to,
        q=q,
        merged=merged,
        needs_person=needs_person,
        bbox=bbox,
        external_id=external_id,
        citizen_id=citizen_id,
    )


async def read_filters(
    tx: Tx, asked: RequestQuery, *, reporter: str | None = None, whole: Sight = NOTHING
) -> RequestFilters:
    """Reads the filters that `asked` means to this tenant. Raises NoSuchChoice for a value that does not exist, Invalid for others."""
    named = await known_things(
        tx, {"agent": ("agent", asked.agent or None), "citizen_id": ("citizen", asked.citizen_id)}
    )
    created_from, created_to = await began_here(tx, asked.created_from, asked.created_to)
    return RequestFilters(
        status=await known_states(tx, words("status", asked.status)),
        category=await known_categories(tx, words("category", asked.category)),
        priority=one_of("priority", words("priority", asked.priority), PRIORITIES),
        zone=await known_zones(tx, words("zone", asked.zone)),
        sla_state=sla_states(words("sla_state", asked.sla_state)),
        source=await known_sources(tx, words("source", asked.source)),
        agent_id=named["agent"],
        created_from=created_from,
        created_to=created_to,
        text=asked.q,
        whole=whole,
        merged=asked.merged,
        needs_person=asked.needs_person,
        bbox=parse_bbox(asked.bbox),
        external_id=asked.external_id,
        citizen_id=named["citizen_id"],
        reporter=reporter,
    )


def words(name: str, values: Sequence[str] | None) -> tuple[str, ...]:
    """Reads the distinct, sorted values of a filter, given repeatedly or with commas between them. Raises Invalid for no word."""
    found = {word.strip() for value in values or () for word in value.split(",")} - {""}
    if len(found) > MAX_VALUES or any(len(word) > MAX_CHARACTERS for word in found):
        raise Invalid(f"{name} takes up to {MAX_VALUES} values of up to {MAX_CHARACTERS} characters.", field=name)
    try:
        return tuple(sorted(storable(word) for word in found))
    except ValueError as error:
        raise Invalid(f"{name} {error}.", field=name) from error


def one_of(name: str, given: tuple[str, ...], choices: Iterable[str]) -> tuple[str, ...]:
    """Returns `given` when all of it is among `choices`; else raises NoSuchChoice."""
    allowed = tuple(choices)
    unknown = [word for word in given if word not in allowed]
    if unknown:
        raise NoSuchChoice(name, unknown, allowed)
    return given


async def known_states(tx: Tx, given: tuple[str, ...]) -> tuple[str, ...]:
    """Takes states of the pack, or of a version that was. Raises NoSuchChoice."""
    return await _known(tx, "status", given, (await current_pack(tx)).workflow.states) if given else ()


async def issue_states(tx: Tx, given: tuple[str, ...]) -> tuple[str, ...]:
    """Finds the states that a filter of issues names: open, in-progress, resolved and closed each stand for all that they cover,
    any other word for a state of the pack. Raises NoSuchChoice."""
    pack = await current_pack(tx)
    behind = [name for name in pack.workflow.states if word_of(pack, name) in given]
    own = tuple(word for word in given if word not in WORDS)
    known = await _known(tx, "status", own, pack.workflow.states, more=WORDS)
    return tuple(dict.fromkeys((*behind, *known))) or given


async def known_categories(tx: Tx, given: tuple[str, ...]) -> tuple[str, ...]:
    """Takes categories of the pack, or of a version that was. Raises NoSuchChoice."""
    return await _known(tx, "category", given, (await current_pack(tx)).categories) if given else ()


async def known_zones(tx: Tx, given: tuple[str, ...], *, name: str = "zone") -> tuple[str, ...]:
    """Takes codes of the tenant's zones, or of requests filed under another. Raises NoSuchChoice for `name`."""
    return await _known(tx, name, given, (UNZONED, *(await zone_index(tx)).codes), column="zone_id") if given else ()


async def known_segments(tx: Tx, given: tuple[str, ...]) -> tuple[str, ...]:
    """Takes segments of the pack, or of requests that came with another. Raises NoSuchChoice."""
    return await _known(tx, "segment", given, (await current_pack(tx)).document.segments) if given else ()


async def known_sources(tx: Tx, given: tuple[str, ...]) -> tuple[str, ...]:
    """Takes ways by which requests come here, or did. Raises NoSuchChoice."""
    return await _known(tx, "source", given, SOURCES)


def sla_states(given: tuple[str, ...]) -> tuple[str, ...]:
    """Takes states of the SLA clock, also by their other names (R-SLA-02). Raises NoSuchChoice."""
    one_of("sla_state", given, (*SLA_STATES, *SLA_STATE_ALIASES))
    return tuple(dict.fromkeys(SLA_STATE_ALIASES.get(word, word) for word in given))


def priorities_of(severities: tuple[str, ...]) -> tuple[str, ...]:
    """Translates critical, high, medium, low to P1..P4; a priority stands for itself. Raises NoSuchChoice."""
    one_of("severity", severities, (*PRIORITY_OF_SEVERITY, *PRIORITIES))
    return tuple(sorted({PRIORITY_OF_SEVERITY.get(word, word) for word in severities}))


async def _known(
    tx: Tx,
    name: str,
    given: tuple[str, ...],
    choices: Collection[str],
    *,
    more: Sequence[str] = (),
    column: str | None = None,
) -> tuple[str, ...]:
    """Returns `given` when each of it is among `choices` or is found in the database; `more` are choices that are only named."""
    strange = [word for word in given if word not in choices]
    if strange:
        column = column or name
        once = KNOWN_ONCE.get(column)
        versions = (
            f"EXISTS (SELECT 1 FROM pack_versions v WHERE v.tenant_id = %(tenant_id)s AND {once})" if once else "false"
        )
        found = await tx.rows(
            sql.SQL(
                "SELECT w.word FROM unnest(%(words)s::text[]) AS w (word) WHERE EXISTS "
                f"(SELECT 1 FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.{column} = w.word) OR {versions}"
            ).format(),
            {"tenant_id": tx.tenant_id, "words": strange},
        )
        known = {row["word"] for row in found}
        if unknown := [word for word in strange if word not in known]:
            raise NoSuchChoice(name, unknown, (*more, *choices))
    return given


def parse_bbox(text: str | None) -> Box | None:
    """Reads `west,south,east,north` in degrees; west > east goes across the 180th meridian (RFC 7946, 5.2). Raises Invalid."""
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise Invalid(
            "bbox is west,south,east,north in degrees, such as -71.2,42.2,-70.9,42.4.", field="bbox"
        ) from None
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise Invalid(
            "bbox is west,south,east,north: longitudes -180..180, latitudes -90..90, south not above north.",
            field="bbox",
        )
    return west, south, east, north


# Filter → (column, whether several values may be given), for those that are compared by equality.
_LISTS: Final = {
    "status": "status",
    "category": "category",
    "priority": "priority",
    "zone": "zone_id",
    "sla_state": "sla_state",
    "source": "source",
    "segment": "segment",
}
_SINGLE: Final = {
    "agent_id": "r.assigned_agent_id = %(agent_id)s",
    "office_id": "r.office_id = %(office_id)s",
    "created_from": "r.created_at >= %(created_from)s",
    "created_to": "r.created_at < %(created_to)s",
    "external_id": "r.external_id = %(external_id)s",
    "citizen_id": "r.citizen_id = %(citizen_id)s",
    "reporter": "r.created_by = %(reporter)s AND r.created_by <> 'anonymous'",
}
_EITHER: Final = {
    "assigned": ("r.assigned_agent_id IS NOT NULL", "r.assigned_agent_id IS NULL"),
    "needs_person": ("r.needs_person", "NOT r.needs_person"),
    "ended": (has_ended("r"), is_open("r")),
}

MAX_TEXT_MATCHES: Final = 1000


def conditions(wanted: RequestFilters, sight: Sight) -> tuple[list[sql.Composable], dict[str, Any]]:
    """Writes conditions on `requests r`: the tenant's, what is seen, and the filters; and their values, all but `tenant_id`."""
    parts: list[sql.Composable] = [sql.SQL("r.tenant_id = %(tenant_id)s"), sight.predicate()]
    values = dict(sight.parameters)
    if wanted.merged is not None:
        parts.append(_is_duplicate(sight) if wanted.merged else _is_master(sight))
    for name, column in _LISTS.items():
        if given := getattr(wanted, name):
            # One value is asked for by equality, so that the (tenant, value, created_at) index gives the order as well.
            parts.append(sql.SQL(f"r.{column} = %({name})s" if len(given) == 1 else f"r.{column} = ANY(%({name})s)"))
            values[name] = given[0] if len(given) == 1 else list(given)
    for name, condition in _SINGLE.items():
        if (value := getattr(wanted, name)) is not None:
            parts.append(sql.SQL(condition))
            values[name] = value
    for name, (yes, no) in _EITHER.items():
        if (value := getattr(wanted, name)) is not None:
            parts.append(sql.SQL(yes if value else no))
    if wanted.bbox:
        parts.append(sql.SQL(box_condition(wanted.bbox)))
        values |= box_values(wanted.bbox)
    if wanted.text:
        parts.append(_has_text(wanted.whole))
        values |= {"text": wanted.text, "limit": MAX_TEXT_MATCHES} | wanted.whole.parameters
    return parts, values


def _has_text(whole: Sight) -> sql.Composable:
    everywhere = sql.SQL("r.id IN (SELECT id FROM gate_search(%(text)s, %(limit)s))")
    if whole.is_everything:
        return everywhere
    # What is hidden from the public must not be found by the public either: a hit would tell that it is there.
    public = sql.SQL("r.id IN (SELECT id FROM gate_search_public(%(text)s, %(limit)s))")
    if whole == NOTHING:
        return public
    return sql.SQL("({public} OR ({whole} AND {everywhere}))").format(
        public=public, whole=whole.predicate(), everywhere=everywhere
    )


def _is_master(sight: Sight) -> sql.Composable:
    """Picks masters, and the duplicates of masters that the reader does not see: to them, each is a request of its own."""
    if sight.is_everything:
        return sql.SQL("r.master_id IS NULL")
    return sql.SQL("(r.master_id IS NULL OR NOT {})").format(_is_duplicate(sight))


def _is_duplicate(sight: Sight) -> sql.Composable:
    if sight.is_everything:
        return sql.SQL("r.master_id IS NOT NULL")
    # A value, not EXISTS: one look-up for each row of the page, never a list of all that could be seen.
    return sql.SQL(
        "coalesce((SELECT {seen} FROM requests m WHERE m.tenant_id = r.tenant_id AND m.id = r.master_id), false)"
    ).format(seen=sight.predicate("m"))


def longitudes(box: Box) -> list[tuple[float, float]]:
    """Gives the ranges of degrees east that a box covers: two where it goes across the 180th meridian."""
    west, _, east, _ = box
    return [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]


def box_condition(box: Box) -> str:
    """Makes the condition on `requests r` that a place lies in a box."""
    west, _, east, _ = box
    across = west > east
    longitude = "(r.lon >= %(west)s OR r.lon <= %(east)s)" if across else "r.lon BETWEEN %(west)s AND %(east)s"
    return f"{longitude} AND r.lat BETWEEN %(south)s AND %(north)s"


def box_values(box: Box | None) -> Mapping[str, float]:
    """Makes the parameters of `box_condition`."""
    return dict(zip(("west", "south", "east", "north"), box, strict=True)) if box else {}
