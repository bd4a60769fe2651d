"""Shared by all tests: markers by file, a served page, and small seeded pictures (edges, discs, stripes, grain)."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Generator, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as `nst` sets it, which is imported after torch here
if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # "gw0", "gw1": two processes on two cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # else OpenMP's waiting threads slow the other; torch reads it
    # Gradio takes the first free port of a hundred. When two processes take the same one at once, one never starts.
    os.environ["GRADIO_SERVER_PORT"] = str(7860 + 100 * int(worker.removeprefix("gw")))

import hypothesis
import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import BrowserContext, Page, sync_playwright

from nst.features.extractor import kept_kernels
from nst.settings import QUALITIES
from tests.browsing import CHROMIUM, QUIET, WIDE, KeptPage, need_chromium, visit

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # run GPU kernels on the CPU; triton reads it when it is imported
# All tests count as one visitor; a page reads these when it is built.
for name in ("STARTS", "LIVE", "WORK", "UPLOADS", "UPLOAD_MB"):
    os.environ.setdefault(f"NST_{name}_PER_MINUTE", "100000")

# The time of one example is that of the machine. In CI the examples are the same each time.
hypothesis.settings.register_profile("nst", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("nst")

HEIGHT, WIDTH = 120, 160


# Pattern of a file's path in this folder -> marker of its tests: what they need, or that they are slow. The first
# pattern that fits counts; no other place sets these markers. `python -m pytest` runs the files without a marker.
MARKERS = {
    "*_gpu.py": "gpu",
    "images/test_colour_spaces_browser.py": "browser",
    "ui/clip/test_clip_page.py": "browser",
    "ui/explain/test_walk.py": "browser",
    "ui/server/test_refused_click.py": "browser",
    "ui/stylise/test_browser.py": "browser",
    "ui/stylise/test_first_screen.py": "browser",
    "ui/stylise/test_live_page.py": "browser",
    "ui/stylise/test_page.py": "browser",
    "ui/stylise/test_phone.py": "browser",
    "ui/stylise/test_random_visit.py": "browser",
    "ui/server/test_app_process.py": "server",
    "ui/server/test_doors.py": "server",
    "ui/server/test_page_processes.py": "server",
    "ui/server/test_requests.py": "server",
    "ui/stylise/test_cancelling.py": "server",
    "ui/stylise/test_mcp.py": "server",
    "batch/test_batch_processes.py": "process",
    "batch/cluster_tests.py": "process",
    "batch/test_ray_workers.py": "process",
    "images/test_hostile_memory.py": "process",
    "test_install.py": "process",
    "test_malloc.py": "process",
    "test_peak_memory.py": "process",
    "test_programs.py": "process",
    "bench/test_bench.py": "slow",
    "explain/test_entry_picture.py": "slow",
    "explain/test_layer_studies.py": "slow",
    "explain/test_notebook.py": "slow",
    "film/test_film.py": "slow",
    "film/test_painting.py": "slow",
    "film/test_segments.py": "process",
    "objective/test_tiled_costs.py": "slow",
    "test_faults.py": "slow",
    "test_runs_with_masks.py": "slow",
    "test_whole_runs.py": "slow",
}
LONGEST_S = 2.0  # processor time that a test may take if its file has no marker
TOLERANCE = 2.0  # times that limit: other programs on the machine make a test take longer
REFERENCE_S = 0.06  # processor time of `_reference_s` on a quiet core of 90 GFLOP/s
FOLDER = Path(__file__).parent
FAILED = pytest.StashKey[bool]()  # of a test


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Hypothesis makes its table of characters here, in 2 s on a fresh checkout, not in the first test that needs it.
    hypothesis.strategies.text().validate()
    for item in items:
        _mark(item, _marker_of(item.path))


@cache
def _marker_of(file: Path) -> str | None:
    name = file.relative_to(FOLDER).as_posix()
    return next((marker for pattern, marker in MARKERS.items() if fnmatch(name, pattern)), None)


def _mark(item: pytest.Item, marker: str | None) -> None:
    if marker:
        item.add_marker(marker)
    if marker == "browser":
        item.add_marker(pytest.mark.flaky(reruns=1))
    if marker == "gpu" and not torch.cuda.is_available():
        item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """In CI, fail a test that takes long although its file has no marker.

    The limit is on the processor time of this process, without its fixtures, compared with that of a fixed piece of
    work just after the test: a core that it shares with other programs, or a slow one, does both more slowly.
    """
    began_s = time.process_time()
    try:
        outcome = yield
    except BaseException:
        item.stash[FAILED] = True
        raise
    took_s = time.process_time() - began_s
    if not os.environ.get("CI") or _marker_of(item.path) is not None or took_s <= TOLERANCE * LONGEST_S:
        return outcome
    took_s /= max(1.0, _reference_s() / REFERENCE_S)
    if took_s > TOLERANCE * LONGEST_S:
        pytest.fail(
            f"the test computed for {took_s:.1f} s, over the limit of {LONGEST_S:.0f} s for a file without a marker; "
            "make it smaller, share its runs in a fixture, or move it to a file that MARKERS in tests/conftest.py "
            "calls slow (processor time of the test's process, without its fixtures)",
            pytrace=False,
        )
    return outcome


def _reference_s() -> float:
    """Processor time of twenty products of matrices of side 512."""
    matrix = torch.ones(512, 512)
    began_s = time.process_time()
    for _ in range(20):
        matrix @ matrix
    return time.process_time() - began_s


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page that is served for the tests of the API and the browser."""
    from nst import estimate
    from nst.ui import build, launch_options  # imported here, because tests of the engine do not need gradio
    from nst.ui.stylise import live

    live.EXPECTED_S = 0.0  # the page opens without Live
    estimate.STEADY = math.inf  # the pace is measured once, even while a browser opens the page

    # As in `app.py`, each server has its own folder: a server deletes its files when it ends, and two servers give the
    # same picture the same name.
    os.environ["GRADIO_TEMP_DIR"] = str(tmp_path_factory.mktemp("gradio"))
    page = build()
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    yield url
    page.close()


@pytest.fixture(autouse=True)
def short_runs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In tests that use `address`, runs take a tenth of their steps: these tests do not judge the pictures."""
    if "address" in request.fixturenames:
        from nst import grid

        monkeypatch.setitem(QUALITIES, "draft", (2, 1, 1))
        monkeypatch.setitem(QUALITIES, "balanced", (4, 3, 2))
        monkeypatch.setattr(grid, "STEPS_OF_ONE_LEVEL", 2)


@pytest.fixture
def fresh_kernels() -> Iterator[None]:
    """For a test that changes how kernels are made, or from which weights: empties their cache before and after it."""
    kept_kernels.clear()
    yield
    kept_kernels.clear()


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Debian's Chromium."""
    need_chromium()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def window(browser) -> Iterator[BrowserContext]:
    """A wide window. Its tabs share a cache, which halves the time to open the page again."""
    context = browser.new_context(viewport=WIDE)
    yield context
    context.close()


@pytest.fixture
def tab(window: BrowserContext) -> Iterator[Page]:
    """A new empty tab."""
    tab = window.new_page()
    yield tab
    tab.close()


@pytest.fixture
def new_page(tab: Page, address: str) -> Page:
    """Our page in a new tab, for tests of its first moments and of a visit from its beginning."""
    visit(tab, address)
    return tab


@pytest.fixture(scope="module")
def opened(window: BrowserContext, address: str) -> Iterator[Page]:
    """Our page, opened once for a file's tests of another tab: in the shared one, two controls would have one name."""
    page = window.new_page()
    visit(page, address)
    yield page
    page.close()


@pytest.fixture(scope="session")
def kept(window: BrowserContext, address: str) -> Iterator[KeptPage]:
    """Our page, which the tests of a process share: to open it takes longer than most of what they do."""
    kept = KeptPage(window, address)
    yield kept
    kept.close()


@pytest.fixture
def page(request: pytest.FixtureRequest, kept: KeptPage) -> Iterator[Page]:
    """The shared page, back at the pictures and settings of its first sight; a new one after a test that failed."""
    yield kept.start_over()
    if request.node.stash.get(FAILED, False):
        kept.close()


@pytest.fixture
def folder(tmp_path: Path, photo: Image.Image, style: Image.Image, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with photo.png and style.png."""
    photo.save(tmp_path / "photo.png")
    style.save(tmp_path / "style.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """Clouds in a fading sky, a sun, a brick house with a roof, a door and windows, and grass."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    cloud, grain = (_noise(seed, power) for seed, power in ((1, 1.6), (2, 0.3)))
    picture = np.stack([90 + y, 140 + 0.5 * y, 230 - 0.4 * y], axis=-1) + 45 * cloud.clip(0, 2)
    picture[np.hypot(x - 128, y - 26) < 15] = 250, 220, 90
    roof = (abs(x - 60) < y - 22) & (y < 55)
    picture[roof] = (90, 70, 75) + 40 * (y[roof] % 6 < 2)[:, None]
    house = (abs(x - 60) < 30) & (y >= 55) & (y < 100)
    mortar = (y % 7 == 0) | ((x + 4 * (y // 7)) % 12 == 0)
    picture[house] = (160, 70, 50) + 80 * mortar[house][:, None]
    picture[70:100, 52:64] = 40, 30, 35
    for left in (36, 72):
        picture[66:80, left : left + 12] = 200, 225, 240
        picture[72:74, left : left + 12] = picture[66:80, left + 5 : left + 7] = 30
    picture[100:] = (60, 120, 40) + 30 * grain[100:]
    return _picture(picture + 6 * grain)


@pytest.fixture(scope="session")
def style() -> Image.Image:
    """Brush strokes along a diagonal flow: bands in four colours under bristle marks, with dark dabs between."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    across = x + y + 6 * np.sin(x / 7) + 5 * _noise(3, 2.0)[..., 0]
    palette = np.array([(50, 70, 130), (200, 170, 80), (165, 80, 60), (205, 200, 185)])
    picture = palette[(across // 9).astype(int) % 4] + 22 * np.sin(across * 2.1)[..., None] + 12 * _noise(4, 1.0)
    picture[np.hypot(x % 32 - 16, y % 32 - 16) < 4] = 45, 35, 50
    return _picture(picture)


@pytest.fixture(scope="session")
def other_style() -> Image.Image:
    """A tall picture of green rings."""
    y, x = np.mgrid[0:WIDTH, 0:HEIGHT]
    rings = 0.5 + 0.5 * np.sin(np.hypot(x - 40, y - 90) / 2.5)
    return _picture(rings[..., None] * (120, 230, 160) + 20)


def _noise(seed: int, power: float) -> np.ndarray:
    """Noise of unit variance whose amplitude falls with frequency to this power: (H, W, 1)."""
    white = np.fft.fft2(np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH)))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(WIDTH), np.fft.fftfreq(HEIGHT))).clip(1 / WIDTH)
    noise = np.fft.ifft2(white / frequency**power).real[..., None]
    return (noise - noise.mean()) / noise.std()


def _picture(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.clip(0, 255).round().astype(np.uint8))
