"""The components of the tab that take part in a run, and how a click becomes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from nst.ui.server import uploads
from nst.ui.server.events import AT_ONCE, IN_BROWSER, ON_DEVICE
from nst.ui.stylise import after_run, handlers, share
from nst.ui.stylise.zerogpu import on_zerogpu

# Stylise and Stop take each other's place. Who came by keyboard would be thrown back to the top of the page.
KEEP_FOCUS = """() => setTimeout(() => {
    if (document.activeElement !== document.body) return;
    const buttons = [...document.querySelectorAll("#stop-button, #stylise-button")];
    buttons.find(button => button.offsetParent)?.focus({ preventScroll: true });
}, 50)"""

# What was refused at the gate has never said anything in the status line.
NOT_STARTED = "status => status.startsWith('Waiting') ? 'Not started.' : status"


@dataclass(frozen=True)
class Tab:
    """Inputs by the parameters of the endpoint, outputs by name, and what stands between."""

    asked: Mapping[str, Component]  # by the endpoint's parameters
    shown: Mapping[str, Component]
    strength: gr.Slider
    stylise: gr.Button
    stop: gr.Button
    kept: gr.State
    expected: gr.Markdown  # how long a run will take

    def __post_init__(self) -> None:
        for name, component in self.asked.items():
            component.preprocess = uploads.refusing(name, component.preprocess)

    @property
    def parameters(self) -> list[Component]:
        """The controls in the order of the endpoint's parameters."""
        return [self.asked[name] for name in handlers.PARAMETERS]

    @property
    def afterwards(self) -> list[Component]:
        """What changes when a run begins and ends, as `finish.show_done` gives it."""
        names = ("download", "go_on", "bigger", "compare")
        return [self.stylise, self.stop, *(self.shown[name] for name in names)]

    @property
    def done(self) -> list[Component]:
        """What `finish.show_done` needs."""
        return [self.kept, self.shown["format"]]

    @property
    def restored(self) -> list[Component]:
        """The controls that a recipe sets, as `share.controls_of` gives them."""
        return [self.strength, *(self.asked[name] for name in share.RESTORED)]

    def connect(self, trigger: Callable, handler: Callable, *first: Component) -> Dependency:
        """Let a trigger start a run. Returns the run."""
        shown = self.shown
        waiting = trigger(after_run.show_waiting, None, [*self.afterwards, shown["status"], shown["views"]], **AT_ONCE)
        waiting.then(None, js=KEEP_FOCUS, **IN_BROWSER)
        run = waiting.then(
            on_zerogpu(handler, handlers.PARAMETERS),
            [*first, *self.parameters],
            [shown["picture"], shown["chart"], shown["status"], self.kept],
            api_visibility="private",
            **ON_DEVICE,
        )
        for outcome in (run.success, run.failure):
            over = outcome(after_run.show_done, self.done, self.afterwards, **AT_ONCE)
            over.then(None, js=KEEP_FOCUS, **IN_BROWSER)
        run.failure(None, shown["status"], shown["status"], js=NOT_STARTED, **IN_BROWSER)
        return run

    def serve(self) -> None:
        """The endpoint for programs and the tool for assistants, which nothing on the page triggers."""
        picture, chart, status = (self.shown[name] for name in ("picture", "chart", "status"))
        stylise, repaint = (
            on_zerogpu(handler, handlers.PARAMETERS) for handler in (handlers.stylise, handlers.repaint)
        )
        gr.on([], stylise, self.parameters, [picture, chart, status], api_name="stylise", **ON_DEVICE)
        gr.on([], repaint, self.parameters, picture, api_name="repaint", **ON_DEVICE)
