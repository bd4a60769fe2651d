"""Actions of a visitor in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as TookTooLongError

from nst import recipe
from nst.settings import QUALITIES
from nst.ui.server import examples
from nst.ui.stylise import handlers
from tests.browsing import (
    WAIT_MS,
    KeptPage,
    choose_size,
    download,
    fill,
    finished,
    picture_source,
    pixels,
    stylise,
    unfold,
    wait_for_frames,
)
from tests.serving import CountedRun


def test_an_example_photo_is_one_click(page: Page) -> None:
    before = page.locator("#photo-input img").get_attribute("src")
    page.locator("#photo-input input[type=file]").set_input_files(
        {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    )
    expect(page.locator("#status")).to_contain_text("The photo is", timeout=WAIT_MS)
    page.get_by_role("button", name="coffee").click()
    expect(page.locator("#status")).to_have_text("A new photo: coffee. Press Stylise to paint.")
    expect(page.locator("#photo-input img")).not_to_have_attribute("src", before)


def test_strength_and_beta_stay_in_step(page: Page) -> None:
    strength, beta = (page.get_by_label(f"number input for {name}") for name in ("Strength", "beta: style"))
    alpha = page.get_by_label("number input for alpha: content")
    for box, value, other, answer in (
        (strength, "100", beta, "100"),
        (strength, "0", beta, "1"),
        (beta, "31.6", strength, "75"),
        (alpha, "0.1", strength, "100"),
    ):
        box.fill(value)
        box.press("Enter")
        expect(other).to_have_value(answer)


def test_upload_both_run_and_download(page: Page, tmp_path: Path) -> None:
    photo, style, _, _ = examples.first_sight()
    for kind, path in (("photo", photo), ("style", style)):
        page.locator(f"#{kind}-input [aria-label='Remove Image']").click()
        page.locator(f"#{kind}-input input[type=file]").set_input_files(path)
        expect(page.locator(f"#{kind}-input img")).to_be_visible()
    choose_size(page, 128, "balanced")  # long enough for three frames
    page.locator("#stylise-button").click()
    frames = wait_for_frames(page, 3)
    assert len(set(frames)) == 3
    expect(page.locator("#status")).to_contain_text("Finished: 128 x 85 px", timeout=WAIT_MS)
    expect(page.locator("#stylise-button")).to_be_visible()
    picture = download(page, tmp_path)
    picture.load()
    assert (picture.format, picture.size) == ("PNG", (128, 85))


def test_an_upload_that_the_browser_cannot_show_is_shown(page: Page, tmp_path: Path, photo: Image.Image) -> None:
    photo.convert("CMYK").save(tmp_path / "scan.tif")
    page.locator("#photo-input [aria-label='Remove Image']").click()
    page.locator("#photo-input input[type=file]").set_input_files(tmp_path / "scan.tif")
    page.wait_for_function("document.querySelector('#photo-input img')?.naturalWidth === 160")
    assert page.locator("#photo-input img").get_attribute("src").endswith("scan.png")


def test_stop_keeps_the_picture_as_the_result(page: Page, tmp_path: Path) -> None:
    choose_size(page, 512, "balanced")
    page.locator("#stylise-button").click()
    wait_for_frames(page, 3)
    page.locator("#stop-button").click()
    expect(page.locator("#status")).to_contain_text("Stopped", timeout=15_000)
    expect(page.locator("#stylise-button")).to_be_visible()
    page.wait_for_timeout(700)
    kept = picture_source(page)
    page.wait_for_timeout(1500)
    assert picture_source(page) == kept, "frames still come after Stop"
    assert download(page, tmp_path).size == (512, 341)


def test_closing_the_tab_ends_the_run(new_page: Page, counted: CountedRun) -> None:
    choose_size(new_page, 512, "fine")
    new_page.locator("#stylise-button").click()
    wait_for_frames(new_page, 3)
    assert not counted.ended.is_set()
    new_page.close()
    assert counted.ended.wait(WAIT_MS / 1000)
    assert len(counted.events) < counted.events[0].steps / 2, "the run went on although its visitor had left"


def brush(page: Page, editor: str, layer: str) -> None:
    """Make a stroke in an editor, until the painted layer has arrived."""
    canvas = page.locator(f"{editor} canvas").first
    canvas.scroll_into_view_if_needed()
    deadline = time.monotonic() + WAIT_MS / 1000
    while not page.locator(f"{layer} img").count():  # the canvas takes a moment before it can be brushed
        assert time.monotonic() < deadline, "no stroke has arrived"
        box = canvas.bounding_box()
        left, middle = box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"]
        page.mouse.move(left, middle)
        page.mouse.down()
        page.mouse.move(left + 0.1 * box["width"], middle, steps=4)
        page.mouse.up()
        with contextlib.suppress(TookTooLongError):
            page.wait_for_selector(f"{layer} img", timeout=4000)


def test_brushes_say_where_and_what_counts_as_style(new_page: Page, tmp_path: Path) -> None:
    """The rest of the photo stays as it is. What is brushed on a style picture is forgotten with it."""
    page = new_page
    choose_size(page, 192)
    unfold(page, "style-parts")
    page.locator("#show-recurring").click()
    brush(page, "#recurring", "#brushed-style")
    unfold(page, "places")
    page.locator("#brush-photo").click()
    brush(page, "#brush", "#painted-layer")
    photo = Image.open(examples.first_sight()[0]).convert("RGB").resize((192, 128), Image.Resampling.LANCZOS)
    uploads: list[str] = []
    page.on("request", lambda request: uploads.append(request.url) if "/upload" in request.url else None)
    for _ in range(2):  # the mask is kept for a second run
        stylise(page)
        away = np.abs(pixels(page) - np.asarray(photo)).mean(axis=-1)
        assert away[:, 120:].mean() < 4, "the photo, as JPEG keeps it"
        assert away[60:68, 50:65].mean() > 12
    assert uploads == [], "an editor sends its pictures at each message of a run"
    assert {"mask 1", "style mask 1"} <= recipe.read(download(page, tmp_path)).inputs.keys()
    page.get_by_role("button", name="woodcut").first.click()
    expect(page.locator("#brushed-style img")).to_have_count(0)


def test_colours_and_file_format_change_after_the_run(page: Page, tmp_path: Path) -> None:
    choose_size(page, 128)
    stylise(page)
    painted = pixels(page)
    unfold(page, "colour")
    before = picture_source(page)
    page.get_by_label("Colours", exact=True).click()
    page.get_by_role("option", name="luminance").click()
    expect(page.locator("#picture img")).not_to_have_attribute("src", before, timeout=2000)
    changed = pixels(page)
    luma = np.array([0.299, 0.587, 0.114])
    assert np.abs((changed - painted) @ luma).mean() < 2
    assert np.abs(changed - painted).mean() > 5
    before = picture_source(page)
    amount = page.get_by_label("number input for Amount")
    amount.fill("0")
    amount.press("Enter")
    expect(page.locator("#picture img")).not_to_have_attribute("src", before, timeout=2000)
    assert np.abs(pixels(page) - painted).mean() < 1
    amount.fill("1")
    for name, format in (("WebP", "WEBP"), ("JPEG", "JPEG"), ("PNG", "PNG")):
        page.get_by_label("File format").click()
        page.get_by_role("option", name=name, exact=True).click()
        page.wait_for_timeout(700)
        assert download(page, tmp_path).format == format


def test_texture_and_content_alone_are_one_click(page: Page) -> None:
    choose_size(page, 128)
    for button, cost in (("texture", "style"), ("rebuild", "content")):
        page.locator(f"#{button}").click()
        expect(page.locator("#stop-button")).to_be_visible(timeout=WAIT_MS)
        expect(page.locator("#status")).to_contain_text("Finished", timeout=WAIT_MS)
        alpha = page.get_by_label("number input for alpha: content").input_value()
        beta = page.get_by_label("number input for beta: style").input_value()
        assert (alpha == "0", beta == "0") == (cost == "style", cost == "content")


def test_curve_compare_time_lapse_continue_and_bigger_follow_a_run(page: Page) -> None:
    choose_size(page, 128)
    stylise(page)
    lines = page.locator("#curve g.plot_marks path[stroke]")  # without the marks of the levels
    expect(lines).to_have_count(8)
    points = [line.get_attribute("d").count("L") + 1 for line in lines.all()]
    assert min(points) >= sum(QUALITIES["draft"])  # such a small picture has one level, with all of them
    for series in ("total J", "content", "style", "relu1_1", "relu5_1"):
        expect(page.locator("#series label", has_text=series).first).to_be_visible()
    page.get_by_role("tab", name="Compare").click()
    before, after = page.locator("#compare img").all()[:2]
    assert before.get_attribute("src") != after.get_attribute("src")
    page.get_by_role("tab", name="Time-lapse").click()
    expect(page.locator("#film img")).to_be_visible()
    expect(page.locator("#film-download")).to_be_enabled()
    page.get_by_role("tab", name="Picture").click()
    for button, size in (("go-on", "128 x 85 px"), ("bigger", "256 x 170 px")):
        page.locator(f"#{button}").click()
        expect(page.locator("#stop-button")).to_be_visible(timeout=WAIT_MS)
        expect(page.locator("#status")).to_contain_text(f"Finished: {size}", timeout=WAIT_MS)


def test_dropping_our_png_sets_the_controls(page: Page, tmp_path: Path) -> None:
    choose_size(page, 128)
    fill(page, "beta: style", "31.6")
    stylise(page)
    download(page, tmp_path)
    choose_size(page, 160)
    page.locator("#presets").get_by_role("button", name="Subtle").click()
    expect(page.get_by_label("number input for beta: style")).to_have_value("3", timeout=WAIT_MS)
    unfold(page, "recipe")
    page.locator("#recipe input[type=file]").set_input_files(tmp_path / "chelsea_impasto.png")
    finished(page, "Settings restored")
    expect(page.get_by_label("number input for beta: style")).to_have_value("31.6")
    expect(page.get_by_label("number input for Strength")).to_have_value("75")
    expect(page.get_by_label("number input for Size")).to_have_value("128")


def test_any_layer_takes_part_once_it_has_a_number_in_the_table(
    new_page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, asked = new_page, []
    real_events = handlers.stylise_events

    def noted(*arguments: object, **options: object) -> Iterator[object]:
        asked.append(arguments[2])
        return real_events(*arguments, **options)

    monkeypatch.setattr(handlers, "stylise_events", noted)
    choose_size(page, 128)
    unfold(page, "more-layers")
    cell = page.locator("#more-layers [data-row='2'][data-col='1']").last
    cell.scroll_into_view_if_needed()
    cell.dblclick()
    expect(cell.locator("input, textarea")).to_be_focused()
    page.keyboard.type("0.5")
    page.keyboard.press("Enter")
    expect(cell).to_contain_text("0.5")
    page.locator("#stylise-button").click()
    expect(page.locator("#status")).to_contain_text("Finished", timeout=WAIT_MS)
    assert asked[0].style_layers["relu1_2"] == 0.5


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


def test_the_page_loads_nothing_from_elsewhere(kept: KeptPage, page: Page, address: str) -> None:
    """Nor has it for any test before this one."""
    stylise(page)
    assert kept.hosts - {""} == {address.split("/")[2]}
