"""What torch does not document, on a GPU."""

from __future__ import annotations

import pytest
import torch

from nst import torch_private
from tests.test_torch_private import random


def test_fused_convolution_is_the_public_one(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = (tensor.cuda().bfloat16() for tensor in (random(1, 16, 12, 10), random(8, 16, 3, 3), random(8)))
    found = torch_private.convolution_relu(x, weight, bias, 1).float()
    monkeypatch.delattr(torch, "cudnn_convolution_relu")
    expected = torch_private.convolution_relu(x, weight, bias, 1).float()
    assert (found - expected).norm() < 0.01 * expected.norm()
