"""Photos: what cameras write beside a picture is cut, hostile files hold nobody up, other files of reporters are no public matter."""

from io import BytesIO

import pytest
from builders import create, png
from PIL import Image
from tests_support import problem

from civicpulse.requests.privacy.photos import MAX_PIXELS, MAX_SIDE, Photo, clean
from conftest import City, make_city

GPS, ARTIST, SECRET = 0x8825, 0x013B, "Photomark Beeble"


def snapshot(kind: str = "JPEG", size: tuple[int, int] = (60, 40), **more: object) -> bytes:
    """A picture with a place, a name and an orientation beside it."""
    picture, exif, out = Image.new("RGB", size, (200, 30, 30)), Image.Exif(), BytesIO()
    exif[ARTIST], exif[0x0112] = SECRET, 6  # 6: turned by a quarter
    exif.get_ifd(GPS).update({1: "N", 2: (42.0, 21.0, 7.0), 3: "W", 4: (71.0, 3.0, 0.0)})
    picture.save(out, kind, exif=exif, **more)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_place_and_name_are_cut_and_the_picture_stands_upright(kind: str) -> None:
    data = snapshot(kind)
    assert SECRET.encode() in data
    photo = clean(data)
    assert isinstance(photo, Photo)
    with Image.open(BytesIO(photo.data)) as shown:
        assert (shown.size, shown.format, dict(shown.getexif())) == ((40, 60), kind, {})
        red, green, _ = shown.convert("RGB").getpixel((20, 30))  # type: ignore[misc]
        assert (red > 180, green < 60) == (True, True)
    assert SECRET.encode() not in photo.data


def test_texts_in_a_picture_are_cut_too() -> None:
    from PIL.PngImagePlugin import PngInfo

    info, out = PngInfo(), BytesIO()
    info.add_text("Author", SECRET)
    Image.new("RGBA", (5, 5), (0, 0, 0, 0)).save(out, "PNG", pnginfo=info)
    photo = clean(out.getvalue())
    assert isinstance(photo, Photo)
    assert SECRET.encode() not in photo.data
    with Image.open(BytesIO(photo.data)) as shown:
        assert shown.mode == "RGBA", "what is clear stays clear"


def test_of_a_moving_picture_the_first_stays() -> None:
    out = BytesIO()
    frames = [Image.new("P", (4, 4), n) for n in range(3)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], comment=SECRET.encode())
    photo = clean(out.getvalue())
    assert isinstance(photo, Photo)
    assert photo.media_type == "image/png"
    assert SECRET.encode() not in photo.data


def test_a_large_picture_is_made_smaller_and_a_huge_one_refused_unread() -> None:
    photo = clean(snapshot(size=(MAX_SIDE * 2, 200)))
    assert isinstance(photo, Photo)
    with Image.open(BytesIO(photo.data)) as shown:
        assert max(shown.size) <= MAX_SIDE
    bomb = png().replace(b"\x00\x00\x00\x01\x00\x00\x00\x01", (20_000).to_bytes(4, "big") * 2, 1)
    said = clean(bomb)
    assert isinstance(said, str)
    assert f"{MAX_PIXELS // 1_000_000} million" in said or "read" in said or "damaged" in said


@pytest.mark.parametrize(
    "data", [b"1", b"<svg xmlns='http://www.w3.org/2000/svg'/>", snapshot()[:300], b"\xff\xd8\xff" + b"a" * 99]
)
def test_what_is_no_picture_is_told_in_words(data: bytes) -> None:
    said = clean(data)
    assert isinstance(said, str)
    assert "send" in said


async def test_a_photo_is_kept_without_its_place(city: City) -> None:
    anybody, agent = await city.client(), await city.client("agent")
    made = await create(anybody)
    token, path = {"X-Tracking-Token": made["tracking_token"]}, f"/requests/{made['request_id']}/evidence"
    sent = await anybody.post(path, files={"file": ("a.jpg", snapshot(), "image/jpeg")}, headers=token)
    assert sent.status_code == 201, sent.text
    url = sent.json()["items"][0]["url"]
    for caller in (anybody, agent):
        got = await caller.get(url)
        assert (got.headers["content-type"], got.headers["content-disposition"]) == ("image/jpeg", "inline")
        assert SECRET.encode() not in got.content
    problem(await agent.get(url, params={"original": True}), 404, "file_missing")
    for name, kind in (("x.svg", "image/svg+xml"), ("x.jpg", "image/jpeg")):
        drawn = {"file": (name, b"<svg xmlns='http://www.w3.org/2000/svg'/>", kind)}
        problem(await anybody.post(path, files=drawn, headers=token), 422, "unreadable_photo")


async def test_the_original_is_kept_where_the_pack_says_so_and_for_staff(app, database_url) -> None:
    city = await make_city(app, database_url, keep_original_photos=True)
    anybody, agent = await city.client(), await city.client("agent")
    made = await create(anybody)
    token, path = {"X-Tracking-Token": made["tracking_token"]}, f"/requests/{made['request_id']}/evidence"
    url = (await anybody.post(path, files={"file": ("a.jpg", snapshot(), "image/jpeg")}, headers=token)).json()[
        "items"
    ][0]["url"]
    assert (await agent.get(url, params={"original": True})).content == snapshot()
    for headers in ({}, token):
        got = await anybody.get(url, params={"original": True}, headers=headers)
        assert SECRET.encode() not in got.content


async def test_a_photo_that_was_kept_before_is_cleaned_when_the_public_fetches_it(city: City) -> None:
    anybody, agent = await city.client(), await city.client("agent")
    number = (await create(anybody))["request_id"]
    files = {"file": ("a.jpg", snapshot(), "image/jpeg")}
    item = (await agent.post(f"/requests/{number}/evidence", files=files)).json()["items"][0]
    evidence_id = item["url"].rpartition("/")[2]
    await city.app.state.storage.put(f"{city.tenant.tenant_id}/evidence/{evidence_id}", snapshot())
    async with city.transaction() as tx:
        await tx.run(
            "UPDATE evidence SET cleaned = false WHERE tenant_id = %s AND id = %s", [tx.tenant_id, evidence_id]
        )
    assert SECRET.encode() not in (await anybody.get(item["url"])).content
    assert SECRET.encode() in (await agent.get(item["url"])).content
    await city.app.state.storage.put(f"{city.tenant.tenant_id}/evidence/{evidence_id}", b"no picture")
    problem(await anybody.get(item["url"]), 404, "file_missing")


async def test_other_files_of_a_reporter_go_to_staff_and_to_them_alone(city: City) -> None:
    anybody, agent = await city.client(), await city.client("agent")
    made = await create(anybody)
    number, token = made["request_id"], {"X-Tracking-Token": made["tracking_token"]}
    file = {"file": ("film.mp4", b"a film with a place", "video/mp4")}
    theirs = (await anybody.post(f"/requests/{number}/evidence", files=file, headers=token)).json()["items"][0]["url"]
    ours = (await agent.post(f"/requests/{number}/evidence", files=file)).json()["items"][0]["url"]
    problem(await anybody.get(theirs), 404, "not_found")
    assert (await anybody.get(theirs, headers=token)).status_code == 200
    assert (await agent.get(theirs)).status_code == 200
    assert (await anybody.get(ours)).status_code == 200
    listed = (await anybody.get(f"/requests/{number}")).json()["evidence"]
    assert [item["url"] for item in listed] == [ours]
    assert len((await agent.get(f"/requests/{number}")).json()["evidence"]) == 2
