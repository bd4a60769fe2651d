"""How long a run will take on this device and how much memory, said before it starts.

The time comes from the seconds of a few small steps, or of an earlier run.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from PIL import Image

from nst import images, memory
from nst.compute import choose
from nst.events import Result
from nst.schedule import Level, plan
from nst.settings import QUALITIES, Settings
from nst.transfer import stylise

MEASURED_PX = 128
MEASURED_STEPS = 6  # the first warms up
KIND = ("statistic", "optimiser", "pooling", "backbone", "device", "precision")  # of a step
TIMES_TILED = 1.2  # what a step costs when the network sees the picture in tiles, as a factor
MEASURING = threading.Lock()  # who asks while another measures waits for its answer
STEPS_BESIDES = 2  # what a level takes besides its steps, in steps: its targets, and the cost of its first picture


def levels_of(picture: Image.Image, settings: Settings) -> tuple[Level, ...]:
    """The levels of a run for a photo of this shape; the header of its file is enough."""
    size = images.painting_size(images.result_size(picture, settings.size))
    return plan(*size, QUALITIES[settings.quality], settings.steps, settings.pyramid)


def seconds(
    levels: Sequence[Level], settings: Settings, earlier: Result | None = None, pace: float | None = None
) -> float:
    """About how long these levels take: as an earlier run with steps of the same kind went, else measured, once.

    `pace`, seconds per unit of `Level.work`, is for where nothing can be measured.
    """
    if earlier and earlier.stopped == "completed" and _kind(earlier.settings) == _kind(settings):
        pace = earlier.seconds / _work(levels_of(earlier.image, earlier.settings), earlier.settings)
    elif pace is None:
        with MEASURING:
            pace = _measured_pace(*_kind(settings))
    return min(pace * _work(levels, settings), settings.max_seconds or math.inf)


def largest_size(
    picture: Image.Image,
    settings: Settings,
    most_s: float,
    sizes: Iterable[int],
    earlier: Result | None = None,
    pace: float | None = None,
) -> int | None:
    """The largest of these longer sides, px, whose run would end in so many seconds; None where none would."""
    best = None
    for size in sizes:
        wanted = replace(settings, size=size, max_seconds=None)
        if seconds(levels_of(picture, wanted), wanted, earlier, pace) <= most_s:
            best = max(size, best or 0)
    return best


def memory_mib(levels: Sequence[Level], settings: Settings) -> float:
    """About how much memory the run takes on the device, above the idle program; in tiles if need be."""
    return _memory(levels[-1], settings).mib


def _memory(level: Level, settings: Settings) -> memory.Memory:
    compute = choose(settings.device, settings.precision)
    return memory.choose(settings, (level.height, level.width), compute.device, compute.dtype)


def _kind(settings: Settings) -> tuple:
    """What decides the cost of a step, besides its pixels."""
    return settings.layers, *(getattr(settings, name) for name in KIND)


def _work(levels: Sequence[Level], settings: Settings) -> float:
    total = 0.0
    for level in levels:
        times = TIMES_TILED if _memory(level, settings).tiled else 1.0
        total += times * level.work * (level.steps + STEPS_BESIDES) / level.steps
    return total


@lru_cache(maxsize=32)
def _measured_pace(layers: tuple[str, ...], *kind: str) -> float:
    """Seconds per unit of work (`Level.work`) of a few small steps of this kind."""
    noise = np.random.default_rng(0).integers(0, 256, (MEASURED_PX, MEASURED_PX, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    weights = dict.fromkeys(layers, 1.0)
    settings = Settings(
        content_layers=weights,
        style_layers=weights,
        size=MEASURED_PX,
        steps=MEASURED_STEPS,
        pyramid=False,
        **dict(zip(KIND, kind, strict=True)),
    )
    history = stylise(picture, picture, settings).history
    steps = [after.seconds - before.seconds for before, after in pairwise(history)]
    (level,) = levels_of(picture, settings)
    return min(steps) / (level.work / level.steps)  # the least disturbed one
