"""Each undocumented function of torch is taken away: its replacement gives the same result."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from nst import torch_private
from nst.features.layers import Direct, convolve
from nst.torch_private import relu_gradient

SOURCES = sorted(Path(torch_private.__file__).parent.rglob("*.py"))
MKLDNN = ("_reorder_convolution_weight", "_convolution_pointwise", "_is_mkldnn_bf16_supported")
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)


def without(name: str) -> SimpleNamespace:
    """oneDNN's functions without this one."""
    return SimpleNamespace(**{other: getattr(torch.ops.mkldnn, other) for other in MKLDNN if other != name})


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def outcome(dtype: torch.dtype) -> tuple[bool, Tensor, Tensor]:
    """Whether weights were packed, a convolution with its relu, and its gradient."""
    kernel = Direct.of(random(24, 16, 3, 3).to(dtype), random(24).to(dtype), dtype)
    x = random(1, 16, 9, 14).to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
    out = convolve(x, kernel, rectify=True)
    return kernel.weight.is_mkldnn, out.detach(), torch.autograd.grad(out.float().square().sum(), x)[0]


@DTYPES
@pytest.mark.parametrize("name", MKLDNN)
def test_convolution_without_onednn_s_functions(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = outcome(dtype)[1:]
    monkeypatch.setattr(torch.ops, "mkldnn", without(name))
    packed, *found = outcome(dtype)
    assert not packed or (name == MKLDNN[2] and dtype == torch.float32)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).float().norm() <= (1e-5 if dtype == torch.float32 else 0.01) * other.float().norm()


@DTYPES
def test_convolution_without_onednn(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not torch_private.packs(dtype)


def test_relu_gradient_without_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    gradient, out = random(1, 3, 5, 7), random(1, 3, 5, 7).flip(-1).relu()
    out[..., 0], out[..., 1] = torch.nan, 0.0
    expected = relu_gradient(gradient, out)
    assert torch.equal(expected[..., 0], gradient[..., 0])
    assert expected[..., 1].eq(0).all()
    monkeypatch.setattr(torch.ops, "aten", SimpleNamespace())
    assert torch.equal(relu_gradient(gradient, out), expected)


def test_fused_convolution_without_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = random(1, 4, 6, 5), random(8, 4, 3, 3), random(8)
    monkeypatch.delattr(torch, "cudnn_convolution_relu")
    expected = torch.nn.functional.conv2d(x, weight, bias, padding=1).relu()
    assert torch.equal(torch_private.convolution_relu(x, weight, bias, 1), expected)


@pytest.mark.parametrize(("ended", "released"), [(False, True), (True, False)])
def test_memory_of_a_failed_capture_is_released_once(ended: bool, released: bool, monkeypatch) -> None:
    calls: list[tuple] = []

    def end(index: int, pool: tuple[int, int]) -> None:
        if ended:
            raise RuntimeError("no allocation to this pool")

    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", end, raising=False)
    monkeypatch.setattr(torch._C, "_cuda_releasePool", lambda *given: calls.append(given), raising=False)
    torch_private.release_pool((3, 4), 0)
    assert calls == ([(0, (3, 4))] if released else [])


@pytest.mark.parametrize("name", ["_cuda_endAllocateToPool", "_cuda_releasePool"])
def test_memory_of_a_failed_capture_stays_where_torch_cannot_release_it(name: str, monkeypatch) -> None:
    for function in ("_cuda_endAllocateToPool", "_cuda_releasePool"):
        monkeypatch.setattr(torch._C, function, lambda *_: pytest.fail("half of it was done"), raising=False)
    monkeypatch.delattr(torch._C, name)
    torch_private.release_pool((3, 4), 0)


def private_names(source: str) -> set[str]:
    """Attributes of torch in a source that are private, or operators by their internal name."""
    dotted = {ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    of_torch = {name for name in dotted if name.startswith("torch.")}
    return {name for name in of_torch if ".ops." in name or "cudnn_" in name or "._" in name.replace("__", "")}


def test_no_other_file_calls_what_torch_does_not_document() -> None:
    found = {path.name: private_names(path.read_text()) for path in SOURCES if path.name != "torch_private.py"}
    assert {name: names for name, names in found.items() if names} == {}
    seen = private_names("torch.ops.mkldnn.f(x); torch._C.g(); torch.cuda.h(); torch.__version__")
    assert {"torch.ops.mkldnn.f", "torch._C.g"} <= seen
    assert not {"torch.cuda.h", "torch.__version__"} & seen
