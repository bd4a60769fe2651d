"""Pixels that the tests of pictures share."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def colours() -> np.ndarray:
    """40 x 24 px without any symmetry: (24, 40, 3) uint8."""
    return np.random.default_rng(5).integers(0, 256, (24, 40, 3), dtype=np.uint8)
