"""Whoever has the whole database in their hands is found out: each kind of tampering is noticed and named (R-AUD-07).

A city lives, is chained and signed twice. Each case works on a copy of its database and its files, as a superuser with the triggers
off, and without the key.
"""

import hashlib
import itertools
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from audit_support import chain, verified
from builders import add_agent, create, move, png, walk_to
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from civicpulse.audit.chain import CONTENT
from civicpulse.audit.checkpoints import read_checkpoint
from civicpulse.audit.jobs import Notary
from civicpulse.audit.keys import Keyring
from civicpulse.audit.merkle import Block, canonical, root
from civicpulse.audit.verify import Findings, missing_tenants
from civicpulse.base import clock
from civicpulse.base.clients.storage import Storage
from civicpulse.base.logins import application_url
from civicpulse.base.services import Services, open_services
from civicpulse.base.tenancy import Tenant
from civicpulse.settings import Settings
from conftest import RUN_DIR, City, make_city, new_database, started_app, with_database

THERE = """
SELECT e.subject_id, e.seq FROM unnest(%s::uuid[], %s::int[]) WITH ORDINALITY AS m (subject_id, seq, place)
JOIN events e ON e.subject_id = m.subject_id AND e.seq = m.seq ORDER BY m.place
"""
ADD = """
INSERT INTO chain_blocks (tenant_id, position, subjects, seqs, root, counts, at, hash)
VALUES (%(tenant)s, %(position)s, %(subjects)s, %(seqs)s, %(root)s, %(counts)s, %(at)s, %(hash)s)
"""
PNG = png()
_copies = itertools.count(1)


@dataclass(frozen=True)
class Lived:
    """A city with some life in it: its database, an earlier state of it, the folders of files and keys, and its requests."""

    url: str
    earlier: str
    folder: Path
    tenant: Tenant
    closed: UUID
    spoken: UUID
    master: UUID
    duplicate: UUID
    loud: UUID

    @property
    def keyring(self) -> Keyring:
        """The keys that the city's checkpoints are signed with."""
        return Keyring(self.folder / "keys")


def settings_of(url: str, folder: Path) -> Settings:
    return Settings(
        database_url=application_url(url), migration_url=url, pool_size=4, storage_url=(folder / "files").as_uri()
    )


def copy_database(server_url: str, url: str, name: str) -> str:
    """A copy of the database of `url` to which nobody is connected."""
    source = url.split("@/")[1].split("?")[0]
    with psycopg.connect(server_url, autocommit=True) as owner:
        template, target = sql.Identifier(source), sql.Identifier(name)
        owner.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(target, template))
    return with_database(server_url, name)


async def sign(city: City, keyring: Keyring, folder: Path) -> None:
    storage = Storage((folder / "files").as_uri())
    assert await Notary(city.services.db, storage, keyring).checkpoint(city.tenant) is not None


async def first_life(city: City) -> dict[str, UUID]:
    """Requests with comments, evidence, files and ratings."""
    admin, anybody = await city.client("admin"), await city.client()
    closed = await create(anybody, lat=40.1)
    await walk_to(admin, closed["request_id"], "closed")
    token = {"X-Tracking-Token": closed["tracking_token"]}
    rating = {"rating": 2, "comment": "It took long."}
    assert (
        await anybody.post(f"/requests/{closed['request_id']}/rating", json=rating, headers=token)
    ).status_code == 201
    spoken = await create(admin, lat=40.2)
    for internal in (False, True):
        said = {"message": "We come on Monday.", "internal": internal}
        assert (await admin.post(f"/requests/{spoken['request_id']}/comment", json=said)).status_code == 201
    files = {"file": ("hole.png", PNG, "image/png")}
    assert (await admin.post(f"/requests/{spoken['request_id']}/evidence", files=files)).status_code == 201
    master, duplicate = await create(admin, lat=40.3), await create(admin, lat=40.4)
    loud = await create(admin, lat=40.5)
    return {
        name: UUID(document["_id"])
        for name, document in (
            ("closed", closed), ("spoken", spoken), ("master", master), ("duplicate", duplicate), ("loud", loud)
        )
    }  # fmt: skip


async def second_life(city: City, ids: dict[str, UUID]) -> None:
    """More of it, also on requests that were signed already."""
    admin = await city.client("admin")
    numbers = {row["_id"]: row["request_id"] for row in (await admin.get("/requests/")).json()["items"]}
    number = {name: numbers[str(key)] for name, key in ids.items()}
    merged = await admin.post(f"/requests/{number['duplicate']}/merge", json={"other": number["master"]})
    assert merged.status_code == 200, merged.text
    agent = await add_agent(admin, "AG-LOUD")
    assert (await move(admin, number["loud"], "triaged")).status_code == 200
    given = await move(admin, number["loud"], "assigned", assigned_agent_id=agent["agent_code"])
    assert given.status_code == 200, given.text


@pytest.fixture(scope="module")
async def lived(server_url: str, worker_id: str) -> Lived:
    folder = Path(os.environ[RUN_DIR], f"lived_{worker_id}")
    url, keyring = new_database(server_url, f"lived_{worker_id}"), Keyring(folder / "keys")
    keyring.rotate(at=clock.wall())
    async with started_app(url, pool_size=4) as app:
        app.state.storage = Storage((folder / "files").as_uri())
        city = await make_city(app, url)
        ids = await first_life(city)
        await sign(city, keyring, folder)
    earlier = copy_database(server_url, url, f"lived_{worker_id}_before")
    async with started_app(url, pool_size=4) as app:
        app.state.storage = Storage((folder / "files").as_uri())
        city = replace(city, app=app)
        await second_life(city, ids)
        await chain(city.services, city.tenant)
        await sign(city, keyring, folder)
    return Lived(url, earlier, folder, city.tenant, **ids)


@dataclass
class Copy:
    """What a case tampers with: a database, as a superuser with the triggers off, and a folder of files."""

    lived: Lived
    url: str
    folder: Path
    conn: psycopg.Connection[dict[str, Any]]

    def run(self, statement: str, **values: Any) -> None:
        """Executes a statement that changes something."""
        known = {"tenant": self.lived.tenant.tenant_id} | {
            name: getattr(self.lived, name) for name in ("closed", "spoken", "master", "duplicate", "loud")
        }
        assert self.conn.execute(statement.encode(), known | values).rowcount != 0, statement

    def seal_anew(self, subject: UUID) -> None:
        """Seals the trail of a subject anew, as if it had always been so."""
        previous = None
        for row in self.conn.execute("SELECT seq FROM events WHERE subject_id = %s ORDER BY seq", [subject]).fetchall():
            done = self.conn.execute(
                "UPDATE events SET hash = event_hash(%s, tenant_id, subject_id, seq, subject_type, type, actor_type, actor_id, at, meta) "
                "WHERE subject_id = %s AND seq = %s RETURNING hash",
                [previous, subject, row["seq"]],
            ).fetchone()
            previous = done and done["hash"]

    def chain_anew(self) -> None:
        """Builds the tenant's chain anew over what is there now, with places of events that are gone left out."""
        tenant = self.lived.tenant.tenant_id
        previous, counts, position = b"", Counter[str](), 0
        rows = self.conn.execute("SELECT * FROM chain_blocks ORDER BY position").fetchall()
        self.conn.execute("DELETE FROM chain_blocks")
        for row in rows:
            places = [
                (one["subject_id"], one["seq"])
                for one in self.conn.execute(THERE, [row["subjects"], row["seqs"]]).fetchall()
            ]
            if not places:
                continue
            named = {"subjects": [subject for subject, _ in places], "seqs": [seq for _, seq in places]}
            content = self.conn.execute(CONTENT, named | {"tenant_id": tenant}).fetchone()
            assert content is not None
            counts += Counter(content["counts"])
            position += 1
            leaves = [content["leaves"][at : at + 32] for at in range(0, len(content["leaves"]), 32)]
            block = Block(tenant, position, previous, root(leaves), dict(counts), row["at"])
            previous = block.hash()
            shown = {"tenant": tenant, "position": position, "root": block.root, "at": row["at"], "hash": previous}
            self.conn.execute(ADD, named | shown | {"counts": Jsonb(dict(counts))})

    def checkpoints(self) -> list[Path]:
        """The files of the city's checkpoints."""
        return sorted((self.folder / "files" / "audit" / str(self.lived.tenant.tenant_id)).iterdir())

    def file(self) -> Path:
        """The one stored file of evidence."""
        (found,) = (self.folder / "files" / str(self.lived.tenant.tenant_id) / "evidence").iterdir()
        return found


@pytest.fixture
def copy(lived: Lived, server_url: str, worker_id: str, tmp_path: Path) -> Iterator[Copy]:
    url = copy_database(server_url, lived.url, f"copy_{worker_id}_{next(_copies)}")
    shutil.copytree(lived.folder, tmp_path / "copy")
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        conn.execute("SET session_replication_role = replica")
        yield Copy(lived, url, tmp_path / "copy", conn)
    drop(server_url, url)


def drop(server_url: str, url: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as owner:
        name = sql.Identifier(url.split("@/")[1].split("?")[0])
        owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


async def found_in(copy: Copy, **how: Any) -> Findings:
    """What verifying the copy finds."""
    settings = settings_of(copy.url, copy.folder)
    async with open_services(settings) as services:
        tenant = await services.tenants.by_slug(copy.lived.tenant.slug)
        if tenant is None:
            (gone,) = await missing_tenants(await services.tenants.all(), Storage(settings.storage_url))
            return gone
        return await verified(services, tenant, keys=copy.lived.keyring.public_keys(), **how)


EVENT: Final = "WHERE subject_id = %(loud)s AND seq = 2"
LAST: Final = "WHERE subject_id = %(loud)s AND seq = (SELECT max(seq) FROM events WHERE subject_id = %(loud)s)"
CUT: Final = (f"DELETE FROM events {LAST}",)
COUNTED: Final = (*CUT, "UPDATE requests SET event_seq = event_seq - 1 WHERE id = %(loud)s")
OF_SUBJECT: Final = (
    "DELETE FROM events WHERE subject_id = %(spoken)s",
    "DELETE FROM comments WHERE request_id = %(spoken)s",
    "DELETE FROM evidence WHERE request_id = %(spoken)s",
    "DELETE FROM requests WHERE id = %(spoken)s",
)


def edited(copy: Copy) -> None:
    copy.run(f'UPDATE events SET meta = meta || \'{{"reason": "forged"}}\' {EVENT}')


def sealed(copy: Copy) -> None:
    edited(copy)
    copy.seal_anew(copy.lived.loud)


def chained(copy: Copy) -> None:
    sealed(copy)
    copy.chain_anew()


def moved_in_time(copy: Copy) -> None:
    copy.run(f"UPDATE events SET at = at - interval '3 days' {LAST}")
    copy.seal_anew(copy.lived.loud)
    copy.chain_anew()


def reordered(copy: Copy) -> None:
    copy.run("UPDATE events SET seq = 99 WHERE subject_id = %(loud)s AND seq = 2")
    copy.run("UPDATE events SET seq = 2 WHERE subject_id = %(loud)s AND seq = 3")
    copy.run("UPDATE events SET seq = 3 WHERE subject_id = %(loud)s AND seq = 99")
    copy.seal_anew(copy.lived.loud)


def inserted(copy: Copy) -> None:
    copy.run(
        "INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, at, hash, attests) SELECT tenant_id, subject_id, seq + 1,"
        f" 'request.escalated', 'system', at, 'x', '{{}}' FROM events {LAST}"
    )
    copy.run("UPDATE requests SET event_seq = event_seq + 1 WHERE id = %(loud)s")
    copy.seal_anew(copy.lived.loud)


def forged_trail(copy: Copy) -> None:
    """A subject that never was, with a trail sealed as it should be."""
    made = UUID(int=7)
    copy.run(
        "INSERT INTO events (tenant_id, subject_id, seq, subject_type, type, actor_type, at, hash, attests)"
        " VALUES (%(tenant)s, %(made)s, 1, 'citizen', 'citizen.created', 'system', now(), 'x', '{}')",
        made=made,
    )
    copy.seal_anew(made)


def cut_and_chained(copy: Copy) -> None:
    for statement in COUNTED:
        copy.run(statement)
    copy.run(
        "UPDATE requests r SET state_category = 'open', status = 'triaged', assigned_agent_id = NULL, assigned_at = NULL WHERE id = %(loud)s"
    )
    copy.chain_anew()


def chain_gone(copy: Copy) -> None:
    """Not only the trail: whatever tells of it in the database."""
    for table in (
        "events",
        "chain_blocks",
        "checkpoints",
        "comments",
        "feedback",
        "evidence",
        "requests",
    ):
        copy.run(f"DELETE FROM {table}")


def tenant_gone(copy: Copy) -> None:
    chain_gone(copy)
    copy.run("DELETE FROM tenants")


def set_back(copy: Copy) -> None:
    """The whole database as it was before the second checkpoint."""


def resigned(copy: Copy) -> None:
    """A forger's own key signs what it never saw."""
    keyring = Keyring(copy.folder / "forged")
    key = keyring.rotate(at=clock.wall())
    path = copy.checkpoints()[-1]
    body = {**read_checkpoint(path.read_bytes()).body, "key": key.id, "events": 1}
    signature = key.sign(canonical(body))
    path.write_bytes(read_checkpoint(_document(body, signature)).document())
    copy.run(
        "UPDATE checkpoints SET body = %(body)s, signature = %(signature)s WHERE number = %(number)s",
        body=canonical(body).decode(),
        signature=signature,
        number=body["number"],
    )


def _document(body: dict[str, Any], signature: str) -> bytes:
    return canonical({"body": body, "signature": signature})


def checkpoint_altered(copy: Copy) -> None:
    path = copy.checkpoints()[0]
    path.write_bytes(path.read_bytes().replace(b'"number": 1', b'"number": 1, "events_": 1'))


def checkpoint_gone_everywhere(copy: Copy) -> None:
    copy.checkpoints()[0].unlink()
    copy.run("DELETE FROM checkpoints WHERE number = 1")


def block_gone(copy: Copy) -> None:
    """With its events put back to wait."""
    copy.run("INSERT INTO chain_waiting SELECT tenant_id, at, subjects, seqs FROM chain_blocks WHERE position = 1")
    copy.run("DELETE FROM chain_blocks WHERE position = 1")


def chain_end_gone(copy: Copy) -> None:
    last = "(SELECT max(position) FROM chain_blocks)"
    copy.run(
        f"INSERT INTO chain_waiting SELECT tenant_id, at, subjects, seqs FROM chain_blocks WHERE position = {last}"
    )
    copy.run(f"DELETE FROM chain_blocks WHERE position = {last}")


def row_and_attests(copy: Copy) -> None:
    """The row, and with it what its events vouch for."""
    copy.run("UPDATE requests SET priority = 'P4' WHERE id = %(loud)s")
    copy.run("""UPDATE events SET attests = attests || '{"priority": "P4"}' WHERE subject_id = %(loud)s""")


def file_and_hash(copy: Copy) -> None:
    copy.file().write_bytes(b"other")
    sha = hashlib.sha256(b"other").hexdigest()
    copy.run("UPDATE evidence SET sha256 = %(sha)s WHERE request_id = %(spoken)s", sha=sha)


def by(*statements: str) -> Callable[[Copy], None]:
    def tamper(copy: Copy) -> None:
        for statement in statements:
            copy.run(statement)

    return tamper


def other_row(column: str, value: str) -> Callable[[Copy], None]:
    return by(f"UPDATE requests SET {column} = {value} WHERE id = %(loud)s")


Tamper = Callable[[Copy], object]
COMMENT: Final = "WHERE request_id = %(spoken)s AND NOT is_internal"

CASES: Final[dict[str, tuple[Tamper, set[str]]]] = {
    # events
    "an event edited": (edited, {"event altered"}),
    "an event edited and its trail sealed anew": (sealed, {"chained event altered"}),
    "an event edited, its trail and the whole chain computed anew": (chained, {"chain rewritten"}),
    "the hash of an event": (by(f"UPDATE events SET hash = sha256('x') {EVENT}"), {"event altered"}),
    "the time of an event": (by(f"UPDATE events SET at = at - interval '1 hour' {EVENT}"), {"event altered"}),
    "the time of an event, everything computed anew": (moved_in_time, {"time runs backwards", "chain rewritten"}),
    "who did it": (by(f"UPDATE events SET actor_id = 'somebody else' {EVENT}"), {"event altered"}),
    "what an event vouches for, and the row": (row_and_attests, {"chained event altered"}),
    "an event deleted": (by(f"DELETE FROM events {EVENT}"), {"event missing", "chained event missing"}),
    "two events that changed places": (reordered, {"chained event altered"}),
    "an event inserted past the chain": (inserted, {"event inserted"}),
    "a trail forged": (forged_trail, {"event inserted"}),
    "the tail of a trail cut": (by(*CUT), {"trail cut off", "chained event missing"}),
    "the tail cut with its counter": (by(*COUNTED), {"chained event missing"}),
    "the tail cut with its counter, row and chain": (cut_and_chained, {"chain rewritten"}),
    "a whole trail gone": (
        by("DELETE FROM events WHERE subject_id = %(loud)s"),
        {"trail cut off", "chained event missing"},
    ),
    "a whole subject gone": (by(*OF_SUBJECT), {"chained event missing"}),
    "the tenant's whole trail gone, chain and rows with it": (chain_gone, {"chain cut off", "checkpoint forgotten"}),
    "the tenant gone": (tenant_gone, {"tenant missing"}),
    "the whole database set back": (set_back, {"chain cut off", "checkpoint forgotten"}),
    # the chain
    "a block gone": (block_gone, {"block missing"}),
    "the last block gone": (chain_end_gone, {"chain cut off"}),
    "a block altered": (
        by("UPDATE chain_blocks SET at = at - interval '1 day' WHERE position = 1"),
        {"block altered"},
    ),
    "the counts of a block altered": (
        by("""UPDATE chain_blocks SET counts = counts || '{"request.opened": 1}' WHERE position = 1"""),
        {"block altered", "chain rewritten"},
    ),
    "an event in the chain twice": (
        by(
            "INSERT INTO chain_waiting SELECT tenant_id, at, subjects[1:1], seqs[1:1] FROM chain_blocks WHERE position = 1"
        ),
        {"event chained twice"},
    ),
    # checkpoints
    "a checkpoint deleted from the store": (lambda copy: copy.checkpoints()[-1].unlink(), {"checkpoint missing"}),
    "a checkpoint deleted everywhere": (checkpoint_gone_everywhere, {"checkpoint missing"}),
    "a checkpoint deleted from the database": (
        by("DELETE FROM checkpoints WHERE number = 2"),
        {"checkpoint forgotten"},
    ),
    "a checkpoint altered": (checkpoint_altered, {"checkpoint altered"}),
    "a checkpoint that is none any more": (lambda copy: copy.checkpoints()[0].write_text("{"), {"checkpoint altered"}),
    "a checkpoint of another key": (resigned, {"checkpoint of another key"}),
    # rows
    "the state of a request": (
        other_row("status", "'closed', state_category = 'closed', closed_at = now()"),
        {"request altered"},
    ),
    "its priority": (other_row("priority", "'P4'"), {"request altered"}),
    "its agent": (other_row("assigned_agent_id", "NULL"), {"request altered"}),
    "when it was opened": (other_row("created_at", "created_at - interval '1 day'"), {"request altered"}),
    "when it was triaged": (other_row("triaged_at", "triaged_at - interval '1 hour'"), {"request altered"}),
    "its category": (other_row("category", "'graffiti'"), {"request altered"}),
    "its zone": (other_row("zone_id", "'elsewhere'"), {"request altered"}),
    "whether it is public": (other_row("is_public", "NOT is_public"), {"request altered"}),
    "its number": (other_row("number", "'CST-2026-999999'"), {"request altered"}),
    "its text": (other_row("description", "'Nothing to see'"), {"description altered"}),
    "whose duplicate it is": (
        by("UPDATE requests SET master_id = %(closed)s WHERE id = %(duplicate)s"),
        {"request altered"},
    ),
    "its row gone, its trail left": (
        by("DELETE FROM requests WHERE id = %(loud)s"),
        {"request missing"},
    ),
    # texts, ratings, files
    "the text of a comment": (by(f"UPDATE comments SET body = 'We never come.' {COMMENT}"), {"comment altered"}),
    "an internal comment made public": (
        by("UPDATE comments SET is_internal = false WHERE is_internal"),
        {"comment altered"},
    ),
    "a comment deleted": (by(f"DELETE FROM comments {COMMENT}"), {"comment missing"}),
    "a comment emptied": (by(f"UPDATE comments SET body = NULL, erased_at = now() {COMMENT}"), {"comment missing"}),
    "a comment inserted": (
        by(
            "INSERT INTO comments (tenant_id, id, request_id, author_type, body, created_at)"
            " VALUES (%(tenant)s, gen_random_uuid(), %(loud)s, 'agent', 'Done.', now())"
        ),
        {"comment inserted"},
    ),
    "a rating": (by("UPDATE feedback SET rating = 5"), {"rating altered"}),
    "the words of a rating": (by("UPDATE feedback SET comment = 'Great!'"), {"rating altered"}),
    "a rating in its request": (by("UPDATE requests SET rating = 5 WHERE id = %(closed)s"), {"request altered"}),
    "a rating deleted": (by("DELETE FROM feedback"), {"rating altered"}),
    "a rating inserted": (
        by(
            "INSERT INTO feedback (tenant_id, request_id, rating, submitted_at) VALUES (%(tenant)s, %(loud)s, 5, now())"
        ),
        {"rating inserted"},
    ),
    "the hash of evidence": (
        by(f"UPDATE evidence SET sha256 = '{'ab' * 31}cd' WHERE request_id = %(closed)s"),
        {"evidence altered", "evidence missing"},
    ),
    "evidence deleted": (by("DELETE FROM evidence WHERE request_id = %(closed)s"), {"evidence missing"}),
    "a file with other bytes": (lambda copy: copy.file().write_bytes(PNG[:-1]), {"file altered"}),
    "a file and its hash": (file_and_hash, {"evidence altered", "evidence missing"}),
    "a file gone": (lambda copy: copy.file().unlink(), {"file missing"}),
}


async def test_what_nobody_touched_is_whole(copy: Copy) -> None:
    found = await found_in(copy)
    assert (found.faults, found.notes, found.unvouched) == ({}, [], 0)
    assert (found.checkpoints, found.blocks, found.files) == (2, 2, 1)


@pytest.mark.parametrize("case", CASES)
async def test_each_kind_of_tampering_is_noticed_and_named(case: str, copy: Copy, server_url: str) -> None:
    tamper, kinds = CASES[case]
    if tamper is set_back:
        copy.conn.close()
        url = copy_database(server_url, copy.lived.earlier, f"{copy.url.split('@/')[1].split('?')[0]}_back")
        copy = replace(copy, url=url)
    tamper(copy)
    found = await found_in(copy)
    assert kinds <= found.faults.keys(), found.faults
    assert all(len(words.split()) > 5 for words in found.faults.values()), found.faults
    if tamper is set_back:
        drop(server_url, copy.url)


async def test_an_event_that_never_reached_the_chain_is_missed_when_it_is_made_to_wait_no_more(copy: Copy) -> None:
    copy.run("SET session_replication_role = origin")
    async with open_services(settings_of(copy.url, copy.folder)) as services:
        await _note(services, copy)
        assert (await found_in(copy)).faults == {}
    copy.run("DELETE FROM chain_waiting")
    assert "event inserted" in (await found_in(copy)).faults


async def _note(services: Services, copy: Copy) -> None:
    async with services.db.transaction(copy.lived.tenant) as tx:
        await tx.run(
            "INSERT INTO events (tenant_id, subject_id, seq, subject_type, type, actor_type, at, attests) "
            "VALUES (%s, %s, 1, 'tenant', 'tenant.noted', 'system', now(), '{}')",
            [tx.tenant_id, UUID(int=9)],
        )
