"""HTTP of this room: what can be reported to the tenant."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import Page, answers
from civicpulse.base.paging import page
from civicpulse.base.web import Json, TransactionRoute
from civicpulse.packs.model import Category
from civicpulse.packs.store import current_pack
from civicpulse.packs.views import CategoryView
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["categories"])


@router.get(
    "/categories",
    summary="List what can be reported, in the pack's order; names in a language where it has them",
    responses=answers(Page[CategoryView]),
)
async def list_categories(
    caller: Annotated[Caller, needs(Permission.PLACE_READ)],
    language: Annotated[str | None, Query(max_length=20)] = None,
) -> Response:
    """Lists all categories of the tenant's current pack."""
    pack = await current_pack(caller.tx)
    wanted = language or pack.document.language
    return Json(page([_document(category, wanted) for category in pack.categories.values()], None))


def _document(category: Category, language: str) -> dict[str, Any]:
    return {
        "id": category.id,
        "name": category.name_in(language),
        "description": category.description,
        "group": category.group,
        "color": category.color,
        "icon": category.icon,
        "default_priority": category.default_priority,
        "sub_categories": [
            {"id": sub.id, "name": sub.names.get(language, sub.name)} for sub in category.sub_categories
        ],
    }
