"""Take the screenshots in `examples/screenshots/`: the page wide, on a phone and dark, while it paints, and its tabs.

`python examples/make_screenshots.py` from the top folder, with tests/requirements.txt and Chromium; a minute or two.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from nst.ui import build, launch_options  # noqa: E402 (the folder above is not installed)

FOLDER = HERE / "screenshots"
WIDE, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
FRAMES = 5
MOST_MS = 300_000


@contextmanager
def page_of(browser: Browser, address: str, size: dict[str, int], scheme: str = "light") -> Iterator[Page]:
    context = browser.new_context(viewport=size, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(MOST_MS)
    page.goto(address)
    page.wait_for_selector("#curve g.plot_marks path")
    page.wait_for_timeout(1500)
    yield page
    context.close()


def save(name: str, shot: bytes | Image.Image) -> None:
    picture = shot if isinstance(shot, Image.Image) else Image.open(io.BytesIO(shot))
    picture.convert("RGB").save(FOLDER / f"{name}.jpg", quality=82)
    print(f"examples/screenshots/{name}.jpg")


def strip_of_a_run(page: Page) -> None:
    """Save frames of a default run side by side; afterwards the page shows the finished picture."""
    shots = [page.screenshot()]
    page.locator("#stylise-button").click()
    for share in range(1, FRAMES - 1):
        page.wait_for_function(
            "share => { const m = /step (\\d+) of (\\d+)/.exec(document.querySelector('#status').innerText);"
            " return m && m[1] / m[2] >= share; }",
            arg=share / (FRAMES - 1),
        )
        shots.append(page.screenshot())
    page.wait_for_function("() => document.querySelector('#status').innerText.includes('Finished')")
    page.wait_for_timeout(1500)
    shots.append(page.screenshot())
    save("wide", shots[-1])
    frames = [Image.open(io.BytesIO(shot)) for shot in shots]
    height = round(frames[0].height * 400 / frames[0].width)
    strip = Image.new("RGB", (404 * FRAMES - 4, height), "white")
    for place, frame in enumerate(frames):
        strip.paste(frame.resize((400, height), Image.Resampling.LANCZOS), (404 * place, 0))
    save("run", strip)


def options(page: Page) -> None:
    page.get_by_role("tab", name="Options").click()
    page.locator("#show-options").click()
    page.wait_for_function("() => document.querySelector('#status').innerText.includes('options in')")
    page.wait_for_timeout(500)
    save("options", page.locator("#outputs").screenshot())


def what_is_style(page: Page) -> None:
    page.get_by_role("tab", name="What is style?").click()
    for step, name in (("matrix", "style_matrix"), ("cost", "style_compared")):
        page.locator(f"#step-{step}-button").click()
        page.wait_for_selector(f"#view-{step} .readout b")
        page.wait_for_timeout(1500)
        save(name, page.screenshot())


def clip(page: Page) -> None:
    page.get_by_role("tab", name="Clip").click()
    page.locator("#clip-example").click()
    page.wait_for_function("() => document.querySelector('#clip-expected').innerText.includes('frames')")
    page.locator("#clip-paint").click()
    page.wait_for_function("() => document.querySelector('#clip-status').innerText.includes('Frame 2 of')")
    page.wait_for_timeout(300)
    save("clip", page.screenshot())


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    served = build()
    _, address, _ = served.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with page_of(browser, address, PHONE) as page:
            save("phone", page.screenshot())
        with page_of(browser, address, WIDE, "dark") as page:
            save("dark", page.screenshot())
        for scene in (strip_of_a_run, options, what_is_style, clip):
            with page_of(browser, address, WIDE) as page:
                scene(page)
        browser.close()
    served.close()


if __name__ == "__main__":
    main()
