"""Which device a run of the page computes on: of several devices, each computes one run at a time."""

from __future__ import annotations

import functools
import queue
from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, TypeVar

from nst.device import device_names

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

    def take(self) -> str:
        return self.names[0] if self.size == 1 else self.free.get()

    def give_back(self, name: str) -> None:
        if self.size > 1:
            self.free.put(name)


@functools.cache
def devices() -> Devices:
    """Those of this machine. The first call asks CUDA, so no module calls it when it is imported."""
    return Devices(device_names())


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
