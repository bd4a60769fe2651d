"""A walk through the tab "What is style?" in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from nst.explain import layer_studies
from tests.browsing import WAIT_MS


def test_a_walk_through_the_tab(page: Page) -> None:
    page.get_by_role("tab", name="What is style?").click()
    plot = page.locator("#matrix .js-plotly-plot .heatmaplayer image, #matrix .js-plotly-plot .heatmaplayer .hm")
    expect(plot.first).to_be_attached(timeout=WAIT_MS)
    expect(page.locator("#product img")).to_be_visible(timeout=WAIT_MS)
    expect(page.locator("#matrix-words")).to_contain_text("x 256 channels")
    page.wait_for_timeout(800)
    cells = page.locator("#matrix .nsewdrag").first.bounding_box()
    page.mouse.move(cells["x"] + 99, cells["y"] + 60)
    page.wait_for_timeout(300)
    page.mouse.move(cells["x"] + 100, cells["y"] + 60)
    hover = page.locator("#matrix .hoverlayer")
    expect(hover).to_contain_text("k = ", timeout=5000)
    k = re.search(r"k = (\d+), k' = \d", hover.text_content())[1]
    page.mouse.down()
    page.mouse.up()
    expect(page.get_by_label("Channel k", exact=True)).to_have_value(k)
    expect(page.locator("#entry")).to_contain_text(f"the entry ({k}, ", timeout=WAIT_MS)
    expect(page.locator("#relation")).to_contain_text(k)

    page.locator("#look-kind").get_by_text("correlation").click()
    expect(page.locator("#matrix-words")).to_contain_text("from -1 to 1", timeout=WAIT_MS)
    pair = page.locator("#pairs label").nth(2)
    expect(pair).to_be_visible(timeout=WAIT_MS)
    name = pair.inner_text()
    pair.click()
    expect(page.get_by_label("Channel k", exact=True)).to_have_value(name.split(" and ")[0], timeout=WAIT_MS)
    page.locator("#look-at").get_by_text("Photo").click()
    expect(page.locator("#matrix-words")).to_contain_text("63 x 96 positions", timeout=WAIT_MS)

    page.locator("#compare-matrices").click()
    expect(page.locator("#bars .js-plotly-plot .barlayer .point").first).to_be_attached(timeout=WAIT_MS)
    expect(page.locator("#compare-words")).to_contain_text("% of the way")
    expect(page.locator("#textures img")).to_have_count(5)
    expect(page.locator("#contents img")).to_have_count(5)
    for name in ("textures", "contents"):
        assert page.locator(f"#{name} .caption-label").all_inner_texts()[0].startswith("relu1_")


def test_one_lambda_at_a_time_is_painted_for_the_current_pair(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = layer_studies.playground_settings
    monkeypatch.setattr(layer_studies, "playground_settings", lambda layer: replace(usual(layer), size=96, steps=6))
    page.get_by_role("tab", name="What is style?").click()
    page.locator("#paint-playground").click()
    expect(page.locator("#playground img")).to_have_count(3, timeout=WAIT_MS)
    expect(page.locator("#stop-playground")).to_be_visible()
    expect(page.locator("#playground-status")).to_contain_text("5 pictures, one layer each", timeout=WAIT_MS)
    expect(page.locator("#paint-playground")).to_be_enabled()
    sources = [image.get_attribute("src") for image in page.locator("#playground img").all()]
    assert len(set(sources)) == 5
