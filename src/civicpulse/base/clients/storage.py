"""Files: a folder by default, S3, MinIO, Google or Azure by URL; one interface for all of them (obstore)."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlparse

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store, from_url

from civicpulse.base.errors import Problem
from civicpulse.base.log import get_logger

if TYPE_CHECKING:
    from obstore import GetResult


log = get_logger(__name__)

# ENOSPC, EFBIG and EDQUOT, as the operating system numbers them.
_NO_ROOM: Final = re.compile(r"os error (28|27|122)\b")


class StorageFull(Problem):
    """There is no room for a file."""

    status, code, title = 507, "storage_full", "No room"

    def __init__(self) -> None:
        super().__init__(
            "There is no room for the file; nothing was kept. Tell whoever runs this service, and send it later."
        )


class StorageAway(Problem):
    """The store of files does not take a file."""

    status, code, title = 503, "unavailable", "Unavailable"

    def __init__(self) -> None:
        super().__init__("The file could not be kept; nothing was changed. Try again.")
        self.headers = {"Retry-After": "5"}


class Storage:
    """Keeps files under keys such as `TENANT/evidence/ID`. `url`: file:///folder, s3://bucket/prefix, gs://…, az://….

    Credentials come from the variables of the service (AWS_ACCESS_KEY_ID, …). Without a URL: the folder ./data/files.
    """

    def __init__(self, url: str = "") -> None:
        self._folder = _folder_of(url)
        self._store: ObjectStore = from_url(url) if self._folder is None else LocalStore(self._folder, mkdir=True)

    async def put(self, key: str, data: bytes | AsyncIterator[bytes]) -> None:
        """Writes a file whole or not at all, and returns once it would outlast a power cut; the same key again replaces it.

        `data` may come piece by piece, and is then never held as a whole. Raises StorageFull, or StorageAway.
        """
        try:
            await obstore.put_async(self._store, key, data)
            if self._folder is not None:
                await asyncio.to_thread(_sync, self._folder, key)
        except (BaseError, OSError) as error:
            log.error("file_not_kept", key=key, error=str(error).split("\n", 1)[0])
            raise (StorageFull if _NO_ROOM.search(str(error)) else StorageAway) from error

    async def put_new(self, key: str, data: bytes) -> bool:
        """Writes a file as `put` does, unless there is one under that key: then it stays as it is, and the answer is False."""
        try:
            await obstore.head_async(self._store, key)
        except FileNotFoundError:
            await self.put(key, data)
            return True
        return False

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """Reads the file piece by piece. Raises FileNotFoundError when there is none."""
        found = await obstore.get_async(self._store, key)
        return _pieces(found)

    async def list(self, prefix: str) -> AsyncIterator[str]:
        """Names every file in the folder `prefix` and the folders in it, in no order."""
        async for found in obstore.list(self._store, prefix=prefix):
            for meta in found:
                yield meta["path"]

    async def signed_url(self, key: str, *, seconds: int = 3600) -> str | None:
        """Signs an address that fetches the file without a log-in for so long; None where the store has none (a folder)."""
        if not isinstance(self._store, S3Store | GCSStore | AzureStore):
            return None
        signed: str = await obstore.sign_async(self._store, "GET", key, timedelta(seconds=seconds))
        return signed

    async def delete(self, key: str) -> None:
        """Removes a file; one that is not there is as good as removed."""
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return


def _folder_of(url: str) -> Path | None:
    parsed = urlparse(url)
    if url and parsed.scheme != "file":
        return None
    return Path(unquote(parsed.path)) if url else Path("data/files").resolve()


def _sync(folder: Path, key: str) -> None:
    """Makes the disk hold the file and its name: the library writes it whole and gives it its name, and waits for neither."""
    path = folder / key
    for part in (path, *(above for above in path.parents if above.is_relative_to(folder))):
        handle = os.open(part, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


async def _pieces(found: "GetResult") -> AsyncIterator[bytes]:
    async for piece in found.stream():
        yield bytes(piece)
