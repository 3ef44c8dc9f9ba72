"""How a rule answers "no": a machine code, a sentence for people, and what would turn it into a "yes"."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One cause of a refusal; `field` names the missing or wrong input where there is one."""

    code: str
    detail: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule's refusal. `allowed_next` lists the states that the subject may go to instead, in pack order."""

    code: str
    detail: str
    reasons: tuple[Reason, ...] = ()
    allowed_next: tuple[str, ...] = ()
