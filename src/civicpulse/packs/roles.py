"""The section `roles` of a pack: its shape, and what must hold within it and towards the parts that name roles."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from civicpulse.accounts.roles import standard_section
from civicpulse.packs.checks import Path, Problem
from civicpulse.packs.shapes import Label, Language, Name, Shape
from civicpulse.rules.access import Kind, Permission, Roles, Scope, ancestry, granted, roles_of_section

if TYPE_CHECKING:
    from civicpulse.packs.model import PackDocument

# What only an agent's profile can say: a citizen has no zone, office or category.
OF_AGENTS = ("category", "zone", "office")


def _known_permission(pattern: str) -> str:
    if not granted(pattern):
        known = ", ".join(Permission)
        raise ValueError(f"unknown permission {pattern!r}: one of {known}, or resource:* or *")
    return pattern


Grant = Annotated[str, Field(max_length=60), AfterValidator(_known_permission)]


class RoleShape(Shape):
    """A role: what it may do and which requests it sees beyond the public ones (`rules.access`).

    It has the permissions of the role that it `extends`, too; nothing else is taken over from there.
    """

    title: Label
    titles: dict[Language, Label] = Field(default={})
    kind: Kind
    extends: Name | None = None
    permissions: tuple[Grant, ...] = Field(default=(), max_length=200)
    scope: Scope
    bound: bool = True


class Callers(Shape):
    """The role of a caller without a token, of a citizen with an account, and of an agent who is given no other."""

    anonymous: Name
    citizen: Name
    agent: Name


class RolesShape(Shape):
    """The roles by name, who has which without being given one, and the one that hears of escalations which name none."""

    callers: Callers
    escalations: Name
    named: dict[Name, RoleShape] = Field(min_length=1, max_length=100)

    def compiled(self, language: str = "en") -> Roles:
        """Gives the roles as the rules take them, with their titles in that language."""
        return roles_of_section(self.model_dump(mode="json"), language)


@cache
def standard_roles() -> RolesShape:
    """Makes the roles of a pack that names none."""
    return RolesShape.model_validate(standard_section())


def role_problems(shape: RolesShape) -> Iterator[Problem]:
    """Finds every fault within the section."""
    unknown = list(_unknown_names(shape))
    yield from unknown
    if unknown:
        return  # who may what is only known once every name is
    yield from _caller_problems(shape)
    for name, role in shape.named.items():
        if role.kind == "citizen" and role.scope in OF_AGENTS:
            message = f"scope {role.scope!r} is the one of an agent: a citizen's role has own, none or all"
            yield Problem(("roles", "named", name, "scope"), message)
    if not _configuring(shape):
        needed = (
            f"no role that a token can have holds {Permission.TENANT_CONFIGURE}: nobody could change the roles again"
        )
        yield Problem(("roles", "named"), needed)


def _unknown_names(shape: RolesShape) -> Iterator[Problem]:
    parents = {name: role.extends for name, role in shape.named.items()}
    for caller, name in shape.callers:
        if name not in shape.named:
            yield Problem(("roles", "callers", caller), f"unknown role {name!r}")
    if shape.escalations not in shape.named:
        yield Problem(("roles", "escalations"), f"unknown role {shape.escalations!r}")
    for name, parent in parents.items():
        path: Path = ("roles", "named", name, "extends")
        if parent is not None and parent not in parents:
            yield Problem(path, f"unknown role {parent!r}")
        elif parent is not None and parents[ancestry(name, parents)[-1]] is not None:
            yield Problem(path, f"{name!r} extends itself, through {parent!r}")


def _caller_problems(shape: RolesShape) -> Iterator[Problem]:
    for caller in ("anonymous", "citizen"):
        name = getattr(shape.callers, caller)
        if shape.named[name].kind != "citizen":
            yield Problem(("roles", "named", name, "kind"), f"the role of the caller {caller!r} is of the kind citizen")
    if shape.named[shape.callers.agent].kind == "citizen":
        yield Problem(("roles", "callers", "agent"), f"{shape.callers.agent!r} is a citizen's role")
    stranger = shape.callers.anonymous
    if shape.named[stranger].scope != "none":
        message = "callers without a token cannot be told apart: their role has the scope none"
        yield Problem(("roles", "named", stranger, "scope"), message)


def _configuring(shape: RolesShape) -> bool:
    roles = shape.compiled()
    named = (role for name, role in roles.named.items() if name in roles.of_tokens)
    return any(role.may(Permission.TENANT_CONFIGURE) for role in named if role.kind != "citizen")


def unknown_roles(document: PackDocument) -> Iterator[Problem]:
    """Finds every transition and escalation step that names a role which the pack does not have."""
    named = document.roles.named
    known = ", ".join(named)
    for index, edge in enumerate(document.workflow.transitions):
        for position, name in enumerate(edge.roles):
            if name not in named:
                path: Path = ("workflow", "transitions", index, "roles", position)
                yield Problem(path, f"unknown role {name!r}: the pack has {known}")
    for index, policy in enumerate(document.sla):
        for position, step in enumerate(policy.escalation_steps):
            if step.role is not None and step.role not in named:
                path = ("sla", index, "escalation_steps", position, "role")
                yield Problem(path, f"unknown role {step.role!r}: the pack has {known}")
