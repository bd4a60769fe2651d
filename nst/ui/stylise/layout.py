"""The tab on which a photo is repainted: its layout, and which handler answers which event."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from nst.ui.server import examples
from nst.ui.server.events import AT_ONCE, IN_BROWSER, keep_last_word, stoppable
from nst.ui.server.limits import PAGE_LIMITS
from nst.ui.stylise import (
    after_run,
    controls,
    expected_time,
    gallery,
    handlers,
    outputs,
    presets,
    share,
    variants,
)
from nst.ui.stylise.controls import DEFAULTS
from nst.ui.stylise.wiring import Tab
from nst.ui.stylise.zerogpu import on_zerogpu

MORE = {"go_on": handlers.go_on, "bigger": handlers.paint_bigger}


def build(page: gr.Blocks) -> tuple[gr.Accordion, Tab]:
    """Lay out the tab inside the page and connect it. Returns the panel that a phone folds, and its parts."""
    with gr.Row(elem_id="stylise"):
        with gr.Column(scale=4, min_width=320, elem_id="inputs"):
            photo, style = _pictures()
            with gr.Column(elem_id="action"):
                cards = presets.cards()
                slider = gr.Slider(
                    0, 100, presets.DEFAULT_STRENGTH, step=1, label="Strength", elem_id="strength",
                    info="How much of a painting the photo becomes.",
                )  # fmt: skip
                stylise = gr.Button("Stylise", variant="primary", size="lg", elem_id="stylise-button")
                stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop-button")
                expected = gr.Markdown("", elem_id="expected", container=False)
            with gr.Column(elem_id="panels"):
                asked = {"photo": photo, "style": style, **controls.size_and_strokes()}
                weights_panel, weights, extremes = controls.weights()
                asked |= weights | controls.more_styles() | controls.colours() | controls.places(photo)
                asked |= controls.advanced()
                recipe = controls.recipe()
        with gr.Column(scale=7, min_width=320, elem_id="outputs"):
            shown = outputs.build()

    tab = Tab(asked, shown, slider, stylise, stop, gr.State(None, time_to_live=PAGE_LIMITS.keep_s), expected)
    _couple(tab)
    runs = [tab.connect(stylise.click, handlers.paint)]
    runs += [tab.connect(_extreme(button, asked).then, handlers.paint) for button in extremes]
    runs += [tab.connect(shown[name].click, handler, tab.kept) for name, handler in MORE.items()]
    stopped = stop.click(after_run.show_stopped, tab.done, [*tab.afterwards, shown["status"]], cancels=runs, **AT_ONCE)
    keep_last_word(stopped, shown["status"])
    presets.connect(cards, [slider, *(asked[name] for name in presets.SET)])
    tab.serve()
    _connect_visit(tab, runs)
    _connect_finish(tab)
    _connect_recipe(page, tab, *recipe)
    expected_time.connect(page, tab, [*runs, _connect_options(tab)])
    return weights_panel, tab


def _couple(tab: Tab) -> None:
    """Strength moves beta; alpha and beta move strength. `input` answers the visitor only: nothing runs in circles."""
    alpha, beta = tab.asked["alpha"], tab.asked["beta"]
    tab.strength.input(None, [tab.strength, alpha], beta, js=presets.BETA_OF_STRENGTH, **IN_BROWSER)
    for slider in (alpha, beta):
        slider.input(None, [alpha, beta], tab.strength, js=presets.STRENGTH_OF_BETA, **IN_BROWSER)


def _extreme(button: gr.Button, asked: Mapping[str, Component]) -> Dependency:
    """Pure texture, or the content rebuilt from its activations, both from noise."""
    values = (0, DEFAULTS.beta, "noise") if button.elem_id == "texture" else (DEFAULTS.alpha, 0, "noise")
    return button.click(lambda: values, None, [asked[name] for name in ("alpha", "beta", "init")], **AT_ONCE)


def _connect_options(tab: Tab) -> Dependency:
    """The grid of variants: painted on the device in its turn, stopped by its own button, taken by a click."""
    shown = tab.shown
    shown["show_options"].click(lambda: gr.Tabs(selected=outputs.OPTIONS_TAB), None, shown["views"], **AT_ONCE)
    run = stoppable(
        shown["show_options"],
        shown["stop_options"],
        on_zerogpu(variants.paint, handlers.PARAMETERS),
        tab.parameters,
        [shown["options"], shown["status"]],
    )
    taken = [tab.strength, tab.asked["beta"], tab.asked["style_scale"], shown["status"]]
    shown["options"].select(variants.take, tab.asked["alpha"], taken, **AT_ONCE)
    return run


def _connect_visit(tab: Tab, runs: list[Dependency]) -> None:
    """Each picture joins the strip, from which it comes back with its settings."""
    shown, entries = tab.shown, gr.State([], time_to_live=PAGE_LIMITS.keep_s)
    for event in (*(run.success for run in runs), tab.stop.click):
        event(gallery.add, [tab.kept, entries], [shown["visit"], entries], **AT_ONCE)
    shown["visit"].select(
        gallery.show,
        [entries, shown["format"]],
        [shown["picture"], tab.kept, shown["status"], *tab.afterwards, *tab.restored],
        **AT_ONCE,
    )


def _connect_finish(tab: Tab) -> None:
    """What can be done with a picture without a new run: format, colours, time-lapse."""
    asked, shown = tab.asked, tab.shown
    shown["format"].input(after_run.file_of, tab.done, shown["download"], **AT_ONCE)
    still = gr.Checkbox(visible=False)  # filled in by the browser
    for event in (shown["film_tab"].select, shown["film_format"].input):
        event(
            after_run.film_of,
            [tab.kept, shown["film_format"], still],
            [shown["film"], shown["film_download"]],
            js=after_run.PREFERS_STILLS,
            **AT_ONCE,
        )
    colours = [asked[name] for name in ("colour", "colour_amount", "colour_when")]
    for component in colours:
        component.input(
            after_run.recolour,
            [tab.kept, *colours, shown["format"]],
            [shown["picture"], tab.kept, shown["download"], shown["compare"]],
            trigger_mode="always_last",
            **AT_ONCE,
        )


def _connect_recipe(page: gr.Blocks, tab: Tab, dropped: gr.File, make_link: gr.Button, link: gr.Textbox) -> None:
    """Settings out of a picture, out of the address when the page opens, and into a link."""
    restored = [tab.shown["status"], *tab.restored]
    dropped.upload(share.restore, dropped, restored, **AT_ONCE)
    page.load(share.from_address, None, restored, **AT_ONCE)
    made = make_link.click(share.query_of, tab.parameters, link, **AT_ONCE)
    made.success(None, link, link, js=share.SHOW_LINK, **IN_BROWSER)


def _pictures() -> list[gr.Image]:
    """Photo and style, each with a row of examples below."""
    first_photo, first_style, _, _ = examples.first_sight()
    with gr.Row(elem_id="pictures"):
        return [
            _picture_with_examples("Photo", first_photo, examples.photos()),
            _picture_with_examples("Style", first_style, examples.styles()),
        ]


def _picture_with_examples(label: str, value: str, samples: Mapping[str, str]) -> gr.Image:
    with gr.Column(min_width=140, elem_classes="picture-input"):
        picture = controls.picture_input(label, value=value, height=180, elem_id=f"{label.lower()}-input")
        with gr.Row(elem_classes="samples"):
            for name, path in samples.items():
                button = gr.Button(name, icon=examples.thumbnail(path), size="sm", min_width=48, scale=0)
                button.click(lambda path=path: path, None, picture, **AT_ONCE)
    return picture
