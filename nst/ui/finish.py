"""Everything around a run: opening uploads, buttons, colours of the finished picture, the file to download."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from nst import Settings, images, recipe, timelapse
from nst.decode import on_white
from nst.encode import FORMATS, encode
from nst.ui.form import DEFAULTS, values
from nst.ui.handlers import PARAMETERS, Kept

CANVAS_PX = 512  # longer side of the photo that a mask is painted on


def path_of_upload(payload: Any) -> str | None:
    """What `gr.Image.preprocess` should give us: the uploaded file's path, not yet opened.

    gr.Image opens each upload before the handler runs, where a broken file ends in a bare "Error", and its conversion
    to RGB shows the colours hidden under transparency. `nst.images` does both properly, and with a sentence.
    """
    return payload.path if payload else None


def layer_of_editor(editor: gr.ImageEditor) -> Callable[[Any], Image.Image | None]:
    """What `gr.ImageEditor.preprocess` should give us: the painted layer as it was sent, None when it is empty.

    The component itself would open and encode three pictures, background and composite among them, at each stroke.
    """

    def preprocess(payload: Any) -> Image.Image | None:
        sent = payload and (editor.blob_storage.pop(payload.id, None) if payload.id else payload)
        if not sent or not sent.layers or sent.layers[0] is None:
            return None
        layer = sent.layers[0]
        picture = Image.open(io.BytesIO(layer) if isinstance(layer, bytes) else layer.path, formats=["PNG", "WEBP"])
        picture = picture.convert("RGBA")
        return picture if picture.getchannel("A").getextrema()[1] else None

    return preprocess


def show_canvas(photo: str | None) -> tuple[Image.Image | None, None]:
    """The photo to paint on, not larger than needed -> (editor, painted layer)."""
    try:
        picture = on_white(images.load(photo, "photo"))
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    picture.thumbnail((CANVAS_PX, CANVAS_PX))
    return picture, None


def show_waiting() -> tuple[object, ...]:
    """After the click Stop takes the place of Stylise -> (those of `show_done`, status)."""
    status = "Waiting for the processor: one picture is painted at a time ..."
    idle = gr.Button(interactive=False)
    return (
        gr.Button(visible=False),
        gr.Button(visible=True),
        gr.DownloadButton(interactive=False),
        idle,
        idle,
        None,
        status,
    )


def show_done(kept: Kept | None, format: str) -> tuple[object, ...]:
    """After a run the buttons change back, and what can be made of it is ready.

    -> (stylise button, stop button, download, go on, bigger, compare)
    """
    more = gr.Button(interactive=kept is not None)
    return gr.Button(visible=True), gr.Button(visible=False), file_of(kept, format), more, more, comparison(kept)


def show_stopped(kept: Kept | None, format: str) -> tuple[object, ...]:
    """After Stop the last picture is the result -> those of `show_done`, status."""
    status = "Stopped before the first picture." if kept is None else "Stopped. The picture so far is your result."
    return *show_done(kept, format), status


def comparison(kept: Kept | None) -> tuple[Image.Image, Image.Image] | None:
    """The photo and the picture, of one size, for the slider between them."""
    if kept is None:
        return None
    picture = on_white(kept.picture)
    photo = kept.result.painting.before() if kept.result else images.load(kept.order.photo, "photo")
    return on_white(images.scaled(photo, picture.size[::-1])), picture


def file_of(kept: Kept | None, format: str) -> gr.DownloadButton:
    """The newest picture as a file, a PNG with its recipe. Before the end of a run there are only 8 bits to write."""
    if kept is None:
        return gr.DownloadButton(interactive=False)
    painting = kept.in_full()
    if format == "png16" and painting is None:
        format = "png"
    picture = painting.pixels() if painting else kept.picture.resize(kept.size, Image.Resampling.BICUBIC)
    text = _recipe(kept) if FORMATS[format].keeps_text else None
    name = f"stylised{FORMATS[format].suffixes[0]}"
    return gr.DownloadButton(value=_saved(encode(picture, format, text), name), interactive=True)


def _saved(content: bytes, name: str) -> str:
    return save_bytes_to_cache(content, name, get_upload_folder())


def _recipe(kept: Kept) -> dict[str, str] | None:
    """What the PNG says of its making; of a run that was stopped there is no result to describe."""
    if kept.result is None:
        return None
    result = kept.result
    if kept.painting:  # recoloured since
        colours = {"colour": kept.painting.colour, "colour_amount": kept.painting.amount, "colour_when": "after"}
        result = dataclasses.replace(result, settings=dataclasses.replace(result.settings, **colours))
    return recipe.text(recipe.Recipe.of(result, kept.order.fingerprints))


def film_of(kept: Kept | None, format: str) -> tuple[object, ...]:
    """The run as an animation -> (picture, download)."""
    if kept is None:
        return None, gr.DownloadButton(interactive=False)
    path = _saved(kept.film.encode(format), f"time_lapse{timelapse.FORMATS[format].suffix}")
    return path, gr.DownloadButton(value=path, interactive=True)


def recolour(kept: Kept | None, method: str, amount: float, when: str, format: str) -> tuple[object, ...]:
    """The finished picture in other colours, without a new run -> (picture, kept, download, compare)."""
    if kept is None or kept.result is None or when != "after":
        return (gr.skip(),) * 4
    painting = kept.in_full().recoloured(method, amount)
    picture = painting.picture()
    changed = dataclasses.replace(kept, picture=picture, painting=painting)
    return on_white(picture), changed, file_of(changed, format), comparison(changed)


def restore(path: str | None) -> tuple[object, ...]:
    """The controls of a picture's recipe -> (status, strength, one value for each of `RESTORED`)."""
    if path is None:
        return (gr.skip(),) * (2 + len(RESTORED))
    try:
        found = recipe.read(path)
    except ValueError as error:
        return (f"No settings restored: {error}.", gr.skip(), *(gr.skip(),) * len(RESTORED))
    missing = values(found.settings)[1]
    status = f"Settings restored: a picture of {found.width} x {found.height} px painted in {found.steps} steps."
    if missing:
        status += f" The page has no control for {', '.join(missing)}."
    if "start" in found.inputs:
        status += " It was painted on from another picture: give that one under Advanced."
    return status, *_controls(found.settings)


def from_address(request: gr.Request) -> tuple[object, ...]:
    """The controls as the page's address says, such as `?beta=40` -> those of `restore`."""
    changes, notices = recipe.from_query(dict(request.query_params))
    if not changes and not notices:
        return (gr.skip(),) * (2 + len(RESTORED))
    settings = Settings(**changes)
    missing = [f"{name} in the address is ignored: the page has no control for it." for name in values(settings)[1]]
    return " ".join(["Settings taken from the address.", *notices, *missing]), *_controls(settings)


def _controls(settings: Settings) -> tuple[object, ...]:
    """Strength, and a value for each of `RESTORED`."""
    given, _ = values(settings)
    return strength_of(settings.alpha, settings.beta), *(given[name] for name in RESTORED)


def strength_of(alpha: float, beta: float) -> int:
    """Where the strength slider stands for these weights, from 0 to 100."""
    return round(min(100, max(0, 50 * math.log10(max(beta, 0.01) / max(alpha, 0.1)))))


RESTORED = tuple(name for name in PARAMETERS if name in values(DEFAULTS)[0])
