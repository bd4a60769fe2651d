"""The picture whose steps are recorded."""

import pytest
import torch
from torch import Tensor


@pytest.fixture
def image() -> Tensor:
    return torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
