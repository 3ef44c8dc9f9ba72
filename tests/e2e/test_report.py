"""Reporting a problem with a pin, and following it to its end."""

import re
from typing import Any

import pytest
from builders import walk_to
from playwright.async_api import APIResponse, Page, Route, expect

from e2e.conftest import SOUTH, STEP, WEST, Visitor
from e2e.test_map import PHONE

pytestmark = pytest.mark.e2e

NUMBER = re.compile(r"^CST-\d{4}-\d{6}$")


async def open_form(page: Page) -> None:
    """The form, ready to be filled in."""
    await page.get_by_role("button", name="Report a problem").click()
    await expect(page.locator("#report-heading")).to_be_visible()


async def place_pin(page: Page, x: float = 0.62, y: float = 0.5) -> None:
    """Clicks the map at a share of its width and height."""
    box = await page.locator("#map").bounding_box()
    assert box is not None
    await page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
    await expect(page.locator(".cp-pin")).to_be_visible()


async def choose(page: Page, words: str, category: str) -> None:
    """Finds a category by `words`."""
    await page.get_by_role("combobox", name="Category").fill(words)
    await page.get_by_role("option", name=category).click()


async def at(page: Page, lon: float, lat: float) -> None:
    """Places the pin by its coordinates."""
    await page.get_by_role("button", name="Enter coordinates").click()
    await page.get_by_label("Latitude").fill(str(lat))
    await page.get_by_label("Longitude").fill(str(lon))
    await page.get_by_label("Longitude").press("Tab")
    await expect(page.locator("#report-place")).to_contain_text("Pin placed")


async def send(page: Page) -> str:
    """Sends the form; the number that comes back."""
    await page.get_by_role("button", name="Send report").click()
    await expect(page.get_by_role("dialog", name="Thank you, we have it")).to_be_visible()
    await expect(page.locator("#sent-id")).to_have_text(NUMBER)
    return await page.locator("#sent-id").inner_text()


async def backlog(visit: Visitor) -> int:
    """Open master requests as the API counts them."""
    async with await visit.site.city.client() as client:
        totals: dict[str, Any] = (await client.get("/analytics/kpis")).json()["totals"]
        return int(totals["backlog"])


async def test_a_problem_is_reported_with_a_pin_and_followed(visit: Visitor) -> None:
    page = await visit.map()
    before = await backlog(visit)
    await open_form(page)
    await place_pin(page, 0.7, 0.3)
    await expect(page.locator("#report-place")).to_contain_text("Pin placed in")
    await page.get_by_label("Address or landmark").fill("Beside the fountain")
    await choose(page, "light", "Street light out")
    await page.get_by_label("Describe it").fill("The lamp <b>beside</b> the fountain is dark.")
    number = await send(page)
    await expect(page.locator("#sent-sla")).to_contain_text("We aim to solve it by")
    await page.get_by_role("link", name="Follow its progress").click()
    await page.wait_for_url(re.compile(rf"/track/{number}#token=.+"))
    await expect(page.locator("main")).to_have_attribute("data-state", "ready")
    await expect(page.locator("#track-heading")).to_have_text("We have your report")
    await expect(page.locator(".cp-step-current")).to_contain_text("Reported")
    await expect(page.locator("#track-promise")).to_contain_text("Solved by")
    await expect(page.locator("#track-facts")).to_contain_text("The lamp <b>beside</b> the fountain is dark.")
    await expect(page.locator("#track-facts")).to_contain_text("Beside the fountain")
    await expect(page.locator("#map canvas")).to_be_visible()
    await expect(page.locator("#track-rating")).to_be_hidden()
    assert await backlog(visit) == before + 1


async def test_the_keyboard_alone_is_enough(visit: Visitor) -> None:
    page = await visit.map()
    await page.get_by_role("button", name="Report a problem").focus()
    await page.keyboard.press("Enter")
    await at(page, WEST + STEP * 2.5, SOUTH + STEP * 1.5)
    await expect(page.locator("#report-place")).to_contain_text("Station")
    await page.locator(".cp-pin").focus()
    await page.keyboard.press("ArrowLeft")
    assert float(await page.get_by_label("Longitude").input_value()) < WEST + STEP * 2.5
    assert float(await page.get_by_label("Latitude").input_value()) == pytest.approx(SOUTH + STEP * 1.5, abs=1e-5)
    box = page.get_by_role("combobox", name="Category")
    await box.focus()
    await page.keyboard.type("pothole")
    await page.keyboard.press("ArrowDown")
    await expect(box).to_have_attribute("aria-activedescendant", re.compile("category-"))
    await page.keyboard.press("Enter")
    await expect(box).to_have_value("Pothole")
    await page.keyboard.press("Tab")
    await page.keyboard.type("A deep one")
    await page.get_by_role("button", name="Send report").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#sent-id")).to_have_text(NUMBER)
    await page.keyboard.press("Escape")
    await expect(page.locator("#sent-dialog")).to_be_hidden()


async def test_an_empty_form_says_at_each_field_what_is_missing(visit: Visitor) -> None:
    page = await visit.map()
    await open_form(page)
    await page.get_by_role("button", name="Send report").click()
    await expect(page.locator("#report-errors li")).to_have_count(3)
    await expect(page.locator("#error-location")).to_contain_text("Place the pin")
    await expect(page.locator("#report-category")).to_have_attribute("aria-invalid", "true")
    await expect(page.locator("#report-locate")).to_be_focused()
    await place_pin(page)
    await expect(page.locator("#error-location")).to_be_empty()


async def test_what_the_server_refuses_is_said_at_its_field(visit: Visitor) -> None:
    page = await visit.map()
    problem = '{"status": 422, "detail": "Bad", "errors": [{"field": "description", "detail": "Too short."}]}'

    async def refuse(route: Route) -> None:
        await route.fulfill(status=422, content_type="application/problem+json", body=problem)

    await page.route("**/requests/", refuse)
    await open_form(page)
    await place_pin(page)
    await choose(page, "pothole", "Pothole")
    await page.get_by_label("Describe it").fill("x")
    await page.get_by_role("button", name="Send report").click()
    await expect(page.locator("#error-description")).to_have_text("Too short.")
    await expect(page.get_by_label("Describe it")).to_be_focused()
    assert [fault for fault in visit.watch.faults if "422" not in fault] == []
    visit.watch.faults.clear()


async def test_a_report_that_got_lost_on_the_way_is_not_made_twice(visit: Visitor) -> None:
    page = await visit.map()
    before = await backlog(visit)
    lost: list[APIResponse] = []

    async def lose_the_first_answer(route: Route) -> None:
        if lost:
            await route.continue_()
            return
        lost.append(await route.fetch())
        await route.abort()

    await page.route("**/requests/", lose_the_first_answer)
    await open_form(page)
    await at(page, WEST + STEP * 0.2, SOUTH + STEP * 1.2)
    await choose(page, "graffiti", "Graffiti")
    await page.get_by_label("Describe it").fill("On the wall of the school")
    await page.get_by_role("button", name="Send report").click()
    await expect(page.locator("#report-errors")).to_contain_text("Nothing is lost")
    number = await send(page)
    assert (await lost[0].json())["request_id"] == number
    assert await backlog(visit) == before + 1
    visit.watch.faults.clear()


async def test_a_duplicate_is_announced_before_and_explained_after(visit: Visitor) -> None:
    page = await visit.map()
    numbers: list[str] = []
    for _ in range(2):
        await open_form(page)
        await at(page, WEST + STEP * 1.7, SOUTH + STEP * 1.7)
        await choose(page, "pothole", "Pothole")
        await page.get_by_label("Describe it").fill("Deep hole at the crossing")
        if numbers:
            await expect(page.locator("#report-nearby")).to_contain_text(f"{numbers[0]}, at the same place")
        numbers.append(await send(page))
        await page.get_by_role("dialog").get_by_role("button", name="Close").click()
    await expect(page.locator("#sent-duplicate")).to_contain_text(f"joined your report with {numbers[0]}")
    page = await visit.open(f"/track/{numbers[1]}")
    await expect(page.locator("#track-duplicate")).to_contain_text(f"handled together with {numbers[0]}")


async def test_the_reporter_rates_what_was_solved(visit: Visitor) -> None:
    page = await visit.map()
    await open_form(page)
    await at(page, WEST + STEP * 2.2, SOUTH + STEP * 0.8)
    await choose(page, "pothole", "Pothole")
    await page.get_by_label("Describe it").fill("Wide hole in front of the bakery")
    number = await send(page)
    link = await page.get_by_role("link", name="Follow its progress").get_attribute("href")
    assert link is not None
    async with await visit.site.city.client("admin") as admin:
        await walk_to(admin, number, "resolved")
    stranger = await visit.open(f"/track/{number}")
    await expect(stranger.locator("main")).to_have_attribute("data-state", "ready")
    await expect(stranger.locator("#track-rating")).to_be_hidden()
    page = await visit.open(link.removeprefix(visit.site.url))
    await expect(page.locator("#track-heading")).to_have_text("It has been solved")
    await page.get_by_role("button", name="Send rating").click()
    await expect(page.locator("#rating-error")).to_have_text("Choose one to five stars.")
    await page.locator("label[for=rating-4]").click()
    await page.get_by_label("Anything to add?").fill("Quick and clean")
    await page.get_by_role("button", name="Send rating").click()
    await expect(page.locator("#rating-thanks")).to_be_visible()
    async with await visit.site.city.client() as client:
        assert (await client.get(f"/requests/{number}")).json()["citizen_feedback"]["rating"] == 4


async def test_a_number_that_nobody_knows_is_answered_kindly(visit: Visitor) -> None:
    page = await visit.open("/track/CST-1999-999999")
    await expect(page.locator("#track-heading")).to_have_text("We know no report with this number")
    assert [fault for fault in visit.watch.faults if "404" not in fault] == []
    visit.watch.faults.clear()


async def test_without_a_map_a_report_is_still_possible(visit: Visitor) -> None:
    await visit.context.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page = await visit.open("/")
    await expect(page.locator("#map")).to_contain_text("You can still report a problem")
    await expect(page.locator(".cp-area").first).to_contain_text("Old Town")
    await open_form(page)
    await page.get_by_label("Latitude").fill(str(SOUTH + STEP * 0.1))
    await page.get_by_label("Longitude").fill(str(WEST + STEP * 1.1))
    await choose(page, "graffiti", "Graffiti")
    await page.get_by_label("Describe it").fill("On the bench")
    await send(page)


@pytest.mark.parametrize("visit", [PHONE], indirect=True)
async def test_on_a_phone_the_pin_is_placed_above_the_sheet(visit: Visitor) -> None:
    page = await visit.map()
    await open_form(page)
    sheet = await page.locator("#report-panel").bounding_box()
    assert sheet is not None
    await page.touchscreen.tap(180, 56 + (sheet["y"] - 56) * 0.6)
    await expect(page.locator(".cp-pin")).to_be_visible()
    await page.wait_for_timeout(800)
    pin = await page.locator(".cp-pin").bounding_box()
    assert pin is not None
    assert pin["y"] > 56
    assert pin["y"] + pin["height"] < sheet["y"]
    await choose(page, "trash", "Missed")
    await page.get_by_label("Describe it").fill("Not collected since Monday")
    await send(page)
