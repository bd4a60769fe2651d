"""A VGG's layers with gradients written by hand: where nearly all of a step's time goes.

The weights are fixed, so only the input needs a gradient, and what a CPU's library (oneDNN) wants in an order of its
own is brought into it once, not at each call.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PACKED_DTYPES = (torch.float32, torch.bfloat16)  # that oneDNN convolves


@dataclass(frozen=True)
class Kernel:
    """Fixed weights of a 3 x 3 convolution, and the mirrored ones, whose convolution is its gradient by the input."""

    weight: Tensor  # (C', C, 3, 3)
    bias: Tensor
    mirrored: Tensor  # (C, C', 3, 3), in the dtype of the output and so of the gradient that arrives
    padding: int  # zeros around the input

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor, dtype: torch.dtype, padding: int = 1) -> Kernel:
        """For weights in the dtype of the input, and the output's dtype."""
        mirrored = weight.flip(2, 3).transpose(0, 1).to(dtype)
        return cls(_packed(weight), bias, _packed(mirrored), padding)


def convolve(x: Tensor, kernel: Kernel, rectify: bool = False) -> Tensor:
    """3 x 3 convolution, and the relu that follows if `rectify`: (B, C, H, W) -> (B, C', H, W), padding being 1."""
    return _Convolution.apply(x, kernel, rectify)


def max_pool(x: Tensor) -> Tensor:
    """2 x 2 max pooling: (B, C, H, W) -> (B, C, H // 2, W // 2)."""
    return F.max_pool2d(x, 2) if x.is_cuda else _MaxPool.apply(x)


def average_pool(x: Tensor) -> Tensor:
    """2 x 2 average pooling: (B, C, H, W) -> (B, C, H // 2, W // 2)."""
    return F.avg_pool2d(x, 2)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, kernel: Kernel, rectify: bool) -> Tensor:
        out = _convolved(x, kernel.weight, kernel.bias, kernel.padding, rectify).to(kernel.mirrored.dtype)
        ctx.kernel, ctx.dtype = kernel, x.dtype
        ctx.save_for_backward(*([out] if rectify else []))
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        for out in ctx.saved_tensors:
            gradient = torch.ops.aten.threshold_backward(gradient, out, 0)  # the relu's
        # A convolution with mirrored weights runs faster forward than as a backward pass.
        gradient = _convolved(gradient, ctx.kernel.mirrored, None, 2 - ctx.kernel.padding)
        return gradient.to(ctx.dtype), None, None


class _MaxPool(torch.autograd.Function):
    """On a CPU. torch's own gradient takes three times as long, and keeps the input for nothing but its shape."""

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
        then = "relu" if rectify else "none"
        return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, [padding] * 2, [1, 1], [1, 1], 1, then, [], "")
    out = F.conv2d(x, weight, bias, padding=padding)
    return out.relu_() if rectify else out


def _packed(weight: Tensor) -> Tensor:
    """Weights as oneDNN wants them where that is what convolves, else channels last.

    Measured: in the plain order each call would pack them again, which takes a tenth of a 512-channel convolution
    at 32 x 22 positions and half of it at 8 x 6.
    """
    weight = weight.contiguous(memory_format=torch.channels_last)
    if weight.device.type == "cpu" and weight.dtype in PACKED_DTYPES and _library_convolves(weight.dtype):
        return torch.ops.mkldnn._reorder_convolution_weight(weight, [1, 1])
    return weight


def _library_convolves(dtype: torch.dtype) -> bool:
    """Whether oneDNN is there and this processor has what it wants for the dtype."""
    if not torch.backends.mkldnn.is_available():
        return False
    return dtype != torch.bfloat16 or torch.ops.mkldnn._is_mkldnn_bf16_supported()
