"""A grid of small variants to choose from: strengths by stroke sizes, painted one after the other."""

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
from nst.ui.server.devices import on_its_own
from nst.ui.stylise.form import Order, order
from nst.ui.stylise.handlers import PARAMETERS, answered
from nst.ui.stylise.presets import beta_of

STRENGTHS = (20, 45, 65, 85)
STROKES = {0.6: "fine", 1.5: "broad"}  # style scales, in words
AREA_PX = 24_000  # of a variant: eight of them take ten seconds on two cores
LEAST_PX = 180  # longer side of a variant that is painted in two levels, coarse strokes first
STEPS_OF_ONE_LEVEL = 20
STYLE_PX = 512  # longer side of a style picture here

# What one yield shows: the pictures so far with their captions, and a status line.
Grid = tuple[list[tuple[Image.Image, str]], str]


@dataclass(frozen=True)
class Variant:
    """One field of the grid."""

    strength: int
    style_scale: float

    def __str__(self) -> str:
        return f"strength {self.strength}, {STROKES[self.style_scale]} strokes"


VARIANTS = tuple(Variant(strength, strokes) for strokes in STROKES for strength in STRENGTHS)


def paint(*values: Any) -> Iterator[Grid]:
    """Paint all variants of what is asked for; `values` are those of `stylise`. Closing it ends the run."""
    yield from answered(_grid(dict(zip(PARAMETERS, values, strict=True))), lambda sentence: (gr.skip(), sentence))


@on_its_own
def _grid(device: str, given: dict[str, Any]) -> Iterator[Grid]:
    began = time.monotonic()
    ordered = _small(order(given, device=device, quality="draft", original_size=False, max_seconds=None))
    memo = StyleCache()  # a style is measured once for each stroke size
    painted: list[tuple[Image.Image, str]] = []
    for number, variant in enumerate(VARIANTS):
        beta = beta_of(variant.strength, ordered.settings.alpha)
        settings = dataclasses.replace(ordered.settings, beta=beta, style_scale=variant.style_scale)
        others = {"masks": ordered.masks, "start": ordered.start, "memo": memo}
        for event in stylise_events(ordered.photo, ordered.styles, settings, **others):
            left_s = (time.monotonic() - began) / max(number, 1) * (len(VARIANTS) - number)
            left = f", {left_s:.0f} s left" if number else ""
            status = f"Painting option {number + 1} of {len(VARIANTS)}{left}."
            match event:
                case Step(preview=Image.Image() as preview):
                    yield [*painted, (preview, str(variant))], status
                case Finished(result=result):
                    painted.append((on_white(result.image), str(variant)))
    took_s = time.monotonic() - began
    yield painted, f"{len(VARIANTS)} options in {took_s:.1f} s. Choose one to take its settings, then press Stylise."


def _small(wanted: Order) -> Order:
    """The same run with few pixels, its pictures decoded and shrunk once for all variants."""
    photo = pictures.load(wanted.photo, "photo")
    longer_px = math.sqrt(AREA_PX * max(photo.size) / min(photo.size))
    settings = dataclasses.replace(wanted.settings, size=min(wanted.settings.size, max(round(longer_px), LEAST_PX)))
    if len(levels_of(photo, settings)) == 1:
        settings = dataclasses.replace(settings, steps=STEPS_OF_ONE_LEVEL)
    return dataclasses.replace(
        wanted,
        photo=_shrunk(photo, 2 * settings.size),
        styles=tuple(_shrunk(pictures.load(style, "style picture"), STYLE_PX) for style in wanted.styles),
        settings=settings,
    )


def _shrunk(picture: Image.Image, longer_px: int) -> Image.Image:
    """No larger than so many pixels, and no smaller than it is allowed to be."""
    if max(picture.size) <= longer_px or min(picture.size) * longer_px < 32 * max(picture.size):
        return picture
    return pictures.scaled(picture, pictures.result_size(picture, longer_px))


def take(alpha: float, chosen: gr.SelectData) -> tuple[Any, ...]:
    """The settings of a variant -> (strength, beta, style scale, status)."""
    variant = VARIANTS[chosen.index]
    status = f"Taken: {variant}. Press Stylise to paint it at full size."
    return variant.strength, beta_of(variant.strength, alpha), variant.style_scale, status
