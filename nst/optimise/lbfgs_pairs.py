"""What L-BFGS remembers (Nocedal 1980): steps taken and what they changed in the gradient, and products with them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

PAIRS = 12  # steps remembered, as far as memory allows
FEWEST_PAIRS = 3
PAIRS_BYTES = 2**29  # of all pairs; more and they are bfloat16, and as few as need be
CHUNK = 2**20  # pixels of a history that are looked at together


class LbfgsPairs:
    """Pairs (2 m, N), steps s above and gradient changes y below, of which only the free pixels count.

    They may be stored narrower than `dtype`, in which all products are. Long ones are widened and masked chunk by
    chunk, again for each product, because the room for a second copy is what a large picture does not have.
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
        """Count only pixels where `free` (N) is 1, until told otherwise."""
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
        """Parts of the pairs, masked: each is gone when the next one comes."""
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
