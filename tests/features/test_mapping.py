# ruff: noqa: DTZ001 - a file holds wall times, without a zone
"""Import mappings: what is accepted, how errors read, and one row at a time, without a database."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.base.tables import Record
from civicpulse.imports.mapping import (
    Mapping,
    MappingError,
    available_mappings,
    parse_mapping,
    read_mapping,
)
from civicpulse.imports.rows import Case, CaseReader, RowError
from civicpulse.imports.times import read_time, to_utc
from civicpulse.packs.loader import read_pack
from civicpulse.requests.clock import clock_columns, history_columns
from civicpulse.rules.calendar import ALWAYS, Calendar
from civicpulse.rules.history import imported_policy
from civicpulse.rules.sla import Policy, Step, read_clock

SMALL = """
name: small
title: A small city
source: small-311
timezone: America/New_York
date_formats: ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]
blanks: [N/A, "-"]
columns:
  external_id: ID
  created_at: Opened
  closed_at: [Closed, Touched]
  target_at: Due
  status: Status
  sub_category: Kind
  channel: Via
  address: [Address, Corner]
  asset_id: Pole
  lon: X
  lat: Y
  zone: Ward
  tags: Flag
status: {closed: [Done, Cancelled], open: Open}
category:
  default: general_inquiry
  by:
    - column: Kind
      values:
        pothole: [Pot hole, Road]
        street_light: Lamp
priority: {column: Urgency, values: {P1: [Emergency]}}
zones:
  - {pattern: '(?:Ward )?0*(\\d+)'}
  - {pattern: 'North (\\d)', code: 'N\\1'}
no_place:
  - {lon: -71.0587, lat: 42.3594}
description: ["{Kind}", "at {Address}"]
tags: [imported]
"""

COLUMNS = "ID Opened Closed Touched Due Status Kind Via Address Corner Pole X Y Ward Flag Urgency"
HEADER = COLUMNS.split()
ROW = dict.fromkeys(HEADER, "") | {"ID": "1", "Opened": "2024-01-10 08:00:00", "Status": "Open", "Kind": "Road"}


@pytest.fixture(scope="module")
def small() -> Mapping:
    return parse_mapping(SMALL, "small.yaml")


def read(mapping: Mapping, **changes: str) -> Case:
    return CaseReader(mapping, HEADER).case(Record(2, list((ROW | changes).values())))


def refusal(mapping: Mapping, **changes: str) -> str:
    with pytest.raises(RowError) as error:
        read(mapping, **changes)
    return str(error.value)


# ------------------------------------------------------------------------------------------------------------- mappings


@pytest.fixture(scope="module")
def civic_categories() -> set[str]:
    return {category.id for category in read_pack("civic").categories}


@pytest.mark.parametrize("name", ["boston", "chicago", "nyc"])
def test_every_shipped_mapping_fits_the_civic_pack(name: str, civic_categories: set[str]) -> None:
    assert name in available_mappings()
    assert read_mapping(name).category_names <= civic_categories


def test_the_documented_mapping_is_a_mapping() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "import.md").read_text(encoding="utf-8")
    mapping = parse_mapping(text.split("```yaml\n")[1].split("```")[0], "import.md")
    assert mapping.name == "springfield"


def test_a_mapping_is_read_by_path_too(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(SMALL)
    assert read_mapping(str(path)) == read_mapping(path) == parse_mapping(SMALL, "x")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("timezone: America/New_York", "timezone: Mars/Base", "unknown time zone"),
        ("  status: Status", "  state: Status", "status: Field required"),
        ('"%Y-%m-%d"]', '"%H:%M"]', "lacks year, month or day"),
        ("code: 'N\\1'", "code: 'N\\2'", "names a group"),
        ("'North (\\d)'", "'North ('", "regular expression"),
        ("{lon: -71.0587, lat: 42.3594}", "{lon: -271.0587, lat: 42.3594}", "greater than or equal to -180"),
        ("        street_light: Lamp", "        street_light: pot  HOLE", "'pot hole' twice"),
        ("  lon: X\n", "", "lon and lat"),
        ('"at {Address}"', '"at {Address.__class__!r}"', "column names in braces"),
        ("{P1: [Emergency]}", "{P9: [Emergency]}", "P9"),
        ("source: small-311", "source: Small 311", "pattern"),
    ],
)
def test_a_wrong_mapping_is_refused_with_the_reason(old: str, new: str, words: str) -> None:
    assert old in SMALL
    with pytest.raises(MappingError, match=r"mine\.yaml") as error:
        parse_mapping(SMALL.replace(old, new), "mine.yaml")
    assert words in str(error.value)


def test_an_error_names_file_line_and_field() -> None:
    with pytest.raises(MappingError) as error:
        parse_mapping(SMALL.replace("timezone: America/New_York", "timezone: Mars/Base"), "mine.yaml")
    assert str(error.value).startswith("mine.yaml:5: timezone: unknown time zone")


@pytest.mark.parametrize("text", ["", "- a", "a: [", "just words"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(MappingError, match=r"mine\.yaml"):
        parse_mapping(text, "mine.yaml")


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(MappingError, match="name: given twice"):
        parse_mapping(SMALL + "name: again\n", "mine.yaml")


def test_an_unknown_name_lists_what_ships() -> None:
    with pytest.raises(MappingError, match="boston, chicago, nyc"):
        read_mapping("atlantis")
    with pytest.raises(MappingError, match="cannot be read"):
        read_mapping("nowhere/at/all.yaml")


# ------------------------------------------------------------------------------------------------------------- one row


def test_a_row_becomes_a_case_with_its_own_times(small: Mapping) -> None:
    case = read(
        small, Closed="2024-01-11 09:30:00", Due="2024-01-12", Status="done", Via="Phone", Address="1 Main St",
        X="-71.06", Y="42.35", Ward="Ward 07", Pole="L-7", Flag="school", Urgency="emergency",
    )  # fmt: skip
    assert case.created_at == datetime(2024, 1, 10, 13, tzinfo=UTC)
    assert case.closed_at == datetime(2024, 1, 11, 14, 30, tzinfo=UTC)
    assert case.target_at == datetime(2024, 1, 12, 5, tzinfo=UTC)
    assert (case.is_closed, case.category, case.sub_category, case.priority) == (True, "pothole", "Road", "P1")
    assert (case.channel, case.address, case.asset_id) == ("Phone", "1 Main St", "L-7")
    assert (case.lon, case.lat, case.is_place, case.city_zone) == (-71.06, 42.35, True, "7")
    assert case.description == "Road at 1 Main St"
    assert case.tags == ("imported", "school")


def test_parts_of_the_description_without_their_column_are_left_out(small: Mapping) -> None:
    assert read(small).description == "Road"
    assert read(small, Kind="N/A").description is None


def test_the_first_column_that_is_not_blank_counts(small: Mapping) -> None:
    assert read(small, Status="Done", Touched="2024-02-01").closed_at == datetime(2024, 2, 1, 5, tzinfo=UTC)
    assert read(small, Touched="2024-02-01").closed_at is None  # an open row was touched, not closed
    assert read(small, Address=" - ", Corner="A & B").address == "A & B"


def test_a_value_without_a_category_falls_to_the_default_and_says_so(small: Mapping) -> None:
    case = read(small, Kind="Unicorn")
    assert (case.category, case.known_category, case.sub_category) == ("general_inquiry", False, "Unicorn")
    assert read(small, Kind="  POT   hole ").category == "pothole"


def test_zone_columns_are_normalised_by_the_first_rule_that_fits(small: Mapping) -> None:
    for text, zone in (("Ward 3", "3"), ("03", "3"), ("17", "17"), ("North 2", "N2"), ("South", None), ("", None)):
        assert read(small, Ward=text).city_zone == zone


def test_a_placeholder_is_no_place_but_keeps_its_point(small: Mapping) -> None:
    case = read(small, X="-71.0587", Y="42.3594")
    assert (case.lon, case.lat, case.is_place) == (-71.0587, 42.3594, False)
    assert read(small, X="-71.0589", Y="42.3594").is_place
    assert read(small, X="0", Y="0.0").lon is None


def test_what_cannot_be_read_is_a_bad_row_with_its_reason(small: Mapping) -> None:
    assert refusal(small, ID=" ") == "its ID is blank"
    assert refusal(small, Opened="") == "it has no creation time"
    assert "'10/01/2024' is no time" in refusal(small, Opened="10/01/2024")
    assert "closed time '2024-02-30' is no time" in refusal(small, Closed="2024-02-30")
    assert "'Lost' is not in the mapping" in refusal(small, Status="Lost")
    assert "blank" in refusal(small, Status="")
    assert "no longitude and latitude" in refusal(small, X="-71.06", Y="95")
    assert "no longitude and latitude" in refusal(small, X="-71.06")
    assert "no longitude and latitude" in refusal(small, X="nan", Y="nan")
    assert "before 1900" in refusal(small, Opened="0201-01-01")
    with pytest.raises(RowError, match="2 fields where the header has 16"):
        CaseReader(small, HEADER).case(Record(2, ["1", "2"]))


def test_columns_that_the_file_lacks_are_blank_and_named(small: Mapping) -> None:
    reader = CaseReader(small, ["Status", "ID", "Opened"])
    assert reader.case(Record(2, ["Open", "9", "2024-01-10"])).address is None
    assert set(reader.missing_columns) == set(HEADER) - {"Status", "ID", "Opened"}


# ------------------------------------------------------------------------------------------------------------- times

NEW_YORK = ZoneInfo("America/New_York")
ZONES = st.sampled_from([NEW_YORK, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Almaty"), ZoneInfo("Europe/Dublin")])
# Around the clock changes of 2024, where wall times repeat and are skipped. Wall times have no zone.
WALLS = st.one_of(
    st.datetimes(datetime(2024, 3, 9), datetime(2024, 4, 8)),
    st.datetimes(datetime(2024, 10, 5), datetime(2024, 11, 4)),
    st.datetimes(datetime(2024, 3, 10, 1, 30), datetime(2024, 3, 10, 3, 30)),
).map(lambda wall: wall.replace(microsecond=0))


@given(ZONES, st.lists(WALLS, min_size=2, max_size=8))
def test_the_order_of_wall_times_is_the_order_of_their_instants(zone: ZoneInfo, walls: list[datetime]) -> None:
    for one, two in pairwise(sorted(walls)):
        assert (one < two) is (to_utc(one, zone) < to_utc(two, zone))


def test_a_wall_time_that_occurs_twice_is_the_first() -> None:
    assert to_utc(datetime(2024, 11, 3, 1, 30), NEW_YORK) == datetime(2024, 11, 3, 5, 30, tzinfo=UTC)


def test_skipped_wall_times_fall_in_order_into_the_second_before_the_change() -> None:
    change = datetime(2024, 3, 10, 7, tzinfo=UTC)
    first, last = (to_utc(datetime(2024, 3, 10, 2, *rest), NEW_YORK) for rest in ((0, 0), (59, 59)))
    assert change - timedelta(seconds=1) < first < last < change
    assert to_utc(datetime(2024, 3, 10, 3), NEW_YORK) == change


def test_a_time_that_names_its_offset_needs_no_zone() -> None:
    assert read_time("2024-07-01T12:00:00+02:00", ["iso"], NEW_YORK) == datetime(2024, 7, 1, 10, tzinfo=UTC)


# ------------------------------------------------------------------------------------------------------------- clock

OFFICE = Calendar("America/New_York", dict.fromkeys(range(5), ((480, 1020),)))
START = datetime(2020, 1, 6, 15, tzinfo=UTC)
POLICIES = st.builds(
    lambda target, grace, steps: Policy("p", target, target + grace, steps=tuple(Step(hours, "tell") for hours in steps)),
    st.floats(1, 200), st.floats(0, 100), st.lists(st.floats(1, 300), max_size=3).map(sorted),
)  # fmt: skip


@given(st.none() | POLICIES, st.sampled_from([ALWAYS, OFFICE]), st.floats(0, 20_000), st.booleans(), st.booleans())
def test_the_short_cut_through_a_long_history_reads_what_the_whole_clock_reads(
    policy: Policy | None, calendar: Calendar, hours: float, ended: bool, imported: bool
) -> None:
    now = START + timedelta(hours=hours)
    if imported:
        policy = imported_policy(policy, created_at=START, target_at=START + timedelta(hours=50))
    plain = read_clock(policy, calendar, started_at=START, now=now, finished_at=now if ended else None)
    fired = len(plain.due_steps)
    expected = clock_columns(
        policy, calendar, started_at=START, pauses=(), now=now, fired_steps=fired, finished_at=now if ended else None
    )
    assert history_columns(policy, calendar, started_at=START, ended_at=now if ended else None, now=now) == expected
