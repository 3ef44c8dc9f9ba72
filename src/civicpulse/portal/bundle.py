"""The built scripts and styles of the pages: what the manifest names, and how the files are served."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

DIST = Path(__file__).with_name("static") / "dist"
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
# In the order of preference; the build writes both beside each file.
ENCODINGS = {"br": ".br", "gzip": ".gz"}
# A hashed name never changes its content.
FOREVER = "public, max-age=31536000, immutable"


class BundleMissingError(Exception):
    """The bundle has not been built: from a source checkout `make setup` builds it; wheels carry it."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One build: the manifest and the bytes of every file, read once."""

    manifest: dict[str, Any]
    contents: dict[str, bytes]
    built_ns: int

    def url(self, name: str) -> str:
        """Gives the address of a plain file: `style`, `worker` or `icon`."""
        return f"/static/{self.manifest['files'][name]}"

    def script(self, name: str) -> str:
        """Gives the address of a page's script."""
        return f"/static/{self.manifest['scripts'][name]['js']}"

    def preload(self, name: str) -> list[str]:
        """Gives the addresses of the parts that a page's script loads later."""
        return [f"/static/{part}" for part in self.manifest["scripts"][name]["preload"]]


class BundleShelf:
    """The current build in `folder`; a newer build is noticed."""

    def __init__(self, folder: Path = DIST) -> None:
        self._folder = folder
        self._bundle: Bundle | None = None

    def current(self) -> Bundle:
        """Reads the build that is on disk now. Raises BundleMissingError."""
        manifest = self._folder / "manifest.json"
        try:
            built_ns = manifest.stat().st_mtime_ns
            if self._bundle is None or self._bundle.built_ns != built_ns:
                contents = {path.name: path.read_bytes() for path in self._folder.iterdir() if path.is_file()}
                self._bundle = Bundle(json.loads(contents["manifest.json"]), contents, built_ns)
        except FileNotFoundError:
            raise BundleMissingError from None
        return self._bundle

    def answer(self, request: Request, name: str) -> Response:
        """Sends the file called `name`, compressed as the browser likes it, or 404."""
        contents = self.current().contents
        suffix = Path(name).suffix
        if name not in contents or suffix not in TYPES:
            return Response("There is no such file.", status_code=404, media_type="text/plain")
        headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
        content, media_type = contents[name], TYPES[suffix]
        accepted = {part.split(";")[0].strip() for part in request.headers.get("accept-encoding", "").split(",")}
        for encoding, ending in ENCODINGS.items():
            if encoding in accepted and name + ending in contents:
                content, headers["Content-Encoding"] = contents[name + ending], encoding
                break
        return Response(content, headers=headers, media_type=media_type)
