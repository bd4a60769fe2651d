"""The handlers of the tab "What is style?": numbers of `nst.explain` as sentences, figures and pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image, ImageOps

from nst import Finished, Settings, Step, stylise_events
from nst.cache import BoundedCache
from nst.explain import channels, layer_studies
from nst.explain.compare import Comparison, compare
from nst.explain.look import STYLE_LAYERS, Look, Patch, cut, look_at, on_picture, strongest_patches
from nst.features.receptive_field import receptive_field
from nst.ui.explain.heatmaps import comparison_figure, costs_figure, matrix_figure
from nst.ui.server import examples
from nst.ui.server.devices import on_free_device
from nst.ui.server.events import Updates
from nst.ui.stylise.form import DEFAULTS
from nst.ui.stylise.handlers import with_sentences
from nst.ui.stylise.visit import Visit

SOURCES = {"style": "Style", "photo": "Photo", "result": "Result"}
# For all visitors together, in bytes.
LOOKS = BoundedCache(600 * 2**20, attrgetter("nbytes"))  # activations: about eight pictures
COMPARISONS = BoundedCache(200 * 2**20, attrgetter("nbytes"))
PAIRS = 8
PATCH_PX, COLUMNS, GAP_PX = 84, 3, 3  # of a sheet of patches
ABOVE, BELOW = (255, 110, 0), (40, 120, 255)  # colours where a map is above and below zero
FADED = 0.45  # brightness of the picture under a map, as a share

Picture = str | Image.Image
Captioned = list[tuple[Picture, str]]  # pictures with their captions


def picture_of(source: str, photo: str | None, style: str | None, visit: Visit | None) -> Picture:
    """The picture of this source. `ValueError` when it is not there yet."""
    if source != "result":
        chosen = photo if source == "photo" else style
        if chosen is None:
            raise ValueError(f"there is no {SOURCES[source].lower()} yet; choose one on the first tab")
        return chosen
    return _result(photo, style, visit)


def _result(photo: str | None, style: str | None, visit: Visit | None) -> Picture:
    if (picture := visit and visit.usable()) is not None:
        return picture.result.image
    first_photo, first_style, example, _ = examples.first_sight()
    same = [
        given and Path(given).name == Path(first).name for given, first in ((photo, first_photo), (style, first_style))
    ]
    if not all(same):
        raise ValueError("there is no result of these two pictures yet; press Stylise on the first tab")
    return example


def _key(picture: Picture) -> str:
    """A name for a picture by its content; gradio names the folder of an upload by its content, too."""
    return picture if isinstance(picture, str) else hashlib.sha256(picture.tobytes()).hexdigest()


def _look(picture: Picture, layer: str) -> Look:
    """Activations of a layer, cached. The five style layers are computed together, in one pass."""
    layers = STYLE_LAYERS if layer in STYLE_LAYERS else (layer,)
    return LOOKS.get((_key(picture), layers), lambda: look_at(picture, layers))


def show_matrix(source: str, layer: str, kind: str, ordering: str, scale: str, *pictures: Any) -> Updates:
    """The matrix as a heat map, what it is in words, and its strongest pairs of channels."""
    look = _look_at_source(source, layer, *pictures)
    block = look.block(layer)
    height, width, count = look.shape(layer)
    words = f"Activations of {height} x {width} positions x {count} channels. {channels.KINDS[kind].capitalize()}."
    pairs = [pair_name(pair.k, pair.m) for pair in channels.strongest_pairs(block, kind, PAIRS)]
    return {
        "matrix": matrix_figure(channels.matrix(block, kind), channels.order(block, ordering), scale),
        "matrix_words": words,
        "pairs": gr.Radio(pairs, value=pairs[0] if pairs else None),
    }


def pair_name(k: int, m: int) -> str:
    return f"{k} and {m}"


def choose_pair(name: str | None) -> Updates:
    """Set the two channels by the name of a pair."""
    if not name:
        return {}
    k, m = (int(part) for part in name.split(" and "))
    return {"k": k, "m": m}


def show_pair(source: str, layer: str, kind: str, k: float, m: float, *pictures: Any) -> Updates:
    """Two channels: where each fires, what excites it most, where both fire together, and their entry of the matrix."""
    look = _look_at_source(source, layer, *pictures)
    block = look.block(layer)
    k, m = int(k or 0), int(m or 0)
    try:
        product = channels.product_map(block, k, m, kind)
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    side = receptive_field(layer).side
    number = (
        f"The bright spots of the last map add up to **{product.sum():.4g}**, the entry ({k}, {m}) of the matrix. "
        f"A patch is the {side} x {side} pixels that a position of {layer} sees."
    )
    updates = {"relation": channels.relation(block, k, m), "entry": number}
    for name, channel in (("k", k), ("m", m)):
        updates[f"map_{name}"] = overlay(look, layer, channels.activation_map(block, channel))
        updates[f"patches_{name}"] = sheet(look, strongest_patches(look, layer, channel))
    return {**updates, "product": overlay(look, layer, product)}


def _look_at_source(source: str, layer: str, *pictures: Any) -> Look:
    try:
        return _look(picture_of(source, *pictures), layer)
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None


def overlay(look: Look, layer: str, values: np.ndarray) -> Image.Image:
    """A map (h, w) in colours over its picture, which is grey where the map is near zero."""
    heat = on_picture(look, layer, values)[..., None]  # (H, W, 1)
    share = np.abs(heat) / (np.abs(heat).max() or 1)
    grey = np.asarray(look.picture.convert("L"), dtype=np.float32)[..., None] * FADED
    colour = np.where(heat >= 0, np.float32(ABOVE), np.float32(BELOW))
    return Image.fromarray((grey + share * (colour - grey)).clip(0, 255).astype(np.uint8))


def sheet(look: Look, patches: Sequence[Patch]) -> Image.Image | None:
    """Patches in rows of three, the strongest first; None when a channel never fires."""
    if not patches:
        return None
    rows = -(-len(patches) // COLUMNS)
    pitch = PATCH_PX + GAP_PX
    drawn = Image.new("RGB", (COLUMNS * pitch - GAP_PX, rows * pitch - GAP_PX), (128, 128, 128))
    for index, patch in enumerate(patches):
        tile = ImageOps.contain(cut(look, patch), (PATCH_PX, PATCH_PX), Image.Resampling.NEAREST)
        tile = tile.resize((PATCH_PX, PATCH_PX), Image.Resampling.BICUBIC)
        drawn.paste(tile, (index % COLUMNS * pitch, index // COLUMNS * pitch))
    return drawn


def show_comparison(layer: str, kind: str, ordering: str, scale: str, *pictures: Any) -> Updates:
    """The matrices of photo, style and result, the style cost of each layer as bars, and what they say in words."""
    *_, visit = pictures
    try:
        chosen = [picture_of(source, *pictures) for source in ("photo", "style", "result")]
        painted = visit and visit.usable()
        settings = painted.request.settings if painted else Settings()
        key = (*map(_key, chosen), settings.style_scale, settings.pooling, layer in STYLE_LAYERS or layer)
        layers = STYLE_LAYERS if layer in STYLE_LAYERS else (*STYLE_LAYERS, layer)
        comparison = COMPARISONS.get(key, lambda: compare(*chosen, settings, layers))
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    shown = _compared(comparison, layer, kind, ordering, scale)
    if settings.style_parts != DEFAULTS.style_parts:
        shown["compare_words"] += " These are the plain matrices; the run left out what stands in the style once."
    return shown


def _compared(comparison: Comparison, layer: str, kind: str, ordering: str, scale: str) -> Updates:
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
        f"{max(0.0, 1 - found.after / found.before):.0%} of the way to the style's own matrix, whose cost is 0."
        if found.before
        else ""
    )
    return {
        "matrices": comparison_figure(matrices, list(orders[ordering]()), scale),
        "bars": costs_figure(comparison, "photo", "result"),
        "compare_words": words.replace("%", " %"),
    }


def show_shipped_studies(photo: str | None, style: str | None) -> Updates:
    """What each layer knows of the two pictures, as far as they are examples."""
    return {
        "textures": _shipped(style, layer_studies.TEXTURE_LAYERS),
        "contents": _shipped(photo, layer_studies.CONTENT_LAYERS),
    }


def _shipped(path: str | None, layers: tuple[str, ...]) -> Captioned:
    found = [(examples.study(path or "", layer), layer) for layer in layers]
    return [(study, layer) for study, layer in found if Path(study).is_file()]


def paint_textures(style: str | None) -> Iterator[Updates]:
    """The style picture from noise, by one layer at a time."""
    studies = {layer: (style, style, layer_studies.texture_settings(layer)) for layer in layer_studies.TEXTURE_LAYERS}
    yield from with_sentences(_painted(studies))


def paint_contents(photo: str | None) -> Iterator[Updates]:
    """The photo from noise, by one layer at a time."""
    studies = {layer: (photo, photo, layer_studies.content_settings(layer)) for layer in layer_studies.CONTENT_LAYERS}
    yield from with_sentences(_painted(studies))


def paint_playground(photo: str | None, style: str | None) -> Iterator[Updates]:
    """The pair painted with one layer's lambda at 1 and the others at 0."""
    studies = {layer: (photo, style, layer_studies.playground_settings(layer)) for layer in STYLE_LAYERS}
    yield from with_sentences(_painted(studies))


@on_free_device
def _painted(device: str, studies: dict[str, tuple[str | None, str | None, Settings]]) -> Iterator[Updates]:
    """Small runs, one after the other: photo, style and settings by layer."""
    done: Captioned = []
    for number, (layer, (photo, style, settings)) in enumerate(studies.items(), start=1):
        if photo is None or style is None:
            raise ValueError("a picture is missing; choose one on the first tab")
        for event in stylise_events(photo, style, replace(settings, device=device)):
            match event:
                case Step(preview=Image.Image() as preview):
                    yield {
                        "study": [*done, (preview, layer)],
                        "status": f"Painting {number} of {len(studies)}: {layer}.",
                    }
                case Finished(result=result):
                    done.append((result.image, layer))
    yield {"study": done, "status": f"{len(done)} pictures, one layer each."}
