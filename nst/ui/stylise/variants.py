"""A grid of small variants to choose from: each strength with each stroke size, painted one after the other."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from nst import Finished, Step, stylise_events
from nst.estimate import levels_of
from nst.images import pictures
from nst.images.decode import on_white
from nst.objective.targets import StyleCache
from nst.ui.server.devices import on_free_device
from nst.ui.server.events import Updates
from nst.ui.stylise import zerogpu
from nst.ui.stylise.form import RunRequest, run_request
from nst.ui.stylise.handlers import PARAMETERS, with_sentences
from nst.ui.stylise.presets import beta_of

STRENGTHS = (20, 45, 65, 85)
STROKES = {0.6: "fine", 1.5: "broad"}  # style scales, in words
AREA_PX = 24_000  # px of a variant: eight of them take ten seconds on two cores
LEAST_PX = 180  # longer side of a variant; from here on it has two levels, and coarse strokes are painted first
STEPS_OF_ONE_LEVEL = 20
STYLE_PX = 512  # longer side of a style picture, for variants


@dataclass(frozen=True)
class Variant:
    """One picture of the grid."""

    strength: int
    style_scale: float

    def __str__(self) -> str:
        return f"strength {self.strength}, {STROKES[self.style_scale]} strokes"


VARIANTS = tuple(Variant(strength, strokes) for strokes in STROKES for strength in STRENGTHS)


def needed_s(*values: Any) -> int:
    """Seconds of a ZeroGPU to ask for: as many as for the picture that the controls ask for."""
    try:
        return zerogpu.needed_s(run_request(dict(zip(PARAMETERS, values, strict=True))))
    except ValueError:
        return zerogpu.UNKNOWN_S  # it will be refused


def paint(*values: Any) -> Iterator[Updates]:
    """Paint all variants of a run; `values` are those of `stylise`. Closing it ends the run."""
    yield from with_sentences(_grid(dict(zip(PARAMETERS, values, strict=True))))


@on_free_device
def _grid(device: str, given: dict[str, Any]) -> Iterator[Updates]:
    began = time.monotonic()
    request = _small(run_request(given, device=device, quality="draft", original_size=False, max_seconds=None))
    style_cache = StyleCache()  # a style is measured once for each stroke size
    painted: list[tuple[Image.Image, str]] = []
    for number, variant in enumerate(VARIANTS):
        beta = beta_of(variant.strength, request.settings.alpha)
        settings = dataclasses.replace(request.settings, beta=beta, style_scale=variant.style_scale)
        others = {"masks": request.masks, "start": request.start, "memo": style_cache}
        for event in stylise_events(request.photo, request.styles, settings, **others):
            left_s = (time.monotonic() - began) / max(number, 1) * (len(VARIANTS) - number)
            left = f", {left_s:.0f} s left" if number else ""
            status = f"Painting option {number + 1} of {len(VARIANTS)}{left}."
            match event:
                case Step(preview=Image.Image() as preview):
                    yield {"options": [*painted, (preview, str(variant))], "status": status}
                case Finished(result=result):
                    painted.append((on_white(result.image), str(variant)))
    took_s = time.monotonic() - began
    status = f"{len(VARIANTS)} options in {took_s:.1f} s. Choose one to take its settings, then press Stylise."
    yield {"options": painted, "status": status}


def _small(request: RunRequest) -> RunRequest:
    """The same run with few pixels. Its pictures are decoded and shrunk here, once for all variants."""
    photo = pictures.load(request.photo, "photo")
    longer_px = math.sqrt(AREA_PX * max(photo.size) / min(photo.size))
    settings = dataclasses.replace(request.settings, size=min(request.settings.size, max(round(longer_px), LEAST_PX)))
    if len(levels_of(photo, settings)) == 1:
        settings = dataclasses.replace(settings, steps=STEPS_OF_ONE_LEVEL)
    return dataclasses.replace(
        request,
        photo=_shrunk(photo, 2 * settings.size),
        styles=tuple(_shrunk(pictures.load(style, "style picture"), STYLE_PX) for style in request.styles),
        settings=settings,
    )


def _shrunk(picture: Image.Image, longer_px: int) -> Image.Image:
    """The picture with this longer side, unless it is smaller, or its shorter side would be too small to paint."""
    if max(picture.size) <= longer_px or min(picture.size) * longer_px < 32 * max(picture.size):
        return picture
    return pictures.scaled(picture, pictures.result_size(picture, longer_px))


def take(alpha: float, chosen: gr.SelectData) -> Updates:
    """Set the controls by the variant that was clicked."""
    variant = VARIANTS[chosen.index]
    return {
        "strength": variant.strength,
        "beta": beta_of(variant.strength, alpha),
        "style_scale": variant.style_scale,
        "status": f"Taken: {variant}. Press Stylise to paint it at full size.",
    }
