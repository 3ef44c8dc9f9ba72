"""The descriptions of the sample tenants: they fit the packs they name, and a fault in one is told by file and field."""

import shutil
from pathlib import Path

import pytest

from civicpulse.packs.loader import read_pack
from civicpulse.sample import loader
from civicpulse.sample.campus import CampusDescription
from civicpulse.sample.centre_files import CentreDescription
from civicpulse.sample.city_shapes import CityDescription
from civicpulse.sample.loader import SampleError, read_sample
from civicpulse.sample.shapes import Handling, Step

SHIPPED = Path(loader.__file__).parent / "data"


@pytest.fixture
def city(tmp_path: Path) -> Path:
    return shutil.copytree(SHIPPED / "city", tmp_path / "city")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("forgotten: 0.03", "forgotten: often", "city/life.yaml: triage.forgotten: Input should be a valid number"),
        ("forgotten: 0.03", "forgoten: 0.03", "city/life.yaml: triage.forgotten: Field required"),
        (
            "forgotten: 0.03",
            "forgotten: 3",
            "city/life.yaml: triage.forgotten: Input should be less than or equal to 1",
        ),
        ("forgotten: 0.03", "forgotten: [0.03", "city/life.yaml:"),
    ],
)
def test_a_fault_is_told_by_file_and_field(city: Path, before: str, after: str, said: str) -> None:
    life = city / "life.yaml"
    text = life.read_text()
    assert before in text
    life.write_text(text.replace(before, after))
    with pytest.raises(SampleError) as caught:
        read_sample("city", CityDescription, city)
    assert said in str(caught.value)


def test_a_missing_file_is_named(city: Path) -> None:
    (city / "talk.yaml").unlink()
    with pytest.raises(SampleError, match=r"city/talk.yaml: the file: Field required"):
        read_sample("city", CityDescription, city)


def test_the_city_knows_each_category_and_sub_category_of_its_pack() -> None:
    told = read_sample("city", CityDescription)
    known = {category.id: category for category in read_pack(told.tenant.pack).categories}
    assert set(told.demand.kinds) == set(told.reports["en"])
    assert set(told.demand.kinds) <= set(known)
    spoken_of = {
        (category, line.partition("|")[0])
        for language in told.reports.values()
        for category, lines in language.items()
        for line in lines
        if "|" in line
    }
    declared = {(name, sub.id) for name, category in known.items() for sub in category.sub_categories}
    assert spoken_of <= declared


@pytest.mark.parametrize(("name", "shape"), [("campus", CampusDescription), ("centre", CentreDescription)])
def test_each_step_leads_to_a_state_of_the_pack_and_is_taken_by_somebody(
    name: str, shape: type[CampusDescription] | type[CentreDescription]
) -> None:
    told = read_sample(name, shape)
    states = set(read_pack(told.tenant.pack).workflow.states)
    people = {post.code for post in told.tenant.staff} | {"worker"}
    steps = list(every_step(told.handling))
    assert {step.to for step in steps} <= states
    assert {step.by for step in steps} <= people


def every_step(handling: Handling) -> list[Step]:
    return [one for step in handling.steps for one in (step, *step.then)]
