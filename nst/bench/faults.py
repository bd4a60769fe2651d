"""Faults that a run can add, in numbers: grain, colour fringes at edges, and pale halos beside them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from nst.bench.engine import EXAMPLES, Row
from nst.images import pictures
from nst.images.colour import luminance
from nst.settings import Settings
from nst.transfer import stylise

PHOTOS, STYLES = ("astronaut", "chelsea", "coffee", "rocket"), ("impasto", "watercolour", "ukiyo_wave")
GRAIN = 0.4  # cycles per pixel, above which detail is grain; the finest stripes have 0.5
STRONGEST_EDGES, NEAR_PX = 0.05, 2  # share of the pixels, and the distance within which colours are at an edge
HALO_PX, GROUND_PX = (2, 3, 4, 5), (9, 10, 11, 12)  # from an edge: where a halo is, and where it has ended


def faults(quick: bool) -> Iterator[Row]:
    """Means over the pairs, with default settings: of the photos, of the style pictures, and of the results."""
    rows: dict[str, list[Row]] = {"photo": [], "style": [], "result": []}
    size = 96 if quick else Settings().size
    for photo, style in [(photo, style) for photo in PHOTOS for style in STYLES][: 1 if quick else None]:
        of_photo, of_style = (
            pictures.load(EXAMPLES / f"{name}.jpg") for name in (f"photos/{photo}", f"styles/{style}")
        )
        result = pictures.to_tensor(stylise(of_photo, of_style, Settings(size=size)).image)
        shown, painted = (
            pictures.to_tensor(pictures.scaled(one, pictures.result_size(one, size))) for one in (of_photo, of_style)
        )
        for name, (image, places) in {
            "photo": (shown, shown),
            "style": (painted, painted),
            "result": (result, shown),
        }.items():
            grey = luminance(image)
            rows[name].append(
                {
                    "grain": 255 * grain(grey),
                    "colour grain": 255 * grain(image - grey),
                    "fringes": fringes(image, places),
                    "halos": 255 * halos(image, places),
                }
            )
    for name, found in rows.items():
        yield {"of": name} | {what: sum(row[what] for row in found) / len(found) for what in found[0]}


def grain(image: Tensor) -> float:
    """RMS of a picture's detail above `GRAIN`, by a Fourier transform under a Hann window: (1, C, H, W)."""
    height, width = image.shape[-2:]
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)
    down, across = torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)
    centred = image - image.mean((2, 3), keepdim=True)
    power = torch.fft.fft2(centred * window).abs().square() / (window.square().sum() * height * width)
    return float((power * (torch.hypot(down, across) > GRAIN)).sum().sqrt())


def fringes(image: Tensor, places: Tensor) -> float:
    """RMS of the fine colour at the edges of another picture, divided by that elsewhere: two (1, 3, H, W) of a size.

    Fine colour is what a picture loses at a fourth of its size, less its luminance.
    """
    fine = image - _coarse(image, 4)
    energy = (fine - luminance(fine)).square().sum(1, keepdim=True)
    edge = F.max_pool2d(_edges(places)[0].float(), 2 * NEAR_PX + 1, stride=1, padding=NEAR_PX) > 0
    return float((energy[edge].mean() / energy[~edge].mean()).sqrt())


def halos(image: Tensor, places: Tensor) -> float:
    """How much brighter a picture is just beside the edges of another one, on their bright side, than further away, on
    average over the edges: two (1, 3, H, W) of a size.
    """
    edge, slope = _edges(places)
    strength = slope.norm(dim=0)
    y, x = edge[0, 0].nonzero(as_tuple=True)
    down, across = slope[:, y, x] / strength[y, x]  # towards the bright side

    def at(shown: Tensor, px: int) -> Tensor:
        """Values (H, W) of a picture at this distance from each edge."""
        rows, columns = ((start + px * step).round().long() for start, step in ((y, down), (x, across)))
        return shown[rows.clamp(0, shown.shape[0] - 1), columns.clamp(0, shown.shape[1] - 1)]

    steepest = (strength[y, x] >= at(strength, 1)) & (strength[y, x] >= at(strength, -1))  # the middle of an edge
    grey = luminance(image)[0, 0]
    halo, ground = (
        torch.stack([at(grey, px)[steepest] for px in distances]).mean() for distances in (HALO_PX, GROUND_PX)
    )
    return float(halo - ground)


def _edges(image: Tensor) -> tuple[Tensor, Tensor]:
    """Where the strongest edges of a picture (1, 3, H, W) are, (1, 1, H, W), and how its luminance changes, down and
    across: (2, H, W).
    """
    slope = torch.stack(torch.gradient(luminance(_coarse(image, 2))[0, 0], dim=(0, 1)))
    strength = slope.norm(dim=0)
    return (strength > strength.quantile(1 - STRONGEST_EDGES))[None, None], slope


def _coarse(image: Tensor, times: int) -> Tensor:
    """A picture (1, 3, H, W) without what it loses at a smaller size."""
    size = tuple(image.shape[-2:])
    return pictures.resize(pictures.resize(image, tuple(side // times for side in size)), size)
