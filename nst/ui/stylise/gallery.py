"""The pictures of this visit: a strip of thumbnails, each of which comes back with its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from nst.images.decode import on_white
from nst.images.pictures import result_size, scaled
from nst.images.timelapse import Timelapse
from nst.ui.server.limits import PAGE_LIMITS
from nst.ui.stylise.after_run import saved, show_done, text_of
from nst.ui.stylise.form import Order
from nst.ui.stylise.handlers import Kept
from nst.ui.stylise.share import controls_of

MOST = 12  # pictures; the oldest make room
THUMBNAIL_PX = 160

GONE = f"This picture is gone: files are kept for {PAGE_LIMITS.keep_s // 60} minutes."


@dataclass(frozen=True, eq=False)  # gradio hashes what it keeps, and pictures have no hash
class Entry:
    """One finished picture of the visit, small enough to keep a dozen of them."""

    thumbnail: Image.Image
    caption: str
    path: str  # of the PNG
    text: Mapping[str, str] | None  # its recipe
    order: Order

    @classmethod
    def of(cls, kept: Kept) -> Entry:
        seen = on_white(kept.picture)
        small = scaled(seen, result_size(seen, THUMBNAIL_PX))
        width, height = kept.size
        settings = kept.order.settings
        caption = f"{width} x {height}, beta {settings.beta:g}"
        return cls(small, caption, saved(kept, "png"), text_of(kept), kept.order)


def add(kept: Kept | None, entries: list[Entry]) -> tuple[Any, ...]:
    """After a run its picture joins the strip -> (strip, entries)."""
    if kept is None:
        return gr.skip(), gr.skip()
    entries = [*entries, Entry.of(kept)][-MOST:]
    return strip_of(entries), entries


def strip_of(entries: list[Entry]) -> gr.Gallery:
    """The newest first."""
    pictures = [(entry.thumbnail, entry.caption) for entry in reversed(entries)]
    return gr.Gallery(pictures, visible=True, selected_index=None)


def show(entries: list[Entry], format: str, chosen: gr.SelectData) -> tuple[Any, ...]:
    """A picture of the strip again -> (picture, kept, status, those of `show_done`, strength, those of `RESTORED`)."""
    entry = entries[len(entries) - 1 - chosen.index]
    if not Path(entry.path).is_file():
        raise gr.Error(GONE, print_exception=False)
    picture = Image.open(entry.path, formats=["PNG"])
    picture.load()
    film = Timelapse()
    film.add(picture)
    kept = Kept(picture, picture.size, film, entry.order, text=entry.text)
    status = "An earlier picture of this visit, with its settings."
    return on_white(picture), kept, status, *show_done(kept, format), *controls_of(entry.order.settings)
