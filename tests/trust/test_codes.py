"""Nobody keeps the owner of a contact from signing in, by asking for codes nor by guessing at them (R-DOOR-14)."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from civicpulse.base import clock
from civicpulse.base.clients.senders import Message
from civicpulse.people.codes import CODES_PER_DAY, LONG, SHORT, TRIES
from conftest import City

START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
OWNER, MALLORY = "192.0.2.1", "198.51.100.1"
JANE = {"full_name": "Jane Doe", "contacts": {"email": "jane@example.org"}}


class Mail:
    """A sender that keeps what it is given."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    async def send(self, message: Message) -> None:
        self.bodies.append(message.body)

    @property
    def code(self) -> str:
        """The code of the last message."""
        return max("".join(sign if sign.isdigit() else " " for sign in self.bodies[-1]).split(), key=len)


@pytest.fixture
def mail(city: City) -> Iterator[Mail]:
    before, city.app.state.sender = city.app.state.sender, Mail()
    yield city.app.state.sender
    city.app.state.sender = before


@pytest.fixture
def at(city: City) -> Callable[[str], httpx.AsyncClient]:
    """Makes a stranger's client by the address they call from."""

    def client(address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=city.app, client=(address, 1))
        return httpx.AsyncClient(
            transport=transport, base_url="http://city.test", headers={"X-Tenant": city.tenant.slug}
        )

    return client


async def ask(client: httpx.AsyncClient) -> dict[str, Any]:
    """Asks for a code to Jane's address; what is answered looks the same to everybody."""
    answer = await client.post("/citizens", json=JANE)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def enter(client: httpx.AsyncClient, asked: dict[str, Any], code: str) -> httpx.Response:
    return await client.post(f"/citizens/{asked['_id']}/verify", json={"code": code})


async def test_whoever_asks_for_many_codes_locks_the_owner_out_of_none(
    city: City, mail: Mail, at: Callable[[str], httpx.AsyncClient]
) -> None:
    owner, mallory = at(OWNER), at(MALLORY)
    with clock.at(START):
        asked = await ask(owner)
        assert (await enter(owner, asked, mail.code)).status_code == 200
    for n in range(CODES_PER_DAY + 3):
        with clock.at(START + timedelta(minutes=2 * n + 2)):
            await ask(mallory)
    assert len(mail.bodies) == 1 + CODES_PER_DAY, "a caller has ten a day"
    with clock.at(START + timedelta(hours=1)):
        asked = await ask(owner)
        assert len(mail.bodies) == 2 + CODES_PER_DAY
        assert len(mail.code) == LONG, "so many were asked for that a short one could be guessed"
        assert (await enter(owner, asked, mail.code)).status_code == 200
    with clock.at(START + timedelta(days=1, hours=2)):
        await ask(owner)
        assert len(mail.code) == SHORT


async def test_guesses_of_a_stranger_use_up_no_try_of_the_owner(
    city: City, mail: Mail, at: Callable[[str], httpx.AsyncClient]
) -> None:
    owner, mallory = at(OWNER), at(MALLORY)
    with clock.at(START):
        asked = await ask(owner)
        code = mail.code
        assert [(await enter(mallory, asked, "000000")).status_code for _ in range(2)] == [409, 409], "it is not theirs"
        theirs = await ask(mallory)
        wrong = "111111" if mail.code != "111111" else "222222"
        guessed = [(await enter(mallory, theirs, wrong)).status_code for _ in range(TRIES + 1)]
        assert guessed == [422] * TRIES + [409]
        assert (await enter(mallory, theirs, code)).status_code == 409
        assert (await enter(owner, asked, code)).status_code == 200


async def test_a_code_that_staff_asked_for_is_the_citizens_from_anywhere(
    city: City, mail: Mail, at: Callable[[str], httpx.AsyncClient]
) -> None:
    staff = await city.client("dispatcher")
    with clock.at(START):
        asked = await ask(staff)
        assert (await enter(at(OWNER), asked, mail.code)).status_code == 200
