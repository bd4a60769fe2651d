"""Which device a run of the page computes on: where there are several, each has one run at a time for itself."""

from __future__ import annotations

import functools
import queue
from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, TypeVar

from nst.device import device_names

Rest = ParamSpec("Rest")
Shown = TypeVar("Shown")


class Devices:
    """Devices by the names that `Settings.device` knows; one alone is not kept track of: the queue does it."""

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


DEVICES = Devices(device_names())


def on_its_own(run: Callable[Concatenate[str, Rest], Iterator[Shown]]) -> Callable[Rest, Iterator[Shown]]:
    """A run, whose first parameter is a device, on one that nobody else has until the run ends or is closed."""

    @functools.wraps(run)
    def placed(*values: Rest.args, **named: Rest.kwargs) -> Iterator[Shown]:
        device = DEVICES.take()
        try:
            yield from run(device, *values, **named)
        finally:
            DEVICES.give_back(device)

    return placed
