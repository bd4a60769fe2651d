"""A batik: lotus and vines drawn in wax, three dye baths, and the crackle of the wax."""

from __future__ import annotations

import numpy as np
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
    scatter,
    smoothstep,
    to_image,
)
from PIL import Image, ImageDraw

# Middle x, y, radius and turn of each flower.
LOTUSES = ((0.62, 0.44, 0.36, 0.2), (0.13, 0.80, 0.23, 0.5), (0.10, 0.15, 0.17, 0.1), (0.97, 0.90, 0.15, 0.3))
# Number of petals, inner and outer radius, dye and turn in petals, outermost ring first.
PETAL_RINGS = (
    (18, 0.42, 1.00, 2, 0.5), (18, 0.34, 0.86, 1, 0.0), (12, 0.22, 0.68, 2, 0.5), (12, 0.14, 0.52, 1, 0.0),
    (8, 0.04, 0.33, 2, 0.0),
)  # fmt: skip


def petal_ring(radius: Array, turn: Array, petals: int, inner: float, outer: float) -> tuple[Array, Array]:
    """One ring of petals: distance inside the outline (H, W) and place across a petal (H, W) in [-1, 1]."""
    t = (radius - inner) / (outer - inner)
    a = (turn * petals / (2 * np.pi)) % 1 - 0.5
    reach = 0.5 * np.clip(np.sin(np.pi * np.clip(t, 0, 1) ** 1.25), 0, 1) ** 0.65
    spread = 2 * np.pi * np.maximum(radius, 1e-3) / petals
    return np.minimum((reach - np.abs(a)) * spread, (0.5 - np.abs(t - 0.5)) * (outer - inner)), a / (reach + 1e-3)


def lotus(x: Array, y: Array, flower: tuple[float, float, float, float]) -> Array:
    """A flower as dye level (H, W) from 0 cream to 3 dark, -1 outside."""
    cx, cy, size, phase = flower
    radius, turn = np.hypot(x - cx, y - cy) / size, np.arctan2(y - cy, x - cx) + phase
    level = np.full(x.shape, -1.0, np.float32)
    for petals, inner, outer, dye, shift in PETAL_RINGS:
        inside, across = petal_ring(radius, turn + shift * 2 * np.pi / petals, petals, inner, outer)
        t = (radius - inner) / (outer - inner)
        veins = (np.abs((across * 3.5) % 1 - 0.5) < 0.12) & (t > 0.25) & (t < 0.80) & (np.abs(across) < 0.9)
        body = np.where(veins, 0, np.where(t < 0.36, 3 - dye, dye))
        body = np.where(np.abs(inside) < 0.016, 0, np.where((inside < 0.046) & (inside > 0.026), 3, body))
        level = np.where(inside > -0.02, body, level)
    seeds = np.cos(turn * 9) * np.cos(radius * 120) > 0.25
    heart = np.where(radius < 0.10, np.where(seeds, 0, 1), 0)
    return np.where(radius < 0.115, heart, level).astype(np.float32)


def curl(start: tuple[float, float], heading: float, length: float, bend: float, tighten: float) -> Array:
    """Euler spiral (80, 2) from a point: the bend grows along the way, as tendrils do."""
    s = np.linspace(0, 1, 80)
    turn = heading + bend * s + tighten * s**3
    steps = np.stack([np.cos(turn), np.sin(turn)], -1) * length / len(s)
    return np.array(start) + np.cumsum(steps, 0)


def leaf_outline(at: Array, heading: float, size: float) -> Array:
    """Closed outline (40, 2) of a pointed leaf."""
    t = np.linspace(0, 1, 20)
    half = 0.27 * np.sin(np.pi * t**0.8) ** 0.9
    along_, across = np.concatenate([t, t[::-1]]), np.concatenate([half, -half[::-1]])
    cos, sin = np.cos(heading), np.sin(heading)
    return at + size * np.stack([along_ * cos - across * sin, along_ * sin + across * cos], -1)


def draw_leaf(draw: ImageDraw.ImageDraw, at: Array, heading: float, size: float, dye: int) -> None:
    """A leaf in wax, its dyed inside and a dark midrib; lengths in px."""
    draw.polygon(leaf_outline(at, heading, size).ravel().tolist(), 0)
    draw.polygon(leaf_outline(at, heading, 0.8 * size).ravel().tolist(), dye)
    draw.line([*at, *leaf_outline(at, heading, size)[20]], 3, 2)


def stems() -> list[Array]:
    """Vines (80, 2) from the rim of every flower, curling one way round the large one, the other round the rest."""
    vines = []
    for number, (cx, cy, radius, _) in enumerate(LOTUSES):
        step, start, rim, reach, way = (0.785, 0.0, 0.83, 1.72, 1) if number == 0 else (1.05, 0.3, 1.0, 1.7, -1)
        for a in np.arange(start, 6.2, step):
            root = (cx + rim * radius * np.cos(a), cy + rim * radius * np.sin(a))
            vines.append(curl(root, a + 0.85 * way, reach * radius, 1.2 * way, -6.7 * way))
    return vines


def tendrils(height: int, width: int) -> Array:
    """Dye level (H, W) of vines with curling shoots, leaves and wax dots; -1 where there are none."""
    image = Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(image)
    for stem in stems():
        for k in range(10, 72, 7):
            heading = float(np.arctan2(*(stem[k + 1] - stem[k])[::-1]))
            for side in (-1, 1):
                size, dye = (0.060 - 0.0005 * k) * height, 1 if side > 0 else 2
                draw_leaf(draw, stem[k] * height, heading + side * 0.95, size, dye)
        line = (stem * height).ravel().tolist()
        draw.line(line, 0, 11, joint="curve")
        draw.line(line, 1, 4, joint="curve")
        bud = stem[-1] * height
        draw.ellipse([*(bud - 15), *(bud + 15)], 0)
        draw.ellipse([*(bud - 9), *(bud + 9)], 2)
    level = np.asarray(image).astype(np.float32)
    return np.where(level == 255, -1, level)


def filler(x: Array, y: Array, near: Array, rng: Rng) -> Array:
    """Dark ground with echo lines near the motifs and rows of wax dots further off: dye level (H, W)."""
    echo = np.sqrt(np.clip(-np.log(np.clip(near, 1e-6, 1)), 0, 20))
    points = scatter(0.0200, float(x.max()), rng, 0.12)
    height, width = x.shape
    distance = nearest_two(points * height, height, width)[1][0] / height
    dots = distance < 0.0042 + 0.0014 * noise(x * 30, y * 30, rng)
    ground = np.where(dots & (echo > 1.25), np.where(noise(x * 6, y * 6, rng) > 0, 0, 1), 3.0)
    lines = np.abs((echo * 3.2) % 1 - 0.5) < 0.14
    return np.where((echo < 1.15) & (echo > 0.75) & lines, 1, ground)


def border_band(x: Array, y: Array) -> tuple[Array, Array]:
    """Rows of triangles along the edges: dye level (H, W) and distance (H, W) to the nearest edge."""
    width = x.max()
    edge = np.minimum(np.minimum(x, width - x), np.minimum(y, 1 - y))
    place = np.where(np.minimum(y, 1 - y) < np.minimum(x, width - x), x - width / 2, y - 0.5)
    tooth = np.abs((place / 0.043) % 1 - 0.5) * 2
    inside = edge - tooth * 0.040
    level = np.select([(edge > 0.034) & (edge < 0.042) & (tooth < 0.5), inside > 0.018, inside > 0.006], [1, 3, 2], 0)
    return np.where(edge > 0.046, 0, level), edge


def crackle(x: Array, y: Array, rng: Rng) -> Array:
    """Veins (H, W) in [0, 1] where brittle wax broke and dye crept in: long breaks and a finer net between them."""
    height, width = x.shape
    veins = np.zeros_like(x)
    u, v = x + 0.020 * fbm(x * 7, y * 7, rng, 4), y + 0.020 * fbm(x * 7, y * 7, rng, 4)
    for spacing, width_px, weight in ((0.085, 1.9, 1.0), (0.034, 1.1, 0.65)):
        points = scatter(spacing, width / height, rng)
        index, distance = nearest_two(points * height, height, width)
        edge = border_distance(points * height, index, distance)
        rows, columns = np.clip(v * height, 0, height - 1).astype(int), np.clip(u * height, 0, width - 1).astype(int)
        present = smoothstep(-0.25, 0.35, fbm(x * 5, y * 5, rng, 3))
        veins = np.maximum(veins, weight * present * smoothstep(width_px * 1.9, width_px * 0.3, edge[rows, columns]))
    return veins


def dyed(x: Array, y: Array, level: Array, veins: Array, rng: Rng) -> Array:
    """Cotton after three baths: level (H, W) in 0..3 and crackle (H, W) -> colours (H, W, 3)."""
    dyes = colours("#f4e6c4 #e09a2a #b23a1c #142352")
    vat = fbm(x * 3, y * 3, rng, 4)
    picture = np.zeros((*x.shape, 3), np.float32)
    for k, dye in enumerate(dyes):
        share = blur((np.abs(level - k) < 0.5).astype(np.float32), 1.3)
        picture += share[..., None] * dye * (1 + (0.05 + 0.05 * k) * vat)[..., None]
    seep = np.clip(veins * np.where(level < 2.5, 0.85, 0.25), 0, 1)
    picture = mix(picture, np.where((level < 2.5)[..., None], colours("#2a2a4a")[0], colours("#5a78a8")[0]), seep)
    picture = mix(picture, picture * colours("#c8b8a8")[0], 0.8 * blur(seep, 5))
    weave = 0.5 * np.sin(x * 2 * np.pi * 210) + 0.5 * np.sin(y * 2 * np.pi * 210)
    slub = fbm(x * 8, y * 190, rng, 2) + fbm(x * 190, y * 8, rng, 2)
    return picture * (1 + 0.03 * weave + 0.05 * slub)[..., None]


def batik() -> Image.Image:
    """Lotus and vines in wax resist: cream, ochre, madder and indigo baths, crackle veins, woven cotton."""
    rng, height, width = np.random.default_rng(55), 1280, 1408
    x, y = grid(height, width)
    wobble = [0.0022 * fbm(x * 16, y * 16, rng, 3) for _ in range(2)]
    u, v = x + wobble[0], y + wobble[1]
    vines = tendrils(height, width)
    rows, columns = (np.clip(c * height, 0, n - 1).astype(int) for c, n in ((v, height), (u, width)))
    level = vines[rows, columns]
    for flower in LOTUSES:
        bloom = lotus(u, v, flower)
        level = np.where(bloom >= 0, bloom, level)
    near = blur((level >= 0).astype(np.float32), 13)
    level = np.where(level >= 0, level, filler(u, v, near, rng))
    band, edge = border_band(u, v)
    level = np.where(edge < 0.052, band, level)
    return to_image(dyed(x, y, level, crackle(x, y, rng), rng), 752)
