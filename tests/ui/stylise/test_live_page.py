"""Live in a real browser: a change is seen at once, a newer one ends it, and Stylise paints from the controls alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from nst import Event, Finished, recipe, stylise
from nst.ui.server import examples
from nst.ui.stylise import live
from nst.ui.stylise.form import RunRequest
from tests.browsing import WAIT_MS, choose_size, download, fill, finished, picture_source, wait_for_frames


class SlowPreviews:
    """Takes the place of `run_events`: beta of each run with its events, `pause_s` apart at least."""

    def __init__(self) -> None:
        self.usual = live.run_events
        self.pause_s = 0.15
        self.runs: list[tuple[float, list[Event]]] = []

    def __call__(self, request: RunRequest) -> Iterator[Event]:
        self.runs.append((request.settings.beta, []))
        for event in self.usual(request):
            self.runs[-1][1].append(event)
            yield event
            time.sleep(self.pause_s)


@pytest.fixture
def previews(monkeypatch: pytest.MonkeyPatch) -> SlowPreviews:
    previews = SlowPreviews()
    monkeypatch.setattr(live, "run_events", previews)
    monkeypatch.setattr(live, "MOST_S", 60.0)  # the browser may be slow
    return previews


def test_live_shows_a_change_at_once_and_is_no_result(page: Page, previews: SlowPreviews, tmp_path: Path) -> None:
    choose_size(page, 128)
    kept = page.locator("#visit .thumbnail-item").count()
    fill(page, "beta: style", "20")
    page.wait_for_timeout(500)
    assert previews.runs == [], "Live is off"
    page.locator("#live input").check()
    previews.pause_s = 3.0
    fill(page, "beta: style", "40")
    wait_for_frames(page, 1)
    previews.pause_s = 0.15
    fill(page, "beta: style", "5")
    expect(page.locator("#status")).to_contain_text("Live: a preview of 128 x 85 px. Press Stylise", timeout=WAIT_MS)
    (older, newer) = previews.runs
    assert (older[0], newer[0]) == (40, 5)
    assert [isinstance(events[-1], Finished) for _, events in (older, newer)] == [False, True]
    expect(page.locator("#download")).to_be_disabled()
    assert page.locator("#visit .thumbnail-item").count() == kept
    page.get_by_label("range slider for Strength").focus()
    page.keyboard.press("ArrowRight")  # beta follows, and is what is painted
    wait_for_frames(page, 1)
    assert previews.runs[-1][0] != 5
    page.locator("#stylise-button").click()  # while Live is at work
    finished(page)
    shown = picture_source(page)
    page.wait_for_timeout(500)
    assert picture_source(page) == shown, "no late preview"
    picture = download(page, tmp_path)
    settings = recipe.read(tmp_path / Path(picture.filename).name).settings
    assert settings.beta == previews.runs[-1][0]
    photo, style, _, _ = examples.first_sight()
    assert np.array_equal(picture, stylise(photo, style, settings).image), "the recipe paints the same picture"
    page.locator("#live input").uncheck()
