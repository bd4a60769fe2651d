"""Styles made with a brush: thick oil strokes and dots of divided colour."""

from __future__ import annotations

import numpy as np
from painting import (
    Array,
    Rng,
    along,
    bristle_strokes,
    colours,
    fbm,
    grid,
    ink,
    mix,
    noise,
    ramp,
    relief,
    sample,
    scatter,
    smoothstep,
    streamlines,
    to_array,
    to_image,
)
from PIL import Image, ImageDraw

# Middle x, y, radius and strength of the swirls in the sky, each round a disc.
SWIRLS = ((0.30, 0.27, 0.21, 1.0), (0.66, 0.12, 0.10, -0.8), (1.22, 0.16, 0.13, 0.9))
SUN, SUN_RADIUS, HORIZON = (0.90, 0.46), 0.085, 0.68


def swirling_stream(x: Array, y: Array, rng: Rng) -> Array:
    """Stream function (H, W) of a windy sky: the brush follows its level lines."""
    stream = y + 0.035 * np.sin(5 * x + 1) + 0.03 * fbm(x * 2.2, y * 2.2, rng, 2)
    for cx, cy, radius, turn in SWIRLS:
        near = np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / radius**2))
        calm = mix(stream, np.float32(cy), near)  # keeps the centre of the swirl on its disc
        stream = calm + turn * radius * 0.9 * near
    return stream


def evening_sky(x: Array, y: Array, stream: Array, rng: Rng) -> Array:
    """Ultramarine above, fire at the horizon, banded along the wind, with glowing discs: (H, W, 3)."""
    glow = np.hypot(x - SUN[0], y - SUN[1])
    height = np.clip(y / HORIZON, 0, 1) ** 1.6 * 0.75 + 0.5 * np.exp(-((glow / 0.26) ** 2))
    band = 0.16 * np.sin(stream * 62 + 2 * fbm(x * 3, y * 3, rng, 2)) + 0.10 * fbm(x * 5, y * 5, rng, 3)
    palette = colours("#0b1440 #17318a #2458b5 #3f8fc4 #86bfc0 #e8b56a #f2893c #f9c24e #fff0b0")
    sky = ramp(np.clip(height * 0.85 + band + 0.08, 0, 1), palette)
    for cx, cy, radius, _ in SWIRLS:
        distance = np.hypot(x - cx, y - cy) / radius
        ring = 0.5 + 0.5 * np.cos(distance * 13)
        sky = mix(sky, ramp(ring, colours("#3f8fc4 #ffe08a")), 0.75 * np.exp(-(distance**2) * 2.2))
        sky = mix(sky, colours("#fff3c0")[0], 0.8 * smoothstep(0.3, 0.15, distance))
    return mix(sky, colours("#fff6c8")[0], smoothstep(SUN_RADIUS * 1.05, SUN_RADIUS * 0.9, glow))


def evening_sea(x: Array, y: Array, rng: Rng) -> Array:
    """Dark water with the reflection of the low sun: (H, W, 3)."""
    depth = np.clip((y - HORIZON) / (1 - HORIZON), 0, 1)
    path = np.exp(-(((x - SUN[0]) / (0.07 + 0.24 * depth)) ** 2))
    broken = noise(x * 7, y * 55 / (0.6 + depth), rng)
    tone = 0.20 + 0.25 * broken + 0.45 * fbm(x * 2.5, y * 13, rng, 3) + 0.32 * (1 - depth) ** 2
    water = ramp(np.clip(tone, 0, 1), colours("#0a1038 #142c7c #1c64a0 #3fa3ad #b9a6c0"))
    gold = ramp(np.clip(0.6 + 0.5 * broken, 0, 1), colours("#c8502e #f59a3a #ffe08a"))
    return mix(water, gold, path * smoothstep(-0.35, 0, broken))


def headland(x: Array, rng: Rng) -> Array:
    """Height line y of the dark coast on either side: same shape as x."""
    coast = HORIZON + 0.02 - 0.20 * np.exp(-((x / 0.36) ** 2)) - 0.11 * np.exp(-(((x - 1.38) / 0.2) ** 2))
    return coast + 0.012 * fbm(x * 9, x * 0, rng, 3)


def evening(height: int, width: int, rng: Rng) -> tuple[Array, Array]:
    """Colours (H, W, 3) and brush angle (H, W) of the impasto's bay at sunset."""
    x, y = grid(height, width)
    stream = swirling_stream(x, y, rng)
    picture, angle = evening_sky(x, y, stream, rng), along(stream)
    halo = np.hypot(x - SUN[0], y - SUN[1])
    angle = np.where(halo < SUN_RADIUS * 2.1, along(halo), angle)
    sea = y > HORIZON
    picture = np.where(sea[..., None], evening_sea(x, y, rng), picture)
    angle = np.where(sea, 0.12 * noise(x * 4, y * 9, rng), angle)
    below = y - headland(x, rng)
    foot = HORIZON + 0.035 + 0.01 * np.sin(x * 9)
    land = (below > 0) & (y < foot)
    tone = np.clip(below * 5 + 0.25 + 0.35 * fbm(x * 6, y * 14, rng, 3), 0, 1)
    ground = ramp(tone, colours("#8a3f5c #4a2a66 #1d1b4d #103a4a #0b1535"))
    return np.where(land[..., None], ground, picture), np.where(land, along(below + 0.02 * y), angle)


def impasto() -> Image.Image:
    """A bay at sunset in thick oil: bundles of bristles along a swirling stream, lit from the upper left."""
    rng, height, width = np.random.default_rng(3), 1152, 1536
    scene, angle = evening(height, width, rng)
    picture, bumps = Image.fromarray((scene * 120).astype(np.uint8)), Image.new("L", (width, height), 90)
    for size, steps, hairs, keep in ((50, 16, 14, 1.0), (36, 13, 11, 1.0), (22, 11, 8, 0.6), (12, 9, 5, 0.2)):
        starts = scatter(size * 0.95 / height, width / height, rng)
        starts = starts[: int(len(starts) * keep)]
        turn = angle + 0.12 * rng.standard_normal()
        paths = streamlines(turn, starts, steps, size * 0.42 / height) * height
        tint = sample(scene, starts[:, 0], starts[:, 1])
        tint = tint * (1 + rng.normal(0, 0.17, (len(tint), 1))) + rng.normal(0, 0.05, tint.shape)
        bristle_strokes(picture, bumps, paths, tint, size, hairs, rng)
    diffuse, glint = relief(to_array(bumps), 2.6)
    paint = to_array(picture) * (0.35 + 0.65 * diffuse)[..., None] + 0.25 * glint[..., None]
    return to_image(paint)


# Each tree's middle x, foot y, height and half width.
POPLARS = (
    (0.100, 0.600, 0.72, 0.095), (0.255, 0.585, 0.50, 0.070), (0.345, 0.575, 0.57, 0.062), (0.475, 0.565, 0.40, 0.052),
    (0.555, 0.560, 0.31, 0.044), (0.665, 0.550, 0.27, 0.036), (0.725, 0.547, 0.22, 0.032), (0.800, 0.545, 0.18, 0.026),
    (0.860, 0.540, 0.15, 0.022), (0.915, 0.537, 0.13, 0.019), (1.130, 0.540, 0.07, 0.045), (1.210, 0.540, 0.09, 0.040),
)  # fmt: skip
BANK = 0.585  # the waterline
PURE = colours(
    "#f7f1d0 #fbe27a #f6b62e #ee7d28 #d9432f #e88fa8 #b765b0 #6b4fb0 #2f3f9e #2f6fc4 #6fb6e0 #aee0e0 #2b8f86 #2f8f46"
    " #86bb3a #cfe060 #1d4a3c #f9cdb5"
)


def riverside(x: Array, y: Array, rng: Rng) -> Array:
    """Sky, far hills and a row of poplars in late light, as seen above the water: (...) -> (..., 3)."""
    puffs = fbm(x * 2.5 + 3, y * 6, rng, 4)
    picture = ramp(np.clip(y / BANK + 0.12 * puffs, 0, 1), colours("#3f86cf #7cbbe2 #bfe3de #f6eab6 #fbc890 #f39a80"))
    picture = mix(picture, colours("#fff3d6")[0], 0.8 * smoothstep(0.25, 0.6, puffs) * smoothstep(0.5, 0.2, y))
    hills = BANK - 0.075 - 0.05 * np.sin(3.1 * x + 0.4) - 0.02 * np.sin(8 * x)
    picture = mix(picture, ramp(np.clip((y - hills) * 9, 0, 1), colours("#8d7cc8 #c58fb8 #f0b58f")), y > hills)
    meadow = BANK - 0.02 - 0.012 * np.sin(5 * x)
    picture = mix(picture, ramp(np.clip((y - meadow) * 20, 0, 1), colours("#e7df5c #8fbf3f #2f7f4a")), y > meadow)
    for cx, base, tall, wide in reversed(POPLARS):
        up = np.clip((base - y) / tall, 0, 1)
        crown = np.sqrt(np.clip(np.sin(np.pi * up**0.75), 0, 1))
        girth = wide * crown * (1 + 0.35 * noise(x * 34, y * 26, rng)) + 0.004
        side = (x - cx - 0.02 * np.sin(up * 4 + cx * 20) * tall) / girth
        light = np.clip(0.5 + 0.42 * side + 0.3 * noise(x * 26, y * 20, rng), 0, 1)
        leaves = ramp(light, colours("#20306f #2a5f5f #2f8f46 #9cc23c #f7e26a"))
        picture = mix(picture, leaves, (np.abs(side) < 1) & (y < base) & (up < 1))
    return picture


def river_scene(height: int, width: int, rng: Rng) -> Array:
    """The riverside, its rippled mirror image and a flowering bank in front: (H, W, 3)."""
    x, y = grid(height, width)
    seed = int(rng.integers(1 << 30))
    depth = np.clip(y - BANK, 0, 1)
    ripple = 0.02 * depth**0.5 * noise(x * 4, y * 60, rng)
    mirror = riverside(x + ripple * 3, 2 * BANK - y - 0.02 + ripple, np.random.default_rng(seed))
    water = mix(mirror * [0.85, 0.92, 1.0], colours("#3a6fc0")[0], 0.25 + 0.15 * noise(x * 3, y * 40, rng))
    picture = mix(riverside(x, y, np.random.default_rng(seed)), water.astype(np.float32), y > BANK)
    shore = 0.99 - 0.30 * np.exp(-((x / 0.62) ** 2)) + 0.02 * noise(x * 8, x * 0, rng)
    grass = ramp(np.clip(0.5 + 0.5 * fbm(x * 7, y * 7, rng, 3), 0, 1), colours("#1d3f6a #2b7f5a #86b53a #e0d850"))
    flowers = ramp(np.clip(noise(x * 5, y * 5, rng) + 0.5, 0, 1), colours("#d9432f #f08fb0 #f6b62e"))
    grass = mix(grass, flowers, noise(x * 22, y * 26, rng) > 0.3)
    return mix(picture, grass, y > shore)


def divided(target: Array, rng: Rng, spread: float) -> Array:
    """A pure pigment (N, 3) for each colour (N, 3), such that neighbours mix to it in the eye (Chevreul, Seurat)."""
    wanted = target + rng.normal(0, spread, target.shape)
    distance = ((wanted[:, None] - PURE) ** 2).sum(-1)
    return PURE[np.argmin(distance + rng.gumbel(0, 0.012, distance.shape), 1)]


def pointillism() -> Image.Image:
    """Poplars on a river in dots of pure pigment, large to small, over a warm underpainting."""
    rng, height, width = np.random.default_rng(5), 1200, 1536
    scene = river_scene(height, width, rng)
    under = mix(scene, colours("#d98a5a")[0], 0.55)
    picture = Image.fromarray((np.clip(under, 0, 1) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for radius, spread, own in ((14, 0.18, 0.25), (11, 0.15, 0.25), (8.5, 0.13, 0.2), (5.2, 0.19, 0.1)):
        centres = scatter(radius * 1.9 / height, width / height, rng)
        if radius < 10:
            centres = centres[: len(centres) // 2]
        target = sample(scene, centres[:, 0], centres[:, 1])
        tint = mix(divided(target, rng, spread), target, own) + rng.normal(0, 0.02, target.shape)
        size = radius * rng.uniform(0.75, 1.15, len(centres))
        boxes = np.concatenate([centres * height - size[:, None], centres * height + size[:, None]], 1)
        for box, colour in zip(boxes.tolist(), ink(tint), strict=True):
            draw.ellipse(box, colour)
    return to_image(to_array(picture), 736)
