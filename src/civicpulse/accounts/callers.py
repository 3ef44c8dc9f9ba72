"""The Caller: who sends a request, for which tenant, with the transaction that carries it.

A route has a caller by construction: `caller: Caller = needs(Permission.X)` is the only way to a transaction.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Depends, Request

from civicpulse.accounts.roles import roles_at_door
from civicpulse.accounts.tokens import TokenOwner
from civicpulse.base.db import Tx
from civicpulse.base.doors.ratelimit import network_of
from civicpulse.base.errors import Forbidden, Invalid, NotFound, Unauthenticated
from civicpulse.base.events import Actor
from civicpulse.base.log import bind
from civicpulse.base.tenancy import Tenant
from civicpulse.base.web import begin_once, services_of
from civicpulse.rules.access import Permission, Role, Roles, Scope

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# What stands before every route that has a path parameter of the name, once its caller is known. It is given the
# parameter's value and raises what the caller is to be answered.
PATH_GUARDS: dict[str, Callable[[Request, str], Awaitable[None]]] = {}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who calls and with what right, before any transaction."""

    tenant: Tenant
    actor: Actor
    actor_id: UUID | None
    idempotency_key: str | None
    if_match: int | None
    origin: str = ""
    """Of a stranger: where they call from. It tells two of them apart, and is not to be stored as it is."""

    @property
    def citizen_id(self) -> UUID | None:
        """The citizen who calls; None for everybody else."""
        return self.actor_id if self.actor.kind == "citizen" else None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls and with what right; `tx` is open and is committed by the route."""

    tx: Tx
    actor: Actor
    actor_id: UUID | None
    idempotency_key: str | None
    if_match: int | None
    origin: str = ""

    @property
    def tenant(self) -> Tenant:
        """The caller's tenant."""
        return self.tx.tenant

    def may(self, permission: Permission) -> bool:
        """Tells whether the caller's role holds `permission`."""
        return self.actor.may(permission)

    @property
    def scope(self) -> Scope:
        """Which requests the caller's role sees beyond the public ones."""
        return self.actor.scope

    @property
    def is_citizen(self) -> bool:
        """Whether the caller acts as a citizen, with an account or without."""
        return self.actor.kind == "citizen"

    @property
    def citizen_id(self) -> UUID | None:
        """The citizen who calls; None for everybody else."""
        return self.actor_id if self.is_citizen else None

    @property
    def is_staff(self) -> bool:
        """Whether the caller sees requests as staff does."""
        return self.may(Permission.REQUEST_READ_ALL)


def _bearer(request: Request) -> str | None:
    header = request.headers.get("authorization")
    if not header:
        return request.headers.get("x-api-key")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send the token as 'Authorization: Bearer TOKEN'.")
    return token.strip()


async def _tenant(request: Request, owner: TokenOwner | None) -> Tenant:
    tenants = services_of(request).tenants
    if owner is not None:
        tenant = await tenants.by_id(owner.tenant_id)
    elif slug := request.headers.get("x-tenant", "").strip():
        tenant = await tenants.by_slug(slug)
    else:
        label = request.headers.get("host", "").split(":")[0].split(".")[0].lower()
        tenant = await tenants.by_slug_if_known(label) or await tenants.default()
    if tenant is None:
        raise NotFound(
            "There is no tenant of that name: name one in X-Tenant, or create one with 'civicpulse tenant create'.",
            code="unknown_tenant",
        )
    return tenant


def _role_of(owner: TokenOwner | None, roles: Roles) -> Role:
    if owner is None:
        return roles.anonymous
    role = roles.get(owner.role)
    if role is None:
        detail = "The role of this token no longer exists here: ask for a token of another role."
        raise Forbidden(detail, code="unknown_role", extra={"role": owner.role, "roles": list(roles.of_tokens)})
    return role


def _idempotency_key(request: Request, owner: TokenOwner | None) -> str | None:
    """Reads the caller's key; that of a stranger is joined with where they call from: another one with the same key is somebody else."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= 200:
        raise Invalid("Idempotency-Key must have 1 to 200 characters.", field="Idempotency-Key")
    if key is None or owner is not None:
        return key
    return hashlib.sha256(f"{_network(request)}\x1f{key}".encode("utf-8", "surrogatepass")).hexdigest()


def _if_match(request: Request) -> int | None:
    header = request.headers.get("if-match")
    if header is None or header.strip() == "*":
        return None
    version = header.strip().removeprefix("W/").strip('"')
    if not (version.isascii() and version.isdigit()) or len(version) > 9:
        raise Invalid('If-Match must be the ETag of an earlier answer, such as "3".', field="If-Match")
    return int(version)


async def recognise(request: Request, permission: Permission, *, reads: bool = False) -> Visitor:
    """Finds out who calls, and lets them in only with `permission`.

    `reads`: whatever its method, it counts as a read where an anonymous caller's calls are counted.
    Raises Unauthenticated (bad or missing token), NotFound (tenant), Forbidden (role), TooMany (anonymous, too often).
    """
    met: dict[Permission, Visitor] = request.scope.setdefault("civicpulse.visitors", {})
    if permission not in met:
        met[permission] = await _recognise(request, permission, reads=reads)
    return met[permission]


async def _recognise(request: Request, permission: Permission, *, reads: bool) -> Visitor:
    owner = await _owner(request, reads=reads)
    tenant = await _tenant(request, owner)
    bind(tenant=tenant.slug)
    roles = await roles_at_door(services_of(request).db, tenant)
    role = _role_of(owner, roles)
    if not role.may(permission):
        refused = Forbidden if owner else Unauthenticated
        raise refused(roles.refusal(permission, role if owner else None), extra={"permission": permission})
    actor = Actor.of(role, str(owner.actor_id or owner.token_id) if owner else None)
    actor_id = owner.actor_id if owner else None
    key, origin = _idempotency_key(request, owner), _network(request) if owner is None else ""
    return Visitor(tenant, actor, actor_id, key, _if_match(request), origin)


async def _owner(request: Request, *, reads: bool) -> TokenOwner | None:
    """Finds whom the token stands for; None without one. Whoever has none that is good is counted by the address they call from."""
    try:
        token = _bearer(request)
        owner: TokenOwner | None = await request.app.state.tokens.owner(token) if token else None
        if token and owner is None:
            words = "This token is unknown, revoked or has expired: ask for a new one."
            raise Unauthenticated(words, code="invalid_token")
    except Unauthenticated:
        _count(request, reads=reads)
        raise
    if owner is None:
        _count(request, reads=reads)
    return owner


def _count(request: Request, *, reads: bool) -> None:
    kind = "read" if reads or request.method in SAFE_METHODS else "write"
    request.app.state.limiter.count(kind, request.client.host if request.client else "")


def _network(request: Request) -> str:
    return network_of(request.client.host if request.client else "")


async def identify(request: Request, permission: Permission, *, reads: bool = False, once: bool = False) -> Caller:
    """Finds out who calls, lets them in only with `permission`, and opens a transaction in `request.state.tx`.

    `once`: with an Idempotency-Key the call is done once, and what it was answered is answered again.
    Raises what `recognise` raises, `reads` as there, and Replayed.
    """
    visitor = await recognise(request, permission, reads=reads)
    request.state.tx = await services_of(request).db.begin(visitor.tenant)
    caller = Caller(
        request.state.tx, visitor.actor, visitor.actor_id, visitor.idempotency_key, visitor.if_match, visitor.origin
    )
    request.state.caller, request.state.permission = caller, permission
    for name, value in request.path_params.items():
        if guard := PATH_GUARDS.get(name):
            await guard(request, value)
    if once and visitor.idempotency_key is not None:
        request.state.kept = await begin_once(request, caller.tx, _scope(request, visitor), visitor.idempotency_key)
    return caller


def _scope(request: Request, visitor: Visitor) -> str:
    """Says whose answer is kept, and to what: the caller, who may have come by a tracking link, and the path."""
    link = hashlib.sha256(request.headers.get("x-tracking-token", "").encode()).hexdigest()[:16]
    return f"{request.method} {request.url.path}:{visitor.actor.key}:{link}"


def needs(permission: Permission, *, reads: bool = False, once: bool = False) -> Any:
    """Makes a dependency that gives the route its Caller and lets nobody in without `permission`; the rest as in `identify`."""

    async def caller(request: Request) -> Caller:
        return await identify(request, permission, reads=reads, once=once)

    caller.permission = permission  # type: ignore[attr-defined]  # read by the test that walks the routes
    caller.at_door = _at_door(permission, reads=reads)  # type: ignore[attr-defined]  # asked before the body is read
    return Depends(caller)


def _at_door(permission: Permission, *, reads: bool = False) -> Callable[[Request], Awaitable[None]]:
    async def at_door(request: Request) -> None:
        await recognise(request, permission, reads=reads)

    return at_door


def visits(permission: Permission) -> Any:
    """Makes a dependency that gives the route its Visitor without a transaction, for the few routes that share one or need none."""

    async def visitor(request: Request) -> Visitor:
        return await recognise(request, permission)

    visitor.permission = permission  # type: ignore[attr-defined]  # read by the test that walks the routes
    visitor.at_door = _at_door(permission)  # type: ignore[attr-defined]  # asked before the body is read
    return Depends(visitor)
