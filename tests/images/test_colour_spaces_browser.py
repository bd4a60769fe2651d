"""The colours of a file are those that a browser shows."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.images.test_colour_spaces import CODE_POINTS, DECLARED, HDR, TOLERANCE, container, declaring, loaded

DRAWN = """async ([address]) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const bytes = context.getImageData(0, 0, canvas.width, canvas.height).data;
    return [canvas.height, canvas.width, Array.from(bytes)];
}"""


@pytest.fixture(scope="module")
def shown(browser) -> Iterator[Callable[[bytes, str], np.ndarray]]:
    """A file -> its RGB as Chromium draws it on a canvas, (H, W, 3)."""
    page = browser.new_page()

    def draw(content: bytes, mime: str) -> np.ndarray:
        address = f"data:{mime};base64,{base64.b64encode(content).decode()}"
        height, width, values = page.evaluate(DRAWN, [address])
        return np.array(values).reshape(height, width, 4)[..., :3]

    yield draw
    page.close()


@pytest.mark.parametrize("name", DECLARED)
def test_a_png_is_read_as_chromium_shows_it(name: str, shown: Callable[[bytes, str], np.ndarray]) -> None:
    assert np.abs(loaded(DECLARED[name]) - shown(DECLARED[name], "image/png")).max() <= TOLERANCE


@pytest.mark.parametrize("points", [*CODE_POINTS, *HDR], ids=str)
def test_an_avif_is_read_as_chromium_shows_it(
    points: tuple[int, int], shown: Callable[[bytes, str], np.ndarray]
) -> None:
    content = declaring(container("avif"), *points)
    assert np.abs(loaded(content) - shown(content, "image/avif")).max() <= TOLERANCE
