"""The picture that one entry of a style matrix paints alone: G[k, k'] is maximised (Nikulin & Novak 2016, §4).

The natural-looking constraint is that of Olah et al. 2017: the picture is a sum of waves whose amplitude falls with
their frequency, as in photos, and it is moved by a few pixels before each step. Its energy, the mean squared distance
of all its values from mid-grey, is fixed, and then it is squeezed into the box (0, 1): with the box alone every pixel
ends at 0 or 1. A colour that is the same everywhere has energy, too: some channels of the first layers ask for one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from nst.features.extractor import FeatureExtractor
from nst.images import pictures

SIDE_PX = 128
# Block of the network -> sides in px and their numbers of steps: the coarse picture finds its shapes quickly. Fine
# layers need more steps, which cost them less: each picture takes a few seconds on two cores.
STEPS = {
    1: ((64, 20), (SIDE_PX, 60)),
    2: ((64, 20), (SIDE_PX, 24)),
    3: ((64, 20), (SIDE_PX, 12)),
    4: ((64, 20), (SIDE_PX, 12)),
    5: ((64, 20), (SIDE_PX, 6)),
}
SHIFT_PX = 4
STEP_SIZE = 0.3  # relative to the waves of the start
CONTRAST = 1.0  # standard deviation before the squeeze, as high as in photos of strong contrast
FALL = 1.0  # amplitude falls with this power of the frequency, as in photos
SATURATION = 0.6  # of the three colours: photos are mostly grey
FRAMES_EVERY = 6  # steps from one preview to the next


@dataclass(frozen=True)
class EntryPicture:
    """A picture on its way, and its entry divided by the number of positions."""

    image: Image.Image  # RGB, SIDE_PX square
    entry: float
    fraction: float  # of the steps, 0 to 1


def paint_entry(layer: str, k: int, m: int, seed: int = 0) -> Iterator[EntryPicture]:
    """Maximise G[k, m] of a layer, m = k for a channel alone; yields previews, the finished picture last.

    The logarithm is maximised, because G grows with the fourth power of the contrast and its gradient with it. Where
    both channels do not fire together anywhere, as on noise in the deepest layers, G has no gradient: then their values
    before the ReLU are raised.
    """
    convolution = layer.replace("relu", "conv")
    extractor = FeatureExtractor((convolution,), replicate_edges=True)
    generator = torch.Generator().manual_seed(seed)
    waves = torch.randn(1, 3, SIDE_PX, SIDE_PX // 2 + 1, 2, generator=generator)
    waves.requires_grad_()
    optimiser = torch.optim.Adam([waves], lr=STEP_SIZE, betas=(0.8, 0.95))
    steps = [side for side, count in STEPS[int(layer[-3])] for _ in range(count)]
    for number, side in enumerate(steps, start=1):
        picture = _squeezed(waves, side)
        shift = torch.randint(-SHIFT_PX, SHIFT_PX + 1, (2,), generator=generator).tolist()
        found = extractor(picture.roll(shift, (2, 3)))[convolution]
        entry = mean_entry(found.relu(), k, m)
        optimiser.zero_grad()
        (-entry.log() if entry > 0 else -found[:, [k, m]].mean()).backward()
        optimiser.step()
        if number % FRAMES_EVERY == 0 or number == len(steps):
            shown = pictures.to_picture(_squeezed(waves.detach(), SIDE_PX))
            yield EntryPicture(shown, entry.item(), number / len(steps))


def mean_entry(block: Tensor, k: int, m: int) -> Tensor:
    """G[k, m] divided by the number of positions: (1, C, H, W) -> scalar."""
    return (block[:, k] * block[:, m]).mean()


def _squeezed(waves: Tensor, side: int) -> Tensor:
    """Waves (1, 3, SIDE, SIDE // 2 + 1, 2) -> sRGB (1, 3, side, side) in (0, 1), without waves too fine for it."""
    rows = torch.fft.fftfreq(side, 1 / side)
    columns = torch.fft.rfftfreq(side, 1 / side)
    kept = torch.view_as_complex(waves)[:, :, rows.long() % SIDE_PX][..., : len(columns)]
    frequency = torch.hypot(rows[:, None], columns).clamp(min=1)  # waves per picture
    spectrum = kept / frequency**FALL
    grey = spectrum.mean(1, keepdim=True)
    spectrum = grey * math.sqrt(3) + SATURATION * (spectrum - grey)
    values = torch.fft.irfft2(spectrum, s=(side, side), norm="forward")
    return (CONTRAST * (values - values.mean()) / values.std()).sigmoid()
