"""Waiting times of a visitor (start of the program to the page, click to pictures), and the memory of runs."""

from __future__ import annotations

import math
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nst.bench.engine import EXAMPLES, PAIRS, Row, as_in_a_run, load_pair, median_seconds, our_objective, seconds_of
from nst.bench.textbook import Textbook
from nst.device import choose_device
from nst.settings import Settings
from nst.transfer import stylise

ROOT = Path(__file__).resolve().parents[2]  # where `python -m nst` finds the package
PHOTO, STYLE = (EXAMPLES / folder / f"{name}.jpg" for folder, name in zip(("photos", "styles"), PAIRS[0], strict=True))


def clock(quick: bool) -> Iterator[Row]:
    """Seconds from the start of `nst page` to the page; through the API, from a click to the first and last picture."""
    from gradio_client import Client, handle_file

    began = time.perf_counter()
    with served() as (address, _):
        yield {"what": "start of the program to the page", "seconds": time.perf_counter() - began}
        client = Client(address, verbose=False)
        inputs = {"photo": handle_file(PHOTO), "style": handle_file(STYLE), "api_name": "/stylise"}
        list(client.submit(**inputs, size=128, quality="draft"))  # warm up
        for size, quality in ((256, "draft"),) if quick else ((256, "draft"), (384, "balanced"), (384, "fine")):
            began = time.perf_counter()
            seconds = [time.perf_counter() - began for _ in client.submit(**inputs, size=size, quality=quality)]
            what = f"click to {{}} picture, {size} px, {quality}"
            yield {"what": what.format("first painted"), "seconds": seconds[1]}  # the first yield shows the photo
            yield {"what": what.format("finished"), "seconds": seconds[-1]}


def live(quick: bool) -> Iterator[Row]:
    """Seconds from a change of Strength in a browser to the first changed picture of Live, and to the last one.

    Needs Playwright and Chromium.
    """
    from playwright.sync_api import sync_playwright

    values = range(10, 95, 40) if quick else [(37 * number) % 90 + 5 for number in range(20)]
    with served(NST_LIVE_PER_MINUTE="1000") as (address, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        page.get_by_text("About").first.wait_for()  # the pace is measured
        page.wait_for_timeout(2000)
        page.locator("#live input").check()
        page.evaluate(NOTE_FRAMES)
        first_s, last_s = [], []
        for value in values:
            page.get_by_label("number input for Strength").fill(str(value))
            page.wait_for_function(SETTLED, timeout=60_000)
            seconds = page.evaluate("shownAt.map(at => (at - changed) / 1000)")
            first_s.append(seconds[0])
            last_s.append(seconds[-1])
        browser.close()
    for what, seconds in (("first changed picture", first_s[1:]), ("last picture", last_s[1:])):  # the first warms up
        yield {"what": what, "changes": len(seconds), "median_s": statistics.median(seconds), "worst_s": max(seconds)}


# Note when the visitor changes a control, and when the browser has decoded each picture that follows.
NOTE_FRAMES = """() => {
    window.shownAt = []; window.changed = 0;
    document.addEventListener("input", () => { window.changed = performance.now(); window.shownAt = []; }, true);
    document.querySelector("#picture").addEventListener("load", () => shownAt.push(performance.now()), true);
}"""
SETTLED = "() => shownAt.length && document.querySelector('#status').innerText.includes('Press Stylise')"


def picture(quick: bool) -> Iterator[Row]:
    """Seconds of whole runs without the page: the first and the second run at each size in this process."""
    sizes = ((128, "draft"),) if quick else ((256, "draft"), (384, "balanced"), (512, "balanced"), (1024, "balanced"))
    stylise(PHOTO, STYLE, Settings(size=64, quality="draft"))
    for size, quality in sizes:
        run = partial(stylise, PHOTO, STYLE, Settings(size=size, quality=quality))
        yield {"px": size, "quality": quality, "first_s": seconds_of(run), "again_s": seconds_of(run)}


@contextmanager
def served(log: int | None = None, **more: str) -> Iterator[tuple[str, int]]:
    """Run `nst page` on a free port with `more` environment variables; yield address and process id once it answers.

    `log` is the file that the page's errors are written to.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), **more}
    address = f"http://127.0.0.1:{port}/"
    server = subprocess.Popen(
        [sys.executable, "-m", "nst", "page"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=log
    )
    try:
        for _ in range(1200):
            try:
                urllib.request.urlopen(address).read()
                break
            except OSError:
                time.sleep(0.05)
        yield address, server.pid
    finally:
        server.terminate()
        server.wait()


def usual_request(client: Any) -> dict[str, Any]:
    """Legal values of the endpoint's parameters, by name, as the page would send them."""
    described = client.get("/gradio_api/info").json()["named_endpoints"]["/stylise"]["parameters"]
    values = {item["parameter_name"]: item.get("parameter_default") for item in described}
    photo, style = upload(client, PHOTO.read_bytes(), STYLE.read_bytes())
    return {**values, "photo": photo, "style": style, "size": 128, "quality": "draft"}


def upload(client: Any, *contents: bytes) -> list[dict[str, Any]]:
    """Upload files -> the values that stand for them in a request."""
    files = [("files", ("picture.png", content)) for content in contents]
    paths = client.post("/gradio_api/upload", files=files).json()
    return [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]


def memory(quick: bool) -> Iterator[Row]:
    """Peak memory, MiB, each in a new process: ours for a draft, the textbook's for three steps."""
    idle = _peak_mib(_idle)
    for size in (256,) if quick else (256, 384, 512, 1024):
        ours, theirs = _peak_mib(_our_run, size), _peak_mib(_textbook_steps, size)
        yield {"px": size, "idle_mib": idle, "ours_mib": ours, "above_idle_mib": ours - idle, "textbook_mib": theirs}


def growth(quick: bool) -> Iterator[Row]:
    """Exponents with which seconds per step and memory above idle grow with the number of pixels; 1 is proportional."""
    small, large = (128, 256) if quick else (256, 1024)
    compute = choose_device()
    seconds, pixels = [], []
    for size in (small, large):
        inputs = load_pair(PAIRS[0], size, compute.device)
        seconds.append(median_seconds(as_in_a_run(our_objective(inputs, compute.dtype), inputs.photo), 5))
        pixels.append(math.prod(inputs.size))
    idle = _peak_mib(_idle)
    peaks = [_peak_mib(_our_run, size) - idle for size in (small, large)]
    ratio = math.log(pixels[1] / pixels[0])
    yield {
        **{"from_px": small, "to_px": large, "time_exponent": math.log(seconds[1] / seconds[0]) / ratio},
        "memory_exponent": math.log(peaks[1] / peaks[0]) / ratio,
    }


def _peak_mib(work, *arguments: int) -> float:
    """Peak resident memory of a new process that calls `work`, MiB; on CUDA the peak of torch's allocator."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, *arguments))


def _measured(work, *arguments: int) -> float:
    work(*arguments)
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _idle() -> None:
    """Do nothing: the memory of the imports alone."""


def _our_run(size: int) -> None:
    stylise(PHOTO, STYLE, Settings(size=size, quality="draft"))


def _textbook_steps(size: int) -> None:
    for _ in Textbook(load_pair(PAIRS[0], size, choose_device().device)).run(3):
        pass
