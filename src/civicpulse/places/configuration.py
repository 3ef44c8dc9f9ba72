"""HTTP of this room: a tenant's configuration, read, changed and rolled back (R-TEN-03)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import CONDITIONAL, REPLAYABLE, Page, answers
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import NotFound
from civicpulse.base.idempotency import once
from civicpulse.base.paging import MAX_LIMIT, decode_cursor, encode_cursor, page
from civicpulse.base.web import ID_GUARDS, Json, TransactionRoute, end_transaction, services_of
from civicpulse.packs import actions, queries
from civicpulse.packs.schemas import ConfigChange, ConfigIn, RollbackIn
from civicpulse.places.queries import list_zones
from civicpulse.places.views import ConfigurationVersionView, ConfigurationView, TenantView
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["tenants"])

SORT = "-version"
LAST = 2**31 - 1
MAX_AREAS = 10_000

NOT_YOURS = {404: ("tenant_not_found",)}
NO_VERSION = {404: ("version_not_found",)}

Version = Annotated[int, Path(ge=1, le=LAST)]


def _own(caller: Caller, slug: str) -> None:
    """Checks that the tenant is the caller's: another tenant's configuration is not there, whether that tenant exists or not."""
    if slug != caller.tenant.slug:
        raise NotFound("This is not your tenant: name the one that your token is for.", code="tenant_not_found")


async def _guard_slug(request: Request) -> None:
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is not None:
        _own(caller, request.path_params["slug"])


ID_GUARDS["slug"] = _guard_slug


async def _document(tx: Tx, row: Row) -> dict[str, Any]:
    """Writes a configuration on the wire; `areas` are the tenant's zones and are changed by importing zones."""
    zones = await list_zones(tx, after="", limit=MAX_AREAS, geometry=False)
    return {
        "slug": row["slug"],
        "name": row["name"],
        "type": row["kind"],
        "version": row["version"],
        "created_at": row["created_at"],
        "created_by": row["created_by"],
        "areas": [{"id": zone["zone_id"], "name": zone["name"]} for zone in zones],
        "config": row["document"],
    }


def _etag(version: int) -> dict[str, str]:
    return {"ETag": f'"{version}"'}


async def _found(tx: Tx, version: int | None = None) -> Row:
    row = await queries.get_configuration(tx, version)
    if row is None:
        raise NotFound(f"There is no version {version}: see GET …/config/versions.", code="version_not_found")
    return row


async def _committed(request: Request, body: dict[str, Any], *, is_replay: bool = False) -> Response:
    """Makes the answer to a change. This process knows it at once, the others within tenancy.FRESH_SECONDS."""
    await end_transaction(request)
    await services_of(request).tenants.refresh()
    return Json(body, headers=_etag(body["version"]) | ({"Idempotent-Replayed": "true"} if is_replay else {}))


@router.get("/tenants/{slug}", summary="Read the tenant", responses=answers(TenantView, NOT_YOURS))
async def get_tenant(slug: str, caller: Caller = needs(Permission.PLACE_READ)) -> Response:
    """Shows what everybody may know of the caller's own tenant."""
    _own(caller, slug)
    row = await _found(caller.tx)
    return Json(
        {
            "slug": row["slug"],
            "name": row["name"],
            "type": row["kind"],
            "language": row["document"].get("language", "en"),
            "timezone": row["document"].get("timezone", "UTC"),
        }
    )


@router.get(
    "/tenants/{slug}/config",
    summary="Read the tenant's configuration",
    responses=answers(ConfigurationView, NOT_YOURS),
)
async def get_configuration(slug: str, caller: Caller = needs(Permission.TENANT_READ)) -> Response:
    """Shows the current version: categories, workflow, SLA policies, weights, dashboard and all other rules, under `config`."""
    _own(caller, slug)
    row = await _found(caller.tx)
    return Json(await _document(caller.tx, row), headers=_etag(row["version"]))


@router.put(
    "/tenants/{slug}/config",
    summary="Replace the tenant's configuration",
    responses=answers(ConfigurationView, NOT_YOURS, CONDITIONAL),
)
async def replace_configuration(
    slug: str, body: ConfigIn, request: Request, caller: Caller = needs(Permission.TENANT_CONFIGURE)
) -> Response:
    """Makes a new version; the same content again makes none. Every fault is listed and then nothing is changed.

    New requests follow the new rules; those that exist keep the version they began with, also when a category or a state
    of theirs is gone. `If-Match` with the version that was read guards against overwriting somebody else's change.
    """
    _own(caller, slug)
    row = await actions.replace_configuration(caller.tx, caller.actor, body, seen_version=caller.if_match)
    return await _committed(request, await _document(caller.tx, row))


@router.patch(
    "/tenants/{slug}/config",
    summary="Change parts of the tenant's configuration",
    responses=answers(ConfigurationView, NOT_YOURS, CONDITIONAL),
)
async def change_configuration(
    slug: str, body: ConfigChange, request: Request, caller: Caller = needs(Permission.TENANT_CONFIGURE)
) -> Response:
    """Replaces the sections that are sent, each as a whole; otherwise as PUT.

    Besides the pack's sections: `sla_thresholds` {category or "*": {critical|high|medium|low: hours}} and `weights`
    {compliance, speed}.
    """
    _own(caller, slug)
    row = await actions.change_configuration(caller.tx, caller.actor, body, seen_version=caller.if_match)
    return await _committed(request, await _document(caller.tx, row))


@router.get(
    "/tenants/{slug}/config/versions",
    summary="List the versions of the configuration",
    responses=answers(Page[ConfigurationVersionView], NOT_YOURS),
)
async def list_configuration_versions(
    slug: str,
    caller: Caller = needs(Permission.TENANT_READ),
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Lists the versions, newest first: who made each, when, and which sections it changed (null: the first one)."""
    _own(caller, slug)
    before = decode_cursor(cursor, SORT, (int,))[0] if cursor else LAST
    rows = await queries.list_versions(caller.tx, before=min(LAST, before), limit=limit + 1)
    shown = rows[:limit]
    following = encode_cursor(SORT, [shown[-1]["version"]]) if len(rows) > limit else None
    return Json(page(shown, following))


@router.get(
    "/tenants/{slug}/config/versions/{version}",
    summary="Read one version of the configuration",
    responses=answers(ConfigurationView, NOT_YOURS, NO_VERSION),
)
async def get_configuration_version(
    slug: str, version: Version, caller: Caller = needs(Permission.TENANT_READ)
) -> Response:
    """Shows the pack as it was in that version; name, type and areas are of today."""
    _own(caller, slug)
    return Json(await _document(caller.tx, await _found(caller.tx, version)))


@router.post(
    "/tenants/{slug}/config/rollback",
    summary="Go back to an earlier version",
    responses=answers(ConfigurationView, NOT_YOURS, NO_VERSION, CONDITIONAL, REPLAYABLE),
)
async def roll_back_configuration(
    slug: str, body: RollbackIn, request: Request, caller: Caller = needs(Permission.TENANT_CONFIGURE)
) -> Response:
    """Makes a new version with the content of that one: nothing in between is lost. Name and type stay."""
    _own(caller, slug)

    async def back() -> dict[str, Any]:
        row = await actions.roll_back(caller.tx, caller.actor, body.version, seen_version=caller.if_match)
        return await _document(caller.tx, row)

    scope = f"rollback:{caller.actor.key}"
    answer, is_replay = await once(
        caller.tx, scope=scope, key=caller.idempotency_key, body=body.model_dump(), create=back
    )
    return await _committed(request, answer, is_replay=is_replay)
