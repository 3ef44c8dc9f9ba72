"""Expected failures: named errors with a status and a stable code, answered as RFC 9457 problem documents.

Problem
├── NotFound            404   absent, or another tenant's: the two look the same
├── Forbidden           403   the caller's role does not allow it
├── Unauthenticated     401   a token was sent and is not valid, or one is needed
├── Conflict            409   the state of things does not allow it
├── Invalid             422   the input cannot be used
└── TooMany             429   come back later
"""

from collections.abc import Mapping, Sequence
from typing import Any

from civicpulse.rules.outcome import Refusal
from civicpulse.rules.words.saying import Titles, say_refusal

MAX_CHOICES = 100  # named in one refusal


class Problem(Exception):
    """Base of every expected failure. `extra` joins the problem document."""

    status = 500
    code = "internal_error"
    title = "Internal error"
    keeps_changes = False  # True: what was written before the refusal is committed, such as a counted wrong guess

    def __init__(self, detail: str, *, code: str | None = None, extra: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.extra = dict(extra or {})
        self.headers: dict[str, str] = {}

    def document(self, instance: str) -> dict[str, Any]:
        """Writes the problem document (RFC 9457) for this failure of the request at path `instance`."""
        return {
            "type": f"urn:civicpulse:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "instance": instance,
            **self.extra,
        }


class NotFound(Problem):
    """There is no such thing in this tenant."""

    status, code, title = 404, "not_found", "Not found"


class Forbidden(Problem):
    """The caller is known and may not."""

    status, code, title = 403, "forbidden", "Forbidden"


class Unauthenticated(Problem):
    """A token is needed, or the one sent is not valid."""

    status, code, title = 401, "unauthenticated", "Unauthenticated"

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__(detail, **more)
        self.headers = {"WWW-Authenticate": "Bearer"}


class Conflict(Problem):
    """The state of things does not allow it."""

    status, code, title = 409, "conflict", "Conflict"


class PreconditionFailed(Problem):
    """If-Match names a version that is no longer the current one."""

    status, code, title = 412, "version_mismatch", "Precondition failed"


class Invalid(Problem):
    """The input is well-formed and cannot be used; `errors` names fields."""

    status, code, title = 422, "invalid", "Invalid input"

    def __init__(
        self, detail: str, *, field: str | None = None, errors: Sequence[Mapping[str, Any]] = (), **more: Any
    ) -> None:
        listed = list(errors) or ([{"field": field, "detail": detail}] if field else [])
        super().__init__(detail, extra={**more.pop("extra", {}), **({"errors": listed} if listed else {})}, **more)


class NoSuchChoice(Invalid):
    """A parameter has a value that does not exist; `errors` names the choices."""

    def __init__(self, field: str, unknown: Sequence[str], choices: Sequence[str]) -> None:
        named = list(choices)[:MAX_CHOICES]
        more = f" and {len(choices) - len(named)} more" if len(choices) > len(named) else ""
        known = f"is one of {', '.join(named)}{more}" if named else "has no values here"
        detail = f"{field} {known}, not {', '.join(unknown)}."
        super().__init__(detail, errors=[{"field": field, "detail": detail, "choices": named}])


class TooMany(Problem):
    """Rate limited."""

    status, code, title = 429, "too_many_requests", "Too many requests"

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after_seconds)}


class RuleRefused(Conflict):
    """A rule said no; its reasons are in the document, said as the tenant's people call things."""

    def __init__(self, refusal: Refusal, titles: Titles) -> None:
        said = say_refusal(refusal, titles)
        super().__init__(
            said.detail,
            code=refusal.code,
            extra={
                "reasons": [
                    {"code": reason.code, "detail": detail, **({"field": reason.field} if reason.field else {})}
                    for reason, detail in zip(refusal.reasons, said.reasons, strict=True)
                ],
                "missing": [
                    reason.field for reason in refusal.reasons if reason.field and reason.code.startswith("missing")
                ],
                "allowed_next": list(refusal.allowed_next),
            },
        )
        if refusal.code in ("role_not_allowed", "not_yours_to_classify"):
            self.status, self.title = 403, Forbidden.title
