"""Activations of a photo, a style picture and a result in one file, for the notebook of the exercise."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageOps

from nst.explain.look import LONGER_PX, look_at
from nst.features.extractor import smallest_side
from nst.features.receptive_field import receptive_field
from nst.images import pictures
from nst.images.decode import on_white

MOST_BYTES = 4 * 10**6  # of the file
CHANNELS = (64, 128, 256, 512, 512)  # of VGG's five blocks
OVERHEAD = 4096  # bytes of the file's headers, at most
BYTES_PER_POSITION = 2 * 3  # float16, three pictures


def activations(
    content: pictures.Source, style: pictures.Source, result: pictures.Source, layer: str
) -> dict[str, np.ndarray]:
    """a_C, a_S and a_G of one layer, float16 (n_H, n_W, n_C), of three pictures scaled to one size.

    The style picture and the result are cut to the photo's shape, because the lecture's formulas need blocks of one
    size. The longer side is `LONGER_PX`, or as long as `MOST_BYTES` allow.
    """
    photo, painting, product = (on_white(pictures.load(source)) for source in (content, style, result))
    size = pictures.result_size(photo, longer_px(photo, layer))
    found: dict[str, np.ndarray] = {}
    cut = {"a_S": painting, "a_G": product}
    fitted = {name: ImageOps.fit(picture, size[::-1], Image.Resampling.LANCZOS) for name, picture in cut.items()}
    for name, picture in {"a_C": pictures.scaled(photo, size), **fitted}.items():
        block = look_at(picture, (layer,), max(size)).block(layer)
        found[name] = block[0].permute(1, 2, 0).numpy().astype(np.float16)
    return found


def longer_px(photo: Image.Image, layer: str) -> int:
    """The longer side with which the blocks have as many positions as fit in the file, at most `LONGER_PX`."""
    positions = (MOST_BYTES - OVERHEAD) / (CHANNELS[int(layer[-3]) - 1] * BYTES_PER_POSITION)
    aspect = max(photo.size) / min(photo.size)
    fitting_px = int(receptive_field(layer).stride * math.sqrt(positions * aspect))
    return max(min(LONGER_PX, fitting_px), smallest_side((layer,), "vgg19"))


def as_npz(arrays: Mapping[str, np.ndarray], layer: str) -> bytes:
    """The arrays and the layer's name as the content of an .npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, layer=layer, **arrays)
    return file.getvalue()
