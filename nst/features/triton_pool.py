"""2 x 2 max pooling, the relu after it and their gradient on a GPU, as two kernels in Triton.

torch's own remember eight bytes per maximum and add gradients up as if windows overlapped: at 1024 px they take two to
four times as long. Channels come last in memory, so that neighbouring threads read neighbouring numbers.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

WINDOWS, CHANNELS = tl.constexpr(16), tl.constexpr(64)  # of a block
NOWHERE = tl.constexpr(4)  # positions of a window have numbers 0 to 3; this one means no gradient: the relu gave 0


def max_pool(x: Tensor, rectify: bool = False) -> Tensor:
    """(B, C, H, W) -> (B, C, H // 2, W // 2), and a relu if asked for. Of equal maxima the first gets the gradient."""
    return _MaxPool.apply(x, rectify)


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, rectify: bool) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        largest = _grid(x, x.shape[-2] // 2, x.shape[-1] // 2)
        where = torch.empty_like(largest, dtype=torch.int8)
        with torch.cuda.device_of(x):  # Triton starts its kernels on the current device
            _pool[_blocks(largest)](x, largest, where, *_sizes(largest, x), rectify)
        ctx.save_for_backward(where)
        ctx.size = x.shape[-2:]
        return largest

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (where,) = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        out = _grid(gradient, *ctx.size)
        covered = [side - side % 2 for side in ctx.size]
        out[..., covered[0] :, :].zero_()
        out[..., covered[1] :].zero_()
        with torch.cuda.device_of(out):
            _spread[_blocks(gradient)](gradient, where, out, *_sizes(gradient, out))
        return out, None


def _grid(like: Tensor, height: int, width: int) -> Tensor:
    """Uninitialised (B, C, height, width), channels last."""
    return like.new_empty(like.shape[0], height, width, like.shape[1]).permute(0, 3, 1, 2)


def _sizes(pooled: Tensor, whole: Tensor) -> tuple[int, ...]:
    batch, channels, down, across = pooled.shape
    return batch * down * across, channels, down, across, *whole.shape[-2:]


def _blocks(pooled: Tensor) -> tuple[int, int]:
    batch, channels, down, across = pooled.shape
    return triton.cdiv(batch * down * across, WINDOWS.value), triton.cdiv(channels, CHANNELS.value)


@triton.jit
def _pool(x, largest, where, windows, channels, down, across, height, width, rectify: tl.constexpr):
    pooled, corner, there = _places(windows, channels, down, across, height, width)
    best = tl.load(x + corner, there)
    number = tl.zeros([WINDOWS, CHANNELS], tl.int32)
    for other in tl.static_range(1, 4):
        value = tl.load(x + corner + (other // 2 * width + other % 2) * channels, there)
        better = (value > best) | (value != value)  # NaN counts as the largest, as in torch
        number = tl.where(better, other, number)
        best = tl.where(better, value, best)
    if rectify:
        number = tl.where(best <= 0, NOWHERE, number)
        best = tl.where(best <= 0, 0.0, best)
    tl.store(largest + pooled, best, there)
    tl.store(where + pooled, number.to(tl.int8), there)


@triton.jit
def _spread(gradient, where, out, windows, channels, down, across, height, width):
    pooled, corner, there = _places(windows, channels, down, across, height, width)
    value, number = tl.load(gradient + pooled, there), tl.load(where + pooled, there)
    for position in tl.static_range(4):
        place = out + corner + (position // 2 * width + position % 2) * channels
        tl.store(place, tl.where(number == position, value, 0.0), there)


@triton.jit
def _places(windows, channels, down, across, height, width):
    """Offsets (windows, channels) of a block: in the pooled grid, of a window's top left corner; and which exist."""
    window = tl.program_id(0) * WINDOWS + tl.arange(0, WINDOWS)
    channel = (tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS))[None, :]
    row = window // across
    top = row // down * height + 2 * (row % down)
    corner = (top.to(tl.int64) * width + 2 * (window % across))[:, None] * channels + channel
    pooled = window.to(tl.int64)[:, None] * channels + channel
    return pooled, corner, (window < windows)[:, None] & (channel < channels)
