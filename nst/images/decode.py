"""Convert any mode, colour space and bit depth to sRGB of 8 bits, and replace colours under full transparency."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms
from torch import Tensor

from nst.images import colour_spaces
from nst.images.colour_spaces import Space

COLOUR_KEYS = ("cicp", "icc_profile", "nclx", "srgb", "gamma", "chromaticity")  # keys of `Image.info`
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_STRAIGHT = {"La": "LA", "RGBa": "RGBA"}  # mode with premultiplied alpha -> mode without
_CHANGED_FOR = {"icc_profile", "cicp", "nclx", "gamma", "transparency"}  # keys of `Image.info`
_BAND_PX = 1 << 18  # pixels of a large picture that are computed at once
_EXTENSION_CELLS = 1e6  # largest number of cells of the grid on which colours under transparency are computed


def bands(size: Sequence[int], multiple: int = 1) -> Iterator[tuple[int, int, int, int]]:
    """Boxes of whole rows that cover a picture of (width, height), for `Image.crop`; their height is a multiple.

    Intermediate results of a whole picture of 100 megapixels would take gigabytes.
    """
    width, height = size
    rows = max(1, _BAND_PX // (width * multiple)) * multiple
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


def to_srgb(image: Image.Image) -> Image.Image:
    """Any mode -> RGB or, with transparency, RGBA, from the colour space that the picture declares; no metadata.

    Precedence as in W3C PNG, 3rd edition: cICP, ICC profile, sRGB, gAMA with cHRM. nclx of AVIF and HEIF comes after
    the ICC profile. A declaration that cannot be used is ignored. The picture that is given may be given back.
    """
    if image.mode in ("RGB", "RGBA") and not _CHANGED_FOR & image.info.keys():
        image.info = {}
        return image
    if image.mode[0] in "IF":
        image = _from_numbers(image)
    if image.mode in _STRAIGHT:
        image = image.convert(_STRAIGHT[image.mode])
    alpha = _alpha(image) if image.has_transparency_data else None
    space = _of_code_points(image, "cicp")
    colours = None if space else _by_profile(image)
    space = space or _of_code_points(image, "nclx") or _of_gamma(image)
    colours = colours or _by_space(image.convert("RGB"), space)
    colours.info = {}  # drop orientation, place and profile
    if alpha:
        colours.putalpha(alpha)
    return colours


def _alpha(image: Image.Image) -> Image.Image:
    return (image if image.mode in ("RGBA", "LA") else image.convert("RGBA")).getchannel("A")


def _of_code_points(image: Image.Image, key: str) -> Space | None:
    """The space of `info[key]`, H.273 code points of primaries and transfer."""
    return Space.of_code_points(*image.info[key]) if key in image.info else None


def _of_gamma(image: Image.Image) -> Space | None:
    """The space of a PNG's gAMA and cHRM, unless it declares sRGB; chromaticities alone are ignored, as in browsers."""
    if "srgb" in image.info or "gamma" not in image.info:
        return None
    return Space.of_gamma(image.info["gamma"], image.info.get("chromaticity"))


def _by_space(colours: Image.Image, space: Space | None) -> Image.Image:
    return colours if space is None or space.is_srgb else colour_spaces.to_srgb(colours, space)


def _from_numbers(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float greyscale -> L or LA. White is the least of 1, 255 and 65535 that no value exceeds."""
    numbers = np.asarray(image)
    if image.mode.startswith("I;16"):
        white = 65535.0
    else:
        highest = max(_finite(numbers[top:bottom]).max() for _, top, _, bottom in bands(image.size))
        white = next((w for w in (1.0, 255.0, 65535.0) if highest <= w), float(highest))
    values = np.empty(numbers.shape, np.uint8)
    for _, top, _, bottom in bands(image.size):
        values[top:bottom] = np.rint(_finite(numbers[top:bottom]).clip(0, white) * (255.0 / white))
    grey = Image.fromarray(values)
    if "transparency" in image.info:  # a PNG may declare one grey transparent
        grey.putalpha(Image.fromarray(np.uint8(255) * (numbers != image.info["transparency"])))
    grey.info = {key: image.info[key] for key in COLOUR_KEYS if key in image.info}
    return grey


def _finite(numbers: np.ndarray) -> np.ndarray:
    """As float32, with 0 for what is no number or infinite; minus infinity becomes the least number."""
    return np.nan_to_num(numbers.astype(np.float32), nan=0.0, posinf=0.0)


def _by_profile(image: Image.Image) -> Image.Image | None:
    """Convert to sRGB by the ICC profile, mode RGB; None when there is no profile or it does not fit the picture."""
    embedded = image.info.get("icc_profile")
    if not embedded or image.mode == "LAB":  # Pillow converts LAB without a profile
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        space = profile.profile.xcolor_space.strip()
        if image.mode == "CMYK":
            readable_as = {"CMYK": "CMYK"}[space]
        else:  # some programs give a grey picture a profile for RGB
            readable_as = {"RGB": "RGB", "GRAY": "L" if image.mode in ("1", "L", "LA") else None}[space]
        fitting = image if image.mode == readable_as else image.convert(readable_as)
        return ImageCms.profileToProfile(fitting, profile, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, KeyError):
        return None


def without_hidden_colours(image: Image.Image) -> Image.Image:
    """Change RGBA, and give it back: where alpha is 0, the colour is interpolated from visible colours nearby."""
    cell_px = max(2, math.ceil(math.sqrt(image.width * image.height / _EXTENSION_CELLS)))
    sums = torch.empty(4, math.ceil(image.height / cell_px), math.ceil(image.width / cell_px))
    for box in bands(image.size, cell_px):  # into one tensor: small results between large ones would scatter the heap
        rows = slice(box[1] // cell_px, math.ceil(box[3] / cell_px))
        sums[:, rows] = _weighted_sums(image.crop(box), cell_px)
    cells = _push_pull(sums)
    reach = (0, 0, image.width / cell_px, image.height / cell_px)  # the last cells may reach beyond the picture
    extension = Image.fromarray(cells.round().byte().permute(1, 2, 0).numpy()).resize(
        image.size, Image.Resampling.BILINEAR, reach
    )
    for box in bands(image.size):
        colours, alpha = image.crop(box).convert("RGB"), image.crop(box).getchannel("A")
        colours.paste(extension.crop(box), mask=alpha.point([255] + [0] * 255))
        colours.putalpha(alpha)
        image.paste(colours, box)
    return image


def _weighted_sums(image: Image.Image, side: int) -> Tensor:
    """RGBA -> the sums over square blocks of colours times alpha, and of alpha: (3 + 1, h, w)."""
    *colours, weights = (torch.from_numpy(np.array(channel)).float() for channel in image.split())
    return _block_sums(torch.stack([*(channel * weights for channel in colours), weights]), side)


def _block_sums(values: Tensor, side: int) -> Tensor:
    """(..., H, W) -> (..., ceil(H / side), ceil(W / side)): sums over square blocks, smaller ones at the edges."""
    return F.avg_pool2d(values[None], side, ceil_mode=True, divisor_override=1)[0]


def _push_pull(sums: Tensor) -> Tensor:
    """Fill cells of weight 0 from coarser grids (Gortler et al. 1996): sums and weights (3 + 1, H, W) -> (3, H, W)."""
    weights = sums[3:]
    colours = sums[:3] / weights.clamp(min=1)
    if weights.all():
        return colours
    coarse = _push_pull(_block_sums(sums, 2))
    fine = F.interpolate(coarse[None], scale_factor=2, mode="bilinear", align_corners=False)[0]
    return torch.where(weights > 0, colours, fine[:, : sums.shape[1], : sums.shape[2]])


def on_white(picture: Image.Image) -> Image.Image:
    """RGB or RGBA -> RGB as seen on white paper."""
    if picture.mode != "RGBA":
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
