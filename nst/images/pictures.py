"""Pictures in: decode whatever a person drops, as upright sRGB without hidden colours; PIL <-> tensor; sizes."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TILELENGTH as TILE_LENGTH
from PIL.TiffImagePlugin import TILEWIDTH as TILE_WIDTH
from torch import Tensor

from nst.images.decode import to_srgb, without_hidden_colours
from nst.settings import LIMITS

# What people have. Pillow knows thirty more, some with parsers that nobody looks after; one starts Ghostscript.
READABLE_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "TIFF", "BMP", "MPO")
LARGEST_TILE = 2048**2  # pixels, of a TIFF that is smaller than its tiles

Source = Image.Image | str | os.PathLike[str] | bytes  # a picture, a path to one, or such a file's content


def load(source: Source, name: str = "picture") -> Image.Image:
    """A picture or a path to one as upright sRGB: mode RGB, or RGBA when some pixel is not fully opaque.

    Colours under full transparency are replaced by an extension of the visible ones. `ValueError` names the picture
    (`name`) and says what to do when it cannot be read, is too large or too small, or has nothing to see.
    """
    picture = _decode(source, name)
    lowest, highest = picture.getchannel("A").getextrema() if picture.mode == "RGBA" else (255, 255)
    if highest == 0:
        raise ValueError(f"the {name} is wholly transparent; choose one with something to see in it")
    if lowest == 255:
        return picture.convert("RGB")
    return without_hidden_colours(picture) if lowest == 0 else picture


def to_mask(source: Source, name: str = "mask") -> Image.Image:
    """A picture or a path to one as a mask, mode L: 255 is painted, 0 is not.

    A layer whose transparency varies was painted on nothing: its alpha is the mask, whatever the colour of the brush.
    Otherwise luminance is, white being painted. A wholly transparent layer is an empty mask.
    """
    picture = _decode(source, name)
    if picture.mode == "RGBA":
        alpha = picture.getchannel("A")
        lowest, highest = alpha.getextrema()
        if lowest < highest or highest == 0:
            return alpha
    return picture.convert("RGB").convert("L")


def brush_masks(source: Source, brushes: Sequence[tuple[int, int, int]], name: str = "mask") -> list[Image.Image]:
    """A layer painted with coloured brushes -> a mask (mode L) for each brush: its pixels are those nearest in colour.

    On a layer without transparency the brightest channel says how far a pixel is painted.
    """
    picture = _decode(source, name)
    colours = np.asarray(picture.convert("RGB"), dtype=np.int32)
    painted = np.asarray(picture.getchannel("A")) if picture.mode == "RGBA" else colours.max(-1).astype(np.uint8)
    distances = [np.square(colours - brush).sum(-1) for brush in brushes]
    nearest = np.argmin(distances, axis=0)
    return [Image.fromarray(np.where(nearest == index, painted, 0).astype(np.uint8)) for index in range(len(brushes))]


def header(source: Source, name: str = "picture") -> Image.Image:
    """The picture as its file's header tells, not decoded, for its size; close it. Errors are those of `load`."""
    picture = source.copy() if isinstance(source, Image.Image) else _open(source, name)
    _check_shape(picture, name)
    return picture


def split(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """RGB or RGBA -> its colours (RGB) and its alpha (L), None when it is opaque."""
    return picture.convert("RGB"), picture.getchannel("A") if picture.mode == "RGBA" else None


def _decode(source: Source, name: str) -> Image.Image:
    """Upright sRGB, RGB or RGBA, without metadata; colours under transparency are still the file's."""
    picture = source if isinstance(source, Image.Image) else _open(source, name)
    _check_shape(picture, name)
    try:
        upright = ImageOps.exif_transpose(picture)
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them raise
        raise _damaged(name) from error
    _check_shape(upright, name)  # again: some containers tell their true size only when decoded
    return to_srgb(upright)


@cache
def _formats() -> tuple[str, ...]:
    """Those of `READABLE_FORMATS` that can be read here: HEIC only where pillow-heif is installed."""
    with contextlib.suppress(ImportError):
        from pillow_heif import register_heif_opener  # on first use: importing nst registers nothing

        register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)  # none of them is ever shown
    Image.init()
    return tuple(form for form in READABLE_FORMATS if form in Image.OPEN)


def readable_suffixes() -> frozenset[str]:
    """Endings of the files that `load` reads, in lower case with their dot."""
    forms = _formats()
    return frozenset(ending for ending, form in Image.registered_extensions().items() if form in forms)


def _open(path: str | os.PathLike[str] | bytes, name: str) -> Image.Image:
    """Read the header only; no message shows more of the path than the file's name."""
    if not isinstance(path, (str, os.PathLike, bytes)):
        raise ValueError(f"the {name} is a {type(path).__name__}; give a PIL image or the path of a picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is checked next
            picture = Image.open(io.BytesIO(path) if isinstance(path, bytes) else path, formats=_formats())
            _check_tiles(picture)
            return picture
    except UnidentifiedImageError as error:
        raise ValueError(f"the {name} is not a picture this program reads; save it as PNG or JPEG") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"the {name} is far over {LIMITS.megapixels:g} megapixels; make it smaller") from error
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            file = os.path.basename(path)
            raise ValueError(f"the {name} {file!r} cannot be opened ({error.strerror}); check the path") from error
        raise _damaged(name) from error


def _check_tiles(image: Image.Image) -> None:
    """A TIFF of few pixels may declare tiles of a gigapixel, for one of which libtiff takes that much memory."""
    tags = getattr(image, "tag_v2", {})
    tile = tags.get(TILE_WIDTH, 0) * tags.get(TILE_LENGTH, 0)
    if tile > max(LARGEST_TILE, 4 * image.width * image.height):
        raise ValueError(f"tiles of {tile} pixels")


def _damaged(name: str) -> ValueError:
    return ValueError(f"the {name} is damaged or incomplete; save it as PNG or JPEG and try again")


def _check_shape(image: Image.Image, name: str) -> None:
    width, height = image.size  # known from the header: nothing large is allocated yet
    if width * height > LIMITS.megapixels * 1e6:
        megapixels = width * height / 1e6
        raise ValueError(
            f"the {name} has {megapixels:.0f} megapixels; the limit is {LIMITS.megapixels:g}, make it smaller"
        )
    if min(width, height) < LIMITS.smallest_side:
        least = LIMITS.smallest_side
        raise ValueError(
            f"the {name} is {width} x {height} px; both sides need {least} px at least, choose a larger one"
        )
    if max(width, height) > LIMITS.aspect * min(width, height):
        raise ValueError(f"the {name} is {width} x {height} px, longer than {LIMITS.aspect:g} to 1; crop it")


def result_size(picture: Image.Image, longer_px: int) -> tuple[int, int]:
    """(height, width) of the picture scaled to this longer side; the shorter is 1 px at least."""
    shorter_px = max(1, round(longer_px * min(picture.size) / max(picture.size)))
    return (shorter_px, longer_px) if picture.width >= picture.height else (longer_px, shorter_px)


def painting_size(size: tuple[int, int], least_px: int = LIMITS.smallest_side) -> tuple[int, int]:
    """(height, width) to paint at for a result of this size: the same, or scaled up until the network can see it."""
    scale = max(1, least_px / min(size))
    return round(size[0] * scale), round(size[1] * scale)


def style_size(picture: Image.Image, longer_px: int, least_px: int = LIMITS.smallest_side) -> tuple[int, int]:
    """(height, width) with this longer side, but no side under the smallest that the network can see."""
    scale = max(longer_px / max(picture.size), least_px / min(picture.size))
    return round(picture.height * scale), round(picture.width * scale)


def shrunk_size(image: Tensor, scale: float, least_px: int) -> tuple[int, int]:
    """(height, width) of (1, 3, H, W) shrunk by `scale`, or by less where a side would fall under `least_px`."""
    height, width = image.shape[-2:]
    scale = max(scale, least_px / min(height, width))
    return round(height * scale), round(width * scale)


def is_grey(picture: Image.Image) -> bool:
    """Whether R, G and B of every pixel of an RGB or RGBA picture are the same within one level of 255."""
    red, green, blue = picture.getchannel("R"), picture.getchannel("G"), picture.getchannel("B")
    pairs = ((red, green), (green, blue), (blue, red))
    return all(ImageChops.difference(*pair).getextrema()[1] <= 1 for pair in pairs)


def scaled(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture at (height, width), antialiased; large uploads are halved first, which saves time and memory."""
    if picture.mode == "RGBA":  # apart, because Pillow would blacken the colours where alpha is 0
        colours, alpha = (scaled(part, size) for part in split(picture))
        colours.putalpha(alpha)
        return colours
    sharp = Image.Resampling.LANCZOS if picture.mode == "RGB" else Image.Resampling.BILINEAR  # which does not ring
    return picture.resize(size[::-1], sharp, reducing_gap=3.0)


def to_tensor(picture: Image.Image) -> Tensor:
    """PIL RGB or L -> (1, 3 or 1, H, W) float32 in [0, 1]."""
    values = torch.from_numpy(np.array(picture, dtype=np.uint8))  # a copy
    values = values.reshape(picture.height, picture.width, -1)  # (H, W, 3 or 1)
    return values.permute(2, 0, 1).unsqueeze(0).float().div(255)


def to_picture(image: Tensor) -> Image.Image:
    """sRGB (1, 3, H, W) in [0, 1] -> PIL RGB, rounded to 8 bits."""
    values = image.detach()[0].clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(values.permute(1, 2, 0).contiguous().cpu().numpy())


def to_pixels(image: Tensor) -> np.ndarray:
    """sRGB (1, 3, H, W) in [0, 1] -> (H, W, 3) float32, for encoding at more than 8 bits."""
    return image.detach()[0].float().clamp(0, 1).permute(1, 2, 0).contiguous().cpu().numpy()


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, 3, H, W) -> (1, 3, *size), antialiased bicubic, clamped to [0, 1] because bicubic overshoots.

    What has that size is given back itself: it may be large.
    """
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def enlarge(image: Tensor, size: tuple[int, int], photo: Tensor) -> Tensor:
    """A picture painted from a photo, and the photo's detail that its size could not hold: (1, 3, h, w) -> (*size).

    Without that detail a level first has to find it again: a step in five (measured, at equal cost).
    """
    if image.shape[-2:] == size:
        return image
    smooth = resize(resize(photo, tuple(image.shape[-2:])), size)
    return resize(image, size).add_(resize(photo, size)).sub_(smooth).clamp_(0, 1)


def cover(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale (1, 3, H, W) to cover `size` and cut off what stands out, centred -> (1, 3, *size)."""
    height, width = size
    scale = max(height / image.shape[-2], width / image.shape[-1])
    scaled = resize(image, (max(height, round(image.shape[-2] * scale)), max(width, round(image.shape[-1] * scale))))
    top, left = (scaled.shape[-2] - height) // 2, (scaled.shape[-1] - width) // 2
    return scaled[..., top : top + height, left : left + width].contiguous()
