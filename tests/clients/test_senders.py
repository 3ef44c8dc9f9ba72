"""Both senders keep the same contract; Apprise is tried against a real SMTP server on this machine."""

import asyncio
import smtplib
import socket
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage as Mail
from email.policy import default

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from structlog.testing import capture_logs

from civicpulse.base.clients.senders import AppriseSender, Message, Sender, SendFailed, build_sender
from civicpulse.settings import Settings, SettingsError

# Apprise loads a hundred services at its first use, and a library of one of them imports imghdr.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")

HELLO = Message("email", "jane@example.org", "Your request", "It was resolved.\nThank you <3")


class Mailbox:
    """Keeps what a mail server takes; refuses recipients called nobody."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], Mail]] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        self.mails.append((list(envelope.rcpt_tos), message_from_bytes(envelope.content, Mail, policy=default)))
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    """A running SMTP server and the Apprise URL that reaches it."""
    kept = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(kept, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield kept, f"mailto://127.0.0.1:{port}?mode=insecure&from=city@example.org&to={{recipient}}"
    finally:
        server.stop()


def body_of(mail: Mail) -> str:
    part = mail.get_body(("plain",)) or mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("kind", ["log", "apprise"])
async def test_a_sender_takes_a_message_and_answers_nothing(kind: str, mailbox: tuple[Mailbox, str]) -> None:
    sender: Sender = build_sender(Settings(senders=(mailbox[1],) if kind == "apprise" else ()))
    assert await sender.send(HELLO) is None  # type: ignore[func-returns-value]


async def test_without_a_sender_the_log_says_so_and_tells_neither_recipient_nor_code_nor_link() -> None:
    secret = Message("email", "jane@example.org", "Your code: 103061", "103061, see /track/C-1#token=abcdefgh")
    with capture_logs() as lines:
        await build_sender(Settings()).send(secret)
    (line,) = lines
    assert (line["event"], line["channel"]) == ("message", "email")
    assert "CIVICPULSE_SENDERS" in line["hint"]
    assert not [word for word in ("jane", "103061", "abcdefgh", "C-1") if word in str(line)]


async def test_the_log_of_a_sample_has_all_there_is_to_know() -> None:
    with capture_logs() as lines:
        await build_sender(Settings(messages_in_log=True)).send(HELLO)
    assert lines == [
        {
            "event": "message",
            "log_level": "info",
            "channel": "email",
            "recipient": HELLO.recipient,
            "title": HELLO.title,
            "body": HELLO.body,
        }
    ]


async def test_mail_reaches_the_recipient_with_title_and_body(mailbox: tuple[Mailbox, str]) -> None:
    kept, url = mailbox
    await AppriseSender([url]).send(HELLO)
    ((recipients, mail),) = kept.mails
    assert recipients == ["jane@example.org"]
    assert mail["Subject"] == "Your request"
    assert "It was resolved." in body_of(mail)


async def test_a_message_that_comes_again_can_be_told_by_its_key(mailbox: tuple[Mailbox, str]) -> None:
    kept, url = mailbox
    again = Message("email", "jane@example.org", "Your request", "It was resolved.", id="0190-1")
    for _ in range(2):
        await AppriseSender([url]).send(again)
    assert [mail["Idempotency-Key"] for _, mail in kept.mails] == ["0190-1", "0190-1"]


async def test_a_line_break_in_a_title_cannot_add_a_header(mailbox: tuple[Mailbox, str]) -> None:
    kept, url = mailbox
    await AppriseSender([url]).send(Message("email", "jane@example.org", "Hello\r\nBcc: spy@example.org", "text"))
    ((recipients, mail),) = kept.mails
    assert recipients == ["jane@example.org"]
    assert mail["Bcc"] is None


async def test_a_recipient_with_url_signs_in_it_cannot_change_the_url(mailbox: tuple[Mailbox, str]) -> None:
    kept, url = mailbox
    await AppriseSender([url]).send(Message("email", "jane+a&b@example.org", "Hello", "text"))
    assert kept.mails[0][0] == ["jane+a&b@example.org"]


async def test_simultaneous_messages_do_not_mix(mailbox: tuple[Mailbox, str]) -> None:
    kept, url = mailbox
    sender = AppriseSender([url])
    await asyncio.gather(*(sender.send(Message("email", f"p{n}@example.org", f"Number {n}", "text")) for n in range(8)))
    assert sorted((mail[0], mail[1]["Subject"]) for mail in kept.mails) == [
        ([f"p{n}@example.org"], f"Number {n}") for n in range(8)
    ]


async def test_a_refused_recipient_is_a_failure_that_does_not_name_them(mailbox: tuple[Mailbox, str]) -> None:
    with pytest.raises(SendFailed) as caught:
        await AppriseSender([mailbox[1]]).send(Message("email", "nobody@example.org", "Hello", "text"))
    assert "nobody" not in str(caught.value)


async def test_the_next_service_is_tried_when_the_first_is_down(mailbox: tuple[Mailbox, str]) -> None:
    kept, url = mailbox
    await AppriseSender(["mailto://127.0.0.1:9?mode=insecure&from=a@example.org&to={recipient}", url]).send(HELLO)
    assert len(kept.mails) == 1


async def test_a_service_that_never_answers_is_given_up(mailbox: tuple[Mailbox, str]) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = AppriseSender(
        [f"mailto://127.0.0.1:{port}?mode=insecure&cto=1&rto=1&from=a@example.org&to={{recipient}}"], send_seconds=0.2
    )
    with pytest.raises(SendFailed):
        await sender.send(HELLO)
    await asyncio.sleep(1.2)  # the thread ends by its own limit, before the server goes
    server.close()


async def test_a_channel_without_a_service_is_a_failure(mailbox: tuple[Mailbox, str]) -> None:
    with pytest.raises(SendFailed, match="sms"):
        await AppriseSender([mailbox[1]]).send(Message("sms", "+12025550123", "Hello", "text"))


@pytest.mark.parametrize(
    "url", ["nonsense", "nosuch://host/{recipient}", "mailto://127.0.0.1?from=a@example.org&to=b@example.org"]
)
def test_a_url_that_cannot_work_is_refused_at_the_start_without_being_shown(url: str) -> None:
    with pytest.raises(SettingsError, match="CIVICPULSE_SENDERS: URL number 1") as caught:
        AppriseSender([url])
    assert url not in str(caught.value)


def test_a_prefix_says_which_channel_a_url_serves(mailbox: tuple[Mailbox, str]) -> None:
    kept, url = mailbox
    asyncio.run(AppriseSender([f"sms={url}"]).send(Message("sms", "jane@example.org", "Hello", "text")))
    assert len(kept.mails) == 1


def test_the_mail_server_of_these_tests_is_real(mailbox: tuple[Mailbox, str]) -> None:
    kept, url = mailbox
    port = int(url.split(":")[2].split("?")[0])
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("a@example.org", ["b@example.org"], "Subject: direct\r\n\r\ntext")
    assert kept.mails[0][1]["Subject"] == "direct"
