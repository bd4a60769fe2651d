"""What a visitor sees without scrolling, before and after a run, at the sizes of usual screens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browsing import WAIT_MS, choose_size, finished, visit

WIDE_SIZES = ((1366, 768), (1440, 900), (1920, 1080), (820, 1180))
PHONE_SIZE = (390, 844)
FIRST = ("#photo-input", "#style-input", "#strength", "#stylise-button", "#picture", "#status")
BUTTONS = ("#download", "#go-on", "#bigger", "#format")
# Elements that scroll up and down inside the page.
NESTED = """() => [...document.querySelectorAll("#stylise *")].filter(e => e.checkVisibility()
    && ["auto", "scroll"].includes(getComputedStyle(e).overflowY)
    && e.scrollHeight > e.clientHeight + 1 && e.clientHeight > 0).map(e => e.id || e.className)"""
# Share of each box of pictures that holds none of them.
EMPTY = """() => Object.fromEntries(["#picture", "#visit", "#photo-input", "#style-input"].map(name => {
    const box = document.querySelector(name)?.getBoundingClientRect();
    if (!box) return [name, 0];
    const rows = [...document.querySelectorAll(`${name} img`)].map(image => image.getBoundingClientRect());
    const bottom = Math.max(...rows.map(row => row.bottom)), top = Math.min(...rows.map(row => row.top));
    return [name, 1 - (bottom - top) / box.height];
}))"""


@pytest.fixture(scope="module")
def opened(browser, address: str) -> Iterator[Page]:
    context = browser.new_context(viewport=dict(zip(("width", "height"), WIDE_SIZES[0], strict=True)))
    page = context.new_page()
    visit(page, address)
    yield page
    context.close()


def resize(page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.evaluate("() => scrollTo(0, 0)")
    page.wait_for_timeout(400)  # the chart is drawn again


def bottoms(page: Page, parts: tuple[str, ...]) -> dict[str, float]:
    boxes = {part: page.locator(part).bounding_box() for part in parts}
    assert all(box["width"] > 20 for box in boxes.values())
    return {part: box["y"] + box["height"] for part, box in boxes.items()}


def check_wide(page: Page) -> None:
    for size in WIDE_SIZES:
        resize(page, size)
        below = {part: bottom for part, bottom in bottoms(page, (*FIRST, *BUTTONS)).items() if bottom > size[1]}
        assert below == {}, f"below the window of {size}"
        assert page.evaluate(NESTED) == []
        assert page.evaluate("document.documentElement.scrollWidth") == size[0]
        assert {name: share for name, share in page.evaluate(EMPTY).items() if share > 0.34} == {}, size


def test_the_page_opens_with_a_finished_example(opened: Page) -> None:
    for picture in ("#photo-input img", "#style-input img", "#picture img"):
        expect(opened.locator(picture)).to_be_visible()
        assert opened.locator(picture).evaluate("img => img.complete && img.naturalWidth") > 100
    expect(opened.locator("#curve g.plot_marks path")).to_have_count(11)  # three for the levels
    expect(opened.locator("#curve .levels span")).to_have_text(["128 px", "256 px", "512 px"])
    expect(opened.locator("#go-on")).to_be_disabled()
    expect(opened.locator("#visit")).to_have_count(0)


def test_all_that_a_run_needs_is_on_the_first_screen(opened: Page) -> None:
    check_wide(opened)
    resize(opened, PHONE_SIZE)
    needed = bottoms(opened, ("#photo-input", "#style-input", "#strength", "#stylise-button"))
    assert max(needed.values()) <= PHONE_SIZE[1]
    assert needed["#photo-input"] == needed["#style-input"], "side by side"
    assert opened.evaluate("document.documentElement.scrollWidth") == PHONE_SIZE[0]


def test_the_picture_stays_in_sight_beside_the_panels(opened: Page) -> None:
    for size in WIDE_SIZES[:3]:
        resize(opened, size)
        opened.evaluate("() => document.querySelector('#recipe').scrollIntoView({ block: 'end' })")
        opened.wait_for_timeout(300)
        for part in ("#picture", "#status", "#download"):
            box = opened.locator(part).bounding_box()
            assert 0 <= box["y"] <= box["y"] + box["height"] <= size[1], part


def test_nothing_jumps_when_results_arrive(opened: Page) -> None:
    resize(opened, WIDE_SIZES[1])
    choose_size(opened, 128)
    opened.evaluate("() => scrollTo(0, 0)")  # the size is further down than the button that is clicked
    places = ("#picture", "#take-away", "#curve", "#series", "#stylise", "#panels")

    def tops() -> list[float]:
        return [opened.locator(place).bounding_box()["y"] for place in places]

    before = tops()
    opened.locator("#stylise-button").click()
    expect(opened.locator("#stop-button")).to_be_visible(timeout=WAIT_MS)
    opened.wait_for_timeout(500)
    during = tops()
    finished(opened)
    expect(opened.locator("#visit .thumbnail-item").first).to_be_visible(timeout=WAIT_MS)
    opened.wait_for_timeout(500)
    assert during == pytest.approx(before, abs=1)
    assert tops() == pytest.approx(before, abs=1)


def test_a_finished_picture_and_its_buttons_are_on_the_screen(opened: Page) -> None:
    resize(opened, PHONE_SIZE)
    pictures = opened.locator("#visit .thumbnail-item")
    before = pictures.count()
    choose_size(opened, 128)
    opened.evaluate("() => scrollTo(0, 0)")
    opened.locator("#stylise-button").click()
    expect(opened.locator("#stop-button")).to_be_visible(timeout=WAIT_MS)
    opened.wait_for_timeout(600)
    for part in ("#stop-button", "#picture", "#status"):
        expect(opened.locator(part)).to_be_in_viewport(ratio=0.99)
    finished(opened)
    expect(pictures).to_have_count(before + 1, timeout=WAIT_MS)
    check_wide(opened)
