"""Short clips made by a program, whose true motion is known: pictures that move over each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nst.bench.engine import EXAMPLES
from nst.film.flow import sampled
from nst.images import pictures

HEIGHT, WIDTH = 288, 384  # px
FINER = 3  # a frame is rendered at this multiple of its size
EDGE_PX = 2  # nearer to the edge of a moving thing no motion counts as true
NOISE = 1.5  # standard deviation, of 255: two frames differ by 1.7 on average


@dataclass(frozen=True)
class Layer:
    """A picture that moves as a whole: at frame t, the pixel p of the frame shows zoom(t) * p + offset(t) of it."""

    colours: Tensor  # sRGB (1, 3, h, w) in [0, 1]
    alpha: Tensor | None  # (1, 1, h, w) in [0, 1]; None: it fills the frame
    place: Callable[[int], tuple[float, float, float]]  # frame -> zoom, x and y of the offset, px

    def at(self, t: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Where pixels of frame t are in the picture, px."""
        zoom, left, top = self.place(t)
        return zoom * x + left, zoom * y + top

    def back(self, t: int, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Where positions of the picture are in frame t, px."""
        zoom, left, top = self.place(t)
        return (u - left) / zoom, (v - top) / zoom

    def cover(self, u: Tensor, v: Tensor) -> Tensor:
        """How far the picture covers what is behind it, at positions of it."""
        if self.alpha is None:
            return torch.ones_like(u)
        height, width = self.alpha.shape[-2:]
        inside = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
        return read(self.alpha, u, v)[0, 0] * inside


@dataclass(frozen=True)
class Scene:
    """Layers from back to front, and how far the camera's noise goes, of 255."""

    layers: Sequence[Layer]
    noise: float = 0.0

    def frame(self, t: int) -> Image.Image:
        """Frame t as PIL RGB."""
        x, y = _pixels(FINER)
        picture = torch.zeros(1, 3, *x.shape)
        for layer in self.layers:
            u, v = layer.at(t, x, y)
            picture = torch.lerp(picture, read(layer.colours, u, v), layer.cover(u, v).float())
        picture = F.avg_pool2d(picture, FINER)
        generator = torch.Generator().manual_seed(t)
        return pictures.to_picture(picture + torch.randn(picture.shape, generator=generator) * self.noise / 255)

    def top(self, t: int, x: Tensor, y: Tensor) -> Tensor:
        """The number of the layer that shows at positions of frame t."""
        shown = torch.zeros(x.shape, dtype=torch.long)
        for number, layer in enumerate(self.layers):
            shown[layer.cover(*layer.at(t, x, y)) > 0.5] = number
        return shown

    def motion(self, t: int) -> tuple[Tensor, Tensor]:
        """The true flow (1, 2, H, W) from frame t to the one before, px, and where it counts (1, 1, H, W): 0 or 1."""
        x, y = _pixels(1)
        shown = self.top(t, x, y)
        x_before, y_before = x.clone(), y.clone()
        for number, layer in enumerate(self.layers):
            moved, own = layer.back(t - 1, *layer.at(t, x, y)), shown == number
            x_before[own], y_before[own] = moved[0][own], moved[1][own]
        counts = (x_before >= 0) & (x_before <= WIDTH - 1) & (y_before >= 0) & (y_before <= HEIGHT - 1)
        counts &= self.top(t - 1, x_before, y_before) == shown
        numbers = shown[None, None].float()
        reach = 2 * EDGE_PX + 1
        edge = F.max_pool2d(numbers, reach, 1, EDGE_PX) + F.max_pool2d(-numbers, reach, 1, EDGE_PX) > 0
        return torch.stack((x_before - x, y_before - y))[None].float(), (counts & ~edge).float()

    def error(self, t: int, before: Image.Image, after: Image.Image) -> float:
        """Mean difference of two results after the true motion, of 255, where the motion counts."""
        flow, counts = self.motion(t)
        moved = sampled(pictures.to_tensor(before), flow, "bilinear")
        difference = (moved - pictures.to_tensor(after)).abs() * counts
        return float(255 * difference.sum() / counts.sum() / 3)


def scenes() -> dict[str, Scene]:
    """A pan, a zoom, somebody who passes, somebody who passes behind a pillar, and a still camera with noise."""
    cat, coffee, person = (_opened(name) for name in ("chelsea", "coffee", "astronaut"))
    wide, zoomed = 0.8 * _fitting(person), _fitting(cat)
    face = _cut_out(person[..., :300, 120:360], 120)
    pillar = cat[..., :HEIGHT, 200:270]
    room = Layer(coffee, None, lambda t: (_fitting(coffee), 0, 0))

    def zooming(t: int) -> tuple[float, float, float]:
        zoom = zoomed * 0.985**t
        return zoom, (cat.shape[-1] - 1 - zoom * WIDTH) / 2, (cat.shape[-2] - 1 - zoom * HEIGHT) / 2

    return {
        "pan": Scene([Layer(person, None, lambda t: (wide, wide * 3.3 * t, 5 + wide * 0.6 * t))]),
        "zoom": Scene([Layer(cat, None, zooming)]),
        "walk": Scene([room, Layer(*face, lambda t: (1, -40 - 6 * t, -110 - 6 * math.sin(0.8 * t)))]),
        "pillar": Scene(
            [
                room,
                Layer(*face, lambda t: (1, -20 - 14 * t, -130)),
                Layer(pillar, torch.ones_like(pillar[:, :1]), lambda t: (1, -150, 0)),
            ]
        ),
        "still": Scene([Layer(person, None, lambda t: (_fitting(person), 0, 40))], NOISE),
    }


def read(picture: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """A picture (1, C, h, w) at positions (H, W), px; its edges are continued: (1, C, H, W)."""
    height, width = picture.shape[-2:]
    grid = torch.stack((2 * u / (width - 1) - 1, 2 * v / (height - 1) - 1), -1)[None].float()
    return F.grid_sample(picture, grid, "bilinear", "border", align_corners=True)


def _pixels(finer: int) -> tuple[Tensor, Tensor]:
    """x and y of the pixels of a frame that is rendered at a multiple of its size: (H, W) each, px of the frame."""
    sides = (((torch.arange(side * finer, dtype=torch.float64) + 0.5) / finer - 0.5) for side in (HEIGHT, WIDTH))
    y, x = torch.meshgrid(*sides, indexing="ij")
    return x, y


def _opened(name: str) -> Tensor:
    return pictures.to_tensor(pictures.load(EXAMPLES / "photos" / f"{name}.jpg"))


def _fitting(picture: Tensor) -> float:
    """The zoom at which a picture covers the frame."""
    return min((picture.shape[-1] - 1) / WIDTH, (picture.shape[-2] - 1) / HEIGHT)


def _cut_out(picture: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Colours and alpha of a picture in a rounded frame, `width` px wide."""
    height = round(width * picture.shape[-2] / picture.shape[-1])
    down, across = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    alpha = ((1 - across.abs() ** 2.5 - down.abs() ** 2.5) * 12).clamp(0, 1)
    return pictures.resize(picture, (height, width)), alpha[None, None]
