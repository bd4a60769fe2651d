"""Small runs of the lesson: pictures painted by one layer, with one lambda, or by one entry of a style matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import gradio as gr
from PIL import Image

from nst import Finished, Settings, Step, stylise_events
from nst.explain import channels, layer_studies
from nst.explain.entry_picture import paint_entry
from nst.explain.look import STYLE_LAYERS
from nst.settings import STYLE_LAYER_WORDS
from nst.ui.explain import views
from nst.ui.explain.views import Asked
from nst.ui.server import examples
from nst.ui.server.devices import on_free_device
from nst.ui.server.events import Updates
from nst.ui.stylise.handlers import with_sentences

Captioned = list[tuple[str | Image.Image, str]]  # pictures with their captions


def show_shipped(photo: str | None, style: str | None) -> Updates:
    """What each layer knows of the two pictures, as far as they are examples; a gallery without pictures is hidden."""
    return {
        "textures": _gallery(shipped(style, layer_studies.TEXTURE_LAYERS)),
        "contents": _gallery(shipped(photo, layer_studies.CONTENT_LAYERS)),
    }


def _gallery(pictures: Sequence[tuple[object, str]]) -> gr.Gallery:
    return gr.Gallery(list(pictures), visible=bool(pictures))


def shipped(path: str | None, layers: tuple[str, ...]) -> Captioned:
    """A picture painted anew by each of these layers, for an example; nothing for another picture."""
    found = [(examples.study(path or "", layer), _caption(layer)) for layer in layers]
    return [(study, caption) for study, caption in found if Path(study).is_file()]


def _caption(layer: str) -> str:
    words = STYLE_LAYER_WORDS.get(layer)
    return f"{layer}: {words}" if words else layer


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
                        "study": _gallery([*done, (preview, _caption(layer))]),
                        "status": f"Painting {number} of {len(studies)}: {layer}.",
                    }
                case Finished(result=result):
                    done.append((result.image, _caption(layer)))
    yield {"study": _gallery(done), "status": f"{len(done)} pictures, one layer each."}


def shipped_lambdas() -> Captioned:
    """The first pictures painted with one lambda at a time."""
    return [(str(examples.lesson(f"lambda_{layer}.jpg")), _caption(layer)) for layer in STYLE_LAYERS]


def entries_of(k: int, m: int, apart: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """What is painted -> its two channels: an entry, each of its channels alone, and the least correlated pair."""
    first, second = apart
    return {
        f"k = {k} and k' = {m} together": (k, m),
        f"k = {k} alone": (k, k),
        f"k' = {m} alone": (m, m),
        f"{first} and {second}, least correlated": (first, second),
    }


def shipped_entries() -> Captioned:
    """The pictures of the entry that the lesson opens with."""
    wanted = entries_of(*views.first_pair(), views.first_apart())
    return [(str(examples.lesson(f"entry_{number}.jpg")), name) for number, name in enumerate(wanted)]


def paint_entries(source: str, layer: str, kind: str, k: float, m: float, *pictures: object) -> Iterator[Updates]:
    """Paint the chosen entry of the layer's style matrix, and for comparison three others."""
    yield from with_sentences(_entries(Asked.of(source, layer, kind, k, m, *pictures)))


def _entries(asked: Asked) -> Iterator[Updates]:
    block = asked.look.block(asked.layer)
    channels.activation_map(block, asked.k), channels.activation_map(block, asked.m)  # `ValueError` if not there
    wanted = entries_of(asked.k, asked.m, channels.least_correlated_pair(block))
    done: Captioned = []
    told = ""
    for name, (k, m) in wanted.items():
        own = float(channels.product_map(block, k, m).mean())
        for found in paint_entry(asked.layer, k, m):
            if not done:
                told = f"{found.entry / own:.0f} times the entry of your picture" if own else "your picture has none"
            yield {"study": _gallery([*done, (found.image, name)]), "status": f"Painting: {name}. {told}"}
        done.append((found.image, name))
    sentence = f"k = {asked.k} and k' = {asked.m} of {asked.layer}: per position, the painted entry is {told}."
    yield {"study": _gallery(done), "status": sentence}
