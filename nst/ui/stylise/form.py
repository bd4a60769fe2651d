"""The endpoint's parameters -> what the engine needs, and settings -> the parameters that say them."""

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
from nst.ui.server.limits import page_limits, within_limits

DEFAULTS = Settings()
# Settings that one parameter of the same name says, and those of them that the page has a control for.
STRAIGHT = {item.name for item in dataclasses.fields(Settings)} - {"style_layers", "content_layers", "style_blend"}
ON_PAGE = STRAIGHT - {"steps", "pyramid", "balance", "plateau", "backbone", "device", "precision", "tile_px"}

PICTURES = ("photo", "style", "style_2", "style_3", "style_4", "mask", "start")  # parameters that are pictures

# Name -> colour of the brush of each style, in their order: easy to tell apart, and visible on most photos.
BRUSHES = {"red": "#e11d48", "green": "#16a34a", "blue": "#2563eb", "yellow": "#facc15"}


@dataclass(frozen=True)
class RunRequest:
    """The pictures and settings of a run that a visitor or a program asks for."""

    photo: Source
    styles: tuple[Source, ...]
    masks: tuple[Image.Image, ...]
    start: Source | None
    settings: Settings

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Of all pictures, for the recipe. Cached, because they must be decoded for it."""
        return recipe.fingerprints(self.photo, self.styles, self.masks, self.start)


def run_request(given: Mapping[str, Any], **changes: Any) -> RunRequest:
    """The run of these parameters, with some settings changed. `ValueError` says what is wrong."""
    photo, style = given["photo"], given["style"]
    if photo is None or style is None:
        missing = "photo" if photo is None else "style picture"
        raise ValueError(f"there is no {missing} yet; drop one, or click one of the examples")
    offered = [(style, given["share_1"]), *((given[f"style_{n}"], given[f"share_{n}"]) for n in (2, 3, 4))]
    styles, shares = zip(*[pair for pair in offered if pair[0] is not None], strict=True)
    settings = within_limits(settings_of(given, shares, **changes))
    return RunRequest(photo, styles, tuple(masks_of(given["mask"], len(styles))), given["start"], settings)


def settings_of(given: Mapping[str, Any], shares: tuple[float, ...] | None, **changes: Any) -> Settings:
    """The settings of these parameters, some changed; `shares` are the weights of the styles."""
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


def parameters_of(settings: Settings) -> tuple[dict[str, Any], list[str]]:
    """The parameters that say these settings, and the names of the settings that no parameter can say."""
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
    most_s = page_limits().run_s
    budget_s = 0 if (settings.max_seconds or most_s) >= most_s else settings.max_seconds
    given |= lambdas | {"content_layer": first, "other_layers": rows, "max_seconds": budget_s}
    given |= {f"share_{number}": share for number, share in enumerate(shares, start=1)}
    missing = [name for name in sorted(STRAIGHT - ON_PAGE) if getattr(settings, name) != getattr(DEFAULTS, name)]
    return given, missing


def _layers(rows: Sequence[Sequence[Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """Rows of the table of further layers -> style and content layers whose weight is not 0."""
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
    """A number from a slider or a client as an int. A fraction is refused, not cut off."""
    if not isinstance(value, Real) or value % 1 != 0:  # true for NaN and infinity too
        raise ValueError(f"{name}={value!s:.40} must be a whole number")
    return int(value)


def masks_of(layer: str | None, styles: int) -> list[Image.Image]:
    """No mask, one mask for all styles, or one for each style. `ValueError` when a style has no place.

    A single style goes where any brush painted. Several styles are blended where only the first brush painted.
    """
    if layer is None:
        return []
    whole = pictures.to_mask(layer)
    if styles == 1 or whole.getextrema()[1] == 0:
        return [whole]  # the engine refuses an empty mask with a sentence
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
    return mask.getextrema()[1] > 127  # smaller values are the blend at the edge between two brushes
