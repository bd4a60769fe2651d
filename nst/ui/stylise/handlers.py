"""The handlers that paint: they turn parameters into a run, and the events of the run into what the page shows."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from nst import Costs, Degraded, Event, Finished, Result, Started, Step, stylise_events
from nst.features.weights import WeightsError
from nst.images.decode import on_white
from nst.images.painting import Painting
from nst.images.timelapse import Timelapse
from nst.memory import OutOfMemoryError
from nst.settings import QUALITIES
from nst.ui.server.devices import on_free_device
from nst.ui.server.events import Updates
from nst.ui.server.limits import page_limits
from nst.ui.stylise import status_text
from nst.ui.stylise.curve import curve_rows
from nst.ui.stylise.form import DEFAULTS, RunRequest, run_request

STREAMS = "Streams (picture, curve, status) while it works."
PUBLIC = ("picture", "chart", "status")  # what the endpoint gives back, in this order
SHOWN = (*PUBLIC, "kept")  # what a run on the page changes
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)  # gradio hashes the value of a State, and pictures have no hash
class Kept:
    """What the server keeps for a visitor: the newest picture, and the run that painted it."""

    picture: Image.Image
    size: tuple[int, int]  # (width, height) of the file; pictures of small levels are scaled up to it
    film: Timelapse
    request: RunRequest
    result: Result | None = None  # None until the run is finished
    painting: Painting | None = None  # the result's painting in other colours, once they were changed
    text: Mapping[str, str] | None = None  # the recipe of an earlier picture that is shown again

    def painting_on_page(self) -> Painting | None:
        """The finished painting in the colours that the page shows."""
        return self.painting or (self.result and self.result.painting)

    def uncoloured(self) -> Image.Image:
        """The picture as it was painted, before it was given the photo's colours."""
        return self.result.painting.recoloured("style", 1.0).picture() if self.result else self.picture


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
    max_seconds: float = 0,
) -> Iterator[Updates]:
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
        init: Start from content, coloured, noise or style.
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
        max_seconds: Stop after this many seconds with the picture so far; 0 for no limit.

    Returns:
        The picture so far, the loss curve (step, log10 cost, series) and a status line.
    """
    for updates in paint(*locals().values()):
        yield {name: updates[name] for name in PUBLIC if name in updates}


PARAMETERS = tuple(inspect.signature(stylise).parameters)


def repaint(*values: Any) -> Iterator[Updates]:
    for updates in stylise(*values):
        yield {name: updates[name] for name in ("picture",) if name in updates}


# `repaint` is `stylise` for assistants. gradio's MCP server (6.31) turns several outputs into one text, so `repaint`
# has one output; and the server reads the parameters and their descriptions from the signature and the docstring.
repaint.__signature__ = inspect.signature(stylise)
repaint.__doc__ = stylise.__doc__.replace(STREAMS, "Gives back the finished picture, after some ten seconds.")
stylise._mcp_type = "not for assistants"


def paint(*values: Any) -> Iterator[Updates]:
    """Paint as `stylise` does, for the page, which also keeps the run."""
    yield from with_sentences(_painted(dict(zip(PARAMETERS, values, strict=True))))


def go_on(kept: Kept | None, *values: Any) -> Iterator[Updates]:
    """More steps from the picture on the page, at its size; `values` are those of `stylise`."""
    yield from with_sentences(_from_here(kept, values))


def paint_bigger(kept: Kept | None, *values: Any) -> Iterator[Updates]:
    """The picture on the page twice as large, with finer strokes; `values` are those of `stylise`."""
    yield from with_sentences(_from_here(kept, values, times=2))


def _from_here(kept: Kept | None, values: Sequence[Any], times: int = 1) -> Iterator[Updates]:
    if kept is None:
        raise ValueError("there is no picture of yours yet to continue from; press Stylise first")
    given = {**dict(zip(PARAMETERS, values, strict=True)), "start": kept.uncoloured(), "original_size": False}
    steps = QUALITIES[given["quality"]][1]
    given["size"] = min(times * max(kept.size), page_limits().size)
    yield from _painted(given, pyramid=False, steps=steps)


@on_free_device
def _painted(device: str, given: Mapping[str, Any], **changes: Any) -> Iterator[Updates]:
    """The run of these parameters, with some settings changed."""
    run = run_request(given, device=device, **changes)
    yield from _frames(stylise_events(run.photo, run.styles, run.settings, masks=run.masks, start=run.start), run)


def with_sentences(stream: Iterator[Updates]) -> Iterator[Updates]:
    """What a run shows. Any failure ends in a sentence: the page gets it as the status, a program as the error.

    Everything else on the page stays as it was.
    """
    try:
        yield from stream
        return
    except (ValueError, WeightsError) as error:
        sentence = _sentence(str(error))
    except OutOfMemoryError:
        sentence = "The device is out of memory. Choose a smaller size, or try again later."
    except Exception:
        log.exception("a run failed")
        sentence = "Something went wrong on the server and the run was stopped. Please try again."
    yield {"status": sentence}
    raise gr.Error(sentence, print_exception=False)


def _frames(events: Iterator[Event], run: RunRequest) -> Iterator[Updates]:
    """What the page shows at the start, at each preview and at the end. Closing it closes the run."""
    history: list[Costs] = []
    film = Timelapse()
    notice = ""
    for event in events:
        match event:
            case Started() as started:
                film.add(started.preview)
                yield _frame(started.preview, history, "Looking at the two pictures ...", None)
            case Step(costs=costs, preview=preview):
                history.append(costs)
                if preview is not None:
                    film.add(preview)
                    kept = Kept(preview, started.preview.size, film, run)
                    yield _frame(preview, history, status_text.progress(started, event, history), kept)
            case Degraded(reason=reason):
                notice += f" {reason}"
            case Finished(result=result):
                picture = on_white(result.image)
                film.add(picture)
                kept = Kept(result.image, result.image.size, film, run, result)
                yield _frame(picture, history, status_text.summary(result) + notice, kept)


def _frame(picture: Image.Image, history: Sequence[Costs], status: str, kept: Kept | None) -> Updates:
    return {"picture": picture, "chart": curve_rows(history), "status": status, "kept": kept}


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")
