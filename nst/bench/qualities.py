"""What each quality costs and what it reaches, on ten example pairs, and one sheet of the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
from PIL import Image
from torch import Tensor

from nst import costs
from nst.bench.engine import EXAMPLES, Row
from nst.bench.sheet import contact_sheet
from nst.features.extractor import FeatureExtractor
from nst.images import pictures
from nst.settings import CHOICES, STYLE_LAYER_WORDS, Settings
from nst.transfer import stylise_events

PAIRS = (  # photo, style picture; each style picture once
    ("chelsea", "impasto"),
    ("coffee", "watercolour"),
    ("astronaut", "mosaic"),
    ("rocket", "ukiyo_wave"),
    ("chelsea", "stained_glass"),
    ("coffee", "pointillism"),
    ("astronaut", "woodcut"),
    ("hubble_deep_field", "marbling"),
    ("rocket", "embroidery"),
    ("chelsea", "batik"),
)
CONTENT_LAYER, STYLE_LAYERS = "relu4_2", tuple(STYLE_LAYER_WORDS)
SIZE = 384
FILE = EXAMPLES / "figures" / "qualities.jpg"


def qualities(quick: bool) -> Iterator[Row]:
    """Seconds, work, J and errors of each quality for each pair. Writes the sheet, unless `quick`."""
    shown: list[list[Image.Image]] = []
    for pair in PAIRS[: 2 if quick else None]:
        photo, style = opened(pair)
        shown.append([photo, style])
        for quality in CHOICES["quality"]:
            row, picture = painted(photo, style, Settings(size=96 if quick else SIZE, quality=quality))
            shown[-1].append(picture)
            yield {"pair": f"{'+'.join(pair):26}", "quality": quality, **row}
    if not quick:
        contact_sheet(["photo", "style picture", *CHOICES["quality"]], shown).save(FILE, quality=85)


def opened(pair: tuple[str, str]) -> tuple[Image.Image, Image.Image]:
    """An example photo and style picture."""
    photo, style = pair
    return pictures.load(EXAMPLES / "photos" / f"{photo}.jpg"), pictures.load(EXAMPLES / "styles" / f"{style}.jpg")


def painted(photo: Image.Image, style: Image.Image, settings: Settings) -> tuple[Row, Image.Image]:
    """One run: what it took and reached, and its picture. `work` is that of its steps, in steps at the final size."""
    started, *_, finished = stylise_events(photo, style, settings)
    result, levels = finished.result, started.levels
    content_error, style_error = errors(result.image, photo, style)
    work = sum(level.work for level in levels) / (levels[-1].work / levels[-1].steps)
    row = {"seconds": result.seconds, "work": work, "J": result.history[-1].total}
    return {**row, "content_error": content_error, "style_error": style_error}, result.image


def errors(picture: Image.Image, photo: Image.Image, style: Image.Image) -> tuple[float, float]:
    """Relative squared error of the content (relu4_2), and that of the style matrices, mean over the five layers.

    All pictures are compared at the size of the result, and as they are saved: clamped and rounded.
    """
    longer_px = max(picture.size)
    found, of_photo, of_style = (_activations(shown, longer_px) for shown in (picture, photo, style))
    matrices = [
        _relative_error(*(costs.mean_style_matrix(a[layer], None) for a in (found, of_style))) for layer in STYLE_LAYERS
    ]
    return _relative_error(found[CONTENT_LAYER], of_photo[CONTENT_LAYER]), sum(matrices) / len(matrices)


@torch.no_grad()
def _activations(picture: Image.Image, longer_px: int) -> dict[str, Tensor]:
    size = pictures.result_size(picture, longer_px)
    return _judge()(pictures.to_tensor(pictures.scaled(picture, size)))


@cache
def _judge() -> FeatureExtractor:
    """The network in float32, whatever the runs compute in."""
    return FeatureExtractor([CONTENT_LAYER, *STYLE_LAYERS])


def _relative_error(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).square().sum() / wanted.square().sum())
