"""Accessibility, judged by axe-core, on both pages, in both themes and in every state that a visitor meets."""

import pytest
from playwright.async_api import Page, expect

from e2e.conftest import AXE, Visitor
from e2e.test_map import PHONE
from e2e.test_report import choose, open_form, place_pin

pytestmark = pytest.mark.e2e

RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
    (found) => `${found.id}: ${found.nodes.map((node) => node.target.join(" ") + " " + node.any.map((part) => part.message)).join("; ")}`
)"""
THEMES = pytest.mark.parametrize("visit", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)


async def violations(page: Page) -> list[str]:
    """What axe objects to, now."""
    if not await page.evaluate("() => 'axe' in window"):
        # Through the protocol: the page's own policy admits no foreign script, and stays as it is.
        await page.evaluate(AXE.read_text() + "\n;undefined")
    found: list[str] = await page.evaluate(RUN)
    return found


@THEMES
async def test_the_map_page_has_no_violations(visit: Visitor) -> None:
    page = await visit.map()
    assert await violations(page) == []
    await page.locator("#layers").get_by_text("Areas", exact=True).click()
    await page.wait_for_timeout(300)
    assert await violations(page) == []
    await page.get_by_role("button", name="Follow a report").click()
    assert await violations(page) == []


@THEMES
async def test_the_form_has_no_violations_empty_refused_and_sent(visit: Visitor) -> None:
    page = await visit.map()
    await open_form(page)
    assert await violations(page) == []
    await page.get_by_role("button", name="Send report").click()
    assert await violations(page) == []
    await place_pin(page, 0.75, 0.75)
    await page.get_by_role("combobox", name="Category").click()
    assert await violations(page) == []
    await choose(page, "light", "Street light out")
    await page.get_by_label("Describe it").fill("Dark since Monday")
    await page.wait_for_timeout(500)
    assert await violations(page) == []
    await page.get_by_role("button", name="Send report").click()
    await expect(page.locator("#sent-id")).not_to_be_empty()
    assert await violations(page) == []


@THEMES
async def test_the_tracking_page_has_no_violations(visit: Visitor) -> None:
    page = await visit.open("/track/CST-2026-000001")
    await expect(page.locator("main")).to_have_attribute("data-state", "ready")
    assert await violations(page) == []


@pytest.mark.parametrize("visit", [PHONE], indirect=True)
async def test_the_phone_pages_have_no_violations(visit: Visitor) -> None:
    page = await visit.map()
    assert await violations(page) == []
    await open_form(page)
    assert await violations(page) == []
