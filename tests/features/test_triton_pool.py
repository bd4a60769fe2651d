"""Triton's pooling equals torch's: on a GPU, and on a CPU in Triton's interpreter."""

import importlib
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nst.features import layers

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPES = [
    torch.float32,
    torch.float64,
    *([torch.bfloat16] if DEVICE == "cuda" else []),
]  # the interpreter compares bfloat16 by its bits


@pytest.fixture(scope="module")
def max_pool() -> Callable[[Tensor, bool], Tensor]:
    pytest.importorskip("triton", reason="Triton comes with torch on Linux only")
    return importlib.import_module("nst.features.triton_pool").max_pool


def activations(dtype: torch.dtype, *shape: int) -> Tensor:
    """With many equal maxima, positive and negative."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0)).mul(2).round()
    return values.to(DEVICE, dtype).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rectify", [False, True], ids=["plain", "relu"])
@pytest.mark.parametrize("shape", [(2, 5, 9, 14), (1, 70, 2, 33), (1, 3, 1, 5)], ids=str)
def test_pooling_and_its_gradient(
    shape: tuple[int, ...], rectify: bool, dtype: torch.dtype, max_pool: Callable
) -> None:
    x = activations(dtype, *shape).requires_grad_()
    expected = F.max_pool2d(x, 2) if min(shape[2:]) > 1 else x.new_zeros(*shape[:2], 0, shape[3] // 2)
    expected = F.relu(expected) if rectify else expected
    found = max_pool(x, rectify)
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)
    if found.numel():
        gradient = torch.randn_like(expected)
        (exact,) = torch.autograd.grad(expected, x, gradient)
        (given,) = torch.autograd.grad(found, x, gradient.contiguous())
        assert torch.equal(given, exact)
        assert given.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("rectify", [False, True], ids=["plain", "relu"])
def test_what_is_not_a_number_is_not_hidden(rectify: bool, max_pool: Callable) -> None:
    x = activations(torch.float32, 1, 16, 4, 4)
    for corner in range(4):
        x[0, corner, corner // 2, corner % 2] = torch.nan
    assert max_pool(x, rectify).isnan().nonzero().tolist() == [[0, corner, 0, 0] for corner in range(4)]


@pytest.mark.skipif(DEVICE == "cuda", reason="there is a GPU")
def test_without_a_gpu_there_is_no_pooling_for_it() -> None:
    assert layers.gpu_pooling.__wrapped__() is None
