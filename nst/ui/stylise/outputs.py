"""The right side of the tab: the picture, what can be made of it, and the loss curve."""

from __future__ import annotations

import gradio as gr

from nst.images import timelapse
from nst.images.encode import FORMATS
from nst.ui.server import examples
from nst.ui.server.events import Components
from nst.ui.stylise.after_run import PICTURE_TAB
from nst.ui.stylise.curve import COLUMNS, SERIES_COLOURS, curve_of_csv
from nst.ui.stylise.variants import STRENGTHS, VARIANTS
from nst.ui.stylise.visit import MOST

OPTIONS_TAB = "options-tab"


def build() -> Components:
    """Lay out the outputs inside the current column."""
    photo, _, result, costs = examples.first_sight()
    with gr.Tabs(elem_id="views") as views:
        shown = Components(views=views, **_picture(result), **_compare(photo, result), **_film(), **_options())
    shown["status"] = gr.Markdown(
        "An example. Press Stylise to paint it yourself, or choose your own pictures.",
        elem_id="status",
        container=False,
    )
    shown.update(_chart(costs))
    with gr.Row(elem_id="take-away"):
        shown["go_on"] = gr.Button("Continue", interactive=False, elem_id="go-on")
        shown["bigger"] = gr.Button("Bigger", interactive=False, elem_id="bigger")
        shown["show_options"] = gr.Button("Show me options", elem_id="show-options")
        formats = [(kind.words.split(":")[0], key) for key, kind in FORMATS.items()]
        shown["format"] = gr.Dropdown(formats, value="png", label="File format", elem_id="format")
        shown["download"] = gr.DownloadButton("Download", interactive=False, elem_id="download")
    shown["strip"] = gr.Gallery(
        label="This visit's pictures: choose one to see it again with its settings",
        columns=MOST // 2,
        fit_columns=False,
        allow_preview=False,
        format="jpeg",
        buttons=[],
        visible=False,
        interactive=False,
        elem_id="visit",
    )
    return shown


def _picture(result: str) -> Components:
    with gr.Tab("Picture", id=PICTURE_TAB):
        picture = gr.Image(
            result,
            format="jpeg",  # encodes a frame in 2 ms; webp and png take 40 ms
            show_label=False,
            interactive=False,
            buttons=["fullscreen"],
            elem_id="picture",
            alt_text="The photo being repainted",
        )
    return Components(picture=picture)


def _compare(photo: str, result: str) -> Components:
    with gr.Tab("Compare", elem_id="compare-tab"):
        slider = gr.ImageSlider(
            (photo, result), show_label=False, interactive=False, format="jpeg", buttons=[], elem_id="compare"
        )
    return Components(compare=slider)


def _film() -> Components:
    with gr.Tab("Time-lapse", elem_id="film-tab") as tab:
        film = gr.Image(
            show_label=False,
            interactive=False,
            type="filepath",
            buttons=[],
            elem_id="film",
            alt_text="The run as a time-lapse",
        )
        with gr.Row(elem_id="film-file"):
            formats = [(kind.words.split(":")[0], key) for key, kind in timelapse.ANIMATION_FORMATS.items()]
            format = gr.Dropdown(formats, value="webp", label="Animation", elem_id="film-format")
            download = gr.DownloadButton("Download", interactive=False, elem_id="film-download")
    return Components(film_tab=tab, film=film, film_format=format, film_download=download)


def _options() -> Components:
    with gr.Tab("Options", id=OPTIONS_TAB, elem_id=OPTIONS_TAB):
        gr.Markdown(
            f"*Show me options*, below the chart, paints {len(VARIANTS)} small pictures here: weaker to stronger, with "
            "fine and with broad strokes. Choose one to take its settings."
        )
        grid = gr.Gallery(
            show_label=False,
            columns=len(STRENGTHS),
            allow_preview=False,
            format="jpeg",
            buttons=[],
            interactive=False,
            object_fit="contain",
            elem_id="options",
        )
        stop = gr.Button("Stop", variant="stop", visible=False, elem_id="stop-options")
    return Components(options=grid, stop_options=stop)


def _chart(costs: str) -> Components:
    chart = gr.LinePlot(
        curve_of_csv(costs),
        x=COLUMNS[0],
        y=COLUMNS[1],
        color=COLUMNS[2],
        color_map=SERIES_COLOURS,
        colors_in_legend=[],  # the boxes below are the legend
        tooltip="all",
        height=300,
        label="Cost",
        elem_id="curve",
        buttons=["export"],
    )
    gr.CheckboxGroup(
        list(SERIES_COLOURS),
        value=list(SERIES_COLOURS),
        label="Lines",
        show_label=False,
        container=False,
        interactive=True,
        elem_id="series",
    )
    return Components(chart=chart)
