"""An address of evidence becomes a link on pages: it leads to the web or to a file of ours, and nowhere else (R-DOOR-03)."""

import pytest
from builders import create, report
from tests_support import problem

from conftest import City

OURS = "/evidence/0190a5c2-7b1e-7c3a-8f00-0123456789ab"
GOOD = (
    "https://example.org/after.jpg",
    "http://example.org:8080/a/b.png?size=2&x=%20#top",
    "https://xn--bcher-kva.example/ä.jpg",
    "https://[2001:db8::1]/a.jpg",
    OURS,
)
BAD = (
    "file:///etc/passwd",
    "//evil.example/a.jpg",
    "javascript:alert(1)",
    "JavaScript:alert(1)//https://example.org",
    "data:text/html,<script>1</script>",
    "s3://bucket/key",
    "https://",
    "https:///a.jpg",
    "https://:443/a.jpg",
    "https://user:secret@example.org/a.jpg",
    "https://example.org@evil.example/a.jpg",
    "https://example.org:99999999/a.jpg",
    "https://[::1/a.jpg",
    'https://example.org/"onerror="alert(1)',
    "https://example.org/'x",
    "https://example.org/<script>",
    "https://example.org/a b.jpg",
    "https://example.org/a\nb.jpg",
    "https:\\\\example.org\\a.jpg",
    "/etc/passwd",
    "/evidence/../tokens",
    OURS + "/../../tokens",
    "",
)


def with_evidence(url: str) -> dict[str, object]:
    return report(evidence=[{"type": "photo", "url": url, "sha256": "0" * 64}])


@pytest.mark.parametrize("url", GOOD)
async def test_addresses_of_the_web_and_of_our_own_files_are_taken(city: City, url: str) -> None:
    document = await create(await city.client(), **with_evidence(url))
    assert [item["url"] for item in document["evidence"]] == [url]


@pytest.mark.parametrize("url", BAD)
async def test_any_other_address_is_refused_by_its_field(city: City, url: str) -> None:
    answer = await (await city.client()).post("/requests", json=with_evidence(url))
    problem(answer, 422, "invalid")
    assert answer.json()["errors"][0]["field"] == "evidence.0.url"
