"""What a run reports while it works: plain frozen data, so that a page, a progress bar and a benchmark can share it."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:  # this module is a leaf: when the program runs it imports no sibling
    from nst.device import Compute
    from nst.images.painting import Painting
    from nst.schedule import Level
    from nst.settings import Settings


@dataclass(frozen=True)
class Costs:
    """The cost of the picture after one step. All terms are unweighted unless named `total` or `style`."""

    step: int  # from 1, counted over all levels
    level: int  # from 1
    size: tuple[int, int]  # (height, width) of this level, px
    seconds: float  # since the start of the run
    total: float  # J = alpha * content + beta * style + the weighted other terms; for "wasserstein" half of beta
    content: float  # J_content, summed over the content layers with their weights
    style: float  # J_style = sum over l of lambda[l] * J_style[l]
    style_layers: dict[str, float]  # J_style[l] per layer, without lambda
    total_variation: float
    temporal: float | None = None  # J_temporal, in a frame of a clip


@dataclass(frozen=True)
class Started:
    """The run is about to take its first step: where, how, and in which levels."""

    settings: Settings
    compute: Compute  # device, dtype and why
    levels: tuple[Level, ...]  # coarse to fine
    steps: int  # planned over all levels
    preview: Image.Image  # sRGB, the photo with longer side = settings.size


@dataclass(frozen=True)
class Step:
    """One step was taken."""

    costs: Costs
    preview: Image.Image | None  # sRGB at the size of the level; None between two previews
    fraction: float  # of the planned work that is done, 0..1
    eta_seconds: float  # estimated time until the run ends


@dataclass(frozen=True)
class Degraded:
    """The run goes on, or ends early, with less than was asked for."""

    reason: str


@dataclass(frozen=True)
class Result:
    """The stylised picture, and how it came about."""

    image: Image.Image  # sRGB (RGBA if the photo is), the content's aspect ratio, longer side = settings.size
    painting: Painting  # the same in full precision, to be recoloured without a new run
    history: tuple[Costs, ...]
    settings: Settings
    compute: Compute
    seconds: float
    stopped: str  # "completed" | "budget" | "plateau" | "diverged" | "stopped", from outside


@dataclass(frozen=True)
class Finished:
    """The run is over."""

    result: Result


Event = Started | Step | Degraded | Finished


def early_end(stopped: str, steps: int) -> str | None:
    """For a run that ended before its last step, a phrase that says so; `stopped` is that of a `Result`."""
    why = {"budget": "its time was up", "diverged": "no further step was possible"}.get(stopped)
    return why and f"stopped early at step {steps}: {why}"


def curve_csv(history: Sequence[Costs]) -> str:
    """The loss curve as CSV, unweighted costs: a row per step, a column per style layer. Empty without a step."""
    rows = [{**dataclasses.asdict(costs), "size": max(costs.size), **costs.style_layers} for costs in history]
    if not rows:
        return ""
    text = io.StringIO(newline="")
    columns = [name for name, value in rows[0].items() if name != "style_layers" and value is not None]
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
