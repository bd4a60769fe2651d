"""An embroidery: every stitch is drawn, and its sheen follows from the direction of the thread."""

from __future__ import annotations

import numpy as np
from painting import Array, Rng, blur, colours, ink, ramp, relief, scatter, to_array, to_image
from PIL import Image, ImageDraw

FAN = (0.40, 1.03)  # where all feathers meet


def fan_of_feathers(rng: Rng) -> Array:
    """Eye x, y, heading and size (N, 4) of peacock feathers on arcs, outermost first."""
    feathers = []
    for ring, radius in enumerate((0.78, 0.65, 0.53, 0.42, 0.32, 0.235, 0.16)):
        size = 0.022 + 0.118 * radius**0.8
        step = size * 1.42 / radius
        turns = np.arange(-1.9, 1.9, step) + (ring % 2) * step / 2 - np.pi / 2
        for turn in turns + rng.normal(0, 0.012, len(turns)):
            x, y = FAN[0] + radius * np.cos(turn), FAN[1] + radius * np.sin(turn)
            feathers.append([x, y, turn, size * rng.uniform(0.95, 1.06)])
    return np.array(feathers)


def placed(eye: Array, u: Array, v: Array) -> Array:
    """Feather coordinates (u along, v across) to the picture's x, y: (...) -> (..., 2), in heights."""
    cx, cy, heading, size = eye
    cos, sin = np.cos(heading), np.sin(heading)
    return np.stack([cx + size * (u * cos - v * sin), cy + size * (u * sin + v * cos)], -1)


def barbs(eye: Array, rng: Rng) -> tuple[Array, Array]:
    """Silk stitches of one feather's vane, tip last: ends (N, 2, 2) in heights and colours (N, 3)."""
    count = int(3600 * eye[3] ** 0.8) + 160
    s, side = rng.uniform(-2.3, 1.15, count), rng.choice((-1.0, 1.0), count)
    reach = np.where(s > -0.3, 0.72 * np.sqrt(np.clip(1 - ((s - 0.05) / 1.12) ** 2, 0, 1)), 0.69)
    across = side * reach * rng.uniform(0, 1, count) ** 0.8
    slant = np.clip(1.15 - 0.75 * s, 0.25, 1.25) * (0.35 + 0.65 * np.abs(across) / 0.72)
    half = rng.uniform(0.11, 0.18, count)
    u = np.stack([s - half * np.cos(slant), s + half * np.cos(slant)], -1)
    v = np.stack([across - side * half * np.sin(slant), across + side * half * np.sin(slant)], -1)
    ring = np.hypot((s - 0.02) / 0.95, across / 0.68) + rng.normal(0, 0.025, count)
    tint = ramp(np.clip(ring, 0, 1), colours("#7a3418 #b0501a #e08a2a #f6cc50 #d8b83a #4f9a3a #1f7a4a #155a50"))
    lower = ramp(rng.random(count), colours("#0f4a50 #1f7a4a #7a8a2e #14606a"))
    tint = np.where((s < -0.8)[:, None], lower, tint) * rng.uniform(0.80, 1.12, (count, 1))
    order = np.argsort(s + 0.5 * rng.random(count))
    return placed(eye, u, v)[order], tint[order]


def feather_eye(eye: Array, rng: Rng) -> tuple[Array, Array]:
    """Satin stitch of the eye, turquoise round blue round indigo: ends (N, 2, 2) and colours (N, 3)."""
    rows = max(int(eye[3] * 330), 10)
    t = np.repeat(np.linspace(-1, 1, rows), 3)
    layer = np.tile([0, 1, 2], rows)
    along_ = np.array([0.44, 0.30, 0.16])[layer] * t + np.array([0.0, -0.03, -0.08])[layer]
    wide = np.array([0.36, 0.25, 0.14])[layer] * np.sqrt(1 - 0.97 * t * t) * rng.uniform(0.92, 1.08, len(t))
    dip = 0.10 * wide
    tint = colours("#1fb0b8 #1f3fa8 #12124a")[layer] * rng.uniform(0.85, 1.15, (len(t), 1))
    left, right = placed(eye, along_ + dip, -wide), placed(eye, along_ - dip, wide)
    order = np.argsort(layer, kind="stable")
    return np.stack([left, right], 1)[order], tint[order]


def velvet_rows(width: float, rng: Rng) -> tuple[Array, Array]:
    """Ground of plum stitches on arcs round the fan with a sprinkling of gold: ends (N, 2, 2) and colours (N, 3)."""
    points = scatter(0.0085, width, rng, 0.3)
    d = points - FAN
    turn = np.arctan2(d[:, 1], d[:, 0]) + np.pi / 2
    half = rng.uniform(0.012, 0.022, len(points))[:, None] * np.stack([np.cos(turn), np.sin(turn)], -1)
    tone = 0.5 + 0.5 * np.sin(np.hypot(*d.T) * 130) + rng.normal(0, 0.2, len(points))
    tint = ramp(np.clip(tone, 0, 1), colours("#3a0f35 #6a1a4a #9a2a52"))
    gold = rng.random(len(points)) < 0.035
    tint = np.where(gold[:, None], colours("#f0c050"), tint)
    order = np.argsort(gold, kind="stable")
    return np.stack([points - half, points + half], 1)[order], tint[order]


def sew(cloth: Image.Image, bumps: Image.Image, ends: Array, rgb: Array, width: int) -> None:
    """Draw straight stitches (N, 2, 2), in px, in order: shadow, thread and a glint that depends on the direction."""
    canvas, ground = ImageDraw.Draw(cloth), ImageDraw.Draw(bumps)
    d = ends[:, 1] - ends[:, 0]
    facing = np.abs(np.sin(np.arctan2(d[:, 1], d[:, 0]) - 0.7))[:, None]
    thread = rgb * (0.70 + 0.42 * facing)
    glint = np.clip(thread * 1.18 + 0.16 * facing**2, 0, 1)
    middle = ends + d[:, None] * np.array([0.18, -0.18])[:, None]
    lines, inners = ends.reshape(-1, 4).tolist(), middle.reshape(-1, 4).tolist()
    inks = ink(thread * 0.42), ink(thread), ink(glint)
    for line, inner, dark, body, shine in zip(lines, inners, *inks, strict=True):
        canvas.line(line, dark, width + 2)
        canvas.line(line, body, width)
        canvas.line(inner, shine, max(1, width // 2))
        ground.line(line, 70, width + 2)
        ground.line(line, 150, width)
        ground.line(inner, 215, max(1, width // 2))


def embroidery() -> Image.Image:
    """A peacock's fan in silk: satin stitches along the barbs, with the sheen that turns with the thread."""
    rng, height, width = np.random.default_rng(63), 1536, 1228
    cloth, bumps = Image.new("RGB", (width, height), "#2a0a26"), Image.new("L", (width, height), 40)

    def stitch(stitches: tuple[Array, Array], thick: int) -> None:
        sew(cloth, bumps, stitches[0] * height, stitches[1], thick)

    stitch(velvet_rows(width / height, rng), 6)
    for eye in fan_of_feathers(rng):
        stitch(barbs(eye, rng), 5)
        spine = placed(eye, np.linspace(-2.3, -0.45, 12), np.zeros(12))
        stitch((np.stack([spine[:-1], spine[1:]], 1), np.tile(colours("#f0d890"), (11, 1))), 5)
        stitch(feather_eye(eye, rng), 5)
    diffuse, shine = relief(blur(to_array(bumps), 1.2), 1.5, 16)
    picture = to_array(cloth) * (0.4 + 0.6 * diffuse)[..., None] + 0.12 * shine[..., None]
    return to_image(picture, 752)
