"""The numbers for faults of the finest detail grow with the fault, and with nothing else."""

from __future__ import annotations

import pytest
import torch

from nst.bench.faults import fringes, grain, halos


@pytest.fixture
def disc() -> torch.Tensor:
    """A dark disc on a bright ground, 96 x 128 px, its edge a few pixels wide."""
    down, across = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    radius = torch.hypot(down - 48, across - 64)
    return (0.2 + 0.6 * torch.sigmoid(radius - 25)).expand(1, 3, 96, 128).clone()


def test_grain_is_the_rms_of_the_finest_stripes_alone() -> None:
    across = torch.arange(256.0)
    for cycles, expected in ((0.45, 0.1 / 2**0.5), (0.3, 0.0)):
        stripes = 0.5 + 0.1 * torch.cos(2 * torch.pi * cycles * across).expand(1, 1, 128, 256)
        assert grain(stripes) == pytest.approx(expected, abs=1e-3)


def test_fringes_are_fine_colours_at_edges(disc: torch.Tensor) -> None:
    noise = 0.005 * torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    speckled = disc + noise
    assert fringes(speckled, disc) == pytest.approx(1, abs=0.15), "as much elsewhere"
    shifted = torch.cat([disc[:, :1].roll(2, -1), disc[:, 1:]], 1) + noise
    assert fringes(shifted, disc) > 2
    assert fringes(speckled + (disc[:, :1].roll(2, -1) - disc[:, :1]), disc) == pytest.approx(1, abs=0.15), "grey"


def test_halos_are_the_light_beside_edges(disc: torch.Tensor) -> None:
    down, across = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    away = torch.hypot(down - 48, across - 64) - 25  # the edge is at 0, the bright side beyond it
    assert halos(disc, disc) == pytest.approx(0, abs=0.03)
    glowing = disc + 0.15 * ((away > 1) & (away < 7))
    assert halos(glowing, disc) - halos(disc, disc) == pytest.approx(0.15, abs=0.01)
    assert halos(1 - disc, 1 - disc) == pytest.approx(0, abs=0.03), "the bright side is inside"
