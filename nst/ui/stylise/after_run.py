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
from nst.ui.server.events import Updates
from nst.ui.stylise.handlers import Kept

PICTURE_TAB = "picture-tab"
STILLS = 4  # pictures of a run, side by side, that replace its animation
PREFERS_STILLS = "(kept, format) => [kept, format, matchMedia('(prefers-reduced-motion: reduce)').matches]"

SHOWN = ("stylise", "stop", "download", "go_on", "bigger", "compare")  # what changes when a run begins and ends


def show_waiting() -> Updates:
    """After the click Stop takes the place of Stylise, and the buttons for the last picture are disabled."""
    return {
        "stylise": gr.Button(visible=False),
        "stop": gr.Button(visible=True),
        "download": gr.DownloadButton(interactive=False),
        "go_on": gr.Button(interactive=False),
        "bigger": gr.Button(interactive=False),
        "compare": None,
        "status": "Waiting for the processor: one picture is painted at a time ...",
        "views": gr.Tabs(selected=PICTURE_TAB),
    }


def show_done(kept: Kept | None, format: str) -> Updates:
    """After a run the buttons change back, and act on the new picture if there is one."""
    more = gr.Button(interactive=kept is not None)
    return {
        "stylise": gr.Button(visible=True),
        "stop": gr.Button(visible=False),
        "go_on": more,
        "bigger": more,
        "compare": comparison(kept),
        **show_file(kept, format),
    }


def show_stopped(kept: Kept | None, format: str) -> Updates:
    """After Stop the last picture is the result."""
    status = "Stopped before the first picture." if kept is None else "Stopped. The picture so far is your result."
    return {**show_done(kept, format), "status": status}


def comparison(kept: Kept | None) -> tuple[Image.Image, Image.Image] | None:
    """The photo and the picture at the same size, for the slider between them."""
    if kept is None:
        return None
    picture = on_white(kept.picture)
    photo = kept.result.painting.before() if kept.result else pictures.load(kept.request.photo, "photo")
    return on_white(pictures.scaled(photo, picture.size[::-1])), picture


def show_file(kept: Kept | None, format: str) -> Updates:
    """Offer the newest picture for download in this format."""
    return {"download": gr.DownloadButton(value=kept and saved(kept, format), interactive=kept is not None)}


def saved(kept: Kept, format: str) -> str:
    """Path of the picture as a file; a PNG holds its recipe. Before the end of a run a file has 8 bits at most."""
    painting = kept.painting_on_page()
    if format == "png16" and painting is None:
        format = "png"
    picture = painting.pixels() if painting else kept.picture.resize(kept.size, Image.Resampling.BICUBIC)
    text = recipe_text(kept) if FORMATS[format].keeps_text else None
    return _cached(encode(picture, format, text), f"stylised{FORMATS[format].suffixes[0]}")


def _cached(content: bytes, name: str) -> str:
    return save_bytes_to_cache(content, name, get_upload_folder())


def recipe_text(kept: Kept) -> Mapping[str, str] | None:
    """The recipe that a PNG of this picture holds; a stopped run has no result, and so no recipe."""
    if kept.result is None:
        return kept.text
    result = kept.result
    if kept.painting:  # recoloured since
        colours = {"colour": kept.painting.colour, "colour_amount": kept.painting.amount, "colour_when": "after"}
        result = dataclasses.replace(result, settings=dataclasses.replace(result.settings, **colours))
    return recipe.text(recipe.Recipe.of(result, kept.request.fingerprints))


def show_film(kept: Kept | None, format: str, still: bool) -> Updates:
    """The run as an animation, or as a row of stills for a visitor who prefers reduced motion."""
    if kept is None:
        return {"film": None, "film_download": gr.DownloadButton(interactive=False)}
    path = _cached(kept.film.encode(format), f"time_lapse{timelapse.ANIMATION_FORMATS[format].suffix}")
    film = _cached(encode(kept.film.strip(STILLS), "jpeg", None), "stills.jpg") if still else path
    return {"film": film, "film_download": gr.DownloadButton(value=path, interactive=True)}


def recolour(kept: Kept | None, method: str, amount: float, when: str, format: str) -> Updates:
    """The finished picture in other colours, without a new run."""
    if kept is None or kept.result is None or when != "after":
        return {}
    painting = kept.painting_on_page().recoloured(method, amount)
    picture = painting.picture()
    kept = dataclasses.replace(kept, picture=picture, painting=painting)
    return {"picture": on_white(picture), "kept": kept, "compare": comparison(kept), **show_file(kept, format)}
