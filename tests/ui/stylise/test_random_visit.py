"""Random events of a visitor: after each, buttons, picture and download agree. `NST_VISIT_EVENTS` sets how many."""

from __future__ import annotations

import io
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Page, expect

from nst import Event
from nst.ui.server import examples
from nst.ui.stylise import handlers
from nst.ui.stylise.visit import Visit
from nst.ui.stylise.visits import visits
from tests.browsing import WAIT_MS, download, fill, pixels, unfold, visit

EVENTS = int(os.environ.get("NST_VISIT_EVENTS", "12"))
SEED = int(os.environ.get("NST_VISIT_SEED", "1"))
SETTLE_S = 60.0  # for a page and a server that share a busy machine
MOST_ERROR = 1.0  # mean difference, of 255, of two decoders or of 16 bits from 8


class Visitor:
    """A visitor who acts at random, and a machine on which a run may wait, take long or fail."""

    def __init__(self, page: Page, address: str, folder: Path) -> None:
        self.page, self.folder, self.chance = page, folder, random.Random(SEED)
        self.crowd = Client(address, verbose=False)
        self.fails_at: int | None = None  # event of the next run at which it fails
        self.usual = handlers.stylise_events

    def events(self, *arguments: object, **options: object) -> Iterator[Event]:
        """A run as on a slow machine, whose steps take up to 0.15 s."""
        fails_at, self.fails_at = self.fails_at, None
        for number, event in enumerate(self.usual(*arguments, **options)):
            time.sleep(0.15 * self.chance.random())
            if number == fails_at:
                raise ValueError("the test lets this run fail")
            yield event

    def stylise(self) -> None:
        self._click("#stylise-button")

    def stylise_twice(self) -> None:
        if self.page.locator("#stylise-button").is_visible():
            self.page.locator("#stylise-button").dblclick(force=True)

    def wait_and_stop(self) -> None:
        """Stop while another's run has the device."""
        photo, style, _, _ = examples.first_sight()
        named = {"photo": handle_file(photo), "style": handle_file(style), "size": 128, "quality": "draft"}
        self.crowd.submit(**named, api_name="/stylise")
        self.stylise()
        self.stop()

    def fail(self) -> None:
        self.fails_at = self.chance.randrange(8)
        self._click(self.chance.choice(["#stylise-button", "#go-on"]))

    def stop(self) -> None:
        self.page.wait_for_timeout(self.chance.choice([0, 0, 100, 400, 900]))
        self._click("#stop-button")

    def stop_at_once(self) -> None:
        self._click("#stop-button")

    def go_on(self) -> None:
        self._click("#go-on")

    def choose(self) -> None:
        strip = self.page.locator("#visit .thumbnail-item")
        if count := strip.count():
            strip.nth(self.chance.randrange(count)).click(force=True)

    def recolour(self) -> None:
        self.page.get_by_label("Colours", exact=True).click()
        self.page.get_by_role("option", name=self.chance.choice(["style:", "luminance:", "histogram:"])).click()

    def file_format(self) -> None:
        self.page.get_by_label("File format").click()
        self.page.get_by_role("option", name=self.chance.choice(["PNG", "JPEG", "WebP"]), exact=True).click()

    def switch_live(self) -> None:
        self.page.locator("#live input").click()

    def change(self) -> None:
        """Change what Live follows, if it is on."""
        self.page.locator("#live input").check()
        for _ in range(self.chance.choice([1, 1, 3])):
            fill(self.page, "beta: style", str(self.chance.randrange(1, 90)))
            self.page.wait_for_timeout(self.chance.choice([0, 0, 300]))

    def reload(self) -> None:
        self.page.reload()
        expect(self.page.locator("#stylise-button").or_(self.page.locator("#stop-button")).first).to_be_visible()
        self.page.wait_for_timeout(800)
        unfold(self.page, "colour")

    def rest(self) -> None:
        """Wait until no run is on."""
        expect(self.page.locator("#stylise-button")).to_be_visible(timeout=WAIT_MS)

    def _click(self, button: str) -> None:
        found = self.page.locator(button)
        if found.is_visible() and found.is_enabled():
            found.click(force=True, timeout=WAIT_MS)

    def own(self) -> Visit:
        """The visit of this page on the server."""
        key = self.page.evaluate("sessionStorage.getItem('nst-visit')")
        return next(found for found in visits().all if found.key == key)

    def disagreement(self) -> str:
        """What of buttons, picture and download does not agree with the visit; empty if all does."""
        page, own = self.page, self.own()
        seen = {name: page.locator(f"#{name}") for name in ("stylise-button", "stop-button", "download", "go-on")}
        running, usable = own.running, own.usable()
        if (seen["stop-button"].is_visible(), seen["stylise-button"].is_visible()) != (running, not running):
            return f"buttons while {own.state}"
        able = usable is not None and not running and not own.shows_live
        if any(seen[name].is_enabled() != able for name in ("download", "go-on")):
            return f"download or Continue while {own.state}"
        if page.locator("#visit .thumbnail-item").count() != len(own.strip) and not running:
            return f"the strip, which has {len(own.strip)} pictures"
        if own.shows_live:
            return "" if "Live" in page.locator("#status").inner_text() else "the status while Live shows a preview"
        if not able:
            return ""
        if not page.locator("#status").inner_text().startswith(own.said[:20]):
            return f"the status while {own.state}: {page.locator('#status').inner_text()!r}, not {own.said!r}"
        shown = pixels(page)
        if own.state == "live":
            return "a preview of Live is on its way"
        file = download(page, self.folder)
        if own.running or own.usable() is not usable:
            return "it went on meanwhile"
        painted = usable.result.image
        pairs = {"picture": (shown, as_file(painted, "jpeg")), "download": (file, as_file(painted, file.format, 95))}
        for what, pair in pairs.items():
            found, wanted = (np.asarray(one, dtype=float) for one in pair)
            if found.shape != wanted.shape or np.abs(found - wanted).mean() > MOST_ERROR:
                return f"the {what} while {own.state}: {found.shape}, {wanted.shape}"
        return ""

    def agrees(self) -> None:
        """All agrees before long, and still does a moment later.

        Of three looks: when the server already has the end of a run whose beginning the page is still to show, the
        first look is too early.
        """
        for _ in range(3):
            deadline = time.monotonic() + SETTLE_S
            while why := self.disagreement():
                assert time.monotonic() < deadline, why
                self.page.wait_for_timeout(100)
            rested = not self.own().running
            self.page.wait_for_timeout(200)
            why = self.disagreement() if rested else ""  # a run that is on may end at this moment
            if not why:
                return
        raise AssertionError(f"later {why}")


def as_file(picture: Image.Image, file_format: str, quality: int = 75) -> Image.Image:
    """The picture after a file of this format: JPEG and WebP change it by more than another run would."""
    file = io.BytesIO()
    subsampling = {"subsampling": 0} if (file_format, quality) == ("JPEG", 95) else {}
    picture.convert("RGB").save(file, file_format, quality=quality, **subsampling)
    return Image.open(file)


@pytest.fixture
def visitor(tab: Page, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Visitor:
    visit(tab, f"{address}?size=128&quality=draft")
    tab.wait_for_function("sessionStorage.getItem('nst-visit')")
    one = Visitor(tab, address, tmp_path)
    monkeypatch.setattr(handlers, "stylise_events", one.events)
    unfold(tab, "colour")
    return one


def test_after_random_events_buttons_picture_and_download_agree(visitor: Visitor) -> None:
    often: list[Callable[[], None]] = [visitor.stylise, visitor.stop, visitor.stop_at_once, visitor.go_on]
    seldom = [visitor.wait_and_stop, visitor.fail, visitor.choose, visitor.recolour, visitor.file_format]
    seldom += [visitor.change, visitor.change, visitor.switch_live]
    rare = [visitor.stylise_twice, visitor.reload, visitor.rest]
    for number in range(EVENTS):
        event = visitor.chance.choice(3 * often + 2 * seldom + rare)
        event()
        print(number, event.__name__, round(time.monotonic()), flush=True)
        try:
            visitor.agrees()
        except AssertionError as error:
            raise AssertionError(f"event {number}, {event.__name__}: {error}") from None
    visitor.rest()
    visitor.agrees()
