"""The tab *Clip* in a real browser: a clip is uploaded, painted, stopped, seen and downloaded."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from nst.film.clip import open_clip
from nst.film.painting import Painted
from nst.ui.clip import handlers
from tests.browsing import PHONE, WAIT_MS
from tests.film.clips import video

SIZE = (128, 96)
FRAMES = 6


@pytest.fixture
def clip(tmp_path: Path, photo: Image.Image) -> Path:
    """A camera that pans over a photo."""
    frames = [photo.resize(SIZE, box=(4 * t, 0, 4 * t + 128, 96)) for t in range(FRAMES)]
    return video(tmp_path / "clip.mp4", frames, sound="aac")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second after each frame of a film."""
    usual = handlers.film_events

    def events(film: handlers.Film) -> Iterator:
        for event in usual(film):
            yield event
            time.sleep(0.5 * isinstance(event, Painted))

    monkeypatch.setattr(handlers, "film_events", events)


def choose(page: Page, box: str, choice: str) -> None:
    page.locator(f"#{box} input").click()
    page.get_by_role("option", name=choice, exact=True).click()


def open_tab(page: Page, clip: Path) -> None:
    """Open the tab and upload a clip, for a small film."""
    page.get_by_role("tab", name="Clip").click()
    box, sources = (page.locator(part).bounding_box() for part in ("#clip-input", "#clip-input .source-selection"))
    assert sources["y"] + sources["height"] <= box["y"] + box["height"], "upload and camera are whole"
    choose(page, "clip-size", "128")
    if (earlier := page.locator("#clip-input [aria-label='Clear']")).count():
        earlier.click()
    page.locator("#clip-input input[type=file]").set_input_files(clip)
    status = page.locator("#clip-expected")
    expect(status).to_contain_text(f"{FRAMES} frames of 128 x 96 px", timeout=WAIT_MS)


def film_of(page: Page, folder: Path) -> Path:
    """Download the film that is on the page."""
    with page.expect_download() as started:
        page.locator("#clip-download").click()
    started.value.save_as(folder / started.value.suggested_filename)
    return folder / started.value.suggested_filename


def test_a_clip_is_painted_seen_and_downloaded(opened: Page, clip: Path, tmp_path: Path) -> None:
    open_tab(opened, clip)
    opened.locator("#clip-paint").click()
    expect(opened.locator("#clip-frame img")).to_be_visible(timeout=WAIT_MS)
    status = opened.locator("#clip-status")
    expect(status).to_contain_text(re.compile(f"Frame . of {FRAMES}"), timeout=WAIT_MS)
    expect(status).to_contain_text(f"Finished: {FRAMES} frames, 128 x 96 px", timeout=WAIT_MS)
    player = opened.locator("#clip-film video")
    expect(player).to_have_attribute("src", re.compile(r"film\.mp4$"), timeout=WAIT_MS)
    opened.wait_for_function("() => document.querySelector('#clip-film video').videoWidth === 128")
    expect(opened.locator("#clip-stop")).to_be_hidden()
    film = open_clip(film_of(opened, tmp_path))
    assert (film.width, film.height, film.count, film.sound) == (*SIZE, FRAMES, True)


def test_stop_keeps_the_film_so_far(opened: Page, clip: Path, tmp_path: Path, slow: None) -> None:
    opened.set_viewport_size(PHONE)
    open_tab(opened, clip)
    opened.locator("#clip-paint").click()
    status = opened.locator("#clip-status")
    expect(status).to_contain_text(f"Frame 2 of {FRAMES} is painted", timeout=WAIT_MS)
    opened.locator("#clip-stop").click()
    expect(status).to_contain_text(f"of {FRAMES} frames, 128 x 96 px: the film so far.", timeout=WAIT_MS)
    expect(opened.locator("#clip-paint")).to_be_visible()
    assert 2 <= open_clip(film_of(opened, tmp_path)).count < FRAMES
    assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing is cut off"
