"""Activations of a picture, and the patches that excite a channel most (Zeiler & Fergus 2013).

`nst.explain.channels` turns the activations of a layer into matrices, orders and pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nst.explain.channels import activation_map
from nst.features.extractor import FeatureExtractor, smallest_side
from nst.features.receptive_field import receptive_field
from nst.images import pictures
from nst.images.decode import on_white
from nst.settings import LIMITS, STYLE_LAYER_WORDS, layer_names

LONGER_PX = 384
LARGEST_PX = 1024  # the activations of all layers then take 1 GB
STYLE_LAYERS = tuple(STYLE_LAYER_WORDS)
APART = 1 / 24  # share of the longer side: least distance between two of the strongest patches of a channel


@dataclass(frozen=True)
class Look:
    """A picture as the network saw it, and its activations in some layers."""

    picture: Image.Image  # RGB
    blocks: Mapping[str, Tensor]  # layer -> (1, C, H, W), float32 on the CPU
    backbone: str = "vgg19"

    @property
    def nbytes(self) -> int:
        """Memory of the activations, bytes. At 384 x 288 px: 54 MB for the five style layers, 131 MB for all 16."""
        return sum(block.nbytes for block in self.blocks.values())

    def block(self, layer: str) -> Tensor:
        """The activation block of a layer, for the functions of `nst.explain.channels`: (1, C, H, W)."""
        if layer not in self.blocks:
            raise ValueError(f"layer {layer!r} was not looked at; there are {', '.join(self.blocks)}")
        return self.blocks[layer]

    def shape(self, layer: str) -> tuple[int, int, int]:
        """n_H, n_W, n_C of a layer's block."""
        _, channels, height, width = self.block(layer).shape
        return height, width, channels


@dataclass(frozen=True)
class Patch:
    """A position of a layer where a channel fires."""

    row: int
    column: int
    value: float


def relu_layers(backbone: str = "vgg19") -> tuple[str, ...]:
    """Names of all relu layers, one for each convolution; the five style layers come first."""
    others = (name for name in layer_names(backbone) if name.startswith("relu") and name not in STYLE_LAYERS)
    return *STYLE_LAYERS, *others


@torch.inference_mode(False)
@torch.no_grad()
def look_at(
    source: pictures.Source, layers: Iterable[str] = STYLE_LAYERS, longer_px: int = LONGER_PX, backbone: str = "vgg19"
) -> Look:
    """Activations of a picture or path in these layers, scaled as a run scales its style picture to `longer_px`.

    Transparent parts count as white. It is computed on the CPU, in about a second, so that no run has to wait for its
    GPU. float16 would halve the memory, but activations reach a fourth of its largest number. `ValueError` for a
    picture that cannot be read, an unknown layer, and `longer_px` over `LARGEST_PX`.
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
    """The positions where a channel fires most, the strongest first.

    Two positions are apart by at least half a receptive field and `APART`, vertically or horizontally; otherwise all
    patches would show the same spot. There are fewer than `count` patches when the channel is 0 everywhere else.
    """
    values = activation_map(look.block(layer), channel)
    field = receptive_field(layer, look.backbone)
    apart_px = max(field.side / 2, APART * max(look.picture.size))
    return tuple(Patch(*peak) for peak in _peaks(values, math.ceil(apart_px / field.stride), count))


def _peaks(values: np.ndarray, apart: int, count: int) -> list[tuple[int, int, float]]:
    """(row, column, value) of the largest values above 0, chosen greedily; no two are within `apart` on both axes."""
    left = values.copy()
    found: list[tuple[int, int, float]] = []
    while len(found) < count and left.max() > 0:
        row, column = (int(index) for index in np.unravel_index(left.argmax(), left.shape))
        found.append((row, column, float(left[row, column])))
        left[max(0, row - apart + 1) : row + apart, max(0, column - apart + 1) : column + apart] = 0
    return found
