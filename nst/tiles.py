"""A picture too large for the network at once, seen in tiles, with the activations and gradients of the whole.

What style transfer compares are sums over positions. A first walk over the tiles adds them up without gradients; the
derivative of the cost by each sum follows; a second walk sends it back through each tile. A tile has a margin as wide
as its activations see, and each position of a layer belongs to one tile, so nothing is approximated: where a tile ends
inside the picture its own padding reaches the margin only, and where the picture ends it is the whole picture's.

The path is cut behind two poolings, where activations are small enough to be kept for the whole picture. That makes
margins a few positions wide, because deep layers no longer look back to the pixels; and a stretch of the path that fits
into memory is not computed twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

CUTS = ("pool2", "pool3")  # after these the activations of the whole picture are kept
CHANNELS = (64, 128, 256, 512, 512)  # of each block, in every VGG
INDEX_BYTES = 8  # max pooling remembers in 64 bits where each maximum was
MIB = 2**20


class Network(Protocol):
    """What a walk needs of `nst.features.FeatureExtractor`."""

    path: tuple[str, ...]
    dtype: torch.dtype

    def through(self, x: Tensor, names: Sequence[str]) -> tuple[dict[str, Tensor], Tensor]: ...


@dataclass(frozen=True)
class Span:
    """One side of a tile, in positions: it owns [start, end) and sees [first, last)."""

    start: int
    end: int
    first: int
    last: int

    def own(self, ratio: int) -> slice:
        """What it owns of the whole of a layer whose positions are `ratio` times as far apart."""
        return slice(self.start // ratio, self.end // ratio)

    def own_of_seen(self, ratio: int) -> slice:
        """The same, counted in the tile."""
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
        """Its part of a tensor (..., H, W) on the layer's grid."""
        return whole[..., self.rows, self.columns]

    @property
    def positions(self) -> int:
        return (self.rows.stop - self.rows.start) * (self.columns.stop - self.columns.start)


def everywhere(activations: Tensor) -> Place:
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
        """How many times as far apart a layer's positions are as those that enter."""
        found, ratio = {}, 1
        for name in self.names:
            ratio *= 2 if name.startswith("pool") else 1
            found[name] = ratio
        return found

    @property
    def margin(self) -> int:
        """How far the last layer sees beyond the cells of its own positions, in positions that enter."""
        reach = 0
        for name in self.names:
            reach = math.ceil(reach / 2) if name.startswith("pool") else reach + name.startswith("conv")
        return reach * self.ratios[self.names[-1]]

    def bytes_per_px(self, itemsize: int) -> float:
        """What is remembered for the gradient, per pixel of the picture."""
        total = 0.0
        for name, ratio in self.ratios.items():
            elements = CHANNELS[int(name[4]) - 1] / (self.stride * ratio) ** 2
            if not name.startswith("conv"):  # whose output is forgotten when the relu's is there
                total += elements * (itemsize + (INDEX_BYTES if name.startswith("pool") else 0))
        return total

    def tiles(self, size: Sequence[int], budget: float, itemsize: int) -> list[Tile]:
        """Cover a grid (h, w), as it enters, with tiles that remember no more than `budget` bytes, if possible."""
        per_position = self.bytes_per_px(itemsize) * self.stride**2
        if size[0] * size[1] * per_position <= budget:
            most = max(size)
        else:
            # A tile smaller than its margin would be little but margin.
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


# Called with each layer asked for, a tile's own activations there (1, C, h, w), and where they lie.
See = Callable[[str, Tensor, Place], None]
Loss = Callable[[str, Tensor, Place], "Tensor | None"]


@dataclass
class Entered:
    """What went into a stretch, and its graph when that was kept."""

    stretch: Stretch
    tiles: list[Tile]
    grid: Tensor
    graph: tuple[Tensor, dict[str, Tensor], Tensor] | None = None  # leaf, layers, output


class Walk:
    """Both walks over a picture. `budget` is what one tile may remember, in bytes."""

    def __init__(self, network: Network, budget: float) -> None:
        self.network = network
        self.budget = budget
        self.stretches = stretches(network.path)

    def forward(self, image: Tensor, see: See, differentiable: bool = False) -> list[Entered]:
        """Show `see` every activation of every layer asked for, once. What it returns is for `backward`."""
        trail, grid = [], image
        for stretch in self.stretches:
            tiles = stretch.tiles(grid.shape[-2:], self.budget, self.network.dtype.itemsize)
            entered = Entered(stretch, tiles, grid)
            with torch.set_grad_enabled(differentiable and len(tiles) == 1):
                grid = self._forward(entered, see, last=stretch is self.stretches[-1])
            trail.append(entered)
        return trail if differentiable else []

    def _forward(self, entered: Entered, see: See, last: bool) -> Tensor | None:
        """Walk over one stretch -> its output (1, C, H, W), whole, unless nothing comes after it."""
        whole = None
        for tile in entered.tiles:
            leaf, found, output = self._through(entered, tile)
            for name, own, place in _owned(entered.stretch, tile, found):
                see(name, own.detach(), place)
            if len(entered.tiles) == 1:
                entered.graph = (leaf, found, output) if output.requires_grad else None
                return output.detach()
            if not last:
                ratio = entered.stretch.ratios[entered.stretch.names[-1]]
                whole = (
                    grid_like(output, *(side // ratio for side in entered.grid.shape[-2:])) if whole is None else whole
                )
                tile.own(ratio).of(whole).copy_(tile.own_of_seen(ratio).of(output))
        return whole

    def backward(self, trail: list[Entered], loss: Loss) -> Tensor:
        """The gradient by the picture of the sum of `loss` over all that `forward` showed. Uses the trail up."""
        arriving = None
        while trail:
            arriving = self._backward(trail.pop(), arriving, loss)
        return arriving

    def _backward(self, entered: Entered, arriving: Tensor | None, loss: Loss) -> Tensor:
        """From the gradient by what a stretch gave to that by what it was given, both whole."""
        whole = None
        for tile in entered.tiles:
            leaf, found, output = entered.graph or self._through(entered, tile, differentiable=True)
            entered.graph = None
            losses = [loss(*owned) for owned in _owned(entered.stretch, tile, found)]
            ends = [(value, torch.ones_like(value)) for value in losses if value is not None and value.requires_grad]
            if arriving is not None:
                ratio = entered.stretch.ratios[entered.stretch.names[-1]]
                ends.append((tile.own_of_seen(ratio).of(output), tile.own(ratio).of(arriving)))
            del found, output, losses  # before the gradient needs memory
            gradient = _gradient(ends, leaf)
            if len(entered.tiles) == 1:
                return gradient
            whole = torch.zeros_like(entered.grid) if whole is None else whole
            tile.seen.of(whole).add_(gradient)
        return whole

    def _through(
        self, entered: Entered, tile: Tile, differentiable: bool = False
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Send a tile through a stretch -> what entered, the layers asked for, the output."""
        with torch.set_grad_enabled(differentiable or torch.is_grad_enabled()):
            leaf = tile.seen.of(entered.grid).detach().contiguous(memory_format=torch.channels_last)
            leaf = leaf.clone() if leaf.is_inference() else leaf
            leaf.requires_grad_(torch.is_grad_enabled())
            return leaf, *self.network.through(leaf, entered.stretch.names)


def _gradient(ends: Sequence[tuple[Tensor, Tensor]], leaf: Tensor) -> Tensor:
    """By a leaf, from tensors that came of it and the gradients by them."""
    if not ends:
        return torch.zeros_like(leaf)
    ends_of, given = zip(*ends, strict=True)
    return torch.autograd.grad(ends_of, leaf, given)[0]


def _owned(stretch: Stretch, tile: Tile, found: dict[str, Tensor]) -> Iterator[tuple[str, Tensor, Place]]:
    """A tile's own part of each layer; a grid may have no position for a small one."""
    for name, activations in found.items():
        ratio = stretch.ratios[name]
        place = tile.own(ratio)
        if place.positions:
            yield name, tile.own_of_seen(ratio).of(activations), place


def grid_like(part: Tensor, height: int, width: int) -> Tensor:
    """Room for the whole of which `part` (1, C, h, w) is a tile: (1, C, H, W), channels last as all activations."""
    return part.new_empty(1, height, width, part.shape[1]).permute(0, 3, 1, 2)
