"""The descriptions of the sample tenants: they fit the packs they name, and a fault in one is told by file and field."""

import csv
import io
import re
import shutil
from pathlib import Path
from random import Random

import pytest

from civicpulse.packs.loader import read_pack
from civicpulse.sample import loader
from civicpulse.sample.centre_files import staff_files, tickets_file
from civicpulse.sample.loader import Handling, SampleError, Step, read_sample

SHIPPED = Path(loader.__file__).parent / "data"


@pytest.fixture
def city(tmp_path: Path) -> Path:
    return shutil.copytree(SHIPPED / "city", tmp_path / "city")


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("tenant", "seed: 311", "seed: many", "city/tenant.yaml: seed: Input should be a valid integer"),
        ("tenant", "seed: 311", "sead: 311", "city/tenant.yaml: seed: Field required\ncity/tenant.yaml: sead: Extra inputs"),
        ("kinds", "hazard: 0.06", "hazard: 6", "city/kinds.yaml: street_light.hazard: Input should be less than or equal to 1"),
        ("life", "forgotten: 0.03", "forgotten: [0.03", "city/life.yaml:17: not YAML"),
    ],
)  # fmt: skip
def test_a_fault_is_told_by_file_and_field(city: Path, file: str, before: str, after: str, said: str) -> None:
    spoilt = city / f"{file}.yaml"
    text = spoilt.read_text()
    assert before in text
    spoilt.write_text(text.replace(before, after))
    with pytest.raises(SampleError) as caught:
        read_sample("city", city)
    assert str(caught.value).startswith(said)


def test_what_is_missing_is_told_when_it_is_asked_for(city: Path) -> None:
    life = city / "life.yaml"
    life.write_text(life.read_text().replace("forgotten: 0.03", "forgoten: 0.03"))
    (city / "talk.yaml").unlink()
    told = read_sample("city", city)
    with pytest.raises(SampleError, match=r"^city/life.yaml: triage.forgotten: Field required$"):
        _ = told.life.triage.forgotten
    with pytest.raises(SampleError, match=r"^city: talk: Field required$"):
        _ = told.talk


def test_the_city_knows_each_category_and_sub_category_of_its_pack() -> None:
    told = read_sample("city")
    known = {category.id: category for category in read_pack(told.tenant.pack).categories}
    assert set(told.kinds) == set(told.reports["en"])
    assert set(told.kinds) <= set(known)
    spoken_of = {
        (category, line.partition("|")[0])
        for language in told.reports.values()
        for category, lines in language.items()
        for line in lines
        if "|" in line
    }
    declared = {(name, sub.id) for name, category in known.items() for sub in category.sub_categories}
    assert spoken_of <= declared


@pytest.mark.parametrize("name", ["campus", "centre"])
def test_each_step_leads_to_a_state_of_the_pack_and_is_taken_by_somebody(name: str) -> None:
    told = read_sample(name)
    states = set(read_pack(told.tenant.pack).workflow.states)
    people = {post.code for post in told.tenant.staff} | {"worker"}
    steps = list(every_step(told.handling))
    assert {step.to for step in steps} <= states
    assert {step.by for step in steps} <= people


def every_step(handling: Handling) -> list[Step]:
    return [one for step in handling.steps for one in (step, *step.then)]


def test_names_and_texts_of_the_brokerage_agree_in_gender_and_greet_once() -> None:
    told = read_sample("centre")
    files, rng = told.files, Random(1)
    endings = {given: number for number, who in enumerate(files.people) for given in who.given}
    managers = [row["ФИО"].split() for row in read(staff_files(files, rng)[1])]
    assert len({tuple(name) for name in managers}) == len(managers), "nobody is there twice"
    assert all(family in {forms[endings[given]] for forms in files.family} for family, given in managers)
    letters = read(tickets_file(told, rng, many=500))
    greeting = re.compile(r"Здравствуйте|Добрый день|Hello|Good afternoon|Сәлеметсіз|Қайырлы күн")
    assert all(len(greeting.findall(letter["Описание"])) <= 1 for letter in letters)
    assert not any("{" in letter["Описание"] for letter in letters)
    said = {
        (letter["Пол клиента"], word) for letter in letters for word in re.findall(r"Получила?\b", letter["Описание"])
    }
    assert said == {("Мужской", "Получил"), ("Женский", "Получила")}


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))
