"""Shared functions of the browser tests: they act on the page as a visitor, in Chromium driven by Playwright."""

from __future__ import annotations

import io
import os
import shutil
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
QUIET += ["--disable-gpu"]  # the emulated GPU sometimes stops drawing the page
WAIT_MS = 120_000  # long, because a busy machine without native bfloat16 needs a minute for ten seconds of work
WIDE = {"width": 1400, "height": 900}
PHONE = {"width": 390, "height": 844}
PANELS = ("size", "more-styles", "colour", "places", "advanced", "recipe")


def need_chromium() -> None:
    """Skip without Chromium, but never in CI."""
    if CHROMIUM is None:
        assert not os.environ.get("CI"), "Chromium is missing, and in CI the browser tests must run"
        pytest.skip("needs Chromium: apt-get install chromium")


def visit(page: Page, address: str) -> None:
    """Open the page and wait until its button shows."""
    page.set_default_timeout(WAIT_MS)
    page.goto(address)
    expect(page.locator("#stylise-button")).to_be_visible(timeout=WAIT_MS)


class KeptPage:
    """Our page in a tab that stays open, and the hosts it has asked for anything."""

    def __init__(self, window: BrowserContext, address: str) -> None:
        self.window, self.address = window, address
        self.page: Page | None = None
        self.hosts: set[str] = set()
        self.photo = ""  # address of the photo that the page opens with

    def start_over(self) -> Page:
        """Open the page if it is not open, else bring back what it opens with, as a visitor would.

        The size, the panels that are open, the values of Options and the pictures of the visit stay. A test that
        changes a setting which the card Classic does not set puts it back.
        """
        if self.page is None:
            self.page = self.window.new_page()
            self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
            visit(self.page, self.address)
            self.photo = self.page.locator("#photo-input img").get_attribute("src")
            return self.page
        page = self.page
        page.set_viewport_size(WIDE)
        page.emulate_media(color_scheme="null", reduced_motion="null")
        page.get_by_role("tab", name="Stylise").click()
        page.get_by_role("tab", name="Picture").click()
        page.locator("#presets").get_by_role("button", name="Classic").click()
        photo = page.locator("#photo-input img")
        another = photo.count() == 0 or photo.get_attribute("src") != self.photo
        # A style is chosen also where it is the same: the status then speaks of no earlier run.
        for what, name in [("photo", "chelsea")] * another + [("style", "impasto")]:
            page.locator(f".picture-input:has(#{what}-input)").get_by_role("button", name=name).click()
            expect(page.locator("#status")).to_contain_text(name, timeout=WAIT_MS)
        for label, value in (("Strength", "50"), ("beta: style", "10")):
            expect(page.get_by_label(f"number input for {label}")).to_have_value(value, timeout=WAIT_MS)
        return page

    def close(self) -> None:
        """The next test gets a new page."""
        if self.page is not None:
            self.page.close()
        self.page = None


def finished(page: Page, what: str = "Finished") -> None:
    """Wait until the status contains the text `what`."""
    expect(page.locator("#status")).to_contain_text(what, timeout=WAIT_MS)


def stylise(page: Page) -> None:
    """Paint, until the run has finished and its picture can be downloaded."""
    page.locator("#stylise-button").click()
    expect(page.locator("#stop-button")).to_be_visible(timeout=WAIT_MS)
    finished(page)
    expect(page.locator("#download")).to_be_enabled(timeout=WAIT_MS)


def fill(page: Page, label: str, value: str) -> None:
    """Type a number into the box of a slider."""
    box = page.get_by_label(f"number input for {label}")
    box.fill(value)
    box.press("Enter")


def unfold(page: Page, panel: str) -> None:
    """Open a panel. A click is lost when the page moves at that moment, as it does while a chart is drawn."""
    title = page.locator(f"#{panel} button.label-wrap").first
    expect(title).to_be_visible(timeout=WAIT_MS)
    deadline = time.monotonic() + WAIT_MS / 1000
    while "open" not in title.get_attribute("class").split():
        assert time.monotonic() < deadline, f"#{panel} does not open"
        title.click()
        page.wait_for_timeout(100)


def choose_size(page: Page, pixels: int, quality: str = "draft") -> None:
    """Set the size, px, and the quality; a draft suffices for tests that do not judge the picture."""
    unfold(page, "size")
    box = page.get_by_label("number input for Size")
    box.fill(str(pixels))
    box.press("Enter")
    page.locator("#size").get_by_label(quality).check()


def picture_source(page: Page) -> str:
    return page.locator("#picture img").get_attribute("src") or ""


def wait_for_frames(page: Page, count: int) -> list[str]:
    """Wait until `count` new pictures have appeared -> their addresses."""
    seen = [picture_source(page)]
    deadline = time.monotonic() + WAIT_MS / 1000
    while len(seen) <= count:
        assert time.monotonic() < deadline, f"only {len(seen) - 1} frames came"
        if (source := picture_source(page)) != seen[-1]:
            seen.append(source)
        page.wait_for_timeout(30)
    return seen[1:]


def download(page: Page, folder: Path) -> Image.Image:
    expect(page.locator("#download")).to_be_enabled(timeout=WAIT_MS)
    with page.expect_download() as started:
        page.locator("#download").click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return Image.open(path)


def pixels(page: Page) -> np.ndarray:
    """The picture on the page as the browser receives it: (H, W, 3), 0 to 255."""
    page.wait_for_timeout(300)
    answer = page.request.get(picture_source(page))
    return np.asarray(Image.open(io.BytesIO(answer.body())).convert("RGB"), dtype=float)


def serious(page: Page, part: str | None = None, rule: str | None = None) -> list[tuple[str, str]]:
    """Violations that axe finds once colours have stopped changing: rule and element. Later animations end at once.

    In the whole page, or in one part of it; of all rules, or of one.
    """
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function("() => !document.getAnimations().some(a => a instanceof CSSTransition)")
    only = {"runOnly": [rule]} if rule else {}
    found = Axe().run(page, part, options={"resultTypes": ["violations"], **only})  # else all that passes is listed
    return [
        (violation["id"], node["html"][:200])
        for violation in found.response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
