"""The tab on which a photo is repainted: its layout, and which handler answers which event."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr
from gradio.events import Dependency

from nst.ui.server import examples
from nst.ui.server.events import AT_ONCE, IN_BROWSER, Components, repeat_status
from nst.ui.server.limits import page_limits
from nst.ui.server.uploads import picture_input, refuse_wrong_kinds
from nst.ui.stylise import after_run, controls, expected_time, gallery, handlers, outputs, presets, share, variants
from nst.ui.stylise.handlers import PARAMETERS
from nst.ui.stylise.wiring import connect_run, serve
from nst.ui.stylise.zerogpu import on_zerogpu


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
    keep_s = page_limits().keep_s
    tab.update(kept=gr.State(None, time_to_live=keep_s), entries=gr.State([], time_to_live=keep_s))
    for name in PARAMETERS:
        refuse_wrong_kinds(tab[name], name)

    presets.connect(cards, tab)
    _couple_strength(tab)
    runs = _connect_runs(tab, extremes)
    serve(tab)
    _connect_gallery(tab, runs)
    _connect_results(tab)
    _connect_recipe(page, tab)
    expected_time.connect(page, tab, [*runs, _connect_variants(tab)])
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


def _couple_strength(tab: Components) -> None:
    """Strength moves beta; alpha and beta move strength. `input` fires for the visitor only, so there is no circle."""
    strength, alpha, beta = (tab[name] for name in ("strength", "alpha", "beta"))
    strength.input(None, [strength, alpha], beta, js=presets.BETA_OF_STRENGTH, **IN_BROWSER)
    for slider in (alpha, beta):
        slider.input(None, [alpha, beta], strength, js=presets.STRENGTH_OF_BETA, **IN_BROWSER)


def _connect_runs(tab: Components, extremes: Mapping[str, gr.Button]) -> list[Dependency]:
    """Every button that starts a run of one picture, and Stop."""
    runs = [connect_run(tab, tab["stylise"].click, handlers.paint)]
    for name, button in extremes.items():
        values = controls.EXTREMES[name]
        chosen = tab.call(button.click, lambda values=values: values, (), values, **AT_ONCE)
        runs.append(connect_run(tab, chosen.then, handlers.paint))
    for name, handler in {"go_on": handlers.go_on, "bigger": handlers.paint_bigger}.items():
        runs.append(connect_run(tab, tab[name].click, handler, "kept"))
    outputs = (*after_run.SHOWN, "status")
    stopped = tab.call(tab["stop"].click, after_run.show_stopped, ("kept", "format"), outputs, cancels=runs, **AT_ONCE)
    repeat_status(stopped, tab["status"])
    return runs


def _connect_variants(tab: Components) -> Dependency:
    """The grid of variants: painted on the device, stopped by its own button; a click takes a variant's settings."""
    open_tab = {"views": gr.update(selected=outputs.OPTIONS_TAB)}
    tab.call(tab["show_options"].click, lambda: open_tab, (), open_tab, **AT_ONCE)
    paint = on_zerogpu(variants.paint, PARAMETERS)
    run = tab.call_on_device("show_options", "stop_options", paint, PARAMETERS, ("options", "status"))
    taken = ("strength", "beta", "style_scale", "status")
    tab.call(tab["options"].select, variants.take, ("alpha",), taken, **AT_ONCE)
    return run


def _connect_gallery(tab: Components, runs: list[Dependency]) -> None:
    """Each picture joins the strip; a click shows it again with its settings."""
    for trigger in (*(run.success for run in runs), tab["stop"].click):
        tab.call(trigger, gallery.add, ("kept", "entries"), ("visit", "entries"), **AT_ONCE)
    shown = ("picture", "kept", "status", *after_run.SHOWN, *share.RESTORED)
    tab.call(tab["visit"].select, gallery.show, ("entries", "format"), shown, **AT_ONCE)


def _connect_results(tab: Components) -> None:
    """What can be made of a picture without a new run: file format, time-lapse, colours."""
    tab.call(tab["format"].input, after_run.show_file, ("kept", "format"), ("download",), **AT_ONCE)
    tab["prefers_stills"] = gr.Checkbox(visible=False)  # its value comes from the browser
    for trigger in (tab["film_tab"].select, tab["film_format"].input):
        tab.call(
            trigger,
            after_run.show_film,
            ("kept", "film_format", "prefers_stills"),
            ("film", "film_download"),
            js=after_run.PREFERS_STILLS,
            **AT_ONCE,
        )
    colours = ("colour", "colour_amount", "colour_when")
    for name in colours:
        tab.call(
            tab[name].input,
            after_run.recolour,
            ("kept", *colours, "format"),
            ("picture", "kept", "download", "compare"),
            trigger_mode="always_last",
            **AT_ONCE,
        )


def _connect_recipe(page: gr.Blocks, tab: Components) -> None:
    """Settings from a picture, from the address when the page opens, and into a link."""
    restored = ("status", *share.RESTORED)
    tab.call(tab["dropped"].upload, share.restore, ("dropped",), restored, **AT_ONCE)
    tab.call(page.load, share.from_address, (), restored, **AT_ONCE)
    made = tab.call(tab["make_link"].click, share.show_query, PARAMETERS, ("link",), **AT_ONCE)
    made.success(None, tab["link"], tab["link"], js=share.SHOW_LINK, **IN_BROWSER)
