"""Styles printed from planks: a woodcut in three inks and a colour print of waves."""

from __future__ import annotations

import numpy as np
from painting import Array, Rng, blur, colours, fbm, grid, mix, noise, ramp, smoothstep, to_array, to_image
from PIL import Image, ImageDraw

DAWN = (0.86, 0.40)  # the woodcut's sun
# Middle x, foot y and height of its trees.
PINES = (
    (0.10, 0.86, 0.62), (0.22, 0.83, 0.47), (0.32, 0.87, 0.36), (0.02, 0.90, 0.50), (0.41, 0.90, 0.24),
    (1.28, 0.93, 0.34), (1.20, 0.95, 0.22),
)  # fmt: skip


def ridge(x: Array, base: float, tall: float, rough: float, rng: Rng) -> Array:
    """Skyline y of a mountain range, same shape as x: folded noise gives peaks instead of hills."""
    fold = 1 - np.abs(fbm(x * rough, x * 0 + 0.5, rng, 5, 0.45))
    return base - tall * (fold - 0.6)


def hatch(phase: Array, tone: Array, wander: Array) -> Array:
    """Ink (H, W) in [0, 1]: lines where phase is near an integer, the wider the darker the tone, 0 black to 1 paper."""
    wave = np.abs((phase + wander) % 1 - 0.5) * 2  # 1 on the line, 0 between
    slope = np.hypot(*np.gradient(phase)) * 2 + 1e-4  # change of the wave over one pixel
    return np.clip(0.5 + (wave - np.clip(tone, -0.1, 1.1)) / (slope * 2.2), 0, 1)


def pine(x: Array, y: Array, cx: float, foot: float, tall: float, rng: Rng) -> Array:
    """How far inside a jagged fir standing at (cx, foot) each pixel is: (H, W), positive inside."""
    up = (foot - y) / tall
    sway = 0.06 * tall * noise(up * 3, up * 0 + cx * 7, rng)
    boughs = (1 - up) * (0.12 + 0.13 * (1 - (up * 9 + 0.5 * np.abs(x - cx) / tall * 4) % 1))
    return np.where((up > 0) & (up < 1), boughs * tall - np.abs(x - cx - sway), -1.0)


def woodcut_sky(x: Array, y: Array, rng: Rng) -> tuple[Array, Array]:
    """Rays round the sun between long clouds: phase and tone, each (H, W)."""
    dx, dy = x - DAWN[0], y - DAWN[1]
    radius, turn = np.hypot(dx, dy), np.arctan2(dy, dx)
    clouds = fbm(x * 1.6 + 2, y * 7 + 0.5 * np.sin(3 * x), rng, 4)
    rays = turn * 116 / (2 * np.pi)
    drift = y * 48 + 1.5 * np.sin(4 * x) + 2.0 * fbm(x * 2, y * 3, rng, 2)
    in_cloud = clouds > 0.05
    tone = np.where(in_cloud, 0.95 - 1.6 * clouds * (0.4 + y), 0.42 + 0.75 * np.exp(-radius * 2.6) - 0.25 * radius)
    tone = np.where(np.abs(clouds - 0.05) < 0.035, 1.05, tone)
    return np.where(in_cloud, drift, rays), np.where(radius < 0.118, 1.3, tone)


def woodcut_land(x: Array, y: Array, rng: Rng) -> tuple[Array, Array, list[Array]]:
    """Two ranges, a lake and a near shore: phase and tone where there is land, and the skylines."""
    back, front = ridge(x, 0.50, 0.26, 1.7, rng), ridge(x + 4, 0.62, 0.20, 2.3, rng)
    shore = 0.93 - 0.16 * np.exp(-(((x - 0.05) / 0.45) ** 2)) - 0.05 * np.exp(-(((x - 1.4) / 0.3) ** 2))
    shore = shore + 0.012 * fbm(x * 8, x * 0, rng, 3)
    lake = 0.67 + 0 * x
    phase, tone, lines = np.zeros_like(x), np.ones_like(x), [back, front, lake, shore]
    for skyline, pitch, grey in ((back, 60, 0.68), (front, 50, 0.40)):
        lean = np.gradient(blur(skyline, 5), axis=1) * x.shape[0]
        facing = fbm(x * 6 + 3 * (y - skyline), y * 5, rng, 4)
        slope = pitch * ((y - skyline) * 0.55 + x * 0.85 * np.sign(facing) + 0.05 * facing)
        lit = grey + 0.60 * np.clip(-lean * 0.25 + 0.9 * facing, -0.6, 0.9) + 0.8 * np.clip(y - skyline - 0.10, 0, 1)
        phase, tone = np.where(y > skyline, slope, phase), np.where(y > skyline, lit, tone)
    glint = np.exp(-(((x - DAWN[0]) / (0.05 + 0.5 * (y - lake))) ** 2))
    water = 0.28 + 0.85 * glint + 0.35 * noise(x * 3, y * 34, rng) + 0.9 * np.clip(0.70 - y, 0, 1)
    phase, tone = np.where(y > lake, y * 52 + 0.35 * noise(x * 9, y * 20, rng), phase), np.where(y > lake, water, tone)
    turf = 50 * (y - shore) + 12 * x + 1.0 * fbm(x * 5, y * 5, rng, 3)
    grass = 0.30 + 0.45 * fbm(x * 5, y * 9, rng, 3) - 1.4 * (y - shore)
    return np.where(y > shore, turf, phase), np.where(y > shore, grass, tone), lines


def woodcut_inks(x: Array, y: Array, key: Array, land: Array, trees: Array, lines: list[Array], rng: Rng) -> Array:
    """Paper, an orange and a slate block, then the black key block, each with the grain of its plank: (H, W, 3)."""
    grain = fbm(x * 5 + 0.5 * noise(x * 2, y * 3, rng), y * 90, rng, 3)
    paper = colours("#f3e7cc")[0] * (1 + 0.025 * fbm(x * 90, y * 90, rng, 3))[..., None]
    shift = np.roll(land, (4, -5), (0, 1)) & (y > 0.1)  # not the land that `roll` moves to the top
    radius = np.hypot(x - DAWN[0] - 0.004, y - DAWN[1] - 0.003)
    sky = np.where(shift, 0, smoothstep(0.95, 0.2, radius) * 0.95) + smoothstep(0.112, 0.108, radius) * (~shift)
    glow = np.exp(-(((x - DAWN[0]) / (0.05 + 0.5 * np.clip(y - 0.67, 0, 1))) ** 2)) * (y > 0.672) * (y < lines[3])
    picture = mix(paper, colours("#f08c34")[0], np.clip(sky + glow, 0, 1) * (0.9 + 0.25 * grain))
    picture = mix(picture, colours("#d63e22")[0], smoothstep(0.112, 0.109, radius) * ~shift * (0.92 + 0.2 * grain))
    slate = shift & (trees < 0.004)
    picture = mix(picture, colours("#4f9490")[0], slate * (1 - glow) * np.clip(0.62 + 0.3 * grain, 0, 1))
    worn = np.clip(0.97 + 0.14 * grain - 0.35 * smoothstep(0.45, 0.8, fbm(x * 40, y * 150, rng, 2)), 0, 1)
    return mix(picture, colours("#17151a")[0], key * worn)


def woodcut() -> Image.Image:
    """A mountain lake at dawn: black lines swelling with the tone, over two colour blocks a little off register."""
    rng, height, width = np.random.default_rng(17), 1152, 1536
    x, y = grid(height, width)
    phase, tone = woodcut_sky(x, y, rng)
    land_phase, land_tone, lines = woodcut_land(x, y, rng)
    land = y > np.minimum.reduce(lines[:3])
    phase, tone = np.where(land, land_phase, phase), np.where(land, land_tone, tone)
    trees, boughs = np.full_like(x, -1.0), np.zeros_like(x)
    for cx, foot, tall in PINES:
        tree = pine(x, y, cx, foot, tall, rng)
        boughs, trees = np.where(tree > trees, np.abs(x - cx), boughs), np.maximum(trees, tree)
    tone = np.where(trees > 0, 0.20 + 9 * np.clip(0.014 - trees, 0, 1) + 0.16 * noise(x * 30, y * 30, rng), tone)
    phase = np.where(trees > 0, y * 72 - boughs * 80, phase)
    tone = np.where((trees > -0.006) & (trees <= 0), 1.1, tone)
    for line in lines:
        tone = np.where((np.abs(y - line) < 0.0028) & (trees < -0.006), 0.0, tone)
    tone = np.where(tone < 1.2, 0.47 + 1.35 * (tone - 0.47), tone)  # printing ink has few half tones
    carve = 0.22 * fbm(x * 26, y * 26, rng, 2)
    key = hatch(phase, tone + 0.8 * carve * (tone > 0.08) * (tone < 1.2), 0.10 * noise(x * 22, y * 22, rng))
    key *= land | (np.hypot(x - DAWN[0], y - DAWN[1]) > 0.118)
    return to_image(woodcut_inks(x, y, key, land, trees, lines, rng))


Row = tuple[float, float, float, float]  # foot y, height, length and shift of a row of waves

# Every row of waves, far to near, and its blues from the crest down.
WAVES: tuple[tuple[Row, str], ...] = (
    ((0.56, 0.10, 0.30, 0.10), "#f6efdc #bcd6d8 #5f9dbb #2a5f96 #163a70"),
    ((0.66, 0.15, 0.42, 0.55), "#f6efdc #bcd6d8 #5f9dbb #2a5f96 #163a70"),
    ((0.82, 0.33, 0.64, 0.22), "#fbf6e6 #9cc6d0 #3f86b0 #1d4f8c #10305f"),
    ((0.95, 0.25, 0.76, 0.72), "#fffaf0 #7fb4c8 #2a6ea6 #143f7c #0b2350"),
    ((1.10, 0.24, 0.95, 0.35), "#fffaf0 #7fb4c8 #2a6ea6 #143f7c #0b2350"),
)
# Height y, left and right x and half thickness of the clouds.
CLOUD_BANDS = (
    (0.105, 0.10, 0.52, 0.020), (0.142, 0.22, 0.74, 0.018), (0.176, 0.14, 0.40, 0.017), (0.330, 0.86, 1.30, 0.019),
    (0.366, 0.98, 1.60, 0.018), (0.060, 1.05, 1.60, 0.018), (0.092, 1.22, 1.45, 0.015), (0.300, 0.02, 0.26, 0.016),
)  # fmt: skip


def print_sky(x: Array, y: Array, rng: Rng) -> Array:
    """Graded sky with a red sun and bands of stylised cloud: (H, W, 3)."""
    picture = ramp(np.clip(y * 1.75, 0, 1), colours("#1f4f86 #6f9fb8 #e9dcb8 #f6d9a8 #f0a878 #e07a5a"))
    radius = np.hypot(x - 1.02, y - 0.285)
    sun = ramp(np.clip((y - 0.13) / 0.32, 0, 1), colours("#b8261c #d8442a #ee8a50"))
    picture = mix(picture, sun, smoothstep(0.1515, 0.1495, radius))
    for cy, x0, x1, thick in CLOUD_BANDS:
        bar = np.hypot(np.maximum(np.maximum(x0 - x, x - x1), 0), y - cy) - thick
        tone = np.clip((y - cy) / thick * 0.5 + 0.5, 0, 1)
        picture = mix(picture, ramp(tone, colours("#fbf3de #f3e3c0 #e6c49a")), smoothstep(0.001, -0.001, bar))
        picture = mix(picture, colours("#33507a")[0], smoothstep(0.0022, 0.0008, np.abs(bar)))
    return picture


def billow(x: Array, y: Array, row: Row, rng: Rng) -> tuple[Array, Array]:
    """Depth (H, W) below a row of leaning waves, negative above, and phase (H, W) along it, an integer per wave."""
    base, tall, length, shift = row
    rise = np.clip((base - y) / tall, 0, 1.6)
    phase = (x + 0.62 * tall * rise**2) / length + shift
    number = np.round(phase)  # changes in the troughs, where size does not matter
    swell = np.exp(-((((number - shift) * length - 0.50) / 0.33) ** 2))
    size = 0.62 + 0.62 * swell + 0.16 * np.sin(number * 2.4 + 9 * shift)
    crest = (1 - np.abs(np.sin(np.pi * phase)) ** 0.62) * size
    return y - (base - tall * crest) + 0.003 * noise(x * 16, y * 16, rng), phase


def wave_row(picture: Array, x: Array, y: Array, row: Row, palette: str, rng: Rng) -> Array:
    """Print one row of waves over the picture (H, W, 3): graded blue, contour lines that follow the crest, foam."""
    tall = row[1]
    depth, phase = billow(x, y, row, rng)
    below = np.clip(depth + 0.006 * noise(x * 10, y * 10, rng), 0, 9) / tall
    body = ramp(np.clip(below / 1.05, 0, 1) ** 0.8, colours(palette))
    thick = (0.16 + 0.10 * noise(x * 7, y * 7, rng)) * smoothstep(1.6, 0.2, below) + 0.02
    line = smoothstep(thick, thick * 0.6, np.abs((below**0.8 * 9) % 1 - 0.5))
    body = mix(body, colours("#f6efdc")[0], 0.85 * line)
    body = mix(body, colours("#0d2450")[0], 0.55 * smoothstep(0.06, 0.03, np.abs((below**0.8 * 9 + 0.36) % 1 - 0.5)))
    claws = tall * (0.05 + 0.34 * (0.5 + 0.5 * np.cos(2 * np.pi * phase)) ** 2)
    comb_ = np.abs(np.sin(phase * 19 + 5 * below + 1.5 * noise(x * 9, y * 9, rng)))
    foam = claws * (0.45 + 0.75 * comb_**0.7 + 0.25 * noise(x * 42, y * 42, rng))
    curls = smoothstep(0.010, 0.004, np.abs(depth - 0.55 * foam)) * (noise(x * 30, y * 30, rng) > 0.05) * (depth > 0)
    white = mix(colours("#fbf6e8")[0], colours("#9fc0cc")[0], 0.7 * curls)
    body = mix(body, white, smoothstep(0.0012, -0.0012, depth - foam))
    body = mix(body, colours("#122a58")[0], smoothstep(0.0026, 0.0010, np.abs(depth - foam)))
    picture = mix(picture, body, smoothstep(-0.001, 0.001, depth))
    return mix(picture, colours("#122a58")[0], smoothstep(0.0030, 0.0012, np.abs(depth)))


def spray(picture: Image.Image, row: Row, count: int, rng: Rng) -> None:
    """Throw flecks of foam off the crests of a row of waves, small and many, large and few."""
    base, tall, length, shift = row
    draw, height = ImageDraw.Draw(picture), picture.height
    wave = np.round(rng.uniform(0, 1.6, count) / length + shift)
    cx = (wave - shift) * length - 0.55 * tall + rng.normal(0.0, 0.30 * tall, count)
    cy = base - tall * rng.normal(1.05, 0.28, count)
    for x, y, r in zip(cx * height, cy * height, 1.2 + 4.2 * rng.power(0.35, count), strict=True):
        draw.ellipse([x - r, y - r, x + r, y + r], "#fbf6e8")


def ukiyo_wave() -> Image.Image:
    """Rows of leaning waves under a red sun: graded blocks, white contour lines, foam claws, mulberry paper."""
    rng, height, width = np.random.default_rng(40), 1024, 1536
    x, y = grid(height, width)
    picture = print_sky(x, y, rng)
    for row, palette in WAVES:
        picture = wave_row(picture, x, y, row, palette, rng)
        flecked = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
        spray(flecked, row, 260, rng)
        picture = to_array(flecked)
    plank = fbm(x * 3 + 0.3 * noise(x * 2, y * 3, rng), y * 70, rng, 3)
    fibres = fbm(x * 60, y * 60, rng, 3) + 0.6 * smoothstep(0.5, 0.7, noise(x * 25, y * 120, rng))
    picture = picture * (1 + 0.075 * plank + 0.045 * fibres)[..., None]
    return to_image(mix(picture, colours("#f3e6c8")[0], 0.06 + 0.05 * np.clip(fibres, 0, 1)))
