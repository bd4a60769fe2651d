"""How a click on the first tab becomes a run, and how programs and assistants start one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import gradio as gr
from gradio.events import Dependency

from nst.ui.server.events import AT_ONCE, IN_BROWSER, Components, on_device
from nst.ui.stylise import after_run, handlers
from nst.ui.stylise.handlers import PARAMETERS
from nst.ui.stylise.zerogpu import on_zerogpu

# Stylise and Stop take each other's place. Move the focus with them, or the browser moves it to the top of the page.
KEEP_FOCUS = """() => setTimeout(() => {
    if (document.activeElement !== document.body) return;
    const buttons = [...document.querySelectorAll("#stop-button, #stylise-button")];
    buttons.find(button => button.offsetParent)?.focus({ preventScroll: true });
}, 50)"""

# A run that the gate refused has never changed the status line.
NOT_STARTED = "status => status.startsWith('Waiting') ? 'Not started.' : status"


def connect_run(tab: Components, trigger: Callable, handler: Callable, *first: str) -> Dependency:
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


def serve(tab: Components) -> None:
    """Add the endpoint for programs and the tool for assistants, which nothing on the page triggers."""
    for handler, outputs in ((handlers.stylise, handlers.PUBLIC), (handlers.repaint, ("picture",))):
        name = handler.__name__
        paint = on_zerogpu(handler, PARAMETERS)
        tab.call(partial(gr.on, []), paint, PARAMETERS, outputs, api_name=name, **on_device())
