"""What a visitor or a program has set -> what the engine needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

from PIL import Image, ImageColor

from nst import Settings, recipe
from nst.images import pictures
from nst.images.pictures import Source
from nst.settings import LIMITS, STYLE_LAYER_WORDS, layer_names
from nst.ui.server.limits import PAGE_LIMITS, within

DEFAULTS = Settings()
STRAIGHT = {item.name for item in dataclasses.fields(Settings)} - {"style_layers", "content_layers", "style_blend"}
# Those that the page has no control for.
ON_PAGE = STRAIGHT - {"steps", "pyramid", "balance", "plateau", "backbone", "device", "precision"}

# A brush for each style, in their order: word -> colour, far from each other and visible on most photos.
BRUSHES = {"red": "#e11d48", "green": "#16a34a", "blue": "#2563eb", "yellow": "#facc15"}


@dataclass(frozen=True)
class Order:
    """A run that somebody wants."""

    photo: Source
    styles: tuple[Source, ...]
    masks: tuple[Image.Image, ...]
    start: Source | None
    settings: Settings

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Of all pictures, for the recipe; decoding them takes a moment, so only once."""
        return recipe.fingerprints(self.photo, self.styles, self.masks, self.start)


def order(given: Mapping[str, Any], **changes: Any) -> Order:
    """The run from the endpoint's parameters by name, some settings changed. `ValueError` says what is wrong."""
    photo, style = given["photo"], given["style"]
    if photo is None or style is None:
        missing = "photo" if photo is None else "style picture"
        raise ValueError(f"there is no {missing} yet; drop one, or click one of the examples")
    offered = [(style, given["share_1"]), *((given[f"style_{n}"], given[f"share_{n}"]) for n in (2, 3, 4))]
    styles, shares = zip(*[pair for pair in offered if pair[0] is not None], strict=True)
    settings = within(settings_of(given, shares, **changes))
    return Order(photo, styles, tuple(masks_of(given["mask"], len(styles))), given["start"], settings)


def settings_of(given: Mapping[str, Any], shares: tuple[float, ...] | None, **changes: Any) -> Settings:
    """The settings from the endpoint's parameters by name, some changed; `shares` are those of the styles."""
    lambdas = {layer: given[f"lambda_{layer}"] for layer in STYLE_LAYER_WORDS}
    more_lambdas, more_content = _layers(given["other_layers"])
    chosen = {name: value for name, value in given.items() if name in STRAIGHT}
    chosen |= {
        "style_layers": {**lambdas, **more_lambdas},
        "content_layers": {str(given["content_layer"]): 1.0, **more_content},
        "style_blend": shares,
        "size": _whole("size", given["size"]),
        "seed": _whole("seed", given["seed"]),
        "max_seconds": given["max_seconds"] or None,
    }
    return Settings(**{**chosen, **changes})


def values(settings: Settings) -> tuple[dict[str, Any], list[str]]:
    """The other way round: the endpoint's parameters by name for these settings, and what they cannot say."""
    lambdas = {f"lambda_{layer}": settings.style_layers.get(layer, 0) for layer in STYLE_LAYER_WORDS}
    (first, _), *_ = settings.content_layers.items() or DEFAULTS.content_layers.items()
    alone = settings.content_layers.get(first) == 1
    rows = [
        [
            layer,
            settings.style_layers.get(layer, 0),
            0 if layer == first and alone else settings.content_layers.get(layer, 0),
        ]
        for layer in layer_names(DEFAULTS.backbone)
        if layer not in STYLE_LAYER_WORDS
    ]
    shares = [*(settings.style_blend or ()), *(1.0,) * LIMITS.styles][: LIMITS.styles]
    given = {name: getattr(settings, name) for name in STRAIGHT if name in ON_PAGE}
    budget_s = 0 if (settings.max_seconds or PAGE_LIMITS.run_s) >= PAGE_LIMITS.run_s else settings.max_seconds
    given |= lambdas | {"content_layer": first, "other_layers": rows, "max_seconds": budget_s}
    given |= {f"share_{number}": share for number, share in enumerate(shares, start=1)}
    missing = [name for name in sorted(STRAIGHT - ON_PAGE) if getattr(settings, name) != getattr(DEFAULTS, name)]
    return given, missing


def _layers(rows: Sequence[Sequence[Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """The table of further layers -> style and content layers whose number is not 0."""
    style, content = {}, {}
    for row in rows:
        if len(row) < 3 or not isinstance(row[0], str):
            raise ValueError(
                f"{row!r:.40} in the table of layers is no layer with two numbers; leave the rows as they are"
            )
        layer, weight, content_weight, *_ = row
        for chosen, value in ((style, weight), (content, content_weight)):
            try:
                number = float(value or 0)
            except (TypeError, ValueError):
                raise ValueError(f"{layer} has {value!r:.20} in the table of layers; give a number") from None
            if number != 0:
                chosen[layer] = number
    return style, content


def _whole(name: str, value: float) -> int:
    """A number from a slider or a client as an int; fractions are refused, not cut off."""
    if not isinstance(value, Real) or value % 1 != 0:  # true for NaN and infinity too
        raise ValueError(f"{name}={value!s:.40} must be a whole number")
    return int(value)


def masks_of(layer: str | None, styles: int) -> list[Image.Image]:
    """No mask, one for all styles, or one for each. `ValueError` where a style has been given no place.

    One style is painted with any brush. Several are blended where the first brush alone was used.
    """
    if layer is None:
        return []
    whole = pictures.to_mask(layer)
    if styles == 1 or whole.getextrema()[1] == 0:
        return [whole]  # of an empty one the engine says so
    parts = pictures.brush_masks(layer, [ImageColor.getrgb(colour) for colour in BRUSHES.values()])
    if not any(map(_painted, parts[1:])):
        return [whole]
    for number, (word, part) in enumerate(zip(list(BRUSHES)[:styles], parts, strict=False), start=1):
        if not _painted(part):
            raise ValueError(f"style {number} has no place: brush with {word} where it goes, or take the style out")
    for word, part in list(zip(BRUSHES, parts, strict=True))[styles:]:
        if _painted(part):
            raise ValueError(f"{word} stands for a style that is not there; add the style, or erase what is {word}")
    return parts[:styles]


def _painted(mask: Image.Image) -> bool:
    return mask.getextrema()[1] > 127  # less is the blend at the edge between two brushes
