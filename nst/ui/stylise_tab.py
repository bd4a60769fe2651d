"""The tab on which a photo is repainted: its layout, and which handler answers which event."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from nst.encode import FORMATS
from nst.ui import controls, examples, finish, handlers
from nst.ui.controls import AT_ONCE, DEFAULTS
from nst.ui.curve import COLUMNS, SERIES_COLOURS, curve_of_csv

JOBS_AT_ONCE = 1  # a run uses the whole device


def build() -> gr.Accordion:
    """Lay out the tab inside the current Blocks and connect it. Returns the panel that a phone folds."""
    with gr.Row(elem_id="stylise"):
        with gr.Column(scale=4, min_width=320, elem_id="inputs"):
            photo, style = _pictures()
            with gr.Column(elem_id="action"):
                strength = gr.Slider(
                    0, 100, controls.STRENGTH, step=1, label="Strength", elem_id="strength",
                    info="How much of a painting the photo becomes.",
                )  # fmt: skip
                stylise = gr.Button("Stylise", variant="primary", size="lg", elem_id="stylise-button")
                stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop-button")
            with gr.Column(elem_id="panels"):
                size, quality, scale, original = controls.size_and_strokes()
                weights_panel, (alpha, beta), lambdas, table, extremes = controls.weights()
                styles, shares = controls.more_styles()
                colours = controls.colours()
                mask, edge = controls.places(photo)
                content_layer, optimiser, init, variation, seed, *others = controls.advanced()
        with gr.Column(scale=7, min_width=320, elem_id="outputs"):
            picture, status, chart, format, download = _outputs()
    kept = gr.State(None, time_to_live=3600)

    _couple(strength, alpha, beta)
    inputs = [photo, style, alpha, beta, *lambdas, content_layer, size, quality, optimiser, init, variation, seed]
    inputs += [*others, scale, original, *styles, *shares, table, *colours, mask, edge]
    shown = [picture, chart, status, kept]
    buttons = [stylise, stop, download]
    extreme = [button.click(*_extreme(button, alpha, beta, init), **AT_ONCE) for button in extremes]
    runs = _connect([stylise.click, *(event.then for event in extreme)], inputs, shown, buttons, format)
    stop.click(finish.show_stopped, [kept, format], [*buttons, status], cancels=runs, **AT_ONCE)
    format.input(finish.file_of, [kept, format], download, **AT_ONCE)
    colour, when, amount = colours
    for changed in (colour.input, when.input, amount.input):
        changed(
            finish.recolour, [kept, colour, amount, when, format], [picture, kept, download],
            trigger_mode="always_last", **AT_ONCE,
        )  # fmt: skip
    return weights_panel


def _connect(triggers: Sequence, inputs: list, shown: list, buttons: list, format: gr.Dropdown) -> list:
    """Let each trigger start a run, the first of them being the endpoint for programs. Returns the runs."""
    _, _, status, kept = shown
    runs = []
    for trigger in triggers:
        waiting = trigger(finish.show_waiting, None, [*buttons, status, kept], **AT_ONCE)
        names = {"api_visibility": "private"} if runs else {"api_name": "stylise"}
        limits = {"concurrency_limit": JOBS_AT_ONCE, "concurrency_id": "device"}
        run = waiting.then(handlers.stylise, inputs, shown, show_progress="hidden", **limits, **names)
        for outcome in (run.success, run.failure):
            outcome(finish.show_done, [kept, format], buttons, **AT_ONCE)
        runs.append(run)
    return runs


def _couple(strength: gr.Slider, alpha: gr.Slider, beta: gr.Slider) -> None:
    """Strength moves beta; alpha and beta move strength. `input` answers the visitor only: nothing runs in circles."""
    browser = {"api_visibility": "private", "queue": False}
    strength.input(None, [strength, alpha], beta, js=controls.BETA_OF_STRENGTH, **browser)
    for slider in (alpha, beta):
        slider.input(None, [alpha, beta], strength, js=controls.STRENGTH_OF_BETA, **browser)


def _extreme(button: gr.Button, alpha: gr.Slider, beta: gr.Slider, init: gr.Dropdown) -> tuple:
    """Pure texture, or the content rebuilt from its activations, both from noise."""
    values = (0, DEFAULTS.beta, "noise") if button.elem_id == "texture" else (DEFAULTS.alpha, 0, "noise")
    return lambda: values, None, [alpha, beta, init]


def _pictures() -> list[gr.Image]:
    """Photo and style, each with a row of examples below."""
    first_photo, first_style, _, _ = examples.first_sight()
    inputs = []
    for label, value, samples in (("Photo", first_photo, examples.photos()), ("Style", first_style, examples.styles())):
        with gr.Column(elem_classes="picture-input"):
            picture = controls.picture_input(label, value=value, height=180, elem_id=f"{label.lower()}-input")
            gr.Examples(samples, picture, cache_examples=False, examples_per_page=20, label=f"{label} examples")
        inputs.append(picture)
    return inputs


def _outputs() -> tuple[gr.Image, gr.Markdown, gr.LinePlot, gr.Dropdown, gr.DownloadButton]:
    """The picture, the status line, the loss curve, the format and the download."""
    _, _, result, costs = examples.first_sight()
    picture = gr.Image(
        result,
        format="jpeg",  # a frame encodes in 2 ms; webp and png take 40
        label="Picture",
        interactive=False,
        buttons=["fullscreen"],
        elem_id="picture",
        alt_text="The photo being repainted",
    )
    status = gr.Markdown(
        "An example. Press Stylise to paint it yourself, or choose your own pictures.", elem_id="status"
    )
    chart = gr.LinePlot(
        curve_of_csv(costs),
        x=COLUMNS[0],
        y=COLUMNS[1],
        color=COLUMNS[2],
        color_map=SERIES_COLOURS,
        color_title="cost",
        height=340,
        label="Cost",
        elem_id="curve",
        buttons=["export"],
    )
    with gr.Row(elem_id="take-away"):
        formats = [(kind.words.split(":")[0], key) for key, kind in FORMATS.items()]
        format = gr.Dropdown(formats, value="png", label="File format", elem_id="format")
        download = gr.DownloadButton("Download", interactive=False, elem_id="download")
    return picture, status, chart, format, download
