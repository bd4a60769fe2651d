"""Which handler answers which event of the first tab, and the endpoints for programs and assistants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import gradio as gr
from gradio.events import Dependency

from nst.ui.server.events import AT_ONCE, IN_BROWSER, Components, on_device, repeat_status
from nst.ui.server.uploads import show_upload
from nst.ui.stylise import after_run, expected_time, gallery, handlers, presets, share, variants
from nst.ui.stylise.controls import EXTREMES
from nst.ui.stylise.form import PICTURES
from nst.ui.stylise.handlers import PARAMETERS
from nst.ui.stylise.outputs import OPTIONS_TAB
from nst.ui.stylise.zerogpu import on_zerogpu

# Stylise and Stop take each other's place. Move the focus with them, or the browser moves it to the top of the page.
KEEP_FOCUS = """() => setTimeout(() => {
    if (document.activeElement !== document.body) return;
    const buttons = [...document.querySelectorAll("#stop-button, #stylise-button")];
    buttons.find(button => button.offsetParent)?.focus({ preventScroll: true });
}, 50)"""

# A run that the gate refused has never changed the status line.
NOT_STARTED = "status => status.startsWith('Waiting') ? 'Not started.' : status"


def connect(
    page: gr.Blocks, tab: Components, cards: Mapping[str, gr.Button], extremes: Mapping[str, gr.Button]
) -> None:
    """Connect every event of the tab; `cards` are the buttons of the presets, `extremes` those of `EXTREMES`."""
    for name in PICTURES:
        tab.call(tab[name].upload, partial(show_upload, name), (name,), (name,), **AT_ONCE)
    presets.connect(cards, tab)
    _couple_strength(tab)
    runs = _connect_runs(tab, extremes)
    _serve(tab)
    _connect_gallery(tab, runs)
    _connect_results(tab)
    _connect_recipe(page, tab)
    expected_time.connect(page, tab, [*runs, _connect_variants(tab)])


def _couple_strength(tab: Components) -> None:
    """Strength moves beta; alpha and beta move strength. `input` fires for the visitor only, so there is no circle."""
    strength, alpha, beta = (tab[name] for name in ("strength", "alpha", "beta"))
    strength.input(None, [strength, alpha], beta, js=presets.BETA_OF_STRENGTH, **IN_BROWSER)
    for slider in (alpha, beta):
        slider.input(None, [alpha, beta], strength, js=presets.STRENGTH_OF_BETA, **IN_BROWSER)


def _connect_runs(tab: Components, extremes: Mapping[str, gr.Button]) -> list[Dependency]:
    """Every button that starts a run of one picture, and Stop."""
    runs = [_connect_run(tab, tab["stylise"].click, handlers.paint)]
    for name, button in extremes.items():
        values = EXTREMES[name]
        chosen = tab.call(button.click, lambda values=values: values, (), values, **AT_ONCE)
        runs.append(_connect_run(tab, chosen.then, handlers.paint))
    for name, handler in {"go_on": handlers.go_on, "bigger": handlers.paint_bigger}.items():
        runs.append(_connect_run(tab, tab[name].click, handler, "kept"))
    shown = (*after_run.SHOWN, "status")
    stopped = tab.call(tab["stop"].click, after_run.show_stopped, ("kept", "format"), shown, cancels=runs, **AT_ONCE)
    repeat_status(stopped, tab["status"])
    return runs


def _connect_run(tab: Components, trigger: Callable, handler: Callable, *first: str) -> Dependency:
    """Let a trigger start a run. The handler takes the components named `first`, then the parameters."""
    status = tab["status"]
    waiting = tab.call(trigger, after_run.show_waiting, (), (*after_run.SHOWN, "status", "views"), **AT_ONCE)
    waiting.then(None, js=KEEP_FOCUS, **IN_BROWSER)
    inputs = (*first, *PARAMETERS)
    paint = on_zerogpu(handler, PARAMETERS)
    run = tab.call(waiting.then, paint, inputs, handlers.SHOWN, api_visibility="private", **on_device())
    for outcome in (run.success, run.failure):
        over = tab.call(outcome, after_run.show_done, ("kept", "format"), after_run.SHOWN, **AT_ONCE)
        over.then(None, js=KEEP_FOCUS, **IN_BROWSER)
    run.failure(None, status, status, js=NOT_STARTED, **IN_BROWSER)
    return run


def _serve(tab: Components) -> None:
    """Add the endpoint for programs and the tool for assistants, which nothing on the page triggers."""
    for handler, outputs in ((handlers.stylise, handlers.PUBLIC), (handlers.repaint, ("picture",))):
        name = handler.__name__
        paint = on_zerogpu(handler, PARAMETERS)
        tab.call(partial(gr.on, []), paint, PARAMETERS, outputs, api_name=name, **on_device())


def _connect_variants(tab: Components) -> Dependency:
    """The grid of variants: painted on the device, stopped by its own button; a click takes a variant's settings."""
    open_tab = {"views": gr.update(selected=OPTIONS_TAB)}
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
