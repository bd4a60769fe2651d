"""What the lesson's script in the browser gets: pictures, maps and matrices as JSON, small enough to be sent at once.

Maps have 16 bits a position, and matrices are the upper triangle in float16 times a scale: about four digits.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst.explain import channels
from nst.explain.compare import Comparison
from nst.explain.layer_studies import TEXTURE_LAYERS
from nst.explain.look import Look, strongest_patches
from nst.features.receptive_field import receptive_field
from nst.images import pictures
from nst.ui.server import examples

Payload = dict[str, Any]
LEVELS = 2**16 - 1
LARGEST_HALF = 60_000.0  # the largest entry of a matrix as float16, whose largest number is 65,504
PATCHES = 9
BUTTONS = 10  # channels to choose from, the strongest of the layer
PAIRS = 8
DUEL_PATCHES = 4  # shown beside each of the two channels of a guess
# By what one recognises a picture that this layer painted.
REASONS = {
    "relu1_1": "It knows colours and the grain of single pixels, but no edge is longer than that.",
    "relu2_1": "It knows fine strokes and short edges, but they do not join into lines.",
    "relu3_1": "It knows strokes with a direction and a width, but no pattern larger than one of them.",
    "relu4_1": "It knows how strokes stand beside each other: patterns and larger shapes, at places of their own.",
    "relu5_1": "It knows motifs, pieces of things. Its positions are few, so fine detail and colours are vague.",
}


def pictured(look: Look, layer: str) -> Payload:
    """The picture, and where the layer's positions lie on it."""
    rows, columns, count = look.shape(layer)
    field = receptive_field(layer, look.backbone)
    picture = {"src": data_url(look.picture), "width": look.picture.width, "height": look.picture.height}
    return {
        "layer": layer,
        "picture": picture,
        "grid": [rows, columns],
        "count": count,
        "field": [field.side, field.stride, field.box(0, 0)[0]],  # px: side, step, and where the first begins
    }


def data_url(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def quantised(values: np.ndarray) -> Payload:
    """A map that is nowhere below zero, (H, W) -> 16 bits a position, linear from 0 to its largest value."""
    scale = float(values.max()) / LEVELS or 1.0
    return {"values": _text(np.rint(values / scale).astype("<u2")), "scale": scale}


def triangle(entries: np.ndarray) -> Payload:
    """A symmetric matrix (C, C) -> its upper triangle, row by row, in float16 times a scale."""
    scale = float(np.abs(entries).max()) / LARGEST_HALF or 1.0
    upper = entries[np.triu_indices(len(entries))] / scale
    return {"values": _text(upper.astype("<f2")), "scale": scale, "count": len(entries)}


def _text(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()


def channel(look: Look, layer: str, k: int) -> Payload:
    """One channel: its map, what excites it most, and the layer's strongest channels to choose from."""
    block = look.block(layer)
    strongest = channels.order_by_energy(channels.matrix(block))[:BUTTONS]
    return {
        **pictured(look, layer),
        "k": k,
        "map": quantised(channels.activation_map(block, k)),
        "patches": [[patch.row, patch.column, patch.value] for patch in strongest_patches(look, layer, k, PATCHES)],
        "choices": [[int(number), *_peak(look, layer, int(number))] for number in strongest],
    }


def _peak(look: Look, layer: str, k: int) -> list[int]:
    """Row and column where a channel fires most."""
    found = strongest_patches(look, layer, k, 1)
    return [found[0].row, found[0].column] if found else [0, 0]


def pair(look: Look, layer: str, k: int, m: int) -> Payload:
    """Two channels: both maps, their entry of the style matrix, and what the means alone give of it."""
    block = look.block(layer)
    maps = [quantised(channels.activation_map(block, number)) for number in (k, m)]
    return {
        **pictured(look, layer),
        "k": k,
        "m": m,
        "maps": maps,
        "entry": float(channels.product_map(block, k, m).sum(dtype=np.float64)),
        "share_of_means": channels.share_of_means(block, k, m),
        "relation": channels.relation(block, k, m),
        "pairs": [[found.k, found.m] for found in channels.strongest_pairs(block, "gram", PAIRS)],
    }


def matrix(look: Look, layer: str, kind: str) -> Payload:
    """A layer's matrix with the orders of its channels, and its strongest pairs."""
    block = look.block(layer)
    entries = channels.matrix(block, kind)
    return {
        "layer": layer,
        "kind": kind,
        "words": channels.KINDS[kind],
        "entries": triangle(entries),
        "largest": float(np.abs(entries).max()) or 1.0,
        "signed": bool(entries.min() < 0),
        "orders": {name: channels.order(block, name).tolist() for name in channels.ORDERINGS},
        "pairs": [[found.k, found.m, found.value] for found in channels.strongest_pairs(block, kind, PAIRS)],
    }


def cost(comparison: Comparison, layer: str) -> Payload:
    """The style matrices of photo, style and result, and the style cost of each layer before and after."""
    found = comparison.layers[layer]
    matrices: Mapping[str, np.ndarray] = {
        "photo": found.content["gram"],
        "style": found.style["gram"],
        "result": found.result["gram"],
    }
    return {
        "layer": layer,
        "costs": [[name, costs.before, costs.after] for name, costs in comparison.layers.items()],
        "matrices": {name: triangle(entries) for name, entries in matrices.items()},
        "order": channels.order_by_similarity(found.style["correlation"]).tolist(),
        "largest": max(float(entries.max()) for entries in matrices.values()) or 1.0,
    }


def guess(look: Look, layer: str, style: str | None) -> Payload:
    """Five pictures painted by one layer each, in a mixed order, and a patch on which one of two channels fires."""
    path = style if style and Path(examples.study(style, TEXTURE_LAYERS[0])).is_file() else examples.first_sight()[1]
    mixed = sorted(TEXTURE_LAYERS, key=lambda name: hashlib.sha256(f"{Path(path).stem} {name}".encode()).digest())
    return {
        "cards": [{"layer": name, "src": data_url(pictures.load(examples.study(path, name)))} for name in mixed],
        "names": list(TEXTURE_LAYERS),
        "reasons": {name: _reason(name) for name in TEXTURE_LAYERS},
        "pictured": pictured(look, layer),
        "duel": _duel(look, layer),
    }


def _reason(layer: str) -> str:
    return f"One position of {layer} sees {receptive_field(layer).side} px across. {REASONS[layer]}"


def _duel(look: Look, layer: str) -> Payload:
    """Two channels that avoid each other, and a position where one fires and the other does not."""
    block = look.block(layer)
    pair = channels.least_correlated_pair(block)
    first, second = maps = [channels.activation_map(block, k) for k in pair]
    shares = [values / (values.max() or 1) for values in maps]
    shown = [strongest_patches(look, layer, k, PATCHES) for k in pair]
    lead = shares[1] - shares[0]
    for patch in shown[1][:DUEL_PATCHES]:  # the answer is none of the patches that are shown beside it
        lead[max(0, patch.row - 2) : patch.row + 3, max(0, patch.column - 2) : patch.column + 3] = -1
    row, column = (int(at) for at in np.unravel_index(lead.argmax(), lead.shape))
    sides = [
        {
            "channel": k,
            "patches": [[patch.row, patch.column] for patch in patches[:DUEL_PATCHES]],
            "value": float(values[row, column]),
            "share": float(share[row, column]),
        }
        for k, patches, values, share in zip(pair, shown, (first, second), shares, strict=True)
    ]
    return {"sides": sides, "patch": [row, column], "right": 1}
