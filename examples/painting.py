"""Tools for painting the style pictures: noise, colour ramps, flow, light, strokes and nearest seeds.

Fields are (H, W) float32 arrays, pictures (H, W, 3) float32 sRGB in [0, 1]. Coordinates x, y are in units of the
height, so that a composition looks the same at any resolution. Only numpy, scipy and Pillow are needed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.spatial import cKDTree

Array = NDArray[np.float32]
Rng = np.random.Generator
Metric = Callable[[Array, Array, NDArray[np.intp]], Array]
BAND_ROWS = 64  # rows that `nearest_two` searches at once
CANDIDATES = 16


def grid(height: int, width: int) -> tuple[Array, Array]:
    """Pixel centres x, y: each (H, W); y in [0, 1], x in [0, W / H]."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return (x + 0.5) / height, (y + 0.5) / height


def colours(codes: str) -> Array:
    """'#rrggbb #rrggbb ...' -> (N, 3) in [0, 1]."""
    return np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in codes.split()], np.float32)


def ramp(t: Array, palette: Array) -> Array:
    """Piecewise linear colour along a palette: t (...) in [0, 1], palette (N, 3) -> (..., 3)."""
    stops = np.linspace(0, 1, len(palette))
    return np.stack([np.interp(t, stops, palette[:, c]) for c in range(3)], -1).astype(np.float32)


def smoothstep(low: float, high: float, v: Array) -> Array:
    """0 below low, 1 above high, smooth between; low > high falls instead of rising."""
    t = np.clip((v - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Array, b: Array, t: Array | float) -> Array:
    """a where t is 0, b where it is 1; a (H, W) t is spread over the channels of a picture."""
    if isinstance(t, np.ndarray) and t.ndim == 2 and max(np.ndim(a), np.ndim(b)) != 2:
        t = t[..., None]
    return a + (b - a) * t


def noise(x: Array, y: Array, rng: Rng) -> Array:
    """Gradient noise on unit cells: same shape as x, about [-1, 1] (Perlin 1985, quintic fade of 2002)."""
    order = np.concatenate([rng.permutation(256)] * 3)
    turn = rng.uniform(0, 2 * np.pi, 256).astype(np.float32)
    cos, sin = np.cos(turn), np.sin(turn)
    column, row = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    fx, fy = (x - column).astype(np.float32), (y - row).astype(np.float32)

    def corner(i: int, j: int) -> Array:
        h = order[order[(column + i) & 255] + ((row + j) & 255)]
        return cos[h] * (fx - i) + sin[h] * (fy - j)

    u, v = (f * f * f * (f * (6 * f - 15) + 10) for f in (fx, fy))
    top, bottom = mix(corner(0, 0), corner(1, 0), u), mix(corner(0, 1), corner(1, 1), u)
    return 1.5 * mix(top, bottom, v)


def fbm(x: Array, y: Array, rng: Rng, octaves: int = 5, gain: float = 0.5) -> Array:
    """Fractal sum of gradient noise, about [-1, 1]; the first octave has unit cells."""
    total, scale, norm = np.zeros(np.broadcast(x, y).shape, np.float32), 1.0, 0.0
    for octave in range(octaves):
        total += scale * noise(x * 2**octave, y * 2**octave, rng)
        norm += scale
        scale *= gain
    return total / norm * 1.4


def blur(field: Array, sigma: float) -> Array:
    """Gaussian blur, sigma in px, borders mirrored: (H, W) or (H, W, C) -> same."""
    if field.ndim == 3:
        return np.stack([blur(field[..., c], sigma) for c in range(field.shape[2])], -1)
    pad = min(int(3 * sigma) + 1, min(field.shape) - 1)
    wide = np.pad(field, pad, mode="reflect")
    h, w = wide.shape
    fy, fx = np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)[None]
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (fx * fx + fy * fy))
    return np.fft.irfft2(np.fft.rfft2(wide) * kernel, s=(h, w))[pad : h - pad, pad : w - pad].astype(np.float32)


def relief(height: Array, strength: float, sheen: float = 20.0) -> tuple[Array, Array]:
    """Light from the upper left on a height map: diffuse (H, W), 1 where flat, and highlight (H, W) in [0, 1]."""
    gy, gx = np.gradient(height * strength)
    length = np.sqrt(gx * gx + gy * gy + 1)
    lamp = np.array([-0.5, -0.6, 0.75], np.float32) / np.linalg.norm([-0.5, -0.6, 0.75])
    half = (lamp + np.array([0, 0, 1])) / np.linalg.norm(lamp + np.array([0, 0, 1]))
    diffuse = (-gx * lamp[0] - gy * lamp[1] + lamp[2]) / length
    glint = np.clip((-gx * half[0] - gy * half[1] + half[2]) / length, 0, 1) ** sheen
    return np.clip(diffuse, 0, None) / lamp[2], np.clip(glint - half[2] ** sheen, 0, 1)


def sample(field: Array, x: Array, y: Array) -> Array:
    """Values of a field (H, W) or (H, W, C) at x, y in units of the height, nearest pixel, clamped at the border."""
    h, w = field.shape[:2]
    row = np.clip((np.asarray(y) * h).astype(np.int32), 0, h - 1)
    return field[row, np.clip((np.asarray(x) * h).astype(np.int32), 0, w - 1)]


def along(field: Array) -> Array:
    """Angle (H, W) of the level lines of a field: the direction in which it does not change."""
    gy, gx = np.gradient(field)
    return np.arctan2(gx, -gy).astype(np.float32)


def scatter(spacing: float, width: float, rng: Rng, jitter: float = 0.5) -> Array:
    """Jittered hexagonal points (N, 2) over [0, width] x [0, 1] with a margin, in random order."""
    rows, columns = int(1 / (spacing * 0.866)) + 3, int(width / spacing) + 3
    j, i = np.mgrid[0:rows, 0:columns].astype(np.float32)
    points = np.stack([(i - 1 + (j % 2) / 2) * spacing, (j - 1) * spacing * 0.866], -1).reshape(-1, 2)
    points += rng.uniform(-jitter, jitter, points.shape).astype(np.float32) * spacing
    return rng.permutation(points)


def streamlines(angle: Array, starts: Array, steps: int, stride: float) -> Array:
    """Paths (N, steps, 2) that follow an angle field (H, W) both ways from starts (N, 2); stride in heights."""
    halves = []
    for sign in (-1, 1):
        at, path = starts.copy(), []
        for _ in range(steps // 2 + 1):
            path.append(at)
            turn = sample(angle, at[:, 0], at[:, 1])
            at = at + sign * stride * np.stack([np.cos(turn), np.sin(turn)], -1)
        halves.append(path)
    return np.stack(halves[0][:0:-1] + halves[1], 1)


def normals(paths: Array) -> Array:
    """Unit normals (N, S, 2) of paths (N, S, 2)."""
    d = np.gradient(paths, axis=1)
    d /= np.linalg.norm(d, axis=-1, keepdims=True) + 1e-9
    return np.stack([-d[..., 1], d[..., 0]], -1)


def ink(rgb: Array) -> list[tuple[int, int, int]]:
    """Colours (N, 3) in [0, 1] -> tuples for Pillow."""
    return [tuple(c) for c in (np.clip(rgb, 0, 1) * 255 + 0.5).astype(int).tolist()]


def bristle_strokes(
    picture: Image.Image, bumps: Image.Image, paths: Array, rgb: Array, width: float, hairs: int, rng: Rng
) -> None:
    """Draw strokes, in order, as bundles of hairs onto an RGB picture and its L height map.

    paths (N, S, 2) and width in px, rgb (N, 3). Each hair has its own shade, height and ends: that is what makes paint.
    """
    canvas, ground = ImageDraw.Draw(picture), ImageDraw.Draw(bumps)
    side, count, steps = normals(paths), len(paths), paths.shape[1]
    across = np.linspace(-0.5, 0.5, hairs)
    taper = np.sin(np.linspace(0.25, np.pi - 0.12, steps)) ** 0.5
    shade = rng.normal(0, 0.035, (count, hairs, 1)) + rng.normal(0, 0.012, (count, hairs, 3))
    level = 120 + 60 * np.abs(across * 2) + rng.normal(0, 34, (count, hairs)) + rng.uniform(-20, 40, (count, 1))
    first, last = (rng.integers(0, max(steps // 4, 1), (count, hairs)) for _ in range(2))
    thick = max(1, round(1.7 * width / hairs))
    for n in range(count):
        tints, heights = ink(rgb[n] + shade[n]), np.clip(level[n], 0, 255).astype(int).tolist()
        for k in rng.permutation(hairs):
            hair = paths[n] + side[n] * (across[k] * width * taper)[:, None]
            line = hair[first[n, k] : steps - last[n, k]].ravel().tolist()
            canvas.line(line, tints[k], thick)
            ground.line(line, heights[k], thick)


def nearest_two(seeds: Array, height: int, width: int, metric: Metric | None = None) -> tuple[NDArray, NDArray]:
    """The two nearest of the seeds (N, 2), in px, for every pixel: indices (2, H, W) and distances (2, H, W).

    `metric` takes dx, dy and seed indices; it may shrink a distance to 0.7 of the Euclidean one but not stretch it. Its
    nearest seeds are looked for among the CANDIDATES that are nearest by the Euclidean one.
    """
    tree = cKDTree(seeds)
    index, distance = np.empty((2, height, width), np.int32), np.empty((2, height, width), np.float32)
    for top in range(0, height, BAND_ROWS):
        y, x = np.mgrid[top : min(top + BAND_ROWS, height), :width].astype(np.float32)
        d, close = tree.query(np.stack([x, y], -1), k=2 if metric is None else CANDIDATES)
        if metric is not None:
            d = metric(x[..., None] - seeds[close, 0], y[..., None] - seeds[close, 1], close)
            two = np.argsort(d, axis=-1)[..., :2]
            d, close = np.take_along_axis(d, two, -1), np.take_along_axis(close, two, -1)
        index[:, top : top + BAND_ROWS] = np.moveaxis(close, -1, 0)
        distance[:, top : top + BAND_ROWS] = np.moveaxis(d, -1, 0)
    return index, distance


def border_distance(seeds: Array, index: NDArray, distance: NDArray) -> Array:
    """Distance (H, W), in px, to the edge of the Voronoi cell, from the result of `nearest_two`."""
    apart = np.linalg.norm(seeds[index[0]] - seeds[index[1]], axis=-1)
    return (distance[1] ** 2 - distance[0] ** 2) / (2 * apart + 1e-6)


def to_array(picture: Image.Image) -> Array:
    """RGB or L image -> (H, W, 3) or (H, W) in [0, 1]."""
    return np.asarray(picture, np.float32) / 255


def to_image(picture: Array, longest_px: int = 768) -> Image.Image:
    """(H, W, 3) in [0, 1] -> RGB image, scaled down so that its longer side is `longest_px`."""
    image = Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
    scale = longest_px / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
