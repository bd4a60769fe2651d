"""What a visitor uploads and brushes, handed on as it came: only `nst.images` opens it, or says why it cannot."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from nst.images import pictures
from nst.images.decode import on_white

CANVAS_PX = 512  # longer side of the photo that a mask is painted on


def path_of_upload(payload: Any) -> str | None:
    """What `gr.Image.preprocess` should give us: the uploaded file's path, not yet opened.

    gr.Image opens each upload before the handler runs, where a broken file ends in a bare "Error", and its conversion
    to RGB shows the colours hidden under transparency. `nst.images` does both properly, and with a sentence.
    """
    return uploaded(payload.path) if payload and payload.path else None


def uploaded(path: str) -> str:
    """The path, if it is one of a file in the folder of uploads.

    gradio (6.31) checks it only where a request calls itself a file; `{"path": "/etc/passwd"}` alone would pass.
    """
    if not Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        raise gr.Error("A picture can only be used after it was uploaded; upload it first.", print_exception=False)
    return path


def refusing(name: str, preprocess: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A component's `preprocess` that answers with a sentence where gradio's own trips over a value of a wrong type."""

    def checked(payload: Any) -> Any:
        try:
            return preprocess(payload)
        except gr.Error as error:
            error.print_exception = False  # it is the visitor's, and no news for the log
            raise
        except Exception:
            sentence = f"{name} has a value of a kind that it cannot have; see the API page for what it may be."
            raise gr.Error(sentence, print_exception=False) from None

    return checked


def layer_of_editor(editor: gr.ImageEditor) -> Callable[[Any], Image.Image | None]:
    """What `gr.ImageEditor.preprocess` should give us: the painted layer as it was sent, None when it is empty.

    The component itself would open and encode three pictures, background and composite among them, at each stroke.
    """

    def preprocess(payload: Any) -> Image.Image | None:
        sent = payload and (editor.blob_storage.pop(payload.id, None) if payload.id else payload)
        if not sent or not sent.layers or sent.layers[0] is None:
            return None
        layer = sent.layers[0]
        picture = Image.open(
            io.BytesIO(layer) if isinstance(layer, bytes) else uploaded(layer.path), formats=["PNG", "WEBP"]
        )
        picture = picture.convert("RGBA")
        return picture if picture.getchannel("A").getextrema()[1] else None

    return preprocess


def show_canvas(photo: str | None) -> tuple[Image.Image | None, None]:
    """The photo to paint on, not larger than needed -> (editor, painted layer)."""
    try:
        picture = on_white(pictures.load(photo, "photo"))
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    picture.thumbnail((CANVAS_PX, CANVAS_PX))
    return picture, None
