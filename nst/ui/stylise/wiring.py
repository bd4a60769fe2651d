"""Which handler answers which event of the first tab, and the endpoints for programs and assistants."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial

import gradio as gr
from gradio.events import Dependency

from nst.settings import QUALITIES
from nst.ui.server.events import AT_ONCE, IN_BROWSER, SMALL_WORK, Components, on_device
from nst.ui.server.uploads import show_upload
from nst.ui.stylise import (
    after_run,
    comparing,
    expected_time,
    gallery,
    handlers,
    live,
    outputs,
    presets,
    printing,
    share,
    tabs,
    variants,
)
from nst.ui.stylise.controls import EXTREMES, put_on_canvas, show_recurring
from nst.ui.stylise.form import DEFAULTS, PICTURES
from nst.ui.stylise.handlers import PARAMETERS
from nst.ui.stylise.zerogpu import on_zerogpu

# The button that paints and Stop take each other's place. Move the focus with them, or the browser moves it to the top
# of the page.
KEEP_FOCUS = """() => setTimeout(() => {
    if (document.activeElement !== document.body) return;
    const buttons = [...document.querySelectorAll("#stop-button, #stylise-button, #clip-stop, #clip-paint")];
    buttons.find(button => button.offsetParent)?.focus({ preventScroll: true });
}, 50)"""

# The file is there once the hidden button has it.
TAKE_ALL = "() => setTimeout(() => document.querySelector('#all-files').click(), 200)"
UNFOLD_PRINT = "() => { document.querySelector('#print-panel').classList.toggle('unfolded'); }"


def connect(
    page: gr.Blocks, tab: Components, cards: Mapping[str, gr.Button], extremes: Mapping[str, gr.Button]
) -> None:
    """Connect every event of the tab; `cards` are the buttons of the presets, `extremes` those of `EXTREMES`."""
    for name in PICTURES:
        tab.call(tab[name].upload, partial(show_upload, name), (name,), (name, "status"), **SMALL_WORK)
    recurring = ("recurring", "style_mask")
    shown = tab.call(tab["show_recurring"].click, show_recurring, ("style", "pooling"), recurring, **SMALL_WORK)
    put_on_canvas(shown, tab["recurring"], tab["style_brush"])
    equals = {f"lambda_{layer}": weight for layer, weight in DEFAULTS.style_layers.items()}
    reset = tab.call(tab["equal_lambdas"].click, lambda: equals, (), equals, **AT_ONCE)
    live.connect(page, tab, _couple_strength(tab), [reset, *presets.connect(cards, tab)])
    runs = _connect_runs(tab, extremes)
    _serve(tab)
    tab.call(tab["strip"].select, gallery.show, ("visit",), gallery.SHOWN, **SMALL_WORK)
    _connect_results(tab)
    _connect_recipe(page, tab)
    expected_time.connect(page, tab, [*runs, _connect_variants(tab)])


def _couple_strength(tab: Components) -> Dependency:
    """Strength moves beta, the event that is returned; alpha and beta move strength.

    `input` fires for the visitor only, so there is no circle.
    """
    strength, alpha, beta = (tab[name] for name in ("strength", "alpha", "beta"))
    for slider in (alpha, beta):
        slider.input(None, [alpha, beta], strength, js=presets.STRENGTH_OF_BETA, **IN_BROWSER)
    return strength.input(None, [strength, alpha], beta, js=presets.BETA_OF_STRENGTH, **IN_BROWSER)


def _connect_runs(tab: Components, extremes: Mapping[str, gr.Button]) -> list[Dependency]:
    """Every button that starts a run of one picture, and Stop."""
    runs = [_connect_run(tab, tab["stylise"].click, handlers.paint)]
    for name, button in extremes.items():
        values = EXTREMES[name]
        chosen = tab.call(button.click, lambda values=values: values, (), values, **AT_ONCE)
        runs.append(_connect_run(tab, chosen.then, handlers.paint))
    for name, handler in {"go_on": handlers.go_on, "bigger": handlers.paint_bigger}.items():
        runs.append(_connect_run(tab, tab[name].click, handler))
    words = json.dumps({quality: outputs.continue_words(quality) for quality in QUALITIES})
    say_steps = f"quality => ({{ __type__: 'update', value: {words}[quality] }})"
    tab["quality"].change(None, tab["quality"], tab["go_on"], js=say_steps, **IN_BROWSER)
    runs.append(_connect_run(tab, tab["paint_print"].click, handlers.paint_print, *printing.CHOICES))
    _connect_stop(tab, runs)
    return runs


def _connect_run(tab: Components, trigger: Callable, handler: Callable, *more: str) -> Dependency:
    """Let a trigger start a run, which shows all of itself, its end included. `more` are inputs of its own."""
    waiting = tab.call(
        trigger, after_run.show_waiting, ("visit",), (*after_run.BUTTONS, "status", "views", "number"), **AT_ONCE
    )
    waiting.then(None, js=KEEP_FOCUS, **IN_BROWSER)
    inputs = ("visit", "number", "format", *more, *PARAMETERS)
    how = {"api_visibility": "private", "trigger_mode": "multiple", **on_device()}
    run = tab.call(waiting.then, handler, inputs, after_run.DISPLAY, **how)
    for outcome in (run.success, run.failure):
        over = tab.call(outcome, after_run.show_over, ("visit",), after_run.DISPLAY, **AT_ONCE)
        over.then(None, js=KEEP_FOCUS, **IN_BROWSER)
    return run


def _connect_stop(tab: Components, runs: list[Dependency]) -> None:
    """Stop tells the run, which ends itself. gradio cancels runs that wait; others would lose their last display."""
    tab["stop"].click(None, None, [tab["stop"], tab["status"]], js=after_run.STOPPING, **IN_BROWSER)
    tab.call(tab["stop"].click, after_run.stop, ("visit",), (*after_run.DISPLAY, "cancelled"), **AT_ONCE)
    tab["cancelled"].change(None, cancels=runs, **IN_BROWSER)


def _serve(tab: Components) -> None:
    """Add the endpoint for programs and the tool for assistants, which nothing on the page triggers."""
    for handler, answers in ((handlers.stylise, handlers.PUBLIC), (handlers.repaint, ("picture",))):
        tab.call(partial(gr.on, []), handler, PARAMETERS, answers, api_name=handler.__name__, **on_device())


def _connect_variants(tab: Components) -> Dependency:
    """The grid of small pictures: painted on the device, stopped by its own button; a click takes a cell's settings."""
    inputs = (*variants.CHOICES, *PARAMETERS)
    paint = on_zerogpu(variants.paint, variants.needed_s)
    run = tab.call_on_device("show_options", "stop_options", paint, inputs, ("options", "status", "options_file"))
    tab.call(tab["options"].select, variants.take, ("alpha",), variants.TAKEN, **AT_ONCE)
    for axis in ("across", "down"):
        values = f"{axis}_values"
        tab.call(tab[axis].input, partial(variants.fill, axis), (axis,), (values,), **AT_ONCE)
    beginnings = [tab["options_tab"].select, *(tab[name].change for name in variants.CHOICES)]
    asked = partial(gr.on, beginnings)
    expected = ("options_expected",)
    tab.call(asked, variants.show_estimate, inputs, expected, trigger_mode="always_last", **SMALL_WORK)
    return run


def _connect_results(tab: Components) -> None:
    """What can be made of a picture without a new run: file format, time-lapse, colours."""
    tab.call(tab["format"].input, after_run.show_file, ("visit", "format"), ("download",), **SMALL_WORK)
    tab["prefers_stills"] = gr.Checkbox(visible=False)  # its value comes from the browser
    for trigger in (tab["film_tab"].select, tab["film_format"].input):
        tab.call(
            trigger,
            after_run.show_film,
            ("visit", "film_format", "prefers_stills"),
            ("film", "film_download"),
            js=after_run.PREFERS_STILLS,
            **SMALL_WORK,
        )
    for side in comparing.SIDES:
        inputs = ("visit", *comparing.SIDES)
        tab.call(tab[side].input, comparing.compare, inputs, ("compare", "differences"), **SMALL_WORK)
    zipped = tab.call(tab["zip_all"].click, after_run.zip_all, ("visit",), ("all_files",), **SMALL_WORK)
    zipped.success(None, js=TAKE_ALL, **IN_BROWSER)
    planned = partial(gr.on, [tab["print"].click, *(tab[name].change for name in printing.CHOICES)])
    inputs = ("visit", *printing.CHOICES, *PARAMETERS)
    tab.call(planned, handlers.show_print, inputs, ("print_plan",), trigger_mode="always_last", **SMALL_WORK)
    tab["print"].click(None, js=UNFOLD_PRINT, **IN_BROWSER)
    colours = ("colour", "colour_amount", "colour_when")
    for name in colours:
        tab.call(
            tab[name].input,
            after_run.recolour,
            ("visit", *colours),
            ("picture", "download", "compare", "status"),
            trigger_mode="always_last",
            **SMALL_WORK,
        )


def _connect_recipe(page: gr.Blocks, tab: Components) -> None:
    """Settings from a picture, from the address when the page opens, and into a link."""
    restored = ("status", *share.RESTORED)
    tab.call(tab["dropped"].upload, share.restore, ("dropped",), restored, **SMALL_WORK)
    opened = tab.call(page.load, share.from_address, (), (*restored, *share.EXAMPLES), **AT_ONCE)
    shown = (*gallery.SHOWN, "visit", "key")
    found = tab.call(opened.then, tabs.open_tab, ("visit", "key"), shown, js=tabs.READ_KEY, **SMALL_WORK)
    found.then(None, tab["key"], tab["key"], js=tabs.KEEP_KEY, **IN_BROWSER)
    page.unload(tabs.close_tab)
    tabs.forget_sessions(page)
    made = tab.call(tab["make_link"].click, share.show_query, PARAMETERS, ("link", "status"), **AT_ONCE)
    made.success(None, tab["link"], tab["link"], js=share.SHOW_LINK, **IN_BROWSER)
