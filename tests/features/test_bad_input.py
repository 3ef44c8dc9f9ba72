"""Whatever is sent: a problem document with a 4xx, or it is kept faithfully. Never a 5xx."""

import base64
import json
import math
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from builders import add_agent, create, report
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests_support import problem

from civicpulse.base.web import TransactionRoute
from conftest import City

JSON = {"Content-Type": "application/json"}
LONG = "x" * 1_000_000


def body(**changes: Any) -> str:
    """A report as JSON text; an Ellipsis leaves the field out."""
    return json.dumps({key: value for key, value in report(**changes).items() if value is not ...})


def place(coordinates: str) -> str:
    """A report whose coordinates are that JSON text."""
    return body().replace("[-74.0, 40.71]", coordinates)


UNREADABLE = {
    "empty": "",
    "blank": "   ",
    "cut off": body()[:-5],
    "two documents": body() + body(),
    "single quotes": "{'category': 'pothole'}",
    "comment": body() + "// done",
    "bare word": "pothole",
    "not utf-8": b'{"category": "\xff\xfe"}',
    "deep arrays": "[" * 200_000 + "]" * 200_000,
    "deep objects": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "an integer of 10,000 digits": place(f"[{'9' * 10_000}, 1]"),
}
UNUSABLE = {
    "null": "null",
    "array": "[]",
    "string": '"report"',
    "number": "311",
    "true": "true",
    "empty object": "{}",
    "unknown field": body(colour="red"),
    "no category": body(category=...),
    "no description": body(description=...),
    "no location": body(location=...),
    "null description": body(description=None),
    "description number": body(description=5),
    "description list": body(description=["a"]),
    "blank description": body(description=" \n\t "),
    "one megabyte": body(description=LONG),
    "category list": body(category=["pothole"]),
    "unknown category": body(category="unheard_of"),
    "category of other case": body(category="Pothole"),
    "empty category": body(category=""),
    "long category": body(category=LONG),
    "tags string": body(tags="school"),
    "tags of numbers": body(tags=[1, 2]),
    "too many tags": body(tags=["t"] * 51),
    "empty tag": body(tags=[""]),
    "unknown priority": body(priority="P0"),
    "unknown channel": body(citizen_ref={"contact_channel": "pigeon"}),
    "citizen not a uuid": body(citizen_ref={"citizen_id": "1234"}),
    "citizen anonymous": body(citizen_ref={"citizen_id": str(uuid4()), "anonymous": True}),
    "nul in text": body(description="a\x00b"),
    "nul in category": body(category="pot\x00hole"),
    "nul in tag": body(tags=["\x00"]),
    "nul in sub category": body(sub_category="\x00"),
    "nul in asset": body(asset_id="\x00"),
    "nul in hint": body(location={"coordinates": [1, 1], "address_hint": "\x00"}),
    "nul in evidence": body(evidence=[{"type": "photo", "url": "https://x/\x00", "sha256": "a" * 64}]),
    "half a pair in text": body(description="a\ud800b"),
    "half a pair in key": body(**{"\udc00": 1}),
    "half a pair in tag": body(tags=["\udfff"]),
    "half a pair in channel": body(citizen_ref={"contact_channel": "\ud800"}),
    "evidence without hash": body(evidence=[{"type": "photo", "url": "https://x/y"}]),
    "evidence of a script": body(evidence=[{"type": "photo", "url": "javascript:alert(1)", "sha256": "a" * 64}]),
    "polygon": body(location={"type": "Polygon", "coordinates": [[1, 1]]}),
    "location list": body(location=[1, 1]),
    "no coordinates": body(location={"type": "Point"}),
    **{
        f"coordinates {text}": place(text)
        for text in (
            "null", "[]", "[1]", "[1, 2, 3, 4]", "[181, 0]", "[-180.0001, 0]", "[0, 90.0001]", "[0, -91]", "[40.71, -174.0]",
            "[NaN, 1]", "[1, NaN]", "[Infinity, 0]", "[0, -Infinity]", "[1e999, 0]", "[0, -1e999]", '["a", "b"]',
            "[[1], [2]]", "[[1, 2]]", "[null, 1]", '{"lon": 1, "lat": 2}', '"1,2"', "[1e308, 1e308]", f"[{'9' * 400}, 0]",
            "[1, 2, NaN]", "[1, 2, 1e999]",
        )
    },
}  # fmt: skip


async def test_a_body_that_is_not_json_is_a_400(city) -> None:
    anybody = await city.client()
    for name, content in UNREADABLE.items():
        answer = await anybody.post("/requests", content=content, headers=JSON)
        assert answer.status_code in ((400, 422) if not str(content or "").strip() else (400,)), name
        problem(answer, answer.status_code)
    assert (await anybody.get("/requests")).json()["items"] == []


async def test_a_body_that_cannot_be_used_is_a_422_that_names_the_field(city) -> None:
    anybody = await city.client()
    for name, content in UNUSABLE.items():
        answer = await anybody.post("/requests", content=content, headers=JSON)
        assert answer.status_code == 422, (name, answer.status_code, answer.text[:200])
        document = problem(answer, 422)
        assert len(answer.content) < 20_000, f"{name}: the answer does not carry the input back"
        assert document.get("errors") or "nul" in name or "citizen" in name, (name, document)
    assert (await anybody.get("/requests")).json()["items"] == []


async def test_swapped_coordinates_are_told_so(city) -> None:
    answer = await (await city.client()).post("/requests", content=place("[40.71, -174.0]"), headers=JSON)
    assert "swapped" in json.dumps(problem(answer, 422)["errors"])


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_another_content_type_is_refused(city, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await (await city.client()).post("/requests", content=body().encode(), headers=headers)
    assert answer.status_code in (201, 415, 422) if content_type is None else answer.status_code in (400, 415, 422)
    if answer.status_code != 201:
        problem(answer, answer.status_code)


async def _pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 65_536


async def test_a_body_of_three_megabytes_is_too_large(city) -> None:
    anybody = await city.client()
    problem(await anybody.post("/requests", content=b"x" * 3_000_000, headers=JSON), 413, "too_large")
    # In pieces, without a declared length, too.
    problem(await anybody.post("/requests", content=_pieces(48), headers=JSON), 413, "too_large")


async def test_the_last_of_two_equal_keys_counts(city) -> None:
    twice = body().replace('"description":', '"description": "first", "description":')
    answer = await (await city.client()).post("/requests", content=twice, headers=JSON)
    assert answer.json()["description"] == report()["description"]


WORTH_KEEPING = [
    "מהמורה גדולה ברחוב הרצל",
    "حفرة كبيرة في شارع الملك فهد ‏(خطر)‏",
    "Яма на дороге, ҚЫЗЫЛОРДА",
    "道路に大きな穴 🕳️ 👨‍👩‍👧‍👦 🇰🇿",
    "\u202eoverride\u202c and \u200bzero width",
    "e\u0301 is not é",
    "  leading and trailing  ",
    "line\r\nbreaks\ttabs\x07\x1b[31m",
    "<script>alert('x')</script> & ' \" \\ %s {0} ${x} '; DROP TABLE requests; --",
    "\ufeff\ufffe\uffff\U0010ffff",
    "x" * 20_000,
    "🕳" * 20_000,
    " ".join(f"w{index}" for index in range(3_500)),
]


@pytest.mark.parametrize("text", WORTH_KEEPING, ids=range(len(WORTH_KEEPING)))
async def test_any_script_and_sign_is_kept_as_it_was_sent(city, text: str) -> None:
    staff = await city.client("dispatcher")
    location = {"type": "Point", "coordinates": [1, 1], "address_hint": text[:200]}
    made = await staff.post("/requests", json=report(description=text, tags=[text[:100]], location=location))
    assert made.status_code == 201, made.text[:300]
    document = (await staff.get(f"/requests/{made.json()['request_id']}")).json()
    assert document["description"] == text
    assert document["tags"] == [text[:100]]
    assert document["location"]["address_hint"] == text[:200]
    commented = await staff.post(f"/requests/{document['request_id']}/comment", json={"message": text})
    assert commented.status_code == 201
    events = (await staff.get(f"/requests/{document['request_id']}/events")).json()["items"]
    assert events[-1]["meta"]["message"] == text
    found = await staff.get("/requests", params={"q": text[:500]})
    assert found.status_code == 200, found.text


# ------------------------------------------------------------------------------------------------ queries and paths

BAD_QUERIES = [
    "limit=0", "limit=501", "limit=-1", "limit=abc", "limit=1.5", "limit=99999999999999999999999", "limit=", "limit=NaN",
    "cursor=x", "cursor=%00", "cursor=💥", "cursor=bnVsbA", "cursor=e30", "cursor=MQ", "cursor=W10",
    "sort=unknown", "sort=-", "sort=--created_at", "sort=", "sort=id;drop", "sort=created_at,priority",
    "bbox=1,2,3", "bbox=a,b,c,d", "bbox=nan,nan,nan,nan", "bbox=-181,0,0,0", "bbox=0,10,0,0", "bbox=0,0,0,91",
    "bbox=inf,0,1,1", "bbox=", "bbox=1,2,3,4,5", "bbox=1e999,0,1,1",
    "from=yesterday", "from=0001-01-01", "from=2026-13-01", "from=2026-02-30", "from=0000-01-01", "from=2026-01-01T00:00:00",
    "from=10000-01-01T00:00:00Z", "from=-1", "from=0", "from=2026", "from=2026.5", "to=2026-01-01T25:00:00Z",
    "to=2026-01-01T00:00:00%2B99:00", "from=", "from=%00",
    "from=0001-01-01T00:00:00%2B23:59", "to=9999-12-31T23:59:59-23:59", "to=9999-12-31", "to=9901-01-01", "from=1e400", "from=999999999999999999",
    "merged=maybe", "total=perhaps", "mine=2", "citizen_id=1234", "citizen_id=%00", f"q={'x' * 501}", "agent=nobody", "agent=%00",
    "status=unheard_of", "category=💥", "source=%27", "unknown=1", "page=1",
]  # fmt: skip

FINE_QUERIES = [
    "from=1000-01-01", "to=9900-12-31", "from=2026-01-01T00:00:00+02:00", "from=2026-01-01T00:00:00%2B02:00", "q=%22", "q=%26%7C!()",
    "q=or", "q=-", "q=%27", "q=%F0%9F%95%B3",
    "q=",
    "bbox=-180,-90,180,90", "bbox=10,0,0,0", "limit=500", "limit=1&limit=2", "q=%ED%A0%80", "status=,,,",
]  # fmt: skip


async def test_a_query_that_cannot_be_used_is_a_422(city) -> None:
    staff = await city.client("admin")
    await create(staff)
    for query in BAD_QUERIES:
        answer = await staff.get(f"/requests?{query}")
        assert answer.status_code == 422, (query, answer.status_code, answer.text[:200])
        problem(answer, 422)


@pytest.mark.parametrize("path", [
    "/analytics/kpis", "/analytics/cohorts", "/analytics/agents", "/scores", "/sla-metrics", "/requests", "/issues", "/tickets",
    "/dashboard/stats",
])  # fmt: skip
@pytest.mark.parametrize("name", ["from", "to"])
async def test_a_day_at_the_end_of_the_calendar_is_refused_everywhere(city, path: str, name: str) -> None:
    """Whatever is added to a day of the years that are taken, it stays within the calendar."""
    staff = await city.client("admin")
    for day in ("9999-12-30", "9999-12-31", "9901-01-01", "0999-12-31", "0001-01-01"):
        assert problem(await staff.get(path, params={name: day}), 422)["errors"][0]["field"] == name
    for day in ("9900-12-31", "1000-01-01"):
        assert (await staff.get(path, params={name: day})).status_code in (200, 422)  # 422: too long for cohorts


async def test_an_unusual_query_is_answered(city) -> None:
    staff = await city.client("admin")
    await create(staff)
    for query in FINE_QUERIES:
        answer = await staff.get(f"/requests?{query}")
        assert answer.status_code == 200, (query, answer.status_code, answer.text[:200])


async def test_nul_and_broken_signs_in_any_query_are_a_4xx(city) -> None:
    staff = await city.client("admin")
    for name in ("status", "category", "priority", "zone", "sla_state", "agent", "q", "source", "external_id"):
        answer = await staff.get(f"/requests?{name}=a%00b")
        problem(answer, answer.status_code)
        assert answer.status_code in (400, 422), (name, answer.text)


BAD_NUMBERS = [
    "%00",
    "a%00b",
    "CST-2026-999999",
    "%ED%A0%80",
    "%FF",
    "x" * 5000,
    "💥",
    "%20",
    "'",
    "%25",
    "a%2Fb",
    str(uuid4()),
]
ACTIONS = {
    "transition": ("PATCH", {"to": "triaged"}),
    "milestone": ("PATCH", {"milestone": "arrived"}),
    "escalate": ("POST", {"reason": "x"}),
    "auto-assign": ("POST", None),
    "comment": ("POST", {"message": "x"}),
    "rating": ("POST", {"rating": 1}),
    "merge": ("POST", {"other": "x"}),
    "unmerge": ("POST", None),
    "events": ("GET", None),
    "sla": ("GET", None),
}


async def test_a_number_that_is_none_is_a_404_everywhere(city) -> None:
    staff = await city.client("admin")
    for number in BAD_NUMBERS:
        answers = [await staff.get(f"/requests/{number}")]
        for verb, (method, sent) in ACTIONS.items():
            answers.append(await staff.request(method, f"/requests/{number}/{verb}", json=sent))
        for kind in ("citizens", "agents", "zones"):
            answers.append(await staff.get(f"/{kind}/{number}"))
        for answer in answers:
            assert answer.status_code in (404, 405, 422), (answer.request.url, answer.status_code, answer.text[:200])
            problem(answer, answer.status_code)


async def test_a_path_or_method_that_is_none_is_a_problem_document(city) -> None:
    staff = await city.client("admin")
    problem(await staff.get("/no/such/thing"), 404, "not_found")
    problem(await staff.delete("/requests"), 405, "method_not_allowed")
    problem(await staff.get("/%00"), 404)
    problem(await staff.get("/api/api/requests"), 404)


BAD_HEADERS = [
    {"Idempotency-Key": "x" * 201},
    {"Idempotency-Key": ""},
    {"Idempotency-Key": "x" * 100_000},
    {"Authorization": "Bearer "},
    {"Authorization": "Basic eDp5"},
    {"Authorization": "Bearer unknown"},
    {"Authorization": "Bearer \u00ff"},
    {"Authorization": "Bearer " + "x" * 100_000},
    {"X-Tenant": "nobody"},
    {"X-Tenant": "\u00e9"},
    {"X-Tenant": "x" * 100_000},
]


async def test_a_header_that_cannot_be_used_is_a_4xx(city) -> None:
    anybody = await city.client()
    for headers in BAD_HEADERS:
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        answer = await anybody.post("/requests", json=report(), headers=encoded)
        assert 400 <= answer.status_code < 500, (headers, answer.text[:200])
        problem(answer, answer.status_code)


async def test_any_sign_in_a_key_is_a_key(city) -> None:
    anybody = await city.client()
    for key in ("\u00e9\u00ff".encode("latin-1"), b"a b", b"'; --", b"x" * 200):
        first = await anybody.post("/requests", json=report(category="tree_pruning"), headers={"Idempotency-Key": key})
        again = await anybody.post("/requests", json=report(category="tree_pruning"), headers={"Idempotency-Key": key})
        assert (first.status_code, again.status_code) == (201, 200)


@pytest.mark.parametrize("value", ["x", '"x"', "\u00b2", "-1", "1.5", "9" * 40, '"1 2"', "W/", "", "\u0661"])
async def test_a_version_that_is_none_is_refused(city, value: str) -> None:
    staff = await city.client("admin")
    number = (await create(staff))["request_id"]
    sent = value.encode("latin-1") if value.isascii() or value == "\u00b2" else value.encode()
    answer = await staff.patch(f"/requests/{number}/transition", json={"to": "triaged"}, headers={"If-Match": sent})
    assert answer.status_code in (412, 422), answer.text
    problem(answer, answer.status_code)


BAD_CALLS = [
    ("transition", {}), ("transition", {"to": None}), ("transition", {"to": ""}), ("transition", {"to": "a\x00"}),
    ("transition", {"to": "triaged", "colour": 1}), ("transition", {"to": "triaged", "category": "unheard_of"}),
    ("transition", {"to": "triaged", "assigned_agent_id": "nobody"}), ("transition", {"to": "triaged", "priority": 1}),
    ("transition", {"to": "triaged", "sla_policy": "none"}), ("transition", {"to": "triaged", "note": "\x00"}),
    ("transition", {"to": "triaged", "assigned_agent_id": "\x00"}), ("transition", {"to": "triaged", "checklist": 5}),
    ("transition", {"to": "triaged", "reason": "a\x00"}), ("transition", {"to": "triaged", "zone_id": "\x00"}),
    ("milestone", {}), ("milestone", {"milestone": "tea"}), ("milestone", {"milestone": "\x00"}),
    ("escalate", {}), ("escalate", {"reason": ""}), ("escalate", {"reason": "\x00"}), ("escalate", {"reason": LONG}),
    ("escalate", {"reason": "\ud800"}), ("comment", {"message": ""}), ("comment", {"message": "\x00"}),
    ("comment", {"message": LONG}), ("comment", {"message": "x", "parent_comment_id": "1"}),
    ("comment", {"message": "x", "parent_comment_id": str(uuid4())}), ("comment", {"message": "\udc00"}),
    ("rating", {"rating": 0}), ("rating", {"rating": 6}), ("rating", {"rating": 4.5}), ("rating", {"rating": "5"}),
    ("rating", {"rating": True}), ("rating", {"rating": 10**30}), ("rating", {"rating": 5, "reason_codes": "x"}),
    ("merge", {}), ("merge", {"other": 5}), ("merge", {"other": "\x00"}), ("merge", {"other": "CST-1"}),
]  # fmt: skip


async def test_a_call_that_cannot_be_used_is_a_422_and_changes_nothing(city) -> None:
    staff = await city.client("admin")
    number = (await create(staff))["request_id"]
    before = (await staff.get(f"/requests/{number}")).content
    for verb, sent in BAD_CALLS:
        method = ACTIONS[verb][0]
        answer = await staff.request(method, f"/requests/{number}/{verb}", content=json.dumps(sent), headers=JSON)
        assert answer.status_code == 422, (verb, str(sent)[:80], answer.status_code, answer.text[:200])
        problem(answer, 422)
    assert (await staff.get(f"/requests/{number}")).content == before


async def test_files_that_cannot_be_used_are_a_4xx(city) -> None:
    staff = await city.client("admin")
    number = (await create(staff))["request_id"]
    parts = "multipart/form-data; boundary=x"
    good = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n--x--\r\n'
    for content_type, content in {
        ("application/json", b"{}"),
        ("application/json", b"{"),
        ("multipart/form-data", good),
        (parts, b""),
        (parts, b"garbage"),
        (parts, good[:-20]),
        (parts, good.replace(b"form-data; name", b"form-data; nume")),
        (parts, good.replace(b"abc", b"")),
        (parts, good.replace(b'; filename="a"', b"")),
        ("application/x-www-form-urlencoded", b"file=abc"),
    }:
        answer = await staff.post(
            f"/requests/{number}/evidence", content=content, headers={"Content-Type": content_type}
        )
        assert 400 <= answer.status_code < 500, (content_type, content, answer.text[:200])
        problem(answer, answer.status_code)
    for name in ("a\x00b", "..\\..\\x", "\u202egnp.exe", "x" * 5000, '"; x="', "\ud800"):
        raw = good.replace(b'"a"', f'"{name}"'.encode("utf-8", "surrogatepass"))
        answer = await staff.post(f"/requests/{number}/evidence", content=raw, headers={"Content-Type": parts})
        assert answer.status_code < 500, (name, answer.text[:200])
    problem(await staff.get("/evidence/1234"), 422)
    problem(await staff.get(f"/evidence/{uuid4()}"), 404)


# ------------------------------------------------------------------------------------------------------ by chance

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30),
    st.sampled_from(["pothole", "P1", "triaged", "closed", "\x00", "\ud800", "💥", "CST-2026-000001", "9" * 50, "", " ", -1, 1e308]),
)  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = {
    "requests": [*report(), "tags", "priority", "sub_category", "evidence", "asset_id", "external_id", "is_public"],
    "reports": [
        "citizen_ref",
        "description",
        "location",
        "tags",
        "evidence",
        "asset_id",
        "external_id",
        "is_public",
        "submitted_at",
    ],
    "transition": [
        "to",
        "category",
        "priority",
        "zone_id",
        "tags",
        "assigned_agent_id",
        "evidence",
        "checklist",
        "reason",
        "note",
    ],
    "milestone": ["milestone", "evidence", "note"],
    "escalate": ["reason"],
    "comment": ["message", "parent_comment_id", "internal"],
    "rating": ["rating", "reason_codes", "comment", "dispute_flag"],
    "merge": ["other", "force"],
    "citizens": ["full_name", "contacts", "preferences", "address"],
    "agents": ["agent_code", "name", "skills", "coverage", "schedule", "contacts", "roles", "active"],
}
VALID: dict[str, Any] = {
    "requests": report(),
    "reports": {"description": "A hole", "location": "Library"},
    "citizens": {"full_name": "Ada"},
    "agents": {"agent_code": "AG-9", "name": "A", "schedule": {"timezone": "UTC"}},
    **{verb: sent for verb, (_, sent) in ACTIONS.items() if sent},
}


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, str]:
    """(what, JSON text): a valid body with one to three fields replaced by anything, or anything at all."""
    what = draw(st.sampled_from(sorted(FIELDS)))
    if draw(st.integers(0, 9)) == 0:
        return what, json.dumps(draw(anything))
    sent = dict(VALID[what])
    sent |= draw(st.dictionaries(st.sampled_from(FIELDS[what]), anything, min_size=1, max_size=3))
    return what, json.dumps(sent)


def sound(answer: httpx.Response) -> None:
    """A success, or a problem document of a 4xx."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        problem(answer, answer.status_code)


QUICK = settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
async def target(city: City) -> tuple[httpx.AsyncClient, str]:
    """An admin and the number of a request."""
    admin = await city.client("admin")
    await add_agent(admin)
    return admin, (await create(admin))["request_id"]


@QUICK
@given(call=calls())
async def test_no_body_breaks_anything(target, call: tuple[str, str]) -> None:
    admin, number = target
    what, text = call
    if what in ACTIONS:
        sound(await admin.request(ACTIONS[what][0], f"/requests/{number}/{what}", content=text, headers=JSON))
    else:
        sound(await admin.post(f"/{what}", content=text, headers=JSON))


VALUES = st.one_of(
    st.text(max_size=20),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(lambda value: value.isoformat() + "Z"),
    st.binary(max_size=12).map(lambda raw: raw.decode("latin-1")),
    st.sampled_from(
        [
            "created_at",
            "-priority",
            "true",
            "P1",
            "new",
            "0001-01-01",
            "W1sxXSwxXQ",
            "1,1,1,1",
            "-180,-90,180,90",
            "1e9",
            "day",
            "2026-W01",
        ]
    ),
)


def asked_names(city: City) -> dict[str, list[str]]:
    """The queries that each route for reading takes, by its path."""
    routes = [
        route for route in city.app.routes if isinstance(route, TransactionRoute) and "GET" in (route.methods or ())
    ]
    named = {route.path: [field.alias for field in route.dependant.query_params] for route in routes}
    return {path: names for path, names in named.items() if names}


@QUICK
@given(data=st.data())
async def test_no_query_breaks_anything(target, city, data: st.DataObject) -> None:
    admin, number = target
    for path, names in asked_names(city).items():
        query = data.draw(st.lists(st.tuples(st.sampled_from(names), VALUES), min_size=1, max_size=4))
        text = "&".join(f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}" for name, value in query)
        ids = {"number": number, "agent_id": "AG-1", "citizen_id": uuid4(), "zone_id": "Z", "version": 1}
        ids |= {"evidence_id": uuid4()}
        filled = path.format_map(ids | {"slug": city.tenant.slug})
        sound(await admin.get(f"{filled}?{text}"))


@QUICK
@given(values=st.lists(anything, max_size=4), sort=st.sampled_from(["-created_at", "priority", "updated_at"]))
async def test_no_cursor_breaks_anything(target, values: list[Any], sort: str) -> None:
    admin, _ = target
    raw = json.dumps([sort, *values], allow_nan=True).encode("utf-8", "surrogatepass")
    cursor = base64.urlsafe_b64encode(raw).decode().rstrip("=")[:500]
    sound(await admin.get("/requests", params={"sort": sort, "cursor": cursor}))


@QUICK
@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90))
async def test_every_place_on_earth_can_be_reported(target, lon: float, lat: float) -> None:
    admin, _ = target
    made = await admin.post("/requests", json=report(lon=lon, lat=lat, category="graffiti"))
    assert made.status_code == 201, made.text
    kept = made.json()["location"]["coordinates"]
    assert all(math.isclose(one, two, abs_tol=1e-9) for one, two in zip(kept, (lon, lat), strict=True))
