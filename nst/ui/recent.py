"""What was seen in the last pictures, for all visitors together, in bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Recent:
    """Values by key, each with an `nbytes`; the ones used longest ago are forgotten when there is no room left."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.kept: OrderedDict[Hashable, Any] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a key, made when it is not there; two visitors may make the same at the same time."""
        with self.lock:
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key]
        value = make()
        with self.lock:
            self.kept[key] = value
            while self.nbytes > self.most_bytes and len(self.kept) > 1:
                self.kept.popitem(last=False)
        return value

    @property
    def nbytes(self) -> int:
        """Memory that the values hold."""
        return sum(value.nbytes for value in self.kept.values())
