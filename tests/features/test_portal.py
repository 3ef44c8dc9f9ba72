"""The pages over HTTP: who they speak for, what they allow, how their files are served."""

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from civicpulse.portal import pages
from civicpulse.portal.bundle import BundleShelf
from conftest import City

PORTAL = Path(pages.__file__).parent
ROOT = PORTAL.parents[2]
SCRIPT = b"export const greeting = 'hello';"


def write_bundle(folder: Path) -> BundleShelf:
    """A build as the bundler writes it, without the bundler."""
    files = {"style": "pages-1.css", "worker": "map-worker-1.mjs", "icon": "icon-1.svg"}
    names = ("theme", "home", "track", "message")
    scripts = {name: {"js": f"{name}-1.js", "preload": ["part-1.js"]} for name in names}
    manifest = {"inputs": "", "files": files, "scripts": scripts}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "home-1.js").write_bytes(SCRIPT)
    (folder / "home-1.js.gz").write_bytes(gzip.compress(SCRIPT))
    return BundleShelf(folder)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BundleShelf:
    """Pages that use a build of this test's."""
    made = write_bundle(tmp_path)
    monkeypatch.setattr(pages, "_shelf", made)
    return made


@pytest.fixture
async def visitor(app: FastAPI, shelf: BundleShelf) -> httpx.AsyncClient:
    """A browser that names no tenant."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://portal.test")


def data_of(document: str) -> dict[str, Any]:
    """What the server put into the page for its scripts."""
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', document, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


async def test_the_home_page_speaks_for_the_tenant_that_the_address_names(
    visitor: httpx.AsyncClient, city: City, other_city: City
) -> None:
    for wanted in (city, other_city):
        answer = await visitor.get("/", params={"t": wanted.tenant.slug})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert data_of(answer.text)["tenant"]["slug"] == wanted.tenant.slug
        assert f'href="/?t={wanted.tenant.slug}"' in answer.text
    by_host = await visitor.get("/", headers={"Host": f"{city.tenant.slug}.example.org"})
    assert data_of(by_host.text)["tenant"]["slug"] == city.tenant.slug
    assert data_of(by_host.text)["query"] == ""


async def test_an_unknown_tenant_gets_a_page_that_says_so(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get("/", params={"t": "atlantis"})
    assert answer.status_code == 404
    assert "No such place" in answer.text


async def test_pages_allow_only_their_own_origin(visitor: httpx.AsyncClient, city: City) -> None:
    for path in ("/", "/track/CST-2026-000001"):
        answer = await visitor.get(path, params={"t": city.tenant.slug})
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "strict-origin-when-cross-origin"
        assert answer.headers["cache-control"] == "no-cache"


async def test_pages_hold_no_inline_script_style_or_foreign_address(visitor: httpx.AsyncClient, city: City) -> None:
    for path in ("/", "/track/CST-2026-000001"):
        document = (await visitor.get(path, params={"t": city.tenant.slug})).text
        markup = re.sub(r'<script type="application/json".*?</script>', "", document, flags=re.DOTALL)
        assert re.findall(r"<script(?![^>]*\ssrc=)", markup) == []
        assert re.findall(r'\s(?:style|on\w+)="', markup) == []
        assert re.findall(r'(?:src|href)="(?:https?:)?//', markup) == []


def test_a_tile_server_is_let_in_by_its_origin_alone() -> None:
    policy = pages.security_headers("https://tiles.example.org/{z}/{x}/{y}.png")["Content-Security-Policy"]
    assert "img-src 'self' data: blob: https://tiles.example.org;" in policy
    assert "connect-src 'self' https://tiles.example.org;" in policy
    assert "script-src 'self';" in policy
    assert pages.tile_origin("javascript:alert(1)") == ""
    assert pages.tile_origin("") == ""


async def test_a_hostile_name_cannot_become_markup(visitor: httpx.AsyncClient, city: City) -> None:
    name = "</script><script>alert('x')</script>"
    async with city.transaction() as tx:
        await tx.run(
            "UPDATE tenants SET name = %(name)s WHERE tenant_id = %(tenant_id)s",
            {"name": name, "tenant_id": tx.tenant_id},
        )
    await city.services.tenants.refresh()
    document = (await visitor.get("/", params={"t": city.tenant.slug})).text
    assert "<script>alert" not in document
    assert data_of(document)["tenant"]["name"] == name


async def test_a_tracking_page_exists_for_what_looks_like_a_number_only(visitor: httpx.AsyncClient, city: City) -> None:
    params = {"t": city.tenant.slug}
    answer = await visitor.get("/track/CST-2026-000001", params=params)
    assert answer.status_code == 200
    assert data_of(answer.text)["request_id"] == "CST-2026-000001"
    for odd in ("%3Cscript%3E", "a" * 41, "-", "CST%202026"):
        assert (await visitor.get(f"/track/{odd}", params=params)).status_code == 404


async def test_head_is_answered_like_get(visitor: httpx.AsyncClient, city: City) -> None:
    answer = await visitor.head("/", params={"t": city.tenant.slug})
    assert answer.status_code == 200
    assert answer.content == b""


async def test_files_with_hashed_names_are_kept_for_ever_and_sent_compressed(visitor: httpx.AsyncClient) -> None:
    plain = await visitor.get("/static/home-1.js", headers={"Accept-Encoding": "identity"})
    assert plain.content == SCRIPT
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["x-content-type-options"] == "nosniff"
    squeezed = await visitor.get("/static/home-1.js", headers={"Accept-Encoding": "gzip;q=0.8, zstd"})
    assert squeezed.headers["content-encoding"] == "gzip"
    assert squeezed.headers["vary"] == "Accept-Encoding"
    assert squeezed.content == SCRIPT


@pytest.mark.parametrize("name", ["missing.js", "manifest.json", "home-1.js.gz", "..%2F..%2Fpages.py"])
async def test_nothing_but_the_bundle_s_files_is_served(visitor: httpx.AsyncClient, name: str) -> None:
    assert (await visitor.get(f"/static/{name}")).status_code == 404


async def test_a_new_build_is_noticed_without_a_restart(
    visitor: httpx.AsyncClient, tmp_path: Path, shelf: BundleShelf
) -> None:
    assert (await visitor.get("/static/late-1.js")).status_code == 404
    (tmp_path / "late-1.js").write_bytes(b"1")
    later = (tmp_path / "manifest.json").stat().st_mtime + 10
    os.utime(tmp_path / "manifest.json", (later, later))
    assert (await visitor.get("/static/late-1.js")).content == b"1"


async def test_without_a_build_every_page_says_how_to_make_one(
    visitor: httpx.AsyncClient, city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_shelf", BundleShelf(tmp_path / "nothing"))
    for path in ("/", "/track/CST-2026-000001", "/static/home-1.js"):
        answer = await visitor.get(path, params={"t": city.tenant.slug})
        assert answer.status_code == 503
        assert "make setup" in answer.text


def used_keys() -> tuple[set[str], set[str]]:
    """Keys that templates and scripts name in full, and beginnings that they complete at run time."""
    whole, begun = set(), set()
    for path in [
        *(PORTAL / "templates").rglob("*.html"),
        *(PORTAL / "assets" / "js").rglob("*.js"),
        PORTAL / "pages.py",
    ]:
        source = path.read_text("utf-8")
        whole |= set(re.findall(r'"([a-z_]+(?:\.[a-z_0-9]+)+)"', source)) | set(
            re.findall(r"'([a-z_]+(?:\.[a-z_0-9]+)+)'", source)
        )
        whole |= set(re.findall(r"""\bt\(["']([a-z_.]+)["'][,)]""", source))
        begun |= set(re.findall(r'"([a-z_.]+\.)" ~', source)) | set(re.findall(r"`([a-z_.]+\.)\$", source))
    return whole, begun


def test_every_text_that_is_used_exists_and_every_text_is_used() -> None:
    whole, begun = used_keys()
    known = set(pages.texts())
    rooms = {key.partition(".")[0] for key in known}
    named = {key for key in whole if key.partition(".")[0] in rooms and not key.endswith(".html")}
    # A name that only begins keys is completed at run time, as plurals are.
    assert {
        key for key in named if key not in known and not any(other.startswith(f"{key}.") for other in known)
    } == set()
    beginnings = tuple(begun | {f"{key}." for key in named - known})
    assert {key for key in known - whole if not key.startswith(beginnings)} == set()


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
