"""What a visitor uploads and brushes: components that hand it on unopened, so that `nst.images` alone opens it.

`gr.Image` would open each upload before the handler runs. A broken file then ends in a bare "Error", and its conversion
to RGB shows the colours hidden under transparency.
"""

from __future__ import annotations

import io
import threading
from abc import ABCMeta
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.components import Component
from gradio.components.base import server
from gradio.components.image_editor import AcceptBlobs
from gradio.utils import get_upload_folder
from PIL import Image

from nst.images import pictures
from nst.images.decode import on_white
from nst.ui.server import given_files
from nst.ui.server.events import Updates

LAYER_PX = 2048  # longer side of a painted layer, at most; the editor's own are as large as its canvas
CANVAS_PX = 512  # longer side of the photo that a mask is painted on
LAYERS = ("PNG", "WEBP")  # formats in which an editor sends a painted layer
SHOWN_BY_BROWSERS = frozenset({"JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP"})
LONGEST_ID = 100  # characters
MOST_PAINTINGS = 16  # that wait for their event; the gate lets 4 MB of each pass
PAINTINGS: dict[str, bytes] = {}
PAINTING = threading.Lock()
AnyComponent = TypeVar("AnyComponent", bound=Component)


def override(component: AnyComponent, **methods: Callable[..., Any]) -> AnyComponent:
    """Give one component methods of its own, by a subclass of its class.

    Not by assignment to the instance: when a handler updates or skips a component, gradio (6.31) gives the session a
    new instance of its class, and an assigned method would be lost. The subclass is made without gradio's metaclass,
    which would write a `.pyi` beside this module.
    """
    kind = type(component)
    namespace = {"__module__": kind.__module__, **methods}
    component.__class__ = ABCMeta.__new__(type(kind), kind.__name__, (kind,), namespace)
    return component


def picture_input(label: str, **options: Any) -> gr.Image:
    """A picture to drop, whose value is the path of the uploaded file, or None."""
    picture = gr.Image(
        label=label, type="filepath", sources=["upload", "webcam", "clipboard"], buttons=[], alt_text=label, **options
    )
    return override(picture, preprocess=_path_of_upload)


def clip_input(label: str, **options: Any) -> gr.Video:
    """A video to drop or to record, whose value is the path of the uploaded file, or None."""
    video = gr.Video(label=label, sources=["upload", "webcam"], include_audio=True, buttons=[], **options)
    return override(video, preprocess=_path_of_upload)


def brush_input(**options: Any) -> gr.ImageEditor:
    """An editor of which only the painted layer is kept.

    gradio's own would open and encode three pictures, background and composite among them, at each stroke.
    """
    return override(gr.ImageEditor(type="filepath", **options), accept_blobs=_accept_layer)


def stroke_input() -> gr.JSON:
    """A hidden value that names what an editor has sent; for handlers it is `painted_layer`."""
    return override(gr.JSON(visible="hidden"), preprocess=lambda _, stroke: painted_layer(stroke))


def refuse_wrong_kinds(component: Component, name: str) -> None:
    """Let a value of a wrong type end in a sentence that names the parameter; gradio's own code fails on some."""
    usual = type(component).preprocess

    def preprocess(self: Component, payload: Any) -> Any:
        try:
            return usual(self, payload)
        except gr.Error as error:
            error.print_exception = False  # the visitor's mistake: nothing for the log
            raise
        except Exception:
            sentence = f"{name} has a value of a wrong type; the API page says what it may be."
            raise gr.Error(sentence, print_exception=False) from None

    override(component, preprocess=preprocess)


def _path_of_upload(_: Component, payload: Any) -> str | None:
    return _checked(payload.path) if payload and payload.path else None


def _checked(path: str) -> str:
    """The path, if the file is in the folder of uploads.

    gradio (6.31) checks this only where a request calls itself a file; `{"path": "/etc/passwd"}` alone would pass.
    """
    if not Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        raise gr.Error("A picture can only be used after it was uploaded; upload it first.", print_exception=False)
    return path


@server
def _accept_layer(_: gr.ImageEditor, data: AcceptBlobs) -> None:
    """Keep the layer that was painted until its event comes.

    gradio (6.31) keeps every picture of every name for ever, and makes a list as long as the request says.
    """
    if (data.data["type"], data.data["index"]) == ("layer", "0"):
        name, (_, layer) = data.data["id"][:LONGEST_ID], data.files[0]
        with PAINTING:
            PAINTINGS.pop(name, None)
            PAINTINGS[name] = layer
            while len(PAINTINGS) > MOST_PAINTINGS:
                del PAINTINGS[next(iter(PAINTINGS))]


def painted_layer(stroke: dict[str, Any] | None) -> Image.Image | None:
    """The layer of an editor, None when nothing is painted: the one kept under `id`, else the upload at `path`."""
    name, path = (stroke or {}).get("id"), (stroke or {}).get("path")
    layer = PAINTINGS.pop(name, None) if name else path and _checked(path)
    if not layer:
        return None
    try:
        picture = pictures.opened(layer, "painted layer", LAYERS)
        if max(picture.size) > LAYER_PX:
            size = f"{picture.width} x {picture.height} px"
            raise ValueError(f"the painted layer is {size}, over the limit of {LAYER_PX} px; paint on the photo shown")
        picture = pictures.to_rgba(picture, "painted layer")
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    return picture if picture.getchannel("A").getextrema()[1] else None


def show_upload(name: str, path: str | None) -> Updates:
    """Replace an upload that browsers cannot show (TIFF, HEIC) by a PNG of the pixels that a run reads from it.

    A file that cannot be read stays as it is: the status says at once what is wrong with it, as a run would.
    """
    if path is None:
        return {}
    words = name.replace("_", " ")
    try:
        picture = pictures.load(path, words)
    except ValueError as error:
        return {"status": f"{str(error)[:1].upper()}{str(error)[1:]}."}
    said = {"status": f"A new {words} of {picture.width} x {picture.height} px. Press Stylise to paint."}
    with pictures.header(path, words) as header:
        if header.format in SHOWN_BY_BROWSERS:
            return said
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)  # higher levels take several times as long for a few per cent
    return {**said, name: given_files.give(file.getvalue(), f"{Path(path).stem}.png")}


def show_canvas(photo: str | None) -> Updates:
    """The photo for the brush's editor, no larger than needed; what was painted before is forgotten."""
    try:
        picture = on_white(pictures.load(photo, "photo"))
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    picture.thumbnail((CANVAS_PX, CANVAS_PX))
    return {"canvas": picture, "mask": None}
