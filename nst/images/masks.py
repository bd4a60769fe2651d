"""Spatial control: where in the picture which style goes (Gatys et al. 2017, "Controlling Perceptual Factors in Neural
Style Transfer", section 4).

A mask is (1, 1, H, W) in [0, 1]: 1 is painted, 0 stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def guide(mask: Tensor, grid: Sequence[int], stride: int) -> Tensor:
    """The mask on a layer's grid of h x w cells: (1, 1, H, W) -> (1, 1, h, w), the mean of each cell's pixels.

    `stride` is the side of a cell in pixels. A rest that does not fill a cell is dropped, as pooling does.
    """
    height, width = grid
    return F.avg_pool2d(mask, stride)[..., :height, :width]


def resize(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, 1, H, W) -> (1, 1, *size), antialiased; bilinear, because sharper kernels would ring beyond the mask."""
    return F.interpolate(mask, size=size, mode="bilinear", antialias=True, align_corners=False)


def union(masks: Sequence[Tensor]) -> Tensor:
    """The clamped sum of masks, which paints where any of them does: several (1, 1, H, W) -> (1, 1, H, W)."""
    return torch.stack(list(masks)).sum(dim=0).clamp(max=1)


def share_of(chosen: Sequence[bool], masks: Sequence[Tensor]) -> Tensor | None:
    """How far a position is painted by the chosen of several styles: (1, 1, H, W), None where no style is chosen.

    Each style has its mask (1, 1, H, W), or all share what there is of masks, and are chosen together or not at all.
    """
    if not any(chosen):
        return None
    if len(masks) < 2:
        return torch.ones(1, 1, 1, 1) if all(chosen) else None
    of_chosen = sum(mask for mask, is_chosen in zip(masks, chosen, strict=True) if is_chosen)
    return of_chosen / sum(masks).clamp(min=torch.finfo(of_chosen.dtype).tiny)


def both(mask: Tensor | None, other: Tensor | None) -> Tensor | None:
    """The product of two masks (1, 1, H, W), which paints where both do; None paints everywhere."""
    return other if mask is None else mask if other is None else mask * other


def soften(mask: Tensor, edge_px: float) -> Tensor:
    """Blur the mask's edges over about `edge_px` pixels by a Gaussian: (1, 1, H, W) -> same."""
    sigma = edge_px / 4  # 95 % of the change lies within four standard deviations
    if sigma < 0.05:  # a neighbour's share is less than the smallest float32
        return mask
    height, width = mask.shape[-2:]
    shrink = max(1, min(int(sigma / 4), height // 4, width // 4))  # a wide blur is computed on a coarse grid
    small = resize(mask, (height // shrink, width // shrink)) if shrink > 1 else mask
    sigma /= shrink
    reach = math.ceil(3 * sigma)
    positions = torch.arange(-reach, reach + 1, device=mask.device, dtype=mask.dtype)
    bell = (-(positions**2) / (2 * sigma**2)).exp()
    bell = bell / bell.sum()
    for _ in range(2):  # down, then across
        small = F.conv2d(F.pad(small, (0, 0, reach, reach), mode="replicate"), bell.view(1, 1, -1, 1)).mT
    return (resize(small, (height, width)) if shrink > 1 else small).clamp(0, 1)


def compose(painted: Tensor, photo: Tensor, mask: Tensor | None) -> Tensor:
    """Blend the painting over the photo: two (1, 3, H, W) -> same, exactly the photo's values where the mask is 0."""
    return painted if mask is None else photo + mask * (painted - photo)
