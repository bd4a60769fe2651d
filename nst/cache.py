"""Results kept for all threads of the process in bounded memory: style statistics, packed kernels, activations."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Hashable
from threading import Condition
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from cachetools import LRUCache, cached

if TYPE_CHECKING:
    from torch import Tensor


def digest(values: Tensor | None) -> str:
    """SHA-256 of a tensor's shape and values, as a part of a key; empty for None."""
    if values is None:
        return ""
    return hashlib.sha256(str(tuple(values.shape)).encode() + values.cpu().numpy().tobytes()).hexdigest()


class BoundedCache:
    """Values by key. When their sizes come to more than `most`, those used longest ago are forgotten.

    `size_of` gives a value's size in the unit of `most`, such as bytes; without it each value counts as 1. A value
    larger than `most` alone is made and given back, but not kept.
    """

    def __init__(self, most: float, size_of: Callable[[Any], float] | None = None) -> None:
        self._most, self._size_of = most, size_of
        self._begin()
        _caches.add(self)

    def _begin(self) -> None:
        self._kept = LRUCache(self._most, self._size_of)
        # With a condition, `cached` makes threads wait that ask for a key whose value is being made, and no others.
        by_key = cached(self._kept, key=lambda key, make: key, condition=Condition())
        self._get = by_key(lambda key, make: make())

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a key; `make` is called where it is not kept, once at a time for a key.

        The key says all that the value depends on. What `make` raises is raised here, and nothing is kept.
        """
        return self._get(key, make)

    def clear(self) -> None:
        """Forget all values."""
        with self._get.cache_lock:
            self._kept.clear()

    @property
    def size(self) -> float:
        """Of all values together, in the unit of `most`."""
        return self._kept.currsize


_caches: WeakSet[BoundedCache] = WeakSet()


def _begin_all() -> None:
    """A forked process has only the thread that forked: it would wait forever for values that others were making."""
    for cache in list(_caches):
        cache._begin()


if hasattr(os, "register_at_fork"):  # not on Windows. ZeroGPU forks the page for each run
    os.register_at_fork(after_in_child=_begin_all)
