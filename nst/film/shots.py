"""Where a clip cuts from one shot to the next: no motion explains a frame by the one before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from nst.film.flow import motion
from nst.images import pictures

LONGER_PX = 128  # size at which frames are compared
LEAST_TRUST = 0.5  # a cut has a smaller share of positions whose flow can be trusted
LEAST_CHANGE = 12.0  # of 255: a cut leaves at least this mean difference after the motion


def first_frames(frames: Iterable[Image.Image]) -> Iterator[bool]:
    """For each frame (PIL RGB, of one size) whether a shot begins with it. The first frame begins one."""
    before: Image.Image | None = None
    for frame in frames:
        small = pictures.scaled(frame, pictures.result_size(frame, min(LONGER_PX, max(frame.size))))
        yield before is None or is_cut(before, small)
        before = small


def is_cut(earlier: Image.Image, later: Image.Image) -> bool:
    """Whether two small frames of one size are of different shots."""
    if np.abs(np.asarray(later, np.int16) - np.asarray(earlier, np.int16)).mean() < LEAST_CHANGE:
        return False  # the usual case, without the flow
    found = motion(earlier, later)
    left = (found.moved(pictures.to_tensor(earlier)) - pictures.to_tensor(later)).abs().mean()
    return bool(found.trust.mean() < LEAST_TRUST and left * 255 > LEAST_CHANGE)
