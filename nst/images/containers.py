"""Parts of files that Pillow ignores or refuses: chunks of PNG (W3C PNG, 3rd edition) and boxes of AVIF."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Container, Iterator
from typing import Any, BinaryIO

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_PROFILE = 8_000_000  # bytes of an unpacked ICC profile, and of a chunk that is examined: libpng's limit
LARGEST_UNPACKED = 1 << 20  # bytes of a text or profile, unpacked: Pillow refuses a file that has more
LARGEST_META = 1 << 24  # bytes of the box that describes the pictures of an AVIF file
COLOUR = (b"iCCP", b"cICP", b"sRGB", b"gAMA", b"cHRM")
ANIMATION = (b"acTL", b"fcTL", b"fdAT")
ORIENTING = (b"exif", b"Raw profile type exif", b"XML:com.adobe.xmp")  # keywords of texts that may tell which way is up
LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"acTL": 8, b"fcTL": 26}  # Pillow fails on shorter chunks
UNSPECIFIED, BT709, SRGB_CURVE = 2, 1, 13  # code points of ITU-T H.273
VIDEO_CURVES = (1, 6, 14, 15)  # code points of cameras' transfer curves


def readable_png(file: BinaryIO, texts: Container[bytes] = ORIENTING) -> tuple[BinaryIO, dict[str, Any]]:
    """A PNG without the chunks for which Pillow would refuse it, and `Image.info` that Pillow does not give.

    Chunks of pixels are left alone: Pillow raises for damaged ones. Left out are ancillary chunks with a bad checksum,
    texts and profiles that unpack to more than `LARGEST_UNPACKED`, and texts whose keyword is not in `texts`. The
    second value may have "icc_profile" (bytes, `LARGEST_PROFILE` at most) and "cicp" (code points of primaries and
    transfer). A copy, in memory, is made only where something is left out. Any other file is given back as it is.
    """
    file.seek(0)
    is_png = file.read(8) == PNG_SIGNATURE
    file.seek(0)
    return _filtered(file, texts, animated=True) if is_png else (file, {})


def _filtered(file: BinaryIO, texts: Container[bytes], animated: bool) -> tuple[BinaryIO, dict[str, Any]]:
    """`readable_png`, without the chunks of an animation if not `animated`."""
    copy: io.BytesIO | None = None
    info: dict[str, Any] = {}
    before_pixels = True
    for kind, start, end in _chunks(file):
        before_pixels = before_pixels and kind != b"IDAT"
        keep = True
        if kind in ANIMATION and not animated:
            keep = False
        elif _is_ancillary(kind) and kind != b"fdAT":
            content = _content(file, start, end)
            keep = content is not None and (before_pixels or kind not in COLOUR) and _is_harmless(kind, content, texts)
            if kind in ANIMATION and not keep:
                return _filtered(file, texts, animated=False)  # drop the whole animation: a part of it is missing
            if content is not None and before_pixels:
                info |= _colour(kind, content)
        if not keep and copy is None:
            copy = io.BytesIO()
            _append(copy, file, 0, start)
        elif keep and copy is not None:
            _append(copy, file, start, end)
    if copy is None:
        file.seek(0)
        return file, info
    copy.seek(0)
    return copy, info


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk. A rest of the file that is no whole chunk comes last, with the kind b""."""
    size = file.seek(0, io.SEEK_END)
    start = len(PNG_SIGNATURE)
    while start < size:
        file.seek(start)
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        end = start + 12 + length
        if not kind.isalpha() or end > size:
            yield b"", start, size
            return
        yield kind, start, end
        start = end


def _is_ancillary(kind: bytes) -> bool:
    return kind[:1].islower()


def _content(file: BinaryIO, start: int, end: int) -> bytes | None:
    """A chunk's content; None when its checksum is wrong, or when it is over `LARGEST_PROFILE`."""
    if end - start > LARGEST_PROFILE:
        return None
    file.seek(start + 4)
    summed = file.read(end - start - 8)  # the kind and the content
    return summed[4:] if zlib.crc32(summed) == int.from_bytes(file.read(4), "big") else None


def _append(copy: BinaryIO, file: BinaryIO, start: int, end: int) -> None:
    file.seek(start)
    copy.write(file.read(end - start))


def _is_harmless(kind: bytes, content: bytes, texts: Container[bytes]) -> bool:
    """Whether this ancillary chunk can stay: Pillow neither refuses the file for it nor misreads it."""
    if kind in (b"tEXt", b"zTXt", b"iTXt"):
        keyword, _, rest = content.partition(b"\0")
        packed = {b"tEXt": b"", b"zTXt": rest[1:], b"iTXt": rest[2:].split(b"\0", 2)[-1] if rest[:1] != b"\0" else b""}
        return keyword in texts and (not packed[kind] or unpacked(packed[kind], LARGEST_UNPACKED) is not None)
    if kind == b"iCCP":
        profile = _profile(content)
        return profile is not None and len(profile) <= LARGEST_UNPACKED
    if kind == b"sRGB" and content > b"\3":  # not a rendering intent
        return False
    return len(content) == LENGTHS.get(kind, len(content))


def _colour(kind: bytes, content: bytes) -> dict[str, Any]:
    """What a chunk adds to `Image.info`: an ICC profile or H.273 code points."""
    if kind == b"iCCP" and (profile := _profile(content)):
        return {"icc_profile": profile}
    if kind == b"cICP" and len(content) == 4 and content[2:] == b"\0\1":  # RGB in full range
        return {"cicp": (content[0], content[1])}
    return {}


def _profile(content: bytes) -> bytes | None:
    """The ICC profile of an iCCP chunk; None when it is damaged or too large."""
    _, _, rest = content.partition(b"\0")
    return unpacked(rest[1:], LARGEST_PROFILE) if rest[:1] == b"\0" else None


def unpacked(packed: bytes, most: int) -> bytes | None:
    """The content of a zlib stream; None when it is damaged or over `most` bytes. No more than `most` is unpacked."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, most)
    except zlib.error:
        return None
    return None if stream.unconsumed_tail or not stream.eof else content


def avif_code_points(file: BinaryIO) -> tuple[int, int] | None:
    """H.273 primaries and transfer that an AVIF or HEIF file (ISO 23008-12) declares for its picture, or None.

    As in Chromium, unspecified values and the camera curves mean sRGB.
    """
    meta = next((body for kind, body in _boxes(_head(file)) if kind == b"meta"), b"")[4:]
    children = dict(_boxes(meta))
    properties = dict(_boxes(children.get(b"iprp", b"")))
    listed = list(_boxes(properties.get(b"ipco", b"")))
    try:
        numbers = _associated(properties.get(b"ipma", b""), _primary(children.get(b"pitm", b"")))
    except (struct.error, IndexError):
        return None
    for number in numbers:
        kind, body = listed[number - 1] if 0 < number <= len(listed) else (b"", b"")
        if kind == b"colr" and body[:4] == b"nclx" and len(body) >= 8:
            return normal_code_points(*struct.unpack_from(">HH", body, 4))
    return None


def normal_code_points(primaries: int, transfer: int) -> tuple[int, int]:
    """Code points of nclx as Chromium interprets them: unspecified values and the camera curves mean sRGB."""
    curve = SRGB_CURVE if transfer in (UNSPECIFIED, *VIDEO_CURVES) else transfer
    return BT709 if primaries == UNSPECIFIED else primaries, curve


def _head(file: BinaryIO) -> bytes:
    """The beginning of a file, which holds its boxes of metadata."""
    file.seek(0)
    head = file.read(LARGEST_META)
    file.seek(0)
    return head


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each box, ISO 14496-12; the last may be cut off."""
    start = 0
    while start + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, start)
        header = 8
        if size == 1 and start + 16 <= len(content):
            (size,), header = struct.unpack_from(">Q", content, start + 8), 16
        end = start + size if size else len(content)
        if end < start + header:
            return
        yield kind, content[start + header : end]
        start = end


def _primary(pitm: bytes) -> int:
    """Number of the item that is the main picture, from the body of a pitm box."""
    return struct.unpack_from(">I" if pitm[0] else ">H", pitm, 4)[0]


def _associated(ipma: bytes, item: int) -> list[int]:
    """Numbers, from 1, of the properties of one item, from the body of an ipma box."""
    version, wide = ipma[0], ipma[3] & 1
    (count,) = struct.unpack_from(">I", ipma, 4)
    place = 8
    for _ in range(count):
        (number,) = struct.unpack_from(">I" if version else ">H", ipma, place)
        place += 4 if version else 2
        entries = ipma[place]
        form = f">{entries}{'H' if wide else 'B'}"
        found = struct.unpack_from(form, ipma, place + 1)
        if number == item:
            return [value & (0x7FFF if wide else 0x7F) for value in found]
        place += 1 + struct.calcsize(form)
    return []
