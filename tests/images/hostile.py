"""Harmful files for test_hostile.py and test_hostile_memory.py."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from functools import cache

from PIL import Image


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *extra: bytes, pixels: bytes | None = None) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = zlib.compress(b"\0" * (height * (1 + 3 * width))) if pixels is None else pixels
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def saved(form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((160, 120), 90).convert("RGB").save(buffer, form, **options)
    return buffer.getvalue()


@cache
def zeros(mib: int) -> bytes:
    """Zeros of this size, MiB, compressed to a thousandth."""
    return zlib.compress(b"\0" * (mib << 20), 9)


def tiff(width: int, height: int, tile: int, compression: int = 8) -> bytes:
    """A TIFF of one black tile; of a large tile it holds only the beginning."""
    data = zlib.compress(b"\0" * min(tile, 256) ** 2)
    entries = [
        *((256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, compression), (262, 3, 1), (277, 3, 1)),
        *((322, 4, tile), (323, 4, tile), (324, 4, 4096), (325, 4, len(data))),
    ]
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + table + struct.pack("<I", 0)
    return head.ljust(4096, b"\0") + data


def gif(width: int, height: int) -> bytes:
    small = saved("GIF")
    return small[:6] + struct.pack("<HH", width, height) + small[10:]


def bmp(width: int, height: int) -> bytes:
    small = saved("BMP")
    return small[:18] + struct.pack("<ii", width, height) + small[26:]


@cache
def refused() -> dict[str, bytes]:
    """Hostile and broken files that hold no picture, by name."""
    jpeg = saved("JPEG")
    return {
        "PNG of 4 gigapixels": png(65_000, 65_000, pixels=zeros(1)),
        "PNG of 2 ** 31 squared": png(2**31 - 1, 2**31 - 1, pixels=b""),
        "PNG of 99 megapixels without any": png(11_000, 9_000, pixels=b""),
        "GIF with a huge canvas": gif(65_535, 65_535),
        "BMP of 4 gigapixels": bmp(65_000, 65_000),
        "BMP of negative height": bmp(64, -(2**31)),
        "TIFF with a tile of 1 gigapixel": tiff(64, 64, 32_768),
        "TIFF with tiles of 4 gigapixels": tiff(64, 64, 65_536),
        "TIFF with a raw tile of 1 gigapixel": tiff(64, 64, 32_768, 1),
        "TIFF of 4 gigapixels": tiff(65_000, 65_000, 256),
        "JPEG cut off": jpeg[: len(jpeg) // 2],
        "JPEG without its header": b"\xff\xd8\xff" + jpeg[200:],
        "WebP cut off": saved("WEBP")[:200],
        "AVIF cut off": saved("AVIF")[:300],
        "HTML": b"<!doctype html><script>alert(1)</script>" * 9,
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n(/etc/passwd) run showpage\n",
        "PDF": b"%PDF-1.7\n1 0 obj <</Type/Catalog>> endobj\n%%EOF",
        "PSD": b"8BPS\0\1" + b"\0" * 6 + struct.pack(">HIIHH", 3, 100, 100, 8, 3) + b"\0" * 99,
        "FITS": b"SIMPLE  =                    T" + b" " * 2850,
        "XPM": b'/* XPM */\nstatic char *x[] = {"64 64 1 1", "a c #ffffff",' + b'"a"' * 64,
        "PPM": b"P6 64 64 255\n" + b"\0" * 64 * 64 * 3,
        "ZIP": b"PK\3\4" + b"\0" * 100,
        "nothing": b"",
        "zeros": b"\0" * 10_000,
    }


@cache
def harmless() -> dict[str, bytes]:
    """Files that hold a picture and something harmful."""
    inside = io.BytesIO()
    with zipfile.ZipFile(inside, "w") as archive:
        archive.writestr("payload.html", "<script>SECRET</script>")
    bomb = b"Comment\0\0" + zeros(99)
    return {
        "PNG with a bomb in a text": png(64, 64, chunk(b"zTXt", bomb)),
        "PNG with a bomb for a profile": png(64, 64, chunk(b"iCCP", bomb)),
        "PNG with a bomb in an international text": png(64, 64, chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(99))),
        "PNG and ZIP": saved("PNG") + inside.getvalue(),
        "JPEG and PDF": saved("JPEG") + b"%PDF-1.7 SECRET %%EOF",
        "GIF and JavaScript": saved("GIF") + b";/*SECRET*/alert(1)",
    }
