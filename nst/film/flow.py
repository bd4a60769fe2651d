"""Optical flow between two frames of a clip, where it can be trusted, and pictures moved along it.

The flow is OpenCV's DIS (Kroeger et al. 2016), computed in both directions. Ruder, Dosovitskiy & Brox 2016 (section 3)
take the tests of trust from Sundaram, Brox & Keutzer 2010.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

# Sundaram et al. 2010, eq. 5 and 6: the squared disagreement of the two directions, and the squared change of the flow
# between neighbours, may be this share of the squared flow plus this many square pixels.
DISAGREEMENT = 0.01, 0.5
BORDER = 0.01, 0.002


@dataclass(frozen=True)
class Motion:
    """How the picture came from an earlier one."""

    flow: Tensor  # (1, 2, H, W), px: x and y from a position of the later frame to where it was in the earlier one
    trust: Tensor  # (1, 1, H, W): 1 where the flow can be trusted, else 0

    def moved(self, earlier: Tensor) -> Tensor:
        """A picture of the earlier frame as it looks in the later one: (1, C, H, W) -> same, clamped to [0, 1]."""
        return sampled(earlier, self.flow, "bicubic").clamp_(0, 1)


def motion(earlier: Image.Image, later: Image.Image) -> Motion:
    """From an earlier to a later frame of the same size (PIL RGB). Does not need a device."""
    greys = [np.asarray(frame.convert("L")) for frame in (earlier, later)]
    back, forth = _flow(greys[1], greys[0]), _flow(greys[0], greys[1])
    return Motion(back, trusted(back, forth))


def _flow(first: np.ndarray, second: np.ndarray) -> Tensor:
    """(1, 2, H, W) px, from positions of the first grey picture (H, W, uint8) to the same things in the second."""
    import cv2  # here: a clip needs it, a single picture does not

    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return torch.from_numpy(method.calc(first, second, None)).permute(2, 0, 1).unsqueeze(0)


def trusted(back: Tensor, forth: Tensor) -> Tensor:
    """Where the flow `back` can be trusted, given `forth` of the other direction: (1, 2, H, W) each -> (1, 1, H, W).

    Not where the two disagree, which is where something was hidden; not at borders of motion; not outside the frame.
    """
    forth_there = sampled(forth, back, "bilinear")
    lengths = _squared(back) + _squared(forth_there)
    agrees = _squared(back + forth_there) <= DISAGREEMENT[0] * lengths + DISAGREEMENT[1]
    right = F.pad(back[..., 1:] - back[..., :-1], (0, 1, 0, 0))
    down = F.pad(back[..., 1:, :] - back[..., :-1, :], (0, 0, 0, 1))
    smooth = _squared(right) + _squared(down) <= BORDER[0] * _squared(back) + BORDER[1]
    return (agrees & smooth & inside(back)).float()


def inside(flow: Tensor) -> Tensor:
    """Where a flow (1, 2, H, W) points into the frame: (1, 1, H, W), boolean."""
    x, y = (_positions(flow) + flow).unbind(1)
    height, width = flow.shape[-2:]
    return ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).unsqueeze(1)


def sampled(picture: Tensor, flow: Tensor, mode: str) -> Tensor:
    """A picture (1, C, H, W) read at each position plus the flow there (1, 2, H, W); its edges are continued."""
    height, width = flow.shape[-2:]
    x, y = (_positions(flow) + flow).unbind(1)
    grid = torch.stack((2 * x / max(1, width - 1) - 1, 2 * y / max(1, height - 1) - 1), -1)
    return F.grid_sample(picture, grid, mode, "border", align_corners=True)


def _positions(flow: Tensor) -> Tensor:
    """x and y of every pixel: (1, 2, H, W)."""
    height, width = flow.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack((x, y)).unsqueeze(0).to(flow)


def _squared(flow: Tensor) -> Tensor:
    return flow.square().sum(1, keepdim=True)
