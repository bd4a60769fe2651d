"""Where tiles lie: the network's path in stretches, and for each a cover of its grid by tiles with margins.

Each position of a layer is owned by one tile. A margin is as wide as the stretch's convolutions reach. Inside the
picture, the padding at a tile's edge therefore affects its margin only; at the picture's edge it is the picture's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

CUTS = ("pool2", "pool3")  # after these the activations of the whole picture are kept
CHANNELS = (64, 128, 256, 512, 512)  # of each block, in every VGG
INDEX_BYTES = 8  # max pooling remembers in 64 bits where each maximum was
MIB = 2**20


@dataclass(frozen=True)
class Span:
    """One side of a tile, in positions of the grid that enters: it owns [start, end) and sees [first, last)."""

    start: int
    end: int
    first: int
    last: int

    def own(self, ratio: int) -> slice:
        """The positions that it owns of a layer's whole grid, whose positions are `ratio` times as far apart."""
        return slice(self.start // ratio, self.end // ratio)

    def own_of_seen(self, ratio: int) -> slice:
        """The same positions, counted from the tile's first."""
        return slice((self.start - self.first) // ratio, self.end // ratio - self.first // ratio)


def spans(length: int, most: int, margin: int, align: int) -> list[Span]:
    """Cut a side into equal parts of about `most` positions, all but the end of the last on multiples of `align`."""
    cells = max(1, length // align)
    count = min(cells, math.ceil(cells * align / most))
    edges = [index * cells // count * align for index in range(count)] + [length]
    margin = math.ceil(margin / align) * align
    return [Span(start, end, max(0, start - margin), min(length, end + margin)) for start, end in pairwise(edges)]


@dataclass(frozen=True)
class Place:
    """Where in the whole of a layer's grid a tile's own activations lie."""

    rows: slice
    columns: slice

    def of(self, whole: Tensor) -> Tensor:
        """A view of this place in a tensor (..., H, W) on the layer's grid."""
        return whole[..., self.rows, self.columns]

    @property
    def positions(self) -> int:
        return (self.rows.stop - self.rows.start) * (self.columns.stop - self.columns.start)


def whole_grid(activations: Tensor) -> Place:
    """The place of a layer's activations (1, C, H, W) when they are not cut."""
    return Place(*(slice(0, side) for side in activations.shape[-2:]))


@dataclass(frozen=True)
class Tile:
    """A rectangle of the grid that enters a stretch."""

    down: Span
    across: Span

    @property
    def seen(self) -> Place:
        return Place(slice(self.down.first, self.down.last), slice(self.across.first, self.across.last))

    def own(self, ratio: int) -> Place:
        return Place(self.down.own(ratio), self.across.own(ratio))

    def own_of_seen(self, ratio: int) -> Place:
        return Place(self.down.own_of_seen(ratio), self.across.own_of_seen(ratio))


@dataclass(frozen=True)
class Stretch:
    """A part of the network's path."""

    names: tuple[str, ...]
    stride: int  # px between positions of the grid that enters

    @property
    def ratios(self) -> dict[str, int]:
        """Layer -> how many times as far apart its positions are as those of the grid that enters."""
        found, ratio = {}, 1
        for name in self.names:
            ratio *= 2 if name.startswith("pool") else 1
            found[name] = ratio
        return found

    @property
    def margin(self) -> int:
        """How far the last layer reaches beyond its own positions' cells, in positions of the grid that enters."""
        reach = 0
        for name in self.names:
            reach = math.ceil(reach / 2) if name.startswith("pool") else reach + name.startswith("conv")
        return reach * self.ratios[self.names[-1]]

    def bytes_per_px(self, itemsize: int) -> float:
        """Memory for the gradient, per pixel of the picture. On a CPU it is a fourth less, see `max_pool`."""
        total = 0.0
        for name, ratio in self.ratios.items():
            elements = CHANNELS[int(name[4]) - 1] / (self.stride * ratio) ** 2
            if not name.startswith("conv"):  # a convolution's output is not kept beside its relu's
                total += elements * (itemsize + (INDEX_BYTES if name.startswith("pool") else 0))
        return total

    def tiles(self, size: Sequence[int], budget: float, itemsize: int) -> list[Tile]:
        """Cover the grid (h, w) that enters with tiles that need no more than `budget` bytes each, if possible."""
        per_position = self.bytes_per_px(itemsize) * self.stride**2
        if size[0] * size[1] * per_position <= budget:
            most = max(size)
        else:
            # A smaller tile than this would consist mostly of margin.
            most = max(self.margin, int((budget / per_position) ** 0.5) - 2 * self.margin)
        align = self.ratios[self.names[-1]]
        down, across = (spans(side, max(align, most // align * align), self.margin, align) for side in size)
        return [Tile(rows, columns) for rows in down for columns in across]


def stretches(path: Sequence[str], cuts: Sequence[str] = CUTS) -> list[Stretch]:
    """The path in parts that end with the layers in `cuts`, and with its own end."""
    found, names, stride = [], [], 1
    for name in path:
        names.append(name)
        if name in cuts or name == path[-1]:
            found.append(Stretch(tuple(names), stride))
            stride, names = stride * found[-1].ratios[name], []
    return found


def budget_of(tile_px: int, path: Sequence[str], itemsize: int) -> float:
    """Bytes that a tile of `tile_px` x `tile_px` pixels remembers at the start of the path, margins included."""
    first = stretches(path)[0]
    return first.bytes_per_px(itemsize) * (tile_px + 2 * first.margin) ** 2
