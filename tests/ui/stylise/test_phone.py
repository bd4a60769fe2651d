"""The page on a phone, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browsing import PANELS, PHONE, WAIT_MS, serious, unfold, visit


@pytest.fixture(scope="module")
def phone(window: BrowserContext, address: str) -> Iterator[Page]:
    """Our page in a narrow window, opened once for the tests of this file."""
    page = window.new_page()
    page.set_viewport_size(PHONE)
    visit(page, address)
    yield page
    page.close()


def test_a_newcomer_sees_two_pictures_one_slider_and_one_button(phone: Page) -> None:
    expect(phone.locator("#strength input[type=range]")).to_be_visible()
    expect(phone.locator("#weights input[type=range]").first).not_to_be_visible()
    assert [slider.is_visible() for slider in phone.locator("input[type=range]").all()].count(True) == 1
    for panel in ("size", "weights", "more-styles", "colour", "places", "advanced"):
        expect(phone.locator(f"#{panel}")).to_be_visible()


def test_a_phone_needs_no_sideways_scrolling(phone: Page) -> None:
    expect(phone.locator("#curve g.plot_marks path").first).to_be_visible(timeout=WAIT_MS)
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    tops = [phone.locator(part).bounding_box()["y"] for part in ("#stylise-button", "#picture", "#curve", "#weights")]
    assert tops == sorted(tops), "button, picture, curve, then the folded panels"


def test_axe_finds_nothing_serious_on_a_phone(phone: Page) -> None:
    for panel in (*PANELS, "weights", "more-layers"):
        unfold(phone, panel)
    phone.emulate_media(color_scheme="light")
    assert serious(phone) == []
    phone.emulate_media(color_scheme="dark")
    expect(phone.locator("body.dark")).to_have_count(1)
    assert serious(phone, rule="color-contrast") == []
