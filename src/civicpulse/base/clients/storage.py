"""Files: a folder by default, S3, MinIO, Google or Azure by URL; one interface for all of them (obstore)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

import obstore
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store, from_url

if TYPE_CHECKING:
    from obstore import GetResult


class Storage:
    """Keeps files under keys such as `TENANT/evidence/ID`. `url`: file:///folder, s3://bucket/prefix, gs://…, az://….

    Credentials come from the variables of the service (AWS_ACCESS_KEY_ID, …). Without a URL: the folder ./data/files.
    """

    def __init__(self, url: str = "") -> None:
        self._store: ObjectStore = _open(url)

    async def put(self, key: str, data: bytes) -> None:
        """Writes a file whole; the same key again replaces it."""
        await obstore.put_async(self._store, key, data)

    async def put_pieces(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        """Writes a file that comes piece by piece and is never held as a whole; the same key again replaces it."""
        await obstore.put_async(self._store, key, pieces)

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """Reads the file piece by piece. Raises FileNotFoundError when there is none."""
        found = await obstore.get_async(self._store, key)
        return _pieces(found)

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


def _open(url: str) -> ObjectStore:
    parsed = urlparse(url)
    if url and parsed.scheme != "file":
        return from_url(url)
    return LocalStore(Path(unquote(parsed.path)) if url else Path("data/files").resolve(), mkdir=True)


async def _pieces(found: "GetResult") -> AsyncIterator[bytes]:
    async for piece in found.stream():
        yield bytes(piece)
