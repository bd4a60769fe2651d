"""The painted picture, and the colours, mask and transparency that are applied to it.

A result keeps these parts separate, so that the colours can be changed without a new run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from nst.images import colour, masks, pictures
from nst.settings import Settings


@dataclass(frozen=True)
class Painting:
    """The parts of a finished picture, on the CPU, in [0, 1]: sRGB (1, 3, H, W), mask and alpha (1, 1, H, W)."""

    painted: Tensor
    photo: Tensor
    mask: Tensor | None  # 1 where the painting shows, 0 where the photo does; None: the painting shows everywhere
    alpha: Tensor | None  # the photo's alpha; None: opaque
    colour: str = "style"  # `Settings.colour`
    amount: float = 1.0  # `Settings.colour_amount`
    grey: Tensor | None = None  # (1, 1, H or 1, W or 1): how far it is painted in grey; None: not at all

    @classmethod
    def of(
        cls,
        image: Tensor,
        photo: Image.Image,
        drawn: Sequence[Image.Image],
        settings: Settings,
        grey_styles: Sequence[bool] = (),
    ) -> Painting:
        """Scale the last step's picture (1, 3, H, W), the photo and the masks (mode L) to the size of the result."""
        size = result_size(photo, settings)
        colours, alpha = pictures.split(pictures.scaled(photo, size))
        regions = [
            masks.soften(pictures.to_tensor(pictures.scaled(mask, size)), settings.mask_edge * max(size))
            for mask in drawn
        ]
        return cls(
            pictures.resize(image.cpu(), size),
            pictures.to_tensor(colours),
            masks.union(regions) if regions else None,
            None if alpha is None else pictures.to_tensor(alpha),
            settings.colour if _colours_after(settings) else "style",
            settings.colour_amount,
            masks.share_of(grey_styles, regions),
        )

    def recoloured(self, method: str, amount: float) -> Painting:
        """The same painting in other colours, as `Settings.colour` and `colour_amount` name them."""
        return dataclasses.replace(self, colour=method, amount=amount)

    def before(self) -> Image.Image:
        """The photo at the size of the result."""
        return dataclasses.replace(self, painted=self.photo, colour="style", grey=None).picture()

    def pixels(self) -> np.ndarray:
        """The finished picture, (H, W, 3), or (H, W, 4) when the photo has transparency, float32 in [0, 1]."""
        recoloured = self.painted
        if self.colour != "style":
            visible = masks.both(self.mask, self.alpha)
            recoloured = colour.recolour(self.painted, self.photo, self.colour, self.amount, visible, visible)
        composed = masks.compose(recoloured, self.photo, self.mask)
        if self.grey is not None and self.colour == "style":  # again, because composing rounds channels differently
            composed = colour.greyed(composed, self.grey if self.mask is None else self.grey * (self.mask == 1))
        pixels = pictures.to_pixels(composed)
        if self.alpha is None:
            return pixels
        return np.concatenate([pixels, self.alpha[0].permute(1, 2, 0).numpy()], axis=-1)

    def picture(self) -> Image.Image:
        """The same as PIL RGB or RGBA, rounded to 8 bits."""
        return Image.fromarray(np.rint(self.pixels() * 255).astype(np.uint8))


def in_final_colours(
    preview: Image.Image, photo: Image.Image, drawn: Sequence[Image.Image], settings: Settings
) -> Image.Image:
    """A preview of a run (PIL RGB) in the colours that the finished picture will have."""
    if settings.colour == "style" or not _colours_after(settings):
        return preview
    return from_preview(preview, photo, drawn, dataclasses.replace(settings, size=max(preview.size))).picture()


def from_preview(
    preview: Image.Image, photo: Image.Image, drawn: Sequence[Image.Image], settings: Settings
) -> Painting:
    """A painting from a run's preview (PIL RGB), with the photo, of any size, and the masks of the run."""
    return Painting.of(pictures.to_tensor(preview), photo, drawn, dataclasses.replace(settings, original_size=False))


def _colours_after(settings: Settings) -> bool:
    """Whether colours change after the run. For "luminance" always: the painting is grey, the photo has the hue."""
    return settings.colour_when == "after" or settings.colour == "luminance"


def result_size(photo: Image.Image, settings: Settings) -> tuple[int, int]:
    """Height and width of the finished picture, px."""
    return photo.size[::-1] if settings.original_size else pictures.result_size(photo, settings.size)
