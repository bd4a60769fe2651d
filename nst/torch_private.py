"""The functions of torch that its documentation does not promise, each with its reason and with what runs without it.

torch is pinned in requirements.txt. After another version is installed, what has gone is slower, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def packs(dtype: torch.dtype) -> bool:
    """Whether `packed` can do anything: oneDNN is there, and this processor supports the dtype."""
    needed = ["_reorder_convolution_weight", "_convolution_pointwise"]
    needed += ["_is_mkldnn_bf16_supported"] if dtype == torch.bfloat16 else []
    found = [_found(torch.ops.mkldnn, name) for name in needed]
    if not torch.backends.mkldnn.is_available() or None in found:
        return False
    return dtype != torch.bfloat16 or found[-1]()


def packed(weight: Tensor) -> Tensor:
    """Weights (C', C, 3, 3) in oneDNN's own order, for `packed_convolution` only. Ask `packs` first.

    No public function keeps that order. Measured: in the plain order each call packs the weights again, which takes a
    tenth of a 512-channel convolution at 32 x 22 positions and half of it at 8 x 6.
    """
    return torch.ops.mkldnn._reorder_convolution_weight(weight, [1, 1])


def packed_convolution(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int, rectify: bool) -> Tensor:
    """3 x 3 convolution with weights from `packed`, through a relu if asked for: (B, C, H, W) -> (B, C', H', W').

    `F.conv2d` takes packed weights for packed input only.
    """
    then = "relu" if rectify else "none"
    return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, [padding] * 2, [1, 1], [1, 1], 1, then, [], "")


def convolution_relu(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """Convolution and relu in one cuDNN kernel, bias and relu while the sums are still at hand. On a GPU only."""
    fused = _found(torch, "cudnn_convolution_relu")
    if fused is None:
        return F.conv2d(x, weight, bias, padding=padding).relu_()
    return fused(x, weight, bias, [1, 1], [padding] * 2, [1, 1], 1)


def relu_gradient(gradient: Tensor, out: Tensor) -> Tensor:
    """By what enters a relu, from that by its output and the output itself: one pass, where a mask takes two."""
    backward = _found(torch.ops.aten, "threshold_backward")
    return gradient.masked_fill(out <= 0, 0) if backward is None else backward(gradient, out, 0)


def release_pool(pool: tuple[int, int], device_index: int) -> None:
    """Give back what torch 2.11 leaves to a CUDA graph whose capture could not be ended (pytorch/pytorch#190348).

    No public function does. Without these, that memory stays taken until the program ends.
    """
    end, release = (_found(torch._C, name) for name in ("_cuda_endAllocateToPool", "_cuda_releasePool"))
    if end is None or release is None:
        return
    try:
        end(device_index, pool)
    except RuntimeError:
        return  # the capture was ended; the graph releases its memory
    release(device_index, pool)


def _found(owner: Any, name: str) -> Callable[..., Any] | None:
    return getattr(owner, name, None)
