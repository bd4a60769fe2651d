"""What a visitor sees, in a real browser, when the gate refuses a click."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from nst.ui.server.visitors import Windows


def test_a_refused_click_says_why_and_gives_the_button_back(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Windows, "wait_s", lambda _, allowed, *__: 41.2 * any("runs of" in name for name in allowed))
    page.locator("#stylise-button").click()
    message = page.get_by_text("Please wait 42 s and try again.")
    expect(message).to_be_visible()
    expect(page.locator("#status")).to_contain_text("Not started.")
    expect(page.locator("#stylise-button")).to_be_visible()
    expect(page.locator("#stop-button")).to_be_hidden()
