"""Forecasts of a run's time and memory on this device, before it starts.

The time is computed from an earlier run, or from a few measured steps on a small picture.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from cachetools import LRUCache
from PIL import Image

from nst import memory
from nst.device import choose_device
from nst.events import Result
from nst.job import levels_of
from nst.schedule import STEP_OVERHEAD_PX, Level
from nst.settings import Settings
from nst.transfer import stylise

# Kind of device -> longer side, px, of the measured run and its number of steps; the first ones warm up.
MEASURED = {"cpu": (128, 6), "cuda": (512, 40)}
# Time of a level besides its steps, in units of a step: its targets and the gradient of its first picture, less the
# gradient that the last step does without.
EXTRA_STEPS = 1
# Kind of device -> fixed time of a step and of a level, as the number of pixels that take as long. On a GPU that is the
# time to start a step's kernels, and to capture the step once as a graph (measured on an H200).
FIXED_PX = {"cpu": (STEP_OVERHEAD_PX, 0), "cuda": (180_000, 10_000_000)}
# Settings that decide the time of a step of given pixels, besides the layers.
KIND = ("statistic", "optimiser", "pooling", "backbone", "device", "precision")
TIMES_TILED = 1.2  # factor of a step's time when the network sees the picture in tiles
STEADY = 1.3  # times the fastest step, of the median step: with more, other programs had the processor as well
PACES: LRUCache[tuple, float] = LRUCache(32)  # seconds per pixel of a step, by kind
MEASURING = threading.Lock()  # one measurement at a time: two would slow each other

# Asked before a measurement: None forbids it. Asked after it, the answer says whether nothing has disturbed it.
Watch = Callable[[], Callable[[], bool] | None]


def seconds(
    levels: Sequence[Level],
    settings: Settings,
    earlier: Result | None = None,
    pace: float | None = None,
    watch: Watch = lambda: lambda: True,
) -> float | None:
    """Expected time of these levels, s, from an earlier run whose steps are of the same kind, else from a measurement.

    Each kind is measured once; None when `watch` forbids it. `pace`, seconds per pixel of a step, is for GPUs on which
    nothing can be measured.
    """
    device = "cuda" if pace else _device(settings)
    if earlier and earlier.stopped == "completed" and _kind(earlier.settings) == _kind(settings):
        pace = earlier.seconds / _work(levels_of(earlier.image, earlier.settings), earlier.settings, device)
    elif pace is None:
        pace = _pace(_kind(settings), watch)
        if pace is None:
            return None
    return min(pace * _work(levels, settings, device), settings.max_seconds or math.inf)


def largest_size(
    picture: Image.Image,
    settings: Settings,
    most_s: float,
    sizes: Iterable[int],
    earlier: Result | None = None,
    pace: float | None = None,
    watch: Watch = lambda: lambda: True,
) -> int | None:
    """The largest of these longer sides, px, whose run takes `most_s` seconds at most; None if no run does."""
    best = None
    for size in sizes:
        wanted = replace(settings, size=size, max_seconds=None)
        expected_s = seconds(levels_of(picture, wanted), wanted, earlier, pace, watch)
        if expected_s is not None and expected_s <= most_s:
            best = max(size, best or 0)
    return best


def memory_mib(levels: Sequence[Level], settings: Settings, styles: int = 1) -> float:
    """Expected memory of the run on the device, MiB above the idle program; with tiles if the run will use them.

    `styles` is the number of style pictures.
    """
    return _memory(levels[-1], settings, styles).mib


def _device(settings: Settings) -> str:
    return choose_device(settings.device).device.type


def _memory(level: Level, settings: Settings, styles: int = 1) -> memory.Memory:
    compute = choose_device(settings.device, settings.precision)
    return memory.plan_memory(settings, (level.height, level.width), compute.device, compute.dtype, styles)


def _kind(settings: Settings) -> tuple:
    """The settings that decide the time of a step of given pixels: steps of equal kinds take equal times."""
    return settings.layers, *(getattr(settings, name) for name in KIND)


def _work(levels: Sequence[Level], settings: Settings, device: str) -> float:
    """Number of pixels of all steps, plus the fixed times of steps and levels in units of a pixel."""
    total, (of_step, of_level) = 0.0, FIXED_PX[device]
    for level in levels:
        times = TIMES_TILED if _memory(level, settings).tiled else 1.0
        total += times * ((level.height * level.width + of_step) * (level.steps + EXTRA_STEPS) + of_level)
    return total


def _pace(kind: tuple, watch: Watch) -> float | None:
    """Seconds per pixel of a step of this kind, measured once; None when it was not and `watch` forbids it."""
    if (known := PACES.get(kind)) is not None:
        return known
    with MEASURING:
        if (known := PACES.get(kind)) is not None:
            return known
        undisturbed = watch()
        if undisturbed is None:
            return None
        pace, steady = _measured_pace(*kind)
        if steady and undisturbed():
            PACES[kind] = pace
        return pace


def _measured_pace(layers: tuple[str, ...], *kind: str) -> tuple[float, bool]:
    """Seconds per pixel of a step of this kind, measured in a small run, and whether its steps took equal times."""
    weights = dict.fromkeys(layers, 1.0)
    chosen = Settings(content_layers=weights, style_layers=weights, pyramid=False, **dict(zip(KIND, kind, strict=True)))
    device = _device(chosen)
    size, count = MEASURED[device]
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))
    history = stylise(picture, picture, replace(chosen, size=size, steps=count)).history
    steps = sorted(after.seconds - before.seconds for before, after in pairwise(history))
    # On a CPU take the fastest step, which other programs disturbed least. On a GPU take the median, because several
    # steps' costs may arrive at once.
    median_s = steps[len(steps) // 2]
    step_s = steps[0] if device == "cpu" else median_s
    return step_s / (size**2 + FIXED_PX[device][0]), device != "cpu" or median_s <= STEADY * steps[0]
