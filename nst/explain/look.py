"""What the network sees in a picture: activations, and the patches that excite a channel most (Zeiler & Fergus 2013).

`nst.channels` turns the activations of a layer into matrices, orders and pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nst.explain.channels import activation_map
from nst.features.extractor import FeatureExtractor, smallest_side
from nst.features.receptive_field import Box, receptive_field
from nst.images import pictures
from nst.images.decode import on_white
from nst.settings import LIMITS, STYLE_LAYER_WORDS, layer_names

LONGER_PX = 384
LARGEST_PX = 1024  # its activations take 1 GB
STYLE_LAYERS = tuple(STYLE_LAYER_WORDS)
APART = 1 / 24  # of the longer side: two strongest patches of a channel are at least so far apart
GREY = (128, 128, 128)


@dataclass(frozen=True)
class Look:
    """A picture at the size it was looked at, and the activations of some layers."""

    picture: Image.Image  # RGB
    blocks: Mapping[str, Tensor]  # layer -> (1, C, H, W), float32 on the CPU
    backbone: str = "vgg19"

    @property
    def nbytes(self) -> int:
        """Memory that the activations hold. At 384 x 288 px the five style layers take 54 MB, all sixteen 131 MB."""
        return sum(block.nbytes for block in self.blocks.values())

    def block(self, layer: str) -> Tensor:
        """The activation block of a layer, for the functions of `nst.channels`."""
        if layer not in self.blocks:
            raise ValueError(f"layer {layer!r} was not looked at; there are {', '.join(self.blocks)}")
        return self.blocks[layer]

    def shape(self, layer: str) -> tuple[int, int, int]:
        """n_H, n_W, n_C of a layer's block."""
        _, channels, height, width = self.block(layer).shape
        return height, width, channels


@dataclass(frozen=True)
class Patch:
    """A position of a layer where a channel fires, and the pixels it looks at there."""

    row: int
    column: int
    value: float
    box: Box  # of the receptive field in the look's picture; near an edge it reaches over it


def relu_layers(backbone: str = "vgg19") -> tuple[str, ...]:
    """All convolution layers by the names of their relus, which the costs see; the five style layers come first."""
    others = (name for name in layer_names(backbone) if name.startswith("relu") and name not in STYLE_LAYERS)
    return *STYLE_LAYERS, *others


@torch.inference_mode(False)
@torch.no_grad()
def look_at(
    source: pictures.Source, layers: Iterable[str] = STYLE_LAYERS, longer_px: int = LONGER_PX, backbone: str = "vgg19"
) -> Look:
    """Activations of a picture or path, all in one pass and as a run sees them, which scales a style picture so too.

    Transparent parts count as white. Computed on the CPU, in a second, so that looking takes no GPU from a run, and in
    float32. float16 would halve the memory, but activations come within a factor of four of its largest number.
    """
    asked = tuple(layers)
    if longer_px > LARGEST_PX:
        raise ValueError(f"longer_px={longer_px} is over the limit of {LARGEST_PX}; choose a smaller size")
    extractor = FeatureExtractor(asked, backbone, replicate_edges=True)
    picture = on_white(pictures.load(source))
    least_px = max(LIMITS.smallest_side, smallest_side(asked, backbone))
    picture = pictures.scaled(picture, pictures.style_size(picture, longer_px, least_px))
    found = extractor(pictures.to_tensor(picture))
    return Look(picture, {layer: found[layer] for layer in asked}, backbone)


def strongest_patches(look: Look, layer: str, channel: int, count: int = 9) -> tuple[Patch, ...]:
    """Where a channel fires most, the strongest first, as receptive fields.

    From the second on, only positions count that are at least half a field, and `APART`, from those before, down or
    across: else all would show one spot. There are fewer than `count` where the channel is silent everywhere else.
    """
    values = activation_map(look.block(layer), channel)
    field = receptive_field(layer, look.backbone)
    apart_px = max(field.side / 2, APART * max(look.picture.size))
    found = _peaks(values, math.ceil(apart_px / field.stride), count)
    return tuple(Patch(row, column, value, field.box(row, column)) for row, column, value in found)


def cut(look: Look, patch: Patch) -> Image.Image:
    """The patch's pixels, as large as the receptive field: what lies outside the picture is grey."""
    left, top, right, bottom = patch.box
    piece = Image.new("RGB", (right - left, bottom - top), GREY)
    piece.paste(look.picture, (-left, -top))
    return piece


def on_picture(look: Look, layer: str, values: np.ndarray) -> np.ndarray:
    """A map over a layer's positions at the picture's pixels, linear between the centres of receptive fields.

    (h, w) -> (H, W). Poolings drop the last pixels that fill no cell; there the nearest position's value is repeated.
    """
    stride = receptive_field(layer, look.backbone).stride
    fine = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    if stride > 1:
        fine = F.interpolate(fine, scale_factor=stride, mode="bilinear", align_corners=False)
    height, width = fine.shape[-2:]
    rest = (0, look.picture.width - width, 0, look.picture.height - height)
    return F.pad(fine, rest, mode="replicate")[0, 0].numpy()


def _peaks(values: np.ndarray, apart: int, count: int) -> list[tuple[int, int, float]]:
    """(row, column, value) of the largest values above 0, greedily, no two closer than `apart` both down and across."""
    left = values.copy()
    found: list[tuple[int, int, float]] = []
    while len(found) < count and left.max() > 0:
        row, column = (int(index) for index in np.unravel_index(left.argmax(), left.shape))
        found.append((row, column, float(left[row, column])))
        left[max(0, row - apart + 1) : row + apart, max(0, column - apart + 1) : column + apart] = 0
    return found
