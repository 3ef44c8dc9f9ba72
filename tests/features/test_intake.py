"""POST /requests over HTTP (R-INT-01, R-INT-02): documents, replays, duplicates, who may say what."""

import asyncio
import math
import random
from typing import Any
from uuid import uuid4

import httpx
import pytest
from builders import PHOTO, create, move, report, walk_to
from tests_support import problem

from civicpulse.places.cells import cell_of, lock_cells
from conftest import City, make_city

# The curl example of the README, word for word.
SPEC_BODY = """{
    "citizen_ref": {"citizen_id": null, "anonymous": true, "contact_channel": "none"},
    "category": "pothole",
    "description": "Large pothole near downtown",
    "location": {"type": "Point", "coordinates": [-74.0, 40.71], "address_hint": "Main St"}
  }"""
METRES_PER_DEGREE = 111_195.0
NO_HINT = {"address_hint": None}


def spot(lon: float, lat: float, *, east: float = 0, north: float = 0, hint: str | None = None) -> dict[str, Any]:
    """A location so many metres from a point, across the date line if need be."""
    moved = lon + east / (METRES_PER_DEGREE * math.cos(math.radians(lat)))
    around = (moved + 180) % 360 - 180
    return {"type": "Point", "coordinates": [around, lat + north / METRES_PER_DEGREE], "address_hint": hint}


async def post(client: httpx.AsyncClient, key: str | None = None, **changes: Any) -> httpx.Response:
    """A report, answered somehow."""
    return await client.post("/requests", json=report(**changes), headers={"Idempotency-Key": key} if key else {})


# ------------------------------------------------------------------------------------------------ the document


async def test_the_example_of_the_specification_works_word_for_word(city) -> None:
    anybody = await city.client()
    headers = {"Content-Type": "application/json", "Idempotency-Key": "demo-1"}
    answer = await anybody.post("/requests/", content=SPEC_BODY, headers=headers)
    assert answer.status_code == 201, answer.text
    document = answer.json()
    number = document["request_id"]
    assert answer.headers["location"] == f"/requests/{number}"
    assert number.startswith("CST-")
    assert document["citizen_ref"] == {"citizen_id": None, "anonymous": True, "contact_channel": "none"}
    assert (document["category"], document["sub_category"], document["tags"]) == ("pothole", None, [])
    assert document["description"] == "Large pothole near downtown"
    assert (document["status"], document["priority"]) == ("new", "P3")
    workflow = document["workflow"]
    assert (workflow["current_state"], workflow["state_title"], workflow["state_category"]) == ("new", "New", "open")
    assert document["workflow"]["allowed_next"] == ["triaged", "closed"]
    assert document["workflow"]["transition_rules_version"]
    policy = document["sla_policy"]
    assert policy["target_hours"] < policy["breach_threshold_hours"]
    assert {"after_hours", "action"} <= policy["escalation_steps"][0].keys()
    times = document["timestamps"]
    assert times.pop("created_at") == times.pop("updated_at")
    names = ["triaged_at", "assigned_at", "in_progress_at", "resolved_at", "closed_at"]
    assert times == dict.fromkeys(names)
    assert document["location"]["coordinates"] == [-74.0, 40.71]
    assert document["location"]["type"] == "Point"
    assert document["location"]["address_hint"] == "Main St"
    assert document["location"]["zone_id"] == "UNZONED"
    duplicates = document["duplicates"]
    assert (duplicates["is_master"], duplicates["master_request_id"], duplicates["linked_duplicates"]) == (
        True,
        None,
        [],
    )
    assert document["evidence"] == []


async def test_staff_sees_every_field_of_the_specification(city) -> None:
    staff = await city.client("dispatcher")
    number = (await create(staff))["request_id"]
    document = (await staff.get(f"/requests/{number}")).json()
    fields = "_id request_id citizen_ref category sub_category description tags status priority workflow sla_policy"
    more = "timestamps location duplicates assignment evidence internal computed_kpis citizen_feedback"
    assert set(f"{fields} {more}".split()) <= document.keys()
    assert document["assignment"] == {
        "assigned_agent_id": None,
        "auto_assign_candidate_agents": [],
        "assignment_policy": "zone+skill+workload",
    }
    assert document["internal"] == {"notes": [], "visibility": "internal_only"}
    kpis = "resolution_minutes sla_target_hours sla_state escalation_count breach_reason"
    assert set(kpis.split()) == document["computed_kpis"].keys()


async def test_the_created_event_is_the_first_of_the_trail(city) -> None:
    dispatcher = await city.client("dispatcher")
    number = (await create(dispatcher))["request_id"]
    (event,) = (await dispatcher.get(f"/requests/{number}/events")).json()["items"]
    assert (event["type"], event["seq"], event["by"]["actor_type"]) == ("request.opened", 1, "dispatcher")
    assert len(event["hash"]) == 64


@pytest.mark.parametrize("path", ["/requests", "/requests/", "/api/requests", "/api/requests/"])
async def test_each_way_to_write_the_path_works(city, path: str) -> None:
    anybody = await city.client()
    created = await anybody.post(path, json=report())
    assert created.status_code == 201
    number = created.json()["request_id"]
    assert (await anybody.get(f"{path.rstrip('/')}/{number}/")).json()["request_id"] == number
    assert [item["request_id"] for item in (await anybody.get(path)).json()["items"]] == [number]


async def test_evidence_of_the_report_is_in_the_document(city) -> None:
    citizen = await city.client("citizen")
    number = (await create(citizen, evidence=[PHOTO]))["request_id"]
    (piece,) = (await citizen.get(f"/requests/{number}")).json()["evidence"]
    assert piece | PHOTO == piece
    assert piece["uploaded_by"] == "citizen"


# ------------------------------------------------------------------------------------------------------ replays


async def test_a_replay_answers_the_same_and_creates_nothing(city) -> None:
    anybody = await city.client()
    first, again = await post(anybody, "demo-1"), await post(anybody, "demo-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.content == first.content
    assert len((await anybody.get("/requests")).json()["items"]) == 1


async def test_the_replay_of_a_duplicate_says_that_it_is_one(city) -> None:
    anybody = await city.client()
    master = (await post(anybody)).json()["request_id"]
    first, again = await post(anybody, "again"), await post(anybody, "again")
    assert first.json()["duplicates"]["master_request_id"] == master
    assert again.content == first.content


async def test_a_key_with_another_body_is_refused(city) -> None:
    anybody = await city.client()
    await post(anybody, "demo-1")
    problem(await post(anybody, "demo-1", description="Another hole"), 422, "idempotency_key_reused")


async def test_equal_keys_of_different_callers_do_not_collide(city, other_city) -> None:
    callers = [
        await city.client(),
        await city.client("citizen"),
        await city.client("citizen"),
        await other_city.client(),
    ]
    answers = [await post(caller, "demo-1", category="tree_pruning") for caller in callers]
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.json()["_id"] for answer in answers}) == 4


async def test_a_replay_with_an_external_id_is_a_replay(city) -> None:
    system = await city.client("system")
    first, again = await post(system, "k", external_id="EXT-1"), await post(system, "k", external_id="EXT-1")
    assert (first.status_code, again.status_code) == (201, 200)
    problem(await post(system, external_id="EXT-1"), 409, "external_id_taken")


async def test_64_simultaneous_calls_with_one_key_create_one_request(city) -> None:
    anybody = await city.client()
    answers = await asyncio.gather(*(post(anybody, "storm") for _ in range(64)))
    assert sorted(answer.status_code for answer in answers) == [200] * 63 + [201]
    assert len({answer.content for answer in answers}) == 1
    listed = (await anybody.get("/requests", params={"total": True})).json()
    assert listed["total"] == 1


# --------------------------------------------------------------------------------------------------- duplicates


async def test_64_simultaneous_equal_reports_become_one_master_with_63_duplicates(city) -> None:
    anybody = await city.client()
    answers = await asyncio.gather(*(post(anybody) for _ in range(64)))
    assert [answer.status_code for answer in answers] == [201] * 64
    documents = [answer.json() for answer in answers]
    (master,) = [item["request_id"] for item in documents if item["duplicates"]["is_master"]]
    rest = {item["request_id"] for item in documents} - {master}
    assert {item["duplicates"]["master_request_id"] for item in documents} == {None, master}
    read = (await anybody.get(f"/requests/{master}")).json()["duplicates"]
    assert len(read["linked_duplicates"]) == 63
    assert set(read["linked_duplicates"]) == rest


def _border_pairs(count: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs 10 m apart in different lock cells, all over the earth, near the date line and far north and south too."""
    dice = random.Random(311)
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = []
    while len(pairs) < count:
        kind = len(pairs) % 4
        lat = dice.uniform(70, 85) * dice.choice((-1, 1)) if kind == 0 else dice.uniform(-65, 65)
        lon = 180 - dice.uniform(0, 4) / METRES_PER_DEGREE if kind == 1 else dice.uniform(-180, 180)
        if kind == 1:
            pairs.append((spot(lon, lat), spot(lon, lat, east=10)))
            continue
        for step in range(400):  # walk east until a border of two lock cells lies between the two
            one, two = spot(lon, lat, east=step * 7.0), spot(lon, lat, east=step * 7.0 + 10)
            if lock_cells([cell_of(*one["coordinates"])]) != lock_cells([cell_of(*two["coordinates"])]):
                pairs.append((one, two))
                break
    return pairs


async def test_two_reports_across_a_cell_border_in_the_same_instant_become_one(city) -> None:
    anybody = await city.client()
    for one, two in _border_pairs(24):
        places = (one, two, one, two)
        answers = await asyncio.gather(*(post(anybody, location=place) for place in places))
        masters = [answer.json()["request_id"] for answer in answers if answer.json()["duplicates"]["is_master"]]
        assert len(masters) == 1, (one, two)
        followed = {answer.json()["duplicates"]["master_request_id"] for answer in answers} - {None}
        assert followed == set(masters)


async def test_reports_find_each_other_at_any_place_and_bearing(city) -> None:
    anybody, dice = await city.client(), random.Random(7)
    for index in range(40):
        lat = dice.choice((dice.uniform(-60, 60), dice.uniform(80, 89.9), -dice.uniform(80, 89.9)))
        lon = dice.choice((dice.uniform(-180, 180), 179.9999, -180.0))
        angle, far = dice.uniform(0, 2 * math.pi), index % 2 == 0
        metres = dice.uniform(25, 95) if far else dice.uniform(0, 19)
        first = (await post(anybody, location=spot(lon, lat))).json()
        place = spot(lon, lat, east=metres * math.sin(angle), north=metres * math.cos(angle))
        second = (await post(anybody, location=place)).json()["duplicates"]
        found = [match["request_id"] for match in second["proposed"]] if far else [second["master_request_id"]]
        assert found == [first["request_id"]], (lon, lat, metres, angle)


async def test_compatible_categories_are_duplicates_and_others_are_not(city) -> None:
    anybody = await city.client()
    flooding = (await post(anybody, category="flooding")).json()["request_id"]
    leak = (await post(anybody, category="water_leak")).json()
    assert leak["duplicates"]["master_request_id"] == flooding
    assert (await post(anybody, category="graffiti")).json()["duplicates"]["proposed"] == []


async def test_categories_that_share_a_friend_queue_for_one_another(app, database_url) -> None:
    """`m` is compatible with `a` and with `z`, which are not compatible with each other: rivals must still queue."""

    def category(name: str, *friends: str) -> dict[str, Any]:
        return {"id": name, "name": name, "group": "x", "compatible_with": list(friends)}

    categories = [category("a"), category("m", "a", "z"), category("z")]
    city = await make_city(app, database_url, categories=categories, sla=[], tag_priorities={}, hazard_words={})
    anybody = await city.client()
    for index in range(6):
        place = spot(10.0 + index / 10, 50.0)
        answers = await asyncio.gather(*(post(anybody, category=name, location=place) for name in "zmzmzm"))
        masters = [item for item in answers if item.json()["duplicates"]["is_master"]]
        assert len(masters) == 1 or {item.json()["category"] for item in masters} == {"z", "m"}
        # Every m sees every master of either category, so all m beyond the first master are attached.
        assert sum(item.json()["category"] == "m" for item in masters) <= 1
        if any(item.json()["category"] == "m" for item in masters):
            assert len(masters) == 1


async def test_kinds_that_lawfully_repeat_are_never_attached(city) -> None:
    anybody = await city.client()
    answers = await asyncio.gather(*(post(anybody, category="tree_pruning", asset_id="T-1") for _ in range(4)))
    for answer in answers:
        duplicates = answer.json()["duplicates"]
        assert (duplicates["is_master"], duplicates["proposed"]) == (True, [])


@pytest.mark.parametrize(("metres", "attached"), [(18, True), (24, False)])
async def test_only_what_is_within_20_metres_is_attached_at_once(city, metres: float, attached: bool) -> None:
    anybody = await city.client()
    first = (await post(anybody, location=spot(-74, 40.71))).json()["request_id"]
    duplicates = (await post(anybody, location=spot(-74, 40.71, east=metres))).json()["duplicates"]
    assert duplicates["is_master"] is not attached
    if attached:
        assert duplicates["master_request_id"] == first
        assert first in duplicates["why"]
    else:
        (match,) = duplicates["proposed"]
        assert match["request_id"] == first
        assert match["why"]
        assert 23 < match["score"]["distance_m"] < 25


async def _age(city: City, number: str, hours: float) -> None:
    async with city.transaction() as tx:
        await tx.run(
            "UPDATE requests SET created_at = created_at - make_interval(secs => %s) WHERE tenant_id = %s AND number = %s",
            [hours * 3600, tx.tenant_id, number],
        )


@pytest.mark.parametrize(
    ("hours", "outcome"), [(71.9, "attached"), (72.1, "proposed"), (167.9, "proposed"), (168.1, "new")]
)
async def test_what_is_older_than_72_hours_is_proposed_and_than_168_hours_forgotten(city, hours, outcome) -> None:
    anybody = await city.client()
    first = (await post(anybody, location=spot(-74, 40.71))).json()["request_id"]
    await _age(city, first, hours)
    duplicates = (await post(anybody, location=spot(-74, 40.71, east=5))).json()["duplicates"]
    assert duplicates["is_master"] is (outcome != "attached")
    assert [match["request_id"] for match in duplicates["proposed"]] == ([first] if outcome == "proposed" else [])


async def test_an_equal_address_or_asset_attaches_from_further_away(city) -> None:
    anybody = await city.client()
    first = (await post(anybody, location=spot(-74, 40.71, hint="12 Main Street"))).json()["request_id"]
    same = (await post(anybody, location=spot(-74, 40.71, east=60, hint="12 main st."))).json()["duplicates"]
    assert same["master_request_id"] == first
    other = (await post(anybody, location=spot(-74, 40.71, east=60, hint="14 Main Street"))).json()["duplicates"]
    assert other["is_master"] is True
    lamp = (await post(anybody, category="street_light", asset_id="L-7", location=spot(1, 50))).json()["request_id"]
    again = await post(anybody, category="street_light", asset_id="L-7", location=spot(1, 50, east=60))
    assert again.json()["duplicates"]["master_request_id"] == lamp
    neighbour = await post(anybody, category="street_light", asset_id="L-8", location=spot(1, 50, east=5))
    assert neighbour.json()["duplicates"]["is_master"] is True


async def test_at_most_three_are_proposed_best_first(city) -> None:
    anybody = await city.client()
    for index in range(5):
        await post(anybody, location=spot(-74, 40.71, north=index * 21.0))
    proposed = (await post(anybody, location=spot(-74, 40.71, north=-22))).json()["duplicates"]["proposed"]
    totals = [match["score"]["total"] for match in proposed]
    assert len(proposed) == 3
    assert totals == sorted(totals, reverse=True)


async def test_a_closed_master_is_proposed_for_a_day_and_never_attached_to(city) -> None:
    anybody, admin = await city.client(), await city.client("admin")
    number = (await post(anybody)).json()["request_id"]
    await move(admin, number, "closed")
    duplicates = (await post(anybody)).json()["duplicates"]
    assert duplicates["is_master"] is True
    assert [match["request_id"] for match in duplicates["proposed"]] == [number]


async def test_what_is_not_public_is_not_proposed_to_strangers(city) -> None:
    anybody, admin = await city.client(), await city.client("admin")
    number = (await post(anybody, category="noise", location=spot(-74, 40.71))).json()["request_id"]
    east, west = spot(-74, 40.71, east=25), spot(-74, 40.71, east=-25)
    assert (await post(anybody, category="noise", location=east)).json()["duplicates"]["proposed"] == []
    seen = (await post(admin, category="noise", location=west)).json()["duplicates"]["proposed"]
    assert number in [match["request_id"] for match in seen]


async def test_duplicates_follow_their_master_through_its_whole_life(city) -> None:
    admin, citizen = await city.client("admin"), await city.client("citizen")
    master = (await create(admin))["request_id"]
    duplicates = [(await create(citizen))["request_id"] for _ in range(2)]
    await walk_to(admin, master, "closed")
    end = (await admin.get(f"/requests/{master}")).json()
    for duplicate in duplicates:
        document = (await admin.get(f"/requests/{duplicate}")).json()
        assert document["status"] == "closed"
        assert document["sla"]["state"] == "completed"
        for name in ("triaged_at", "assigned_at", "in_progress_at", "resolved_at", "closed_at"):
            assert document["timestamps"][name] == end["timestamps"][name]
        events = (await admin.get(f"/requests/{duplicate}/events")).json()["items"]
        assert [event["type"] for event in events] == ["request.opened", "request.merged"] + [
            "request.transitioned"
        ] * 5
        followed = [event["meta"]["to"] for event in events if event["type"] == "request.transitioned"]
        assert followed == ["triaged", "assigned", "in_progress", "resolved", "closed"]
        assert [event["seq"] for event in events] == list(range(1, 8))
    problem(await move(admin, duplicates[0], "closed"), 409, "follows_master")


async def test_whoever_reported_a_duplicate_rates_and_disputes_it(city) -> None:
    admin, citizen = await city.client("admin"), await city.client("citizen")
    master = (await create(admin))["request_id"]
    duplicate = (await create(citizen))["request_id"]
    await walk_to(admin, master, "resolved")
    rated = await citizen.post(f"/requests/{duplicate}/rating", json={"rating": 1, "dispute_flag": True})
    assert rated.status_code == 201, rated.text
    problem(await citizen.post(f"/requests/{master}/rating", json={"rating": 1}), 403)
    # The dispute of one reporter is reason enough to take the shared work up again.
    assert (await move(admin, master, "in_progress")).status_code == 200
    document = (await admin.get(f"/requests/{duplicate}")).json()
    assert (document["status"], document["timestamps"]["resolved_at"]) == ("in_progress", None)
    assert document["sla"]["state"] == "on_time"


# ------------------------------------------------------------------------------------------- who may say what


@pytest.mark.parametrize(
    ("changes", "priority"),
    [
        ({"description": "There is a GAS LEAK here"}, "P1"),
        ({"description": "пахнет газом у дома"}, "P1"),
        ({"tags": ["school"]}, "P2"),
        ({"tags": ["emergency"], "description": "flooded"}, "P1"),
        ({"description": "A small hole"}, "P3"),
    ],
)
async def test_the_first_priority_comes_from_category_tags_and_words(
    city, changes: dict[str, Any], priority: str
) -> None:
    document = (await post(await city.client(), **changes)).json()
    assert document["priority"] == priority
    assert document["sla_policy"]["policy_id"].endswith(priority) or document["sla_policy"]["target_hours"] > 0


async def test_only_staff_sets_a_priority(city) -> None:
    for role in (None, "citizen"):
        problem(await post(await city.client(role), priority="P1"), 422)
    assert (await post(await city.client("dispatcher"), priority="P1")).json()["priority"] == "P1"


async def test_only_staff_sets_an_external_id(city) -> None:
    problem(await post(await city.client(), external_id="X"), 422)


async def _register(city: City) -> str:
    body = {"full_name": "Ada", "contacts": {"email": f"{uuid4().hex}@example.org"}}
    answer = await (await city.client("admin")).post("/citizens", json=body)
    assert answer.status_code == 201, answer.text
    citizen_id: str = answer.json()["_id"]
    return citizen_id


async def test_a_citizen_reports_as_themselves_or_anonymously(city) -> None:
    ada, eve = await _register(city), await _register(city)
    citizen = await city.client("citizen", actor_id=ada)
    named = (await post(citizen, citizen_ref={"contact_channel": "email"})).json()
    assert named["citizen_ref"] == {"citizen_id": ada, "anonymous": False, "contact_channel": "email"}
    hidden = (await post(citizen, citizen_ref={"anonymous": True}, category="graffiti")).json()
    assert hidden["citizen_ref"]["citizen_id"] is None
    problem(await post(citizen, citizen_ref={"citizen_id": eve}), 403, "not_yourself")


async def test_staff_reports_for_a_citizen_and_strangers_do_not_learn_who(city) -> None:
    ada, staff = await _register(city), await city.client("dispatcher")
    number = (await post(staff, citizen_ref={"citizen_id": ada})).json()["request_id"]
    assert (await staff.get(f"/requests/{number}")).json()["citizen_ref"]["citizen_id"] == ada
    public = (await (await city.client()).get(f"/requests/{number}")).json()
    assert public["citizen_ref"]["citizen_id"] is None
    assert "internal" not in public
    assert "assignment" not in public


async def test_a_citizen_reference_must_be_whole(city) -> None:
    staff = await city.client("dispatcher")
    problem(await post(staff, citizen_ref={"citizen_id": str(uuid4())}), 422)
    problem(await post(staff, citizen_ref={"citizen_id": str(uuid4()), "anonymous": True}), 422)


async def test_categories_that_are_not_public_are_hidden_from_strangers(city) -> None:
    anybody, other, staff = await city.client(), await city.client("citizen"), await city.client("agent")
    made = (await post(anybody, category="noise")).json()
    number = made["request_id"]
    for caller in (anybody, other):
        for path in ("", "/events", "/sla"):
            problem(await caller.get(f"/requests/{number}{path}"), 404, "request_not_found")
        assert (await caller.get("/requests")).json()["items"] == []
        assert (await caller.get("/requests", params={"mine": True})).json().get("items", []) == []
    assert [item["request_id"] for item in (await staff.get("/requests")).json()["items"]] == [number]
    tracked = await anybody.get(f"/requests/{number}", headers={"X-Tracking-Token": made["tracking_token"]})
    assert tracked.json()["request_id"] == number
    problem(await anybody.get(f"/requests/{number}", headers={"X-Tracking-Token": "wrong"}), 404)


async def test_a_reporter_may_keep_a_report_off_the_map_but_not_force_one_onto_it(city) -> None:
    citizen, anybody = await city.client("citizen"), await city.client()
    hidden = (await post(citizen, is_public=False)).json()["request_id"]
    forced = (await post(citizen, category="noise", is_public=True)).json()["request_id"]
    for number in (hidden, forced):
        problem(await anybody.get(f"/requests/{number}"), 404)
        assert (await citizen.get(f"/requests/{number}")).status_code == 200
    mine = (await citizen.get("/requests", params={"mine": True})).json()["items"]
    assert {item["request_id"] for item in mine} == {hidden, forced}


async def test_the_tracking_token_lets_a_stranger_rate_once(city) -> None:
    anybody, admin = await city.client(), await city.client("admin")
    made = (await post(anybody)).json()
    number, token = made["request_id"], {"X-Tracking-Token": made["tracking_token"]}
    problem(await anybody.post(f"/requests/{number}/rating", json={"rating": 5}, headers=token), 409, "not_resolved")
    await walk_to(admin, number, "resolved")
    problem(await anybody.post(f"/requests/{number}/rating", json={"rating": 5}), 403, "not_the_reporter")
    stolen = {"X-Tracking-Token": (await post(anybody, category="graffiti")).json()["tracking_token"]}
    problem(await anybody.post(f"/requests/{number}/rating", json={"rating": 5}, headers=stolen), 403)
    rated = await anybody.post(f"/requests/{number}/rating", json={"rating": 5}, headers=token)
    assert rated.status_code == 201
    again = await anybody.post(f"/requests/{number}/rating", json={"rating": 1}, headers=token)
    problem(again, 409, "already_rated")
    document = (await anybody.get(f"/requests/{number}")).json()
    assert document["citizen_feedback"]["rating"] == 5
    assert "tracking_token" not in document


async def test_the_zone_is_the_one_that_holds_the_point_and_triage_names_only_one_that_there_is(city) -> None:
    async with city.transaction() as tx:
        square = '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}'
        add = "INSERT INTO zones (tenant_id, zone_id, name, geometry) VALUES (%s, 'ZONE-1', 'One', %s)"
        await tx.run(add, [tx.tenant_id, square])
    staff = await city.client("dispatcher")
    inside = await create(staff, lon=0.5, lat=0.25, category="graffiti")
    outside = await create(staff, lon=1.5, lat=1.5)
    assert inside["location"]["zone_id"] == "ZONE-1"
    assert outside["location"]["zone_id"] == "UNZONED"
    problem(await move(staff, outside["request_id"], "triaged", zone_id="ZONE-2"), 422)
    moved = await move(staff, outside["request_id"], "triaged", zone_id="ZONE-1")
    assert moved.json()["location"]["zone_id"] == "ZONE-1"
