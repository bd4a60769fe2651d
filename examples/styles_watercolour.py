"""A watercolour: transparent washes multiplied onto rough paper, as in Curtis et al. 1997 but with no fluid solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from painting import Array, Rng, blur, colours, fbm, grid, noise, smoothstep, to_image
from PIL import Image

RED, CORAL, ROSE, GOLD = colours("#e0301e #f2603a #d83a72 #f5b02e")
VIOLET, INDIGO, SKY, OLIVE, SAP = colours("#7a4fa8 #26305f #7fb8d8 #8a9a3a #3f7a4a")

# Wet washes round the flowers: middle x, y, radius, pigment and depth.
BACKGROUND = (
    (0.15, 0.20, 0.26, SKY, 0.90), (0.62, 0.10, 0.22, SKY, 0.80), (0.42, 0.40, 0.30, GOLD, 0.45),
    (0.05, 0.45, 0.18, VIOLET, 0.40), (0.12, 0.68, 0.24, SKY * VIOLET, 0.45), (0.62, 0.78, 0.28, SAP, 0.60),
    (0.22, 0.95, 0.28, OLIVE, 0.80), (0.72, 0.40, 0.20, GOLD, 0.50),
)  # fmt: skip
# Middle x, y, radius and pigments, nearest first.
FLOWERS = (
    (0.33, 0.34, 0.185, (RED, ROSE)), (0.59, 0.55, 0.145, (CORAL, GOLD)), (0.16, 0.62, 0.115, (ROSE, VIOLET)),
    (0.62, 0.18, 0.095, (CORAL, RED)), (0.10, 0.12, 0.070, (GOLD, CORAL)), (0.41, 0.74, 0.075, (VIOLET, ROSE)),
    (0.36, 0.075, 0.050, (ROSE, CORAL)), (0.69, 0.80, 0.060, (RED, GOLD)), (0.06, 0.86, 0.055, (CORAL, ROSE)),
)  # fmt: skip


Area = tuple[slice, slice]
Pigments = tuple[Array, Array]


@dataclass(frozen=True)
class Sheet:
    """Paper being painted on: the colour is changed in place by `wash`."""

    colour: Array  # (H, W, 3)
    tooth: Array  # (H, W), grain of the paper, about [-1, 1]
    x: Array
    y: Array
    fresh: Array  # (H, W), coverage of the washes since the last `protect`
    masked: Array  # (H, W), 1 where masking fluid keeps later washes off

    def protect(self) -> None:
        """Cover the newest washes with masking fluid: later washes lie behind them and do not change their colours."""
        np.maximum(self.masked, 0.94 * self.fresh, out=self.masked)
        self.fresh[:] = 0

    def window(self, cx: float, cy: float, reach: float) -> Area:
        """Index of the square around (cx, cy): a wash is small, and computing on the whole sheet would be slow."""
        h, w = self.tooth.shape
        top, bottom = (int(np.clip((cy + s * reach) * h, 0, h)) for s in (-1, 1))
        left, right = (int(np.clip((cx + s * reach) * h, 0, w)) for s in (-1, 1))
        return slice(top, max(bottom, top + 2)), slice(left, max(right, left + 2))


def fresh_sheet(height: int, width: int, rng: Rng) -> Sheet:
    """Warm white cold-pressed paper."""
    x, y = grid(height, width)
    tooth = 0.7 * fbm(x * 130, y * 130, rng, 3) + 0.4 * fbm(x * 40, y * 40, rng, 2)
    white = np.ones((height, width, 3), np.float32) * colours("#fbf6ea")[0]
    return Sheet(white, tooth, x, y, np.zeros_like(x), np.zeros_like(x))


def wash(
    sheet: Sheet, area: Area, shape: Array, pigment: Array, depth: Array | float, rng: Rng, wet: float = 0.0
) -> None:
    """Lay a wash where shape (signed distance in heights, negative inside) is below 0.

    Pigment settles at the drying edge and in the valleys of the paper; `wet` in [0, 1] softens the edge into a bleed.
    """
    x, y, tooth = sheet.x[area], sheet.y[area], sheet.tooth[area]
    ragged = shape + (0.006 + 0.035 * wet) * fbm(x * 11, y * 11, rng, 4) + 0.0012 * tooth
    soft = 0.0018 + 0.035 * wet
    mask = smoothstep(soft, -soft, ragged)
    np.maximum(sheet.fresh[area], mask, out=sheet.fresh[area])
    edge = smoothstep(-0.011, 0, ragged) * mask * (1 - wet)
    pool = 0.75 + 0.45 * fbm(x * 5, y * 5, rng, 3)
    density = mask * pool * depth * (1 + 0.28 * tooth) + 0.55 * edge * np.clip(pool, 0, 1) * np.clip(depth, 0, 1)
    sheet.colour[area] *= pigment ** (np.clip(density, 0, 4) * (1 - sheet.masked[area]))[..., None]


def bloom(sheet: Sheet, cx: float, cy: float, radius: float, rng: Rng) -> None:
    """A backrun: a drop of water pushes pigment outwards into a feathery rim."""
    area = sheet.window(cx, cy, radius * 1.8)
    x, y = sheet.x[area], sheet.y[area]
    distance = np.hypot(x - cx, y - cy) / radius + 0.5 * fbm(x * 14, y * 14, rng, 4)
    inside = smoothstep(1, 0.75, distance)
    rim = np.exp(-(((distance - 1) / 0.06) ** 2)) * (0.6 + 0.4 * noise(x * 9, y * 9, rng))
    lift = np.clip(-0.5 * inside + 0.5 * rim, -1, 1)[..., None]
    sheet.colour[area] = np.clip(sheet.colour[area], 0.01, 1) ** (1 + lift * (1 - sheet.masked[area][..., None]))


def petal(sheet: Sheet, cx: float, cy: float, angle: float, size: float, pigments: Pigments, rng: Rng) -> None:
    """One broad poppy petal growing from (cx, cy): a body wash and a second pigment dropped in while it is wet."""
    mx, my = cx + np.cos(angle) * size * 0.55, cy + np.sin(angle) * size * 0.55
    area = sheet.window(mx, my, size * 1.15)
    x, y = sheet.x[area], sheet.y[area]
    u = (x - mx) * np.cos(angle) + (y - my) * np.sin(angle)
    v = (y - my) * np.cos(angle) - (x - mx) * np.sin(angle)
    width = size * (0.52 + 0.35 * smoothstep(-0.6, 0.6, u / size))
    frill = 0.05 * size * np.sin(v / size * 13 + angle * 3)
    shape = np.hypot(u / (size * 0.62), v / width) * size * 0.6 - size * 0.6 + frill
    veins = 1 + 0.16 * np.sin(np.arctan2(v, u + size * 0.75) * 34 + 3 * noise(x * 12, y * 12, rng))
    depth = (0.45 + 0.4 * smoothstep(-0.6, 0.8, u / size)) * veins
    wash(sheet, area, shape, pigments[0], depth, rng)
    wash(sheet, area, shape + size * 0.25 + 0.2 * u, pigments[1], 0.55, rng, wet=0.5)


def poppy(sheet: Sheet, cx: float, cy: float, size: float, pigments: Pigments, rng: Rng) -> None:
    """Four to six overlapping petals and a dark heart with stamens."""
    turn, count = rng.uniform(0, 6.3), int(rng.integers(4, 7))
    for k in rng.permutation(count):
        petal(sheet, cx, cy, turn + k * 2 * np.pi / count, size * rng.uniform(0.85, 1.1), pigments, rng)
    area = sheet.window(cx, cy, size * 1.5)
    x, y = sheet.x[area], sheet.y[area]
    distance = np.hypot(x - cx, y - cy)
    wash(sheet, area, distance - size * 0.30, INDIGO, 0.7, rng, wet=0.6)
    wash(sheet, area, distance - size * 0.13, INDIGO, 1.6, rng)
    for a in rng.uniform(0, 6.3, 26):
        r = size * rng.uniform(0.2, 0.36)
        wash(sheet, area, np.hypot(x - cx - r * np.cos(a), y - cy - r * np.sin(a)) - size * 0.022, INDIGO, 1.5, rng)


def blade(sheet: Sheet, start: Array, end: Array, bend: float, width: float, pigment: Array, rng: Rng) -> None:
    """A stem or leaf from start to end, bent sideways, swelling to `width` in the middle."""
    span = end - start
    length = float(np.hypot(*span))
    cos, sin = span / length
    area = sheet.window(*(start + end) / 2, length * 0.6 + abs(bend) + width)
    x, y = sheet.x[area] - start[0], sheet.y[area] - start[1]
    t = (x * cos + y * sin) / length
    swell = np.sin(np.pi * np.clip(t, 0, 1)) ** 0.7
    offset = y * cos - x * sin - bend * 4 * t * (1 - t)
    shape = np.maximum(np.abs(offset) - width * (0.25 + 0.75 * swell), (np.abs(t - 0.5) - 0.5) * length)
    side = 0.75 + 0.3 * smoothstep(-0.4, 0.4, offset / width)
    wash(sheet, area, shape, pigment, side, rng)


def foliage(sheet: Sheet, rng: Rng) -> None:
    """A stem for every flower and a thicket of leaves, all from about one root."""
    for cx, cy, size, _ in FLOWERS:
        foot = np.array([0.38 + (cx - 0.38) * 0.35, 1.05])
        green = (SAP, OLIVE)[rng.integers(2)]
        blade(sheet, np.array([cx, cy + size * 0.3]), foot, rng.normal(0, 0.03), 0.0065, green, rng)
    for _ in range(34):
        start = np.array([rng.uniform(0.0, 0.75), rng.uniform(0.78, 1.08)])
        end = start + np.array([rng.normal(0, 0.15), -rng.uniform(0.12, 0.36)])
        pigment = (SAP, OLIVE, SAP * SKY, OLIVE, SAP, INDIGO)[rng.integers(6)]
        blade(sheet, start, end, rng.normal(0, 0.04), rng.uniform(0.007, 0.022), pigment, rng)


def splatter(sheet: Sheet, count: int, rng: Rng) -> None:
    """Drops shaken from the brush, many small and few large."""
    width = sheet.x.max()
    for _ in range(count):
        cx, cy, r = rng.uniform(0, width), rng.uniform(0, 1), 0.0016 + 0.006 * rng.power(0.4)
        area = sheet.window(cx, cy, r * 3)
        pigment = (CORAL, ROSE, GOLD, INDIGO, SAP, SKY)[rng.integers(6)]
        wash(sheet, area, np.hypot(sheet.x[area] - cx, sheet.y[area] - cy) - r, pigment, rng.uniform(0.3, 1), rng)


def watercolour() -> Image.Image:
    """Loose poppies on rough paper: translucent washes, dark drying edges, granulation and backruns."""
    rng = np.random.default_rng(12)
    sheet = fresh_sheet(1152, 864, rng)
    for cx, cy, size, pigments in FLOWERS:
        poppy(sheet, cx, cy, size, pigments, rng)
        sheet.protect()
    foliage(sheet, rng)
    sheet.protect()
    for cx, cy, r, pigment, depth in BACKGROUND:
        wash(sheet, (slice(None), slice(None)), np.hypot(sheet.x - cx, sheet.y - cy) - r, pigment, depth, rng, wet=1.0)
        bloom(sheet, cx + rng.normal(0, 0.08), cy + rng.normal(0, 0.08), rng.uniform(0.04, 0.09), rng)
    sheet.masked[:] = 0
    splatter(sheet, 110, rng)
    smooth = blur(sheet.tooth, 1)
    light = 1 + 0.035 * np.clip(smooth - np.roll(smooth, 2, (0, 1)), -1, 1)
    return to_image(sheet.colour * light[..., None])
