"""3 x 3 convolution with a fourth of the multiplications, and its gradient: F(4 x 4, 3 x 3) of Lavin & Gray 2016.

A tile d of 6 x 6 inputs and a kernel g of 3 x 3 give 4 x 4 outputs Y, per pair of channels with 36 products, not 144:

    Y = A^T [(G g G^T) * (B^T d B)] A

Kernel and tile are taken as polynomials: the matrices evaluate them at six points (0, 1, -1, infinity, 2 and -2), where
the product of polynomials is the product of their values, and interpolate. At each of the 36 places the sum over
channels is one matrix product over all tiles. This costs three linear maps, four times the memory for a kernel, and one
decimal digit of precision: float32 still has 1e-6, bfloat16 would not have enough.

On few positions most of the time goes into reading the kernel. There the tile is F(2 x 2, 3 x 3), which needs the first
four points only: it reads 16 of the 36 matrices of the same kernel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product

import torch
import torch.nn.functional as F
from torch import Tensor

IN = 6  # inputs of the larger tile on each side; a kernel has a value at each of the IN x IN places
TILES = 256  # processed at once: enough for matrix products at full speed, few enough for the processor's cache
# Input times output channels. With fewer, the maps cost what the products save where the processor has AVX512.
# With this limit and `SMALL`, the processor time of a step on one thread at 96, 192 and 384 px is 0.83, 0.86 and 0.87
# of that with 128 x 256 and `LARGE` alone where there is AVX2 only, and 0.93, 0.96 and 1.00 with AVX512 (medians).
FEWEST_PAIRS = 128 * 128
FEW_POSITIONS = 200  # on at most this many positions `SMALL` is the faster tile (measured on 24 to 576 positions)

KERNEL = (  # G, one row for each point: 0, 1, -1, infinity, 2, -2
    torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [0, 0, 24], [1, 2, 4], [1, -2, 4]], dtype=torch.float64) / 24
)


@dataclass(frozen=True, eq=False)
class Tile:
    """Maps of a tile, in the order of the points in `KERNEL`, of which a smaller tile takes the first ones."""

    input: Tensor  # B^T, (points, points)
    output: Tensor  # A^T, (outputs on each side, points)

    @property
    def sides(self) -> tuple[int, int]:
        """Outputs on each side, which is the distance of tiles, and inputs on each side, which overlap by two."""
        return tuple(self.output.shape)

    @cache  # noqa: B019, there are two tiles: to compute the maps takes up to 2 % of a step at 96 px
    def maps(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Both maps for flattened tiles: (places, inputs) and (outputs, places)."""
        points = len(self.input)
        first = _places_in_order()[: points**2]
        rows = [row // IN * points + row % IN for row in first]
        return _both_ways(self.input, dtype)[rows], _both_ways(self.output, dtype)[:, rows]


LARGE = Tile(
    torch.tensor(
        [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
         [0, 4, 0, -5, 0, 1], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0]], dtype=torch.float64,
    ),
    torch.tensor(
        [[1, 1, 1, 0, 1, 1], [0, 1, -1, 0, 2, -2], [0, 1, 1, 0, 4, 4], [0, 1, -1, 1, 8, -8]], dtype=torch.float64
    ),
)  # fmt: skip
# F(2 x 2, 3 x 3). The rows of B^T undo the factors 1/4, -1/3 and -1/3 of `KERNEL`, relative to the G of this tile.
SMALL = Tile(
    torch.tensor([[4, 0, -4, 0], [0, -3, -3, 0], [0, 3, -3, 0], [0, -1, 0, 1]], dtype=torch.float64),
    torch.tensor([[1, 1, 1, 0], [0, 1, -1, 1]], dtype=torch.float64),
)


def suits(channels_in: int, channels_out: int, dtype: torch.dtype) -> bool:
    """Whether this is faster than a direct convolution on a CPU."""
    return dtype == torch.float32 and channels_in * channels_out >= FEWEST_PAIRS


@dataclass(frozen=True)
class Winograd:
    """Fixed weights of a 3 x 3 convolution with padding 1, transformed once for `convolve` and `gradient`."""

    kernel: Tensor  # G g G^T, (36, C, C')
    bias: Tensor  # (C',)

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor) -> Winograd:
        """From weights (C', C, 3, 3) and a bias (C')."""
        channels_out, channels_in = weight.shape[:2]
        values = _both_ways(KERNEL, weight.dtype)[_places_in_order()] @ weight.permute(2, 3, 1, 0).reshape(9, -1)
        return cls(values.view(IN * IN, channels_in, channels_out), bias)

    @property
    def dtype(self) -> torch.dtype:
        """Of input and output."""
        return self.kernel.dtype

    def convolve(self, x: Tensor, rectify: bool = False) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W), through a relu if asked for."""
        height, width = x.shape[-2:]
        tile = tile_for(height, width)
        (side, wide), (analyse, synthesise) = tile.sides, tile.maps(x.dtype)
        kernel = self.kernel[: len(analyse)]
        down, across = math.ceil(height / side), math.ceil(width / side)
        padded = F.pad(x, (1, side * across + 1 - width, 1, side * down + 1 - height)).permute(0, 2, 3, 1)
        out = x.new_empty(len(x), down, side, across, side, len(self.bias))
        for image, whole in zip(padded, out, strict=True):
            tiles = image.unfold(0, wide, side).unfold(1, wide, side)  # (down, across, C, wide, wide), a view
            for rows in _strips(down, across):
                values = analyse @ tiles[rows].permute(3, 4, 0, 1, 2).reshape(wide**2, -1)
                values = values.view(len(kernel), -1, x.shape[1]) @ kernel
                found = (synthesise @ values.flatten(1)).view(side, side, -1, across, len(self.bias))
                torch.add(found.permute(2, 0, 3, 1, 4), self.bias, out=whole[rows])
                if rectify:
                    whole[rows].relu_()
        return out.flatten(3, 4).flatten(1, 2)[:, :height, :width].permute(0, 3, 1, 2)

    def gradient(self, gradient: Tensor) -> Tensor:
        """By the input, from that by the output before a relu: (B, C', H, W) -> (B, C, H, W), by transposed maps."""
        height, width = gradient.shape[-2:]
        tile = tile_for(height, width)
        (side, wide), (synthesise, analyse) = tile.sides, (matrix.T for matrix in tile.maps(gradient.dtype))
        kernel = self.kernel[: len(analyse)].mT
        down, across = math.ceil(height / side), math.ceil(width / side)
        padded = F.pad(gradient, (0, side * across - width, 0, side * down - height)).permute(0, 2, 3, 1)
        channels = self.kernel.shape[1]
        out = gradient.new_zeros(len(gradient), side * down + wide - side, side * across + wide - side, channels)
        for image, whole in zip(padded, out, strict=True):
            tiles = image.unfold(0, side, side).unfold(1, side, side)
            sums = whole.unfold(0, wide, side).unfold(1, wide, side)
            for rows in _strips(down, across):
                values = analyse @ tiles[rows].permute(3, 4, 0, 1, 2).reshape(side**2, -1)
                values = values.view(len(kernel), -1, len(self.bias)) @ kernel
                found = (synthesise @ values.flatten(1)).view(wide, wide, -1, across, channels).permute(2, 3, 4, 0, 1)
                for part in product((slice(0, side), slice(side, wide)), repeat=2):  # tiles do not overlap in a part
                    sums[rows][(..., *part)].add_(found[(..., *part)])
        return out[:, 1 : 1 + height, 1 : 1 + width].permute(0, 3, 1, 2)


def tile_for(height: int, width: int) -> Tile:
    """The faster tile. With few positions, most of the time goes into reading the kernel: the small one reads 16/36."""
    return SMALL if height * width <= FEW_POSITIONS else LARGE


def _places_in_order() -> list[int]:
    """The IN x IN pairs of points, row by row, those of the small tile first: it reads the beginning of a kernel."""
    few = len(SMALL.input)
    return sorted(range(IN**2), key=lambda place: place // IN >= few or place % IN >= few)


def _both_ways(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """The matrix of the map X -> M X M^T on a flattened X."""
    return torch.kron(matrix, matrix).to(dtype)


def _strips(down: int, across: int) -> Iterator[slice]:
    """Rows of tiles that are processed at once, in turn."""
    count = min(down, math.ceil(down * across / TILES))
    for start, stop in pairwise(down * index // count for index in range(count + 1)):
        yield slice(start, stop)
