"""A picture that is too large for the network at once, seen in tiles, with the activations and gradients of the whole.

Style costs compare sums over positions. The forward pass over the tiles adds these sums up without gradients. Then the
derivative of the cost by each sum is known, and the backward pass sends it back through each tile. Nothing is
approximated.

The path is cut after two poolings, where activations are small enough to be kept for the whole picture. Margins are
then a few positions wide, because deep layers no longer depend on distant pixels; and a stretch of the path that fits
into memory whole is computed only once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nst import malloc
from nst.features.extractor import FeatureExtractor
from nst.objective.tiles import Place, Stretch, Tile, stretches

TRIM_ABOVE_PX = 2**20  # pixels of a picture for which a fifth of the memory counts more than a twentieth of the time

# Called with each layer asked for, a tile's own activations there (1, C, h, w), and where they lie.
OnTile = Callable[[str, Tensor, Place], None]
# The same arguments -> the tile's part of a scalar whose gradient is wanted, None where that is 0.
Loss = Callable[[str, Tensor, Place], "Tensor | None"]


@dataclass
class StretchInput:
    """What entered a stretch, and the autograd graph of its only tile if that was kept."""

    stretch: Stretch
    tiles: list[Tile]
    grid: Tensor  # (1, C, H, W)
    graph: tuple[Tensor, list[tuple[str, Tensor, Place]], Tensor] | None = None  # leaf, what was shown, output


class TilePasses:
    """The forward and the backward pass over a picture. `budget` is what one tile may remember, in bytes."""

    def __init__(self, extractor: FeatureExtractor, budget: float) -> None:
        self.extractor = extractor
        self.budget = budget
        self.stretches = stretches(extractor.path)

    def forward(self, image: Tensor, on_tile: OnTile, differentiable: bool = False) -> list[StretchInput]:
        """Call `on_tile` with every activation of every layer asked for, once. `backward` needs what this returns.

        `image` is sRGB (1, 3, H, W) in [0, 1].
        """
        entered, grid = [], image
        for stretch in self.stretches:
            tiles = stretch.tiles(grid.shape[-2:], self.budget, self.extractor.dtype.itemsize)
            one = StretchInput(stretch, tiles, grid)
            _trim_for_large(image)
            with torch.set_grad_enabled(differentiable and len(tiles) == 1):
                grid = self._forward(one, on_tile, last=stretch is self.stretches[-1])
            entered.append(one)
        return entered if differentiable else []

    def _forward(self, entered: StretchInput, on_tile: OnTile, last: bool) -> Tensor | None:
        """Through one stretch -> its output for the whole picture (1, C, H, W); None after the last stretch."""
        whole, single = None, len(entered.tiles) == 1
        shown: list[tuple[str, Tensor, Place]] = []

        def show(name: str, own: Tensor, place: Place) -> None:
            on_tile(name, own.detach(), place)
            if single:
                shown.append((name, own, place))

        for tile in entered.tiles:
            leaf, output = self._through(entered, tile, show)
            if single:
                entered.graph = (leaf, shown, output) if output.requires_grad else None
                return output.detach()
            if not last:
                ratio = entered.stretch.ratios[entered.stretch.names[-1]]
                whole = (
                    grid_like(output, *(side // ratio for side in entered.grid.shape[-2:])) if whole is None else whole
                )
                tile.own(ratio).of(whole).copy_(tile.own_of_seen(ratio).of(output))
        return whole

    def backward(self, entered: list[StretchInput], loss: Loss) -> Tensor:
        """The gradient by the picture (1, 3, H, W) of the sum of `loss` over all that `forward` showed.

        Empties the list, so that each stretch's memory is free as soon as it is not needed.
        """
        arriving, image = None, entered[0].grid
        while entered:
            _trim_for_large(image)
            arriving = self._backward(entered.pop(), arriving, loss)
        return arriving

    def _backward(self, entered: StretchInput, arriving: Tensor | None, loss: Loss) -> Tensor:
        """From the gradient by a stretch's output to that by its input, both for the whole picture."""
        whole = None
        for tile in entered.tiles:
            gradient = self._tile_gradient(entered, tile, arriving, loss)
            if len(entered.tiles) == 1:
                return gradient
            whole = torch.zeros_like(entered.grid) if whole is None else whole
            tile.seen.of(whole).add_(gradient)
        return whole

    def _tile_gradient(self, entered: StretchInput, tile: Tile, arriving: Tensor | None, loss: Loss) -> Tensor:
        """By one tile's input, margins included: (1, C, h, w)."""
        ends: list[tuple[Tensor, Tensor]] = []  # outputs, and the gradients by them

        def collect(name: str, own: Tensor, place: Place) -> None:
            value = loss(name, own, place)
            if value is not None and value.requires_grad:
                ends.append((value, torch.ones_like(value)))

        if entered.graph:
            leaf, shown, output = entered.graph
            entered.graph = None
            while shown:  # emptied before the gradient needs memory
                collect(*shown.pop())
        else:
            leaf, output = self._through(entered, tile, collect, differentiable=True)
        if arriving is not None:
            ratio = entered.stretch.ratios[entered.stretch.names[-1]]
            ends.append((tile.own_of_seen(ratio).of(output), tile.own(ratio).of(arriving)))
        del output
        return _gradient(ends, leaf)

    def _through(
        self, entered: StretchInput, tile: Tile, on_tile: OnTile, differentiable: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Send a tile through a stretch and show its own part of the layers asked for -> leaf that entered, output."""

        def cut(name: str, activations: Tensor) -> None:
            ratio = entered.stretch.ratios[name]
            place = tile.own(ratio)
            if place.positions:  # a small tile may own no position of a coarse grid
                on_tile(name, tile.own_of_seen(ratio).of(activations), place)

        with torch.set_grad_enabled(differentiable or torch.is_grad_enabled()):
            leaf = tile.seen.of(entered.grid).detach().contiguous(memory_format=torch.channels_last)
            leaf = leaf.clone() if leaf.is_inference() else leaf
            leaf.requires_grad_(torch.is_grad_enabled())
            return leaf, self.extractor.through(leaf, entered.stretch.names, cut)


def _gradient(ends: Sequence[tuple[Tensor, Tensor]], leaf: Tensor) -> Tensor:
    """By a leaf, from outputs that depend on it and the gradients by them."""
    if not ends:
        return torch.zeros_like(leaf)
    outputs, given = zip(*ends, strict=True)
    return torch.autograd.grad(outputs, leaf, given)[0]


def _trim_for_large(image: Tensor) -> None:
    """Give freed memory back before a stretch of a large picture: tiles of changing sizes leave gaps on the heap."""
    if image.shape[-2] * image.shape[-1] > TRIM_ABOVE_PX:
        malloc.trim()


def grid_like(part: Tensor, height: int, width: int) -> Tensor:
    """Uninitialised (1, C, height, width) for the whole of which `part` (1, C, h, w) is a tile, channels last."""
    return part.new_empty(1, height, width, part.shape[1]).permute(0, 3, 1, 2)
