"""Marbled paper: every move of the marbler has an inverse in closed form, which gives the origin of a pixel's ink.

After Lu, Jaffer et al., "Mathematical Marbling", IEEE CG&A 2012; the stirring here is our own simpler one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from painting import Array, colours, fbm, grid, mix, noise, scatter, smoothstep, to_image
from PIL import Image

Warp = Callable[[Array, Array], tuple[Array, Array]]


def comb(angle: float, spacing: float, offset: float, shift: float, both_ways: bool = False) -> Warp:
    """Inverse of drawing a whole comb at an angle; `both_ways` lets neighbouring needles run in opposite directions."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))

    def warp(x: Array, y: Array) -> tuple[Array, Array]:
        across = ((y * cos - x * sin - offset) / spacing).astype(np.float32)
        pull = shift * (np.sin(np.pi * across) if both_ways else np.exp(-6 * np.abs(across - np.round(across))))
        return x - pull * cos, y - pull * sin

    return warp


def whirl(cx: float, cy: float, radius: float, turn: float) -> Warp:
    """Inverse of stirring round (cx, cy): the angle fades with the distance, over about the radius."""

    def warp(x: Array, y: Array) -> tuple[Array, Array]:
        dx, dy = x - cx, y - cy
        angle = -turn * np.exp(-((dx * dx + dy * dy) / radius**2))
        return cx + dx * np.cos(angle) - dy * np.sin(angle), cy + dx * np.sin(angle) + dy * np.cos(angle)

    return warp


def drops_of_ink(x: Array, y: Array, drops: Array, tints: Array, ground: Array) -> Array:
    """Colours (H, W, 3) of a bath on which drops (N, 3: x, y, radius) fell in order, each pushing the rest outwards.

    Looked up backwards: a point outside the last drop came from nearer its centre, at sqrt(d^2 - r^2).
    """
    x, y = x.copy(), y.copy()
    shade = np.full(x.shape, len(drops), np.int32)
    for k in range(len(drops) - 1, -1, -1):
        cx, cy, r = drops[k]
        dx, dy = x - cx, y - cy
        square = dx * dx + dy * dy
        shade[(square < r * r) & (shade == len(drops))] = k
        shrink = np.sqrt(np.clip(1 - r * r / np.maximum(square, 1e-9), 0, 1))
        x, y = cx + dx * shrink, cy + dy * shrink
    return np.concatenate([tints, ground])[shade]


def marbling() -> Image.Image:
    """Ebru: rings of ink dropped on a bath, raked, combed and stirred, then lifted off on paper."""
    rng, height, width = np.random.default_rng(31), 1728, 2160  # 3x: combs draw very fine hairs
    x, y = grid(height, width)
    palette = colours("#10264a #f4ead2 #b3202c #f4ead2 #1f7a80 #e2a437 #10264a #f4ead2 #d9624a #16486b #f6d9b8 #7a1f3d")
    spots = scatter(0.17, 1.25, rng)
    drops, tints = [], []
    for ring in range(9):
        for spot in spots[rng.permutation(len(spots))]:
            drops.append([*(spot + rng.normal(0, 0.008, 2)), rng.uniform(0.024, 0.068)])
            tints.append(palette[(ring * 2 + rng.integers(3)) % len(palette)])
    warps = [comb(np.pi / 2, 0.17, 0.02, 0.11, True), comb(0.0, 0.115, 0.03, 0.10, True)]
    warps += [comb(np.pi / 2, 0.058, 0.01, 0.062)]
    warps += [whirl(0.38, 0.42, 0.21, 2.6), whirl(0.88, 0.60, 0.22, -2.9), whirl(0.72, 0.14, 0.12, 2.2)]
    warps += [whirl(0.16, 0.86, 0.13, -2.2), whirl(1.14, 0.22, 0.13, -2.2), whirl(0.54, 0.86, 0.11, 2.2)]
    u, v = x + 0.004 * noise(x * 14, y * 14, rng), y + 0.004 * noise(x * 14, y * 14, rng)
    for warp in reversed(warps):
        u, v = warp(u, v)
    picture = drops_of_ink(u, v, np.array(drops, np.float32), np.array(tints), palette[:1])
    thin = 1 + 0.10 * fbm(u * 9, v * 9, rng, 4) + 0.02 * fbm(x * 60, y * 60, rng, 2)
    speck = smoothstep(0.55, 0.75, noise(u * 70, v * 70, rng))
    picture = mix(picture * thin[..., None], colours("#f8f0dc")[0], 0.5 * speck)
    return to_image(picture, 720)
