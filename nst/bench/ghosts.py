"""Ghosts: how much of one window of a style picture is found in the result, with both values of `style_parts`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nst.bench.engine import EXAMPLES, Row
from nst.bench.sheet import contact_sheet
from nst.features.extractor import FeatureExtractor
from nst.images import pictures
from nst.settings import CHOICES, Settings
from nst.transfer import stylise

LAYER = "relu5_1"
FILE = EXAMPLES / "figures" / "style_parts.jpg"
SIZE = 192  # px: 96 and 192 px are the levels of a default picture on which motifs are decided
PHOTO = "photos/rocket"  # whose empty sky shows everything that a style brings
# Style picture -> what is in its window, and the window (left, top, right, bottom), shares of width and height.
WINDOWS = {
    "photos/astronaut": ("thing: face", (0.35, 0.05, 0.6, 0.35)),
    "photos/chelsea": ("thing: eye and nose", (0.5, 0.3, 0.85, 0.75)),
    "photos/coffee": ("thing: cup", (0.3, 0.1, 0.65, 0.6)),
    "results/astronaut_mosaic": ("thing: face", (0.35, 0.05, 0.6, 0.35)),
    "results/astronaut_stained_glass": ("thing: face", (0.35, 0.05, 0.6, 0.35)),
    "results/chelsea_impasto": ("thing: eye and nose", (0.5, 0.3, 0.85, 0.75)),
    "results/chelsea_ukiyo_wave": ("thing: eye and nose", (0.5, 0.3, 0.85, 0.75)),
    "results/coffee_watercolour": ("thing: cup", (0.3, 0.1, 0.65, 0.6)),
    "styles/batik": ("motif: rosette", (0.0, 0.6, 0.35, 1.0)),
    "styles/embroidery": ("motif: feathers", (0.2, 0.3, 0.6, 0.6)),
    "styles/impasto": ("motif: swirl", (0.05, 0.1, 0.35, 0.5)),
    "styles/marbling": ("motif: curls", (0.05, 0.4, 0.4, 0.9)),
    "styles/mosaic": ("motif: tiles", (0.1, 0.2, 0.4, 0.5)),
    "styles/pointillism": ("motif: trees", (0.1, 0.1, 0.45, 0.6)),
    "styles/stained_glass": ("motif: cells", (0.3, 0.65, 0.75, 0.9)),
    "styles/ukiyo_wave": ("motif: waves", (0.3, 0.5, 0.6, 0.9)),
    "styles/watercolour": ("motif: poppy", (0.3, 0.2, 0.65, 0.55)),
    "styles/woodcut": ("motif: cuts in the sky", (0.3, 0.05, 0.7, 0.4)),
}


def ghosts(quick: bool) -> Iterator[Row]:
    """The best match of a style's window in the photo itself, and in results of both settings, by style picture.

    Writes the sheet of all of them, unless `quick`.
    """
    photo, extractor = _opened(PHOTO), FeatureExtractor([LAYER], replicate_edges=True)
    shown: list[list[Image.Image]] = []
    for name, (what, window) in list(WINDOWS.items())[: 1 if quick else None]:
        style = _opened(name)
        a_style = _activations(style, extractor)
        row = {"style": name.split("/")[1], "window": what, "photo": _match(a_style, window, photo, extractor)}
        shown.append([style])
        for parts in CHOICES["style_parts"]:
            painted = stylise(photo, style, Settings(size=SIZE, quality="draft", style_parts=parts)).image
            row[parts] = _match(a_style, window, painted, extractor)
            shown[-1].append(painted)
        yield row
    if not quick:
        half = len(shown) // 2
        rows = [[*left, *right] for left, right in zip(shown[:half], shown[half:], strict=True)]
        contact_sheet(["style picture", *CHOICES["style_parts"]] * 2, rows).save(FILE, quality=85)


def best_match(a_style: Tensor, window: Sequence[float], a: Tensor) -> float:
    """The largest cosine of a window of the style's activations with any window of others, both centred by the
    style's mean of each channel: two (1, C, H, W) -> -1 to 1.
    """
    height, width = a_style.shape[-2:]
    left, top, right, bottom = (round(share * side) for share, side in zip(window, (width, height) * 2, strict=True))
    mean = a_style.mean((2, 3), keepdim=True)
    patch, others = (a_style - mean)[..., top:bottom, left:right], a - mean
    products = F.conv2d(others, patch)
    squares = F.conv2d(others.square().sum(1, keepdim=True), torch.ones_like(patch[:, :1]))
    return float((products / (squares.sqrt() * patch.norm())).max())


def _match(a_style: Tensor, window: Sequence[float], picture: Image.Image, extractor: FeatureExtractor) -> float:
    return best_match(a_style, window, _activations(picture, extractor))


@torch.no_grad()
def _activations(picture: Image.Image, extractor: FeatureExtractor) -> Tensor:
    size = pictures.result_size(picture, SIZE)
    return extractor(pictures.to_tensor(pictures.scaled(picture, size)))[LAYER]


def _opened(name: str) -> Image.Image:
    return pictures.load(EXAMPLES / f"{name}.jpg")
