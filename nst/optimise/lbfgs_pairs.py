"""What L-BFGS remembers (Nocedal 1980): steps and the gradient's changes along them, and products with these pairs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

PAIRS = 12  # steps remembered, as far as memory allows
FEWEST_PAIRS = 3
PAIRS_BYTES = 2**29  # limit for all pairs in full precision; above it they are bfloat16, and fewer
CHUNK = 2**20  # numbers of each vector that are processed at once


class LbfgsPairs:
    """Pairs (2 m, N), steps s above and gradient changes y below, of which only the free pixels count.

    They may be stored narrower than `dtype`, in which all products are computed. Long vectors are widened and masked
    chunk by chunk, again for each product, because a large picture leaves no memory for a second copy.
    """

    def __init__(self, pairs: Tensor, dtype: torch.dtype) -> None:
        self.stored = pairs
        length = pairs.shape[1]
        chunk = 16 * CHUNK if pairs.is_cuda else CHUNK
        self.parts = [slice(start, min(start + chunk, length)) for start in range(0, length, chunk)]
        # Allocated once: new pages cost more than the product.
        self.scratch = pairs.new_empty(len(pairs), min(chunk, length), dtype=dtype)
        self.free: Tensor | None = None

    def hold(self, free: Tensor | None) -> None:
        """Count only pixels where `free` (N) is 1, until the next call; None ends it."""
        self.free = free
        if len(self.parts) == 1 and free is not None:
            torch.mul(self.stored, free, out=self.scratch)

    def inner(self) -> Tensor:
        """All inner products of pairs, (2 m, 2 m)."""
        return sum(chunk @ chunk.T for _, chunk in self._chunks())

    def along(self, v: Tensor) -> Tensor:
        """Inner products with a vector: (N) -> (2 m)."""
        return sum(chunk @ v[part] for part, chunk in self._chunks())

    def combination(self, coefficients: Tensor) -> Tensor:
        """(2 m) -> (N)."""
        if len(self.parts) == 1:
            return coefficients @ self.scratch
        total = torch.empty_like(self.free)
        for part, chunk in self._chunks():
            total[part] = coefficients @ chunk
        return total

    def row(self, index: Tensor) -> Tensor:
        """One of the vectors: (1) -> (N)."""
        if len(self.parts) == 1:
            return self.scratch.index_select(0, index)[0]
        return self.stored.index_select(0, index)[0] * self.free

    def _chunks(self) -> Iterator[tuple[slice, Tensor]]:
        """Parts of the pairs, masked. All share one memory, so use each before the next one."""
        if len(self.parts) == 1:
            yield self.parts[0], self.scratch
            return
        for part in self.parts:
            yield part, torch.mul(self.stored[:, part], self.free[part], out=self.scratch[:, : part.stop - part.start])


def pairs_for(length: int, steps: int, dtype: torch.dtype) -> tuple[int, torch.dtype]:
    """How many pairs of vectors of this length to remember, and in which format."""
    if 2 * PAIRS * length * dtype.itemsize <= PAIRS_BYTES:
        return PAIRS, dtype
    affordable = PAIRS_BYTES // (2 * length * torch.bfloat16.itemsize)
    return max(FEWEST_PAIRS, min(PAIRS, affordable, steps or PAIRS)), torch.bfloat16
