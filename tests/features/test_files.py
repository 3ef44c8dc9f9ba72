"""Evidence as files: who may send, who may see, what is kept."""

import hashlib

from builders import create, png
from tests_support import problem

PNG = png()


async def test_a_photo_comes_back_with_its_hash(city) -> None:
    staff = await city.client("agent")
    number = (await create(staff))["request_id"]
    sent = await staff.post(f"/requests/{number}/evidence", files={"file": ("hole.png", PNG, "image/png")})
    assert sent.status_code == 201, sent.text
    (item,) = sent.json()["items"]
    assert item["type"] == "photo"
    anybody = await city.client()
    got = await anybody.get(item["url"])
    assert hashlib.sha256(got.content).hexdigest() == item["sha256"]
    assert got.headers["content-type"] == "image/png"
    assert got.headers["x-content-type-options"] == "nosniff"
    document = (await staff.get(f"/requests/{number}")).json()
    assert document["evidence"][0]["url"] == item["url"]
    assert (await staff.get(f"/requests/{number}/events")).json()["items"][-1]["type"] == "evidence.added"


async def test_a_page_disguised_as_evidence_is_only_offered_for_download(city) -> None:
    staff = await city.client("agent")
    number = (await create(staff))["request_id"]
    sent = await staff.post(
        f"/requests/{number}/evidence", files={"file": ("x.html", b"<script>1</script>", "text/html")}
    )
    got = await staff.get(sent.json()["items"][0]["url"])
    assert got.headers["content-disposition"] == "attachment"
    assert got.headers["content-type"] == "application/octet-stream"


async def test_only_staff_and_the_reporter_may_send(city, other_city) -> None:
    anybody = await city.client()
    document = await create(anybody)
    path = f"/requests/{document['request_id']}/evidence"
    files = {"file": ("a.png", PNG, "image/png")}
    problem(await anybody.post(path, files=files), 403, "not_the_reporter")
    ours = await anybody.post(path, files=files, headers={"X-Tracking-Token": document["tracking_token"]})
    assert ours.status_code == 201
    stranger = await other_city.client("admin")
    problem(await stranger.post(path, files=files), 404, "request_not_found")
    problem(await stranger.get(ours.json()["items"][0]["url"]), 404)


async def test_empty_and_too_many_files_are_refused(city) -> None:
    staff = await city.client("agent")
    path = f"/requests/{(await create(staff))['request_id']}/evidence"
    problem(await staff.post(path, files={"file": ("a", b"", "image/png")}), 422)
    many = [("file", (f"{n}.png", PNG, "image/png")) for n in range(11)]
    problem(await staff.post(path, files=many), 422)
    problem(await staff.post(path), 422)
