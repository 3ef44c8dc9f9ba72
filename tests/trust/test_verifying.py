"""How the trail is verified: in pieces, from where it was broken off, since a checkpoint; what was erased is no fault (R-AUD-07)."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audit_support import chain, verified
from builders import create, move, png, walk_to

from civicpulse.audit import verify
from civicpulse.audit.jobs import Notary
from civicpulse.audit.keys import Keyring
from civicpulse.audit.verify import Findings, Verifier, last_position
from civicpulse.base import clock
from civicpulse.base.clients.storage import Storage
from civicpulse.base.logins import application_url
from conftest import City


class BrokenOff(Exception):
    """The operator has pressed Ctrl-C."""


def keeping(path: Path, limit: int) -> Callable[[Findings], None]:
    """Keeps findings as the command does, and breaks off after so many times."""
    calls = itertools.count(1)

    def keep(found: Findings) -> None:
        found.save(path)
        if next(calls) == limit:
            raise BrokenOff

    return keep


async def test_it_goes_on_where_it_was_broken_off(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = await city.client("admin")
    for index in range(4):
        await create(admin, lat=40 + index / 10)
        await chain(city.services, city.tenant)
    monkeypatch.setattr(verify, "SUBJECTS_AT_ONCE", 1)
    monkeypatch.setattr(verify, "BLOCKS_AT_ONCE", 1)
    kept, seen, breaks = tmp_path / "kept.json", list[int](), 0
    whole = await verified(city.services, city.tenant)
    for limit in (1, 2, 1, 3, 1, 2, 100):
        findings = Findings.load(kept) or Findings(str(city.tenant.tenant_id))
        storage = Storage(city.services.settings.storage_url)
        verifier = Verifier(
            city.services.db,
            city.tenant,
            findings,
            storage=storage,
            keys={},
            progress=seen.append,
            keep=keeping(kept, limit),
        )
        try:
            found = await verifier.run()
        except BrokenOff:
            breaks += 1
    assert breaks > 2
    assert found == whole
    assert seen == sorted(seen)


async def test_since_a_checkpoint_only_what_came_after_is_read(city: City, tmp_path: Path) -> None:
    keyring = Keyring(tmp_path)
    keyring.rotate(at=clock.wall())
    admin = await city.client("admin")
    for lat in (40, 41):
        number = (await create(admin, lat=lat))["request_id"]
    await Notary(city.services.db, Storage(city.services.settings.storage_url), keyring).checkpoint(city.tenant)
    await move(admin, number, "triaged")
    await chain(city.services, city.tenant)
    await create(admin, lat=42)
    findings = Findings(str(city.tenant.tenant_id), since=await last_position(city.services.db, city.tenant))
    storage = Storage(city.services.settings.storage_url)
    found = await Verifier(city.services.db, city.tenant, findings, storage=storage, keys=keyring.public_keys()).run()
    assert (found.faults, found.events, found.blocks, found.checkpoints) == ({}, 3, 1, 1)


async def test_what_was_erased_by_law_is_no_tampering(city: City) -> None:
    staff, token_of = await city.client("admin"), await city.client("admin")
    citizen = (
        await staff.post("/citizens", json={"full_name": "Ada", "contacts": {"email": "ada@example.org"}})
    ).json()
    own = await city.client("citizen", actor_id=citizen["_id"])
    sent = {"citizen_ref": {"citizen_id": citizen["_id"], "contact_channel": "none"}}
    number = (await create(own, **sent, description="Ada's hole"))["request_id"]
    assert (await own.post(f"/requests/{number}/comment", json={"message": "I am Ada."})).status_code == 201
    assert (await staff.post(f"/requests/{number}/comment", json={"message": "Ada, we come."})).status_code == 201
    files = {"file": ("hole.png", png(), "image/png")}
    assert (await own.post(f"/requests/{number}/evidence", files=files)).status_code == 201
    await walk_to(token_of, number, "closed")
    rated = await own.post(f"/requests/{number}/rating", json={"rating": 4, "comment": "Says Ada."})
    assert rated.status_code == 201, rated.text
    await chain(city.services, city.tenant)
    assert (await verified(city.services, city.tenant)).faults == {}
    assert (await staff.delete(f"/citizens/{citizen['_id']}")).status_code == 204
    found = await verified(city.services, city.tenant)
    assert (found.faults, found.erased) == ({}, 1)
    await chain(city.services, city.tenant)
    assert (await verified(city.services, city.tenant)).faults == {}


def civicpulse(database_url: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as the operator runs it."""
    mine = {
        "CIVICPULSE_DATABASE_URL": application_url(database_url),
        "CIVICPULSE_AUDIT_DIR": str(folder / "keys"),
        "CIVICPULSE_STORAGE_URL": (folder / "files").as_uri(),
    }
    command = [sys.executable, "-m", "civicpulse.cli.main", "audit", *arguments]
    done = subprocess.run(command, env=os.environ | mine, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def check(bundle: Path, key: str) -> subprocess.CompletedProcess[str]:
    """The script that somebody else runs."""
    script = Path(__file__).resolve().parents[2] / "scripts" / "check_proof.py"
    command = [sys.executable, str(script), str(bundle), "--key", key]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_the_commands_sign_prove_and_verify(city: City, database_url: str, tmp_path: Path) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    slug = ("--tenant", city.tenant.slug)

    def run(*arguments: str) -> Any:
        return civicpulse(database_url, tmp_path, *arguments)

    without = run("checkpoint", *slug)
    assert (without.returncode, "audit key rotate" in without.stderr) == (2, True)
    key = run("key", "rotate").stdout.split()
    assert run("key", "show").stdout.split()[::2] == key
    assert "checkpoint 1, block 1" in run("checkpoint", *slug).stdout
    bundle = tmp_path / "bundle.json"
    proved = run("prove", number, "-o", str(bundle), *slug)
    assert "1 events" in proved.stderr
    checked = check(bundle, key[1])
    assert (checked.returncode, json.loads(bundle.read_text())["unproved"]) == (0, []), checked.stdout
    whole = run("verify", *slug)
    assert (whole.returncode, whole.stdout) == (0, "1 events verified, the trail is whole\n")
    assert run("verify", "--since-checkpoint", "--resume", "--no-files", *slug).returncode == 0
    next((tmp_path / "files" / "audit" / str(city.tenant.tenant_id)).iterdir()).unlink()
    broken = run("verify", *slug)
    assert (broken.returncode, "checkpoint 1 is not in the file store" in broken.stdout) == (1, True)
