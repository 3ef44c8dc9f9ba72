"""Messages out: e-mail and SMS by any service that Apprise knows, or a log line when none is set up."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote

import apprise

from civicpulse.base.log import get_logger
from civicpulse.settings import Settings, SettingsError

log = get_logger(__name__)

CHANNELS = ("email", "sms")
SEND_SECONDS = 20.0
MASK: Final = "******"
NO_SENDER: Final = "it reaches nobody: name a service in CIVICPULSE_SENDERS"
_EXAMPLES = {"email": "someone@example.org", "sms": "+12025550123"}


@dataclass(frozen=True, slots=True)
class Message:
    """One text to one person. `channel` is "email" or "sms", `recipient` an address or a number in E.164.

    `id` is the same each time that the message is tried. E-mails and calls of web services carry it as the header
    Idempotency-Key: a service can drop what comes again because the worker was cut off before it could note the first.
    """

    channel: str
    recipient: str = field(repr=False)
    title: str
    body: str = field(repr=False)
    id: str = ""


class SendFailed(Exception):
    """The message did not leave. The text names the reason and never the recipient."""


class Sender(Protocol):
    """Whatever can bring a message out."""

    async def send(self, message: Message) -> None:
        """Returns when the service has taken the message; raises SendFailed."""
        ...


class LogSender:
    """Stands in where no service is set up: each message is one log line that says so, without recipient, code or link.

    Whoever may read a log could otherwise sign in as somebody else, or follow what they report. `in_full` shows it all:
    for a sample on one's own machine, where the log is the only place to see it.
    """

    def __init__(self, *, in_full: bool = False) -> None:
        self._in_full = in_full

    async def send(self, message: Message) -> None:
        """Writes the line; cannot fail."""
        if self._in_full:
            said = {"recipient": message.recipient, "title": message.title, "body": message.body}
        else:
            said = dict.fromkeys(("recipient", "title", "body"), MASK) | {"hint": NO_SENDER}
        log.info("message", channel=message.channel, **said)


class AppriseSender:
    """Sends by Apprise URLs that hold `{recipient}`, such as `mailto://user:password@host?to={recipient}`.

    A `mailto` URL serves e-mail and any other one SMS, unless it begins with `email=` or `sms=`. Several URLs for one
    channel are tried in order until one takes the message. Raises SettingsError for a URL that Apprise does not know.
    """

    def __init__(self, urls: Iterable[str], *, send_seconds: float = SEND_SECONDS) -> None:
        self._send_seconds = send_seconds
        self._urls: dict[str, list[str]] = {channel: [] for channel in CHANNELS}
        for number, text in enumerate(urls, start=1):
            channel, url = _channel_of(text)
            if "{recipient}" not in url or _service(url, _EXAMPLES[channel]) is None:
                raise SettingsError(
                    f"CIVICPULSE_SENDERS: URL number {number} is not an Apprise URL with {{recipient}} in it"
                )
            self._urls[channel].append(url)

    async def send(self, message: Message) -> None:
        """Hands the message to the first service of its channel that takes it; raises SendFailed if none does."""
        urls = self._urls.get(message.channel, [])
        if not urls:
            raise SendFailed(f"no sender is set up for {message.channel}")
        for url in urls:
            try:
                # Apprise blocks; its thread may outlive the limit, whoever waits for it does not.
                taken = await asyncio.wait_for(asyncio.to_thread(_notify, url, message), self._send_seconds)
            except TimeoutError:
                taken = False
            if taken:
                return
        raise SendFailed(f"no {message.channel} service took the message")


def build_sender(settings: Settings) -> Sender:
    """Makes the sender that the settings ask for: Apprise when CIVICPULSE_SENDERS names services, else the log."""
    return AppriseSender(settings.senders) if settings.senders else LogSender(in_full=settings.messages_in_log)


def _channel_of(text: str) -> tuple[str, str]:
    for channel in CHANNELS:
        if text.startswith(f"{channel}="):
            return channel, text.removeprefix(f"{channel}=")
    return ("email" if text.startswith(("mailto:", "mailtos:")) else "sms"), text


def _service(url: str, recipient: str) -> Any | None:
    """Makes Apprise's object for `url` filled with `recipient`, or None when it does not know such a URL."""
    asset = apprise.AppriseAsset(async_mode=False)
    return apprise.Apprise.instantiate(
        url.replace("{recipient}", quote(recipient, safe="")), asset=asset, suppress_exceptions=True
    )


def _notify(url: str, message: Message) -> bool:
    service = _service(url, message.recipient)
    if service is None:
        return False
    if message.id and isinstance(getattr(service, "headers", None), dict):
        service.headers["Idempotency-Key"] = message.id
    title = " ".join(message.title.split())  # a line break would end the subject header
    return bool(service.notify(title=title, body=message.body, body_format=apprise.NotifyFormat.TEXT))
