"""Refusals and escalations said to people: no id of a state, a role, a field or a permission, but what people call it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from civicpulse.rules.outcome import Refusal
from civicpulse.rules.words.texts import TEXTS

# What each reason of a refusal asks for, by the refusal's code.
_EACH = {
    "missing_fields": "missing",
    "condition_not_met": "unmet",
    "too_late_to_classify": "surplus",
    "not_yours_to_classify": "surplus",
}


@dataclass(frozen=True, slots=True)
class Titles:
    """What the people of a tenant call its states, roles and milestones, and the language in which they are spoken to."""

    language: str = "en"
    states: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    milestones: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """A refusal in words: one sentence or two, and one for each of its reasons."""

    detail: str
    reasons: tuple[str, ...] = ()


def spoken(language: str) -> str:
    """Finds the language in which somebody is spoken to: theirs, the base language of theirs, else English."""
    return next((known for known in (language, language.split("-")[0]) if known in TEXTS), "en")


def readable(name: str) -> str:
    """Makes words of a name that nobody gave a title: "waiting_parts" becomes "waiting parts"."""
    return " ".join(name.replace("_", " ").replace(".", " ").split())


def say_refusal(refusal: Refusal, titles: Titles) -> Said:
    """Says to people why a request does not move, and what would let it."""
    words = TEXTS[spoken(titles.language)]
    names = [_asked(reason.field, words, titles) for reason in refusal.reasons if reason.field]
    said = {
        "source": _title(refusal.source, titles.states),
        "target": _title(refusal.target, titles.states),
        "role": _title(refusal.role, titles.roles),
    }
    detail = words[refusal.code].format(names="; ".join(names), **said)
    if refusal.code in ("unknown_state", "transition_not_allowed"):
        return Said(f"{detail} {_next(refusal, words, titles)}", tuple(detail for _ in refusal.reasons))
    if refusal.code == "role_not_allowed":
        who = _who(refusal.roles, words, titles)
        return Said(f"{detail} {who}", (who,))
    each = words[_EACH[refusal.code]]
    return Said(detail, tuple(each.format(names=name, **said) for name in names))


def say_standing(code: str, number: str, state: str, titles: Titles) -> str:
    """Says to people what cannot be done to a request because of how it stands; `code` is that of the refusal."""
    said: str = TEXTS[spoken(titles.language)]["standing"][code]
    return said.format(number=number, state=_title(state, titles.states))


def say_level(level: str, language: str) -> str:
    """Says how a request stands with its deadline."""
    said: str = TEXTS[spoken(language)]["levels"][level]
    return said


def say_not_permitted(role: str | None, having: Iterable[str], titles: Titles) -> str:
    """Says to a caller in `role`, or without a token, that this is not theirs to do, and whose it is."""
    words = TEXTS[spoken(titles.language)]
    told = words["stranger_may_not"] if role is None else words["role_may_not"].format(role=_title(role, titles.roles))
    return f"{told} {_who(having, words, titles)}"


def say_escalation(hours: float, role: str, titles: Titles, *, is_taken: bool) -> str:
    """Says why a request was escalated by the clock: who did not do what for how long, and who has been told."""
    words = TEXTS[spoken(titles.language)]
    lasted = words["hour" if hours == 1 else "hours"].format(number=f"{hours:g}")
    said: str = words["unfinished" if is_taken else "untaken"]
    return said.format(hours=lasted, role=_title(role, titles.roles))


def _title(name: str, titles: Mapping[str, str]) -> str:
    return titles.get(name) or readable(name)


def _next(refusal: Refusal, words: Mapping[str, Any], titles: Titles) -> str:
    if not refusal.allowed_next:
        return str(words["no_next"].format(source=_title(refusal.source, titles.states)))
    return str(words["next"].format(states=_listed(refusal.allowed_next, words, titles.states)))


def _who(roles: Iterable[str], words: Mapping[str, Any], titles: Titles) -> str:
    listed = _listed(roles, words, titles.roles)
    return str(words["who_may"].format(roles=listed) if listed else words["nobody_may"])


def _listed(names: Iterable[str], words: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    return ", ".join(dict.fromkeys(words["quoted"].format(title=_title(name, titles)) for name in names))


def _asked(item: str, words: Mapping[str, Any], titles: Titles) -> str:
    """Names what a transition asks for; of "a|b" one suffices."""
    return str(words["or"]).join(_name(name, words, titles) for name in item.split("|"))


def _name(name: str, words: Mapping[str, Any], titles: Titles) -> str:
    if name.startswith("milestone."):
        return str(words["milestone"].format(title=_title(name.removeprefix("milestone."), titles.milestones)))
    return str(words["fields"].get(name) or words["conditions"].get(name) or readable(name))
