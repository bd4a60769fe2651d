"""Pictures of activations: maps laid over the picture, and the patches that excite a channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from nst.explain.look import Look, Patch, cut, on_picture

PATCH_PX, COLUMNS, GAP_PX = 84, 3, 3
ABOVE, BELOW = (255, 110, 0), (40, 120, 255)  # heat where a map is above and below zero
FADED = 0.45  # how bright the picture stays under a map


def overlay(look: Look, layer: str, values: np.ndarray) -> Image.Image:
    """A map (h, w) over the picture that it belongs to, which fades to grey where the map is silent."""
    heat = on_picture(look, layer, values)[..., None]  # (H, W, 1)
    share = np.abs(heat) / (np.abs(heat).max() or 1)
    grey = np.asarray(look.picture.convert("L"), dtype=np.float32)[..., None] * FADED
    colour = np.where(heat >= 0, np.float32(ABOVE), np.float32(BELOW))
    return Image.fromarray((grey + share * (colour - grey)).clip(0, 255).astype(np.uint8))


def sheet(look: Look, patches: Sequence[Patch]) -> Image.Image | None:
    """Patches in rows of three, the strongest first; None when a channel never fires."""
    if not patches:
        return None
    rows = -(-len(patches) // COLUMNS)
    pitch = PATCH_PX + GAP_PX
    drawn = Image.new("RGB", (COLUMNS * pitch - GAP_PX, rows * pitch - GAP_PX), (128, 128, 128))
    for index, patch in enumerate(patches):
        tile = ImageOps.contain(cut(look, patch), (PATCH_PX, PATCH_PX), Image.Resampling.NEAREST)
        tile = tile.resize((PATCH_PX, PATCH_PX), Image.Resampling.BICUBIC)
        drawn.paste(tile, (index % COLUMNS * pitch, index // COLUMNS * pitch))
    return drawn
