"""A mosaic whose tesserae settle into rows along the outlines (Hausner 2001)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from painting import (
    Array,
    Metric,
    Rng,
    along,
    blur,
    colours,
    fbm,
    grid,
    mix,
    nearest_two,
    noise,
    ramp,
    relief,
    sample,
    scatter,
    smoothstep,
    to_image,
)
from PIL import Image

SWIM, SPAN = 0.278, 2.62  # radius of the circle the fish swim on, and the angle one fish takes up
RIM, BAND = 0.455, 0.490  # radii of the knotted ring round the pool


class Fish(NamedTuple):
    """A fish in its own coordinates, each (H, W)."""

    distance: Array  # to the outline, in heights, negative inside
    t: Array  # along the fish, 0 at the nose, 1 at the tail
    v: Array  # across it, in heights, outwards


def circling_fish(x: Array, y: Array, phase: float) -> Fish:
    """A fish bent along the circle round (0.5, 0.5), its nose at the angle `phase`."""
    t = (np.arctan2(y - 0.5, x - 0.5) - phase) % (2 * np.pi) / SPAN
    v = np.hypot(x - 0.5, y - 0.5) - SWIM
    body = 0.085 * np.clip(np.sin(np.pi * np.clip(t, 0, 1) ** 0.62), 0, 1) ** 0.75
    tail = 0.100 * np.clip((t - 0.80) / 0.20, 0, 1) ** 0.8 + 0.014
    fins = 0.035 * np.exp(-(((t - 0.45) / 0.11) ** 2)) + 0.03 * np.exp(-(((t - 0.66) / 0.05) ** 2))
    girth = np.maximum(body, np.where(t > 0.75, tail, 0)) + fins * (v > 0.04)
    fork = np.where(t > 0.85, 0.6 * (t - 0.88 - 0.12 * np.clip(np.abs(v) / 0.10, 0, 1) ** 1.3), -1.0)
    behind = np.hypot(np.maximum(np.abs(v) - 0.11, 0), (t - 1) * SPAN * SWIM)
    ahead = np.hypot(v, (2 * np.pi - t * SPAN) * SWIM)
    distance = np.where(t > 1, np.minimum(behind, ahead) + 0.004, np.maximum(np.abs(v) - girth, fork))
    return Fish(distance, t, v)


def fish_colours(fish: Fish, palette: str) -> Array:
    """Belly to back across the fish, bars of scales along it, gill, eye and banded fins: (H, W, 3)."""
    distance, t, v = fish
    scales = 0.16 * np.sign(np.sin(t * 62 + 5 * np.cos(v * 60)))
    picture = ramp(np.clip(0.5 + v * 6.0 + scales, 0, 1), colours(palette))
    fin, red, gold, ivory, black = ((t > 0.83) | (v > 0.105), *colours("#7a2416 #f2b84a #f8eed4 #101820"))
    picture = mix(picture, mix(red, gold, (0.5 + 0.5 * np.sin(v * 120))[..., None]), fin)
    picture = mix(picture, ivory, (np.abs(t - 0.215 - 2 * v * v) < 0.016) & (distance < -0.012))
    eye = np.hypot((t - 0.105) * 0.66, v - 0.018)
    return mix(mix(picture, ivory, eye < 0.026), black, eye < 0.013)


def pool_colours(x: Array, y: Array, fishes: tuple[Fish, Fish], star: Array, rng: Rng) -> Array:
    """Water in bands round the fish, the fish with a pale contour, a star in the middle: (H, W, 3)."""
    gap, radius = np.minimum(fishes[0].distance, fishes[1].distance), np.hypot(x - 0.5, y - 0.5)
    waves = 0.5 + 0.5 * np.sin(gap * 75 + 0.9 * fbm(x * 4, y * 4, rng, 2))
    water = ramp(np.clip(0.75 * waves + 0.3 - radius * 0.6, 0, 1), colours("#0d2f4f #12566f #1f8a8f #58b8ae #bfe3cf"))
    picture = mix(water, colours("#f2e7cc")[0], (gap < 0.017) & (gap > 0))
    palettes = ("#f6e3b4 #f2b04a #dd6a2a #b03a1e #6a1d18", "#7a1f1a #c04a24 #e8a040 #f4d890 #fbf3dc")
    for fish, palette in zip(fishes, palettes, strict=True):
        picture = mix(picture, fish_colours(fish, palette), fish.distance < 0)
    petals = ramp(np.clip(star / 0.105, 0, 1), colours("#fbe9b0 #f2b84a #c8502a #f6ead0 #0d2f4f"))
    return mix(picture, petals, star < 0.105)


def surround_colours(x: Array, y: Array, corner: Array, frame: Array) -> Array:
    """The surroundings of the pool: knotted ring, terracotta field, corner rosettes, dark frame: (H, W, 3)."""
    picture = ramp((frame * 9) % 1, colours("#c8603a #e8c88a #b04a2c"))
    turn = np.arctan2(y - 0.5, x - 0.5)
    knots = np.where((np.sin(turn * 24) > 0)[..., None], *colours("#f6ead0 #8a2a1c"))
    picture = mix(picture, knots, np.hypot(x - 0.5, y - 0.5) < BAND)
    picture = mix(picture, ramp((corner / 0.052) % 1, colours("#f6ead0 #1f8a8f #0d2f4f")), corner < 0.053)
    return mix(picture, ramp(np.clip(frame / 0.03, 0, 1), colours("#1a2a3a #0d2f4f")), frame < 0.024)


def fish_pool(size: int, rng: Rng) -> tuple[Array, Array, Array]:
    """Two fish in a turning pool: colours (H, W, 3), row angle (H, W) and distance (H, W) to the nearest outline."""
    x, y = grid(size, size)
    fishes = circling_fish(x, y, -0.35), circling_fish(x, y, np.pi - 0.35)
    gap, radius = np.minimum(fishes[0].distance, fishes[1].distance), np.hypot(x - 0.5, y - 0.5)
    star = radius + 0.016 * np.cos(8 * np.arctan2(y - 0.5, x - 0.5))
    corner = np.hypot(np.abs(x - 0.5) - 0.43, np.abs(y - 0.5) - 0.43)
    frame = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    picture = mix(pool_colours(x, y, fishes, star, rng), surround_colours(x, y, corner, frame), radius > RIM)
    swim = np.select([fish.distance < 0 for fish in fishes], [fish.v for fish in fishes])
    places = [frame < 0.03, corner < 0.06, gap < 0, (radius < 0.4) & (star > 0.115)]
    field = np.select(places, [frame, corner, swim, gap], radius)
    edges = [gap, star - 0.105, radius - RIM + 0.01, radius - BAND, frame - 0.027]
    return picture, along(blur(field, 2.5)), np.min(np.abs(edges), 0)


def square_metric(turn: Array) -> Metric:
    """Chebyshev distance in the frame of each seed, so that cells become squares (Hausner 2001)."""
    cos, sin = np.cos(turn), np.sin(turn)

    def metric(dx: Array, dy: Array, seed: NDArray[np.intp]) -> Array:
        return np.maximum(np.abs(dx * cos[seed] + dy * sin[seed]), np.abs(dy * cos[seed] - dx * sin[seed]))

    return metric


def settle_tiles(seeds: Array, angle: Array, outline: Array, rounds: int) -> Array:
    """Lloyd's iteration under the square metric: seeds (N, 2) in px become rows of tiles that keep off the outlines."""
    height, width = angle.shape
    y, x = np.mgrid[0:height, 0:width]
    weight = (outline * height > 1.5).ravel().astype(np.float32)
    for _ in range(rounds):
        turn = sample(angle, seeds[:, 0] / height, seeds[:, 1] / height)
        owner = nearest_two(seeds, height, width, square_metric(turn))[0][0].ravel()
        mass = np.bincount(owner, weight, len(seeds))
        centre = [np.bincount(owner, weight * c.ravel(), len(seeds)) / np.maximum(mass, 1) for c in (x, y)]
        seeds = np.where((mass > 8)[:, None], np.stack(centre, -1), seeds).astype(np.float32)
    return seeds


def tesserae(seeds: Array, turn: Array, half: Array, size: int, rng: Rng) -> tuple[NDArray, Array, Array]:
    """Tile number (H, W), distance (H, W) inside its chipped edge in px, and height map (H, W) of tilted tiles."""
    index, distance = nearest_two(seeds, size, size, square_metric(turn))
    x, y = grid(size, size)
    chip = 0.85 * noise(x * 110, y * 110, rng)
    inside = np.minimum(half[index[0]] - distance[0], (distance[1] - distance[0]) / 2) - 1.4 + chip
    tilt = rng.normal(0, 0.055, seeds.shape).astype(np.float32)[index[0]]
    middle = seeds[index[0]]
    slope = tilt[..., 0] * (x * size - middle[..., 0]) + tilt[..., 1] * (y * size - middle[..., 1])
    return index[0], inside, np.clip(inside, 0, 4) * 0.55 + slope + 0.22 * fbm(x * 120, y * 120, rng, 2)


def mosaic() -> Image.Image:
    """Two fish circling in a Roman pool: tesserae laid in rows round the outlines, each with its own tint and tilt."""
    rng, size, fine, tile = np.random.default_rng(21), 600, 1408, 10.2
    scene, angle, outline = fish_pool(size, rng)
    seeds = scatter(tile * 1.03 / size, 1.0, rng, 0.2) * size
    seeds = settle_tiles(seeds[(np.abs(seeds / size - 0.5) < 0.51).all(1)], angle, outline, 14)
    tint, turn = (sample(field, *(seeds / size).T) for field in (scene, angle))
    tint = tint * rng.normal(1, 0.13, (len(seeds), 1)) + rng.normal(0, 0.022, tint.shape)
    turn = turn + rng.normal(0, 0.05, len(seeds)).astype(np.float32)
    half = tile / 2 * fine / size * rng.uniform(0.94, 1.06, len(seeds)).astype(np.float32)
    number, inside, height = tesserae(seeds * (fine / size), turn, half, fine, rng)
    diffuse, glint = relief(blur(height, 0.9), 0.5, 14)
    x, y = grid(fine, fine)
    stone = tint[number] * (1 + 0.08 * fbm(x * 50, y * 50, rng, 2))[..., None]
    grout = colours("#8f8574")[0] * (0.62 + 0.2 * fbm(x * 80, y * 80, rng, 2))[..., None]
    picture = mix(grout, stone, smoothstep(-0.6, 1.2, inside)) * diffuse[..., None] + 0.16 * glint[..., None]
    return to_image(picture, 696)
