"""A leaded window, grown from the Voronoi cells of seeds on rings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from painting import (
    Array,
    Rng,
    blur,
    border_distance,
    colours,
    fbm,
    grid,
    mix,
    nearest_two,
    noise,
    ramp,
    relief,
    scatter,
    smoothstep,
    to_image,
)
from PIL import Image

ROSE = (0.375, 0.345)  # centre of the window's sun
FRAME, BLOCK = 0.042, 0.0603  # width of the frame and length of its panes


def rose_seeds(rng: Rng) -> Array:
    """Seeds (N, 2) on rings round the sun: a strict rose window inside, ever freer glass outside."""
    seeds, radius = [np.zeros((1, 2))], 0.070
    for ring in range(14):
        count = (8, 16, 16, 24, 24, 30, 32, 34, 36, 38, 40, 42, 44, 46)[ring]
        loose = 0.01 + 0.3 * smoothstep(2, 9, np.float32(ring))
        turn = (np.arange(count) + (ring % 2) / 2 + rng.normal(0, loose * 0.7, count)) * 2 * np.pi / count
        reach = radius + rng.normal(0, loose * 0.028, count)
        seeds.append(np.stack([np.cos(turn) * reach, np.sin(turn) * reach], -1))
        radius += 0.048 + 0.0045 * ring
    return (np.concatenate(seeds) + ROSE).astype(np.float32)


def window_regions(x: Array, y: Array) -> tuple[NDArray, Array]:
    """Pane (H, W) of each pixel, 0 sky, 1..3 hills, 4 river, 5 frame, and the distance (H, W) to the next pane."""
    region, edge = np.zeros(x.shape, np.int32), np.full(x.shape, 9.0, np.float32)
    far = 0.62 + 0.045 * np.sin(7 * x + 0.6)
    middle = 0.70 + 0.06 * np.sin(6 * x + 3.4)
    near = 0.84 + 0.07 * np.sin(4.6 * x + 5.6)
    bed = 0.40 + 0.16 * np.sin((y - 0.62) * 11) * (0.4 + y)
    river = np.maximum(np.abs(x - bed) - 0.010 - 0.26 * np.clip(y - 0.62, 0, 1) ** 1.3, middle - 0.03 - y)
    frame = np.minimum(np.minimum(x, x.max() - x), np.minimum(y, 1 - y)) - FRAME
    for label, inside in ((1, y - far), (2, y - middle), (3, y - near), (4, -river * 0.8), (5, -frame)):
        edge = np.where(inside > 0, np.abs(inside), np.minimum(edge, np.abs(inside)))
        region = np.where(inside > 0, label, region)
    return region, edge


def glass_colours(x: Array, y: Array, region: NDArray, cell: NDArray, seeds: Array, rng: Rng) -> Array:
    """Pot-metal colour (H, W, 3) of each cell: the sun's rings by radius, the land by pane, the frame alternating."""
    radius = np.hypot(*(seeds - ROSE).T) + rng.normal(0, 0.012, len(seeds))
    sun = "#fff2a8 #ffd23a #ff9c1a #f0531a #d01c3c #a3176a #5b2a9a #2a48c0 #1566b8 #123a8c #0d2468 #1a1c58 #0a1848"
    tint = ramp(np.clip(radius / 0.64, 0, 1), colours(sun)) * rng.uniform(0.72, 1.18, (len(seeds), 1))
    picture = tint[cell]
    panes = ("#0f7f6a #27a37a #0d5f66", "#3f9a2e #8cc63a #2a7a3a", "#0d4f3a #1f6f3a #6a8f1f", "#7fe0ee #35a8dc #c8f4ee")
    for label, codes in enumerate(panes, 1):
        shades = ramp(rng.random(len(seeds)), colours(codes)) * rng.uniform(0.8, 1.15, (len(seeds), 1))
        picture = np.where((region == label)[..., None], shades[cell], picture)
    border = colours("#a8122c #173a9c #e8a018 #173a9c")[cell % 4] * (0.85 + 0.25 * noise(x * 9, y * 9, rng))[..., None]
    return np.where((region == 5)[..., None], border, picture)


def window_cells(x: Array, y: Array, region: NDArray, rng: Rng) -> tuple[NDArray, Array, Array]:
    """Cell number (H, W), distance (H, W) to the cell's edge in heights, and the seeds (N, 2)."""
    height, width = x.shape
    sky, land = rose_seeds(rng), scatter(0.078, width / height, rng, 0.32)
    seeds = np.concatenate([sky, land])
    cell, edge = np.zeros(x.shape, np.int32), np.zeros(x.shape, np.float32)
    for points, first, panes in ((sky, 0, region == 0), (land, len(sky), (region > 0) & (region < 5))):
        index, distance = nearest_two(points * height, height, width)
        border = border_distance(points * height, index, distance) / height
        cell, edge = np.where(panes, index[0] + first, cell), np.where(panes, border, edge)
    on_sill = np.minimum(y, 1 - y) < np.minimum(x, width / height - x)
    place = np.where(on_sill, x - width / height / 2, y - 0.5) / BLOCK + 100.5  # 100: keep the number positive
    block = place % 1
    cell = np.where(region == 5, place.astype(np.int32), cell)
    return cell, np.where(region == 5, np.minimum(block, 1 - block) * BLOCK, edge), seeds


def glass_grain(x: Array, y: Array, cell: NDArray, rng: Rng) -> Array:
    """Streaks, ripples and seeds of hand-blown glass, each cell cut at its own angle: factor (H, W) about 1."""
    turn = rng.uniform(0, np.pi, int(cell.max()) + 1).astype(np.float32)[cell]
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    streaks = fbm(u * 7 + 0.4 * noise(x * 9, y * 9, rng), v * 42, rng, 4)
    ripple = relief(blur(fbm(x * 26, y * 26, rng, 3), 1.5), 9.0)[0]
    slope = np.cos(turn * 7) * (x % 0.08) / 0.08 * 0.1
    bubbles = smoothstep(0.62, 0.8, noise(x * 90, y * 90, rng))
    return 1 + 0.30 * streaks + 0.5 * (ripple - 1) + slope + 0.30 * bubbles


def stained_glass() -> Image.Image:
    """A leaded window: a rose sun over hills and a river, light glowing through streaky glass, bright-edged cames."""
    rng, height, width = np.random.default_rng(8), 1536, 1152
    x, y = grid(height, width)
    region, pane_edge = window_regions(x, y)
    cell, cell_edge, seeds = window_cells(x, y, region, rng)
    colour = glass_colours(x, y, region, cell, seeds, rng)
    edge = np.minimum(cell_edge, pane_edge * 0.95)
    sun = np.exp(-((np.hypot(x - ROSE[0], y - ROSE[1]) / 0.36) ** 2))
    behind = 0.72 + 0.55 * sun + 0.12 * fbm(x * 3, y * 3, rng, 3)
    patina = 0.45 + 0.55 * smoothstep(0.002, 0.020, edge)
    glass = np.clip(colour * (glass_grain(x, y, cell, rng) * behind * patina)[..., None], 0, 1.2)
    came = 0.0028 + 0.0014 * (pane_edge < cell_edge) + 0.0005 * noise(x * 30, y * 30, rng)
    round_ = np.sqrt(np.clip(1 - (edge / came) ** 2, 0, 1)) + 0.08 * noise(x * 120, y * 120, rng)
    diffuse, glint = relief(round_ * came * height, 0.8, 12)
    lead = (colours("#1c1b20")[0] * diffuse[..., None] + 0.55 * glint[..., None]) * (edge < came)[..., None]
    picture = mix(glass, lead, smoothstep(1.08, 0.9, edge / came))
    halo = blur(glass * (edge >= came)[..., None], 14)
    return to_image(picture + 0.22 * halo * (1 - np.clip(picture, 0, 1)))
