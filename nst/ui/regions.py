"""What a visitor painted with the brushes -> masks, one for all styles or one for each."""

from __future__ import annotations

from PIL import Image, ImageColor

from nst import images

# A brush for each style, in their order: word -> colour, far from each other and visible on most photos.
BRUSHES = {"red": "#e11d48", "green": "#16a34a", "blue": "#2563eb", "yellow": "#facc15"}


def masks_of(layer: str | None, styles: int) -> list[Image.Image]:
    """No mask, one for all styles, or one for each. `ValueError` where a style has been given no place.

    One style is painted with any brush. Several are blended where the first brush alone was used.
    """
    if layer is None:
        return []
    whole = images.to_mask(layer)
    if styles == 1 or whole.getextrema()[1] == 0:
        return [whole]  # of an empty one the engine says so
    parts = images.regions(layer, [ImageColor.getrgb(colour) for colour in BRUSHES.values()])
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
