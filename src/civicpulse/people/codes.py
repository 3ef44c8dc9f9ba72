"""One-time codes: digits that prove that a contact belongs to whoever types them in (R-PRIV-02).

A code is that of the caller who asked for it: what strangers ask for, or guess at, uses up nothing of anybody else's. Codes that
staff asked for are anybody's.
"""

import asyncio
import hmac
import secrets
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from civicpulse.accounts.callers import Caller
from civicpulse.base import clock
from civicpulse.base.clients.senders import Message
from civicpulse.base.db import Tx
from civicpulse.base.errors import Conflict, Problem
from civicpulse.base.ids import new_id
from civicpulse.people import queries

LIFETIME = timedelta(minutes=10)
TRIES = 5
PAUSE = timedelta(seconds=60)
CODES_PER_DAY = 10  # that a caller may ask for. Five guesses at each of ten short codes: one chance in 20,000
SHORT, LONG = 6, 10  # digits; after CODES_PER_DAY for one citizen, whoever asked, codes are long: nobody guesses them

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
    long_code: str
    long_hash: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """A started verification; `code` None when one had gone out too recently or too often."""

    id: UUID
    expires_at: datetime
    code: str | None
    retry_after_seconds: int

    @property
    def is_sent(self) -> bool:
        """Whether a code is to go out."""
        return self.code is not None


async def fresh_code() -> FreshCode:
    """Makes a new random code, short and long."""
    codes = [f"{secrets.randbelow(10**digits):0{digits}}" for digits in (SHORT, LONG)]
    hashes = await asyncio.gather(*(asyncio.to_thread(_hasher.hash, code) for code in codes))
    return FreshCode(codes[0], hashes[0], codes[1], hashes[1])


def asker_of(caller: Caller) -> str:
    """Names whose code it is: a stranger by where they call from, sealed; a citizen by their account; nobody for staff."""
    if not caller.is_citizen:
        return ""
    words = f"asker {caller.origin or caller.actor.key}".encode()
    return hmac.digest(caller.tenant.secret, words, "sha256").hex()[:32]


async def start(caller: Caller, citizen_id: UUID, *, channel: str, fresh: FreshCode) -> Challenge:
    """Stores a challenge for the citizen, whose row or contact the caller has locked.

    Within PAUSE of the last code that this caller asked for, or after CODES_PER_DAY, the code is not stored: the challenge
    then only stands for the citizen, and the code sent before still counts.
    """
    tx, asker, now = caller.tx, asker_of(caller), clock.now()
    sent = await queries.count_codes(tx, citizen_id, asker=asker, since=now - timedelta(days=1))
    wait = sent["latest_at"] + PAUSE - now if sent["latest_at"] else timedelta()
    if sent["recent"] >= CODES_PER_DAY:
        wait = timedelta(days=1)
    is_sent, is_long = wait <= timedelta(), sent["for_all"] >= CODES_PER_DAY
    code, code_hash = (fresh.long_code, fresh.long_hash) if is_long else (fresh.code, fresh.hash)
    again = max(1, round(wait.total_seconds()))
    challenge = Challenge(new_id(), now + LIFETIME, code if is_sent else None, again)
    values = {
        "id": challenge.id,
        "citizen_id": citizen_id,
        "channel": channel,
        "code_hash": code_hash if is_sent else "",
        "asker": asker,
        "tries_left": TRIES,
        "created_at": now,
        "expires_at": challenge.expires_at,
    }
    await queries.add_challenge(tx, values)
    return challenge


async def check(caller: Caller, citizen_id: UUID, code: str) -> str:
    """Consumes the citizen's latest code of those that are the caller's or anybody's; the channel that it proves.

    Raises Conflict (none pending, used, or locked after five tries), CodeExpired, WrongCode (with `tries_left`).
    """
    tx = caller.tx
    latest = await queries.lock_latest_code(tx, citizen_id, asker=asker_of(caller))
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
