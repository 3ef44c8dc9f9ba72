"""What an import did: counts, bad rows by line, how far our zones and verdicts agree with the city's own."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from civicpulse.places.zones import UNZONED

MAX_LISTED = 1000


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that was not imported, or that is doubtful: the physical line on which it starts, and why."""

    line: int
    reason: str
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many rows could be compared, and on how many the two sides say the same."""

    compared: int
    agreed: int

    @property
    def share(self) -> float | None:
        """From 0 to 1; None when nothing could be compared."""
        return self.agreed / self.compared if self.compared else None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The outcome of one file. Every row read is one of added, updated, unchanged, repeated or bad.

    `updated`: closed or opened again there since, and now here, too. `repeated`: an id that occurred earlier in the file.
    `doubts` are rows that somebody should look at: they contradict themselves, or what is here; `notices` are about the file as a whole.
    `notes` counts what deserves a look: see `Tally`. Lists hold the first 1,000. `by_*` count the added rows.
    """

    file: str
    mapping: str
    source: str
    dry_run: bool
    run_id: UUID | None
    rows: int
    added: int
    updated: int
    unchanged: int
    repeated: int
    bad: int
    errors: tuple[RowFault, ...]
    repeats: tuple[RowFault, ...]
    doubts: tuple[RowFault, ...]
    encoding: str
    notices: tuple[str, ...]
    notes: dict[str, int]
    by_status: dict[str, int]
    by_category: dict[str, int]
    by_zone: dict[str, int]
    unmapped: dict[str, int]
    missing_columns: tuple[str, ...]
    zones: Agreement
    verdicts: Agreement
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows read per second of the whole import."""
        return self.rows / self.seconds if self.seconds else 0.0

    def lines(self) -> Iterator[str]:
        """Writes the report for people: counts, agreements, notes, then each bad or repeated row that is listed."""
        did = "would be" if self.dry_run else "were"
        pace = f"{self.seconds:.1f} s ({self.rows_per_second:.0f} a second)"
        yield f"{self.file} ({self.encoding}): {self.rows} rows read with the mapping {self.mapping} in {pace}"
        yield (
            f"  {self.added} {did} added, {self.updated} closed or opened again since, {self.unchanged} unchanged, "
            f"{self.repeated} repeated, {self.bad} bad"
        )
        for what, counted in (("status", self.by_status), ("category", self.by_category)):
            if counted:
                yield f"  by {what}: " + ", ".join(f"{count} {name}" for name, count in _ranked(counted))
        if self.by_zone:
            placed = (
                (count, f"in {zone}" if zone != UNZONED else "outside every zone")
                for zone, count in _ranked(self.by_zone)
            )
            yield "  by zone: " + ", ".join(f"{count} {where}" for count, where in placed)
        yield from self._agreements()
        for note, count in _ranked(self.notes):
            yield f"  {note.replace('_', ' ')}: {count}"
        if self.unmapped:
            named = ", ".join(f"{name or '(blank)'} ({count})" for name, count in _ranked(self.unmapped)[:10])
            yield f"  kinds without a category of their own: {named}"
        if self.missing_columns:
            yield f"  columns the file does not have: {', '.join(self.missing_columns)}"
        for notice in self.notices:
            yield f"  {notice}"
        for fault in (*self.errors, *self.repeats, *self.doubts):
            yield f"  line {fault.line}: {fault.reason}"
        if self.bad > len(self.errors) or self.repeated > len(self.repeats):
            yield f"  and {self.bad + self.repeated - len(self.errors) - len(self.repeats)} more"

    def _agreements(self) -> Iterator[str]:
        for what, agreement in (("zone", self.zones), ("SLA verdict", self.verdicts)):
            if agreement.share is not None:
                yield f"  {what} as the city has it: {agreement.agreed} of {agreement.compared} ({agreement.share:.2%})"

    @property
    def counts(self) -> dict[str, Any]:
        """What `import_runs.counts` keeps."""
        names = ("rows", "added", "updated", "unchanged", "repeated", "bad", "notes")
        groups = ("by_status", "by_category", "by_zone")
        return {name: getattr(self, name) for name in names + groups} | {
            "zones": {"compared": self.zones.compared, "agreed": self.zones.agreed},
            "verdicts": {"compared": self.verdicts.compared, "agreed": self.verdicts.agreed},
        }


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


@dataclass(slots=True)
class Tally:
    """The report while it grows.

    Notes: no_coordinates, placeholder_point, outside_zones, closed_without_time, closed_before_created,
    open_with_closing_time, opened_again, open_there_closed_here, target_before_created, default_category,
    steps_passed (escalations long due, not fired).
    """

    rows: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0
    bad: int = 0
    errors: list[RowFault] = field(default_factory=list)
    repeats: list[RowFault] = field(default_factory=list)
    doubts: list[RowFault] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)
    by_category: Counter[str] = field(default_factory=Counter)
    by_zone: Counter[str] = field(default_factory=Counter)
    unmapped: Counter[str] = field(default_factory=Counter)
    zones_compared: int = 0
    zones_agreed: int = 0
    verdicts_compared: int = 0
    verdicts_agreed: int = 0

    def refuse(self, line: int, reason: str, external_id: str | None = None) -> None:
        """Counts a bad row; the first ones are listed."""
        self.bad += 1
        if len(self.errors) < MAX_LISTED:
            self.errors.append(RowFault(line, reason, external_id))

    def repeat(self, line: int, external_id: str) -> None:
        """Counts a row whose id occurred earlier in the file; the first ones are listed."""
        self.repeated += 1
        if len(self.repeats) < MAX_LISTED:
            self.repeats.append(RowFault(line, f"the id {external_id!r} occurs earlier in this file", external_id))

    def doubt(self, line: int, reason: str, external_id: str) -> None:
        """Lists a row that contradicts itself or what is here; the first ones."""
        if len(self.doubts) < MAX_LISTED:
            self.doubts.append(RowFault(line, reason, external_id))
