"""The category that a caller names."""

from civicpulse.base.errors import Invalid
from civicpulse.packs.model import Category, Pack


def wanted_category(pack: Pack, name: str) -> Category:
    """The pack's category of that name. Raises Invalid naming those that there are."""
    category = pack.categories.get(name)
    if category is None:
        known = ", ".join(pack.categories)
        raise Invalid(
            f"There is no category {name!r}; this tenant has: {known}.", field="category", code="unknown_category"
        )
    return category
