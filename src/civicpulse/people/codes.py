"""One-time codes: six digits that prove that a contact belongs to whoever types them in (R-PRIV-02)."""

import asyncio
import secrets
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from civicpulse.base import clock
from civicpulse.base.clients.senders import Message
from civicpulse.base.db import Tx
from civicpulse.base.errors import Conflict, Problem
from civicpulse.base.ids import new_id
from civicpulse.people import queries

LIFETIME = timedelta(minutes=10)
TRIES = 5
PAUSE = timedelta(seconds=60)
CODES_PER_DAY = 10  # five guesses at each of ten codes a day: one chance in 20,000

# The least that OWASP asks for; a code lives ten minutes and is locked after five guesses.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

_WITHOUT_TEMPLATE = {
    "subject": "Your code",
    "body": "{tenant}: your code is {code}. It is valid for {minutes} minutes.",
}


class CodeExpired(Problem):
    """The code's ten minutes are over."""

    status, code, title = 410, "code_expired", "Gone"


class WrongCode(Problem):
    """Not the code that was sent; the try is counted although the answer is a refusal."""

    status, code, title = 422, "wrong_code", "Invalid input"
    keeps_changes = True


@dataclass(frozen=True, slots=True)
class FreshCode:
    """A code and its hash, made before any lock is taken: hashing is slow on purpose."""

    code: str
    hash: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """A started verification; `is_sent` False when a code had gone out too recently or too often."""

    id: UUID
    expires_at: datetime
    is_sent: bool
    retry_after_seconds: int


async def fresh_code() -> FreshCode:
    """Makes a new random code."""
    code = f"{secrets.randbelow(1_000_000):06}"
    return FreshCode(code, await asyncio.to_thread(_hasher.hash, code))


async def start(tx: Tx, citizen_id: UUID, *, channel: str, fresh: FreshCode) -> Challenge:
    """Stores a challenge for the citizen, whose row or contact the caller has locked.

    Within PAUSE of the last code, or after CODES_PER_DAY, the code is not stored: the challenge then only stands for
    the citizen, and the code sent before still counts.
    """
    now = clock.now()
    sent = await queries.count_codes(tx, citizen_id, since=now - timedelta(days=1))
    wait = sent["latest_at"] + PAUSE - now if sent["latest_at"] else timedelta()
    if sent["recent"] >= CODES_PER_DAY:
        wait = timedelta(days=1)
    is_sent = wait <= timedelta()
    challenge = Challenge(new_id(), now + LIFETIME, is_sent, max(1, round(wait.total_seconds())))
    values = {
        "id": challenge.id,
        "citizen_id": citizen_id,
        "channel": channel,
        "code_hash": fresh.hash if is_sent else "",
        "tries_left": TRIES,
        "created_at": now,
        "expires_at": challenge.expires_at,
    }
    await queries.add_challenge(tx, values)
    return challenge


async def check(tx: Tx, citizen_id: UUID, code: str) -> str:
    """Consumes the citizen's latest code; the channel that it proves.

    Raises Conflict (none pending, used, or locked after five tries), CodeExpired, WrongCode (with `tries_left`).
    """
    latest = await queries.lock_latest_code(tx, citizen_id)
    if latest is None or latest["consumed_at"] is not None:
        raise Conflict("No code is waiting to be entered: ask for a new one.", code="no_code_pending")
    if clock.now() >= latest["expires_at"]:
        raise CodeExpired("This code has expired: ask for a new one.")
    if latest["tries_left"] <= 0:
        raise Conflict("Too many wrong codes: ask for a new one.", code="verification_locked")
    if not await asyncio.to_thread(_matches, latest["code_hash"], code):
        await queries.count_wrong_try(tx, latest["id"])
        left = latest["tries_left"] - 1
        raise WrongCode(f"This is not the code that was sent; {left} tries left.", extra={"tries_left": left})
    await queries.consume_code(tx, latest["id"], at=clock.now())
    channel: str = latest["channel"]
    return channel


async def message(tx: Tx, *, channel: str, recipient: str, language: str, code: str) -> Message:
    """Writes the message that carries a code: the tenant's template `otp` in that language, else in the tenant's own."""
    found = await queries.code_templates(tx)
    wanted = (language, language.split("-")[0], found["language"])
    template = next((found["templates"][name] for name in wanted if name in found["templates"]), _WITHOUT_TEMPLATE)
    minutes = int(LIFETIME.total_seconds() // 60)
    said = defaultdict(str, tenant=tx.tenant.name, code=code, minutes=str(minutes))
    return Message(channel, recipient, template["subject"].format_map(said), template["body"].format_map(said))


def _matches(code_hash: str, code: str) -> bool:
    try:
        return _hasher.verify(code_hash, code)
    except VerifyMismatchError:
        return False
