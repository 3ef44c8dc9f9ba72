"""The public map: groups that open, layers, areas, light and dark, desk and phone."""

import re

import pytest
from playwright.async_api import Locator, Page, expect

from e2e.conftest import Visitor

pytestmark = pytest.mark.e2e

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


async def numbers_on(page: Page) -> list[int]:
    """How many reports each group on the map holds, largest first."""
    texts = await page.locator(".cp-group").all_text_contents()
    return sorted((int(text) for text in texts), reverse=True)


async def uncovered(page: Page, selector: str) -> Locator | None:
    """The first such button on the map that a visitor could press: the map keeps some beyond its edge and under panels."""
    found: int = await page.evaluate(
        """(selector) => [...document.querySelectorAll(selector)].findIndex((button) => {
            const box = button.getBoundingClientRect();
            return button.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
        })""",
        selector,
    )
    return page.locator(selector).nth(found) if found >= 0 else None


async def picture(page: Page) -> bytes:
    """What the map's canvas shows now."""
    await page.wait_for_timeout(600)
    return await page.locator("#map canvas").screenshot()


async def test_key_figures_stand_above_the_map(visit: Visitor) -> None:
    page = await visit.map()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("What needs fixing in A test city")
    await expect(page.locator('[data-kpi="backlog"] .cp-kpi-value')).to_have_text(re.compile(r"^\d+$"))
    await expect(page.locator('[data-kpi="rating"] .cp-kpi-note')).to_have_text("no data yet")
    await expect(page.locator("#live-text")).to_have_text("Live · updated just now")


async def test_a_group_opens_until_single_reports_can_be_followed(visit: Visitor) -> None:
    page = await visit.map()
    largest = (await numbers_on(page))[0]
    assert largest >= 6
    for _ in range(10):
        group = await uncovered(page, ".cp-group")
        if group is None:
            break
        await group.click()
        await page.wait_for_timeout(700)
    single = await uncovered(page, ".cp-single")
    assert single is not None
    await single.click()
    popup = page.locator(".cp-popup")
    await expect(popup.get_by_role("heading")).to_have_text("Pothole")
    await expect(popup).to_contain_text(re.compile(r"New, reported"))
    await popup.get_by_role("link", name="Follow this report").click()
    await expect(page.locator("#track-heading")).to_have_text("We have your report")


async def test_layers_change_picture_legend_and_markers(visit: Visitor) -> None:
    page = await visit.map()
    reports = await picture(page)
    await page.get_by_text("Heatmap", exact=True).click()
    await expect(page.locator("#legend")).to_contain_text("by urgency and age")
    await expect(page.locator(".cp-group, .cp-single")).to_have_count(0)
    heat = await picture(page)
    await page.locator("#layers").get_by_text("Areas", exact=True).click()
    await expect(page.locator("#legend")).to_contain_text("Open reports in each area")
    areas = await picture(page)
    assert len({reports, heat, areas}) == 3
    await page.get_by_text("Reports", exact=True).click()
    await expect(page.locator(".cp-group").first).to_be_visible()


async def test_an_area_is_coloured_by_its_backlog_and_tells_it(visit: Visitor) -> None:
    page = await visit.map()
    await expect(page.locator(".cp-area").first).to_contain_text("Old Town")
    await page.locator("#layers").get_by_text("Areas", exact=True).click()
    await page.locator(".cp-area").first.click()
    await page.wait_for_timeout(900)
    box = await page.locator("#map").bounding_box()
    assert box is not None
    await page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5)
    await expect(page.locator(".cp-popup")).to_contain_text(re.compile(r"Old Town\s*\d+ open reports"))


async def test_the_map_can_be_worked_by_keyboard(visit: Visitor) -> None:
    page = await visit.map()
    before = await numbers_on(page)
    await page.locator(".cp-group").first.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_timeout(900)
    assert await numbers_on(page) != before
    await page.locator("#layer-reports").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#map")).to_have_attribute("data-layer", "heat")


async def test_the_theme_follows_the_system_and_then_the_visitor(visit: Visitor) -> None:
    page = await visit.map()
    root, toggle = page.locator("html"), page.get_by_role("button", name="Dark colours")
    await expect(root).to_have_attribute("data-bs-theme", "light")
    light = await picture(page)
    await toggle.click()
    await expect(root).to_have_attribute("data-bs-theme", "dark")
    await expect(toggle).to_have_attribute("aria-pressed", "true")
    assert await picture(page) != light
    await page.reload()
    await expect(root).to_have_attribute("data-bs-theme", "dark")


@pytest.mark.parametrize("visit", [PHONE], indirect=True)
async def test_on_a_phone_the_map_comes_first_and_nothing_is_wider_than_the_window(visit: Visitor) -> None:
    page = await visit.map()
    box = await page.locator("#map").bounding_box()
    assert box is not None
    assert box["height"] > 450
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await expect(page.get_by_role("button", name="Report a problem")).to_be_in_viewport()
    await page.locator(".cp-area").first.scroll_into_view_if_needed()
    await expect(page.locator(".cp-area").first).to_be_in_viewport()


async def test_a_report_is_found_by_its_number(visit: Visitor) -> None:
    page = await visit.map()
    await page.get_by_role("button", name="Follow a report").click()
    await page.get_by_label("Number").fill("no number!")
    await page.get_by_role("button", name="Show", exact=True).click()
    await expect(page.get_by_role("alert").filter(has_text="A number looks like")).to_be_visible()
    await page.get_by_label("Number").fill("cst-2026-000001")
    await page.get_by_role("button", name="Show", exact=True).click()
    await page.wait_for_url("**/track/CST-2026-000001")
