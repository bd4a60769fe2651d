"""The pictures of this visit: a strip of thumbnails; a click shows a picture and its settings again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from PIL import Image

from nst.images import pictures
from nst.images.decode import on_white
from nst.images.pictures import result_size, scaled
from nst.images.timelapse import Timelapse
from nst.ui.server.events import Updates
from nst.ui.server.limits import page_limits
from nst.ui.stylise.after_run import recipe_text, saved, show_done
from nst.ui.stylise.form import RunRequest
from nst.ui.stylise.handlers import Kept
from nst.ui.stylise.share import controls_of

MOST = 12  # pictures; a new one replaces the oldest
THUMBNAIL_PX = 160


@dataclass(frozen=True, eq=False)  # gradio hashes the value of a State, and pictures have no hash
class Entry:
    """One finished picture of the visit: its thumbnail in memory, itself on disk."""

    thumbnail: Image.Image
    caption: str
    path: str  # of the PNG
    text: Mapping[str, str] | None  # its recipe
    request: RunRequest

    @classmethod
    def of(cls, kept: Kept) -> Entry:
        picture = on_white(kept.picture)
        thumbnail = scaled(picture, result_size(picture, THUMBNAIL_PX))
        width, height = kept.size
        caption = f"{width} x {height}, beta {kept.request.settings.beta:g}"
        return cls(thumbnail, caption, saved(kept, "png"), recipe_text(kept), kept.request)


def add(kept: Kept | None, entries: list[Entry]) -> Updates:
    """After a run add its picture to the strip, which shows the newest first."""
    if kept is None:
        return {}
    entries = [*entries, Entry.of(kept)][-MOST:]
    thumbnails = [(entry.thumbnail, entry.caption) for entry in reversed(entries)]
    return {"visit": gr.Gallery(thumbnails, visible=True, selected_index=None), "entries": entries}


def show(entries: list[Entry], format: str, chosen: gr.SelectData) -> Updates:
    """Show a picture of the strip again, with its settings in the controls."""
    entry = entries[len(entries) - 1 - chosen.index]
    if not Path(entry.path).is_file():
        minutes = page_limits().keep_s // 60
        raise gr.Error(f"This picture is gone: files are kept for {minutes} minutes.", print_exception=False)
    picture = pictures.opened(entry.path, "picture", ("PNG",))
    picture.load()
    film = Timelapse()
    film.add(picture)
    kept = Kept(picture, picture.size, film, entry.request, text=entry.text)
    status = "An earlier picture of this visit, with its settings."
    controls = controls_of(entry.request.settings)
    return {"picture": on_white(picture), "kept": kept, "status": status, **show_done(kept, format), **controls}
