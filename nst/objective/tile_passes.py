"""A picture too large for the network at once, seen in tiles, with the activations and gradients of the whole.

What style transfer compares are sums over positions. A first walk over the tiles adds them up without gradients; the
derivative of the cost by each sum follows; a second walk sends it back through each tile. Nothing is approximated.

The path is cut behind two poolings, where activations are small enough to be kept for the whole picture. That makes
margins a few positions wide, because deep layers no longer look back to the pixels; and a stretch of the path that fits
into memory is not computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nst import malloc
from nst.features.extractor import FeatureExtractor
from nst.objective.tiles import Place, Stretch, Tile, stretches

LARGE_PX = 2**20  # for larger pictures a fifth of the memory counts more than a twentieth of the time


# Called with each layer asked for, a tile's own activations there (1, C, h, w), and where they lie.
OnTile = Callable[[str, Tensor, Place], None]
Loss = Callable[[str, Tensor, Place], "Tensor | None"]


@dataclass
class Entered:
    """What went into a stretch, and its graph when that was kept."""

    stretch: Stretch
    tiles: list[Tile]
    grid: Tensor
    graph: tuple[Tensor, list[tuple[str, Tensor, Place]], Tensor] | None = None  # leaf, what was seen, output


class TilePasses:
    """Both walks over a picture. `budget` is what one tile may remember, in bytes."""

    def __init__(self, extractor: FeatureExtractor, budget: float) -> None:
        self.extractor = extractor
        self.budget = budget
        self.stretches = stretches(extractor.path)

    def forward(self, image: Tensor, see: OnTile, differentiable: bool = False) -> list[Entered]:
        """Show `see` every activation of every layer asked for, once. What it returns is for `backward`."""
        trail, grid = [], image
        for stretch in self.stretches:
            tiles = stretch.tiles(grid.shape[-2:], self.budget, self.extractor.dtype.itemsize)
            entered = Entered(stretch, tiles, grid)
            _close_gaps(image)
            with torch.set_grad_enabled(differentiable and len(tiles) == 1):
                grid = self._forward(entered, see, last=stretch is self.stretches[-1])
            trail.append(entered)
        return trail if differentiable else []

    def _forward(self, entered: Entered, see: OnTile, last: bool) -> Tensor | None:
        """TilePasses over one stretch -> its output (1, C, H, W), whole, unless nothing comes after it."""
        whole, alone = None, len(entered.tiles) == 1
        seen: list[tuple[str, Tensor, Place]] = []

        def look(name: str, own: Tensor, place: Place) -> None:
            see(name, own.detach(), place)
            if alone:
                seen.append((name, own, place))

        for tile in entered.tiles:
            leaf, output = self._through(entered, tile, look)
            if alone:
                entered.graph = (leaf, seen, output) if output.requires_grad else None
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
        arriving, image = None, trail[0].grid
        while trail:
            _close_gaps(image)
            arriving = self._backward(trail.pop(), arriving, loss)
        return arriving

    def _backward(self, entered: Entered, arriving: Tensor | None, loss: Loss) -> Tensor:
        """From the gradient by what a stretch gave to that by what it was given, both whole."""
        whole = None
        for tile in entered.tiles:
            gradient = self._gradient_of(entered, tile, arriving, loss)
            if len(entered.tiles) == 1:
                return gradient
            whole = torch.zeros_like(entered.grid) if whole is None else whole
            tile.seen.of(whole).add_(gradient)
        return whole

    def _gradient_of(self, entered: Entered, tile: Tile, arriving: Tensor | None, loss: Loss) -> Tensor:
        """By what one tile was given, margins included."""
        ends: list[tuple[Tensor, Tensor]] = []

        def look(name: str, own: Tensor, place: Place) -> None:
            value = loss(name, own, place)
            if value is not None and value.requires_grad:
                ends.append((value, torch.ones_like(value)))

        if entered.graph:
            leaf, seen, output = entered.graph
            entered.graph = None
            while seen:  # emptied before the gradient needs memory
                look(*seen.pop())
        else:
            leaf, output = self._through(entered, tile, look, differentiable=True)
        if arriving is not None:
            ratio = entered.stretch.ratios[entered.stretch.names[-1]]
            ends.append((tile.own_of_seen(ratio).of(output), tile.own(ratio).of(arriving)))
        del output
        return _gradient(ends, leaf)

    def _through(
        self, entered: Entered, tile: Tile, see: OnTile, differentiable: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Send a tile through a stretch, showing its own part of the layers asked for -> what entered, the output."""

        def look(name: str, activations: Tensor) -> None:
            ratio = entered.stretch.ratios[name]
            place = tile.own(ratio)
            if place.positions:  # a grid may have none for a small tile
                see(name, tile.own_of_seen(ratio).of(activations), place)

        with torch.set_grad_enabled(differentiable or torch.is_grad_enabled()):
            leaf = tile.seen.of(entered.grid).detach().contiguous(memory_format=torch.channels_last)
            leaf = leaf.clone() if leaf.is_inference() else leaf
            leaf.requires_grad_(torch.is_grad_enabled())
            return leaf, self.extractor.through(leaf, entered.stretch.names, look)


def _gradient(ends: Sequence[tuple[Tensor, Tensor]], leaf: Tensor) -> Tensor:
    """By a leaf, from tensors that came of it and the gradients by them."""
    if not ends:
        return torch.zeros_like(leaf)
    ends_of, given = zip(*ends, strict=True)
    return torch.autograd.grad(ends_of, leaf, given)[0]


def _close_gaps(image: Tensor) -> None:
    """Tiles of changing sizes leave gaps on the heap, from stretch to stretch."""
    if image.shape[-2] * image.shape[-1] > LARGE_PX:
        malloc.trim()


def grid_like(part: Tensor, height: int, width: int) -> Tensor:
    """Room for the whole of which `part` (1, C, h, w) is a tile: (1, C, H, W), channels last as all activations."""
    return part.new_empty(1, height, width, part.shape[1]).permute(0, 3, 1, 2)
