"""The first hour of a newcomer: the README's commands, run as they stand and in their order; a sample that is broken off."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from test_crash import ENVIRONMENT, free_port, is_free

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMAND = [sys.executable, "-m", "civicpulse.cli.main"]
PATIENCE_SECONDS = 300  # of a busy machine; a quiet one takes a tenth of it
SIZE = "0.03"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder where the README's words are true: `civicpulse` is found, docs are there. Not pytest's: the database is another user."""
    made = Path(tempfile.mkdtemp(prefix="civicpulse-hour-"))
    made.chmod(0o755)
    (made / "bin").mkdir()
    shim = made / "bin" / "civicpulse"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m civicpulse.cli.main "$@"\n')
    shim.chmod(0o755)
    (made / "bin" / "python3").symlink_to(sys.executable)
    (made / "docs").symlink_to(ROOT / "docs")
    before = {process.pid for process in psutil.process_iter()}
    try:
        yield made
    finally:
        for process in psutil.process_iter(["pid", "cmdline"]):
            if process.pid not in before and any(str(made) in word for word in process.info["cmdline"] or ()):
                process.kill()
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`civicpulse up` in the folder, without a terminal, and the file with what it says; nothing of it outlives the block."""
    log = folder / "up.txt"
    with log.open("ab") as written:
        command = [*COMMAND, "up", "--data", str(folder / "data"), *arguments]
        up = subprocess.Popen(command, env=ENVIRONMENT, cwd=folder, stdout=written, stderr=written)
    try:
        yield up, log
    finally:
        up.kill()
        up.wait()


def wait_for(log: Path, words: str, up: subprocess.Popen[bytes]) -> str:
    """Waits until `up` has said something; gives all that it said."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while words not in (said := log.read_text()):
        assert up.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    return said


def stop(up: subprocess.Popen[bytes]) -> int:
    """Ctrl-C, and how it ended."""
    up.send_signal(signal.SIGINT)
    return up.wait(PATIENCE_SECONDS)


def script(folder: Path, ports: dict[str, int]) -> str:
    """All blocks of the README as one script: with the sample's tokens, free ports and a folder of our own for files."""
    logins = json.loads((folder / "data" / "sample-logins.json").read_text())
    tokens = {(one["name"], login["role"]): login["token"] for one in logins["tenants"] for login in one["tokens"]}
    text = "\n".join(line for block in BLOCKS for line in block.splitlines() if not line.startswith("make "))

    def token(found: re.Match[str]) -> str:
        return f"{found[1]}={tokens[found[2], found[3]]}"

    text, filled = re.subn(r'^(\w+)=cpt_… +# (.+), the line "(\w+)"$', token, text, flags=re.MULTILINE)
    assert filled == 2, "the README says whose tokens are wanted"
    for written, port in ports.items():
        text = text.replace(f"127.0.0.1:{written}", f"127.0.0.1:{port}").replace(f"--port {written}", f"--port {port}")
    text = text.replace("/tmp/", f"{folder}/")
    # The server that the README starts in the background has to be there before it is asked.
    text = re.sub(
        r"^(OWN=.*)$", r"\1\nuntil command curl -sf $OWN/health/ready; do sleep 0.2; done", text, flags=re.MULTILINE
    )
    return (
        "set -euo pipefail\ntrap 'echo \"line $LINENO: $BASH_COMMAND\" >&2' ERR\n"
        f'curl() {{ echo; command curl --fail-with-body --max-time 120 "$@"; }}\n{text}\necho\nkill %1\nwait %1\n'
    )


def test_every_command_of_the_readme_works_in_its_order(folder: Path) -> None:
    ports = {"8000": free_port(), "8001": free_port()}
    with started(folder, "--port", str(ports["8000"]), "--sample-size", SIZE) as (up, log):
        said = wait_for(log, "stop: Ctrl-C", up)
        assert "sample    Harbour City: day 0 of 90" in said
        assert "sample    Steppe Invest: day 4 of 4" in said
        made = said.partition("sample    ready in")[0]
        assert not re.search(r"^\{", made, re.MULTILINE), "no line of the log among those for people"
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        with (folder / "out.txt").open("w") as out, (folder / "error.txt").open("w") as error:
            done = subprocess.run(
                ["bash", "-c", script(folder, ports)],
                env=ENVIRONMENT | {"PATH": path},
                cwd=folder,
                stdout=out,
                stderr=error,
                timeout=PATIENCE_SECONDS,
                check=False,
            )
        told, failed = (folder / "out.txt").read_text(), (folder / "error.txt").read_text()
        assert done.returncode == 0, f"{told[-3000:]}\n{failed[-3000:]}"
        assert stop(up) == 0
    assert "events verified, the trail is whole" in told
    assert "6 agents added, 0 changed, 0 as they were, 0 bad" in told
    assert "12 would be added" in told
    assert "12 were added" in told
    assert f"on {folder / 'springfield'}" in failed
    answers = [json.JSONDecoder().raw_decode(line)[0] for line in told.splitlines() if line.startswith("{")]
    given = [one["decision"] for one in answers if "assigned" in (one.get("decision") or {})]
    assert len(given) == 2
    assert given[-1]["assigned"]
    assert "PW-3" in {one["agent_code"] for one in given[-1]["candidates"]}, "who is on shift at any hour"
    assert is_free(ports["8000"])


def test_targets_of_make_in_the_readme_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_a_sample_that_is_broken_off_stops_at_once_and_begins_again(folder: Path) -> None:
    port = str(free_port())
    with started(folder, "--port", port) as (up, log):
        wait_for(log, "Harbour City: day 0 of 90", up)
        assert stop(up) == 0
    said = log.read_text()
    assert said.endswith("stopping\nstopped\n"), said
    assert "Lakeside University" not in said, "it did not go on to the next tenant"
    with started(folder, "--port", port, "--sample-size", SIZE) as (up, log):
        said = wait_for(log, "stop: Ctrl-C", up)
        listed = subprocess.run(
            [*COMMAND, "tenant", "list", "--data", str(folder / "data")],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert all(slug in listed.stdout for slug in ("harbour-city", "lakeside-university", "steppe-invest"))
        assert f"serves http://127.0.0.1:{port}" in listed.stderr
        assert stop(up) == 0
