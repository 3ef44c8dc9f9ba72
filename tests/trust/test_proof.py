"""Checkpoints, their keys, and bundles by which somebody else checks a trail without the database (R-AUD-08)."""

import base64
import json
import ssl
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from audit_support import chain, verified
from builders import create, move, walk_to

from civicpulse.audit.checkpoints import published, read_checkpoint
from civicpulse.audit.jobs import Notary, check_witness, measure, post
from civicpulse.audit.keys import Keyring, NoKey
from civicpulse.audit.prove import prove
from civicpulse.base import clock
from civicpulse.base.clients.storage import Storage
from conftest import City

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_proof.py"


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    """A folder with a first key."""
    ring = Keyring(tmp_path / "keys")
    ring.rotate(at=clock.wall())
    return ring


def notary_of(city: City, keyring: Keyring, **how: Any) -> Notary:
    return Notary(city.services.db, Storage(city.services.settings.storage_url), keyring, **how)


def public(keyring: Keyring, index: int = -1) -> str:
    """A public key as `audit key show` prints it."""
    key: str = keyring.entries()[index]["public"]
    return key


def check(bundle: dict[str, Any], key: str, tmp_path: Path) -> tuple[int, str]:
    """Runs the script as somebody else would: its exit code and its line."""
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(bundle, default=str))
    command = [sys.executable, "-I", str(SCRIPT), str(path), "--key", key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


async def bundle_of(city: City, number: str, keyring: Keyring, *, with_texts: bool = False) -> dict[str, Any]:
    async with city.transaction() as tx:
        return await prove(tx, number, keyring.entries(), with_texts=with_texts)


async def test_somebody_else_checks_a_request_with_the_public_key_alone(city, keyring, tmp_path) -> None:
    admin = await city.client("admin")
    number = (await create(admin, description="My neighbour Ada knows"))["request_id"]
    notary = notary_of(city, keyring)
    await notary.checkpoint(city.tenant)
    await walk_to(admin, number, "resolved")
    for lat in (41, 42):
        await create(admin, lat=lat)
        await chain(city.services, city.tenant)
    assert (await admin.post(f"/requests/{number}/comment", json={"message": "It holds."})).status_code == 201
    await notary.checkpoint(city.tenant)
    bundle = await bundle_of(city, number, keyring)
    assert "Ada" not in json.dumps(bundle, default=str)
    assert "It holds" not in json.dumps(bundle, default=str)
    code, line = check(bundle, public(keyring), tmp_path)
    assert (code, f"{len(bundle['events'])} of {len(bundle['events'])} events" in line) == (0, True), line
    assert check(await bundle_of(city, number, keyring, with_texts=True), public(keyring), tmp_path)[0] == 0


async def test_a_bundle_in_which_anything_was_changed_proves_nothing(city, keyring, tmp_path) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    await move(admin, number, "triaged")
    await notary_of(city, keyring).checkpoint(city.tenant)
    bundle = await bundle_of(city, number, keyring, with_texts=True)
    text = json.dumps(bundle, default=str)
    stranger = Keyring(tmp_path / "stranger")
    stranger.rotate(at=clock.wall())
    assert check(bundle, public(stranger), tmp_path)[0] == 1

    def changed(**values: Any) -> dict[str, Any]:
        return json.loads(text) | values

    event = json.loads(text)["events"][1]
    first = json.loads(text)["events"][0]
    body = json.loads(text)["checkpoints"][0]
    block = json.loads(text)["blocks"][0]
    lies = (
        changed(events=[first, event | {"meta": "{}"}]),
        changed(events=[first, event | {"at_us": event["at_us"] + 1}]),
        changed(events=[first, event | {"at": first["at"].replace("20", "19", 1)}]),
        changed(events=[first, event | {"attests": '{"priority": "P1"}'}]),
        changed(events=[event]),
        changed(events=[first, event | {"path": []}]),
        changed(events=[first, event | {"block": 2}]),
        changed(blocks=[block | {"root": "00" * 32}]),
        changed(blocks=[]),
        changed(checkpoints=[]),
        changed(checkpoints=[body | {"body": body["body"] | {"at": "2020-01-01"}}]),
        changed(request="CST-2020-000001"),
        changed(texts={"description": "Another text"}),
        changed(texts={"comment 1": "Never said"}),
        changed(tenant="00000000-0000-0000-0000-000000000000"),
    )
    assert check(changed(), public(keyring), tmp_path)[0] == 0
    told = [check(lie, public(keyring), tmp_path) for lie in lies]
    assert [(code, line.startswith("NOT PROVED")) for code, line in told] == [(1, True)] * len(lies), told


async def test_a_key_that_follows_and_the_one_before_vouch_for_each_other(city, keyring, tmp_path) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    await notary_of(city, keyring).checkpoint(city.tenant)
    keyring.rotate(at=clock.wall())
    await move(admin, number, "triaged")
    await notary_of(city, keyring).checkpoint(city.tenant)
    bundle = await bundle_of(city, number, keyring)
    assert {one["body"]["key"] for one in bundle["checkpoints"]} == {entry["id"] for entry in keyring.entries()}
    for index in (0, 1):
        assert check(bundle, public(keyring, index), tmp_path)[0] == 0, "whoever trusts one can trust both"
    unvouched = bundle | {"keys": [key | {"vouched": []} for key in bundle["keys"]]}
    assert check(unvouched, public(keyring), tmp_path)[0] == 1
    assert (await verified(city.services, city.tenant, keys=keyring.public_keys())).faults == {}


def test_the_private_key_is_its_owners_only(keyring) -> None:
    assert stat.S_IMODE((keyring.folder / "signing-key.pem").stat().st_mode) == 0o600
    assert "PRIVATE" not in (keyring.folder / "public-keys.json").read_text()


async def test_what_no_checkpoint_covers_is_said_to_be_unproved(city, keyring, tmp_path) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    bundle = await bundle_of(city, number, keyring)
    assert bundle["unproved"] == [1]
    assert check(bundle, public(keyring), tmp_path)[0] == 1
    await notary_of(city, keyring).checkpoint(city.tenant)
    await move(admin, number, "triaged")
    bundle = await bundle_of(city, number, keyring)
    assert (bundle["unproved"], check(bundle, public(keyring), tmp_path)[0]) == ([2], 0)


async def test_a_checkpoint_is_signed_when_there_is_news_and_names_the_one_before(city, keyring) -> None:
    notary, storage = notary_of(city, keyring), Storage(city.services.settings.storage_url)
    assert await notary.checkpoint(city.tenant) is None, "there is no event yet"
    await create(await city.client("admin"))
    first = await notary.checkpoint(city.tenant)
    assert await notary.checkpoint(city.tenant) is None, "nothing is new"
    second = await notary.checkpoint(city.tenant, anyway=True)
    assert first is not None
    assert second is not None
    assert (second.number, second.body["previous"], second.position) == (2, first.digest(), first.position)
    assert first.body["counts"] == {"request.opened": 1}
    files = [read_checkpoint(document) async for _, document in published(storage, city.tenant.tenant_id)]
    assert files == [first, second]
    assert all(one.is_signed_by(keyring.public_keys()) for one in files)
    await measure(city.services.db)
    figures = (await (await city.client()).get("/metrics")).text
    for name in ("chain_wait_seconds", "chain_waited_seconds_count", "checkpoint_age_seconds"):
        assert f"civicpulse_audit_{name}" in figures
    unsigned = await verified(city.services, city.tenant)
    assert (unsigned.faults, "were not checked" in unsigned.notes[0]) == ({}, True)


async def test_without_a_key_nothing_is_signed_and_the_words_say_how(city, tmp_path) -> None:
    await create(await city.client("admin"))
    for ring in (Keyring(""), Keyring(tmp_path)):
        with pytest.raises(NoKey, match=r"CIVICPULSE_AUDIT_DIR|audit key rotate"):
            await notary_of(city, ring).checkpoint(city.tenant)
    (tmp_path / "signing-key.pem").write_text("nothing")
    with pytest.raises(NoKey, match="cannot be read"):
        Keyring(tmp_path).current()
    assert Keyring("").entries() == []


class _Witness(BaseHTTPRequestHandler):
    """A second party: keeps what it is sent; `/elsewhere` sends on to somebody else."""

    taken: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/elsewhere":
            self.send_response(307)
            self.send_header("Location", "/taken")
        else:
            self.taken.append(body)
            self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def witness() -> Any:
    _Witness.taken = []
    server = HTTPServer(("127.0.0.1", 0), _Witness)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_a_second_party_gets_every_checkpoint_and_nobody_else(city, keyring, witness) -> None:
    await create(await city.client("admin"))
    signed = await notary_of(city, keyring, witness_url=f"{witness}/taken").checkpoint(city.tenant)
    assert signed is not None
    assert [read_checkpoint(document) for document in _Witness.taken] == [signed]
    with pytest.raises(OSError, match="307"):
        post(f"{witness}/elsewhere", b"{}")
    assert len(_Witness.taken) == 1
    away = await notary_of(city, keyring, witness_url="https://127.0.0.1:1/").checkpoint(city.tenant, anyway=True)
    assert away is not None, "what is signed stays signed when the second party is away"


@pytest.mark.parametrize("url", ["http://example.org/", "ftp://example.org/", "file:///etc/passwd", "example.org"])
def test_the_second_party_is_spoken_to_over_tls_only(url: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        check_witness(url)
    assert ssl.create_default_context().check_hostname


def test_a_public_key_is_named_by_its_hash(keyring) -> None:
    (entry,) = keyring.entries()
    assert keyring.public_keys() == {entry["id"]: base64.b64decode(entry["public"])}
