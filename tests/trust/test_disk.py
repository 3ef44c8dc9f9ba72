"""What is answered as kept is on the disk, and a full disk is told and leaves nothing half-kept (R-DOOR-02)."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from builders import create, png
from tests_support import problem

from civicpulse.base.clients import storage
from civicpulse.base.clients.storage import Storage
from conftest import City

PNG = png()
ROOM = 100_000

# A child whose files may not grow past ROOM bytes: what a full disk is to a process, without being root to make one.
CHILD = f"""
import asyncio, resource, signal, sys
from pathlib import Path
from civicpulse.base.clients.storage import Storage, StorageFull

async def pieces():
    for _ in range(4):
        yield b"x" * {ROOM // 2}

async def main():
    folder = Path(sys.argv[1])
    store = Storage(folder.as_uri())
    await store.put("tenant/evidence/kept", b"x" * {ROOM // 2})
    for name, data in (("whole", b"x" * {ROOM * 2}), ("pieces", pieces())):
        try:
            await store.put("tenant/evidence/" + name, data)
        except StorageFull as full:
            print(name, full.status, full.code)
    print(sorted(path.name for path in folder.rglob("*") if path.is_file()))

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({ROOM}, {ROOM}))
asyncio.run(main())
"""


def test_a_file_without_room_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    told = [line for line in said.stdout.splitlines() if "file_not_kept" not in line]
    assert told == ["whole 507 storage_full", "pieces 507 storage_full", "['kept']"]


@pytest.fixture
def full_after(city: City, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the store keep so many files, and then has no room."""

    def limit(files: int) -> list[str]:
        kept: list[str] = []
        original = Storage.put

        async def put(self: Storage, key: str, data: bytes | AsyncIterator[bytes]) -> None:
            if len(kept) >= files:
                raise storage.StorageFull
            await original(self, key, data)
            kept.append(key)

        monkeypatch.setattr(Storage, "put", put)
        return kept

    return limit


async def test_evidence_is_kept_whole_or_not_at_all(city: City, full_after: Any) -> None:
    staff = await city.client("agent")
    number = (await create(staff))["request_id"]
    kept = full_after(2)
    three = [("file", (f"{n}.png", PNG, "image/png")) for n in range(3)]
    problem(await staff.post(f"/requests/{number}/evidence", files=three), 507, "storage_full")
    assert len(kept) == 2
    for key in kept:
        with pytest.raises(FileNotFoundError):
            await city.app.state.storage.get(key)
    document = (await staff.get(f"/requests/{number}")).json()
    assert document["evidence"] == []
    assert "evidence.added" not in str((await staff.get(f"/requests/{number}/events")).json())


async def test_a_file_and_its_folders_are_on_the_disk_before_anybody_is_told(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    original = os.fsync

    def fsync(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        original(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    staff = await city.client("agent")
    number = (await create(staff))["request_id"]
    sent = await staff.post(f"/requests/{number}/evidence", files={"file": ("hole.png", PNG, "image/png")})
    assert sent.status_code == 201, sent.text
    name = sent.json()["items"][0]["url"].rpartition("/")[2]
    file, *folders = synced
    assert file.endswith(f"{city.tenant.tenant_id}/evidence/{name}")
    assert folders[:2] == [str(Path(file).parent), str(Path(file).parents[1])]
