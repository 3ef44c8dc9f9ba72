"""The shape in which what can be reported leaves."""

from civicpulse.base.answers import View
from civicpulse.packs.shapes import Priority


class SubCategoryView(View):
    """A finer kind."""

    id: str
    name: str


class CategoryView(View):
    """Something that can be reported."""

    id: str
    name: str
    description: str
    group: str
    color: str
    icon: str
    default_priority: Priority
    sub_categories: list[SubCategoryView]
