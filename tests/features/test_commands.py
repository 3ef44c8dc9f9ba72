"""The operator's commands: what they say of the installation, of what is missing and of what is wrong, each in one line."""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from builders import create
from typer.testing import CliRunner

from civicpulse import __version__
from civicpulse.accounts.tokens import TokenBook
from civicpulse.base.embedded import EmbeddedServerError, make_folder, sockets
from civicpulse.base.logins import application_url
from civicpulse.cli.main import app
from civicpulse.cli.tenants import Kind
from civicpulse.packs import schemas
from civicpulse.settings import Settings, SettingsError
from conftest import City

HEAVY = (
    "psycopg",
    "fastapi",
    "uvicorn",
    "numpy",
    "shapely",
    "sklearn",
    "sqlalchemy",
    "alembic",
    "structlog",
    "rich",
    "yaml",
)


def invoke(*arguments: str) -> Any:
    """Runs a command in this process."""
    return CliRunner().invoke(app, arguments)


async def command(*arguments: str) -> Any:
    """Runs a command that opens the database."""
    return await asyncio.to_thread(invoke, *arguments)


def one_line(said: Any, *words: str, code: int = 2) -> None:
    """Checks that the command ended with this code, and told why in its last line."""
    assert said.exit_code == code, said.output
    *before, last = said.stderr.strip().splitlines()
    assert all(line.startswith("on ") for line in before), said.stderr
    assert all(word in last for word in words), last


@pytest.fixture
def reached(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tests' database, as the installation that commands work on."""
    monkeypatch.setenv("CIVICPULSE_DATABASE_URL", application_url(database_url))
    return database_url


# ------------------------------------------------------------------------------------------------- asking for help


def test_help_and_version_load_nothing_that_takes_long() -> None:
    for arguments in (["--help"], ["token", "create", "--help"], ["--version"], ["quality", "analysis", "--help"]):
        code = (
            f"import sys; sys.argv = ['civicpulse', *{arguments!r}]\nfrom civicpulse.cli.main import main\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
            f"sys.exit(', '.join(name for name in {HEAVY!r} if name in sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "\n") or (done.returncode, done.stderr) == (0, ""), done.stderr


def test_the_version_is_told() -> None:
    assert invoke("--version").output == f"civicpulse {__version__}\n"


def every_command() -> Iterator[tuple[tuple[str, ...], Any]]:
    whole: Any = typer.main.get_command(app)
    for name, found in whole.commands.items():
        for inner, one in getattr(found, "commands", {"": found}).items():
            yield tuple(filter(None, (name, inner))), one


@pytest.mark.parametrize(
    ("path", "one"), list(every_command()), ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_each_command_explains_itself_and_its_example_is_one(path: tuple[str, ...], one: Any) -> None:
    told = invoke(*path, "--help")
    assert told.exit_code == 0
    assert "<bool>" not in told.output
    assert all(option.help for option in one.params), [option.name for option in one.params if not option.help]
    if one.epilog:
        words = shlex.split(one.epilog.removeprefix("Example: "))
        assert tuple(words[1 : len(path) + 1]) == path
        options = {name for option in one.params for name in (*option.opts, *option.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= options


def test_kinds_of_tenants_are_those_of_the_packs() -> None:
    assert get_args(Kind) == get_args(schemas.Kind)


def test_a_wrong_choice_names_the_choices_and_nothing_else() -> None:
    said = invoke("tenant", "create", "mars", "--kind", "spaceship")
    assert said.exit_code == 2
    assert all(kind in said.stderr for kind in get_args(Kind))
    assert "secret" not in said.output


def test_completion_can_be_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "civicpulse.cli.main", "--show-completion", "bash"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "complete" in done.stdout + done.stderr


# ------------------------------------------------------------------------------------------------- what is set outside


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("POOL_SIZE", "abc", "a number, such as 16"),
        ("POOL_SIZE", "2.5", "a whole number"),
        ("POOL_SIZE", "0", "at least 1"),
        ("LLM_TIMEOUT_SECONDS", "nan", "a number, such as 8"),
        ("LOG_LEVEL", "loud", "one of DEBUG, INFO"),
        ("DATABASE_URL", "mysql://root:hush@host/x", "postgresql://"),
        ("STORAGE_URL", "/var/files", "file:// or s3://"),
        ("TILE_URL", "tiles.example/{z}", "https:// or http://"),
    ],
)
def test_a_bad_variable_is_told_with_its_value_and_what_is_wanted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str
) -> None:
    monkeypatch.setenv(f"CIVICPULSE_{name}", value)
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment()
    assert f"CIVICPULSE_{name}" in str(caught.value)
    assert wanted in str(caught.value)
    assert "hush" not in str(caught.value)
    one_line(invoke("tenant", "list"), f"CIVICPULSE_{name}", wanted)


def test_a_database_that_is_away_is_told_in_one_line_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIVICPULSE_DATABASE_URL", "postgresql://somebody:hush@127.0.0.1:1/city")
    said = invoke("tenant", "list")
    one_line(said, "127.0.0.1:1/city", "tried for", "CIVICPULSE_DATABASE_URL")
    assert "hush" not in said.output


# ------------------------------------------------------------------------------------------------- which installation


def test_where_nothing_is_a_command_makes_nothing(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    one_line(
        invoke("token", "create", "--tenant", "boston", "--role", "admin", "--data", str(nowhere)),
        str(nowhere),
        "civicpulse up --data",
    )
    assert not nowhere.exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedServerError, match=r"cannot make the folder .*file.*; choose another --data"):
        make_folder(tmp_path / "file" / "data")
    one_line(invoke("up", "--data", str(tmp_path / "file" / "data")), "choose another --data")


def test_what_killed_servers_leave_in_the_temporary_folder_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sockets, "is_alive", lambda pid: pid == 7)
    data = tmp_path / "data"
    data.mkdir()
    for name, pid, home in (("dead", 9, data), ("gone", 9, tmp_path / "no-more"), ("alive", 7, data)):
        folder = tmp_path / f"civicpulse-{os.getuid()}-{name}"
        folder.mkdir()
        (folder / ".s.PGSQL.5432.lock").write_text(f"{pid}\n{home / 'postgres'}\n")
    sockets.sweep_sockets()
    assert [folder.name.rpartition("-")[2] for folder in tmp_path.glob("civicpulse-*")] == ["alive"]


# ------------------------------------------------------------------------------------------------- tenants and tokens


async def test_tokens_are_made_listed_and_ended_by_what_is_shown(reached: str, city: City) -> None:
    slug = city.tenant.slug
    made = await command("token", "create", "--tenant", slug, "--role", "dispatcher", "--label", "front desk")
    assert made.exit_code == 0, made.output
    assert re.fullmatch(r"cpt_\S+\n", made.stdout), "the token stands alone on stdout"
    (shown,) = re.findall(r"token ([0-9a-f-]{36}): 'civicpulse (token revoke \S+ --tenant \S+)'", made.stderr)
    book = TokenBook(city.services.db)
    assert await book.owner(made.stdout.strip()) is not None
    listed = await command("token", "list", "--tenant", slug)
    (row,) = [line for line in listed.stdout.splitlines() if shown[0] in line]
    assert "front desk" in row
    assert "dispatcher" in row
    assert "cpt_" not in listed.output
    ended = await command(*shlex.split(shown[1]))
    assert ended.exit_code == 0, ended.output
    assert shown[0] not in (await command("token", "list", "--tenant", slug)).stdout
    assert shown[0] in (await command("token", "list", "--tenant", slug, "--all")).stdout
    one_line(await command(*shlex.split(shown[1])), shown[0], "token list")
    one_line(await command("token", "create", "--tenant", slug, "--role", "wizard"), "wizard", "dispatcher")


async def test_tenants_are_listed_with_their_ids_and_a_table_is_never_wrapped(reached: str, city: City) -> None:
    listed = await command("tenant", "list")
    (row,) = [line for line in listed.stdout.splitlines() if str(city.tenant.tenant_id) in line]
    assert city.tenant.slug in row
    assert "A test city" in row
    one_line(await command("token", "list", "--tenant", "atlantis"), "there is no tenant 'atlantis'", city.tenant.slug)


# ------------------------------------------------------------------------------------------------- bringing data in


def zones(path: Path, *codes: str) -> Path:
    """A file of square zones, one beside the other."""
    features = [
        {
            "type": "Feature",
            "properties": {"WARD": code, "TITLE": f"Ward {code}"},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x, 40], [x + 0.1, 40], [x + 0.1, 40.1], [x, 40.1], [x, 40]]],
            },
        }
        for code, x in zip(codes, (-74.0, -73.9, -73.8), strict=False)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


async def test_zones_by_a_property_that_is_not_there_are_refused_and_those_that_are_named(
    reached: str, city: City, tmp_path: Path
) -> None:
    file = str(zones(tmp_path / "wards.geojson", "1", "2", "3"))
    wrong = await command("import", "zones", file, "--tenant", city.tenant.slug, "--code", "NAME")
    assert wrong.exit_code == 1
    assert wrong.stdout == (
        "0 added, 0 changed, 0 unchanged, 3 bad\n"
        "  features 0, 1, 2: its property 'NAME' is missing or empty; it has TITLE, WARD\n"
    )
    right = await command("import", "zones", file, "--tenant", city.tenant.slug, "--code", "WARD", "--name", "TITLE")
    assert (right.exit_code, right.stdout) == (0, "3 added, 0 changed, 0 unchanged, 0 bad\n")


async def test_geojson_given_as_requests_is_called_what_it_is(reached: str, city: City, tmp_path: Path) -> None:
    file = str(zones(tmp_path / "wards.geojson", "1"))
    said = await command("import", "requests", file, "--tenant", city.tenant.slug, "--mapping", "boston")
    one_line(said, "JSON", "CSV or XLSX")


ROSTER = """code,name,department,skills,zones,shifts,on_call,phone
PW-1,Rosa Delgado,Public Works,"road_maintenance, concrete",1; 2,Mon-Fri 07:00-15:30; Sat 09:00-13:00,no,+1 201 555 0900
PW-2,Ian McAllister,Public Works,juggling,1,Fri-Mon 22:00-06:00,yes,
PW-3,Tomasz Wilk,Public Works,concrete,9,,,
PW-4,Grace Okafor,Public Works,concrete,1,weekdays,,
"""


async def test_a_roster_makes_agents_with_shifts_and_again_changes_what_differs(
    reached: str, city: City, tmp_path: Path
) -> None:
    slug, roster = city.tenant.slug, tmp_path / "agents.csv"
    await command("import", "zones", str(zones(tmp_path / "z.geojson", "1", "2")), "--tenant", slug, "--code", "WARD")
    roster.write_text(ROSTER)
    first = await command("import", "agents", str(roster), "--tenant", slug, "--timezone", "America/New_York")
    assert first.exit_code == 1, first.output
    told = first.stdout.splitlines()
    assert told[0] == "2 agents added, 0 changed, 0 as they were, 2 bad"
    assert "line 4: there is no zone 9 (there are: 1, 2, UNZONED)" in told[1]
    assert "line 5: the shift 'weekdays' is not written like 'Mon-Fri 07:00-15:30'" in told[2]
    assert any(line.startswith("  nobody has the skills for: ") for line in told)
    assert "  no category asks for the skills: juggling" in told
    client = await city.client("admin")
    rosa = (await client.get("/agents/PW-1")).json()
    assert rosa["coverage"]["zone_ids"] == ["1", "2"]
    assert rosa["schedule"]["timezone"] == "America/New_York"
    assert [(one["day"], one["start"]) for one in rosa["schedule"]["shifts"]][-2:] == [
        ("Fri", "07:00"),
        ("Sat", "09:00"),
    ]
    ian = (await client.get("/agents/PW-2")).json()["schedule"]
    assert [one["day"] for one in ian["shifts"]] == ["Fri", "Sat", "Sun", "Mon"]
    assert ian["on_call"] is True
    roster.write_text("".join(ROSTER.splitlines(keepends=True)[:3]).replace("juggling", "arborist"))
    second = await command("import", "agents", str(roster), "--tenant", slug, "--timezone", "America/New_York")
    assert (second.exit_code, second.stdout.splitlines()[0]) == (0, "0 agents added, 1 changed, 1 as they were, 0 bad")
    assert (await client.get("/agents/PW-2")).json()["skills"] == ["arborist"]


async def test_a_roster_without_its_columns_is_refused_with_those_that_it_may_have(
    reached: str, city: City, tmp_path: Path
) -> None:
    (tmp_path / "agents.csv").write_text("who,what\nRosa,roads\n")
    said = await command("import", "agents", str(tmp_path / "agents.csv"), "--tenant", city.tenant.slug)
    one_line(said, "lacks the column code and name", "who, what", "shifts")


async def test_the_first_request_of_a_new_city_finds_its_agent(reached: str, city: City, tmp_path: Path) -> None:
    slug = city.tenant.slug
    await command("import", "zones", str(zones(tmp_path / "z.geojson", "1")), "--tenant", slug, "--code", "WARD")
    (tmp_path / "agents.csv").write_text(
        "code,name,skills,zones,shifts\nPW-1,Rosa Delgado,road_maintenance,1,Mon-Sun 00:00-24:00\n"
    )
    assert (await command("import", "agents", str(tmp_path / "agents.csv"), "--tenant", slug)).exit_code == 0
    await city.services.tenants.refresh()
    staff = await city.client("dispatcher")
    number = (await create(staff, lon=-73.95, lat=40.05))["request_id"]
    assert (await staff.patch(f"/requests/{number}/transition", json={"to": "triaged"})).status_code == 200
    given = await staff.post(f"/requests/{number}/auto-assign")
    assert given.status_code == 200, given.text
    assert given.json()["decision"]["candidates"][0]["agent_code"] == "PW-1"
    assert given.json()["status"] == "assigned"
