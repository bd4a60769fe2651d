"""Everything around a run: opening uploads, buttons, colours of the finished picture, the file to download."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from nst import images
from nst.decode import on_white
from nst.encode import FORMATS, encode
from nst.ui.handlers import Kept

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
    """After the click Stop takes the place of Stylise -> (stylise button, stop button, download, status, kept)."""
    status = "Waiting for the processor: one picture is painted at a time ..."
    return gr.Button(visible=False), gr.Button(visible=True), gr.DownloadButton(interactive=False), status, None


def show_done(kept: Kept | None, format: str) -> tuple[object, ...]:
    """After a run the buttons change back and the file is ready -> (stylise button, stop button, download)."""
    return gr.Button(visible=True), gr.Button(visible=False), file_of(kept, format)


def show_stopped(kept: Kept | None, format: str) -> tuple[object, ...]:
    """After Stop the last picture is the result -> (stylise button, stop button, download, status)."""
    status = "Stopped before the first picture." if kept is None else "Stopped. The picture so far is your result."
    return *show_done(kept, format), status


def file_of(kept: Kept | None, format: str) -> gr.DownloadButton:
    """The newest picture as a file. Before the end of a run there are only 8 bits to write."""
    if kept is None:
        return gr.DownloadButton(interactive=False)
    if format == "png16" and kept.painting is None:
        format = "png"
    picture = kept.painting.pixels() if kept.painting else kept.picture.resize(kept.size, Image.Resampling.BICUBIC)
    content = encode(picture, format)
    name = f"stylised{FORMATS[format].suffixes[0]}"
    return gr.DownloadButton(value=save_bytes_to_cache(content, name, get_upload_folder()), interactive=True)


def recolour(kept: Kept | None, method: str, amount: float, when: str, format: str) -> tuple[object, ...]:
    """The finished picture in other colours, without a new run -> (picture, kept, download)."""
    if kept is None or kept.painting is None or when != "after":
        return gr.skip(), gr.skip(), gr.skip()
    painting = kept.painting.recoloured(method, amount)
    picture = painting.picture()
    changed = Kept(picture, picture.size, painting)
    return on_white(picture), changed, file_of(changed, format)
