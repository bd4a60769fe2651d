"""The tab on which a photo is repainted: what it shows, and where."""

from __future__ import annotations

from functools import partial

import gradio as gr

from nst.ui.server import examples
from nst.ui.server.events import Components
from nst.ui.server.uploads import refuse_wrong_kinds
from nst.ui.stylise import controls, live, outputs, presets
from nst.ui.stylise.handlers import PARAMETERS
from nst.ui.stylise.visit import Visit
from nst.ui.stylise.wiring import connect


def build(page: gr.Blocks) -> tuple[gr.Accordion, Components]:
    """Lay out the tab inside the page and connect it. Returns the panel that a phone folds, and the components."""
    tab = Components(status=outputs.status_line())
    # In the order in which a phone shows them and the keyboard visits them; wide, a grid puts the panels to the left.
    with gr.Row(elem_id="stylise"):
        with gr.Column(elem_id="inputs"):
            tab.update(_pictures(tab["status"]))
            cards = presets.cards()
            tab.update(_action())
        with gr.Column(elem_id="outputs"):
            tab.update(outputs.build(tab["status"]))
        with gr.Column(elem_id="panels"):
            weights_panel, weights, extremes = controls.weights()
            tab.update(weights | controls.size_and_strokes() | controls.style_parts(tab["style"]))
            tab.update(controls.more_styles(tab["status"]))
            tab.update(controls.colours() | controls.places(tab["photo"]))
            tab.update(controls.advanced() | controls.recipe())
    # They travel with events: the number of the newest run, of one to take out of the queue, and the visit's key.
    hidden = {"visible": "hidden", "container": False}
    tab.update(visit=gr.State(Visit()), number=gr.Number(0, **hidden), cancelled=gr.Number(0, **hidden))
    tab.update(key=gr.Textbox("", **hidden))
    for name in PARAMETERS:
        refuse_wrong_kinds(tab[name], name)

    connect(page, tab, cards, extremes)
    return weights_panel, tab


def _pictures(status: gr.Markdown) -> Components:
    """Photo and style, each with a row of examples below."""
    picture = partial(controls.picture_with_examples, status=status)
    first_photo, first_style, _, _ = examples.first_sight()
    with gr.Row(elem_id="pictures"):
        return Components(
            photo=picture("Photo", examples.photos(), value=first_photo, elem_id="photo-input"),
            style=picture("Style", examples.styles(), value=first_style, elem_id="style-input"),
        )


def _action() -> Components:
    """Strength, Stylise, Stop, Live, and what a run will take."""
    strength = gr.Slider(
        0, 100, presets.DEFAULT_STRENGTH, step=1, label="Strength", elem_id="strength",
        info="How much of a painting the photo becomes.",
    )  # fmt: skip
    with gr.Column(elem_id="action"):
        buttons = Components(
            strength=strength,
            stylise=gr.Button("Stylise", variant="primary", size="lg", elem_id="stylise-button"),
            stop=gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop-button"),
        )
        with gr.Row(elem_id="before-the-click"):
            return buttons | live.build() | Components(expected=gr.Markdown("", elem_id="expected", container=False))
