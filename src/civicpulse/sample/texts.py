"""Puts the sentences of the sample city together from its description."""

from civicpulse.sample.city_world import CityWorld

DAYS = (2, 3, 4, 5, 6, 8, 10, 14)


def describe(
    world: CityWorld, category: str, language: str, *, street: str, landmark: str
) -> tuple[str | None, str, str]:
    """Draws a report's sub-category (None: not said), its text, and the language it came out in."""
    rng, reports = world.rng, world.told.reports
    lines = reports.get(language, {}).get(category)
    if lines is None:
        language, lines = "en", reports["en"][category]
    before, bar, after = rng.choice(lines).partition("|")
    sub, text = (before, after) if bar else (None, before)
    if language == "en" and world.chance(world.life.reporting.with_details):
        text = f"{text} {rng.choice(world.texts.details)}"
    return sub, text.format(street=street, landmark=landmark, days=rng.choice(DAYS)), language


def talk(world: CityWorld, language: str, kind: str) -> str:
    """Draws one line of talk: `kind` is question, answer, update, praise, complaint or dispute."""
    lines = world.told.talk
    return str(world.rng.choice(lines.get(language, lines["en"])[kind]))
