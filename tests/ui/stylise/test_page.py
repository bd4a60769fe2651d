"""Comforts of the page, in a real browser: presets, forecast, options, this visit's pictures, links, access for all."""

from __future__ import annotations

import csv
import re
import threading
import time
import zipfile
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from nst import Event, grid, recipe
from nst.settings import Settings
from nst.ui.stylise import expected_time
from nst.ui.stylise.curve import SERIES_COLOURS, SHOWN_AT_FIRST
from nst.ui.stylise.presets import PRESETS
from tests.browsing import PANELS, WAIT_MS, choose_size, fill, finished, picture_source, serious, stylise, unfold, visit

SOON_MS = 2000  # for handlers that do not compute


def value(page: Page, label: str) -> str:
    return page.get_by_label(f"number input for {label}").input_value()


def test_hovering_over_the_chart_tells_values(page: Page) -> None:
    box = page.locator("#curve g.plot_marks").first.bounding_box()
    for share in (0.3, 0.4, 0.5):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 0.5 * box["height"])
        page.wait_for_timeout(200)
    tooltip = page.locator("#vg-tooltip-element, .vg-tooltip").first
    expect(tooltip).to_contain_text("step", timeout=SOON_MS)
    expect(tooltip).to_contain_text("cost (log10)")
    assert re.search(r"-?\d+\.\d{4}", tooltip.inner_text()) is None, "no more digits than one can read"


def test_a_preset_is_a_card_with_a_picture_that_sets_the_controls(page: Page) -> None:
    for name, strength, beta in (("Bold", "85", "50"), ("Subtle", "24", "3"), ("Classic", "50", "10")):
        card = page.locator("#presets").get_by_role("button", name=name)
        expect(card.locator("img")).to_have_js_property("complete", True, timeout=WAIT_MS)
        assert card.locator("img").evaluate("img => img.naturalWidth") > 100
        card.click()
        expect(page.get_by_label("number input for Strength")).to_have_value(strength)
        expect(page.get_by_label("number input for beta: style")).to_have_value(beta)
    page.locator("#presets").get_by_role("button", name="Texture only").click()
    expect(page.get_by_label("number input for alpha: content")).to_have_value("0")
    page.locator("#presets").get_by_role("button", name="Classic").click()
    expect(page.get_by_label("number input for alpha: content")).to_have_value("1")
    assert page.locator("#presets button").count() == len(PRESETS)


def test_the_time_is_told_before_the_click_with_a_size_that_fits_the_budget(page: Page) -> None:
    expected = page.locator("#expected")
    expect(expected).to_contain_text("About", timeout=WAIT_MS)
    choose_size(page, 128)  # a draft: its forecast is in seconds even where a balanced picture takes minutes
    forecasts, gigabytes = [], []
    for size in ("256", "512", "1024"):
        before = expected.inner_text()
        fill(page, "Size", size)
        expect(expected).not_to_have_text(before, timeout=WAIT_MS)
        page.wait_for_timeout(500)
        number, unit = re.search(r"About (\d+) (s|min)", expected.inner_text()).groups()
        forecasts.append(int(number) * {"s": 1, "min": 60}[unit])
        gigabytes.append(float(re.search(r"([\d.]+) GB", expected.inner_text())[1]))
    assert 2 < forecasts[1] / forecasts[0] < 8
    assert 2 < forecasts[2] / forecasts[1] < 8
    assert gigabytes == sorted(set(gigabytes))
    page.locator("#size").get_by_label("balanced").check()
    fill(page, "Size", "2048")
    fill(page, "Time limit", "60")
    expect(expected).to_contain_text(re.compile(r"but it is stopped after 60 s: choose \d+ px"), timeout=WAIT_MS)
    fitting = int(re.search(r"choose (\d+) px", expected.inner_text())[1])
    assert 128 <= fitting < 2048
    fill(page, "Size", str(fitting))
    expect(expected).not_to_contain_text("stopped", timeout=WAIT_MS)
    fill(page, "Time limit", "0")


def test_a_change_while_the_page_opens_has_the_last_word(
    tab: Page, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The forecast for the values at the opening of the page arrives late."""
    usual, asked = expected_time.settings_of, []

    def slow_at_first(given: dict, **options: object) -> Settings:
        asked.append(given["size"])
        time.sleep(2.5 if len(asked) == 1 else 0)
        return usual(given, **options)

    monkeypatch.setattr(expected_time, "settings_of", slow_at_first)
    visit(tab, address)
    choose_size(tab, 2048, "balanced")
    fill(tab, "Time limit", "60")
    expect(tab.locator("#expected")).to_contain_text("stopped after 60 s", timeout=WAIT_MS)
    tab.wait_for_timeout(3000)  # all answers have arrived
    expect(tab.locator("#expected")).to_contain_text("stopped after 60 s")
    assert asked[0] == Settings().size
    assert asked[-1] == 2048


def test_the_time_left_is_told_in_the_status_alone(page: Page, unhurried: None) -> None:
    choose_size(page, 128, "balanced")
    expect(page.locator("#expected")).to_contain_text("About", timeout=WAIT_MS)
    page.locator("#stylise-button").click()
    expect(page.locator("#status")).to_contain_text("left", timeout=WAIT_MS)
    assert "left" not in page.locator("#expected").inner_text()
    finished(page)
    assert "left" not in page.locator("#status").inner_text()


@pytest.fixture
def slow_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells of a grid take 1 s at least, so that each is seen before the next, in a slow browser too."""
    usual = grid.stylise_events

    def slow(*arguments: object, **options: object) -> Iterator[Event]:
        time.sleep(1)
        yield from usual(*arguments, **options)

    monkeypatch.setattr(grid, "stylise_events", slow)


def show_options(page: Page, across: str = "20, 85", down: str = "0.6, 1.5") -> None:
    page.get_by_role("tab", name="Options").click()
    fill(page, "Longer side, px", "96")
    page.get_by_label("Values across").fill(across)
    page.get_by_label("Values down").fill(down)
    page.locator("#show-options").click()


@pytest.mark.usefixtures("slow_grid")
def test_options_appear_one_by_one_and_a_click_takes_their_settings(page: Page) -> None:
    show_options(page)
    pictures = page.locator("#options button img")
    counts = set()
    deadline = time.monotonic() + 3 * WAIT_MS / 1000
    while "options in" not in page.locator("#status").inner_text() and time.monotonic() < deadline:
        counts.add(pictures.count())
        page.wait_for_timeout(100)
    assert counts >= {2, 3}, "each is seen before the next is there"
    assert len({picture.get_attribute("src") for picture in pictures.all()}) == 4
    assert page.locator("#options th").all_inner_texts() == [
        *("Strength 20", "Strength 85", "Stroke size 0.6", "Stroke size 1.5")
    ]
    with page.expect_download() as started:
        page.locator("#options-file").click()
    with Image.open(started.value.path()) as sheet:
        assert sheet.text["Grid"] == "--across beta=2.5,50.1 --down style_scale=0.6,1.5"
        assert recipe.read(sheet).settings.beta == 2.5
    page.locator("#options button").nth(1).click()
    finished(page, "Taken: Strength 85, Stroke size 0.6")
    assert (value(page, "Strength"), value(page, "beta: style")) == ("85", "50.1")
    unfold(page, "size")
    expect(page.get_by_label("number input for Stroke size")).to_have_value("0.6")


@pytest.mark.usefixtures("slow_grid")
def test_options_can_be_stopped_and_those_painted_stay(page: Page) -> None:
    show_options(page, "20, 45, 65, 85")
    expect(page.locator("#options th", has_text="Strength 65")).to_be_visible(timeout=WAIT_MS)  # not an earlier grid
    expect(page.locator("#options button").nth(1)).to_be_visible(timeout=WAIT_MS)
    page.locator("#stop-options").click()
    finished(page, "Stopped.")
    expect(page.locator("#show-options")).to_be_enabled()
    count = page.locator("#options button").count()
    page.wait_for_timeout(2500)
    assert page.locator("#options button").count() == count
    assert 2 <= count < 8


def test_a_grid_that_is_none_is_refused_with_a_sentence(page: Page) -> None:
    page.get_by_role("tab", name="Options").click()
    page.get_by_label("Values across").fill("20, 200")
    expect(page.locator("#options-expected")).to_contain_text("outside 0 to 100", timeout=WAIT_MS)
    page.get_by_label("Values across").fill("20, 40")
    expect(page.locator("#options-expected")).to_contain_text("4 pictures, about", timeout=WAIT_MS)


def test_series_are_switched_off_and_on_in_the_chart(page: Page) -> None:
    lines = page.locator("#curve g.plot_marks path[stroke]")
    expect(lines).to_have_count(len(SERIES_COLOURS))
    content = page.locator(f"#curve g.plot_marks path[stroke='{SERIES_COLOURS['content']}']")
    expect(content).to_be_visible()
    switch = page.locator("#series input[name='content']")
    switch.uncheck()
    expect(content).to_be_hidden()
    assert sum(line.is_visible() for line in lines.all()) == len(SHOWN_AT_FIRST) - 1
    page.locator("#series input[name='relu1_1']").check()
    assert sum(line.is_visible() for line in lines.all()) == len(SHOWN_AT_FIRST)
    choose_size(page, 128)
    stylise(page)  # a new curve keeps the choice
    expect(content).to_be_hidden()
    expect(page.locator("#curve .levels span").last).to_have_text("128 px")
    switch.check()
    expect(content).to_be_visible()
    page.locator("#series input[name='relu1_1']").uncheck()


def test_pictures_of_the_visit_come_back_with_their_settings(new_page: Page) -> None:
    page = new_page
    expect(page.locator("#visit")).to_have_count(0)
    choose_size(page, 128)
    sources = []
    for beta in ("31.6", "3"):
        fill(page, "beta: style", beta)
        stylise(page)
        expect(page.locator("#visit .thumbnail-item")).to_have_count(len(sources) + 1, timeout=WAIT_MS)
        sources.append(picture_source(page))
    page.locator("#visit .thumbnail-item").last.click()
    finished(page, "An earlier picture of this visit")
    assert value(page, "beta: style") == "31.6"
    assert picture_source(page) not in ("", sources[1])
    expect(page.locator("#go-on")).to_be_enabled()
    captions = page.locator("#visit .caption-label").all_inner_texts()
    assert captions == ["impasto, beta 3, size 128, quality draft", "impasto, beta 31.6, size 128, quality draft"]
    page.get_by_role("tab", name="Compare").click()
    page.get_by_label("Left", exact=True).click()
    page.get_by_role("option").last.click()
    expect(page.locator("#differences")).to_contain_text("beta", timeout=SOON_MS)
    assert re.search(r"beta\s+3\s+31.6", page.locator("#differences").inner_text())
    with page.expect_download() as started:
        page.locator("#zip-all").click()
    with zipfile.ZipFile(started.value.path()) as archive:
        assert archive.namelist() == [*("01_chelsea_impasto.png", "02_chelsea_impasto.png"), "settings_and_costs.csv"]
        rows = list(csv.DictReader(archive.read("settings_and_costs.csv").decode().splitlines()))
    assert [row["beta"] for row in rows] == ["31.6", "3"]
    assert float(rows[0]["style cost"]) > 0
    page.get_by_role("tab", name="Picture").click()
    page.locator("#print").click()
    page.locator("#print-side input").fill("2")
    expect(page.locator("#print-plan")).to_contain_text("2 cm at 300 dpi are 236 px: about", timeout=WAIT_MS)
    page.locator("#paint-print").click()
    finished(page, "Finished: 236 x 157 px")
    expect(page.locator("#visit .thumbnail-item")).to_have_count(3, timeout=WAIT_MS)
    with page.expect_download() as started:
        page.locator("#download").click()
    assert started.value.suggested_filename == "chelsea_impasto.png"
    with Image.open(started.value.path()) as picture:
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.01)


def test_a_link_with_the_settings_is_made_and_works(page: Page, tab: Page) -> None:
    fill(page, "Strength", "75")
    fill(page, "lambda relu5_1", "0.6")
    unfold(page, "recipe")
    page.locator("#make-link").click()
    link = page.locator("#link").locator("textarea, input").first
    expect(link).to_have_value(re.compile("relu5_1"), timeout=SOON_MS)
    assert page.url == link.input_value()
    visit(tab, f"{link.input_value()}&size=99999")
    finished(tab, "Settings taken from the address. size in the address is ignored")
    expect(tab.get_by_label("number input for Strength")).to_have_value("75")
    expect(tab.get_by_label("number input for beta: style")).to_have_value("31.6")
    expect(tab.get_by_label("number input for lambda relu5_1")).to_have_value("0.6")


def test_strength_in_the_address_sets_beta_and_layers_that_are_not_named_are_left_out(tab: Page, address: str) -> None:
    visit(tab, f"{address}?strength=75&style_layers=relu1_1:0.7")
    expect(tab.get_by_label("number input for beta: style")).to_have_value("31.6", timeout=WAIT_MS)
    expect(tab.get_by_label("number input for Strength")).to_have_value("75")
    expect(tab.get_by_label("number input for lambda relu1_1")).to_have_value("0.7")
    expect(tab.get_by_label("number input for lambda relu2_1")).to_have_value("0")


def test_a_run_by_keyboard_alone(page: Page) -> None:
    choose_size(page, 512, "fine")  # a long run
    page.locator("body").click(position={"x": 1, "y": 1})
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        here = page.evaluate("() => document.activeElement.id || document.activeElement.innerText")
        reached.append(here)
        if here == "coffee":
            page.keyboard.press("Enter")
        if here == "Bold":
            page.keyboard.press("Space")
        if here == "stylise-button":
            break
    assert reached[-1] == "stylise-button"
    order = [name for name in reached if name in ("coffee", "impasto", "Subtle", "Bold")]
    assert order == ["coffee", "impasto", "Subtle", "Bold"]
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle + getComputedStyle("
                            "document.activeElement).boxShadow")  # fmt: skip
    assert outline != "nonenone", "one sees where one is"
    expect(page.get_by_label("number input for Strength")).to_have_value("85")
    page.keyboard.press("Enter")
    expect(page.locator("#stop-button")).to_be_focused(timeout=WAIT_MS)
    expect(page.locator("#status")).to_contain_text("step", timeout=WAIT_MS)
    page.keyboard.press("Enter")
    finished(page, "Stopped")
    expect(page.locator("#stylise-button")).to_be_focused(timeout=WAIT_MS)


def test_axe_finds_nothing_serious_while_and_after_it_paints(page: Page, held: threading.Event) -> None:
    choose_size(page, 128)
    for panel in (*PANELS, "more-layers"):
        unfold(page, panel)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.locator("#stylise-button").click()
    expect(page.locator("#stop-button")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator("#status")).to_contain_text("step", timeout=WAIT_MS)
    assert serious(page) == []
    held.set()
    finished(page)
    expect(page.locator("#stylise-button")).to_be_visible(timeout=WAIT_MS)
    page.emulate_media(color_scheme="dark")
    expect(page.locator("body.dark")).to_have_count(1)
    assert serious(page) == []
    without = page.evaluate("() => [...document.images].filter(i => !i.alt.trim()).map(i => i.outerHTML.slice(0, 120))")
    assert without == []
    for tab in ("Compare", "Time-lapse", "Options"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(500)
        assert serious(page, "#views") == [], tab


def test_who_wants_nothing_to_move_sees_stills(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    choose_size(page, 128)
    stylise(page)
    page.get_by_role("tab", name="Time-lapse").click()
    expect(page.locator("#film img")).to_have_attribute("src", re.compile("stills"), timeout=WAIT_MS)
    width, height = page.locator("#film img").evaluate("i => i.decode().then(() => [i.naturalWidth, i.naturalHeight])")
    assert width == pytest.approx(4 * 1.5 * height, rel=0.05), "four pictures side by side"
    longest_s = page.evaluate(
        "() => Math.max(...document.getAnimations().map(a => a.effect.getComputedTiming().activeDuration || 0), 0)"
    )
    assert longest_s < 100


def test_a_slow_connection_skips_stale_frames_and_ends_with_the_last(page: Page) -> None:
    choose_size(page, 384, "balanced")
    page.wait_for_timeout(1500)
    slow = {"offline": False, "latency": 150, "downloadThroughput": 20_000, "uploadThroughput": 60_000}
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url) if request.url.endswith("image.jpeg") else None)
    loaded: set[str] = set()
    page.on("requestfinished", lambda request: loaded.add(request.url) if request.url in asked else None)
    page.locator("#stylise-button").click()
    expect(page.locator("#stop-button")).to_be_visible(timeout=WAIT_MS)
    finished(page)
    last = picture_source(page)
    page.wait_for_function(
        "src => { const i = document.querySelector('#picture img'); return i.currentSrc === src && i.complete; }",
        arg=last,
        timeout=6000,
    )
    page.wait_for_timeout(200)
    network.detach()  # which ends the emulation
    assert last in loaded
    assert 2 <= len(loaded) < len(asked)
