"""The layers of test_layers.py on a GPU, and with Triton's pooling there."""

import pytest
import torch
import torch.nn.functional as F

from nst.features import layers
from tests.features.test_layers import (  # noqa: F401
    test_convolution_and_its_gradient,
    test_first_convolution_reads_float32_and_gives_what_it_is_asked_for,
    test_max_pooling_and_its_gradient,
)
from tests.features.test_triton_pool import activations


@pytest.mark.parametrize("fused", [False, True], ids=["torch", "triton"])
@pytest.mark.parametrize("rectify", [False, True], ids=["plain", "relu"])
def test_with_or_without_triton_layers_are_the_same(
    rectify: bool, fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert layers.gpu_pooling() is not None
    if not fused:
        monkeypatch.setattr(layers, "gpu_pooling", lambda: None)
    x = activations(torch.bfloat16, 1, 64, 9, 14)
    expected = F.max_pool2d(x, 2)
    assert torch.equal(layers.max_pool(x, rectify), F.relu(expected) if rectify else expected)
