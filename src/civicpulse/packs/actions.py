"""Changes of a tenant's configuration: each makes a new version of its pack, none is ever changed or lost.

Requests keep the version they began with. So a category, a state or a policy may go while open requests use it: they
finish by the rules they were taken in under, and only new ones get the new rules.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from civicpulse.accounts.tenants import set_tenant
from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Invalid, PreconditionFailed
from civicpulse.base.events import Actor, record
from civicpulse.base.wire import storable
from civicpulse.packs import queries
from civicpulse.packs.checks import Problem
from civicpulse.packs.loader import problems_of
from civicpulse.packs.model import PackDocument
from civicpulse.packs.schemas import ConfigChange, ConfigIn
from civicpulse.packs.shapes import WorkflowShape
from civicpulse.packs.thresholds import ANY_CATEGORY, with_thresholds

MAX_PROBLEMS: Final = 100
MAX_CHARACTERS: Final = 500
# The pack's own name is set under `config`; outside it, `name` is the tenant's.
SECTIONS: Final = frozenset(PackDocument.model_fields) - {"name"}


async def replace_configuration(tx: Tx, actor: Actor, body: ConfigIn, *, seen_version: int | None) -> Row:
    """Puts a whole pack in the place of the current one; the configuration as it is now.

    Raises Invalid naming every fault, PreconditionFailed when the current version is not `seen_version`.
    """
    current = await _open(tx, seen_version)
    document = _valid(body.config, prefix="config.")
    return await _write(tx, actor, current, document, name=body.name, kind=body.type)


async def change_configuration(tx: Tx, actor: Actor, body: ConfigChange, *, seen_version: int | None) -> Row:
    """Replaces sections of the pack; the configuration as it is now. Raises as `replace_configuration`."""
    current = await _open(tx, seen_version)
    raw = dict(current["document"])
    sections, problems = _sections(body)
    for section, value in sections.items():
        if value is None:
            raw.pop(section, None)
        else:
            raw[section] = value
    if body.weights is not None:
        score = raw.get("score")
        raw["score"] = {**(score if isinstance(score, dict) else {}), **body.weights.model_dump()}
    document = _valid(raw, besides=problems)
    if body.sla_thresholds:
        _known_categories(document, body.sla_thresholds)
        document = _valid(raw | {"sla": with_thresholds(document, body.sla_thresholds)})
    return await _write(tx, actor, current, document, name=body.name, kind=body.type)


async def roll_back(tx: Tx, actor: Actor, version: int, *, seen_version: int | None) -> Row:
    """Makes a new version with the content of an old one; name and type stay. Raises Invalid when there is no such version."""
    current = await _open(tx, seen_version)
    old = await queries.get_configuration(tx, version)
    if old is None:
        raise Invalid(f"There is no version {version}: see GET …/config/versions.", field="version")
    return await _write(tx, actor, current, _valid(old["document"]), rolled_back_to=version)


async def _open(tx: Tx, seen_version: int | None) -> Row:
    """Reads the current configuration, under the lock that makes its changes queue."""
    await queries.lock_tenant(tx)
    current = await queries.get_configuration(tx)
    if current is None:
        raise LookupError(f"tenant {tx.tenant.slug} has no pack")
    if seen_version is not None and seen_version != current["version"]:
        raise PreconditionFailed(
            f"The configuration is at version {current['version']}, not {seen_version}: read it again, then decide."
        )
    return current


async def _write(
    tx: Tx,
    actor: Actor,
    current: Row,
    document: PackDocument,
    *,
    name: str | None = None,
    kind: str | None = None,
    rolled_back_to: int | None = None,
) -> Row:
    """Stores what is new as the next version, with its event. The same again is no change and no version."""
    before = PackDocument.stored(current["document"]).model_dump(mode="json")
    after = document.model_dump(mode="json")
    wanted = {"name": name or current["name"], "kind": kind or current["kind"]}
    changed = sorted(section for section in after if after[section] != before[section])
    changed += [f"tenant.{field}" for field, value in wanted.items() if value != current[field]]
    if not changed:
        return current
    if "workflow" in changed:
        await _refuse_a_second_meaning(tx, document.workflow)
    version, now = current["version"] + 1, clock.now()
    await queries.add_version(tx, version, after, at=now, by=actor.key)
    await set_tenant(tx, pack_version=version, **wanted)
    meta = {"version": version, "changed": changed}
    if rolled_back_to is not None:
        meta["rolled_back_to"] = rolled_back_to
    await record(
        tx, actor, subject_id=tx.tenant_id, subject_type="tenant", seq=None, type="tenant.configured", at=now, meta=meta
    )
    made = {"version": version, "current_version": version, "document": after}
    return {**current, **wanted, **made, "created_at": now, "created_by": actor.key}


async def _refuse_a_second_meaning(tx: Tx, workflow: WorkflowShape) -> None:
    """Raises Invalid where the version of the workflow stands for other states and transitions already (R-WF-07)."""
    known = [_bare(WorkflowShape.model_validate(kept)) for kept in await queries.list_workflows(tx, workflow.version)]
    if known and _bare(workflow) not in known:
        raise Invalid(
            f"Workflow version {workflow.version!r} has other states and transitions, and requests name it as theirs:"
            " give these a version of their own.",
            field="workflow.version",
        )


def _bare(workflow: WorkflowShape) -> WorkflowShape:
    """Leaves out what a workflow calls its states, and in which order people see them: that is no rule."""
    states = {name: state.model_copy(update={"title": "", "titles": {}}) for name, state in workflow.states.items()}
    return workflow.model_copy(update={"states": states, "order": ()})


# -------------------------------------------------------------------------------------------------------------- checking


def _sections(body: ConfigChange) -> tuple[dict[str, Any], list[Problem]]:
    """Finds what the body names of the pack, at the top and under `config`; and the faults: what no pack has, or is given twice."""
    top, known = body.model_extra or {}, SECTIONS | {"name"}
    wrong: list[tuple[str, ...]] = [(name,) for name in top if name not in SECTIONS]
    wrong += [("config", name) for name in body.config if name not in known]
    problems = [Problem(path, f"there is no such section: one of {', '.join(sorted(SECTIONS))}") for path in wrong]
    problems += [
        Problem((name,), "is given here and under config: give it once") for name in top if name in body.config
    ]
    return {name: value for name, value in {**body.config, **top}.items() if name in known}, problems


def _known_categories(document: PackDocument, thresholds: Mapping[str, object]) -> None:
    known = {category.id for category in document.categories} | {ANY_CATEGORY}
    problems = [
        Problem(("sla_thresholds", name), f"unknown category {name!r}") for name in thresholds if name not in known
    ]
    if problems:
        raise _invalid(problems)


def _valid(raw: Mapping[str, Any], *, prefix: str = "", besides: Sequence[Problem] = ()) -> PackDocument:
    """Makes the pack of a document; raises Invalid with every fault and the path of its field, those found `besides` first."""
    problems = list(_unstorable(raw))
    if not problems:
        try:
            document = PackDocument.model_validate(raw)
        except ValidationError as error:
            problems = list(problems_of(error))
        else:
            if not besides:
                return document
    raise _invalid([*besides, *problems], prefix=prefix)


def _unstorable(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Finds text and numbers that the database cannot hold, wherever they are. No recursion: a body may be deep."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), raw)]
    while waiting:
        path, value = waiting.pop()
        inner: Iterable[tuple[Any, Any]] = ()
        if isinstance(value, Mapping):
            inner = value.items()
        elif isinstance(value, list | tuple):
            inner = enumerate(value)
        elif isinstance(value, float) and not math.isfinite(value):
            yield Problem(path, "must be a finite number")
        for key, item in inner:
            waiting += [((*path, key), item)]
            if isinstance(key, str):
                waiting += [(path, key)]
        if isinstance(value, str):
            try:
                storable(value)
            except ValueError as error:
                yield Problem(path, str(error))


def _invalid(problems: list[Problem], *, prefix: str = "") -> Invalid:
    shown = [
        {"field": _shown(f"{prefix}{problem.field}"), "detail": _shown(problem.message)}
        for problem in problems[:MAX_PROBLEMS]
    ]
    left = f"; the first {MAX_PROBLEMS} of {len(problems)} are listed" if len(problems) > MAX_PROBLEMS else ""
    return Invalid(f"The configuration is not valid: see errors. Nothing was changed{left}.", errors=shown)


def _shown(text: str) -> str:
    """Shortens text for a message, and leaves out signs that cannot be sent."""
    return text[:MAX_CHARACTERS].encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
