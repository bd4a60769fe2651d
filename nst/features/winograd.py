"""3 x 3 convolution with a fourth of the multiplications, and its gradient: F(4 x 4, 3 x 3) of Lavin & Gray 2016.

A tile d of 6 x 6 inputs and a kernel g of 3 x 3 give 4 x 4 outputs Y, per pair of channels with 36 products, not 144:

    Y = A^T [(G g G^T) * (B^T d B)] A

Kernel and tile are taken as polynomials: the matrices evaluate them at six points (0, 1, -1, 2, -2 and infinity), where
the product of polynomials is the product of their values, and interpolate. At each of the 36 places the sum over
channels is one matrix product over all tiles. This costs three linear maps, four times the memory for a kernel, and one
decimal digit of precision: float32 still has 1e-6, bfloat16 would not have enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import torch
import torch.nn.functional as F
from torch import Tensor

OUT = 4  # outputs of a tile on each side, and the distance of tiles
IN = 6  # its inputs: neighbouring tiles share two rows of them
TILES = 256  # processed at once: enough for matrix products at full speed, few enough for the processor's cache
# Input times output channels. With fewer, the maps cost what the products save: from 64 x 128 on, a step on two threads
# takes 0.97 to 1.00 of the processor time at 128, 256 and 384 px (medians).
FEWEST_PAIRS = 128 * 256

INPUT = torch.tensor(  # B^T
    [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
     [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]], dtype=torch.float64,
)  # fmt: skip
KERNEL = (  # G
    torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64) / 24
)
OUTPUT = torch.tensor(  # A^T
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float64
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
        values = _both_ways(KERNEL, weight) @ weight.permute(2, 3, 1, 0).reshape(9, -1)
        return cls(values.view(IN * IN, channels_in, channels_out), bias)

    @property
    def dtype(self) -> torch.dtype:
        """Of input and output."""
        return self.kernel.dtype

    def convolve(self, x: Tensor, rectify: bool = False) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W), through a relu if asked for."""
        height, width = x.shape[-2:]
        down, across = math.ceil(height / OUT), math.ceil(width / OUT)
        padded = F.pad(x, (1, OUT * across + 1 - width, 1, OUT * down + 1 - height)).permute(0, 2, 3, 1)
        out = x.new_empty(len(x), down, OUT, across, OUT, len(self.bias))
        analyse, synthesise = _both_ways(INPUT, x), _both_ways(OUTPUT, x)
        for image, whole in zip(padded, out, strict=True):
            tiles = image.unfold(0, IN, OUT).unfold(1, IN, OUT)  # (down, across, C, 6, 6), a view
            for rows in _strips(down, across):
                values = analyse @ tiles[rows].permute(3, 4, 0, 1, 2).reshape(IN * IN, -1)
                values = values.view(IN * IN, -1, x.shape[1]) @ self.kernel
                found = (synthesise @ values.flatten(1)).view(OUT, OUT, -1, across, len(self.bias))
                torch.add(found.permute(2, 0, 3, 1, 4), self.bias, out=whole[rows])
                if rectify:
                    whole[rows].relu_()
        return out.flatten(3, 4).flatten(1, 2)[:, :height, :width].permute(0, 3, 1, 2)

    def gradient(self, gradient: Tensor) -> Tensor:
        """By the input, from that by the output before a relu: (B, C', H, W) -> (B, C, H, W), by transposed maps."""
        height, width = gradient.shape[-2:]
        down, across = math.ceil(height / OUT), math.ceil(width / OUT)
        padded = F.pad(gradient, (0, OUT * across - width, 0, OUT * down - height)).permute(0, 2, 3, 1)
        channels = self.kernel.shape[1]
        out = gradient.new_zeros(len(gradient), OUT * down + IN - OUT, OUT * across + IN - OUT, channels)
        analyse, synthesise = _both_ways(OUTPUT.T, gradient), _both_ways(INPUT.T, gradient)
        for image, whole in zip(padded, out, strict=True):
            tiles = image.unfold(0, OUT, OUT).unfold(1, OUT, OUT)
            sums = whole.unfold(0, IN, OUT).unfold(1, IN, OUT)
            for rows in _strips(down, across):
                values = analyse @ tiles[rows].permute(3, 4, 0, 1, 2).reshape(OUT * OUT, -1)
                values = values.view(IN * IN, -1, len(self.bias)) @ self.kernel.mT
                found = (synthesise @ values.flatten(1)).view(IN, IN, -1, across, channels).permute(2, 3, 4, 0, 1)
                for part in product((slice(0, OUT), slice(OUT, IN)), repeat=2):  # tiles do not overlap in a part
                    sums[rows][(..., *part)].add_(found[(..., *part)])
        return out[:, 1 : 1 + height, 1 : 1 + width].permute(0, 3, 1, 2)


def _both_ways(matrix: Tensor, like: Tensor) -> Tensor:
    """The matrix of the map X -> M X M^T on a flattened X, in the dtype of `like`."""
    return torch.kron(matrix, matrix).to(like.dtype)


def _strips(down: int, across: int) -> Iterator[slice]:
    """Rows of tiles that are processed at once, in turn."""
    count = min(down, math.ceil(down * across / TILES))
    for start, stop in pairwise(down * index // count for index in range(count + 1)):
        yield slice(start, stop)
