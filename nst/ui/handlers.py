"""Turn what a visitor does into a run, and the run's events into what the page shows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pandas as pd
from gradio.processing_utils import save_pil_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from nst import Costs, Degraded, Finished, Result, Settings, Started, Step, stylise_events
from nst.ui.curve import curve
from nst.weights import WeightsError

log = logging.getLogger(__name__)

# What one yield shows: picture, loss curve, status line, and the picture again for the server to keep.
Shown = tuple[Image.Image | None, pd.DataFrame, str, Image.Image | None]


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

    Returns:
        The picture so far, the loss curve (step, log10 cost, series) and a status line.
    """
    lambdas = (lambda_relu1_1, lambda_relu2_1, lambda_relu3_1, lambda_relu4_1, lambda_relu5_1)
    try:
        if photo is None or style is None:
            missing = "photo" if photo is None else "style picture"
            raise ValueError(f"there is no {missing} yet; drop one, or click one of the examples")
        settings = Settings(
            alpha=alpha,
            beta=beta,
            style_layers=dict(zip(Settings().style_layers, lambdas, strict=True)),
            content_layers={content_layer: 1.0},
            size=_whole("size", size),
            quality=quality,
            optimiser=optimiser,
            init=init,
            total_variation=total_variation,
            seed=_whole("seed", seed),
        )
        yield from _frames(stylise_events(photo, style, settings))
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
                    kept = preview.resize(started.preview.size, Image.Resampling.BICUBIC)
                    yield preview, curve(history), _progress(started, event), kept
            case Degraded(reason=reason):
                notice = f" {reason}"
            case Finished(result=result):
                yield result.image, curve(history), _summary(result) + notice, result.image


def path_of_upload(payload: Any) -> str | None:
    """What `gr.Image.preprocess` should give us: the uploaded file's path, not yet opened.

    gr.Image opens each upload before the handler runs, where a broken file ends in a bare "Error", and its conversion
    to RGB shows the colours hidden under transparency. `nst.images` does both properly, and with a sentence.
    """
    return payload.path if payload else None


def show_waiting() -> tuple[object, ...]:
    """After the click Stop takes the place of Stylise -> (stylise button, stop button, download, status)."""
    status = "Waiting for the processor: one picture is painted at a time ..."
    return gr.Button(visible=False), gr.Button(visible=True), gr.DownloadButton(interactive=False), status


def show_done(kept: Image.Image | None) -> tuple[object, ...]:
    """After a run the buttons change back and the PNG is ready -> (stylise button, stop button, download)."""
    if kept is None:
        download = gr.DownloadButton(interactive=False)
    else:
        path = save_pil_to_cache(kept, get_upload_folder(), name="stylised", format="png")
        download = gr.DownloadButton(value=path, interactive=True)
    return gr.Button(visible=True), gr.Button(visible=False), download


def show_stopped(kept: Image.Image | None) -> tuple[object, ...]:
    """After Stop the last picture is the result -> (stylise button, stop button, download, status)."""
    status = "Stopped before the first picture." if kept is None else "Stopped. The picture so far is your result."
    return *show_done(kept), status


def _progress(started: Started, step: Step) -> str:
    costs = step.costs
    place = f"level {costs.level} of {len(started.levels)}, {max(costs.size)} px, step {costs.step} of {started.steps}"
    return f"{place.capitalize()}, {step.eta_seconds:.0f} s left. {started.compute}"


def _summary(result: Result) -> str:
    size = f"{result.image.width} x {result.image.height} px"
    return f"Finished: {size} in {result.seconds:.1f} s and {len(result.history)} steps. {result.compute}"


def _whole(name: str, value: float) -> int:
    """A number from a slider or a client as an int; fractions are refused, not cut off."""
    if value is None or value % 1 != 0:  # true for NaN and infinity too
        raise ValueError(f"{name}={value} must be a whole number")
    return int(value)


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")
