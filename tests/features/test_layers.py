"""Layers and their hand-written gradients, held to torch's own in float64."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nst import torch_private
from nst.device import true_float32
from nst.features import layers
from nst.features.layers import Direct, Split, convolve, max_pool


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def value_and_gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """A function's output, and the gradient of its inner product with fixed numbers."""
    x = x.clone().requires_grad_()
    out = function(x)
    return out.detach(), torch.autograd.grad((out * random(*out.shape, seed=9).to(out)).sum(), x)[0]


@pytest.mark.parametrize("size", [(9, 14), (1, 1)], ids=str)
@pytest.mark.parametrize("rectify", [False, True], ids=["plain", "relu"])
@pytest.mark.parametrize(
    ("dtype", "within"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.02)], ids=str
)
def test_convolution_and_its_gradient(
    dtype: torch.dtype, within: float, rectify: bool, size: tuple[int, int], device: str
) -> None:
    x, weight, bias = (tensor.to(device, dtype) for tensor in (random(2, 24, *size), random(40, 24, 3, 3), random(40)))
    kernel = Direct.of(weight, bias, dtype)
    packs = device == "cpu" and dtype in layers.PACKED_DTYPES and torch_private.packs(dtype)
    assert kernel.weight.is_mkldnn == kernel.mirrored.is_mkldnn == packs

    def plain(x: Tensor) -> Tensor:
        out = F.conv2d(x, weight.double(), bias.double(), padding=1)
        return F.relu(out) if rectify else out

    x = x.contiguous(memory_format=torch.channels_last)
    with true_float32(x):
        found = value_and_gradient(lambda x: convolve(x, kernel, rectify), x)
    for one, other in zip(found, value_and_gradient(plain, x.double()), strict=True):
        assert one.dtype == dtype
        if (device, dtype) != ("cuda", torch.float64):  # cuDNN has it only in the plain memory order
            assert one.is_contiguous(memory_format=torch.channels_last)
        assert (one - other).norm() <= within * other.norm()


@pytest.mark.parametrize("split", [False, True], ids=["float32", "split"])
def test_first_convolution_reads_float32_and_gives_what_it_is_asked_for(split: bool, device: str) -> None:
    """A picture in float32, already framed; activations in bfloat16; a gradient in float32."""
    x, weight, bias = (r.float().to(device) for r in (random(1, 3, 12, 15), random(8, 3, 3, 3), random(8)))
    bias = bias.bfloat16().float()
    kernel = Split.of(weight, bias, 0) if split else Direct.of(weight, bias, torch.bfloat16, padding=0)
    x = x.contiguous(memory_format=torch.channels_last)
    with true_float32(x):
        out, gradient = value_and_gradient(lambda x: convolve(x, kernel, rectify=True), x)
    expected, exact = value_and_gradient(lambda x: F.relu(F.conv2d(x, weight.double(), bias.double())), x.double())
    assert out.shape == (1, 8, 10, 13)
    assert (out.dtype, gradient.dtype) == (torch.bfloat16, torch.float32)
    assert (out - expected).norm() < 0.002 * expected.norm()  # rounded once, at the end
    assert (gradient - exact).norm() < 0.01 * exact.norm()


@pytest.mark.skipif(not torch_private.packs(torch.float32), reason="torch without oneDNN packs nothing")
def test_packed_and_plain_weights_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = random(1, 64, 20, 31).float(), random(64, 64, 3, 3).float(), random(64).float()
    packed = Direct.of(weight, bias, torch.float32)
    monkeypatch.setattr(layers, "PACKED_DTYPES", ())
    plain = Direct.of(weight, bias, torch.float32)
    assert (packed.weight.is_mkldnn, plain.weight.is_mkldnn) == (True, False)
    found, expected = (value_and_gradient(lambda x, k=k: convolve(x, k, rectify=True), x) for k in (packed, plain))
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("size", [(9, 14), (8, 6), (2, 33)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_max_pooling_and_its_gradient(dtype: torch.dtype, size: tuple[int, int], device: str) -> None:
    x = F.relu(random(2, 5, *size)).to(device, dtype).contiguous(memory_format=torch.channels_last)  # ties at 0
    found, expected = value_and_gradient(max_pool, x), value_and_gradient(lambda x: F.max_pool2d(x, 2), x)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
        assert one.is_contiguous(memory_format=torch.channels_last)


def test_pooling_forgets_what_it_pooled() -> None:
    """It keeps a quarter of the memory that autograd would keep."""
    x = random(1, 5, 8, 8).requires_grad_()
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        max_pool(x * 1.0)
    assert [tensor.shape for tensor in kept if tensor.dim()] == [(1, 5, 4, 4)]


def test_nothing_is_packed_where_the_library_cannot_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, bias = random(8, 8, 3, 3), random(8)
    monkeypatch.setattr(torch_private, "packs", lambda dtype: dtype != torch.bfloat16)
    assert not Direct.of(weight.bfloat16(), bias.bfloat16(), torch.bfloat16).weight.is_mkldnn
    assert (
        Direct.of(weight.float(), bias.float(), torch.float32).weight.is_mkldnn == torch.backends.mkldnn.is_available()
    )
