"""Optical flow between two frames of a clip: where it can be trusted, pictures moved along it, and cuts.

The flow is OpenCV's DIS (Kroeger et al. 2016), computed in both directions. Ruder, Dosovitskiy & Brox 2016 (section 3)
take the tests of trust from Sundaram, Brox & Keutzer 2010.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nst.images import pictures

# Sundaram et al. 2010, eq. 5 and 6: the squared disagreement of the two directions, and the squared change of the flow
# between neighbours, may be this share of the squared flow plus this many square pixels.
DISAGREEMENT = 0.01, 0.5
BORDER = 0.01, 0.002
SMOOTHNESS = 60.0  # of the flow; OpenCV's own is 20. On four clips the error is 6 to 40 % lower, on one 3 % higher
ALIKE, NEAR_PX = 4.0, 5  # mean difference of grey levels (of 255) in a square of this side that noise may make

CUT_PX = 128  # size at which frames are compared
LEAST_TRUST = 0.5  # a cut has a smaller share of positions whose flow can be trusted
LEAST_CHANGE = 12.0  # of 255: a cut leaves at least this mean difference after the motion


@dataclass(frozen=True)
class Motion:
    """How the picture came from an earlier one."""

    flow: Tensor  # (1, 2, H, W), px: x and y from a position of the later frame to where it was in the earlier one
    seen: Tensor  # (1, 1, H, W): 0 where the earlier frame does not show it: hidden, or outside; else 1
    smooth: Tensor  # (1, 1, H, W): 0 at borders of motion, where the flow is inexact; else 1

    @property
    def trust(self) -> Tensor:
        """Where the flow can be trusted: (1, 1, H, W), 0 or 1."""
        return self.seen * self.smooth

    def moved(self, earlier: Tensor) -> Tensor:
        """A picture of the earlier frame as it looks in the later one: (1, C, H, W) -> same, clamped to [0, 1]."""
        return sampled(earlier, self.flow, "bicubic").clamp_(0, 1)


def motion(earlier: Image.Image, later: Image.Image) -> Motion:
    """From an earlier to a later frame of the same size (PIL RGB). Does not need a device."""
    greys = [np.array(frame.convert("L")) for frame in (earlier, later)]  # copies: torch wants to own them
    back, forth = _flow(greys[1], greys[0]), _flow(greys[0], greys[1])
    was, now = (torch.from_numpy(grey)[None, None].float() for grey in greys)
    alike = F.avg_pool2d((sampled(was, back, "bilinear") - now).abs(), NEAR_PX, 1, NEAR_PX // 2) <= ALIKE
    # In noise the two directions disagree where nothing was hidden; then the two frames are alike all the same.
    return Motion(back, (agrees(back, forth) | alike) * inside(back), smooth(back))


def _flow(first: np.ndarray, second: np.ndarray) -> Tensor:
    """(1, 2, H, W) px, from positions of the first grey picture (H, W, uint8) to the same things in the second."""
    import cv2  # here: a clip needs it, a single picture does not

    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    method.setVariationalRefinementAlpha(SMOOTHNESS)
    return torch.from_numpy(method.calc(first, second, None)).permute(2, 0, 1).unsqueeze(0)


def agrees(back: Tensor, forth: Tensor) -> Tensor:
    """Where the two directions agree: (1, 2, H, W) each -> (1, 1, H, W), boolean.

    Where something was hidden, `back` leads to what hid it, and `forth` leads from there to somewhere else.
    """
    forth_there = sampled(forth, back, "bilinear")
    lengths = _squared(back) + _squared(forth_there)
    return _squared(back + forth_there) <= DISAGREEMENT[0] * lengths + DISAGREEMENT[1]


def smooth(flow: Tensor) -> Tensor:
    """1 where a flow changes little from pixel to pixel, else 0: (1, 2, H, W) -> (1, 1, H, W)."""
    right = F.pad(flow[..., 1:] - flow[..., :-1], (0, 1, 0, 0))
    down = F.pad(flow[..., 1:, :] - flow[..., :-1, :], (0, 0, 0, 1))
    return (_squared(right) + _squared(down) <= BORDER[0] * _squared(flow) + BORDER[1]).float()


def inside(flow: Tensor) -> Tensor:
    """1 where a flow (1, 2, H, W) points into the frame or at its outermost pixels, else 0: (1, 1, H, W)."""
    x, y = (_positions(flow) + flow).unbind(1)
    height, width = flow.shape[-2:]
    within = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return within.unsqueeze(1).float()


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


def first_frames(frames: Iterable[Image.Image]) -> Iterator[bool]:
    """For each frame (PIL RGB, of one size) whether a shot begins with it. The first frame begins one."""
    before: Image.Image | None = None
    for frame in frames:
        small = pictures.scaled(frame, pictures.result_size(frame, min(CUT_PX, max(frame.size))))
        yield before is None or is_cut(before, small)
        before = small


def is_cut(earlier: Image.Image, later: Image.Image) -> bool:
    """Whether two small frames of one size are of different shots."""
    if np.abs(np.asarray(later, np.int16) - np.asarray(earlier, np.int16)).mean() < LEAST_CHANGE:
        return False  # the usual case, without the flow
    found = motion(earlier, later)
    left = (found.moved(pictures.to_tensor(earlier)) - pictures.to_tensor(later)).abs().mean()
    return bool(found.trust.mean() < LEAST_TRUST and left * 255 > LEAST_CHANGE)
