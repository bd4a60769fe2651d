"""A picture input that hands the uploaded file to `nst.images` untouched."""

from __future__ import annotations

from typing import Any

import gradio as gr


class PictureInput(gr.Image):
    """`gr.Image` whose value is the path of the upload, not yet opened.

    gr.Image opens every upload before the handler runs, so a broken file would end in a bare "Error", and its
    conversion to RGB shows colours hidden under transparency. `nst.images` does both properly, with a sentence.
    """

    is_template = True  # the browser's part is gr.Image's own

    def preprocess(self, payload: Any) -> str | None:
        if payload is None or payload.path is None:
            return None
        return payload.path
