"""The strip of this visit's pictures: a click brings one back with all that belongs to it."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from nst.ui.server.events import Updates
from nst.ui.stylise import after_run
from nst.ui.stylise.form import RunRequest
from nst.ui.stylise.share import RESTORED, controls_of
from nst.ui.stylise.visit import Visit

STYLES = ("style", "style_2", "style_3", "style_4")
SHOWN = (*after_run.DISPLAY, "photo", *STYLES, "start", *RESTORED)  # what `bring_back` shows


def show(visit: Visit, chosen: gr.SelectData) -> Updates:
    """Show a picture of the strip again, with its photo, styles, curve and settings."""
    try:
        visit.choose(chosen.index)
    except ValueError as error:
        sentence = str(error)
        raise gr.Error(f"{sentence[:1].upper()}{sentence[1:]}.", print_exception=False) from None
    return bring_back(visit, "An earlier picture of this visit, with its pictures and settings.")


def bring_back(visit: Visit, status: str) -> Updates:
    """The display of the visit, and the controls as they were when its picture was painted."""
    updates, picture = after_run.show(visit), visit.usable()
    if picture is None:
        return updates
    inputs, differs = _inputs(picture.request)
    visit.said = " ".join([status, *differs])
    return {**updates, **controls_of(picture.request.settings), **inputs, "status": visit.said}


def _inputs(request: RunRequest) -> tuple[Updates, list[str]]:
    """The pictures of a run for the boxes that hold them, and sentences on what could not be brought back."""
    wanted = {"photo": request.photo, **dict(zip(STYLES, request.styles, strict=False)), "start": request.start}
    found = {name: path for name, path in wanted.items() if isinstance(path, str) and Path(path).is_file()}
    differs = [
        f"Its {name.replace('_', ' ')} is no longer on the server: choose it again before Continue."
        for name, path in wanted.items()
        if isinstance(path, str) and name not in found
    ]
    if request.masks or request.style_masks:
        differs.append("What was brushed is not brought back: brush again before Continue.")
    return {**dict.fromkeys(STYLES[len(request.styles) :]), "start": None, **found}, differs
