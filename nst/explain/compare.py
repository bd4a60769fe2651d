"""Photo, style picture and result side by side: their style matrices, and J_style[l] before and after a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from nst import costs
from nst.explain import channels
from nst.features.extractor import FeatureExtractor, smallest_side
from nst.images import pictures
from nst.images.decode import on_white
from nst.scaled_pictures import Inputs
from nst.settings import LIMITS, STYLE_LAYER_WORDS, Settings

LONGER_PX = 384
CPU = torch.device("cpu")

Matrices = Mapping[str, np.ndarray]  # kind -> (C, C); "gram" is divided by the number of positions


@dataclass(frozen=True)
class LayerComparison:
    """A layer's matrices for three pictures, and its style cost: 0 for the style picture, 1 for a matrix of zeros."""

    content: Matrices
    style: Matrices
    result: Matrices
    before: float  # J_style[l] of the photo, balanced
    after: float  # J_style[l] of the result, balanced


@dataclass(frozen=True)
class Comparison:
    """Three pictures compared layer by layer."""

    layers: Mapping[str, LayerComparison]

    @property
    def nbytes(self) -> int:
        """Memory of all matrices, bytes: about 22 MB for the five style layers."""
        parts = (part for layer in self.layers.values() for part in (layer.content, layer.style, layer.result))
        return sum(matrix.nbytes for part in parts for matrix in part.values())


@torch.inference_mode(False)
@torch.no_grad()
def compare(
    content: pictures.Source,
    style: pictures.Source,
    result: pictures.Source,
    settings: Settings | None = None,
    layers: Iterable[str] = tuple(STYLE_LAYER_WORDS),
    longer_px: int = LONGER_PX,
) -> Comparison:
    """Scale and measure the pictures as a run with these settings does, but in float32 on the CPU.

    `longer_px` replaces the size of the settings. Transparent parts count as white here; a run leaves them out.
    `ValueError` for a picture that cannot be read, and for an unknown layer.
    """
    asked = tuple(layers)
    chosen = replace(settings or Settings(), size=longer_px)
    least_px = max(LIMITS.smallest_side, smallest_side(asked, chosen.backbone))
    photo, painting, product = (
        on_white(pictures.load(source, name))
        for source, name in ((content, "photo"), (style, "style picture"), (result, "result"))
    )
    inputs = Inputs.of(photo, [painting], chosen, CPU, least_px=least_px)
    fitted = ImageOps.fit(product, inputs.size[::-1], Image.Resampling.LANCZOS)
    extractor = FeatureExtractor(asked, chosen.backbone, chosen.pooling, replicate_edges=True)
    measured = [
        _measured(extractor(image)) for image in (inputs.photo, inputs.paintings[0], pictures.to_tensor(fitted))
    ]  # one after another, so that the activations of one picture are freed before those of the next are computed
    return Comparison({layer: _layer(*(picture[layer] for picture in measured)) for layer in asked})


def _measured(activations: Mapping[str, Tensor]) -> dict[str, dict[str, np.ndarray]]:
    """Activations by layer -> matrices by layer and kind."""
    found = {}
    for layer, block in activations.items():
        kinds = {kind: channels.matrix(block, kind) for kind in channels.KINDS}
        positions = block.shape[-2] * block.shape[-1]
        found[layer] = {**kinds, "gram": kinds["gram"] / positions}  # `costs.mean_style_matrix`
    return found


def _layer(content: Matrices, style: Matrices, result: Matrices) -> LayerComparison:
    photo, target, product = (torch.from_numpy(picture["gram"]) for picture in (content, style, result))
    energy = float(costs.style_matrix_cost(target, torch.zeros_like(target))) or math.inf  # the run's balance
    before, after = (float(costs.style_matrix_cost(target, matrix)) / energy for matrix in (photo, product))
    return LayerComparison(content, style, result, before, after)
