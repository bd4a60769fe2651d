"""The handlers that paint: they turn parameters into a run, and the events of the run into what the page shows."""

from __future__ import annotations

import dataclasses
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import gradio as gr

from nst import Event, Started, stylise_events
from nst.features.weights import WeightsError
from nst.memory import OutOfMemoryError
from nst.objective.targets import kept_styles
from nst.settings import QUALITIES
from nst.ui.server.devices import on_free_device
from nst.ui.server.events import Updates
from nst.ui.server.limits import page_limits
from nst.ui.stylise import after_run, printing
from nst.ui.stylise.form import DEFAULTS, RunRequest, run_request
from nst.ui.stylise.picture import Run
from nst.ui.stylise.visit import Visit
from nst.ui.stylise.visits import visits
from nst.ui.stylise.zerogpu import needed_s, on_zerogpu

STREAMS = "Streams (picture, curve, status) while it works."
PUBLIC = ("picture", "chart", "status")  # what the endpoint gives back, in this order
log = logging.getLogger(__name__)


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
    style_parts: str = DEFAULTS.style_parts,
    style_mask: str | None = None,
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
        quality: sketch, draft, balanced or fine.
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
        style_parts: What counts as style: all of the style picture, or only what is recurring in it.
        style_mask: What of the first style counts: white does, black does not, and style_parts decides about the rest.

    Returns:
        The picture so far, the loss curve (step, log10 cost, series) and a status line.
    """
    given = dict(locals())
    yield from with_sentences(_frames(given))


PARAMETERS = tuple(inspect.signature(stylise).parameters)


def repaint(*values: Any) -> Iterator[Updates]:
    for updates in stylise(*values):
        yield {name: updates[name] for name in ("picture",) if name in updates}


# `repaint` is `stylise` for assistants. gradio's MCP server (6.31) turns several outputs into one text, so `repaint`
# has one output; and the server reads the parameters and their descriptions from the signature and the docstring.
repaint.__signature__ = inspect.signature(stylise)
repaint.__doc__ = stylise.__doc__.replace(STREAMS, "Gives back the finished picture, after some ten seconds.")
stylise._mcp_type = "not for assistants"


def paint(visit: Visit, number: float, file_format: str, *values: Any) -> Iterator[Updates]:
    """Paint as `stylise` does, for the page, which also keeps the run; `number` is the run's, from `Visit.start`."""
    given = dict(zip(PARAMETERS, values, strict=True))
    yield from _for_visitor(visit, number, file_format, lambda: run_request(given))


def go_on(visit: Visit, number: float, file_format: str, *values: Any) -> Iterator[Updates]:
    """More steps from the picture on the page, at its size; `values` are those of `stylise`."""
    yield from _for_visitor(visit, number, file_format, lambda: request_from_here(visit, values))


def paint_bigger(visit: Visit, number: float, file_format: str, *values: Any) -> Iterator[Updates]:
    """The picture on the page twice as large, with finer strokes; `values` are those of `stylise`."""
    yield from _for_visitor(visit, number, file_format, lambda: request_from_here(visit, values, times=2))


def paint_print(
    visit: Visit, number: float, file_format: str, length: float, unit: str, dpi: float, *values: Any
) -> Iterator[Updates]:
    """The picture on the page at the size of a print; `values` are those of `stylise`."""

    def requested() -> RunRequest:
        request = request_from_here(visit, values, printing.longer_px(length, unit, dpi))
        return dataclasses.replace(request, dpi=int(dpi))

    yield from _for_visitor(visit, number, file_format, requested)


def show_print(visit: Visit, length: float, unit: str, dpi: float, *values: Any) -> Updates:
    """What such a print takes."""
    return printing.plan(visit, length, unit, dpi, lambda px: request_from_here(visit, values, px))


def request_from_here(visit: Visit, values: Sequence[Any], px: int | None = None, times: int = 1) -> RunRequest:
    """A run that starts from the picture on the page, at its size, a multiple of it, or with this longer side."""
    picture = visit.present
    if picture is None:
        raise ValueError("there is no picture of yours yet to continue from; press Stylise first")
    start = picture.uncoloured()
    given = {**dict(zip(PARAMETERS, values, strict=True)), "start": start, "original_size": False}
    given["size"] = px or min(times * max(start.size), page_limits().size)
    return run_request(given, pyramid=False, steps=QUALITIES[given["quality"]][1])


def _for_visitor(
    visit: Visit, number: float, file_format: str, requested: Callable[[], RunRequest]
) -> Iterator[Updates]:
    """A run as the page shows it. Its last update is the whole display, in the order of the stream: none is late."""
    picture, why = None, ""
    visit.file_format = file_format
    try:
        run = Run(requested()) if visit.do("begin", number) else None
        if run is None:
            return
        with closing(run_events(run.request)) as events:
            for event in events:
                updates = run.take(event)
                if not visit.goes_on(number, run, event):
                    break
                if updates and run.result is None:
                    yield updates | (after_run.running_buttons() if isinstance(event, Started) else {})
        if visit.keeps(number):
            picture = run.picture()
    except GeneratorExit:
        visit.leave(number)
        raise
    except Exception as error:
        why = sentence_for(error)
    if visit.end(number, picture, why):
        visits().make_room(visit)
        yield after_run.show(visit)
    if why:
        raise gr.Error(why, print_exception=False)


@partial(on_zerogpu, seconds=needed_s)
@on_free_device
def run_events(device: str, request: RunRequest) -> Iterator[Event]:
    """The run that was asked for, on a device. In a forked process where there is ZeroGPU."""
    settings = dataclasses.replace(request.settings, device=device)
    given = {"masks": request.masks, "start": request.start, "style_masks": request.style_masks, "memo": kept_styles()}
    yield from stylise_events(request.photo, request.styles, settings, **given)


def with_sentences(stream: Iterator[Updates]) -> Iterator[Updates]:
    """What a run shows. Any failure ends in a sentence: the page gets it as the status, a program as the error.

    Everything else on the page stays as it was.
    """
    try:
        yield from stream
        return
    except Exception as error:
        sentence = sentence_for(error)
    yield {"status": sentence}
    raise gr.Error(sentence, print_exception=False)


def sentence_for(error: Exception) -> str:
    """What people are told of an error."""
    if isinstance(error, (ValueError, WeightsError)):
        message = str(error)
        return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")
    if isinstance(error, OutOfMemoryError):
        return "The device is out of memory. Choose a smaller size, or try again later."
    log.error("a run failed", exc_info=error)
    return "Something went wrong on the server and the run was stopped. Please try again."


def _frames(given: Mapping[str, Any]) -> Iterator[Updates]:
    """What a program gets at the start, at each preview and at the end. Closing it closes the run."""
    run = Run(run_request(given))
    with closing(run_events(run.request)) as events:
        yield from filter(None, map(run.take, events))
