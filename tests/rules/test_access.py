"""Roles as values: which permissions an entry grants, what a role takes over, and who hears what when it is refused."""

from typing import Any

import pytest

from civicpulse.accounts.roles import standard_section
from civicpulse.base.events import SYSTEM, Actor
from civicpulse.packs.loader import available_packs, read_pack
from civicpulse.packs.model import compile_pack
from civicpulse.rules.access import Permission, Roles, ancestry, granted, roles_of_section

ANYBODY = {
    "analytics:read",
    "citizen:create",
    "place:read",
    "request:comment",
    "request:create",
    "request:rate",
    "request:read",
}
CITIZEN = ANYBODY | {"citizen:read", "notification:read", "request:comment"}
AGENT = CITIZEN | {
    "agent:read",
    "request:comment_internal",
    "request:escalate",
    "request:events",
    "request:milestone",
    "request:read_all",
    "request:transition",
    "tenant:read",
}
DISPATCHER = AGENT | {
    "analytics:staff",
    "assignment:simulate",
    "citizen:contact",
    "pipeline:run",
    "report:retry",
    "request:analyse",
    "request:assign",
    "request:merge",
    "request:redact",
}
SUPERVISOR = DISPATCHER | {"agent:write", "citizen:erase"}
EVERYTHING = SUPERVISOR | {"score:recalculate", "tenant:configure"}

# Role: its permissions, the kind of actor in the trail, its scope, whether transitions bind it.
STANDARD: dict[str, tuple[set[str], str, str, bool]] = {
    "anonymous": (ANYBODY, "citizen", "none", True),
    "citizen": (CITIZEN, "citizen", "own", True),
    "agent": (AGENT, "agent", "all", True),
    "dispatcher": (DISPATCHER, "dispatcher", "all", True),
    "supervisor": (SUPERVISOR, "dispatcher", "all", True),
    "admin": (EVERYTHING, "dispatcher", "all", False),
    "system": (EVERYTHING, "system", "all", False),
}

TWO_DESKS: dict[str, Any] = {
    "callers": {"anonymous": "passer_by", "citizen": "guest", "agent": "porter"},
    "escalations": "steward",
    "named": {
        "passer_by": {"kind": "citizen", "scope": "none", "permissions": ["request:create"]},
        "guest": {"kind": "citizen", "scope": "own", "extends": "passer_by", "permissions": ["request:read"]},
        "porter": {
            "title": "Porter at the gate",
            "titles": {"ru": "Швейцар"},
            "kind": "agent",
            "scope": "office",
            "extends": "guest",
            "permissions": ["agent:*"],
        },
        "steward": {"kind": "dispatcher", "scope": "all", "bound": False, "permissions": ["*"]},
    },
}


def standard() -> Roles:
    return roles_of_section(standard_section())


def test_the_table_covers_every_permission() -> None:
    assert {str(permission) for permission in Permission} == EVERYTHING


@pytest.mark.parametrize("pack", [None, *available_packs()])
def test_the_standard_roles_and_those_of_each_shipped_pack_may_what_they_always_could(pack: str | None) -> None:
    roles = standard() if pack is None else compile_pack(read_pack(pack)).roles
    assert {
        name: ({str(one) for one in role.permissions}, role.kind, role.scope, role.is_bound)
        for name, role in roles.named.items()
    } == STANDARD
    assert (roles.anonymous.name, roles.citizen.name, roles.agent, roles.escalations) == (
        "anonymous",
        "citizen",
        "agent",
        "supervisor",
    )


@pytest.mark.parametrize(
    ("entry", "permissions"),
    [
        ("report:retry", {"report:retry"}),
        ("tenant:*", {"tenant:configure", "tenant:read"}),
        ("*", EVERYTHING),
        ("tenant", set()),
        ("tenants:*", set()),
        (":*", set()),
        ("tenant:", set()),
        ("request:read_", set()),
        ("", set()),
    ],
)
def test_an_entry_grants_one_permission_those_of_a_resource_or_all(entry: str, permissions: set[str]) -> None:
    assert granted(entry) == permissions


@pytest.mark.parametrize(
    ("parents", "line"),
    [
        ({"a": None}, ("a",)),
        ({"a": "b", "b": "c", "c": None}, ("a", "b", "c")),
        ({"a": "a"}, ("a",)),
        ({"a": "b", "b": "c", "c": "b"}, ("a", "b", "c")),
        ({"a": "gone"}, ("a",)),
    ],
)
def test_the_line_of_a_role_ends(parents: dict[str, str | None], line: tuple[str, ...]) -> None:
    assert ancestry("a", parents) == line


def test_a_role_takes_over_permissions_and_nothing_else() -> None:
    porter = roles_of_section(TWO_DESKS).named["porter"]
    assert porter.permissions == {"request:create", "request:read", "agent:read", "agent:write"}
    assert (porter.kind, porter.scope, porter.is_bound) == ("agent", "office", True)
    assert porter.may(Permission.AGENT_WRITE)
    assert not porter.may(Permission.REQUEST_TRANSITION)


def test_which_roles_a_token_and_an_agent_may_have() -> None:
    roles = roles_of_section(TWO_DESKS)
    assert roles.of_tokens == ("guest", "porter", "steward")
    assert roles.of_agents == ("porter", "steward")
    assert roles.unbound == {"steward"}
    assert roles.get("admin") is None


@pytest.mark.parametrize(
    ("permission", "role", "said"),
    [
        (
            Permission.AGENT_WRITE,
            "guest",
            "Your role “guest” may not do this. These roles may: “Porter at the gate”, “steward”.",
        ),
        (
            Permission.TENANT_CONFIGURE,
            None,
            "Nobody may do this without a token: send one. These roles may: “steward”.",
        ),
    ],
)
def test_a_refusal_names_who_may_as_people_call_them(permission: Permission, role: str | None, said: str) -> None:
    roles = roles_of_section(TWO_DESKS)
    assert roles.refusal(permission, roles.named[role] if role else None) == said


def test_titles_of_roles_are_in_the_packs_language() -> None:
    assert roles_of_section(TWO_DESKS, "ru").titles.roles["porter"] == "Швейцар"


def test_a_refusal_says_when_nobody_may_and_names_no_machine() -> None:
    named = {"robot": {"kind": "system", "scope": "all", "permissions": ["*"]}}
    callers = {"anonymous": "robot", "citizen": "robot", "agent": "robot"}
    roles = roles_of_section({"callers": callers, "escalations": "robot", "named": named})
    said = roles.refusal(Permission.SCORE_RECALCULATE, roles.anonymous)
    assert said == "Your role “robot” may not do this. No role here may."


def test_an_actor_has_what_its_role_has() -> None:
    porter = Actor.of(roles_of_section(TWO_DESKS).named["porter"], "7")
    assert (porter.role, porter.kind, porter.type, porter.key) == ("porter", "agent", "agent", "agent:7")
    assert (porter.scope, porter.is_bound) == ("office", True)
    assert porter.may(Permission.AGENT_READ)
    assert not porter.may(Permission.TENANT_CONFIGURE)


def test_all_strangers_have_one_key_whatever_their_role_is_called() -> None:
    for roles in (roles_of_section(TWO_DESKS), standard()):
        assert Actor.of(roles.anonymous, None).key == "anonymous"


def test_the_platform_may_everything() -> None:
    assert SYSTEM.permissions == frozenset(Permission)
    assert (SYSTEM.kind, SYSTEM.is_bound, SYSTEM.scope, SYSTEM.key) == ("system", False, "all", "system:civicpulse")
