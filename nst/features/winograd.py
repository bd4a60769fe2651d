"""3 x 3 convolution with a fourth of the multiplications, and its gradient: F(4 x 4, 3 x 3) of Lavin & Gray 2016.

A tile d of 6 x 6 inputs and a kernel g of 3 x 3 give 4 x 4 outputs Y, per pair of channels with 36 products, not 144:

    Y = A^T [(G g G^T) * (B^T d B)] A

Kernel and tile are taken as polynomials: the matrices evaluate them at six points (0, 1, -1, infinity, 2 and -2), where
the product of polynomials is the product of their values, and interpolate. At each of the 36 places the sum over
channels is one matrix product over all tiles. This costs three linear maps, done one side after the other, four times
the memory for a kernel, and one decimal digit of precision: float32 still has 1e-6, bfloat16 would not have enough.

On few positions most of the time goes into reading the kernel. There the tile is F(2 x 2, 3 x 3), which needs the first
four points only: it reads 16 of the 36 matrices of the same kernel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

IN = 6  # inputs and points of the larger tile on each side; a kernel has a value at each of the IN x IN places
TILES = 256  # processed at once: enough for matrix products at full speed, few enough for the processor's cache
FEWEST_PAIRS = 128 * 128  # input times output channels; with fewer, the maps cost what the products save
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

    @cache  # noqa: B019, there are two tiles
    def maps(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """`input` and `output` in this dtype."""
        return self.input.to(dtype), self.output.to(dtype)


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

    kernel: Tensor  # G g G^T, (points across, points down, C, C')
    bias: Tensor  # (C',)

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor) -> Winograd:
        """From weights (C', C, 3, 3) and a bias (C')."""
        values = torch.kron(KERNEL, KERNEL).to(weight.dtype) @ weight.permute(3, 2, 1, 0).reshape(9, -1)
        return cls(values.view(IN, IN, *weight.shape[1::-1]), bias)

    @property
    def dtype(self) -> torch.dtype:
        """Of input and output."""
        return self.kernel.dtype

    def convolve(self, x: Tensor, rectify: bool = False) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W), through a relu if asked for."""
        height, width = x.shape[-2:]
        tile = tile_for(height, width)
        side, (analyse, synthesise) = tile.sides[0], tile.maps(x.dtype)
        down, across = math.ceil(height / side), math.ceil(width / side)
        out = x.new_empty(len(x), down, side, across, side, len(self.bias))
        for image, whole in zip(x.permute(0, 2, 3, 1), out, strict=True):
            for first, last in _strips(down, across):
                strip = _framed(image, side * first - 1, side * last + 1, 1, side * across + 1 - width)
                found = _products(_values(strip, analyse, side, across), self.kernel)
                found = _mapped(found, synthesise).unflatten(2, (-1, across))
                torch.add(found.permute(2, 1, 3, 0, 4), self.bias, out=whole[first:last])
                if rectify:
                    whole[first:last].relu_()
        return out.flatten(3, 4).flatten(1, 2)[:, :height, :width].permute(0, 3, 1, 2)

    def gradient(self, gradient: Tensor) -> Tensor:
        """By the input, from that by the output before a relu: (B, C', H, W) -> (B, C, H, W), by transposed maps."""
        height, width = gradient.shape[-2:]
        tile = tile_for(height, width)
        (side, wide), (synthesise, analyse) = tile.sides, (matrix.T for matrix in tile.maps(gradient.dtype))
        down, across = math.ceil(height / side), math.ceil(width / side)
        overlap = wide - side
        size = side * down + overlap, side * across + overlap, self.kernel.shape[2]
        out = gradient.new_empty(len(gradient), *size)
        for image, whole in zip(gradient.permute(0, 2, 3, 1), out, strict=True):
            whole[:overlap].zero_()
            for first, last in _strips(down, across):
                strip = _framed(image, side * first, side * last, 0, side * across - width)
                found = _products(_values(strip, analyse, side, across), self.kernel.mT)
                found = _mapped(found, synthesise).unflatten(2, (-1, across)).permute(2, 3, 4, 1, 0)
                sums = whole[side * first : side * last + overlap]
                before = sums[:overlap].clone()  # from the strip above
                sums[-overlap:].zero_()
                sums[:, -overlap:].zero_()
                tiles = sums.unfold(0, wide, side).unfold(1, wide, side)
                tiles[..., :side, :side].copy_(found[..., :side, :side])
                tiles[..., :side, side:].add_(found[..., :side, side:])
                tiles[..., side:, :side].add_(found[..., side:, :side])
                tiles[..., side:, side:].add_(found[..., side:, side:])
                sums[:overlap] += before
        return out[:, 1 : 1 + height, 1 : 1 + width].permute(0, 3, 1, 2)


def _values(strip: Tensor, analyse: Tensor, side: int, across: int) -> Tensor:
    """(rows, columns, C) -> values of its tiles (points across, points down, down x across, C).

    `analyse` is (points, inputs), and tiles begin every `side` rows and columns.
    """
    points, inputs = analyse.shape
    tiles = strip.flatten(1).unfold(0, inputs, side).mT  # (down, inputs, columns x C), a view
    rows = (analyse @ tiles).view(len(tiles), points, *strip.shape[1:]).unfold(2, inputs, side)
    gathered = rows.permute(4, 1, 0, 2, 3).reshape(inputs, -1)
    return (analyse @ gathered).view(points, points, len(tiles) * across, -1)


def _products(values: Tensor, kernel: Tensor) -> Tensor:
    """(points, points, tiles, C) times (IN, IN, C, C') at each place -> (points, points, tiles, C')."""
    points = len(values)
    found = values.new_empty(*values.shape[:3], kernel.shape[-1])
    for row, matrices, out in zip(values, kernel, found, strict=False):
        torch.bmm(row, matrices[:points], out=out)
    return found


def _mapped(values: Tensor, matrix: Tensor) -> Tensor:
    """Both sides of tiles mapped by a matrix: (points across, points down, tiles, C) -> the same with its rows."""
    across = (matrix @ values.flatten(1)).view(len(matrix), len(values), -1)
    return (matrix @ across).view(len(matrix), len(matrix), *values.shape[2:])


def tile_for(height: int, width: int) -> Tile:
    """The faster tile. With few positions, most of the time goes into reading the kernel: the small one reads 16/36."""
    return SMALL if height * width <= FEW_POSITIONS else LARGE


def _framed(image: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Rows of (H, W, C) from `top` to `bottom`, zeros where there are none, and columns of zeros at both sides."""
    within = image[max(top, 0) : bottom]
    above = max(-top, 0)
    below = bottom - top - above - len(within)
    return F.pad(within, (0, 0, left, right, above, below)) if left or right or above or below else within


def _strips(down: int, across: int) -> Iterator[tuple[int, int]]:
    """First and last row of tiles that are processed at once, in turn."""
    count = min(down, math.ceil(down * across / TILES))
    return pairwise(down * index // count for index in range(count + 1))
