"""The settings of a run: one frozen dataclass, the only home of defaults, choices, limits and their validation.

Each field has a kind (`nst.setting_kinds`). The page's form and address, the command line and CSV files read a setting
with `read_value`, so that all of them take and refuse the same values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nst.setting_kinds import Blend, Kind, Layers, Number, Switch, Whole, Word

# Backbone -> number of convolutions in each of its five blocks (Simonyan & Zisserman 2014, configurations E and D).
BLOCKS: dict[str, tuple[int, ...]] = {
    "vgg19": (2, 2, 4, 4, 4),
    "vgg19-torchvision": (2, 2, 4, 4, 4),
    "vgg16-torchvision": (2, 2, 3, 3, 3),
}

# Quality -> optimiser steps on the coarsest level, on each level between, and on the level of the final size. A run
# that starts from the photo takes no more than those of a draft before the last level.
QUALITIES: dict[str, tuple[int, int, int]] = {
    "sketch": (6, 2, 3),
    "draft": (20, 15, 8),
    "balanced": (40, 30, 20),
    "fine": (80, 60, 40),
}

# Field -> its legal values, each with the words that the page shows beside it.
CHOICES: dict[str, dict[str, str]] = {
    "quality": {
        "sketch": "a first look: a fifth of the work of balanced",
        "draft": "a closer look: half the work of balanced",
        "balanced": "good strokes in reasonable time",
        "fine": "twice the steps at the final size, crisper detail",
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
    "style_parts": {
        "all": "everything in the style picture, as in the formulas",
        "recurring": "what recurs in the style picture; a thing that stands there once, such as a face, is left out",
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

# The five style layers of Gatys et al., each with words for what its style matrix holds.
STYLE_LAYER_WORDS: dict[str, str] = {
    "relu1_1": "colour and grain",
    "relu2_1": "fine strokes",
    "relu3_1": "strokes",
    "relu4_1": "patterns",
    "relu5_1": "motifs",
}


@dataclass(frozen=True)
class Limits:
    """The largest values that a run accepts, and the smallest."""

    smallest_size: int = 32  # px, longer side of the result
    size: int = 8192  # px, longer side of the result
    style_size: int = 4096  # px, longer side of a style picture; a larger result raises it to its own size
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
    aspect: float = 50.0  # longer side / shorter side; a narrower strip, enlarged to `smallest_side`, would be huge


LIMITS = Limits()


def layer_names(backbone: str = "vgg19") -> tuple[str, ...]:
    """All layers of a backbone from input to output: `conv1_1 relu1_1 conv1_2 ... pool5`."""
    names: list[str] = []
    for block, convolutions in enumerate(BLOCKS[backbone], start=1):
        for index in range(1, convolutions + 1):
            names += [f"conv{block}_{index}", f"relu{block}_{index}"]
        names.append(f"pool{block}")
    return tuple(names)


WEIGHT = Number(0, LIMITS.weight)
SHARE = Number(0, 1)


def _option(default: Any, kind: Kind, words: str) -> Any:
    """A dataclass field of a kind, with one plain sentence that the page and `--help` show."""
    metadata = {"kind": kind, "help": words}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def _choice(default: str, name: str, words: str) -> Any:
    return _option(default, Word.of(CHOICES[name]), words)


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run besides its pictures. An illegal value raises `ValueError` with the remedy."""

    alpha: float = _option(1.0, WEIGHT, "Weight of the content cost: more keeps the photo's shapes more firmly.")
    beta: float = _option(10.0, WEIGHT, "Weight of the style cost: more paints the style more strongly.")
    content_layers: Mapping[str, float] = _option(
        {"relu4_2": 1.0},
        Layers(WEIGHT),
        "Layers of the network that hold the photo's content; deeper ones keep less detail.",
    )
    style_layers: Mapping[str, float] = _option(
        dict.fromkeys(STYLE_LAYER_WORDS, 0.2), Layers(WEIGHT), "The lambdas: how much each layer's style matrix counts."
    )
    style_blend: tuple[float, ...] | None = _option(
        None,
        Blend(WEIGHT, LIMITS.styles),
        "How much each style picture counts, in their order; equal shares when not given.",
    )
    style_scale: float = _option(
        1.0,
        Number(LIMITS.smallest_style_scale, LIMITS.style_scale),
        "Size of the strokes: the style picture is shown to the network at this multiple of the result's size.",
    )
    statistic: str = _choice("gram", "statistic", "What the run compares between the style picture and the result.")
    style_parts: str = _choice(
        "all", "style_parts", "Which parts of the style picture the deep style layers see: patterns and motifs."
    )
    colour: str = _choice("style", "colour", "Where the colours come from: the style picture, or the photo.")
    colour_when: str = _choice(
        "after", "colour_when", "Whether the photo's colours are taken before painting or after."
    )
    colour_amount: float = _option(1.0, SHARE, "How far the colours are changed: 0 not at all, 1 completely.")
    mask_edge: float = _option(
        0.0,
        SHARE,
        "Width of a mask's edge, as a share of the picture's longer side: 0 is a hard edge, 0.02 a soft one.",
    )
    size: int = _option(
        384, Whole(LIMITS.smallest_size, LIMITS.size, " px"), "Longer side of the result in pixels; more takes longer."
    )
    original_size: bool = _option(False, Switch(), "Scale the finished picture to the photo's own size.")
    quality: str = _choice(
        "balanced", "quality", "How many steps are taken: more give crisper strokes and take longer."
    )
    steps: int | None = _option(None, Whole(1, LIMITS.steps), "Steps at the final size, whatever the quality is.")
    pyramid: bool = _option(
        True, Switch(), "Paint a small picture first and enlarge it level by level, which makes large strokes."
    )
    optimiser: str = _choice("lbfgs", "optimiser", "The method that changes the pixels to lower the cost J.")
    init: str = _choice("content", "init", "The picture that the run starts from.")
    pooling: str = _choice(
        "max", "pooling", "What the network keeps of every four neighbouring values: largest or mean."
    )
    total_variation: float = _option(
        0.0, WEIGHT, "Weight of a penalty on differences between neighbouring pixels, which smooths the result."
    )
    averaging: float = _option(
        0.0,
        Number(0, LIMITS.averaging),
        "Share of the earlier steps in the result, which calms it: 0 takes the last step.",
    )
    plateau: float = _option(0.0, SHARE, "End a level early when ten steps lower J by less than this share: 0 never.")
    balance: bool = _option(
        True,
        Switch(),
        "Divide each cost by its value when nothing matches, so that weights mean the same for every picture.",
    )
    backbone: str = _choice("vgg19", "backbone", "The trained network whose activations are compared.")
    seed: int = _option(0, Whole(0, 2**63 - 1), "Number that decides the noise; the same seed gives the same picture.")
    device: str = _option(
        "auto",
        Word("auto, cpu, cuda or cuda:N", r"auto|cpu|cuda(:[0-9]+)?"),
        "Where to compute: auto takes a GPU if there is one; cpu, cuda, or cuda:N for the GPU of number N.",
    )
    precision: str = _choice(
        "auto", "precision", "Number format inside the network: bfloat16 needs half the memory of float32."
    )
    tile_px: int | None = _option(
        None,
        Whole(LIMITS.smallest_tile, LIMITS.size, " px"),
        "Side in pixels of the tiles in which the network sees a large picture: smaller ones need less memory and give "
        "the same result. Chosen by the free memory when not given.",
    )
    max_seconds: float | None = _option(
        None, Number(0, 86_400), "Stop after this many seconds, with the picture so far."
    )

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            value = getattr(self, name)
            if value is not None or name not in OPTIONAL:
                # Checking copies mappings and lists: a later change by the caller must not reach the run.
                object.__setattr__(self, name, kind.check(name, value))
        self._check_layers()
        if self.alpha == self.beta == self.total_variation == 0 or not {**self.content_layers, **self.style_layers}:
            raise ValueError("alpha=0 and beta=0 leave nothing to minimise; raise one of them")

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers that the costs need."""
        return *self.content_layers, *self.style_layers

    def _check_layers(self) -> None:
        legal = layer_names(self.backbone)
        for name, factor in (("content_layers", "alpha"), ("style_layers", "beta")):
            weights = getattr(self, name)
            for layer in weights:
                if layer not in legal:
                    raise ValueError(
                        f"{name} has {layer!r:.60}, not a layer of {self.backbone}; choose from {' '.join(legal)}"
                    )
            if getattr(self, factor) > 0 and not any(weights.values()):
                raise ValueError(
                    f"{name} has no layer with a weight above 0; raise one, or set {factor}=0 to do without"
                )


KINDS: dict[str, Kind] = {item.name: item.metadata["kind"] for item in fields(Settings)}
OPTIONAL = frozenset(item.name for item in fields(Settings) if item.default is None)  # fields that may be None
LONGEST_TEXT = 64  # characters between two commas of a value's text


def read_value(name: str, given: Any) -> Any:
    """The value of a field from its text, or from what a widget gives. `ValueError` says what is legal."""
    if given is None and name in OPTIONAL:
        return None
    kind = KINDS[name]
    if isinstance(given, str) and max(map(len, given.split(","))) > LONGEST_TEXT:
        raise ValueError(f"{name}={given!r:.{LONGEST_TEXT}} cannot be read; write at most {LONGEST_TEXT} characters")
    try:
        value = kind.parse(given)
    except ValueError:
        raise ValueError(f"{name}={given!r:.{LONGEST_TEXT}} cannot be read; write {kind.legal}") from None
    return kind.check(name, value)


def write_value(name: str, value: Any) -> str:
    """The text from which `read_value` gives an equal value back."""
    return KINDS[name].write(value)
