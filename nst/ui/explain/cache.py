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
        """The value of a key, made when it is not there, one at a time: making takes a processor for a second."""
        with self.lock:
            if key not in self.kept:
                self.kept[key] = make()
            self.kept.move_to_end(key)
            value = self.kept[key]
            while self.nbytes > self.most_bytes and len(self.kept) > 1:
                self.kept.popitem(last=False)
            return value

    @property
    def nbytes(self) -> int:
        """Memory that the values hold."""
        return sum(value.nbytes for value in self.kept.values())
