"""Is the trail whole? Everything is worked out anew from what is stored, batch by batch, in the same memory for any size.

First the subjects: each one's own chain, and rows, comments, files and ratings held against it. Then the tenant's chain, block
by block. Then the checkpoints, as they were signed and as they lie outside the database. Of each kind of fault the first is told.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID

from civicpulse.audit import checks
from civicpulse.audit.chain import Content, content_of
from civicpulse.audit.checkpoints import AFTER, LAST, Checkpoint, published, read_checkpoint, stored, tenants_of
from civicpulse.audit.merkle import Block, root
from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import Database, Row, Tx
from civicpulse.base.tenancy import Tenant
from civicpulse.requests.files import evidence_key

SUBJECTS_AT_ONCE: Final = 2000
BLOCKS_AT_ONCE: Final = 8

Progress = Callable[[int], None]
"""Is told how many events have been looked at so far."""


@dataclass(slots=True)
class Findings:
    """What verifying a tenant has found so far, and how far it has come: kept between two runs (`save`, `load`)."""

    tenant: str
    stage: str = "subjects"
    subject: str = str(UUID(int=0))
    block: int = 0
    since: int = 0
    events: int = 0
    blocks: int = 0
    checkpoints: int = 0
    files: int = 0
    erased: int = 0
    unvouched: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    """The first fault of each kind."""
    notes: list[str] = field(default_factory=list)
    """What could not be held against anything, and why."""

    def fault(self, kind: str, words: str) -> None:
        """Notes a fault, unless there is one of its kind already."""
        self.faults.setdefault(kind, words)

    def save(self, path: Path) -> None:
        """Keeps how far it has come."""
        path.parent.mkdir(parents=True, exist_ok=True)
        making = path.with_suffix(".making")
        making.write_text(json.dumps(asdict(self)))
        making.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Reads what was kept; None where there is nothing."""
        return cls(**json.loads(path.read_text())) if path.exists() else None


class Verifier:
    """Verifies one tenant's trail, with its files and the copies of its checkpoints in `storage`, signed by one of `keys`."""

    def __init__(
        self,
        db: Database,
        tenant: Tenant,
        findings: Findings,
        *,
        storage: Storage,
        reads_files: bool = True,
        keys: Mapping[str, bytes],
        progress: Progress = lambda _: None,
        keep: Callable[[Findings], None] = lambda _: None,
    ) -> None:
        self._db, self._tenant, self.found = db, tenant, findings
        self._storage, self._reads_files, self._keys = storage, reads_files, keys
        self._progress, self._keep = progress, keep

    async def run(self) -> Findings:
        """Goes on where it stopped, to the end."""
        if self.found.stage == "subjects":
            while await self._subjects():
                self._keep(self.found)
            self._to_stage("blocks")
        if self.found.stage == "blocks":
            self.found.block = max(self.found.block, self.found.since)
            while await self._blocks():
                self._keep(self.found)
            await self._places()
            self._to_stage("checkpoints")
        await self._checkpoints()
        self._to_stage("done")
        return self.found

    def _to_stage(self, stage: str) -> None:
        self.found.stage = stage
        self._keep(self.found)

    # ------------------------------------------------------------------------------------------------ subjects

    async def _subjects(self) -> bool:
        """Verifies the next subjects; whether there were any."""
        found = self.found
        async with self._db.transaction(self._tenant) as tx:
            scope = {"tenant_id": tx.tenant_id, "after": UUID(found.subject), "limit": SUBJECTS_AT_ONCE}
            query = checks.IDS_SINCE if found.since else checks.IDS
            ids = [row["id"] for row in await tx.rows(query, scope | {"since": found.since})]
            if not ids:
                return False
            values = {"tenant_id": tx.tenant_id, "ids": ids, "first": ids[0], "last": ids[-1]}
            counts = await tx.row(checks.COUNT, values) or {}
            files = await tx.rows(checks.FILES, values) if self._reads_files else []
        # Side by side: the database has several cores.
        await asyncio.gather(*(self._check(check, values) for check in checks.CHECKS))
        for file in files:
            await self._file(file)
        found.events += counts["events"]
        found.erased += counts["erased"]
        found.subject = str(ids[-1])
        self._progress(found.events)
        return True

    async def _check(self, check: checks.Check, values: Row) -> None:
        async with self._db.transaction(self._tenant) as tx:
            rows = await tx.rows(check.query, values)
        for row in rows:
            if row["kind"] in check.words:
                self.found.fault(row["kind"], check.words[row["kind"]].format(**_shown(row)))
            else:
                self.found.unvouched += row["count"]

    async def _file(self, file: Row) -> None:
        self.found.files += 1
        digest = hashlib.sha256()
        try:
            async for piece in await self._storage.get(evidence_key(self._tenant.tenant_id, file["id"])):
                digest.update(piece)
        except FileNotFoundError:
            self.found.fault(
                "file missing", f"a file of {file['number']} (evidence {file['id']}) is not in the store any more"
            )
            return
        if digest.hexdigest() != file["sha256"]:
            self.found.fault(
                "file altered", f"a file of {file['number']} (evidence {file['id']}) is not the one that was sent"
            )

    # -------------------------------------------------------------------------------------------------- blocks

    async def _blocks(self) -> bool:
        """Verifies the next blocks; whether there were any."""
        found = self.found
        async with self._db.transaction(self._tenant) as tx:
            scope = {"tenant_id": tx.tenant_id, "after": found.block, "limit": BLOCKS_AT_ONCE}
            rows = await tx.rows(checks.BLOCKS, scope)
            before = await tx.row(checks.BLOCK_AT, {"tenant_id": tx.tenant_id, "position": found.block})
        for row, content in zip(rows, await asyncio.gather(*map(self._content, rows)), strict=True):
            self._block(row, before, content)
            before = row
        found.blocks += len(rows)
        found.block = rows[-1]["position"] if rows else found.block
        return bool(rows)

    async def _content(self, row: Row) -> Content:
        async with self._db.transaction(self._tenant) as tx:
            return await content_of(tx, row)

    def _block(self, row: Row, before: Row | None, content: Content) -> None:
        position = row["position"]
        if position != (before["position"] if before else 0) + 1:
            self.found.fault("block missing", f"the chain has no block before block {position}: blocks are missing")
        if content.missing is not None:
            words = f"block {position} of the chain names {content.missing}, which is gone"
            self.found.fault("chained event missing", words)
        if root(content.leaves) != row["root"]:
            words = f"the events of block {position} are not the ones that were chained: one of them was altered, and sealed anew"
            self.found.fault("chained event altered", words)
        counts = Counter(before["counts"] if before else {}) + content.counts
        if block_of(self._tenant.tenant_id, row, before).hash() != row["hash"] or counts != row["counts"]:
            words = f"block {position} of the chain does not follow from its events and the block before it"
            self.found.fault("block altered", words)

    async def _places(self) -> None:
        """Holds the trails against the chain as a whole: no event beside it, none in it twice."""
        if self.found.since:
            return
        async with self._db.transaction(self._tenant) as tx:
            row = await tx.row(checks.PLACES, {"tenant_id": tx.tenant_id})
        if row is None:
            return
        what = f"event {row['seq']} of {row['subject_id']}"
        if row["events"] == 0:
            self.found.fault("chained event missing", f"the chain knows {what}, which is gone")
        elif row["places"] == 0:
            began = self.found.blocks > 0
            words = f"{what} is in no block of the chain and waits for none: it was inserted past the chain"
            if began:
                self.found.fault("event inserted", words)
            else:
                self.found.notes.append("the tenant's chain has not begun: the worker begins it")
        else:
            self.found.fault("event chained twice", f"{what} is in the chain {row['places']} times")

    # --------------------------------------------------------------------------------------------- checkpoints

    async def _checkpoints(self) -> None:
        ours = await self._own_checkpoints()
        theirs = dict[int, Checkpoint]()
        async for name, document in published(self._storage, self._tenant.tenant_id):
            self._read_copy(name, document, theirs)
        for number in sorted(ours.keys() | theirs.keys()):
            self._hold(number, ours.get(number), theirs.get(number))
        known = {number: theirs.get(number) or ours[number] for number in ours.keys() | theirs.keys()}
        await self._hold_against_chain(known)
        self.found.checkpoints = len(known)
        if known and not self._keys:
            words = "no public key is here (CIVICPULSE_AUDIT_DIR): the signatures of the checkpoints were not checked"
            self.found.notes.append(words)
        if not known:
            self.found.notes.append("no checkpoint was signed yet: nothing outside the database vouches for the chain")

    async def _own_checkpoints(self) -> dict[int, Checkpoint]:
        found = dict[int, Checkpoint]()
        async with self._db.transaction(self._tenant) as tx:
            after = 0
            while rows := await tx.rows(AFTER, {"tenant_id": tx.tenant_id, "after": after}):
                found |= {row["number"]: stored(row) for row in rows}
                after = rows[-1]["number"]
        return found

    def _read_copy(self, name: str, document: bytes, into: dict[int, Checkpoint]) -> None:
        try:
            checkpoint = read_checkpoint(document)
        except ValueError as error:
            self.found.fault("checkpoint altered", f"the file {name} is no checkpoint any more: {error}")
            return
        if not name.endswith(f"{checkpoint.number:010d}.json"):
            self.found.fault("checkpoint altered", f"the file {name} holds checkpoint {checkpoint.number}")
            return
        into[checkpoint.number] = checkpoint

    def _hold(self, number: int, ours: Checkpoint | None, theirs: Checkpoint | None) -> None:
        if theirs is None:
            words = f"checkpoint {number} is not in the file store: it was removed there, or could not be written (see the log)"
            self.found.fault("checkpoint missing", words)
        if ours is None:
            words = (
                f"the database does not know checkpoint {number}, which lies in the file store: it was set back, or cut"
            )
            self.found.fault("checkpoint forgotten", words)
        if ours is not None and theirs is not None and ours != theirs:
            self.found.fault(
                "checkpoint altered", f"checkpoint {number} is not the same in the database and in the file store"
            )
        for checkpoint in (ours, theirs):
            if checkpoint is None or not self._keys:
                continue
            if str(checkpoint.body.get("key")) not in self._keys:
                words = f"checkpoint {number} is signed by the key {checkpoint.body.get('key')}, which is none of ours"
                self.found.fault("checkpoint of another key", words)
            elif not checkpoint.is_signed_by(self._keys):
                self.found.fault(
                    "checkpoint altered", f"the signature of checkpoint {number} does not hold: it was altered"
                )

    async def _hold_against_chain(self, known: Mapping[int, Checkpoint]) -> None:
        previous: Checkpoint | None = None
        async with self._db.transaction(self._tenant) as tx:
            for number in sorted(known):
                checkpoint = known[number]
                if number != (previous.number if previous else 0) + 1:
                    self.found.fault(
                        "checkpoint missing", f"there is no checkpoint before checkpoint {number}: some are missing"
                    )
                elif checkpoint.body["previous"] != (previous.digest() if previous else ""):
                    self.found.fault("checkpoint altered", f"checkpoint {number} does not follow the one before it")
                await self._hold_one(tx, checkpoint)
                previous = checkpoint

    async def _hold_one(self, tx: Tx, checkpoint: Checkpoint) -> None:
        position, at = checkpoint.position, checkpoint.body["at"]
        row = await tx.row(checks.BLOCK_AT, {"tenant_id": tx.tenant_id, "position": position})
        if row is None:
            words = f"the chain has no block {position}, which was signed at {at}: its end was cut off, or the database was set back"
            self.found.fault("chain cut off", words)
        elif row["hash"].hex() != checkpoint.body["head"] or row["counts"] != checkpoint.body["counts"]:
            words = (
                f"the chain up to block {position} is not the one that was signed at {at}: the trail was written anew"
            )
            self.found.fault("chain rewritten", words)


async def missing_tenants(there: Iterable[Tenant], storage: Storage) -> list[Findings]:
    """Finds the tenants of which checkpoints in the file store tell, and which the database does not know."""
    known, missing = {str(tenant.tenant_id) for tenant in there}, []
    for tenant, many in (await tenants_of(storage)).items():
        if tenant not in known:
            findings = Findings(tenant)
            words = f"this tenant is gone from the database; {many} checkpoints in the file store tell of it"
            findings.fault("tenant missing", words)
            missing.append(findings)
    return missing


async def last_position(db: Database, tenant: Tenant) -> int:
    """Finds the block that the tenant's last checkpoint signs; 0 where there is none."""
    async with db.transaction(tenant) as tx:
        row = await tx.row(LAST, {"tenant_id": tx.tenant_id})
    return row["position"] if row else 0


def block_of(tenant_id: UUID, row: Mapping[str, Any], before: Mapping[str, Any] | None) -> Block:
    """Reads a block as stored, after the one before it."""
    previous = bytes(before["hash"]) if before else b""
    return Block(tenant_id, row["position"], previous, bytes(row["root"]), row["counts"], row["at"])


def _shown(row: Row) -> Row:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}
