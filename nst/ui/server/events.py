"""How the page calls its handlers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from nst.ui.server.devices import DEVICES

# Handlers that do not compute: they answer at once, outside the queue, and are no endpoint for programs.
AT_ONCE = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
IN_BROWSER = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}  # a line of JavaScript alone

# Runs: one at a time on each device, for it uses the whole of it.
ON_DEVICE = {"concurrency_limit": DEVICES.size, "concurrency_id": "device", "show_progress": "hidden"}


def stoppable(
    begin: gr.Button, stop: gr.Button, handler: Callable, inputs: Sequence[Component], outputs: Sequence[Component]
) -> Dependency:
    """A button that begins something on the device, and one that stops it; the last of `outputs` is a status line."""
    buttons = [begin, stop]
    waiting = begin.click(lambda: (gr.Button(interactive=False), gr.Button(visible=True)), None, buttons, **AT_ONCE)
    run = waiting.then(handler, inputs, outputs, api_visibility="private", **ON_DEVICE)
    for outcome in (run.success, run.failure):
        outcome(_ready, None, buttons, **AT_ONCE)
    stopped = stop.click(lambda: (*_ready(), "Stopped."), None, [*buttons, outputs[-1]], cancels=[run], **AT_ONCE)
    keep_last_word(stopped, outputs[-1])
    return run


def keep_last_word(stopped: Dependency, status: Component) -> None:
    """A frame on its way when Stop was pressed brings its own status line: what Stop said is said once more."""
    stopped.then(None, status, status, js="said => new Promise(again => setTimeout(again, 500, said))", **IN_BROWSER)


def _ready() -> tuple[gr.Button, gr.Button]:
    return gr.Button(interactive=True), gr.Button(visible=False)
