"""What a run can be told: one frozen dataclass that is the only home of defaults, choices, limits and their validation.

The page, the command line, the recipe and the error texts all read the tables of this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

# Backbone -> number of convolutions in each of its five blocks (Simonyan & Zisserman 2014, configurations E and D).
BLOCKS: dict[str, tuple[int, ...]] = {
    "vgg19": (2, 2, 4, 4, 4),
    "vgg19-torchvision": (2, 2, 4, 4, 4),
    "vgg16-torchvision": (2, 2, 3, 3, 3),
}

# Quality -> optimiser steps on the coarsest level, on each level between, and on the level of the final size.
QUALITIES: dict[str, tuple[int, int, int]] = {
    "draft": (20, 15, 8),
    "balanced": (40, 30, 20),
    "fine": (80, 60, 40),
}

# Field -> its legal values, each with the words that the page and the command line use for it.
CHOICES: dict[str, dict[str, str]] = {
    "quality": {
        "draft": "a quick look",
        "balanced": "good strokes in reasonable time",
        "fine": "twice the steps, crisper detail",
    },
    "optimiser": {
        "lbfgs": "the fastest here",
        "adam": "simpler, slower, a little softer",
    },
    "init": {
        "content": "the photo itself",
        "coloured": "the photo in the style's colours",
        "noise": "grey noise: everything is invented",
        "style": "the style picture",
    },
    "pooling": {"max": "as the network was trained", "average": "smoother, as Gatys et al. preferred"},
    "statistic": {
        "gram": "the style matrix: which channels fire together",
        "wasserstein": "mean and covariance of the channels: closer to the style's colours, a third slower",
    },
    "colour": {
        "style": "the style picture's colours",
        "luminance": "the photo's colours, the painting's light and dark",
        "symmetric": "the photo's palette, moved as little as possible",
        "cholesky": "the photo's palette, matched channel after channel",
        "pca": "the photo's palette, matched along its main axes",
        "histogram": "the photo's palette, shade by shade",
    },
    "colour_when": {
        "after": "recolour the finished picture",
        "before": "recolour the style picture first",
    },
    "backbone": {
        "vgg19": "the original Oxford network, included",
        "vgg19-torchvision": "retrained by torchvision, 548 MB download",
        "vgg16-torchvision": "retrained by torchvision, 528 MB download",
    },
    "precision": {
        "auto": "bfloat16 where the hardware computes it natively, else float32",
        "float32": "reference precision",
        "bfloat16": "half the memory, faster on hardware that has it",
    },
}

# The five style layers of Gatys et al., each with a word for what its style matrix holds.
STYLE_LAYER_WORDS: dict[str, str] = {
    "relu1_1": "colour and grain",
    "relu2_1": "fine strokes",
    "relu3_1": "strokes",
    "relu4_1": "patterns",
    "relu5_1": "motifs",
}


@dataclass(frozen=True)
class Limits:
    """The largest values a run accepts, and the smallest picture the network can see."""

    smallest_size: int = 32  # px, longer side of the result
    size: int = 8192  # px, longer side of the result
    style_size: int = 4096  # px, longer side of a style picture, unless the result is larger
    smallest_tile: int = 32  # px
    steps: int = 10_000
    weight: float = 1e6  # alpha, beta, total variation and each layer's weight
    styles: int = 4
    smallest_style_scale: float = 0.25
    style_scale: float = 4.0
    averaging: float = 0.999
    original_megapixels: float = 40.0  # of a result at the photo's own size
    smallest_side: int = 16  # px, shorter side: four poolings leave one position at relu5_1
    megapixels: float = 100.0  # of an uploaded picture
    aspect: float = 50.0  # longer side over shorter: scaled until the network sees it, a longer strip would be huge


LIMITS = Limits()


def layer_names(backbone: str = "vgg19") -> tuple[str, ...]:
    """All layers of a backbone from input to output: `conv1_1 relu1_1 conv1_2 ... pool5`."""
    names: list[str] = []
    for block, convolutions in enumerate(BLOCKS[backbone], start=1):
        for index in range(1, convolutions + 1):
            names += [f"conv{block}_{index}", f"relu{block}_{index}"]
        names.append(f"pool{block}")
    return tuple(names)


def _option(default: Any, words: str) -> Any:
    """A dataclass field with one plain sentence that the page and `--help` show."""
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata={"help": words})
    return field(default=default, metadata={"help": words})


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run besides its pictures. Illegal values raise `ValueError` with the remedy."""

    alpha: float = _option(1.0, "How firmly the photo's content is kept.")
    beta: float = _option(10.0, "How strongly the style is painted.")
    content_layers: Mapping[str, float] = _option(
        {"relu4_2": 1.0}, "Layers that hold the content, each with a weight: deeper ones keep less detail."
    )
    style_layers: Mapping[str, float] = _option(
        dict.fromkeys(STYLE_LAYER_WORDS, 0.2), "The lambdas: how much each layer's style matrix counts."
    )
    style_blend: tuple[float, ...] | None = _option(
        None, "How much each style picture counts, in their order; equal shares when not given."
    )
    style_scale: float = _option(1.0, "How large the strokes are: the size of the style picture beside the result.")
    statistic: str = _option("gram", "What is compared between style picture and result.")
    colour: str = _option("style", "Whose colours the result has.")
    colour_when: str = _option("after", "When the photo's colours come in.")
    colour_amount: float = _option(1.0, "How far the colours change: 0 not at all, 1 fully.")
    mask_edge: float = _option(0.0, "Width of a mask's soft edge, as a share of the longer side.")
    size: int = _option(384, "Longer side of the result in pixels.")
    original_size: bool = _option(False, "Scale the finished picture to the photo's own size.")
    quality: str = _option("balanced", "How many steps are taken: more steps, crisper strokes, more time.")
    steps: int | None = _option(None, "Steps at the final size instead of what the quality says.")
    pyramid: bool = _option(True, "Work from small to large, which paints large strokes first.")
    optimiser: str = _option("lbfgs", "The method that moves the pixels downhill.")
    init: str = _option("content", "The picture that the run starts from.")
    pooling: str = _option("max", "How the network shrinks its grids between blocks.")
    total_variation: float = _option(0.0, "Smooths the result: a penalty on differences between neighbouring pixels.")
    averaging: float = _option(0.0, "Share of the past in a running average of the pictures, which calms them: 0 none.")
    plateau: float = _option(0.0, "End a level early once ten steps lower J by less than this share: 0 never.")
    balance: bool = _option(
        True, "Divide each cost by its target's energy, so weights mean the same for every picture."
    )
    backbone: str = _option("vgg19", "The network whose activations are compared.")
    seed: int = _option(0, "Number that decides the noise; the same seed gives the same picture.")
    device: str = _option("auto", "Where to compute: auto, cpu, cuda or cuda:N.")
    precision: str = _option("auto", "Number format inside the network.")
    tile_px: int | None = _option(
        None, "Side in pixels of the tiles in which the network sees a large picture: less memory, the same result."
    )
    max_seconds: float | None = _option(None, "Stop after so many seconds with the picture so far.")

    def __post_init__(self) -> None:
        for name, words in CHOICES.items():
            _check_choice(name, getattr(self, name), words)
        for name in ("alpha", "beta", "total_variation"):
            _check_number(name, getattr(self, name), 0, LIMITS.weight)
        _check_number("style_scale", self.style_scale, LIMITS.smallest_style_scale, LIMITS.style_scale)
        _check_number("averaging", self.averaging, 0, LIMITS.averaging)
        for name in ("colour_amount", "mask_edge", "plateau"):
            _check_number(name, getattr(self, name), 0, 1)
        for name in ("pyramid", "balance", "original_size"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}={getattr(self, name)!r} must be True or False")
        _check_integer("size", self.size, LIMITS.smallest_size, LIMITS.size, unit=" px")
        _check_integer("seed", self.seed, 0, 2**63 - 1)
        self._check_optional()
        if not isinstance(self.device, str) or not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"device={self.device!r} is not known; choose auto, cpu, cuda or cuda:N")
        self._check_layers()
        self._check_blend()
        if self.alpha == self.beta == self.total_variation == 0 or not {**self.content_layers, **self.style_layers}:
            raise ValueError("alpha=0 and beta=0 leave nothing to minimise; raise one of them")

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers that the costs need."""
        return *self.content_layers, *self.style_layers

    def _check_optional(self) -> None:
        if self.steps is not None:
            _check_integer("steps", self.steps, 1, LIMITS.steps)
        if self.tile_px is not None:
            _check_integer("tile_px", self.tile_px, LIMITS.smallest_tile, LIMITS.size, unit=" px")
        if self.max_seconds is not None:
            _check_number("max_seconds", self.max_seconds, 0, 86_400)

    def _check_layers(self) -> None:
        for name in ("content_layers", "style_layers"):
            layers = getattr(self, name)
            if not isinstance(layers, Mapping):
                raise ValueError(f"{name}={layers!r} must map layer names to weights, for example {{'relu4_1': 0.2}}")
            legal = layer_names(self.backbone)
            for layer, weight in layers.items():
                if layer not in legal:
                    raise ValueError(
                        f"{name} has {layer!r}, not a layer of {self.backbone}; choose from {' '.join(legal)}"
                    )
                _check_number(f"{name}[{layer!r}]", weight, 0, LIMITS.weight)
            object.__setattr__(self, name, dict(layers))  # a copy: a later change by the caller must not reach the run
        for name, weight in (("content_layers", self.alpha), ("style_layers", self.beta)):
            if weight > 0 and not any(getattr(self, name).values()):
                factor = "alpha" if name == "content_layers" else "beta"
                raise ValueError(
                    f"{name} has no layer with a weight above 0; raise one, or set {factor}=0 to do without"
                )

    def _check_blend(self) -> None:
        if self.style_blend is None:
            return
        try:
            blend = tuple(self.style_blend)
        except TypeError:
            raise ValueError(
                f"style_blend={self.style_blend!r} must be one weight per style, such as (0.7, 0.3)"
            ) from None
        if not 1 <= len(blend) <= LIMITS.styles:
            raise ValueError(f"style_blend has {len(blend)} weights; give 1 to {LIMITS.styles}, one per style")
        for index, weight in enumerate(blend):
            _check_number(f"style_blend[{index}]", weight, 0, LIMITS.weight)
        if sum(blend) == 0:
            raise ValueError(f"style_blend={blend} has only zeros; raise the weight of at least one style")
        object.__setattr__(self, "style_blend", blend)


def _check_choice(name: str, value: Any, words: Mapping[str, str]) -> None:
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"{name}={value!r} is not known; choose from {', '.join(words)}")


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or value != value:  # NaN
        raise ValueError(f"{name}={value!r} must be a number from {low:g} to {high:g}")
    if not low <= value <= high:
        raise ValueError(f"{name}={value!s:.40} is outside {low:g} to {high:g}; choose a number inside")


def _check_integer(name: str, value: Any, low: int, high: int, unit: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{name}={value!r} must be a whole number from {low} to {high}{unit}")
    if value > high:
        raise ValueError(f"{name}={value}{unit} is over the limit of {high}{unit}; choose a smaller {name}")
    if value < low:
        raise ValueError(f"{name}={value}{unit} is under the limit of {low}{unit}; choose a larger {name}")
