"""Shared by the tests of reading pictures: small files of every format, and reading them back."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageCms

from nst.images import pictures

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(folder: Path, picture: Image.Image, ending: str = "png", **options) -> Path:
    path = folder / f"picture.{ending}"
    picture.save(path, **options)
    return path


def flat(mode: str, colour: object) -> Image.Image:
    return Image.new(mode, (32, 24), colour)


def pixels(source: object) -> np.ndarray:
    loaded = pictures.load(source)
    assert loaded.mode == "RGB"
    return np.asarray(loaded)


def rgba(source: object) -> np.ndarray:
    loaded = pictures.load(source)
    assert loaded.mode == "RGBA"
    return np.asarray(loaded)


def heic(folder: Path, picture: Image.Image, **options) -> Path:
    path = folder / "picture.heic"
    pillow_heif.from_pillow(picture).save(path, quality=100, chroma=444, **options)
    return path


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and has almost no content."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def truncated_png(folder: Path) -> Path:
    content = saved(folder, Image.effect_noise((200, 200), 80)).read_bytes()
    path = folder / "half.png"
    path.write_bytes(content[: len(content) // 2])
    return path
