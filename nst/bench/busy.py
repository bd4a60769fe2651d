"""Steps beside a busy process, in every way to start a run, and two pictures painted at the same time."""

from __future__ import annotations

import csv
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from nst import openmp
from nst.bench.engine import Row
from nst.bench.visitor import PHOTO, ROOT, STYLE, served
from nst.settings import QUALITIES

LOOP = """
import os
parent = os.getppid()
while os.getppid() == parent:  # ends with the benchmark
    sum(range(10**6))
"""
PROGRAM = [sys.executable, "-m", "nst"]
LIBRARY = """
import sys
from nst import Settings, stylise
photo, style, size, steps = sys.argv[1:]
result = stylise(photo, style, Settings(size=int(size), steps=int(steps), quality="sketch"))
print(*(costs.seconds for costs in result.history))
"""
Way = Callable[[int, int], float]  # (size in px, steps of the last level) -> seconds per step there


def busy(quick: bool) -> Iterator[Row]:
    """Seconds per step at 256 px, alone and beside a process that keeps one core busy, measured alternately.

    The last row has seconds per picture of two runs of the command, one after the other and both at once.
    """
    size, steps, turns = (96, 4, 1) if quick else (256, 16, 2)
    with ExitStack() as stack:
        folder = stack.enter_context(_untouched_environment())
        ways: dict[str, Way] = {
            "library": _library,
            "torch first": lambda size, steps: _library(size, steps, "import torch"),
            "command line": lambda size, steps: _command(folder, size, steps),
            "batch": lambda size, steps: _batch(folder, size, steps),
            "page": _page(stack),
        }
        for name, step_s in ways.items():
            quiet, loaded = [], []
            for _ in range(turns):
                quiet.append(step_s(size, steps))
                with _busy_process():
                    loaded.append(step_s(size, steps))
            yield _row(name, quiet, loaded)
        yield _two_at_once(folder, size, turns)


def _row(way: str, quiet: list[float], loaded: list[float]) -> Row:
    ratio = median(loaded) / median(quiet)
    return {"way": f"{way:14}", "quiet_s": median(quiet), "busy_s": median(loaded), "ratio": ratio}


@contextmanager
def _untouched_environment() -> Iterator[Path]:
    """A folder for pictures. In this context, programs start without the variables that this process has set."""
    kept = {name: os.environ.pop(name) for name in openmp.VARIABLES if name in os.environ}
    try:
        with TemporaryDirectory() as folder:
            yield Path(folder)
    finally:
        os.environ.update(kept)


@contextmanager
def _busy_process() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", LOOP])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _library(size: int, steps: int, first: str = "") -> float:
    command = [sys.executable, "-c", first + LIBRARY, PHOTO, STYLE, str(size), str(steps)]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return _step_s([float(seconds) for seconds in printed.split()], steps)


def _command(folder: Path, size: int, steps: int) -> float:
    curve = folder / "curve.csv"
    _run([PHOTO, STYLE, "-o", folder / "out.png", "--costs", curve], size, steps)
    return _of_curve(curve, steps)


def _batch(folder: Path, size: int, steps: int) -> float:
    with TemporaryDirectory(dir=folder) as output:
        _run(["batch", PHOTO, "--style", STYLE, "-o", output, "--costs", "--workers", "1"], size, steps)
        (curve,) = (path for path in Path(output).rglob("*.csv") if PHOTO.stem in path.name)
        return _of_curve(curve, steps)


def _run(arguments: list[Any], size: int, steps: int) -> None:
    settings = ["--size", str(size), "--steps", str(steps), "--quality", "sketch"]
    subprocess.run([*PROGRAM, *arguments, *settings], cwd=ROOT, check=True, capture_output=True)


def _of_curve(curve: Path, steps: int) -> float:
    with curve.open(newline="") as file:
        return _step_s([float(row["seconds"]) for row in csv.DictReader(file)], steps)


def _step_s(ends: list[float], steps: int) -> float:
    """Median seconds of a step of the last level, which has n steps, from the times at which the run's steps ended."""
    return median(after - before for before, after in itertools.pairwise(ends[-steps:]))


def _page(stack: ExitStack) -> Way:
    """A page, served until the stack closes; its time includes showing pictures. The quality decides its steps."""
    from gradio_client import Client, handle_file

    address, _ = stack.enter_context(served(NST_STARTS_PER_MINUTE="1000"))
    client = Client(address, verbose=False)
    inputs = {"photo": handle_file(PHOTO), "style": handle_file(STYLE), "api_name": "/stylise", "quality": "draft"}

    def seconds(size: int, _steps: int) -> float:
        first_shown: dict[int, float] = {}  # number of a step -> when the page first sent a curve that ends with it
        for _, curve, _ in client.submit(**inputs, size=size):
            first_shown.setdefault(max(row[0] for row in curve["data"]) if curve["data"] else 0, time.perf_counter())
        total = max(first_shown)
        first = min(step for step in first_shown if step > total - QUALITIES["draft"][-1])
        return (first_shown[total] - first_shown[first]) / (total - first)

    return seconds


def _two_at_once(folder: Path, size: int, turns: int) -> Row:
    """Seconds per picture of two drafts, painted one after the other and both at once."""
    commands = [
        [*PROGRAM, PHOTO, STYLE, "-o", folder / f"{number}.png", "--size", str(size), "--quality", "draft"]
        for number in (1, 2)
    ]
    in_turn, at_once, quiet = [], [], subprocess.DEVNULL
    for _ in range(turns):
        began = time.perf_counter()
        for command in commands:
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        in_turn.append((time.perf_counter() - began) / 2)
        began = time.perf_counter()
        both = [subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet) for command in commands]
        for process in both:
            process.wait()
        at_once.append((time.perf_counter() - began) / 2)
    return _row("two at once", in_turn, at_once)
