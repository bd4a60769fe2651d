"""The tab on which a photo is repainted: its layout, and which handler answers which event."""

from __future__ import annotations

import gradio as gr

from nst.settings import CHOICES, STYLE_LAYER_WORDS, Settings, layer_names
from nst.ui import examples, handlers
from nst.ui.curve import COLUMNS, SERIES_COLOURS, curve_of_csv

DEFAULTS = Settings()
HELP = {name: item.metadata["help"] for name, item in Settings.__dataclass_fields__.items()}
PAGE_SIZES = (128, 1024)  # px: what a visitor may ask of a shared machine
JOBS_AT_ONCE = 1  # a run uses the whole device
PRIVATE = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}  # handlers that answer at once


def build() -> gr.Accordion:
    """Lay out the tab inside the current Blocks and connect it. Returns the panel that a phone folds."""
    with gr.Row(elem_id="stylise"):
        with gr.Column(scale=4, min_width=320, elem_id="inputs"):
            photo, style = _pictures()
            with gr.Column(elem_id="action"):
                size = gr.Slider(*PAGE_SIZES, DEFAULTS.size, step=32, label="Size", info=HELP["size"])
                quality = gr.Radio(
                    list(CHOICES["quality"]), value=DEFAULTS.quality, label="Quality", info=HELP["quality"]
                )
                stylise = gr.Button("Stylise", variant="primary", size="lg", elem_id="stylise-button")
                stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop-button")
            with gr.Column(elem_id="panels"):
                weights_panel, weights, lambdas = _weights()
                content_layer, *others = _advanced()
        with gr.Column(scale=7, min_width=320, elem_id="outputs"):
            picture, status, chart, download = _outputs()
    kept = gr.State(None, time_to_live=3600)  # the newest picture, so that Stop can make it the result

    inputs = [photo, style, *weights, *lambdas, content_layer, size, quality, *others]
    shown = [picture, chart, status, kept]
    waiting = stylise.click(handlers.show_waiting, None, [stylise, stop, download, status], **PRIVATE)
    run = waiting.then(
        handlers.stylise, inputs, shown, api_name="stylise", show_progress="hidden", concurrency_limit=JOBS_AT_ONCE
    )
    for outcome in (run.success, run.failure):
        outcome(handlers.show_done, kept, [stylise, stop, download], **PRIVATE)
    stop.click(handlers.show_stopped, kept, [stylise, stop, download, status], cancels=[run], **PRIVATE)
    return weights_panel


def _pictures() -> list[gr.Image]:
    """Photo and style, each with a row of examples below."""
    first_photo, first_style, _, _ = examples.first_sight()
    inputs = []
    for label, value, samples in (("Photo", first_photo, examples.photos()), ("Style", first_style, examples.styles())):
        with gr.Column(elem_classes="picture-input"):
            picture = gr.Image(
                value,
                label=label,
                height=180,
                type="filepath",
                sources=["upload", "webcam", "clipboard"],
                buttons=[],
                elem_id=f"{label.lower()}-input",
                alt_text=f"{label}",
            )
            picture.preprocess = handlers.path_of_upload
            gr.Examples(samples, picture, cache_examples=False, examples_per_page=20, label=f"{label} examples")
        inputs.append(picture)
    return inputs


def _weights() -> tuple[gr.Accordion, list[gr.Slider], list[gr.Slider]]:
    """alpha and beta, and one lambda for each style layer."""
    with gr.Accordion("Weights", open=True, elem_id="weights") as panel:
        alpha = gr.Slider(0, 10, DEFAULTS.alpha, step=0.1, label="alpha: content", info=HELP["alpha"])
        beta = gr.Slider(0, 100, DEFAULTS.beta, step=0.5, label="beta: style", info=HELP["beta"])
        lambdas = [
            gr.Slider(
                0, 1, DEFAULTS.style_layers[layer], step=0.01, label=f"lambda {layer}", info=f"{words}.".capitalize()
            )
            for layer, words in STYLE_LAYER_WORDS.items()
        ]
        equal = gr.Button("Reset lambdas to equal", size="sm")
        equal.click(lambda: list(DEFAULTS.style_layers.values()), None, lambdas, **PRIVATE)
    return panel, [alpha, beta], lambdas


def _advanced() -> list[gr.components.Component]:
    """Content layer, optimiser, start, total variation and seed."""
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        layers = [layer for layer in layer_names(DEFAULTS.backbone) if layer.startswith("relu")]
        (first_layer,) = DEFAULTS.content_layers
        content_layer = gr.Dropdown(layers, value=first_layer, label="Content layer", info=HELP["content_layers"])
        optimiser = _choice("optimiser", gr.Dropdown)
        init = _choice("init", gr.Dropdown, "Start from")
        variation = gr.Slider(
            0, 100, DEFAULTS.total_variation, step=1, label="Total variation", info=HELP["total_variation"]
        )
        seed = gr.Number(DEFAULTS.seed, precision=0, minimum=0, label="Seed", info=HELP["seed"])
    return [content_layer, optimiser, init, variation, seed]


def _choice(name: str, widget: type[gr.Radio] | type[gr.Dropdown], label: str | None = None) -> gr.Radio | gr.Dropdown:
    """A widget for one of the settings that have fixed choices, with their words."""
    choices = [(f"{value}: {words}", value) for value, words in CHOICES[name].items()]
    return widget(choices, value=getattr(DEFAULTS, name), label=label or name.capitalize(), info=HELP[name])


def _outputs() -> tuple[gr.Image, gr.Markdown, gr.LinePlot, gr.DownloadButton]:
    """The picture, the status line, the loss curve and the download."""
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
    download = gr.DownloadButton("Download PNG", interactive=False, elem_id="download")
    return picture, status, chart, download
