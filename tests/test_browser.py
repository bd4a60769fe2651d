"""What a visitor does, in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from nst.ui import examples, handlers

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
WAIT_MS = 60_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"), reason="needs Chromium: apt-get install chromium"
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    assert CHROMIUM, "Chromium is missing, and in CI the browser tests must run"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, address: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(address)
    expect(page.locator("#stylise-button")).to_be_visible(timeout=WAIT_MS)
    yield page
    context.close()


def choose_size(page: Page, pixels: int) -> None:
    box = page.get_by_label("number input for Size")
    box.fill(str(pixels))
    box.press("Enter")


def picture_source(page: Page) -> str:
    return page.locator("#picture img").get_attribute("src") or ""


def wait_for_frames(page: Page, count: int) -> list[str]:
    """Addresses of the next `count` different pictures that appear."""
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


def test_upload_both_run_and_download(page: Page, tmp_path: Path) -> None:
    photo, style, _, _ = examples.first_sight()
    for kind, path in (("photo", photo), ("style", style)):
        page.locator(f"#{kind}-input [aria-label='Remove Image']").click()
        page.locator(f"#{kind}-input input[type=file]").set_input_files(path)
        expect(page.locator(f"#{kind}-input img")).to_be_visible()
    choose_size(page, 128)
    page.locator("#stylise-button").click()
    frames = wait_for_frames(page, 3)
    assert len(set(frames)) == 3
    expect(page.locator("#status")).to_contain_text("Finished: 128 x 85 px", timeout=WAIT_MS)
    expect(page.locator("#stylise-button")).to_be_visible()
    picture = download(page, tmp_path)
    picture.load()
    assert (picture.format, picture.size) == ("PNG", (128, 85))


def test_the_curve_grows_and_names_every_series(page: Page) -> None:
    choose_size(page, 128)
    page.locator("#stylise-button").click()
    expect(page.locator("#status")).to_contain_text("Finished", timeout=WAIT_MS)
    lines = page.locator("#curve g.plot_marks path")
    expect(lines).to_have_count(8)
    points = [line.get_attribute("d").count("L") + 1 for line in lines.all()]
    assert min(points) >= 40
    for series in ("total J", "content", "style", "relu1_1", "relu5_1"):
        label = page.locator("#curve svg text", has_text=series).first
        expect(label).to_be_visible()
        assert label.bounding_box()["y"] < page.locator("#download").bounding_box()["y"], "the legend is cut off"


def test_stop_keeps_the_picture_as_the_result(page: Page, tmp_path: Path) -> None:
    choose_size(page, 512)
    page.locator("#stylise-button").click()
    wait_for_frames(page, 3)
    page.locator("#stop-button").click()
    expect(page.locator("#status")).to_contain_text("Stopped", timeout=5000)
    expect(page.locator("#stylise-button")).to_be_visible()
    page.wait_for_timeout(700)
    kept = picture_source(page)
    page.wait_for_timeout(1500)
    assert picture_source(page) == kept, "frames still come after Stop"
    assert download(page, tmp_path).size == (512, 341)


def test_closing_the_tab_ends_the_run_within_a_step(browser, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[float] = []
    real_events = handlers.stylise_events

    def timed(*arguments: object) -> Iterator[object]:
        for event in real_events(*arguments):
            events.append(time.monotonic())
            yield event

    monkeypatch.setattr(handlers, "stylise_events", timed)
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#stylise-button")).to_be_visible(timeout=WAIT_MS)
    choose_size(page, 512)
    page.locator("#stylise-button").click()
    wait_for_frames(page, 3)
    context.close()
    closed = time.monotonic()
    time.sleep(5)
    assert len(events) >= 3
    assert events[-1] - closed < 2, "the run went on although nobody was watching"


def test_an_example_photo_is_one_click(page: Page) -> None:
    before = page.locator("#photo-input img").get_attribute("src")
    page.locator(".picture-input").first.locator(".gallery-item").first.click()
    expect(page.locator("#photo-input img")).not_to_have_attribute("src", before)


def test_the_page_opens_with_a_finished_example(page: Page) -> None:
    for picture in ("#photo-input img", "#style-input img", "#picture img"):
        expect(page.locator(picture)).to_be_visible()
        assert page.locator(picture).evaluate("img => img.complete && img.naturalWidth") > 100
    expect(page.locator("#curve g.plot_marks path")).to_have_count(8)


def test_a_broken_upload_ends_in_a_sentence_and_loses_nothing(page: Page, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not really")
    before = picture_source(page)
    page.locator("#photo-input [aria-label='Remove Image']").click()
    page.locator("#photo-input input[type=file]").set_input_files(broken)
    page.wait_for_timeout(500)
    page.locator("#stylise-button").click()
    expect(page.locator("#status")).to_contain_text("The photo is damaged or incomplete; save it as PNG or JPEG")
    expect(page.locator("#stylise-button")).to_be_visible()
    assert picture_source(page) == before
    assert "Traceback" not in page.content()


def test_a_phone_needs_no_sideways_scrolling(browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#curve g.plot_marks path").first).to_be_visible(timeout=WAIT_MS)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    tops = [page.locator(part).bounding_box()["y"] for part in ("#stylise-button", "#picture", "#curve", "#weights")]
    assert tops == sorted(tops), "button, picture, curve, then the folded panels"
    expect(page.locator("#weights input[type=range]").first).not_to_be_visible()
    context.close()


def test_the_page_loads_nothing_from_elsewhere(browser, address: str) -> None:
    page = browser.new_page()
    hosts = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2] if "//" in request.url else ""))
    page.goto(address)
    expect(page.locator("#stylise-button")).to_be_visible(timeout=WAIT_MS)
    page.wait_for_timeout(1000)
    assert hosts - {""} == {address.split("/")[2]}
    page.close()
