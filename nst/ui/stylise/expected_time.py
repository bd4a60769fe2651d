"""How long the picture will take and how much memory, said before the click and corrected while it is painted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.events import Dependency

from nst import estimate
from nst.images import pictures
from nst.ui.server.events import AT_ONCE, IN_BROWSER
from nst.ui.server.limits import PAGE_LIMITS
from nst.ui.stylise.controls import SIZE_STEP_PX, SMALLEST_PX
from nst.ui.stylise.form import settings_of
from nst.ui.stylise.handlers import PARAMETERS, Kept
from nst.ui.stylise.status_text import duration
from nst.ui.stylise.wiring import Tab
from nst.ui.stylise.zerogpu import ACTIVE, PACE

# The parameters that decide how long a run takes.
ASKED = ("photo", "size", "quality", "statistic", "optimiser", "pooling", "other_layers", "max_seconds")
STYLES = ("style", "style_2", "style_3", "style_4")  # the parameters that decide how much memory it takes

# While a run is on, what its status says is left: (status, expected) -> expected.
LEFT = "(status, expected) => (/\\d[\\d.]* (s|min) left/.exec(status) || [expected])[0]"


def expected(kept: Kept | None, *values: Any) -> str:
    """What a run with these values of `stylise` takes, by the visitor's last run or a few measured steps."""
    given = dict(zip(PARAMETERS, values, strict=True))
    if given["photo"] is None:
        return ""
    try:
        settings = settings_of({**given, "max_seconds": None}, shares=None)
        with pictures.header(given["photo"], "photo") as photo:
            levels = estimate.levels_of(photo, settings)
    except ValueError:
        return ""  # the run itself will say what is wrong
    known = kept and kept.result, PACE if ACTIVE else None
    styles = sum(given[name] is not None for name in STYLES)
    memory = f"{estimate.memory_mib(levels, settings, styles) / 1024:.1f} GB of memory"
    seconds, most_s = estimate.seconds(levels, settings, *known), given["max_seconds"] or PAGE_LIMITS.run_s
    if seconds <= most_s:
        return f"About {duration(seconds)} and {memory}"
    with pictures.header(given["photo"], "photo") as photo:
        sizes = range(SMALLEST_PX, settings.size, SIZE_STEP_PX)
        largest = estimate.largest_size(photo, settings, most_s, sizes, *known)
    advice = f"choose {largest} px" if largest else "choose a quicker quality"
    return f"About {duration(seconds)} and {memory}, but it is stopped after {duration(most_s)}: {advice} to finish"


def connect(page: gr.Blocks, tab: Tab, runs: Sequence[Dependency]) -> None:
    """Say it when the page opens, whenever a control that matters changes, and after each run."""
    inputs = [tab.kept, *tab.parameters]
    # One event for all of these: its questions do not overtake each other, and the last change is asked about.
    beginnings = [page.load, *(tab.asked[name].change for name in (*ASKED, *STYLES[1:]))]
    gr.on(beginnings, expected, inputs, tab.expected, trigger_mode="always_last", **AT_ONCE)
    for run in runs:
        run.success(expected, inputs, tab.expected, **AT_ONCE)
    for stop in (tab.stop, tab.shown["stop_options"]):
        stop.click(expected, inputs, tab.expected, **AT_ONCE)
    status = tab.shown["status"]
    status.change(None, [status, tab.expected], tab.expected, js=LEFT, **IN_BROWSER)
