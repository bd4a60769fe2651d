"""Hugging Face ZeroGPU: a run gets a GPU from a shared pool, in a forked process, for the time that it asks for.

Without the package `spaces`, or where it is not active, handlers stay unchanged.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TypeVar

from nst import estimate
from nst.images import pictures
from nst.job import levels_of
from nst.ui.server.limits import page_limits
from nst.ui.stylise.form import RunRequest

with contextlib.suppress(ImportError):
    import spaces

Handler = TypeVar("Handler", bound=Callable)
PACE = 2e-8  # s per pixel of a step, four times that of an H200; not measured, as there is no device between runs
START_S = 10  # to move the network to the device and to read the pictures
SMALL_RUNS_S = 60  # for a few small pictures
UNKNOWN_S = 30  # for a run that will be refused anyway


def is_active() -> bool:
    """Whether this process is on ZeroGPU, by the variable that `spaces` reads."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def on_zerogpu(handler: Handler, seconds: int | Callable[..., int] = SMALL_RUNS_S) -> Handler:
    """The handler, on a GPU of the pool where there is one, for seconds that a function may tell from its arguments."""
    return spaces.GPU(duration=seconds)(handler) if "spaces" in globals() else handler


def needed_s(request: RunRequest) -> int:
    """Seconds to ask for: few, because a visitor has two minutes a day, but enough to finish."""
    try:
        with pictures.header(request.photo, "photo") as photo:
            levels = levels_of(photo, request.settings)
    except ValueError:
        return UNKNOWN_S
    run_s = estimate.seconds(levels, request.settings, pace=PACE)
    return min(START_S + round(run_s), START_S + page_limits().run_s)
