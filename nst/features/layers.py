"""A VGG's layers with gradients written by hand: they take nearly all of a step's time.

The weights are fixed. So only the input needs a gradient, and weights are brought into the order that a CPU's library
(oneDNN) needs once, not at each call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from nst import torch_private
from nst.features import winograd

PACKED_DTYPES = (torch.float32, torch.bfloat16)  # for which oneDNN has a convolution
FUSED_DTYPES = (torch.bfloat16,)  # for which cuDNN's convolution is as fast with bias and relu as without
SPLIT = ((torch.float32, torch.bfloat16),)  # (input, output) for which `Split` is faster on a GPU


class Kernel(Protocol):
    """Fixed weights of a 3 x 3 convolution, in the form in which they are used."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the output, and so of the gradient by it."""

    def convolve(self, x: Tensor, rectify: bool = False) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W'), through a relu if asked for. Autograd must not see it."""

    def gradient(self, gradient: Tensor) -> Tensor:
        """By the input, from that by the output before a relu: (B, C', H', W') -> (B, C, H, W)."""


def kernel_for(weight: Tensor, bias: Tensor, dtype: torch.dtype, padding: int = 1) -> Kernel:
    """The fastest kernel for weights (C', C, 3, 3) in the input's dtype, a bias (C'), and the output's dtype.

    `padding` is the number of zeros around the input on each side.
    """
    channels_out, channels_in = weight.shape[:2]
    alike = weight.dtype == dtype and padding == 1
    if weight.device.type == "cpu" and alike and winograd.suits(channels_in, channels_out, dtype):
        return winograd.Winograd.of(weight, bias)
    if weight.is_cuda and (weight.dtype, dtype) in SPLIT:
        return Split.of(weight, bias, padding)
    return Direct.of(weight, bias, dtype, padding)


def kernel_bytes(kernel: Kernel) -> int:
    """Memory that a kernel holds."""
    return sum(held.numel() * held.element_size() for held in vars(kernel).values() if isinstance(held, Tensor))


def kernel_elements(channels_in: int, channels_out: int, dtype: torch.dtype) -> int:
    """How many numbers a kernel holds on a CPU."""
    per_pair = winograd.IN**2 if winograd.suits(channels_in, channels_out, dtype) else 2 * 9
    return per_pair * channels_in * channels_out


@dataclass(frozen=True)
class Direct:
    """A convolution computed by the library, and its gradient, a convolution with mirrored weights."""

    weight: Tensor  # (C', C, 3, 3)
    bias: Tensor
    mirrored: Tensor  # (C, C', 3, 3), in the dtype of the output
    padding: int

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor, dtype: torch.dtype, padding: int = 1) -> Direct:
        """Arguments as for `kernel_for`."""
        mirrored = weight.flip(2, 3).transpose(0, 1).to(dtype)
        return cls(_packed(weight), bias, _packed(mirrored), padding)

    @property
    def dtype(self) -> torch.dtype:
        return self.mirrored.dtype

    def convolve(self, x: Tensor, rectify: bool = False) -> Tensor:
        return _convolved(x, self.weight, self.bias, self.padding, rectify).to(self.dtype)

    def gradient(self, gradient: Tensor) -> Tensor:
        # A convolution with mirrored weights runs faster forward than as a backward pass.
        return _convolved(gradient, self.mirrored, None, 2 - self.padding)


@dataclass(frozen=True)
class Split:
    """A convolution of float32 numbers on matrix units for bfloat16, rounded to bfloat16 once, at the end.

    Input and weights are written as sums of two bfloat16 numbers: x w = (x' + x") (w' + w") is nearly x' w' + x" w' +
    x' w", with a relative error of 2^-16. That is a convolution with three times the channels, which takes hardly
    longer when the channels are few.
    """

    weight: Tensor  # (C', 3 C rounded up with zeros, 3, 3), bfloat16
    bias: Tensor
    mirrored: Tensor  # (C rounded up with zeros, C', 3, 3)
    padding: int
    channels: int

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor, padding: int) -> Split:
        high = weight.bfloat16()
        low = (weight - high).bfloat16()
        parts = _widened(torch.cat([high, high, low], dim=1), dim=1)
        mirrored = _widened(high.flip(2, 3).transpose(0, 1), dim=0)
        parts, mirrored = (part.contiguous(memory_format=torch.channels_last) for part in (parts, mirrored))
        return cls(parts, bias.bfloat16(), mirrored, padding, weight.shape[1])

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16

    def convolve(self, x: Tensor, rectify: bool = False) -> Tensor:
        batch, count, height, width = x.shape
        parts = x.new_zeros(batch, height, width, self.weight.shape[1], dtype=self.dtype).permute(0, 3, 1, 2)
        high, low, again = (parts[:, part * count : (part + 1) * count] for part in range(3))
        high.copy_(x)
        again.copy_(x)
        torch.sub(x, high, out=low)
        return _convolved(parts, self.weight, self.bias, self.padding, rectify)

    def gradient(self, gradient: Tensor) -> Tensor:
        return _convolved(gradient, self.mirrored, None, 2 - self.padding)[:, : self.channels]


def convolve(x: Tensor, kernel: Kernel, rectify: bool = False, pooled: bool = False) -> Tensor:
    """3 x 3 convolution, and the relu that follows if `rectify`: (B, C, H, W) -> (B, C', H, W), padding being 1.

    `pooled` says that a max pooling comes next that applies the relu itself. Then this function leaves the relu's
    gradient to the pooling, and the relu too unless the library computes it for nothing.
    """
    return _Convolution.apply(x, kernel, rectify, pooled)


def max_pool(x: Tensor, rectify: bool = False) -> Tensor:
    """2 x 2 max pooling, and a relu after it if `rectify`: (B, C, H, W) -> (B, C, H // 2, W // 2)."""
    if x.is_cuda and (fused := gpu_pooling()):
        return fused(x, rectify)
    pooled = F.max_pool2d(x, 2) if x.is_cuda else _MaxPool.apply(x)
    return F.relu(pooled) if rectify else pooled


def average_pool(x: Tensor) -> Tensor:
    """2 x 2 average pooling: (B, C, H, W) -> (B, C, H // 2, W // 2)."""
    return F.avg_pool2d(x, 2)


@cache
def gpu_pooling() -> Callable[[Tensor, bool], Tensor] | None:
    """`nst.features.triton_pool.max_pool`, None where Triton cannot compile it.

    torch brings Triton on Linux only, and Triton needs a C compiler.
    """
    try:
        from nst.features.triton_pool import max_pool as fused

        with torch.inference_mode(False), torch.enable_grad():
            x = torch.ones(1, 16, 2, 2, device="cuda", requires_grad=True)
            fused(x, True).sum().backward()
    except Exception:  # whatever is missing, torch's own pooling works
        return None
    return fused


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, kernel: Kernel, rectify: bool, pooled: bool) -> Tensor:
        out = kernel.convolve(x, rectify and (x.is_cuda or not pooled))
        ctx.kernel, ctx.dtype = kernel, x.dtype
        ctx.save_for_backward(*([out] if rectify and not pooled else []))
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        for out in ctx.saved_tensors:
            gradient = torch_private.relu_gradient(gradient, out)
        return ctx.kernel.gradient(gradient).to(ctx.dtype), None, None, None


class _MaxPool(torch.autograd.Function):
    """On a CPU. torch's own gradient takes three times as long, and keeps the input only for its shape."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        largest, where = F.max_pool2d(x, 2, return_indices=True)
        ctx.save_for_backward(where)
        ctx.size = x.shape[-2:]
        return largest

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> Tensor:
        (where,) = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        return F.max_unpool2d(gradient, where, 2, output_size=ctx.size)  # windows do not overlap


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int, rectify: bool = False) -> Tensor:
    if weight.is_mkldnn:
        return torch_private.packed_convolution(x, weight, bias, padding, rectify)
    if rectify and x.is_cuda and weight.dtype in FUSED_DTYPES:
        return torch_private.convolution_relu(x, weight, bias, padding)
    out = F.conv2d(x, weight, bias, padding=padding)
    return out.relu_() if rectify else out


def _packed(weight: Tensor) -> Tensor:
    """Weights in oneDNN's order where oneDNN convolves, else channels last."""
    weight = weight.contiguous(memory_format=torch.channels_last)
    if weight.device.type == "cpu" and weight.dtype in PACKED_DTYPES and torch_private.packs(weight.dtype):
        return torch_private.packed(weight)
    return weight


def _widened(weight: Tensor, dim: int) -> Tensor:
    """Append zeros to the channels of one dimension: matrix units are fastest with multiples of 8 or 16 (measured)."""
    few = 16 if dim == 1 else 8
    zeros = list(weight.shape)
    zeros[dim] = -zeros[dim] % few
    return torch.cat([weight, weight.new_zeros(zeros)], dim)
