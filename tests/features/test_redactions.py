"""Staff takes out of the public's sight what the masker missed, with a reason, and the trail keeps who and why."""

from builders import create, png
from test_public_texts import found
from tests_support import problem

TEXT = "Hole before Smithmark's garage, says the neighbour"


async def test_words_and_files_are_hidden_from_the_public_alone(city) -> None:
    anybody, agent, staff = await city.client(), await city.client("agent"), await city.client("dispatcher")
    made = await create(anybody, description=TEXT, tags=["smithmark"])
    number, token = made["request_id"], {"X-Tracking-Token": made["tracking_token"]}
    await staff.post(f"/requests/{number}/comment", json={"message": "SMITHMARK's was asked"})
    file = {"file": ("a.png", png(), "image/png")}
    url = (await anybody.post(f"/requests/{number}/evidence", files=file, headers=token)).json()["items"][0]["url"]
    path, wanted = (
        f"/requests/{number}/redactions",
        {"words": ["Smithmark's", "smithmark"], "reason": "Names a neighbour"},
    )
    wanted |= {"files": [url.rpartition("/")[2]]}
    problem(await agent.put(path, json=wanted), 403)
    problem(await anybody.put(path, json=wanted), 401)
    kept = await staff.put(path, json=wanted)
    assert kept.status_code == 200, kept.text
    assert (await staff.get(path)).json() == kept.json()
    shown = (await anybody.get(f"/requests/{number}")).json()
    assert (shown["description"], shown["tags"], shown["evidence"]) == (
        "Hole before […] garage, says the neighbour",
        ["[…]"],
        [],
    )
    events = (await anybody.get(f"/requests/{number}/events")).json()["items"]
    assert [event["meta"]["message"] for event in events if event["type"] == "comment.added"] == ["[…] was asked"]
    assert "request.redacted" not in {event["type"] for event in events}
    assert await found(anybody, "Smithmark") == []
    assert await found(staff, "Smithmark") == [number]
    problem(await anybody.get(url), 404)
    assert (await staff.get(url)).status_code == 200
    whole = (await staff.get(f"/requests/{number}")).json()
    assert (whole["description"], whole["evidence"][0]["hidden"]) == (TEXT, True)
    (told,) = [
        event["meta"]
        for event in (await staff.get(f"/requests/{number}/events")).json()["items"]
        if event["type"] == "request.redacted"
    ]
    assert (told["reason"], len(told["words"]), len(told["files"])) == ("Names a neighbour", 2, 1)
    assert "mithmark" not in str(told)


async def test_what_was_redacted_may_be_shown_again_and_nothing_new_is_told_twice(city) -> None:
    anybody, staff = await city.client(), await city.client("dispatcher")
    number = (await create(anybody, description=TEXT))["request_id"]
    path, wanted = f"/requests/{number}/redactions", {"words": ["Smithmark"], "reason": "A name"}
    for _ in range(2):
        assert (await staff.put(path, json=wanted)).status_code == 200
    assert (await staff.put(path, json={"words": [], "reason": "It is a shop"})).status_code == 200
    assert (await anybody.get(f"/requests/{number}")).json()["description"] == TEXT
    events = (await staff.get(f"/requests/{number}/events")).json()["items"]
    assert [event["type"] for event in events].count("request.redacted") == 2
    problem(await staff.put(path, json={"words": ["ab"], "reason": "too short"}), 422)
    problem(await staff.put(path, json={"words": ["abc"]}), 422)
    problem(await staff.put(path, json={"files": ["01890000-0000-7000-8000-000000000000"], "reason": "none"}), 422)
