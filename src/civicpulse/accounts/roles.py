"""A tenant's roles, read from its pack once a process: who calls, in which role, and with what right."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any
from uuid import UUID

import yaml

from civicpulse.base.db import Database, Tx
from civicpulse.base.errors import Invalid
from civicpulse.base.events import Actor
from civicpulse.base.tenancy import Tenant
from civicpulse.rules.access import Roles, roles_of_section

# Versions never change, so what was read stays right.
_known: dict[tuple[UUID, int], Roles] = {}

GET_ROLES = """
SELECT document -> 'roles' AS roles, document ->> 'language' AS language FROM pack_versions
WHERE tenant_id = %(tenant_id)s AND version = %(version)s
"""


@cache
def standard_section() -> Mapping[str, Any]:
    """Reads the section `roles` of a pack that has none."""
    section: Mapping[str, Any] = yaml.safe_load((resources.files(__package__) / "roles.yaml").read_text("utf-8"))
    return section


@cache
def _standard_roles() -> Roles:
    return roles_of_section(standard_section())


async def roles_of(tx: Tx) -> Roles:
    """Finds the roles of the transaction's tenant, by the current version of its pack."""
    key = (tx.tenant_id, tx.tenant.pack_version)
    roles = _known.get(key)
    if roles is None:
        row = await tx.row(GET_ROLES, {"tenant_id": key[0], "version": key[1]})
        if row is None:
            raise LookupError(f"tenant {tx.tenant.slug} has no pack version {key[1]}")
        named = roles_of_section(row["roles"], row["language"] or "en") if row["roles"] else _standard_roles()
        roles = _known[key] = named
    return roles


async def roles_at_door(db: Database, tenant: Tenant) -> Roles:
    """Finds the roles of `tenant` before any transaction; a version's first caller opens one to read them."""
    known = _known.get((tenant.tenant_id, tenant.pack_version))
    if known is not None:
        return known
    async with db.transaction(tenant) as tx:
        return await roles_of(tx)


async def actor_as(tx: Tx, role: str, actor_id: object) -> Actor:
    """Makes somebody in that role of the tenant. Raises Invalid when there is no such role."""
    roles = await roles_of(tx)
    found = roles.get(role)
    if found is None:
        raise unknown_role(role, tuple(roles.named))
    return Actor.of(found, None if actor_id is None else str(actor_id))


def unknown_role(name: str, known: tuple[str, ...], *, field: str = "role") -> Invalid:
    """Makes the refusal of a role that may not be given here, naming those that may."""
    return Invalid(f"There is no role {name!r} to give: the roles are {', '.join(known)}.", field=field)
