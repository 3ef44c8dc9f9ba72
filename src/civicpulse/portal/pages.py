"""The public pages: shells filled by the JSON API, and the headers that keep them to this origin."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from civicpulse.base.tenancy import Tenant
from civicpulse.base.web import services_of
from civicpulse.portal.bundle import Bundle, BundleMissingError, BundleShelf

# Pages and files for everybody: these routes have no Caller, because they touch no tenant's data.
PUBLIC_PAGES = frozenset({"/", "/docs", "/track/{number}", "/static/{name}"})

NOT_BUILT = """The pages have not been built.

From a source checkout run `make setup` (it needs Node.js 20 or newer); an installed wheel brings them along.
The API works without them: see /openapi.json.
"""
NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")

_templates = Environment(
    loader=PackageLoader("civicpulse.portal"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_shelf = BundleShelf()


@lru_cache
def texts(language: str = "en") -> dict[str, str]:
    """Reads every text of the pages in `language`, by its key; pages and scripts share them."""
    loaded: dict[str, str] = json.loads((Path(__file__).parent / "texts" / f"{language}.json").read_text("utf-8"))
    return loaded


def text(key: str, **values: object) -> str:
    """Gives the text under `key` with its {placeholders} filled."""
    return texts()[key].format_map(values)


def tile_origin(tile_url: str) -> str:
    """Gives scheme and host of the optional tile server, for the Content-Security-Policy; empty without one."""
    parts = urlsplit(tile_url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") and parts.netloc else ""


def security_headers(tile_url: str) -> dict[str, str]:
    """Says what every page is allowed to do: talk to this origin, and to the tile server if one is set."""
    tiles = tile_origin(tile_url)
    policy = {
        "default-src": "'self'",
        "script-src": "'self'",
        "style-src": "'self'",
        # MapLibre's style sheet and its image decoding use data: and blob: pictures; neither can run code.
        "img-src": f"'self' data: blob: {tiles}".strip(),
        "connect-src": f"'self' {tiles}".strip(),
        "worker-src": "'self'",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Permissions-Policy": "geolocation=(self), camera=(), microphone=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }


async def tenant_of(request: Request) -> Tenant | None:
    """Finds the tenant named by `?t=`, else by the host, else the default one; None if there is none."""
    tenants = services_of(request).tenants
    if slug := request.query_params.get("t", "").strip():
        return await tenants.by_slug(slug)
    label = request.headers.get("host", "").split(":")[0].split(".")[0].lower()
    return await tenants.by_slug_if_known(label) or await tenants.default()


def _page(request: Request, name: str, tenant: Tenant | None, *, status: int = 200, **values: Any) -> Response:
    settings = services_of(request).settings
    bundle = _shelf.current()
    document = _templates.get_template(f"{name}.html").render(
        t=text,
        bundle=bundle,
        script=name,
        language="en",
        tenant=tenant,
        home_url=f"/?t={tenant.slug}" if tenant and "t" in request.query_params else "/",
        data=_page_data(request, bundle, tenant, settings.tile_url, **values),
        **values,
    )
    return HTMLResponse(document, status_code=status, headers=security_headers(settings.tile_url))


def _page_data(request: Request, bundle: Bundle, tenant: Tenant | None, tile_url: str, **values: Any) -> dict[str, Any]:
    return {
        "tenant": {"slug": tenant.slug, "name": tenant.name} if tenant else None,
        "query": f"?t={tenant.slug}" if tenant and "t" in request.query_params else "",
        "worker": bundle.url("worker"),
        "tiles": tile_url,
        "texts": texts(),
        **values,
    }


def _message(request: Request, tenant: Tenant | None, about: str) -> Response:
    values = {"heading": text(f"{about}.heading"), "explanation": text(f"{about}.explanation")}
    return _page(request, "message", tenant, status=404, **values)


async def home(request: Request) -> Response:
    """Serves the live public map."""
    tenant = await tenant_of(request)
    if tenant is None:
        return _message(request, None, "tenant.unknown" if "t" in request.query_params else "tenant.none")
    return _page(request, "home", tenant)


async def track(request: Request) -> Response:
    """Serves the page of one request, for whoever has its number."""
    tenant = await tenant_of(request)
    if tenant is None:
        return _message(request, None, "tenant.unknown" if "t" in request.query_params else "tenant.none")
    number = request.path_params["number"]
    if not NUMBER.fullmatch(number):
        return _message(request, tenant, "track.missing")
    return _page(request, "track", tenant, request_id=number)


async def reference(_request: Request) -> Response:
    """Serves the API reference (Swagger UI, from our own origin)."""
    bundle = _shelf.current()
    document = _templates.get_template("docs.html").render(
        style=bundle.url("docs_style"),
        script=bundle.url("docs_script"),
        start=bundle.url("docs_start"),
        icon=bundle.url("icon"),
    )
    headers = security_headers("")
    # Swagger UI writes style attributes; scripts stay bound to our own files.
    headers["Content-Security-Policy"] = headers["Content-Security-Policy"].replace(
        "style-src 'self'", "style-src 'self' 'unsafe-inline'"
    )
    return HTMLResponse(document, headers=headers)


async def static(request: Request) -> Response:
    """Serves one file of the bundle."""
    return _shelf.answer(request, request.path_params["name"])


async def _not_built(_request: Request, _error: Exception) -> Response:
    return Response(NOT_BUILT, status_code=503, media_type="text/plain")


def mount_portal(app: FastAPI) -> None:
    """Adds the pages and their static files to `app`."""
    app.add_exception_handler(BundleMissingError, _not_built)
    pages = {"/": home, "/docs": reference, "/track/{number}": track, "/static/{name}": static}
    for path, page in pages.items():
        app.add_api_route(path, page, methods=["GET", "HEAD"], include_in_schema=False, response_model=None)
