"""Hugging Face ZeroGPU: a run gets a GPU from a shared pool, in a forked process, for the time that it asks for.

Without the package `spaces`, or where it is not active, handlers stay unchanged.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any, TypeVar

from nst import estimate
from nst.images import pictures
from nst.ui.server.limits import page_limits
from nst.ui.stylise.form import settings_of

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


def on_zerogpu(handler: Handler, parameters: tuple[str, ...] | None = None) -> Handler:
    """The handler, on a GPU of the pool where there is one. Its last arguments are these parameters of a run."""
    if "spaces" not in globals():
        return handler
    if parameters is None:
        return spaces.GPU(duration=SMALL_RUNS_S)(handler)

    def duration_s(*values: Any) -> int:
        return needed_s(dict(zip(parameters, values[-len(parameters) :], strict=True)))

    return spaces.GPU(duration=duration_s)(handler)


def needed_s(given: dict[str, Any]) -> int:
    """Seconds to ask for: few, because a visitor has two minutes a day, but enough to finish."""
    try:
        settings = settings_of(given, shares=None)
        with pictures.header(given["photo"], "photo") as photo:
            run_s = estimate.seconds(estimate.levels_of(photo, settings), settings, pace=PACE)
    except ValueError:
        return UNKNOWN_S
    return min(START_S + round(run_s), START_S + page_limits().run_s)
