"""Encode pictures as PNG or TIFF of 8 or 16 bits, JPEG or WebP, with an sRGB profile and without other metadata.

This module writes 16-bit PNG itself (W3C PNG, 3rd edition): Pillow writes 8 bits per colour at most, and libraries
that write 16 bits are large computer vision packages or write no profile. tifffile writes TIFF of both depths.
"""

from __future__ import annotations

import io
import os
import secrets
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from nst.images.decode import on_white

Picture = Image.Image | np.ndarray  # sRGB: mode RGB or RGBA, or floats (H, W, 3 or 4) in [0, 1]


@dataclass(frozen=True)
class Format:
    """A file format of pictures: facts for the page, the command line and downloads."""

    words: str
    suffixes: tuple[str, ...]  # the first is used for new files
    mime: str
    bits: int = 8  # per channel
    keeps_text: bool = False  # for a recipe
    keeps_alpha: bool = True
    keeps_dpi: bool = True  # pixels per inch, for printing


FORMATS: dict[str, Format] = {
    "png": Format("PNG: exact, keeps transparency and the recipe", (".png",), "image/png", keeps_text=True),
    "png16": Format("PNG, 16 bits: for further editing, large", (".png",), "image/png", bits=16, keeps_text=True),
    "jpeg": Format("JPEG: small, read everywhere", (".jpg", ".jpeg"), "image/jpeg", keeps_alpha=False),
    "webp": Format("WebP: the smallest, keeps transparency", (".webp",), "image/webp", keeps_dpi=False),
    "tiff": Format("TIFF: for print shops, exact, large", (".tif", ".tiff"), "image/tiff"),
    "tiff16": Format("TIFF, 16 bits: for print shops and further editing", (".tif", ".tiff"), "image/tiff", bits=16),
}

# JPEG without chroma subsampling (4:4:4): strokes are small patches of saturated colour. Lossy WebP always subsamples.
_OPTIONS = {"png": {}, "jpeg": {"quality": 95, "subsampling": 0}, "webp": {"quality": 95}}
INCH_M = 0.0254
_UP = 2  # the PNG filter that stores the difference from the row above


def _srgb_profile() -> bytes:
    """An sRGB ICC profile with a fixed date, so that equal pictures make equal files."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + profile[36:]


SRGB_PROFILE = _srgb_profile()


def format_of(path: str | os.PathLike[str], bits: int = 8) -> str:
    """The key in `FORMATS` for a file name's suffix and bits per channel. `ValueError` when there is no such format."""
    suffix = Path(path).suffix.lower()
    of_suffix = {form.bits: key for key, form in FORMATS.items() if suffix in form.suffixes}
    if not of_suffix:
        known = ", ".join(dict.fromkeys(suffix for form in FORMATS.values() for suffix in form.suffixes))
        raise ValueError(f"output {os.fspath(path)!r} has no ending of a format this program writes; use {known}")
    if bits not in of_suffix:
        known = " or ".join(map(str, of_suffix))
        remedy = "" if len(of_suffix) > 1 else ", or name a .png or .tif file"
        raise ValueError(f"bits={bits} per channel cannot be kept in a {suffix} file; choose {known}{remedy}")
    return of_suffix[bits]


def save(
    picture: Picture,
    path: str | os.PathLike[str],
    bits: int = 8,
    text: Mapping[str, str] | None = None,
    dpi: int | None = None,
) -> None:
    """Write sRGB, mode RGB or RGBA or floats (H, W, 3 or 4) in [0, 1], in the format of the file's suffix.

    `ValueError` as in `format_of` and `encode`.
    """
    write(encode(picture, format_of(path, bits), text, dpi), path)


def encode(
    picture: Picture, format: str = "png", text: Mapping[str, str] | None = None, dpi: int | None = None
) -> bytes:
    """sRGB, mode RGB or RGBA or floats (H, W, 3 or 4) in [0, 1] -> the bytes of a file in one of `FORMATS`.

    `text` maps keywords to texts of a PNG. A format without alpha shows the picture on white. 16 bits need floats.
    `dpi` is the resolution in pixels per inch that the file names, where its format keeps one.
    `ValueError` for an unknown format, for text that the format cannot keep, and for 16 bits of a PIL image.
    """
    if format not in FORMATS:
        raise ValueError(f"format={format!r} is not known; choose from {', '.join(FORMATS)}")
    if text and not FORMATS[format].keeps_text:
        raise ValueError(f"format={format!r} keeps no text; choose png")
    if FORMATS[format].bits == 16 and isinstance(picture, Image.Image):
        raise ValueError(f"format={format!r} needs the picture as floats; a PIL image has 8 bits, choose {format[:-2]}")
    chunks = _text_chunks(text or {})
    if format == "png16":
        return _png16(picture, chunks, dpi)
    if format in ("tiff", "tiff16"):
        return _tiff(picture, FORMATS[format].bits, dpi)
    options = {"pnginfo": chunks} if text else {}
    if dpi and FORMATS[format].keeps_dpi:
        options["dpi"] = (dpi, dpi)
    rounded = _rounded(picture) if FORMATS[format].keeps_alpha else on_white(_rounded(picture))
    buffer = io.BytesIO()
    rounded.save(buffer, format, icc_profile=SRGB_PROFILE, **_OPTIONS[format], **options)
    return buffer.getvalue()


def write(content: bytes, path: str | os.PathLike[str], writer: str = "") -> None:
    """Write a file atomically: an interrupted program leaves the old file or none, never a part of the new one.

    A program that is killed leaves the part beside it, under a name that begins with a dot and `writer`.
    """
    target = Path(os.path.realpath(path))  # a symbolic link is kept, and its target replaced
    # In the same folder, because a move between disks is a copy.
    part = target.with_name(f".{writer}{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a power cut after the move could leave an empty file
        part.replace(target)
    except BaseException:  # KeyboardInterrupt as well
        part.unlink(missing_ok=True)
        raise


def _rounded(picture: Picture) -> Image.Image:
    """RGB or RGBA of 8 bits, with none of the picture's metadata."""
    if isinstance(picture, np.ndarray):
        return Image.fromarray(_integers(picture, 255).astype(np.uint8))
    rounded = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    rounded.info = {}  # Pillow's encoders would copy comments and more from here
    return rounded


def _integers(pixels: np.ndarray, white: int) -> np.ndarray:
    """Floats (H, W, 3 or 4) in [0, 1] -> whole numbers 0..white, of a float type."""
    assert pixels.dtype.kind == "f", pixels.dtype
    assert pixels.shape[2:] in ((3,), (4,)), pixels.shape
    return np.rint(pixels.clip(0, 1) * white)


def _text_chunks(text: Mapping[str, str]) -> PngInfo:
    """PNG text chunks: tEXt where Latin-1 suffices, else iTXt."""
    chunks = PngInfo()
    for keyword, value in text.items():
        if not 1 <= len(keyword) <= 79 or not keyword.isascii() or not keyword.isprintable():
            raise ValueError(f"text keyword {keyword!r} is not one of PNG; use 1 to 79 plain characters")
        chunks.add_text(keyword, value)
    return chunks


def _tiff(picture: Picture, bits: int, dpi: int | None) -> bytes:
    """TIFF of 8 or 16 bits per channel, compressed without loss. Its bytes depend on the picture alone."""
    pixels = _integers(picture, 65535).astype(np.uint16) if bits == 16 else np.asarray(_rounded(picture))
    resolution = {"resolution": (dpi, dpi), "resolutionunit": "INCH"} if dpi else {}
    extra = ["UNASSALPHA"] if pixels.shape[2] == 4 else []
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, pixels, photometric="rgb", compression="zlib", predictor=True, extrasamples=extra,
        iccprofile=SRGB_PROFILE, software=False, metadata=None, **resolution,
    )  # fmt: skip
    return buffer.getvalue()


def _png16(pixels: np.ndarray, text: PngInfo, dpi: int | None) -> bytes:
    """PNG of 16 bits per channel from floats (H, W, 3 or 4) in [0, 1]."""
    height, width, channels = pixels.shape
    rows = _integers(pixels, 65535).astype(">u2").view(np.uint8).reshape(height, -1)
    filtered = np.full((height, 1 + rows.shape[1]), _UP, np.uint8)  # each row starts with its filter
    filtered[:, 1:] = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))  # modulo 256, as PNG wants
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    per_metre = round((dpi or 0) / INCH_M)
    chunks = [
        (b"IHDR", header),
        (b"iCCP", b"sRGB\0\0" + zlib.compress(SRGB_PROFILE)),
        *([(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1))] if dpi else []),
        *((kind, content) for kind, content, *_ in text.chunks),
        (b"IDAT", zlib.compress(filtered)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
