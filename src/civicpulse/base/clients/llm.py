"""Any OpenAI-compatible language model, asked for JSON, with every fault an LlmFault within a fixed time.

The answer's form is asked for as strictly as the server can: JSON schema, else JSON object, else plain text. A form that was
refused where a looser one was answered is left out for a while, longer each time; what refused every form was no fault of
the form. An answer that does not pass the caller's check is sent back once with the errors.
"""

import asyncio
import hashlib
import json
import re
from collections import Counter as Counted
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar
from uuid import UUID

from prometheus_client import Counter

from civicpulse.base.clients.tracing import note_outcome, traced
from civicpulse.base.db import Database
from civicpulse.base.log import get_logger
from civicpulse.base.seats import Seats
from civicpulse.base.tenancy import Tenant
from civicpulse.settings import Settings, SettingsError

log = get_logger(__name__)

CALLS: Final = Counter("civicpulse_llm_calls_total", "Calls of the language model by outcome", ["outcome"])
TOKENS: Final = Counter("civicpulse_llm_tokens_total", "Tokens sent to and received from the model", ["direction"])

T = TypeVar("T")
Mode: TypeAlias = Literal["json_schema", "json_object", "plain"]
Chat: TypeAlias = list[dict[str, str]]

MODES: Final[tuple[Mode, ...]] = ("json_schema", "json_object", "plain")
MAX_AT_ONCE: Final = 5
SPARE_SECONDS: Final = 10.0  # beyond the time-out, before the place of a process that died is free again
MAX_TRIES: Final = 3  # of one turn, when the server is busy or broken
MAX_ANSWER_TOKENS: Final = 700
FAULTS_TO_PAUSE: Final = 3
PAUSE_SECONDS: Final = 30.0
REST_SECONDS: Final = 60.0  # in which a form that was refused is not asked for; doubled with each refusal in a row
LONGEST_REST_SECONDS: Final = 3600.0
DEFAULT_URL: Final = "https://api.openai.com/v1"
CHARACTERS_PER_TOKEN: Final = 3  # a careful guess where the server counts none

_MASKED: Final = re.compile(r"\[([A-Z][A-Z_]*)_\d+\]")


class LlmFault(Exception):
    """The model gave no usable answer; `reason` is one word for people and logs, such as "timeout"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class LlmCall:
    """One HTTP call, for audit and budget: never its text. `outcome` is "ok" or what went wrong."""

    model: str
    mode: Mode
    tokens_in: int
    tokens_out: int
    latency_ms: int
    prompt_sha256: bytes
    outcome: str
    masked: Mapping[str, int] = field(default_factory=dict)
    """How many of each kind of personal data stand masked in what was asked."""


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """What to ask. `check` turns the answer's text into a value or raises ValueError saying what is wrong with it.

    `user` is data: whatever it holds, the caller's `check` alone decides what an answer can be.
    """

    name: str
    system: str
    user: str
    schema: dict[str, Any]
    check: Callable[[str], T]


@dataclass(slots=True)
class _Endpoint:
    """What has been learnt about a server: of each form until when it is left out, and how often it was refused in a row."""

    rests: dict[Mode, tuple[float, int]] = field(default_factory=dict)
    faults: int = 0
    paused_until: float = 0.0

    def modes(self) -> list[Mode]:
        """Lists the forms to ask for now, the strictest first."""
        now = monotonic()
        return [mode for mode in MODES if mode == "plain" or self.rests.get(mode, (0.0, 0))[0] <= now]

    def note_answer(self, mode: Mode, refused: Sequence[Mode]) -> None:
        """Notes that a form was answered after stricter ones were refused."""
        self.rests.pop(mode, None)
        for other in refused:
            times = self.rests.get(other, (0.0, 0))[1] + 1
            seconds = min(REST_SECONDS * 2.0 ** (times - 1), LONGEST_REST_SECONDS)
            self.rests[other] = (monotonic() + seconds, times)


@dataclass(slots=True)
class _Turn:
    """One exchange: what is sent, how, and what is written down of it."""

    chat: Chat
    mode: Mode
    started: float = field(default_factory=monotonic)

    @property
    def text(self) -> str:
        return json.dumps(self.chat, ensure_ascii=False)


class LlmClient:
    """A model at a URL. At most five calls at once, of a tenant over all processes; after three faults in a row it rests for half a minute."""

    def __init__(self, url: str, model: str, key: str, *, timeout_seconds: float) -> None:
        from openai import AsyncOpenAI  # half a second and 40 MB that only users of a model pay

        self.model = model
        self._timeout_seconds = timeout_seconds
        self._openai = AsyncOpenAI(base_url=url, api_key=key or "none", max_retries=0, timeout=timeout_seconds)
        self._places: dict[UUID | None, asyncio.Semaphore] = {}
        self._endpoint = _Endpoint()

    async def ask(self, question: Question[T], *, record: Callable[[LlmCall], None], seats: Seats | None = None) -> T:
        """Gets the checked answer, within the time-out counted from when its turn comes. Raises LlmFault for a fault of the model.

        `record` hears of every call, also of those that fail. `seats` are the tenant's, as `seats_of` gives them.
        """
        self._check_pause()
        owner = seats.tenant.tenant_id if seats else None
        here = self._places.setdefault(
            owner, asyncio.Semaphore(MAX_AT_ONCE)
        )  # who waits here does not ask the database
        async with here:
            self._check_pause()  # whoever waited here needs no place in the database to hear of it
            async with seats.seat() if seats else nullcontext():
                return await self._ask(question, record)

    async def _ask(self, question: Question[T], record: Callable[[LlmCall], None]) -> T:
        self._check_pause()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                answer = await self._converse(question, record)
        except TimeoutError:
            self._note_fault()
            raise LlmFault("timeout") from None
        except LlmFault as fault:
            if fault.reason != "invalid_answer":
                self._note_fault()
            raise
        self._endpoint.faults = 0
        return answer

    def seats_of(self, db: Database, tenant: Tenant) -> Seats:
        """Gives the places that a tenant has for questions, over all processes."""
        return Seats(db, tenant, "llm", MAX_AT_ONCE, self._timeout_seconds + SPARE_SECONDS)

    def _check_pause(self) -> None:
        if monotonic() < self._endpoint.paused_until:
            raise LlmFault("paused_after_faults")

    def _note_fault(self) -> None:
        endpoint = self._endpoint
        endpoint.faults += 1
        if endpoint.faults >= FAULTS_TO_PAUSE:
            # One more fault after the rest is enough to rest again.
            endpoint.faults = FAULTS_TO_PAUSE - 1
            endpoint.paused_until = monotonic() + PAUSE_SECONDS
            log.warning("llm_paused", seconds=PAUSE_SECONDS, model=self.model)

    async def _converse(self, question: Question[T], record: Callable[[LlmCall], None]) -> T:
        chat: Chat = [{"role": "system", "content": question.system}, {"role": "user", "content": question.user}]
        answer = await self._turn(question, chat, record)
        try:
            return question.check(answer)
        except ValueError as error:
            told = f"That answer cannot be used: {error}\nAnswer again, with one JSON object of the form asked for and nothing else."
        repair = [*chat, {"role": "assistant", "content": answer[:4000]}, {"role": "user", "content": told}]
        answer = await self._turn(question, repair, record)
        try:
            return question.check(answer)
        except ValueError as error:
            raise LlmFault("invalid_answer") from error

    async def _turn(self, question: Question[T], chat: Chat, record: Callable[[LlmCall], None]) -> str:
        """Gets one answer; goes down the ladder of modes and tries again what may pass."""
        from openai import APIConnectionError, APIStatusError, OpenAIError  # see __init__

        tried, modes, refused = 0, self._endpoint.modes(), list[Mode]()
        while True:
            turn = _Turn(chat, modes[0])
            tried += 1
            try:
                answer = await self._call(question, turn, record)
                self._endpoint.note_answer(turn.mode, refused)
                return answer
            except APIStatusError as error:
                if error.status_code in (400, 404, 415, 422) and len(modes) > 1:
                    refused.append(modes.pop(0))
                    tried = 0
                elif (error.status_code not in (408, 409, 429) and error.status_code < 500) or tried >= MAX_TRIES:
                    raise LlmFault(f"http_{error.status_code}") from error
                else:
                    await asyncio.sleep(_pause(error.response.headers.get("retry-after"), tried))
            except APIConnectionError as error:
                if tried >= MAX_TRIES:
                    raise LlmFault("unreachable") from error
                await asyncio.sleep(_pause(None, tried))
            except (OpenAIError, ValueError, TypeError, AttributeError) as error:
                # A server that speaks another protocol shows in many ways.
                raise LlmFault("unreadable_answer") from error

    async def _call(self, question: Question[T], turn: _Turn, record: Callable[[LlmCall], None]) -> str:
        outcome, used, model = "failed", (0, 0), self.model
        with traced(f"chat {self.model}", mode=turn.mode) as span:
            span.set_attribute("gen_ai.operation.name", "chat")
            span.set_attribute("gen_ai.provider.name", "openai")  # the protocol; who speaks it is not known
            span.set_attribute("gen_ai.request.model", self.model)
            try:
                answer = await self._openai.chat.completions.create(
                    model=self.model,
                    messages=turn.chat,  # type: ignore[arg-type]  # plain dicts of role and content
                    temperature=0,
                    max_tokens=MAX_ANSWER_TOKENS,
                    **_form(question, turn.mode),
                )
                content = answer.choices[0].message.content if answer.choices else None
                if not content:
                    raise LlmFault("empty_answer")
                outcome, used, model = "ok", _usage(answer, turn, content), str(answer.model or self.model)
                span.set_attribute("gen_ai.response.model", model)
                span.set_attribute("gen_ai.usage.input_tokens", used[0])
                span.set_attribute("gen_ai.usage.output_tokens", used[1])
                return content
            except asyncio.CancelledError:
                outcome, used = "timeout", (len(turn.text) // CHARACTERS_PER_TOKEN, 0)
                raise
            except Exception as error:
                outcome = _outcome(error)
                raise
            finally:
                note_outcome(span, outcome)
                _count(outcome, used)
                record(
                    LlmCall(
                        model=model,
                        mode=turn.mode,
                        tokens_in=used[0],
                        tokens_out=used[1],
                        latency_ms=round((monotonic() - turn.started) * 1000),
                        prompt_sha256=hashlib.sha256(turn.text.encode()).digest(),
                        outcome=outcome,
                        masked=Counted(_MASKED.findall(question.user)),
                    )
                )

    async def close(self) -> None:
        """Closes its connections."""
        with suppress(RuntimeError):  # the loop they belong to is gone already
            await self._openai.close()


def _form(question: Question[T], mode: Mode) -> dict[str, Any]:
    if mode == "json_schema":
        wanted = {"name": question.name, "strict": True, "schema": question.schema}
        return {"response_format": {"type": "json_schema", "json_schema": wanted}}
    return {"response_format": {"type": "json_object"}} if mode == "json_object" else {}


def _usage(answer: Any, turn: _Turn, content: str) -> tuple[int, int]:
    usage = getattr(answer, "usage", None)
    counted = (getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None))
    guessed = (len(turn.text) // CHARACTERS_PER_TOKEN, len(content) // CHARACTERS_PER_TOKEN)
    return tuple(  # type: ignore[return-value]  # two in, two out
        value if isinstance(value, int) and value >= 0 else guess for value, guess in zip(counted, guessed, strict=True)
    )


def _outcome(error: Exception) -> str:
    if isinstance(error, LlmFault):
        return error.reason
    status = getattr(error, "status_code", None)
    return f"http_{status}" if status else type(error).__name__


def _count(outcome: str, used: tuple[int, int]) -> None:
    """Counts a call; statuses by their family, so that no server makes a series of each."""
    CALLS.labels(f"{outcome[:6]}xx" if outcome.startswith("http_") else outcome).inc()
    for direction, tokens in zip(("in", "out"), used, strict=True):
        TOKENS.labels(direction).inc(tokens)


def _pause(retry_after: str | None, tried: int) -> float:
    """Says how long to wait: what the server asks for, else a doubling quarter of a second; the caller's time-out bounds both."""
    try:
        return max(0.0, float(retry_after or ""))
    except ValueError:
        return 0.25 * 2.0 ** (tried - 1)


def json_in(answer: str) -> Any:
    """Finds the JSON object in an answer, also out of a code fence or out of prose. Raises ValueError."""
    start, end = answer.find("{"), answer.rfind("}")
    if start < 0 or end < start:
        raise ValueError("there is no JSON object in it")
    return json.loads(answer[start : end + 1])


def llm_client(settings: Settings) -> LlmClient | None:
    """Gives the process's client for the model of `settings`, one per event loop; None where no model is set."""
    if not (settings.llm_url or settings.llm_key):
        return None
    if not settings.llm_model:
        raise SettingsError("CIVICPULSE_LLM_MODEL must name the model that CIVICPULSE_LLM_URL or …_LLM_KEY is for")
    key = (
        asyncio.get_running_loop(),
        settings.llm_url,
        settings.llm_model,
        settings.llm_key,
        settings.llm_timeout_seconds,
    )
    if key not in _clients:
        _clients[key] = LlmClient(
            settings.llm_url or DEFAULT_URL,
            settings.llm_model,
            settings.llm_key,
            timeout_seconds=settings.llm_timeout_seconds,
        )
    return _clients[key]


_clients: dict[tuple[object, ...], LlmClient] = {}


async def close_llm_clients() -> None:
    """Closes what `llm_client` opened in this process."""
    while _clients:
        await _clients.popitem()[1].close()
