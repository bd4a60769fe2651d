"""The colours of a file are those that a browser shows."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from tests.images.test_colour_spaces import CODE_POINTS, DECLARED, HDR, TOLERANCE, container, declaring, loaded

DRAWN = """addresses => Promise.all(addresses.map(async address => {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const bytes = context.getImageData(0, 0, canvas.width, canvas.height).data;
    return [canvas.height, canvas.width, btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""))];
}))"""
AVIF = {str(points): declaring(container("avif"), *points) for points in (*CODE_POINTS, *HDR)}


@pytest.fixture(scope="module")
def shown(browser) -> dict[str, np.ndarray]:
    """Name of a file -> its RGB as Chromium draws it on a canvas, (H, W, 3)."""
    files = {name: ("image/png", content) for name, content in DECLARED.items()}
    files |= {name: ("image/avif", content) for name, content in AVIF.items()}
    addresses = [f"data:{mime};base64,{base64.b64encode(content).decode()}" for mime, content in files.values()]
    page = browser.new_page()
    drawn = page.evaluate(DRAWN, addresses)
    page.close()
    pixels = [
        np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4) for height, width, text in drawn
    ]
    return {name: shown[..., :3].astype(int) for name, shown in zip(files, pixels, strict=True)}


@pytest.mark.parametrize("name", DECLARED)
def test_a_png_is_read_as_chromium_shows_it(name: str, shown: dict[str, np.ndarray]) -> None:
    assert np.abs(loaded(DECLARED[name]) - shown[name]).max() <= TOLERANCE


@pytest.mark.parametrize("points", AVIF)
def test_an_avif_is_read_as_chromium_shows_it(points: str, shown: dict[str, np.ndarray]) -> None:
    assert np.abs(loaded(AVIF[points]) - shown[points]).max() <= TOLERANCE
