"""What a pack itself teaches: the names, keywords, examples and descriptions of its categories, in every language."""

from collections.abc import Iterator
from typing import Final

from civicpulse.packs.model import Category, Pack
from civicpulse.triage.training import Example

# On real reports a name that counts three times gained two points; it is the one text that everybody agrees on.
NAME_WEIGHT: Final = 3.0
_KEYWORD, _EXAMPLE, _DESCRIPTION = 1.0, 1.5, 0.5


def seeds_of(pack: Pack) -> list[Example]:
    """Makes pseudo-examples for every category, so that a tenant without history is served too."""
    return [seed for category in pack.categories.values() for seed in _seeds(category)]


def languages_of(pack: Pack) -> tuple[str, ...]:
    """Names the languages that people write to this tenant in: those named in the pack, else those of its texts."""
    named = pack.document.analysis.languages
    if named:
        return named
    found = {pack.document.language: None}
    for category in pack.categories.values():
        found |= dict.fromkeys((*category.names, *category.keywords))
    return tuple(found)


def default_language_of(pack: Pack) -> str:
    """Names the language that a text counts as when its own cannot be told."""
    return pack.document.analysis.default_language or pack.document.language


def _seeds(category: Category) -> Iterator[Example]:
    names = dict.fromkeys((category.name, *category.names.values()))
    finer = dict.fromkeys(name for sub in category.sub_categories for name in (sub.name, *sub.names.values()))
    for texts, weight in (
        (names, NAME_WEIGHT),
        (finer, _KEYWORD),
        (category.all_keywords, _KEYWORD),
        (category.examples, _EXAMPLE),
        ((category.description,) if category.description else (), _DESCRIPTION),
    ):
        yield from (Example(text, category.id, weight, is_history=False) for text in texts)
