"""The PostgreSQL that comes with the package."""

from civicpulse.base.embedded.server import (
    DATABASE,
    EmbeddedServerError,
    beside,
    binaries,
    embedded_server,
    is_made,
    make_folder,
    revive,
)

__all__ = [
    "DATABASE",
    "EmbeddedServerError",
    "beside",
    "binaries",
    "embedded_server",
    "is_made",
    "make_folder",
    "revive",
]
