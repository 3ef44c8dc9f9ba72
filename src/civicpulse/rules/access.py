"""Who may do what: what a role is, and what follows from a tenant's roles. The roles themselves are the pack's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, get_args

from civicpulse.rules.words.saying import Titles, say_not_permitted, spoken

# What the audit trail calls the kind of actor (R-AUD-01).
Kind = Literal["citizen", "agent", "dispatcher", "system"]
# Which requests a role sees beyond the public ones. Category, zone and office are those of the agent behind the token.
Scope = Literal["all", "category", "zone", "office", "own", "none"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


class Permission(StrEnum):
    """What a route asks for, `resource:action`, in alphabetical order."""

    AGENT_READ = "agent:read"
    AGENT_WRITE = "agent:write"
    ANALYTICS_READ = "analytics:read"
    ANALYTICS_STAFF = "analytics:staff"
    ASSIGNMENT_SIMULATE = "assignment:simulate"
    CITIZEN_CONTACT = "citizen:contact"
    CITIZEN_CREATE = "citizen:create"
    CITIZEN_ERASE = "citizen:erase"
    CITIZEN_READ = "citizen:read"
    NOTIFICATION_READ = "notification:read"
    PIPELINE_RUN = "pipeline:run"
    PLACE_READ = "place:read"
    REPORT_RETRY = "report:retry"
    REQUEST_ANALYSE = "request:analyse"
    REQUEST_ASSIGN = "request:assign"
    REQUEST_COMMENT = "request:comment"
    REQUEST_COMMENT_INTERNAL = "request:comment_internal"
    REQUEST_CREATE = "request:create"
    REQUEST_ESCALATE = "request:escalate"
    REQUEST_EVENTS = "request:events"
    REQUEST_MERGE = "request:merge"
    REQUEST_MILESTONE = "request:milestone"
    REQUEST_RATE = "request:rate"
    REQUEST_READ = "request:read"
    REQUEST_READ_ALL = "request:read_all"
    REQUEST_REDACT = "request:redact"
    REQUEST_TRANSITION = "request:transition"
    SCORE_RECALCULATE = "score:recalculate"
    TENANT_CONFIGURE = "tenant:configure"
    TENANT_READ = "tenant:read"


EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Role:
    """One role of a tenant. `is_bound`: the role lists of the workflow's transitions bind it; `title`: for people."""

    name: str
    kind: Kind
    permissions: frozenset[Permission]
    scope: Scope
    is_bound: bool = True
    title: str = ""

    def may(self, permission: Permission) -> bool:
        """Tells whether the role holds `permission`."""
        return permission in self.permissions


@dataclass(frozen=True, slots=True)
class Roles:
    """All roles of a tenant by name, those that may least first, and which one is given to whom.

    `anonymous` is a caller without a token, `citizen` a citizen with an account; `agent` names the role of an agent who
    is given no other, `escalations` the one that hears of an escalation which names none. Titles are in `language`.
    """

    named: Mapping[str, Role]
    anonymous: Role
    citizen: Role
    agent: str
    escalations: str
    language: str = "en"

    def get(self, name: str) -> Role | None:
        """Finds the role of that name, or None."""
        return self.named.get(name)

    @property
    def of_tokens(self) -> tuple[str, ...]:
        """The roles that a token may have: all but the one of callers without a token."""
        return tuple(name for name in self.named if name != self.anonymous.name)

    @property
    def of_agents(self) -> tuple[str, ...]:
        """The roles that an agent may have: those of no citizen."""
        return tuple(name for name, role in self.named.items() if role.kind != "citizen")

    @property
    def unbound(self) -> frozenset[str]:
        """The roles that no list of a transition binds."""
        return frozenset(name for name, role in self.named.items() if not role.is_bound)

    @property
    def titles(self) -> Titles:
        """What the tenant's people call the roles."""
        return Titles(self.language, roles={name: role.title for name, role in self.named.items()})

    def refusal(self, permission: Permission, role: Role | None) -> str:
        """Writes what a caller in `role`, or without a token, is told who lacks `permission`: which people's roles have it."""
        having = [name for name, one in self.named.items() if one.may(permission) and one.kind != "system"]
        return say_not_permitted(role.name if role else None, having, self.titles)


def granted(pattern: str) -> frozenset[Permission]:
    """Gives the permissions that an entry of a role names: one, all of a resource (`request:*`) or every one (`*`); else none."""
    if pattern == EVERYTHING:
        return frozenset(Permission)
    resource, _, action = pattern.partition(":")
    if action == EVERYTHING:
        return frozenset(one for one in Permission if one.startswith(f"{resource}:"))
    return frozenset(one for one in Permission if one == pattern)


def ancestry(name: str, parents: Mapping[str, str | None]) -> tuple[str, ...]:
    """Lists `name` and the roles that it extends, nearest first; ends before a role that would come a second time."""
    line: list[str] = []
    current: str | None = name
    while current is not None and current in parents and current not in line:
        line.append(current)
        current = parents[current]
    return tuple(line)


def roles_of_section(section: Mapping[str, Any], language: str = "en") -> Roles:
    """Reads the roles that a valid `roles` section of a pack describes, from YAML or from the database.

    Their titles are those in `language`, the pack's own.
    """
    entries: Mapping[str, Mapping[str, Any]] = section["named"]
    parents = {name: entry.get("extends") for name, entry in entries.items()}

    def held(patterns: Iterable[str]) -> frozenset[Permission]:
        return frozenset().union(*map(granted, patterns))

    found = [
        Role(
            name,
            entry["kind"],
            held(pattern for one in ancestry(name, parents) for pattern in entries[one].get("permissions", ())),
            entry["scope"],
            entry.get("bound", True),
            (entry.get("titles") or {}).get(spoken(language)) or entry.get("title") or "",
        )
        for name, entry in entries.items()
    ]
    found.sort(key=lambda role: (len(role.permissions), role.name))
    named = {role.name: role for role in found}
    callers = section["callers"]
    return Roles(
        MappingProxyType(named),
        anonymous=named[callers["anonymous"]],
        citizen=named[callers["citizen"]],
        agent=callers["agent"],
        escalations=section["escalations"],
        language=language,
    )
