"""A few results kept from run to run: in a batch the style is the same for every photo."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from typing import Any

from torch import Tensor


class StyleCache:
    """The `most` results used last, by a key that says all that they depend on. For one thread."""

    def __init__(self, most: int = 32) -> None:  # style matrices of the five layers take 2.3 MB
        self.most = most
        self.kept: dict[Hashable, Any] = {}  # the one used last at the end

    def get(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        self.kept[key] = self.kept.pop(key) if key in self.kept else compute()
        if len(self.kept) > self.most:
            del self.kept[next(iter(self.kept))]
        return self.kept[key]


def digest(values: Tensor | None) -> str:
    """The same for the same shape and values."""
    if values is None:
        return ""
    return hashlib.sha256(str(tuple(values.shape)).encode() + values.cpu().numpy().tobytes()).hexdigest()
