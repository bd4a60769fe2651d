"""Style forgets positions, content does not: a block whose positions are shuffled (Gatys et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nst import costs


@dataclass(frozen=True)
class Shuffled:
    """What the shuffle of a block changes."""

    order: Tensor  # (H * W,): position n of the shuffled block has the activations of position order[n]
    matrix_change: float  # largest difference of an entry of the style matrix, relative to the largest entry
    content_cost: float  # J_content of the shuffled block, divided by that of a block of zeros


def shuffle(block: Tensor, seed: int = 0) -> Shuffled:
    """Give all positions of a block (1, C, H, W) a new place, the same for all channels, and measure both costs."""
    order = torch.randperm(block.shape[-2] * block.shape[-1], generator=torch.Generator().manual_seed(seed))
    moved = block.flatten(2)[..., order].reshape(block.shape)
    before, after = costs.style_matrix(block), costs.style_matrix(moved)
    largest = float(before.abs().max()) or 1.0
    energy = float(costs.content_cost(block, torch.zeros_like(block))) or 1.0
    return Shuffled(
        order, float((after - before).abs().max()) / largest, float(costs.content_cost(block, moved)) / energy
    )
