"""Decode an uploaded picture to upright sRGB without hidden colours; convert PIL <-> tensor; compute sizes, scale."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Container, Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageChops, ImageOps, ImageStat, UnidentifiedImageError
from PIL.TiffImagePlugin import TILELENGTH as TILE_LENGTH
from PIL.TiffImagePlugin import TILEWIDTH as TILE_WIDTH
from torch import Tensor

from nst.images import containers
from nst.images.decode import COLOUR_KEYS, bands, to_srgb, without_hidden_colours
from nst.settings import LIMITS

# The formats of photos. Pillow reads 30 other ones, some with unmaintained parsers; one of them starts Ghostscript.
READABLE_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "TIFF", "BMP", "MPO")
ANIMATED_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")
SHOWS_COLOURS = 2  # the highest result of `_shown`
LARGEST_TILE = 2048**2  # pixels; a TIFF's tile may be larger only if the picture is large too

Source = Image.Image | str | os.PathLike[str] | bytes  # a picture, the path of its file, or the file's content


def load(source: Source, name: str = "picture") -> Image.Image:
    """A picture, a path or a file's content as upright sRGB: mode RGB, or RGBA when some pixel is not fully opaque.

    Colours under full transparency are replaced by an extension of the visible ones. `ValueError` names the picture
    (`name`) and says what to do when it cannot be read, is too large or too small, or has nothing to see.
    """
    picture = _decode(source, name)
    lowest, highest = picture.getchannel("A").getextrema() if picture.mode == "RGBA" else (255, 255)
    if highest == 0:
        raise ValueError(f"the {name} is wholly transparent; choose one with something to see in it")
    if lowest == 255:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    return without_hidden_colours(picture) if lowest == 0 else picture


def to_mask(source: Source, name: str = "mask") -> Image.Image:
    """A picture, a path or a file's content as a mask, mode L: 255 is painted, 0 is not.

    The mask is the alpha channel if alpha varies, because such a layer was painted on an empty canvas. Otherwise the
    mask is the luminance: white is painted. A wholly transparent layer is an empty mask. `ValueError` as in `load`,
    but not for transparency.
    """
    picture = _decode(source, name)
    if picture.mode == "RGBA":
        alpha = picture.getchannel("A")
        lowest, highest = alpha.getextrema()
        if lowest < highest or highest == 0:
            return alpha
        picture = picture.convert("RGB")
    return picture.convert("L")


def brush_masks(source: Source, brushes: Sequence[tuple[int, int, int]], name: str = "mask") -> list[Image.Image]:
    """A layer painted with coloured brushes -> a mask (mode L) for each brush, with the pixels nearest to its colour.

    A mask's value is the layer's alpha, or the brightest of the three channels if the layer has no alpha.
    """
    picture = _decode(source, name)
    masks = np.zeros((len(brushes), picture.height, picture.width), np.uint8)
    for box in bands(picture.size):
        rows, band = slice(box[1], box[3]), picture.crop(box)
        colours = np.asarray(band.convert("RGB"), dtype=np.int32)
        painted = np.asarray(band.getchannel("A")) if band.mode == "RGBA" else colours.max(-1).astype(np.uint8)
        nearest = np.argmin([np.square(colours - brush).sum(-1) for brush in brushes], axis=0)
        for index, mask in enumerate(masks):
            mask[rows] = np.where(nearest == index, painted, 0)
    return [Image.fromarray(mask) for mask in masks]


def has_coloured_paint(source: Source, name: str = "mask") -> bool:
    """Whether any visible pixel of a mask has a colour, as those of brushes have; white, grey and black have none."""
    picture = _decode(source, name)
    return any(not is_grey(_black_where_clear(picture.crop(box))) for box in bands(picture.size))


def _black_where_clear(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    return Image.composite(picture, Image.new("RGBA", picture.size), picture.getchannel("A"))


def header(source: Source, name: str = "picture") -> Image.Image:
    """The opened picture, whose header is read and whose pixels are not. The caller closes it. Errors as in `load`."""
    picture = source.copy() if isinstance(source, Image.Image) else opened(source, name)
    _check_shape(picture, name)
    return picture


def opened(
    source: str | os.PathLike[str] | bytes,
    name: str = "picture",
    formats: Sequence[str] | None = None,
    texts: Container[bytes] = containers.ORIENTING,
) -> Image.Image:
    """The opened picture of any shape within `LIMITS.megapixels`, whose pixels are not decoded yet.

    The only function of the program that opens a picture's file. `formats` are those that are read, by default all of
    `READABLE_FORMATS`; of a PNG the texts with these keywords are kept. `ValueError` gives the file's name, never the
    rest of its path.
    """
    picture = _open(source, name, formats or _formats(), texts)
    _check_megapixels(picture, name)
    return picture


def to_rgba(picture: Image.Image, name: str = "picture") -> Image.Image:
    """An opened picture as it is, mode RGBA. `ValueError` for a damaged one."""
    try:
        return picture.convert("RGBA")
    except (OSError, SyntaxError, ValueError) as error:
        raise _damaged(name) from error


def split(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """RGB or RGBA -> its colours (RGB) and its alpha (L); the alpha of RGB is None."""
    return picture.convert("RGB"), picture.getchannel("A") if picture.mode == "RGBA" else None


def animation_notice(source: Source, name: str = "picture") -> str | None:
    """For an animation, a sentence which says that `load` uses one frame of it; None for any other picture.

    Errors as in `load`.
    """
    if isinstance(source, Image.Image):
        return None
    with header(source, name) as picture:
        if not _is_animation(picture):
            return None
    return f"The {name} is an animation; one frame of it is used."


def _decode(source: Source, name: str) -> Image.Image:
    """Upright sRGB, RGB or RGBA, without metadata; colours under full transparency are not replaced yet."""
    picture = source if isinstance(source, Image.Image) else opened(source, name)
    _check_shape(picture, name)
    declared = _declared(picture)
    try:
        if _is_animation(picture) and picture is not source:  # a PIL image stands at the frame that its caller chose
            picture = _first_shown(picture)
        upright = ImageOps.exif_transpose(picture)  # a copy
        del picture  # where it is not the caller's, its pixels are freed
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds of exception for damaged files
        raise _damaged(name) from error
    _check_shape(upright, name)  # again: the headers of some containers give a wrong size
    upright.info |= declared
    return to_srgb(upright)


def _declared(picture: Image.Image) -> dict[str, Any]:
    """The part of a picture's `info` about its colours; Pillow drops some of it when it goes to another frame."""
    declared = {key: picture.info[key] for key in COLOUR_KEYS if key in picture.info}
    if nclx := picture.info.get("nclx_profile"):  # of HEIF, from pillow-heif
        points = nclx["color_primaries"], nclx["transfer_characteristics"]
        declared["nclx"] = containers.normal_code_points(*points)
    return declared


def _is_animation(picture: Image.Image) -> bool:
    """Whether its frames follow in time. Those of a TIFF, MPO or HEIC do not: they are pages, views or depth maps."""
    return picture.format in ANIMATED_FORMATS and getattr(picture, "is_animated", False)


def _first_shown(picture: Image.Image) -> Image.Image:
    """The first frame with several colours; without one, the first that is not wholly transparent; else the first.

    The search ends when the frames have `LIMITS.megapixels` together, or at a damaged frame.
    """
    picture.load()
    rank = _shown(picture)
    if rank == SHOWS_COLOURS:
        return picture
    best = picture.copy()
    for number in range(1, int(LIMITS.megapixels * 1e6 / (picture.width * picture.height))):
        try:
            picture.seek(number)
            picture.load()
        except Exception:  # there is no further frame, or it is damaged
            break
        if (found := _shown(picture)) > rank:
            rank, best = found, picture.copy()
        if rank == SHOWS_COLOURS:
            break
    return best


def _shown(frame: Image.Image) -> int:
    """How many colours a frame shows: none (0), one (1) or several (`SHOWS_COLOURS`)."""
    seen = frame.convert("RGBA")
    visible = seen.getchannel("A").point([0] + [255] * 255)
    if not visible.getbbox():
        return 0
    statistics = ImageStat.Stat(seen.convert("RGB"), visible)
    return 1 if all(low == high for low, high in statistics.extrema) else SHOWS_COLOURS


@cache
def _formats() -> tuple[str, ...]:
    """The `READABLE_FORMATS` that this installation can read: HEIC needs pillow-heif."""
    with contextlib.suppress(ImportError):
        from pillow_heif import register_heif_opener  # on first use, so that importing nst registers nothing

        register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)  # they are never used
    Image.init()
    return tuple(form for form in READABLE_FORMATS if form in Image.OPEN)


def readable_suffixes() -> frozenset[str]:
    """Endings of the files that `load` reads, in lower case with their dot."""
    forms = _formats()
    return frozenset(ending for ending, form in Image.registered_extensions().items() if form in forms)


def _open(
    path: str | os.PathLike[str] | bytes, name: str, formats: Sequence[str], texts: Container[bytes]
) -> Image.Image:
    if not isinstance(path, (str, os.PathLike, bytes)):
        raise ValueError(f"the {name} is a {type(path).__name__}; give a PIL image or the path of a picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `_check_shape` applies our own limit
            file, declared = _readable(path, texts)
            picture = Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=formats)
            _check_tiles(picture)
            if picture.format == "AVIF":
                declared = _nclx(path)
            picture.info |= declared
            return picture
    except UnidentifiedImageError as error:
        raise ValueError(f"the {name} is not a picture this program reads; save it as PNG or JPEG") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"the {name} is far over {LIMITS.megapixels:g} megapixels; make it smaller") from error
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            file = os.path.basename(path)
            raise ValueError(f"the {name} {file!r} cannot be opened ({error.strerror}); check the path") from error
        raise _damaged(name) from error


def _readable(
    source: str | os.PathLike[str] | bytes, texts: Container[bytes]
) -> tuple[str | os.PathLike[str] | bytes | BinaryIO, dict[str, Any]]:
    """The source, or a copy of a PNG that Pillow can read, and what `Image.info` must say of the PNG's colours."""
    with _file(source) as file:
        readable, declared = containers.readable_png(file, texts)
        return (source if readable is file else readable), declared


def _nclx(source: str | os.PathLike[str] | bytes) -> dict[str, Any]:
    """The H.273 code points that an AVIF file declares, as an entry of `Image.info`; empty without them."""
    with _file(source) as file:
        code_points = containers.avif_code_points(file)
    return {} if code_points is None else {"nclx": code_points}


def _file(source: str | os.PathLike[str] | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb")


def _check_tiles(image: Image.Image) -> None:
    """Refuse huge tiles: libtiff allocates a whole tile, and a small TIFF may declare a tile of a gigapixel."""
    tags = getattr(image, "tag_v2", {})
    tile = tags.get(TILE_WIDTH, 0) * tags.get(TILE_LENGTH, 0)
    if tile > max(LARGEST_TILE, 4 * image.width * image.height):
        raise ValueError(f"tiles of {tile} pixels")


def _damaged(name: str) -> ValueError:
    return ValueError(f"the {name} is damaged or incomplete; save it as PNG or JPEG and try again")


def _check_megapixels(image: Image.Image, name: str) -> None:
    width, height = image.size  # known from the header: nothing large is allocated yet
    if width * height > LIMITS.megapixels * 1e6:
        megapixels = width * height / 1e6
        raise ValueError(
            f"the {name} has {megapixels:.0f} megapixels; the limit is {LIMITS.megapixels:g}, make it smaller"
        )


def _check_shape(image: Image.Image, name: str) -> None:
    _check_megapixels(image, name)
    width, height = image.size
    if min(width, height) < LIMITS.smallest_side:
        least = LIMITS.smallest_side
        raise ValueError(
            f"the {name} is {width} x {height} px; both sides need {least} px at least, choose a larger one"
        )
    if max(width, height) > LIMITS.aspect * min(width, height):
        raise ValueError(f"the {name} is {width} x {height} px, longer than {LIMITS.aspect:g} to 1; crop it")


def result_size(picture: Image.Image, longer_px: int) -> tuple[int, int]:
    """(height, width) of the picture scaled to this longer side; the shorter side is 1 px at least."""
    shorter_px = max(1, round(longer_px * min(picture.size) / max(picture.size)))
    return (shorter_px, longer_px) if picture.width >= picture.height else (longer_px, shorter_px)


def painting_size(size: tuple[int, int], least_px: int = LIMITS.smallest_side) -> tuple[int, int]:
    """(height, width) at which a result of this size is painted: no side is under `least_px`, the network's minimum."""
    scale = max(1, least_px / min(size))
    return round(size[0] * scale), round(size[1] * scale)


def style_size(picture: Image.Image, longer_px: int, least_px: int = LIMITS.smallest_side) -> tuple[int, int]:
    """(height, width) of a style picture: its longer side is `longer_px`, or more if a side would be < `least_px`."""
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
    if picture.mode == "RGBA":  # colours and alpha separately: Pillow would make colours black where alpha is 0
        colours, alpha = (scaled(part, size) for part in split(picture))
        colours.putalpha(alpha)
        return colours
    sharp = Image.Resampling.LANCZOS if picture.mode == "RGB" else Image.Resampling.BILINEAR  # does not overshoot
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

    An image that has this size already is returned itself, not copied: it may be large.
    """
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def enlarge(image: Tensor, size: tuple[int, int], source: Tensor) -> Tensor:
    """Enlarge a picture and add the detail of another one that the small size lost.

    (1, 3, h, w) and the other one (1, 1 or 3, H, W) -> (1, 3, *size), clamped to [0, 1].
    """
    if image.shape[-2:] == size:
        return image
    smooth = resize(resize(source, tuple(image.shape[-2:])), size)
    return resize(image, size).add_(resize(source, size)).sub_(smooth).clamp_(0, 1)


def cover(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale (1, 3, H, W) until it covers `size`, then crop to the middle -> (1, 3, *size)."""
    height, width = size
    scale = max(height / image.shape[-2], width / image.shape[-1])
    scaled = resize(image, (max(height, round(image.shape[-2] * scale)), max(width, round(image.shape[-1] * scale))))
    top, left = (scaled.shape[-2] - height) // 2, (scaled.shape[-1] - width) // 2
    return scaled[..., top : top + height, left : left + width].contiguous()
