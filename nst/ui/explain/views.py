"""What the tab "What is style?" shows of what a visitor chose: the numbers of `nst.explain` in words and pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import gradio as gr
import plotly.graph_objects as go
from PIL import Image

from nst import Finished, Settings, Step, stylise_events
from nst.cache import BoundedCache
from nst.explain import channels, layer_studies
from nst.explain.compare import Comparison, compare
from nst.explain.look import STYLE_LAYERS, Look, look_at, strongest_patches
from nst.features.receptive_field import receptive_field
from nst.ui.explain.heatmaps import comparison_figure, costs_figure, matrix_figure
from nst.ui.explain.overlays import overlay, sheet
from nst.ui.server import examples
from nst.ui.server.devices import on_its_own
from nst.ui.stylise.handlers import Kept, answered

SOURCES = {"style": "Style", "photo": "Photo", "result": "Result"}
# For all visitors together, in bytes.
LOOKS = BoundedCache(600 * 2**20, attrgetter("nbytes"))  # activations: about eight pictures
COMPARISONS = BoundedCache(200 * 2**20, attrgetter("nbytes"))
PAIRS = 8

Picture = str | Image.Image
Pictures = list[tuple[Image.Image | str, str]]  # with their captions


def picture_of(source: str, photo: str | None, style: str | None, kept: Kept | None) -> Picture:
    """The picture that is looked at. `ValueError` when it is not there yet."""
    if source != "result":
        chosen = photo if source == "photo" else style
        if chosen is None:
            raise ValueError(f"there is no {SOURCES[source].lower()} yet; choose one on the first tab")
        return chosen
    return _result(photo, style, kept)


def _result(photo: str | None, style: str | None, kept: Kept | None) -> Picture:
    if kept is not None:
        return kept.picture
    first_photo, first_style, example, _ = examples.first_sight()
    same = [
        given and Path(given).name == Path(first).name for given, first in ((photo, first_photo), (style, first_style))
    ]
    if not all(same):
        raise ValueError("there is no result of these two pictures yet; press Stylise on the first tab")
    return example


def _key(picture: Picture) -> str:
    """Names a picture by what is in it: uploads lie in folders named so."""
    return picture if isinstance(picture, str) else hashlib.sha256(picture.tobytes()).hexdigest()


def _look(picture: Picture, layer: str) -> Look:
    """Activations of a layer, from those looked at last: the five style layers come together."""
    layers = STYLE_LAYERS if layer in STYLE_LAYERS else (layer,)
    return LOOKS.get((_key(picture), layers), lambda: look_at(picture, layers))


def show_matrix(
    source: str, layer: str, kind: str, ordering: str, scale: str, *pictures: Any
) -> tuple[go.Figure, str, gr.Radio]:
    """-> (heat map, what it is, strongest pairs)."""
    look = _looked(source, layer, *pictures)
    block = look.block(layer)
    height, width, count = look.shape(layer)
    figure = matrix_figure(channels.matrix(block, kind), channels.order(block, ordering), scale)
    words = f"Activations of {height} x {width} positions x {count} channels. {channels.KINDS[kind].capitalize()}."
    pairs = [pair_name(pair.k, pair.m) for pair in channels.strongest_pairs(block, kind, PAIRS)]
    return figure, words, gr.Radio(pairs, value=pairs[0] if pairs else None)


def pair_name(k: int, m: int) -> str:
    return f"{k} and {m}"


def pair_of(name: str | None) -> tuple[Any, Any]:
    """The channels that a name, or a clicked cell, stands for -> (k, k')."""
    if not name:
        return gr.skip(), gr.skip()
    k, m = (int(part) for part in name.split(" and "))
    return k, m


def show_pair(source: str, layer: str, kind: str, k: float, m: float, *pictures: Any) -> tuple[Any, ...]:
    """-> (sentence, number, map of k, patches of k, map of k', patches of k', product map)."""
    look = _looked(source, layer, *pictures)
    block = look.block(layer)
    k, m = int(k or 0), int(m or 0)
    try:
        product = channels.product_map(block, k, m, kind)
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    parts = []
    for channel in (k, m):
        parts.append(overlay(look, layer, channels.activation_map(block, channel)))
        parts.append(sheet(look, strongest_patches(look, layer, channel)))
    field = receptive_field(layer)
    number = (
        f"The bright spots of the last map add up to **{product.sum():.4g}**, the entry ({k}, {m}) of the matrix. "
        f"A patch is the {field.side} x {field.side} pixels that a position of {layer} sees."
    )
    return channels.relation(block, k, m), number, *parts, overlay(look, layer, product)


def _looked(source: str, layer: str, *pictures: Any) -> Look:
    try:
        return _look(picture_of(source, *pictures), layer)
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None


def show_comparison(
    layer: str, kind: str, ordering: str, scale: str, *pictures: Any
) -> tuple[go.Figure, go.Figure, str]:
    """Photo, style and result -> (their matrices, bars of J_style[l], what one sees)."""
    *_, kept = pictures
    try:
        chosen = [picture_of(source, *pictures) for source in ("photo", "style", "result")]
        settings = kept.order.settings if kept else Settings()
        key = (*map(_key, chosen), settings.style_scale, settings.pooling, layer in STYLE_LAYERS or layer)
        layers = STYLE_LAYERS if layer in STYLE_LAYERS else (*STYLE_LAYERS, layer)
        comparison = COMPARISONS.get(key, lambda: compare(*chosen, settings, layers))
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    return (*_compared(comparison, layer, kind, ordering, scale),)


def _compared(
    comparison: Comparison, layer: str, kind: str, ordering: str, scale: str
) -> tuple[go.Figure, go.Figure, str]:
    found = comparison.layers[layer]
    orders = {
        "index": lambda: range(len(found.style["gram"])),
        "energy": lambda: channels.order_by_energy(found.style["gram"]),
        "similarity": lambda: channels.order_by_similarity(found.style["correlation"]),
    }
    matrices = {
        "photo": found.content[kind],
        "style": found.style[kind],
        "result": found.result[kind],
        "result - style": found.difference(kind),
    }
    words = (
        f"In {layer} the photo's style cost is {found.before:.3g}, the result's {found.after:.3g}: "
        f"{max(0.0, 1 - found.after / found.before):.0%} of the way, if 0 is the style's own matrix."
        if found.before
        else ""
    )
    figure = comparison_figure(matrices, list(orders[ordering]()), scale)
    return figure, costs_figure(comparison, "photo", "result"), words.replace("%", " %")


def shipped_studies(photo: str | None, style: str | None) -> tuple[Pictures, Pictures]:
    """What each layer knows of the two pictures, where they are examples -> (textures, contents)."""
    return _shipped(style, layer_studies.TEXTURE_LAYERS), _shipped(photo, layer_studies.CONTENT_LAYERS)


def _shipped(path: str | None, layers: tuple[str, ...]) -> Pictures:
    found = [(examples.study(path or "", layer), layer) for layer in layers]
    return [(study, layer) for study, layer in found if Path(study).is_file()]


def paint_textures(style: str | None) -> Iterator[tuple[Any, str]]:
    """The style picture from noise, by one layer at a time."""
    jobs = {layer: (style, style, layer_studies.texture_settings(layer)) for layer in layer_studies.TEXTURE_LAYERS}
    yield from answered(_painted(jobs), _sentence)


def paint_contents(photo: str | None) -> Iterator[tuple[Any, str]]:
    """The photo from noise, by one layer at a time."""
    jobs = {layer: (photo, photo, layer_studies.content_settings(layer)) for layer in layer_studies.CONTENT_LAYERS}
    yield from answered(_painted(jobs), _sentence)


def paint_playground(photo: str | None, style: str | None) -> Iterator[tuple[Any, str]]:
    """The pair painted with one layer's lambda at 1 and the others at 0."""
    jobs = {layer: (photo, style, layer_studies.playground_settings(layer)) for layer in STYLE_LAYERS}
    yield from answered(_painted(jobs), _sentence)


@on_its_own
def _painted(device: str, jobs: dict[str, tuple[str | None, str | None, Settings]]) -> Iterator[tuple[Pictures, str]]:
    """Small runs one after the other -> (pictures so far, status)."""
    done: Pictures = []
    for number, (layer, (photo, style, settings)) in enumerate(jobs.items(), start=1):
        if photo is None or style is None:
            raise ValueError("a picture is missing; choose one on the first tab")
        for event in stylise_events(photo, style, replace(settings, device=device)):
            match event:
                case Step(preview=Image.Image() as preview):
                    yield [*done, (preview, layer)], f"Painting {number} of {len(jobs)}: {layer}."
                case Finished(result=result):
                    done.append((result.image, layer))
    yield done, f"{len(done)} pictures, one layer each."


def _sentence(sentence: str) -> tuple[Any, str]:
    return gr.skip(), sentence
