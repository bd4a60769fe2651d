"""Winograd's convolution is compared with torch's direct one in float64, and used only where it is faster."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nst import memory
from nst.features import winograd
from nst.features.extractor import FeatureExtractor, kept_kernels
from nst.features.layers import Direct, kernel_elements, kernel_for
from nst.features.winograd import Winograd
from nst.settings import Settings, layer_names

SIZES = pytest.mark.parametrize("size", [(8, 12), (9, 14), (2, 33), (1, 1), (14, 15), (70, 75)], ids=str)


def random(*shape: int, seed: int = 0) -> Tensor:
    made = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return made.contiguous(memory_format=torch.channels_last) if made.dim() == 4 else made


def off(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


@SIZES
@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-14), (torch.float32, 5e-6)], ids=str)
@pytest.mark.parametrize("rectify", [False, True], ids=["plain", "relu"])
def test_it_is_the_convolution(size: tuple[int, int], dtype: torch.dtype, within: float, rectify: bool) -> None:
    x, weight, bias = random(2, 24, *size), random(40, 24, 3, 3), random(40)
    exact = F.conv2d(x, weight, bias, padding=1)
    found = Winograd.of(weight.to(dtype), bias.to(dtype)).convolve(x.to(dtype), rectify)
    assert found.dtype == dtype
    assert found.shape == exact.shape
    assert off(found, F.relu(exact) if rectify else exact) < within


@SIZES
@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-14), (torch.float32, 5e-6)], ids=str)
def test_its_gradient_is_that_of_the_convolution(size: tuple[int, int], dtype: torch.dtype, within: float) -> None:
    x, weight, bias = random(2, 24, *size).requires_grad_(), random(40, 24, 3, 3), random(40)
    arriving = random(2, 40, *size, seed=9)
    (exact,) = torch.autograd.grad(F.conv2d(x, weight, bias, padding=1), x, arriving)
    found = Winograd.of(weight.to(dtype), bias.to(dtype)).gradient(arriving.to(dtype))
    assert found.shape == x.shape
    assert off(found, exact) < within


def test_both_tiles_use_one_kernel_and_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    x, arriving = random(1, 8, 13, 10), random(1, 6, 13, 10, seed=9)
    made = Winograd.of(random(6, 8, 3, 3), random(6))
    found = []
    for few in (0, math.inf):
        monkeypatch.setattr(winograd, "FEW_POSITIONS", few)
        made_of = winograd.LARGE if few == 0 else winograd.SMALL
        assert winograd.tile_for(13, 10) is made_of
        found.append((made.convolve(x), made.gradient(arriving)))
    for large, small in zip(*found, strict=True):
        assert torch.allclose(large, small, rtol=1e-12, atol=1e-12)
        assert not torch.equal(large, small)  # computed in two ways


def test_strips_leave_no_tile_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result does not depend on how many tiles are computed at once."""
    x, arriving = random(1, 8, 45, 31), random(1, 6, 45, 31, seed=9)
    made = Winograd.of(random(6, 8, 3, 3), random(6))
    whole = made.convolve(x), made.gradient(arriving)
    monkeypatch.setattr(winograd, "TILES", 5)
    for one, other in zip((made.convolve(x), made.gradient(arriving)), whole, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-12)


def test_layout_of_the_input_does_not_matter() -> None:
    x, made = random(1, 8, 12, 10), Winograd.of(random(6, 8, 3, 3), random(6))
    assert torch.equal(made.convolve(x.contiguous()), made.convolve(x))


def test_chosen_in_float32_for_many_channels_on_a_cpu() -> None:
    many, few, bias = random(512, 256, 3, 3), random(64, 64, 3, 3), random(512)
    assert isinstance(kernel_for(many.float(), bias.float(), torch.float32), Winograd)
    assert isinstance(kernel_for(few.float(), bias[:64].float(), torch.float32), Direct)
    assert isinstance(kernel_for(many.float(), bias.float(), torch.bfloat16), Direct)
    assert isinstance(kernel_for(many.float(), bias.float(), torch.float32, padding=0), Direct)
    for dtype in (torch.float64, torch.bfloat16):
        assert isinstance(kernel_for(many.to(dtype), bias.to(dtype), dtype), Direct)
    assert isinstance(kernel_for(many.float().to("meta"), bias.float().to("meta"), torch.float32), Direct)


def test_network_is_the_same_with_it_and_without(monkeypatch: pytest.MonkeyPatch, fresh_kernels: None) -> None:
    """Rounding of the deepest layer included, and gradients through all of them."""
    layers = [name for name in layer_names() if name.startswith("relu")]
    pixels = torch.rand(1, 3, 75, 64, generator=torch.Generator().manual_seed(1))
    found = []
    for fewest in (winograd.FEWEST_PAIRS, math.inf):
        monkeypatch.setattr(winograd, "FEWEST_PAIRS", fewest)
        kept_kernels.clear()
        extractor, x = FeatureExtractor(layers), pixels.clone().requires_grad_()
        assert any(isinstance(one, Winograd) for one in extractor.kernels.values()) == (fewest < math.inf)
        activations = extractor(x)
        (gradient,) = torch.autograd.grad(sum(one.square().mean().sqrt() for one in activations.values()), x)
        found.append({**activations, "gradient": gradient})
    for name, expected in found[1].items():
        assert off(found[0][name].detach(), expected.detach()) < 2e-5, name


def test_memory_counts_what_kernels_hold() -> None:
    for channels_in, channels_out in ((64, 64), (128, 128), (128, 256)):
        made = kernel_for(random(channels_out, channels_in, 3, 3).float(), random(channels_out).float(), torch.float32)
        held = [made.kernel] if isinstance(made, Winograd) else [made.weight, made.mirrored]
        assert sum(tensor.numel() for tensor in held) == kernel_elements(channels_in, channels_out, torch.float32)
    settings, sizes = Settings(), (96, 128)
    assert memory.memory_mib(settings, sizes, torch.float32) > memory.memory_mib(settings, sizes, torch.bfloat16)
