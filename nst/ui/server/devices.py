"""Which device a run of the page computes on: of several devices, each computes one run at a time."""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, TypeVar

from nst.device import device_names
from nst.ui.server.visitors import Windows

Rest = ParamSpec("Rest")
Item = TypeVar("Item")


class Devices:
    """Devices by the names of `Settings.device`. A single one is never waited for here: gradio's queue does that."""

    def __init__(self, names: list[str]) -> None:
        self.size = len(names)
        self.names = names
        self.free: queue.SimpleQueue[str] = queue.SimpleQueue()
        for name in names:
            self.free.put(name)
        self.lock = threading.Lock()
        self.at_work = self.begun = 0  # runs now, and runs since the start
        self.starts = 0  # runs that were asked for since the start, of all visitors; those of Live do not count

    def take(self) -> str:
        name = self.names[0] if self.size == 1 else self.free.get()
        with self.lock:
            self.at_work += 1
            self.begun += 1
        return name

    def give_back(self, name: str) -> None:
        with self.lock:
            self.at_work -= 1
        if self.size > 1:
            self.free.put(name)

    def asked(self) -> None:
        """A run is asked for."""
        with self.lock:
            self.starts += 1

    def is_wanted(self, starts: int) -> bool:
        """Whether a run that was asked for since `starts` needs a device, so that Live has to give way."""
        return self.starts != starts and self.at_work >= self.size

    def watch(self) -> Callable[[], bool] | None:
        """None while a run is on. Else a function that says whether none has begun since."""
        with self.lock:
            begun = self.begun
            return None if self.at_work else lambda: self.begun == begun


@functools.cache
def devices() -> Devices:
    """Those of this machine. The first call asks CUDA, so no module calls it when it is imported."""
    return Devices(device_names())


MEASURED = Windows()  # small runs that measure a pace, of all visitors together
MOST_MEASURED = 6  # per minute; each takes the device for about a second


def may_measure() -> Callable[[], bool] | None:
    """Allow the forecast of a visitor to measure a pace, while no run is on; see `estimate.Watch`."""
    undisturbed = devices().watch()
    refused = undisturbed is None or MEASURED.wait_s({"everyone": MOST_MEASURED})
    return None if refused else undisturbed


def on_free_device(run: Callable[Concatenate[str, Rest], Iterator[Item]]) -> Callable[Rest, Iterator[Item]]:
    """Give a run, as its first argument, a device that no other run has until this one ends or is closed."""

    @functools.wraps(run)
    def placed(*values: Rest.args, **named: Rest.kwargs) -> Iterator[Item]:
        device = devices().take()
        try:
            yield from run(device, *values, **named)
        finally:
            devices().give_back(device)

    return placed
