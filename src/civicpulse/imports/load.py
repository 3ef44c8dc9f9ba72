"""The import of a city's request history: read and prepared in a thread while the database writes the batch before."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Invalid, NotFound
from civicpulse.base.ids import new_id
from civicpulse.base.services import Services
from civicpulse.base.tables import Record, Table, open_table
from civicpulse.base.tenancy import Tenant
from civicpulse.imports import queries
from civicpulse.imports.mapping import Mapping, read_mapping
from civicpulse.imports.prepare import CLOSED_SOMETIME, Preparer, Settings, open_or_ended
from civicpulse.imports.report import Agreement, ImportReport, Tally
from civicpulse.imports.rows import Case, CaseReader, RowError
from civicpulse.packs.model import Pack
from civicpulse.packs.store import current_pack, pack_version
from civicpulse.places.zones import zone_index
from civicpulse.requests.clock import policy_from_json

BATCH_ROWS = 2000
OPEN_STATES = ("open", "waiting")

Batch = list[tuple[Case, Row]]
Closing = list[tuple[str, dict[str, Any]]]
Progress = Callable[[int], None]


@dataclass(slots=True)
class _Import:
    """One import under way."""

    services: Services
    tenant: Tenant
    pack: Pack
    settings: Settings
    mapping: Mapping
    tally: Tally
    closing: Closing
    dry_run: bool
    table: Table | None = None

    async def write(self, batch: Batch) -> None:
        """Sorts a batch into new, closed since, and known; writes the first two in one transaction."""
        async with self.services.db.transaction(self.tenant) as tx:
            known = await queries.find_known(tx, self.settings.source, [case.external_id for case, _ in batch])
            new = [(case, row) for case, row in batch if case.external_id not in known]
            closed = [
                (case, row, known[case.external_id])
                for case, row in batch
                if case.is_closed and case.external_id in known and _is_untouched(known[case.external_id])
            ]
            added = {row["id"] for _, row in new}
            changed = {row["id"] for _, _, row in closed}
            if not self.dry_run:
                await queries.commit_lazily(tx)
                added = await self._add(tx, [row for _, row in new])
                changed = await self._close(tx, closed)
        self.tally.added += len(added)
        self.tally.updated += len(changed)
        self.tally.unchanged += len(batch) - len(added) - len(changed)
        self._tell_reopened(batch, known)
        for case, row in new:
            if row["id"] in added:
                self._count(case, row)

    def _tell_reopened(self, batch: Batch, known: dict[str, Row]) -> None:
        """Lists requests that the city has opened again: nobody here knows of it otherwise."""
        for case, _ in batch:
            here = known.get(case.external_id)
            if here is not None and not case.is_closed and here["state_category"] not in OPEN_STATES:
                self.tally.notes["open_there_closed_here"] += 1
                self.tally.doubt(case.line, "it is open there and closed here", case.external_id)

    def _count(self, case: Case, row: Row) -> None:
        tally = self.tally
        tally.by_status[row["status"]] += 1
        tally.by_category[row["category"]] += 1
        tally.by_zone[row["zone_id"]] += 1
        met = row["sla_met"] if case.is_closed and case.target_at is not None else None
        if case.city_verdict is not None and met is not None:
            tally.verdicts_compared += 1
            tally.verdicts_agreed += met == case.city_verdict

    async def _add(self, tx: Tx, rows: list[Row]) -> set[Any]:
        if not rows:
            return set()
        prefix = self.pack.document.request_id_prefix
        return await queries.add_requests(tx, rows, prefix=prefix, closing=self.closing)

    async def _close(self, tx: Tx, closed: list[tuple[Case, Row, Row]]) -> set[Any]:
        if not closed:
            return set()
        rows = [
            {"id": known["id"], "status": row["status"], "state_category": "closed", "closed_at": row["closed_at"]}
            | await _ended_clock(tx, known, row)
            for _, row, known in closed
        ]
        return await queries.close_requests(tx, rows, closing=self.closing, now=self.settings.now)


def _is_untouched(known: Row) -> bool:
    """Open, and nobody here has done anything with it since it was imported."""
    return known["state_category"] in OPEN_STATES and known["version"] == 1 and known["event_seq"] == 1


async def _ended_clock(tx: Tx, known: Row, row: Row) -> Row:
    if row["closed_at"] is None:
        return CLOSED_SOMETIME
    policy = policy_from_json(known["sla"])
    calendar = (await pack_version(tx, known["pack_version"])).calendar_of(policy)
    ended_at = row["closed_at"]
    return open_or_ended(policy, calendar, started_at=known["created_at"], ended_at=ended_at, now=ended_at)


async def import_requests(
    services: Services,
    tenant: Tenant,
    path: Path,
    mapping: Mapping | str | Path,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Imports a CSV file (plain or gzip) of requests with their true times; the same file again adds nothing.

    Each batch of 2,000 rows is one transaction, so an import that was broken off is simply run again. A dry run writes
    nothing and reports the same. `progress` is told the rows read so far, batch by batch.
    Raises MappingError or Invalid when mapping, file and pack do not fit together; bad rows are in the report.
    """
    if not isinstance(mapping, Mapping):
        mapping = read_mapping(mapping)
    began = time.monotonic()
    doing = await _begin(services, tenant, mapping, dry_run=dry_run)
    run_id = doing.settings.run_id
    state = "failed"
    missing: tuple[str, ...] = ()
    if not dry_run:
        async with services.db.transaction(tenant) as tx:
            await queries.start_run(tx, run_id, source=path.name, mapping=mapping.name, at=doing.settings.now)
    try:
        missing = await _run(doing, path, progress)
        state = "done"
    finally:
        report = _report(doing, path, missing, seconds=time.monotonic() - began)
        if not dry_run:
            errors = [asdict(fault) for fault in report.errors]
            async with services.db.transaction(tenant) as tx:
                await queries.end_run(tx, run_id, state=state, counts=report.counts, errors=errors, at=clock.now())
    return report


async def _begin(services: Services, tenant: Tenant, mapping: Mapping, *, dry_run: bool) -> _Import:
    await services.tenants.refresh()  # the zones may have been imported a moment ago
    fresh = await services.tenants.by_id(tenant.tenant_id)
    if fresh is None:
        raise NotFound(f"There is no tenant {tenant.slug!r}.", code="unknown_tenant")
    async with services.db.transaction(fresh) as tx:
        pack, zones = await current_pack(tx), await zone_index(tx)
    unknown = sorted(mapping.category_names - pack.categories.keys())
    if unknown:
        raise Invalid(
            f"The mapping {mapping.name} names categories that the tenant's pack lacks: {', '.join(unknown)}. "
            f"It has: {', '.join(pack.categories)}.",
            code="invalid_mapping",
        )
    closed = pack.states_of("closed")[0]
    settings = Settings(
        pack=pack,
        pack_version=fresh.pack_version,
        zones=zones,
        source=mapping.source,
        run_id=new_id(),
        now=clock.now(),
        initial=pack.workflow.initial,
        closed=closed,
    )
    return _Import(services, fresh, pack, settings, mapping, Tally(), _closing(pack, closed, mapping.source), dry_run)


def _closing(pack: Pack, closed: str, source: str) -> Closing:
    """The events of a request that the city has closed: through resolved where the workflow has such a state."""
    path = [pack.workflow.initial, *pack.states_of("resolved")[:1], closed]
    told = {"imported": True, "source": source}
    return [(target, {"from": before, "to": target} | told) for before, target in pairwise(path)]


async def _run(doing: _Import, path: Path, progress: Progress | None) -> tuple[str, ...]:
    with _batches(doing, path) as (missing, batches):
        ahead = asyncio.create_task(asyncio.to_thread(next, batches, None))
        try:
            while (batch := await ahead) is not None:
                ahead = asyncio.create_task(asyncio.to_thread(next, batches, None))
                await doing.write(batch)
                if progress is not None:
                    progress(doing.tally.rows)
        finally:
            # The thread must have left the file before it is closed.
            await asyncio.wait([ahead])
    return missing


@contextmanager
def _batches(doing: _Import, path: Path) -> Iterator[tuple[tuple[str, ...], Iterator[Batch]]]:
    mapping = doing.mapping
    with open_table(
        path, encoding=mapping.encoding, delimiter=mapping.delimiter, known=mapping.named_columns
    ) as doing.table:
        header, records = doing.table.header, doing.table.records
        reader = CaseReader(mapping, header)
        lacking = [name for name in mapping.required_columns if name in reader.missing_columns]
        if lacking:
            raise Invalid(
                f"{path.name} lacks {', '.join(map(repr, lacking))}, without which the mapping {mapping.name} "
                f"cannot read it. It has: {', '.join(header)}.",
                code="missing_columns",
            )
        yield reader.missing_columns, _prepared(doing, reader, records)


def _prepared(doing: _Import, reader: CaseReader, records: Iterator[Record]) -> Iterator[Batch]:
    preparer = Preparer(doing.settings, doing.tally)
    cases = _cases(doing.tally, reader, records)
    while batch := list(islice(cases, BATCH_ROWS)):
        yield list(preparer.rows(batch))


def _cases(tally: Tally, reader: CaseReader, records: Iterator[Record]) -> Iterator[Case]:
    seen: set[int] = set()  # hashes: a million ids fit into 100 MB
    for record in records:
        tally.rows += 1
        try:
            case = reader.case(record)
        except RowError as error:
            tally.refuse(record.line, str(error))
            continue
        mark = hash(case.external_id)
        if mark in seen:
            tally.repeat(case.line, case.external_id)
            continue
        seen.add(mark)
        yield case


def _report(doing: _Import, path: Path, missing: tuple[str, ...], *, seconds: float) -> ImportReport:
    tally = doing.tally
    return ImportReport(
        file=path.name,
        mapping=doing.mapping.name,
        source=doing.mapping.source,
        dry_run=doing.dry_run,
        run_id=None if doing.dry_run else doing.settings.run_id,
        rows=tally.rows,
        added=tally.added,
        updated=tally.updated,
        unchanged=tally.unchanged,
        repeated=tally.repeated,
        bad=tally.bad,
        errors=tuple(tally.errors),
        repeats=tuple(tally.repeats),
        doubts=tuple(tally.doubts),
        encoding=doing.table.layout.name if doing.table else "not read",
        notices=tuple(notice.message for notice in doing.table.notices) if doing.table else (),
        notes=dict(tally.notes),
        by_status=dict(tally.by_status),
        by_category=dict(tally.by_category),
        by_zone=dict(tally.by_zone),
        unmapped=dict(tally.unmapped.most_common(100)),
        missing_columns=missing,
        zones=Agreement(tally.zones_compared, tally.zones_agreed),
        verdicts=Agreement(tally.verdicts_compared, tally.verdicts_agreed),
        seconds=seconds,
    )
