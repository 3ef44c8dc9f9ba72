"""The section `roles` of a pack: what is refused, with the path of each fault, and what a pack without it has."""

from typing import Any

import pytest
from pydantic import ValidationError
from test_packs import SMALL

from civicpulse.packs.loader import PackError, parse_pack
from civicpulse.packs.model import PackDocument, compile_pack
from civicpulse.packs.roles import standard_roles

ROLES = """\
roles:
  callers: {anonymous: passer_by, citizen: guest, agent: porter}
  escalations: steward
  named:
    passer_by: {title: Anybody, kind: citizen, scope: none, permissions: [request:create]}
    guest: {title: Guest, titles: {de: Gast}, kind: citizen, scope: own, extends: passer_by}
    porter: {title: Porter, kind: agent, scope: zone, permissions: ["request:*"]}
    steward: {title: Steward, kind: dispatcher, scope: all, bound: false, permissions: ["*"]}
"""
OWN = ROLES + SMALL.replace("roles: [dispatcher]", "roles: [porter]")


def test_a_pack_names_its_own_roles() -> None:
    document = parse_pack(OWN, "own.yaml")
    assert document.roles.named["guest"].titles == {"de": "Gast"}
    pack = compile_pack(document)
    assert set(pack.roles.named) == {"passer_by", "guest", "porter", "steward"}
    assert pack.workflow.unbound_roles == {"steward"}
    assert PackDocument.model_validate(document.model_dump(mode="json")) == document


def test_a_pack_without_the_section_has_the_standard_roles() -> None:
    assert parse_pack(SMALL, "small.yaml").roles == standard_roles()


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("anonymous: passer_by", "anonymous: nobody", "own.yaml:2: roles.callers.anonymous: unknown role 'nobody'"),
        ("{anonymous: passer_by, ", "{", "own.yaml:2: roles.callers.anonymous: Field required"),
        ("citizen: guest", "citizen: goust", "own.yaml:2: roles.callers.citizen: unknown role 'goust'"),
        ("agent: porter", "agent: potter", "own.yaml:2: roles.callers.agent: unknown role 'potter'"),
        ("agent: porter", "agent: guest", "own.yaml:2: roles.callers.agent: 'guest' is a citizen's role"),
        ("agent: porter", "agent: porter, robot: porter", "own.yaml:2: roles.callers.robot: Extra inputs"),
        ("escalations: steward", "escalations: boss", "own.yaml:3: roles.escalations: unknown role 'boss'"),
        ("[request:create]", "[request:shout]", "own.yaml:5: roles.named.passer_by.permissions[0]: unknown permission"),
        (
            '"request:*"',
            '"requests:*"',
            "own.yaml:7: roles.named.porter.permissions[0]: unknown permission 'requests:*'",
        ),
        (
            "scope: zone",
            "scope: street",
            "own.yaml:7: roles.named.porter.scope: Input should be 'all', 'category', 'zone'",
        ),
        ("scope: own", "scope: zone", "own.yaml:6: roles.named.guest.scope: scope 'zone' is the one of an agent"),
        (
            "scope: none",
            "scope: own",
            "own.yaml:5: roles.named.passer_by.scope: callers without a token cannot be told",
        ),
        ("kind: agent", "kind: robot", "own.yaml:7: roles.named.porter.kind: Input should be 'citizen', 'agent'"),
        ("kind: citizen, scope: own", "kind: agent, scope: own", "own.yaml:6: roles.named.guest.kind: the role of the"),
        ("extends: passer_by", "extends: walker", "own.yaml:6: roles.named.guest.extends: unknown role 'walker'"),
        ("extends: passer_by", "extends: guest", "own.yaml:6: roles.named.guest.extends: 'guest' extends itself"),
        ('["*"]', '["agent:*"]', "own.yaml:4: roles.named: no role that a token can have holds tenant:configure"),
        ("title: Porter, ", "", "own.yaml:7: roles.named.porter.title: Field required"),
        ("bound: false", "boss: false", "own.yaml:8: roles.named.steward.boss: Extra inputs are not permitted"),
        ("    porter:", "    Head Porter:", "own.yaml:7: roles.named.Head Porter: String should match pattern"),
        (
            "roles: [porter]",
            "roles: [porter, dispatcher]",
            "own.yaml:26: workflow.transitions[0].roles[1]: unknown role 'dispatcher': the pack has passer_by, guest",
        ),
        (
            "calendar: office\n",
            "escalation_steps: [{after_hours: 1, action: call, role: mayor}]\n",
            "own.yaml:35: sla[0].escalation_steps[0].role: unknown role 'mayor'",
        ),
    ],
)
def test_a_fault_is_named_with_file_line_and_field(old: str, new: str, fault: str) -> None:
    assert old in OWN
    with pytest.raises(PackError) as caught:
        parse_pack(OWN.replace(old, new, 1), "own.yaml")
    assert fault in str(caught.value), str(caught.value)


def test_of_a_ring_of_roles_each_is_named() -> None:
    ring = OWN.replace("title: Anybody,", "title: Anybody, extends: guest,")
    with pytest.raises(PackError) as caught:
        parse_pack(ring, "own.yaml")
    assert [line for line, _ in caught.value.problems] == [5, 6]


def test_a_role_that_extends_a_ring_is_not_blamed_for_nothing() -> None:
    ring = OWN.replace("title: Anybody,", "title: Anybody, extends: passer_by,")
    with pytest.raises(PackError) as caught:
        parse_pack(ring, "own.yaml")
    assert {text for _, text in caught.value.problems} == {
        "roles.named.passer_by.extends: 'passer_by' extends itself, through 'passer_by'",
        "roles.named.guest.extends: 'guest' extends itself, through 'passer_by'",
    }


def older_document() -> dict[str, Any]:
    """As an earlier release stored it: no section `roles`, and a transition may name anybody."""
    document = parse_pack(SMALL, "small.yaml").model_dump(mode="json")
    del document["roles"]
    document["workflow"]["transitions"][0]["roles"] = ["mayor"]
    return document


def test_what_was_stored_before_there_were_roles_still_works() -> None:
    document = PackDocument.stored(older_document())
    assert document.roles == standard_roles()
    assert compile_pack(document).workflow.transitions[0].roles == {"mayor"}


def test_what_is_new_is_held_to_the_rule() -> None:
    with pytest.raises(ValidationError, match="unknown role 'mayor'"):
        PackDocument.model_validate(older_document())
