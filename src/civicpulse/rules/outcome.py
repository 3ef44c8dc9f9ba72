"""How a rule answers "no": codes and names for programs; `rules.words.saying` says them to people."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One cause of a refusal; `field` names the missing input or the unmet condition where there is one."""

    code: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused move from state `source` to `target`, asked for in `role`.

    `allowed_next` lists the states that the subject may go to instead, in pack order; `roles` those that may make the
    move, where the role is in the way.
    """

    code: str
    source: str
    target: str
    role: str
    reasons: tuple[Reason, ...] = ()
    allowed_next: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
