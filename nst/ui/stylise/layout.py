"""The tab on which a photo is repainted: what it shows, and where."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from nst.ui.server import examples
from nst.ui.server.events import AT_ONCE, Components
from nst.ui.server.uploads import picture_input, refuse_wrong_kinds
from nst.ui.stylise import controls, outputs, presets
from nst.ui.stylise.handlers import PARAMETERS
from nst.ui.stylise.visit import Visit
from nst.ui.stylise.wiring import connect


def build(page: gr.Blocks) -> tuple[gr.Accordion, Components]:
    """Lay out the tab inside the page and connect it. Returns the panel that a phone folds, and the components."""
    tab = Components()
    with gr.Row(elem_id="stylise"):
        with gr.Column(scale=4, min_width=320, elem_id="inputs"):
            tab.update(_pictures())
            with gr.Column(elem_id="action"):
                cards = presets.cards()
                tab.update(_action())
            with gr.Column(elem_id="panels"):
                tab.update(controls.size_and_strokes())
                weights_panel, weights, extremes = controls.weights()
                tab.update(weights | controls.more_styles() | controls.colours() | controls.places(tab["photo"]))
                tab.update(controls.advanced() | controls.recipe())
        with gr.Column(scale=7, min_width=320, elem_id="outputs"):
            tab.update(outputs.build())
    # They travel with events: the number of the newest run, of one to take out of the queue, and the visit's key.
    hidden = {"visible": "hidden", "container": False}
    tab.update(visit=gr.State(Visit()), number=gr.Number(0, **hidden), cancelled=gr.Number(0, **hidden))
    tab.update(key=gr.Textbox("", **hidden))
    for name in PARAMETERS:
        refuse_wrong_kinds(tab[name], name)

    connect(page, tab, cards, extremes)
    return weights_panel, tab


def _pictures() -> Components:
    """Photo and style, each with a row of examples below."""
    first_photo, first_style, _, _ = examples.first_sight()
    with gr.Row(elem_id="pictures"):
        return Components(
            photo=_picture_with_examples("Photo", first_photo, examples.photos()),
            style=_picture_with_examples("Style", first_style, examples.styles()),
        )


def _picture_with_examples(label: str, value: str, samples: Mapping[str, str]) -> gr.Image:
    with gr.Column(min_width=140, elem_classes="picture-input"):
        picture = picture_input(label, value=value, height=180, elem_id=f"{label.lower()}-input")
        with gr.Row(elem_classes="samples"):
            for name, path in samples.items():
                button = gr.Button(name, icon=examples.thumbnail(path), size="sm", min_width=48, scale=0)
                button.click(lambda path=path: {picture: path}, None, picture, **AT_ONCE)
    return picture


def _action() -> Components:
    """Strength, Stylise, Stop, and what a run will take."""
    strength = gr.Slider(
        0, 100, presets.DEFAULT_STRENGTH, step=1, label="Strength", elem_id="strength",
        info="How much of a painting the photo becomes.",
    )  # fmt: skip
    return Components(
        strength=strength,
        stylise=gr.Button("Stylise", variant="primary", size="lg", elem_id="stylise-button"),
        stop=gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop-button"),
        expected=gr.Markdown("", elem_id="expected", container=False),
    )
