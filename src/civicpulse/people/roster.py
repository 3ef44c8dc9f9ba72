"""A roster: a table of agents with their skills, zones and shifts, put in through the same actions as one by one.

Columns: code, name, department, skills, zones, shifts, timezone, on_call, phone, roles; code and name are needed, the others where
they are there. Lists are separated by `;` or `,`; shifts read `Mon-Fri 07:00-15:30; Sat 09:00-13:00`.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from civicpulse.accounts.callers import Caller
from civicpulse.base.db import Tx
from civicpulse.base.errors import Invalid, NotFound, Problem
from civicpulse.base.events import SYSTEM
from civicpulse.base.tables import Record, Table, open_table
from civicpulse.packs.model import Pack
from civicpulse.packs.store import current_pack
from civicpulse.people import agents
from civicpulse.people.schemas import AgentChange, AgentIn
from civicpulse.places.zones import UNZONED, zone_index
from civicpulse.rules.shifts import DAYS

COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "code": ("code", "agent_code"), "name": ("name",), "department": ("department",), "skills": ("skills",),
    "zones": ("zones", "zone_ids"), "shifts": ("shifts",), "timezone": ("timezone", "time zone"), "on_call": ("on_call", "on call"),
    "phone": ("phone",), "roles": ("roles",),
}  # fmt: skip
NEEDED: Final = ("code", "name")
YES, NO = ("yes", "true", "1", "x"), ("no", "false", "0", "")


@dataclass(slots=True)
class RosterReport:
    """What an import did: codes by what became of them, and what is wrong, by line."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Writes the report for people."""
        counts = f"{len(self.added)} agents added, {len(self.changed)} changed, {len(self.unchanged)} as they were"
        yield f"{counts}, {len(self.bad)} bad"
        for line, reason in self.bad:
            yield f"  line {line}: {reason}"
        for note in self.notes:
            yield f"  {note}"


async def import_roster(tx: Tx, path: Path, *, timezone: str | None = None) -> RosterReport:
    """Makes the agents of a file that are not there and changes those that differ; nobody is taken away.

    `timezone` is for rows that name none; without it the pack's. Raises Invalid when the file lacks a needed column; bad rows are in
    the report, and the others are imported.
    """
    caller, pack, zones = Caller(tx, SYSTEM, None, None, None), await current_pack(tx), await zone_index(tx)
    report = RosterReport()
    with open_table(path, known=[name for names in COLUMNS.values() for name in names]) as table:
        places = _places(table, path.name)
        for record in table.records:
            try:
                wanted = _agent(record, places, timezone=timezone or pack.document.timezone)
                _check_zones(wanted, zones.codes)
                await _put(caller, wanted, report)
            except (Problem, ValueError) as error:
                report.bad.append((record.line, _reason(error)))
        report.notes += [notice.message for notice in table.notices]
    report.notes += _gaps(pack, [row["skills"] for row in await agents.list_active_agents(tx)])
    return report


def _places(table: Table, file: str) -> dict[str, int]:
    found = {name: table.find(*names) for name, names in COLUMNS.items()}
    places = {name: place for name, place in found.items() if place is not None}
    if lacking := [name for name in NEEDED if name not in places]:
        raise Invalid(
            f"{file} lacks the column {' and '.join(lacking)}. It has: {', '.join(table.header)}. A roster may have: "
            f"{', '.join(COLUMNS)}.",
            code="missing_columns",
        )
    return places


def _agent(record: Record, places: Mapping[str, int], *, timezone: str) -> dict[str, Any]:
    """Makes the body of POST /agents of a row, with the columns that the file has."""
    if record.trouble:
        raise ValueError(record.trouble)
    cells = {name: record.fields[place].strip() for name, place in places.items() if place < len(record.fields)}
    wanted: dict[str, Any] = {"agent_code": cells.get("code", ""), "name": cells.get("name", "")}
    schedule: dict[str, Any] = {"timezone": cells.get("timezone") or timezone}
    if "shifts" in cells:
        schedule["shifts"] = list(read_shifts(cells["shifts"]))
    if "on_call" in cells:
        schedule["on_call"] = _yes(cells["on_call"])
    if "zones" in cells:
        wanted["coverage"] = {"zone_ids": _words(cells["zones"])}
    if "phone" in cells:
        wanted["contacts"] = {"phone": cells["phone"]}
    if cells.get("roles"):
        wanted["roles"] = _words(cells["roles"])
    if "skills" in cells:
        wanted["skills"] = _words(cells["skills"])
    if "department" in cells:
        wanted["department"] = cells["department"]
    return wanted | {"schedule": schedule}


def read_shifts(text: str) -> Iterator[dict[str, str]]:
    """Reads shifts such as `Mon-Fri 07:00-15:30; Sat 09:00-13:00`, one a day. Raises ValueError for anything else."""
    for part in filter(None, (part.strip() for part in text.replace("\u2013", "-").split(";"))):
        days, _, hours = part.partition(" ")
        first, _, last = (end.strip().title() for end in days.partition("-"))
        start, dash, end = (clock.strip() for clock in hours.partition("-"))
        if not dash or first not in DAYS or (last or first) not in DAYS:
            raise ValueError(f"the shift {part!r} is not written like 'Mon-Fri 07:00-15:30' ({', '.join(DAYS)})")
        begins, ends = DAYS.index(first), DAYS.index(last or first)
        for number in range(begins, ends + (1 if begins <= ends else 1 + len(DAYS))):
            yield {"day": DAYS[number % len(DAYS)], "start": start.zfill(5), "end": end.zfill(5)}


def _words(text: str) -> list[str]:
    return [word.strip() for word in re.split(r"[;,]", text) if word.strip()]


def _yes(text: str) -> bool:
    if text.casefold() not in (*YES, *NO):
        raise ValueError(f"on_call is {text!r}: it must be yes or no")
    return text.casefold() in YES


def _check_zones(wanted: Mapping[str, Any], codes: Sequence[str]) -> None:
    named = wanted.get("coverage", {}).get("zone_ids", [])
    if unknown := [zone for zone in named if zone not in (*codes, UNZONED)]:
        there = ", ".join((*codes[:20], UNZONED)) + (" …" if len(codes) > 20 else "")
        raise ValueError(f"there is no zone {', '.join(unknown)} (there are: {there})")


async def _put(caller: Caller, wanted: dict[str, Any], report: RosterReport) -> None:
    code, checked = wanted["agent_code"], AgentIn.model_validate(wanted)
    try:
        before = await agents.read(caller, code)
    except NotFound:
        await agents.create(caller, checked)
        report.added.append(code)
        return
    change = {name: value for name, value in wanted.items() if name != "agent_code"}
    after = await agents.change(caller, code, AgentChange.model_validate(change))
    same = all(before[name] == value for name, value in after.items())
    (report.unchanged if same else report.changed).append(code)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    return str(error)


def _meets(needed: frozenset[str], has: Collection[str]) -> bool:
    return not needed.isdisjoint(has)


def _gaps(pack: Pack, skills: Sequence[Sequence[str]]) -> Iterator[str]:
    """Says which categories nobody can be given, and which skills nothing asks for."""
    has = {skill for one in skills for skill in one}
    asked = {name: pack.required_skills(name) for name in pack.categories}
    fits = frozenset.issubset if pack.assignment.match_all_skills else _meets
    nobody = [name for name, needed in asked.items() if needed and not any(fits(needed, set(one)) for one in skills)]
    if nobody:
        yield f"nobody has the skills for: {', '.join(nobody)}"
    if unasked := sorted(has - {skill for needed in asked.values() for skill in needed}):
        yield f"no category asks for the skills: {', '.join(unasked)}"
