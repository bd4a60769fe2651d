"""The panel *Print*: a size on paper becomes pixels, time and memory, or the largest print that the limits allow."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Sequence

from nst import Settings, estimate
from nst.images import pictures
from nst.images.print_size import DPI_RANGE, UNITS, PrintSize, side
from nst.job import levels_of
from nst.settings import KINDS, LIMITS, write_value
from nst.ui.server.devices import may_measure
from nst.ui.server.events import Updates
from nst.ui.server.limits import page_limits
from nst.ui.stylise.differences import name_of
from nst.ui.stylise.form import DEFAULTS, RunRequest
from nst.ui.stylise.status_text import duration
from nst.ui.stylise.visit import Visit
from nst.ui.stylise.zerogpu import PACE, is_active

CHOICES = ("print_side", "print_unit", "print_dpi")  # components of the panel
LARGEST_CM = 500


def longer_px(length: float | None, unit: str, dpi: float) -> int:
    """The longer side of the print, px. `ValueError` for what is no print."""
    if unit not in UNITS or not DPI_RANGE[0] <= dpi <= DPI_RANGE[1]:
        raise ValueError(f"{dpi:g} dpi in {unit!r:.10} is no resolution; choose 150, 200 or 300 dpi, cm or inches")
    if not length or not 0 < length / UNITS[unit] * UNITS["cm"] <= LARGEST_CM:
        raise ValueError(f"{length or 0:g} {unit} is no side of a print; choose a length up to {LARGEST_CM} cm")
    return round(length / UNITS[unit] * dpi)


def plan(visit: Visit, length: float | None, unit: str, dpi: float, request_of: Callable[[int], RunRequest]) -> Updates:
    """What a print of the picture on the page takes, or the largest one here and the command for this one.

    `request_of` gives the run for a longer side in pixels.
    """
    picture = visit.usable()
    try:
        px = longer_px(length, unit, dpi)
        if picture is None:
            return {"print_plan": f"{length:g} {unit} at {dpi:g} dpi are {px} px. Paint a picture first."}
        if px > page_limits().size:
            return {"print_plan": _too_large(px, length, unit, int(dpi), picture.request)}
        return {"print_plan": _takes(request_of(px), f"{length:g} {unit} at {dpi:g} dpi are {px} px")}
    except ValueError as error:
        return {"print_plan": f"{str(error)[:1].upper()}{str(error)[1:]}."}


def _takes(request: RunRequest, said: str) -> str:
    settings = request.settings
    photo = pictures.load(request.photo, "photo")
    levels = levels_of(photo, settings)
    most_s = page_limits().run_s
    pace = PACE if is_active() else None
    endless = dataclasses.replace(settings, max_seconds=None)
    unlimited = estimate.seconds(levels, endless, pace=pace, watch=may_measure)
    memory = f"{estimate.memory_mib(levels, settings, len(request.styles)) / 1024:.1f} GB of memory"
    if unlimited is None:
        return f"{said}: about {memory}. The time is measured when nothing is painted."
    stopped = f", but it is stopped after {duration(most_s)}: choose fewer dpi" if unlimited > most_s else ""
    return f"{said}: about {duration(unlimited)} and {memory}{stopped}."


def _too_large(px: int, length: float, unit: str, dpi: int, request: RunRequest) -> str:
    limit = page_limits().size
    here = f"{side(limit, dpi, unit):.3g} {unit} at {dpi} dpi, or {length:g} {unit} at {int(limit * dpi / px)} dpi"
    said = f"{length:g} {unit} at {dpi} dpi are {px} px; this page paints up to {limit} px: {here}."
    if px > LIMITS.size:
        return f"{said} The program itself ends at {LIMITS.size} px."
    return f"{said} On your own computer:\n\n```\n{command(request, length, unit, dpi)}\n```"


def command(request: RunRequest, length: float, unit: str, dpi: int) -> str:
    """The command that paints this print from the two files."""
    photo = pictures.load(request.photo, "photo")
    longer, shorter = max(photo.size), min(photo.size)
    sides = (length, length * shorter / longer)
    paper = PrintSize(*(round(value, 2) for value in sides), unit, dpi)
    parts = ["nst", f"{name_of(request.photo)}.jpg", *(f"{name_of(style)}.jpg" for style in request.styles)]
    parts += ["-o", "print.tif", "--print", str(paper), *_options(request.settings)]
    return shlex.join(parts)


def _options(settings: Settings) -> Sequence[str]:
    """The options that say what differs from the defaults."""
    options: list[str] = []
    skipped = {
        "size",
        "original_size",
        "device",
        "precision",
        "tile_px",
        "max_seconds",
        "mask_edge",
        "pyramid",
        "steps",
    }
    for name in KINDS:
        value = getattr(settings, name)
        if name in skipped or value == getattr(DEFAULTS, name) or value is None:
            continue
        if name == "style_layers":
            options += [part for layer, weight in value.items() for part in ("--lambda", f"{layer}={weight:g}")]
        elif name == "content_layers":
            options += [part for layer, weight in value.items() for part in ("--content-layer", f"{layer}={weight:g}")]
        elif name == "style_blend":
            options += ["--blend", *(f"{weight:g}" for weight in value)] if len(value) > 1 else []
        elif isinstance(value, bool):
            options.append(f"--{'' if value else 'no-'}{name.replace('_', '-')}")
        else:
            options += [f"--{name.replace('_', '-')}", write_value(name, value)]
    return options
