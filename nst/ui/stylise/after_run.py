"""Everything after a run: buttons, colours of the finished picture, the file to download, the animation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from nst import recipe
from nst.images import pictures, timelapse
from nst.images.decode import on_white
from nst.images.encode import FORMATS, encode
from nst.ui.stylise.handlers import Kept

PICTURE_TAB = "picture-tab"
STILLS = 4  # pictures of a run that stand for its animation
PREFERS_STILLS = "(kept, format) => [kept, format, matchMedia('(prefers-reduced-motion: reduce)').matches]"


def show_waiting() -> tuple[object, ...]:
    """After the click Stop takes the place of Stylise -> (those of `show_done`, status, views)."""
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
        gr.Tabs(selected=PICTURE_TAB),
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
    photo = kept.result.painting.before() if kept.result else pictures.load(kept.order.photo, "photo")
    return on_white(pictures.scaled(photo, picture.size[::-1])), picture


def file_of(kept: Kept | None, format: str) -> gr.DownloadButton:
    """The newest picture to download."""
    return gr.DownloadButton(value=kept and saved(kept, format), interactive=kept is not None)


def saved(kept: Kept, format: str) -> str:
    """Path of the picture as a file, a PNG with its recipe. Before the end of a run there are only 8 bits to write."""
    painting = kept.in_full()
    if format == "png16" and painting is None:
        format = "png"
    picture = painting.pixels() if painting else kept.picture.resize(kept.size, Image.Resampling.BICUBIC)
    text = text_of(kept) if FORMATS[format].keeps_text else None
    return _cached(encode(picture, format, text), f"stylised{FORMATS[format].suffixes[0]}")


def _cached(content: bytes, name: str) -> str:
    return save_bytes_to_cache(content, name, get_upload_folder())


def text_of(kept: Kept) -> Mapping[str, str] | None:
    """What the PNG says of its making; of a run that was stopped there is no result to describe."""
    if kept.result is None:
        return kept.text
    result = kept.result
    if kept.painting:  # recoloured since
        colours = {"colour": kept.painting.colour, "colour_amount": kept.painting.amount, "colour_when": "after"}
        result = dataclasses.replace(result, settings=dataclasses.replace(result.settings, **colours))
    return recipe.text(recipe.Recipe.of(result, kept.order.fingerprints))


def film_of(kept: Kept | None, format: str, still: bool) -> tuple[object, ...]:
    """The run as an animation, or as a row of pictures for who wants nothing to move -> (picture, download)."""
    if kept is None:
        return None, gr.DownloadButton(interactive=False)
    path = _cached(kept.film.encode(format), f"time_lapse{timelapse.ANIMATION_FORMATS[format].suffix}")
    shown = _cached(encode(kept.film.strip(STILLS), "jpeg", None), "stills.jpg") if still else path
    return shown, gr.DownloadButton(value=path, interactive=True)


def recolour(kept: Kept | None, method: str, amount: float, when: str, format: str) -> tuple[object, ...]:
    """The finished picture in other colours, without a new run -> (picture, kept, download, compare)."""
    if kept is None or kept.result is None or when != "after":
        return (gr.skip(),) * 4
    painting = kept.in_full().recoloured(method, amount)
    picture = painting.picture()
    changed = dataclasses.replace(kept, picture=picture, painting=painting)
    return on_white(picture), changed, file_of(changed, format), comparison(changed)
