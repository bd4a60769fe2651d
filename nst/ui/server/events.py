"""How the page calls its handlers, which know names and values and no components."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.events import Dependency

from nst.ui.server.devices import devices

log = logging.getLogger(__name__)
FAILED = "Something went wrong on the server. Please load the page again."
STOPPED = "Stopped."

# What a handler returns, or yields while it works: values by the names of components. The others stay as they are.
Updates = dict[str, Any]

# Classes of work, by which the gate counts and limits the page's events. gradio carries them as `concurrency_id`.
DEVICE_ID, SMALL_WORK_ID, AT_ONCE_ID = "device", "small work", "at once"

IN_BROWSER = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}  # JavaScript alone
# For handlers that compute for less than 5 ms: they answer outside the queue, and are no endpoint for programs.
AT_ONCE = {**IN_BROWSER, "concurrency_id": AT_ONCE_ID}
# For handlers that compute for longer, but do not run on the device: the gate lets two of them work at a time.
SMALL_WORK = {**IN_BROWSER, "concurrency_id": SMALL_WORK_ID}


def on_device() -> dict[str, Any]:
    """For handlers that run on a device: one run at a time on each, because a run uses the whole device."""
    return {"concurrency_limit": devices().size, "concurrency_id": DEVICE_ID, "show_progress": "hidden"}


class Components(dict[str, Block]):
    """Components by name, buttons and states included."""

    def call(
        self, trigger: Callable, handler: Callable, inputs: Iterable[str], outputs: Iterable[str], **how: Any
    ) -> Dependency:
        """Let a trigger call a handler that returns or yields `Updates` for some of the outputs."""
        filled = {name: self[name] for name in outputs}
        return trigger(_by_component(handler, filled), [self[name] for name in inputs], list(filled.values()), **how)

    def call_on_device(
        self, begin: str, stop: str, handler: Callable, inputs: Iterable[str], outputs: Iterable[str]
    ) -> Dependency:
        """Let the button `begin` start a handler on the device, and `stop` end it; "status" is one of the outputs.

        The handler is a generator. A run that is on ends itself with its next update; gradio cancels one that waits.
        """
        ready = {begin: gr.update(interactive=True), stop: gr.update(value="Stop", interactive=True, visible=False)}
        running = {begin: gr.update(interactive=False), stop: gr.update(value="Stop", interactive=True, visible=True)}

        def wait(work: Work) -> Updates:
            work.begin()
            return running

        def run_until_stopped(work: Work, *values: Any) -> Iterator[Updates]:
            with work.turn(), closing(handler(*values)) as stream:
                for updates in stream:
                    if work.stopped:
                        yield {"status": STOPPED}
                        return
                    yield updates

        run_until_stopped.__name__ = handler.__name__  # by which the page's functions are told apart

        def end(work: Work) -> Updates:
            if work.stop():
                return {**ready, "status": STOPPED, "cancelled": work.cancelled}
            return {stop: gr.update(value="Stopping ...", interactive=False)}

        hidden = {"work": gr.State(Work()), "cancelled": gr.Number(0, visible="hidden", container=False)}
        parts = Components({**self, **hidden})
        waiting = parts.call(parts[begin].click, wait, ("work",), running, **AT_ONCE)
        how = {"api_visibility": "private", **on_device()}
        run = parts.call(waiting.then, run_until_stopped, ("work", *inputs), outputs, **how)
        for outcome in (run.success, run.failure):
            parts.call(outcome, lambda: ready, (), ready, **AT_ONCE)
        parts.call(parts[stop].click, end, ("work",), (*ready, "status", "cancelled"), **AT_ONCE)
        parts["cancelled"].change(None, cancels=[run], **IN_BROWSER)
        return run


@dataclass
class Work:
    """The newest run that a button started for a visitor."""

    on: bool = False  # whether its turn has come
    stopped: bool = False  # by the visitor
    cancelled: int = 0  # how many runs were taken out of the queue

    def begin(self) -> None:
        """A run is asked for, and waits for its turn."""
        self.on = self.stopped = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Around a run whose turn has come."""
        self.on = True
        try:
            yield
        finally:
            self.on = False

    def stop(self) -> bool:
        """Stop was pressed -> whether the run waits, so that gradio must cancel it. Otherwise it ends itself."""
        self.stopped = True
        self.cancelled += not self.on
        return not self.on


def _by_component(handler: Callable, outputs: dict[str, Block]) -> Callable:
    """The handler as gradio calls it: its updates have components as keys instead of names."""

    def renamed(updates: Updates) -> dict[Any, Any]:
        return {outputs[name]: value for name, value in updates.items()} or gr.skip()

    @functools.wraps(handler)
    def answer(*values: Any) -> dict[Any, Any]:
        try:
            updates = handler(*values)
        except gr.Error:
            raise
        except Exception:
            log.exception("a handler of the page failed")
            raise gr.Error(FAILED, print_exception=False) from None
        return renamed(updates)

    @functools.wraps(handler)
    def answers(*values: Any) -> Iterator[dict[Any, Any]]:
        with closing(handler(*values)) as stream:
            yield from map(renamed, stream)

    return answers if inspect.isgeneratorfunction(handler) else answer
