"""The import of a city's request history: read and prepared in a thread while the database writes the batch before."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from uuid import UUID

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Invalid, NotFound
from civicpulse.base.ids import new_id
from civicpulse.base.services import Services
from civicpulse.base.tables import Record, Table, open_table
from civicpulse.base.tenancy import Tenant
from civicpulse.imports import queries
from civicpulse.imports.mapping import Mapping, read_mapping
from civicpulse.imports.prepare import IMPORTER, CasePreparer, Settings
from civicpulse.imports.report import Agreement, ImportReport, Tally
from civicpulse.imports.rows import Case, CaseReader, RowError
from civicpulse.intake.ending import end_elsewhere, ended_clock
from civicpulse.intake.incoming import End, Incoming
from civicpulse.intake.opening import open_requests
from civicpulse.intake.preparing import Prepared, Preparer
from civicpulse.packs.model import Pack
from civicpulse.packs.store import current_pack
from civicpulse.places.zones import zone_index
from civicpulse.requests import clock as clock_of
from civicpulse.requests import store
from civicpulse.requests.changes import apply_all, follow_masters, open_changes
from civicpulse.rules.lifecycle import is_ended

BATCH_ROWS = 2000

Batch = list[tuple[Case, Prepared]]
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
    preparer: Preparer
    dry_run: bool
    table: Table | None = None

    async def write(self, batch: Batch) -> None:
        """Sorts a batch into new, closed or opened again since, and known; writes all but the last in one transaction."""
        async with self.services.db.transaction(self.tenant) as tx:
            known = await queries.find_known(tx, self.settings.source, [case.external_id for case, _ in batch])
            new = [(case, one) for case, one in batch if case.external_id not in known]
            there = [(case, known[case.external_id]) for case, _ in batch if case.external_id in known]
            closed = {here["id"]: case.end for case, here in there if case.end and _may_be_closed(here)}
            reopened = [here["id"] for case, here in there if not case.is_closed and _may_be_reopened(here)]
            added = {one.row["id"] for _, one in new}
            changed = len(closed) + len(reopened)
            if not self.dry_run:
                await queries.commit_lazily(tx)
                opened = await open_requests(tx, IMPORTER, self.preparer, [one for _, one in new]) if new else []
                added = {one.row["id"] for one in opened}
                changed = await self._close(tx, closed) + await self._reopen(tx, reopened)
        self.tally.added += len(added)
        self.tally.updated += changed
        self.tally.unchanged += len(batch) - len(added) - changed
        self._tell_reopened(there)
        for case, one in new:
            if one.row["id"] in added:
                self._count(case, one.row)

    def _tell_reopened(self, there: Sequence[tuple[Case, Row]]) -> None:
        """Counts requests that the city has opened again, and lists those that stay closed here: nobody knows of it otherwise."""
        for case, here in there:
            if case.is_closed or not is_ended(here["state_category"]):
                continue
            if _may_be_reopened(here):
                self.tally.notes["opened_again"] += 1
            else:
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

    async def _close(self, tx: Tx, closed: dict[UUID, End]) -> int:
        """Closes requests that the city has closed since, with their duplicates; how many it closed itself."""
        if not closed:
            return 0
        now = self.preparer.now
        opened = await open_changes(tx, IMPORTER, list(closed), at=now)
        changes, masters = [], []
        for key, change in opened.items():
            if is_ended(change.row["state_category"]) or change.row["master_id"] is not None:
                continue  # ended in this moment, or it follows its master
            about = {"source": self.settings.source}
            columns, told = end_elsewhere(change.row, change.pack, closed[key], about=about)
            columns |= ended_clock(change.row, change.pack, closed[key])
            changes.append(store.Changed(key, columns, told))
            masters.append(change.row | columns)
        await store.change(tx, IMPORTER, changes, at=now, quietly=True)
        await follow_masters(tx, IMPORTER, masters, at=now)
        return len(changes)

    async def _reopen(self, tx: Tx, reopened: Sequence[UUID]) -> int:
        """Opens requests again that the city has opened again, with their duplicates; how many it opened itself.

        Nobody knows since when: the time that they lay closed does not count, and steps long due are not fired.
        """
        now = self.preparer.now
        changes = []
        for change in (await open_changes(tx, IMPORTER, reopened, at=now)).values() if reopened else ():
            row, workflow = change.row, change.pack.workflow
            if not is_ended(row["state_category"]) or row["master_id"] is not None:
                continue  # opened in this moment, or it follows its master
            source, target = workflow.state(row["status"]), workflow.state(workflow.initial)
            change.enter(target)
            late = clock_of.read_row(row, change.pack, now).due_steps
            change.set(sla_steps_fired=row["sla_steps_fired"] + len(late))
            meta = {"from_category": source.category, "category": target.category, "source": self.settings.source}
            change.tell("request.transitioned", **{"from": source.name, "to": target.name}, **meta, imported=True)
            changes.append(change)
        await apply_all(tx, IMPORTER, changes, at=now, quietly=True)
        return len(changes)


def _may_be_closed(known: Row) -> bool:
    """Tells whether what the city says of its end counts: it is open, and nobody here has done anything with it."""
    return known["is_untouched"] and not is_ended(known["state_category"])


def _may_be_reopened(known: Row) -> bool:
    """Tells whether it counts that the city has opened it again: nobody here has done anything with it, and it follows no master."""
    return known["is_untouched"] and is_ended(known["state_category"]) and known["master_id"] is None


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
            await queries.start_run(tx, run_id, source=path.name, mapping=mapping.name, at=doing.preparer.now)
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
    settings = Settings(pack=pack, zones=zones, source=mapping.source, run_id=new_id())
    preparer = Preparer(pack, fresh.pack_version, clock.now())
    return _Import(services, fresh, pack, settings, mapping, Tally(), preparer, dry_run)


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
    incoming = CasePreparer(doing.settings, doing.tally)
    cases = _cases(doing.tally, reader, records)
    while batch := list(islice(cases, BATCH_ROWS)):
        yield [(case, _prepared_one(doing, came)) for case, came in incoming.rows(batch)]


def _prepared_one(doing: _Import, came: Incoming) -> Prepared:
    prepared = doing.preparer.prepare(came)
    if prepared.row["sla_steps_fired"]:
        doing.tally.notes["steps_passed"] += prepared.row["sla_steps_fired"]
    return prepared


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
