"""The right side of the tab: the picture, what can be made of it, and the loss curve."""

from __future__ import annotations

import gradio as gr

from nst import grid
from nst.images.encode import FORMATS
from nst.images.print_size import RESOLUTIONS
from nst.settings import CHOICES, QUALITIES
from nst.ui.server import examples
from nst.ui.server.events import IN_BROWSER, Components
from nst.ui.stylise import comparing, variants
from nst.ui.stylise.after_run import FILM_FORMATS, PICTURE_TAB
from nst.ui.stylise.curve import COLUMNS, SERIES_COLOURS, SHOWN_AT_FIRST, curve_of_csv
from nst.ui.stylise.form import DEFAULTS
from nst.ui.stylise.variants import FIRST
from nst.ui.stylise.visit import MOST

OPTIONS_TAB = "options-tab"
# Hand the file to another program, where the browser can do that: phones mostly. CSS hides the button elsewhere.
SHARE = """async file => {
    const blob = await (await fetch(file.url)).blob();
    const files = [new File([blob], file.orig_name || file.path.split("/").pop(), { type: blob.type })];
    if (navigator.canShare?.({ files })) await navigator.share({ files }).catch(() => {});
}"""


def status_line() -> gr.Markdown:
    """What happens now, in a sentence. It is made before the panels, which write it, and placed by `build`."""
    said = "An example. Press Stylise to paint it yourself, or choose your own pictures."
    return gr.Markdown(said, elem_id="status", container=False, render=False)


def continue_words(quality: str) -> str:
    """The button Continue with the number of steps that it takes."""
    return f"Continue: {QUALITIES[quality][1]} steps"


def build(status: gr.Markdown) -> Components:
    """Lay out the outputs inside the current column: the picture and what belongs to it, then the chart and the strip.

    The first part stays in sight while the panels beside it scroll by, so it must be lower than the window.
    """
    photo, _, result, costs = examples.first_sight()
    with gr.Column(elem_id="stage"):
        with gr.Tabs(elem_id="views") as views:
            shown = Components(views=views, **_picture(result), **_compare(photo, result), **_options(), **_film())
        status.render()
        shown.update(_take_away())
    shown.update(_chart(costs))
    shown.update(_strip())
    return shown


def _take_away() -> Components:
    """The buttons for the finished picture: disabled, not hidden, while there is none."""
    formats = [(kind.words.split(":")[0], key) for key, kind in FORMATS.items()]
    with gr.Row(elem_id="take-away"):
        format = gr.Dropdown(
            formats, value="png", label="File format", show_label=False, container=False, min_width=110, scale=0,
            elem_id="format",
        )  # fmt: skip
        look = {"size": "md", "min_width": 80}
        download = gr.DownloadButton("Download", interactive=False, elem_id="download", **look)
        share = gr.Button("Share", elem_id="share", **look)
        go_on = gr.Button(continue_words(DEFAULTS.quality), interactive=False, elem_id="go-on", **look)
        bigger = gr.Button("Bigger: 2 x", interactive=False, elem_id="bigger", **look)
        prints = gr.Button("Print ...", interactive=False, elem_id="print", **look)
    share.click(None, download, None, js=SHARE, **IN_BROWSER)
    buttons = Components(format=format, download=download, go_on=go_on, bigger=bigger, print=prints)
    return buttons | _print_panel()


def _print_panel() -> Components:
    """A size on paper, and what a picture of that size takes; unfolded by the button Print."""
    units = [("cm", "cm"), ("inches", "in")]
    resolutions = [(f"{dpi} dpi: {words}", dpi) for dpi, words in RESOLUTIONS.items()]
    with gr.Column(elem_id="print-panel"):
        with gr.Row():
            length = gr.Number(15, minimum=1, label="Longer side", min_width=90, elem_id="print-side")
            unit = gr.Dropdown(units, value="cm", label="Unit", min_width=90, elem_id="print-unit")
            dpi = gr.Dropdown(resolutions, value=300, label="Resolution", min_width=180, elem_id="print-dpi")
        plan = gr.Markdown("", container=False, elem_id="print-plan")
        begin = gr.Button("Paint for print", variant="primary", size="md", interactive=False, elem_id="paint-print")
    return Components(print_side=length, print_unit=unit, print_dpi=dpi, paint_print=begin, print_plan=plan)


def _strip() -> Components:
    """The strip of this visit's pictures. Its height is that of one row, also while it is empty."""
    with gr.Column(elem_id="strip"):
        with gr.Row(elem_id="strip-head"):
            gr.Markdown(
                "**This visit.** Your pictures appear here. Choose one to see it again with its settings; *Compare* "
                "sets any two side by side."
            )
            zip_all = gr.Button("Download all", size="sm", min_width=110, scale=0, interactive=False, elem_id="zip-all")
            all_files = gr.DownloadButton(visible="hidden", elem_id="all-files")
        pictures = gr.Gallery(
            show_label=False,
            columns=MOST // 2,
            fit_columns=False,
            allow_preview=False,
            format="jpeg",
            buttons=[],
            visible=False,
            interactive=False,
            elem_id="visit",
        )
    return Components(strip=pictures, zip_all=zip_all, all_files=all_files)


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
    """Two pictures with a slider between them, which ones, and what differs."""
    with gr.Tab("Compare", elem_id="compare-tab"):
        with gr.Row(elem_id="sides"):
            photo_only = [("the photo", comparing.PHOTO)]
            left = gr.Dropdown(photo_only, value=comparing.PHOTO, label="Left", min_width=120, elem_id="compare-left")
            example = [("the example", ""), *photo_only]
            right = gr.Dropdown(example, value="", label="Right", min_width=120, elem_id="compare-right")
        slider = gr.ImageSlider(
            (photo, result), show_label=False, interactive=False, format="jpeg", buttons=[], elem_id="compare"
        )
        differences = gr.Markdown("", container=False, elem_id="differences")
    return Components(compare=slider, left=left, right=right, differences=differences)


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
            formats = [(kind.words.split(":")[0], key) for key, kind in FILM_FORMATS.items()]
            format = gr.Dropdown(formats, value="webp", label="Animation", elem_id="film-format")
            download = gr.DownloadButton("Download", interactive=False, elem_id="film-download")
    return Components(film_tab=tab, film=film, film_format=format, film_download=download)


def _options() -> Components:
    """The panel of small pictures over one or two settings."""
    settings = [(words, name) for name, words in variants.VARYING.items()]
    box = {"max_lines": 1, "min_width": 120}
    with gr.Tab("Options", id=OPTIONS_TAB, elem_id=OPTIONS_TAB) as tab:
        gr.Markdown(
            "Small pictures side by side: see what one or two settings do. Click a picture to take its settings."
        )
        with gr.Row(elem_id="axes"):
            across = gr.Dropdown(settings, value=FIRST["across"], label="Across", min_width=120, elem_id="across")
            across_values = gr.Textbox(FIRST["across_values"], label="Values across", elem_id="across-values", **box)
            downs = [("nothing", variants.NOTHING), *settings]
            down = gr.Dropdown(downs, value=FIRST["down"], label="Down", min_width=120, elem_id="down")
            down_values = gr.Textbox(FIRST["down_values"], label="Values down", elem_id="down-values", **box)
            px = gr.Slider(*variants.OPTION_PX, grid.SIZE_PX, step=32, label="Longer side, px", min_width=120)
            quality = gr.Dropdown(list(CHOICES["quality"]), value="draft", label="Quality of each", min_width=110)
        with gr.Row(elem_id="paint-options"):
            begin = gr.Button("Show me options", variant="primary", size="md", elem_id="show-options")
            stop = gr.Button("Stop", variant="stop", size="md", visible=False, elem_id="stop-options")
            file = gr.DownloadButton("Download all as one PNG", size="md", interactive=False, elem_id="options-file")
        expected = gr.Markdown("", container=False, elem_id="options-expected")
        shown = gr.HTML("", js_on_load=variants.CLICKS, elem_id="options")
    chosen = {"across": across, "across_values": across_values, "down": down, "down_values": down_values}
    return Components(
        **chosen, option_px=px, option_quality=quality, show_options=begin, stop_options=stop, options=shown,
        options_file=file, options_expected=expected, options_tab=tab,
    )  # fmt: skip


def _chart(costs: str) -> Components:
    chart = gr.LinePlot(
        curve_of_csv(costs),
        x=COLUMNS[0],
        y=COLUMNS[1],
        color=COLUMNS[2],
        color_map=SERIES_COLOURS,
        colors_in_legend=[],  # the boxes below are the legend
        tooltip="all",
        y_title="cost (log10)",
        height=240,
        label="Costs at each step; -1 is a tenth",
        elem_id="curve",
        buttons=["export"],
    )
    gr.CheckboxGroup(
        list(SERIES_COLOURS),
        value=list(SHOWN_AT_FIRST),
        label="Lines",
        show_label=False,
        container=False,
        interactive=True,
        elem_id="series",
    )
    return Components(chart=chart)
