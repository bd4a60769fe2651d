"""The time and the memory that a picture will take, shown before the click."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import gradio as gr
from gradio.events import Dependency

from nst import estimate
from nst.images import pictures
from nst.job import levels_of
from nst.ui.server.devices import may_measure
from nst.ui.server.events import SMALL_WORK, Components, Updates
from nst.ui.server.limits import page_limits
from nst.ui.stylise.controls import SIZE_STEP_PX, SMALLEST_PX
from nst.ui.stylise.form import settings_of
from nst.ui.stylise.handlers import PARAMETERS
from nst.ui.stylise.status_text import duration
from nst.ui.stylise.visit import Visit
from nst.ui.stylise.zerogpu import PACE, is_active

# The parameters that decide how long a run takes.
DECIDING = ("photo", "size", "quality", "statistic", "optimiser", "pooling", "other_layers", "max_seconds")
STYLES = ("style", "style_2", "style_3", "style_4")  # the parameters that decide how much memory it takes


def show_expected(visit: Visit, *values: Any) -> Updates:
    """What a run with these values of `stylise` takes, from the visitor's last run or from a few measured steps."""
    return {"expected": _expected(visit, dict(zip(PARAMETERS, values, strict=True)))}


def _expected(visit: Visit, given: dict[str, Any]) -> str:
    if given["photo"] is None:
        return ""
    try:
        settings = settings_of({**given, "max_seconds": None}, shares=None)
        with pictures.header(given["photo"], "photo") as photo:
            levels = levels_of(photo, settings)
    except ValueError:
        return ""  # the run itself will say what is wrong
    limit_px = page_limits().size
    if settings.size > limit_px:
        return f"{settings.size} px is over this page's limit of {limit_px} px; *Print* says how to paint larger"
    known = (picture := visit.usable()) and picture.result, PACE if is_active() else None
    styles = sum(given[name] is not None for name in STYLES)
    memory = f"{estimate.memory_mib(levels, settings, styles) / 1024:.1f} GB of memory"
    seconds, most_s = (
        estimate.seconds(levels, settings, *known, may_measure),
        given["max_seconds"] or page_limits().run_s,
    )
    if seconds is None:
        return f"About {memory}. The time is measured when nothing is painted"
    if seconds <= most_s:
        largest_here = f". {limit_px} px is the largest size here; *Print* says how to paint larger"
        return f"About {duration(seconds)} and {memory}{largest_here if settings.size == limit_px else ''}"
    with pictures.header(given["photo"], "photo") as photo:
        sizes = range(SMALLEST_PX, settings.size, SIZE_STEP_PX)
        largest = estimate.largest_size(photo, settings, most_s, sizes, *known, watch=lambda: None)
    advice = f"choose {largest} px" if largest else "choose a quicker quality"
    return f"About {duration(seconds)} and {memory}, but it is stopped after {duration(most_s)}: {advice} to finish"


def connect(page: gr.Blocks, tab: Components, runs: Sequence[Dependency]) -> None:
    """Show it when the page opens, whenever a deciding parameter changes, and after each run."""
    wanted = (show_expected, ("visit", *PARAMETERS), ("expected",))
    # One event for all of these, so that no answer overtakes a later one and the last change is answered.
    beginnings = [page.load, *(tab[name].change for name in (*DECIDING, *STYLES[1:]))]
    tab.call(partial(gr.on, beginnings), *wanted, trigger_mode="always_last", **SMALL_WORK)
    for trigger in (*(run.success for run in runs), tab["stop"].click, tab["stop_options"].click):
        tab.call(trigger, *wanted, **SMALL_WORK)
