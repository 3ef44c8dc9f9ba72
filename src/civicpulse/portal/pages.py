"""The public pages."""

from fastapi import FastAPI


def mount_portal(app: FastAPI) -> None:
    """Adds the pages and their static files to `app`."""
