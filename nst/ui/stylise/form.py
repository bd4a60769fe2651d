"""The endpoint's parameters -> what the engine needs, and settings -> the parameters that say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from PIL import Image, ImageColor

from nst import Settings, recipe
from nst.images import pictures
from nst.images.pictures import Source
from nst.setting_kinds import Blend, Layers
from nst.settings import KINDS, LIMITS, STYLE_LAYER_WORDS, WEIGHT, layer_names, read_value
from nst.ui.server.limits import page_limits, within_limits

DEFAULTS = Settings()
SOFT_EDGE = 0.02  # of a mask painted by hand
PAGE_DEFAULTS = Settings(mask_edge=SOFT_EDGE)  # what the controls say when the page opens
# Fields that are one parameter of the endpoint, of the same name, or none; layers and blend are spread over several.
SINGLE = {name for name, kind in KINDS.items() if not isinstance(kind, (Layers, Blend))}
NOT_ON_PAGE = {"steps", "pyramid", "balance", "plateau", "backbone", "device", "precision", "tile_px"}

# Parameters that are pictures.
PICTURES = ("photo", "style", "style_2", "style_3", "style_4", "mask", "start", "style_mask")

# Name -> colour of the brush of each style, in their order: easy to tell apart, and visible on most photos.
BRUSHES = {"red": "#e11d48", "green": "#16a34a", "blue": "#2563eb", "yellow": "#facc15"}
STYLE_BRUSHES = ("#000000", "#ffffff")  # on the style picture; a style mask has these colours: black leaves out


@dataclass(frozen=True)
class RunRequest:
    """The pictures and settings of a run that a visitor or a program asks for."""

    photo: Source
    styles: tuple[Source, ...]
    masks: tuple[Image.Image, ...]
    start: Source | None
    settings: Settings
    dpi: int | None = None  # of a print
    style_masks: tuple[Source, ...] = ()  # of the first styles

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Of all pictures, for the recipe. Cached, because they must be decoded for it."""
        return recipe.fingerprints(self.photo, self.styles, self.masks, self.start, self.style_masks)


def run_request(given: Mapping[str, Any], **changes: Any) -> RunRequest:
    """The run of these parameters, with some settings changed. `ValueError` says what is wrong."""
    photo, style = given["photo"], given["style"]
    if photo is None or style is None:
        missing = "photo" if photo is None else "style picture"
        raise ValueError(f"there is no {missing} yet; drop one, or click one of the examples")
    offered = [(style, given["share_1"]), *((given[f"style_{n}"], given[f"share_{n}"]) for n in (2, 3, 4))]
    styles, shares = zip(*[pair for pair in offered if pair[0] is not None], strict=True)
    settings = within_limits(settings_of(given, shares, **changes))
    masks, by_hand = tuple(masks_of(given["mask"], len(styles))), given["style_mask"]
    style_masks = () if by_hand is None else (by_hand,)
    return RunRequest(photo, styles, masks, given["start"], settings, style_masks=style_masks)


def settings_of(given: Mapping[str, Any], shares: tuple[float, ...] | None, **changes: Any) -> Settings:
    """The settings of these parameters, some changed; `shares` are the weights of the styles."""
    lambdas = {layer: given[f"lambda_{layer}"] for layer in STYLE_LAYER_WORDS}
    more_lambdas, more_content = _read_table(given["other_layers"])
    single = {name: value for name, value in given.items() if name in SINGLE}
    single["max_seconds"] = given["max_seconds"] or None  # 0 on the page is no limit
    chosen = {name: read_value(name, value) for name, value in single.items()}
    chosen |= {
        "style_layers": {**lambdas, **more_lambdas},
        "content_layers": {str(given["content_layer"]): 1.0, **more_content},
        "style_blend": shares,
    }
    return Settings(**{**chosen, **changes})


def parameters_of(settings: Settings) -> tuple[dict[str, Any], list[str]]:
    """The parameters that say these settings, and the names of the settings that the page's controls cannot express."""
    lambdas = {f"lambda_{layer}": settings.style_layers.get(layer, 0) for layer in STYLE_LAYER_WORDS}
    first, more_content = _content_controls(settings.content_layers)
    rows = [
        [layer, 0 if layer in STYLE_LAYER_WORDS else settings.style_layers.get(layer, 0), more_content.get(layer, 0)]
        for layer in layer_names(DEFAULTS.backbone)
        if layer not in STYLE_LAYER_WORDS or layer in more_content
    ]
    shares = [*(settings.style_blend or ()), *(1.0,) * LIMITS.styles][: LIMITS.styles]
    given = {name: getattr(settings, name) for name in SINGLE - NOT_ON_PAGE}
    most_s = page_limits().run_s
    budget_s = 0 if (settings.max_seconds or most_s) >= most_s else settings.max_seconds
    given |= lambdas | {"content_layer": first, "other_layers": rows, "max_seconds": budget_s}
    given |= {f"share_{number}": share for number, share in enumerate(shares, start=1)}
    missing = [name for name in sorted(NOT_ON_PAGE) if getattr(settings, name) != getattr(DEFAULTS, name)]
    if any(settings.content_layers.values()) and not settings.content_layers.get(first):
        missing.insert(0, "content_layers")
    return given, missing


def _content_controls(layers: Mapping[str, float]) -> tuple[str, dict[str, float]]:
    """The layer of the control *Content layer*, and the weights that the table of layers must give besides.

    The control offers ReLU layers only and always gives one of them a weight: 1, unless the table has a number for it.
    Without a ReLU layer the content layers therefore cannot be expressed, and the default is returned.
    """
    counted = {layer: weight for layer, weight in layers.items() if weight > 0}
    offered = [layer for layer in counted if layer.startswith("relu")]
    if not offered:
        return next(iter(DEFAULTS.content_layers)), {}
    first = min(offered, key=lambda layer: counted[layer] != 1)  # one of weight 1 needs no number in the table
    return first, {layer: weight for layer, weight in counted.items() if layer != first or weight != 1}


def _read_table(rows: Sequence[Sequence[Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """The table of further layers -> the style layers and the content layers that have a number other than 0 there."""
    style, content = {}, {}
    for row in rows:
        if len(row) < 3 or not isinstance(row[0], str):
            raise ValueError(
                f"{row!r:.40} in the table of layers is no layer with two numbers; leave the rows as they are"
            )
        layer, *cells = row
        for weights, cell in zip((style, content), cells, strict=False):
            try:
                weight = WEIGHT.check(layer, WEIGHT.parse(cell or 0))
            except ValueError:
                raise ValueError(f"{layer} has {cell!r:.20} in the table of layers; give {WEIGHT.legal}") from None
            if weight != 0:
                weights[layer] = weight
    return style, content


def masks_of(layer: str | None, styles: int) -> list[Image.Image]:
    """No mask, one mask for all styles, or one for each style. `ValueError` when a style has no place.

    A single style goes where any brush painted. Several styles are blended where only the first brush painted, and in
    a mask without colours where it is white.
    """
    if layer is None:
        return []
    whole = pictures.to_mask(layer)
    if styles == 1 or whole.getextrema()[1] == 0 or not pictures.has_coloured_paint(layer):
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
