"""Turn what a visitor does into a run, and the run's events into what the page shows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import pandas as pd
from PIL import Image

from nst import Costs, Degraded, Finished, Result, Settings, Started, Step, stylise_events
from nst.decode import on_white
from nst.painting import Painting
from nst.ui.curve import curve
from nst.ui.regions import masks_of
from nst.weights import WeightsError

log = logging.getLogger(__name__)

DEFAULTS = Settings()


@dataclass(frozen=True)
class Kept:
    """What the server keeps for a visitor: the newest picture, and after a run what its colours can be changed with."""

    picture: Image.Image
    size: tuple[int, int]  # (width, height) that the file will have; small levels are scaled up
    painting: Painting | None = None


# What one yield shows: picture, loss curve, status line, and what the server keeps.
Shown = tuple[Image.Image | None, pd.DataFrame, str, Kept | None]


def stylise(
    photo: str | None,
    style: str | None,
    alpha: float,
    beta: float,
    lambda_relu1_1: float,
    lambda_relu2_1: float,
    lambda_relu3_1: float,
    lambda_relu4_1: float,
    lambda_relu5_1: float,
    content_layer: str,
    size: float,
    quality: str,
    optimiser: str,
    init: str,
    total_variation: float,
    seed: float,
    start: str | None = None,
    statistic: str = DEFAULTS.statistic,
    pooling: str = DEFAULTS.pooling,
    averaging: float = DEFAULTS.averaging,
    style_scale: float = DEFAULTS.style_scale,
    original_size: bool = DEFAULTS.original_size,
    style_2: str | None = None,
    style_3: str | None = None,
    style_4: str | None = None,
    share_1: float = 1.0,
    share_2: float = 1.0,
    share_3: float = 1.0,
    share_4: float = 1.0,
    other_layers: Sequence[Sequence[Any]] = (),
    colour: str = DEFAULTS.colour,
    colour_when: str = DEFAULTS.colour_when,
    colour_amount: float = DEFAULTS.colour_amount,
    mask: str | None = None,
    mask_edge: float = DEFAULTS.mask_edge,
) -> Iterator[Shown]:
    """Repaint a photo in the style of another picture. Streams (picture, curve, status) while it works.

    Args:
        photo: The picture whose content is kept.
        style: The picture whose style is painted.
        alpha: Weight of the content cost.
        beta: Weight of the style cost.
        lambda_relu1_1: Weight of layer relu1_1 in the style cost (colour and grain).
        lambda_relu2_1: Weight of layer relu2_1 (fine strokes).
        lambda_relu3_1: Weight of layer relu3_1 (strokes).
        lambda_relu4_1: Weight of layer relu4_1 (patterns).
        lambda_relu5_1: Weight of layer relu5_1 (motifs).
        content_layer: The layer whose activations hold the content, such as relu4_2.
        size: Longer side of the result in pixels.
        quality: draft, balanced or fine.
        optimiser: lbfgs or adam.
        init: Start from content, noise or style.
        total_variation: Weight of the smoothing term.
        seed: Decides the noise; the same seed gives the same picture.
        start: A picture to start from instead of `init`.
        statistic: What is compared: gram or wasserstein.
        pooling: max or average.
        averaging: Share of the past in a running average of the pictures, 0 for none.
        style_scale: How large the strokes are, from 0.25 to 4.
        original_size: Scale the result to the photo's own size.
        style_2: A second style picture.
        style_3: A third style picture.
        style_4: A fourth style picture.
        share_1: How much the first style counts.
        share_2: How much the second style counts.
        share_3: How much the third style counts.
        share_4: How much the fourth style counts.
        other_layers: Rows of (layer, lambda, content weight) for further layers.
        colour: Whose colours: style, luminance, symmetric, cholesky, pca or histogram.
        colour_when: Take the photo's colours before or after the run.
        colour_amount: How far the colours change, from 0 to 1.
        mask: Where the style goes: white, or painted on nothing; red, green, blue and yellow for styles 1 to 4.
        mask_edge: Width of the mask's soft edge as a share of the longer side.

    Returns:
        The picture so far, the loss curve (step, log10 cost, series) and a status line.
    """
    lambdas = (lambda_relu1_1, lambda_relu2_1, lambda_relu3_1, lambda_relu4_1, lambda_relu5_1)
    offered = zip((style, style_2, style_3, style_4), (share_1, share_2, share_3, share_4), strict=True)
    try:
        if photo is None or style is None:
            missing = "photo" if photo is None else "style picture"
            raise ValueError(f"there is no {missing} yet; drop one, or click one of the examples")
        styles, shares = zip(*[(picture, share) for picture, share in offered if picture is not None], strict=True)
        style_layers, content_layers = _layers(other_layers)
        settings = Settings(
            alpha=alpha,
            beta=beta,
            style_layers={**dict(zip(DEFAULTS.style_layers, lambdas, strict=True)), **style_layers},
            content_layers={content_layer: 1.0, **content_layers},
            style_blend=shares,
            style_scale=style_scale,
            statistic=statistic,
            colour=colour,
            colour_when=colour_when,
            colour_amount=colour_amount,
            mask_edge=mask_edge,
            size=_whole("size", size),
            original_size=original_size,
            quality=quality,
            optimiser=optimiser,
            init=init,
            pooling=pooling,
            total_variation=total_variation,
            averaging=averaging,
            seed=_whole("seed", seed),
        )
        places = masks_of(mask, len(styles))
        yield from _frames(stylise_events(photo, styles, settings, masks=places, start=start))
    except (ValueError, WeightsError) as error:
        yield from _refuse(_sentence(str(error)))
    except Exception:
        log.exception("a run failed")
        yield from _refuse("Something went wrong on the server and the run was stopped. Please try again.")


def _refuse(sentence: str) -> Iterator[tuple[Any, ...]]:
    """Leave the sentence on the page, where everything else stays as it was, and tell programs by an error."""
    yield gr.skip(), gr.skip(), sentence, gr.skip()
    raise gr.Error(sentence, print_exception=False)


def _frames(events: Iterator[Started | Step | Degraded | Finished]) -> Iterator[Shown]:
    """What the page shows at the start, at each preview and at the end. Closing it closes the run."""
    history: list[Costs] = []
    notice = ""
    for event in events:
        match event:
            case Started() as started:
                yield started.preview, curve(()), "Looking at the two pictures ...", None
            case Step(costs=costs, preview=preview):
                history.append(costs)
                if preview is not None:
                    kept = Kept(preview, started.preview.size)
                    yield preview, curve(history), _progress(started, event), kept
            case Degraded(reason=reason):
                notice = f" {reason}"
            case Finished(result=result):
                kept = Kept(result.image, result.image.size, result.painting)
                yield on_white(result.image), curve(history), _summary(result) + notice, kept


def _progress(started: Started, step: Step) -> str:
    costs = step.costs
    place = f"level {costs.level} of {len(started.levels)}, {max(costs.size)} px, step {costs.step} of {started.steps}"
    return f"{place.capitalize()}, {step.eta_seconds:.0f} s left. {started.compute}"


def _summary(result: Result) -> str:
    size = f"{result.image.width} x {result.image.height} px"
    return f"Finished: {size} in {result.seconds:.1f} s and {len(result.history)} steps. {result.compute}"


def _layers(rows: Sequence[Sequence[Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """The table of further layers -> style and content layers whose number is not 0."""
    style, content = {}, {}
    for layer, weight, content_weight in rows:
        for chosen, value in ((style, weight), (content, content_weight)):
            try:
                number = float(value or 0)
            except (TypeError, ValueError):
                raise ValueError(f"{layer} has {value!r:.20} in the table of layers; give a number") from None
            if number != 0:
                chosen[layer] = number
    return style, content


def _whole(name: str, value: float) -> int:
    """A number from a slider or a client as an int; fractions are refused, not cut off."""
    if value is None or value % 1 != 0:  # true for NaN and infinity too
        raise ValueError(f"{name}={value} must be a whole number")
    return int(value)


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")
