"""The pictures of a run at the size at which they are painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from nst.images import colour, masks, pictures
from nst.settings import LIMITS, Settings

STYLE_MASK_PX = 512  # longer side of a style mask; a position of the layers that use it is 8 px or more
COLOURED = 0.75  # `amount` of the recolouring; 1 gives a start that is no nearer to a run's result (measured)


@dataclass(frozen=True)
class Inputs:
    """The pictures at the size of the last level: sRGB (1, 3, H, W), masks and visibility (1, 1, H, W), in [0, 1]."""

    photo: Tensor
    paintings: tuple[Tensor, ...]  # the style pictures
    visible: Tensor | None = None  # the photo's alpha; None when all of it shows
    paintings_visible: tuple[Tensor | None, ...] = ()  # alpha of each style picture
    masks: tuple[Tensor, ...] = ()  # empty: the whole picture is painted; one: for all styles; else one per style
    grey: tuple[bool, ...] = ()  # whether each style picture is grey and stays so; none: no style is
    # (1, 2, h, w) for the first style pictures, of any size: shares of each kept and left out by hand
    style_masks: tuple[Tensor, ...] = ()

    @classmethod
    def of(
        cls,
        photo: Image.Image,
        paintings: Sequence[Image.Image],
        settings: Settings,
        device: torch.device,
        drawn: Sequence[Image.Image] = (),
        least_px: int = LIMITS.smallest_side,
        style_masks: Sequence[Image.Image] = (),
    ) -> Inputs:
        """Scale all pictures for `settings`; no side is shorter than `least_px`. `drawn` are masks (mode L)."""
        size = pictures.painting_size(pictures.result_size(photo, settings.size), least_px)
        content, visible = _tensors(pictures.scaled(photo, size), device)
        longer_px = min(round(max(size) * settings.style_scale), max(LIMITS.style_size, *size))
        sizes = (pictures.style_size(painting, longer_px, least_px) for painting in paintings)
        styles = [_tensors(pictures.scaled(*pair), device) for pair in zip(paintings, sizes, strict=True)]
        edge_px = settings.mask_edge * max(size)
        keeps_colours = settings.colour in ("style", "luminance") or settings.colour_when == "after"
        return cls(
            content,
            tuple(_recoloured(style, alpha, content, visible, settings) for style, alpha in styles),
            visible,
            tuple(alpha for _, alpha in styles),
            tuple(masks.soften(_tensors(pictures.scaled(mask, size), device)[0], edge_px) for mask in drawn),
            tuple(keeps_colours and pictures.is_grey(painting) for painting in paintings),
            tuple(
                kept_and_left_out(mask, pictures.style_size(painting, STYLE_MASK_PX)).to(device)
                for mask, painting in zip(style_masks, paintings, strict=False)
            ),
        )

    @property
    def styles(self) -> list[tuple[Tensor, Tensor | None]]:
        """Each style picture with its alpha."""
        return list(zip(self.paintings, self.paintings_visible or [None] * len(self.paintings), strict=True))

    def coloured(self, weights: Sequence[float]) -> Tensor:
        """The photo in the styles' colours, mixed by `weights`, each in its mask if it has one: (1, 3, H, W)."""
        own = self.masks if len(self.masks) > 1 else [torch.ones_like(self.photo[:, :1])] * len(self.paintings)
        total, sums = torch.zeros_like(self.photo[:, :1]), torch.zeros_like(self.photo)
        for (style, alpha), weight, mask in zip(self.styles, weights, own, strict=True):
            sums += weight * mask * colour.recolour(self.photo, style, "symmetric", COLOURED, self.visible, alpha)
            total += weight * mask
        return torch.where(total > 0, sums / total.clamp(min=torch.finfo(total.dtype).tiny), self.photo)

    def grey_styles(self, settings: Settings) -> list[bool]:
        """Which styles are grey, as `masks.share_of` takes it: without a mask for each, of those that count at all."""
        if len(self.masks) > 1:
            return list(self.grey)
        blend = settings.style_blend or (1.0,) * len(self.grey)
        return [grey for grey, weight in zip(self.grey, blend, strict=False) if weight > 0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width at which the picture is painted, px."""
        return tuple(self.photo.shape[-2:])


def kept_and_left_out(style_mask: Image.Image, size: tuple[int, int]) -> Tensor:
    """The shares of a style picture that a style mask (PIL RGB or RGBA) keeps and leaves out: (1, 2, *size) in [0, 1].

    White keeps and black leaves out; grey does some of both. Where the mask is transparent both shares are 0.
    """
    colours, alpha = pictures.split(style_mask)
    white = pictures.to_tensor(pictures.scaled(colours.convert("L"), size))
    painted = torch.ones_like(white) if alpha is None else pictures.to_tensor(pictures.scaled(alpha, size))
    return torch.cat([white * painted, (1 - white) * painted], dim=1)


def _tensors(picture: Image.Image, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Colours (1, 3, H, W), or (1, 1, H, W) of a mask, and alpha (1, 1, H, W) or None."""
    colours, alpha = pictures.split(picture) if picture.mode != "L" else (picture, None)
    return pictures.to_tensor(colours).to(device), None if alpha is None else pictures.to_tensor(alpha).to(device)


def _recoloured(
    style: Tensor, alpha: Tensor | None, photo: Tensor, visible: Tensor | None, settings: Settings
) -> Tensor:
    """The style picture (1, 3, H, W), in the photo's colours if the settings ask for that before the run."""
    if settings.colour == "style" or settings.colour_when == "after":
        return style
    if settings.colour == "luminance":
        return style.lerp(colour.luminance_style(style, photo, alpha, visible), settings.colour_amount)
    return colour.recolour(style, photo, settings.colour, settings.colour_amount, alpha, visible)
