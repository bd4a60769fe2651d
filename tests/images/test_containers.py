"""A PNG is read whatever its chunks without pixels hold; of an animation, a frame that shows something is read."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from nst import Degraded, Settings, stylise_events
from nst.images import containers, pictures

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PIXELS = np.random.default_rng(3).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def chunk(kind: bytes, content: bytes, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(before: bytes = b"", after: bytes = b"", picture: Image.Image | None = None) -> bytes:
    """A PNG with further chunks before its pixels and after them."""
    buffer = io.BytesIO()
    (picture or Image.fromarray(PIXELS)).save(buffer, "PNG")
    content = buffer.getvalue()
    return content[:33] + before + content[33:-12] + after + content[-12:]


MEGABYTES = bytes(3 << 20)
PACKED = zlib.compress(MEGABYTES)
LARGE_PROFILE = SRGB + bytes(2 << 20)  # ICC readers use the offsets of tags
HARMLESS = {
    "large packed text": chunk(b"zTXt", b"Comment\0\0" + PACKED),
    "large packed international text": chunk(b"iTXt", b"Comment\0\1\0\0\0" + PACKED),
    "large packed Exif as a text": chunk(b"zTXt", b"Raw profile type exif\0\0" + PACKED),
    "large packed XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + PACKED),
    "text of an unknown packing": chunk(b"zTXt", b"Comment\0\7" + PACKED),
    "many texts of nearly 1 MB": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 20))) * 70,
    "text named like a field of Pillow": chunk(b"tEXt", b"transparency\x000"),
    "gamma given as a text": chunk(b"tEXt", b"gamma\x001"),
    "huge raw chunk": chunk(b"prIV", bytes(9 << 20)),
    "large profile": chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(LARGE_PROFILE)),
    "profile over every limit": chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(SRGB + bytes(9 << 20))),
    "profile of an unknown packing": chunk(b"iCCP", b"sRGB\0\3" + zlib.compress(SRGB)),
    "profile with garbage for a stream": chunk(b"iCCP", b"sRGB\0\0garbage"),
    "text with a bad checksum": chunk(b"tEXt", b"Comment\0hello", 1),
    "time with a bad checksum": chunk(b"tIME", bytes(7), 1),
    "gamma with a bad checksum": chunk(b"gAMA", struct.pack(">I", 100_000), 1),
    "gamma cut short": chunk(b"gAMA", b"\0"),
    "resolution cut short": chunk(b"pHYs", b"\0"),
    "sRGB cut short": chunk(b"sRGB", b""),
    "animation with a bad checksum": chunk(b"acTL", struct.pack(">II", 2, 0), 1)
    + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 40, 24, 0, 0, 1, 10, 0, 0)),
    "animation cut short": chunk(b"acTL", b"\0"),
    "control of a frame cut short": chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", b"\0"),
}


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_chunks_without_pixels_never_cost_the_picture(name: str, after: bool, tmp_path: Path) -> None:
    content = png(after=HARMLESS[name]) if after else png(HARMLESS[name])
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    for source in (path, content):
        found = np.asarray(pictures.load(source)).astype(int)
        assert np.abs(found - PIXELS).max() <= 1  # an sRGB profile moves some values by one
    with pictures.header(path) as header:
        assert header.size == (40, 24)


def test_a_large_profile_is_used() -> None:
    swapped = LARGE_PROFILE.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")
    found = np.asarray(pictures.load(png(chunk(b"iCCP", b"x\0\0" + zlib.compress(swapped))))).astype(int)
    assert np.abs(found - PIXELS[..., ::-1]).max() <= 2


@pytest.mark.parametrize("keyword", [b"Raw profile type exif", b"exif"])
def test_texts_that_tell_which_way_is_up_are_still_read(keyword: bytes) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    raw = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    text = raw if keyword == b"exif" else b"\nexif\n%8d\n" % len(raw) + raw.hex().encode() + b"\n"
    kind, packed = (b"tEXt", text) if keyword == b"exif" else (b"zTXt", b"\0" + zlib.compress(text))
    found = np.asarray(pictures.load(png(chunk(kind, keyword + b"\0" + packed) + HARMLESS["large packed text"])))
    assert np.array_equal(found, PIXELS[::-1, ::-1])


def broken_pixels(content: bytes) -> bytes:
    middle = content.index(b"IDAT") + 4 + 1000
    return content[:middle] + bytes(50) + content[middle + 50 :]


def broken_palette(_: bytes) -> bytes:
    content = png(picture=Image.fromarray(PIXELS).quantize(16))
    place = content.index(b"PLTE") + 5
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


@pytest.mark.parametrize("harm", [broken_pixels, broken_palette, lambda content: content[: len(content) // 2]])
@pytest.mark.parametrize("extra", [b"", HARMLESS["large packed text"]], ids=["", "with a large text"])
def test_damaged_pixels_still_end_in_the_sentence(harm: Callable[[bytes], bytes], extra: bytes) -> None:
    with pytest.raises(ValueError, match=r"the photo is .*; save it as PNG or JPEG"):
        pictures.load(harm(png(extra)), "photo")


def test_a_png_with_nothing_to_leave_out_is_not_copied() -> None:
    file = io.BytesIO(png(chunk(b"gAMA", struct.pack(">I", 45455))))
    assert containers.readable_png(file) == (file, {})


def test_unpacking_stops_at_the_limit() -> None:
    assert containers.unpacked(zlib.compress(b"a" * 1000), 1000) == b"a" * 1000
    assert containers.unpacked(zlib.compress(b"a" * 1001), 1000) is None
    assert containers.unpacked(zlib.compress(b"a" * 1000)[:-3], 1000) is None
    assert containers.unpacked(b"garbage", 1000) is None


ENDINGS = ["gif", "webp", "png", "avif"]


def animation(ending: str, *frames: Image.Image) -> bytes:
    options = {"gif": {"disposal": 2}, "webp": {"lossless": True}, "png": {}, "avif": {"quality": 100}}[ending]
    buffer = io.BytesIO()
    frames[0].save(buffer, ending, save_all=True, append_images=frames[1:], duration=[80, 90, 100], **options)
    assert Image.open(io.BytesIO(buffer.getvalue())).n_frames == len(frames)
    return buffer.getvalue()


def rgba(colour: tuple[int, ...], painted: bool = False) -> Image.Image:
    picture = Image.new("RGBA", (64, 48), colour)
    if painted:
        picture.paste((200, 30, 60, 255), (8, 8, 40, 40))
    return picture


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("first", [(0, 0, 0, 0), (0, 0, 0, 255), (255, 255, 255, 255)], ids=["clear", "black", "white"])
def test_an_animation_gives_its_first_frame_that_shows_something(ending: str, first: tuple[int, ...]) -> None:
    content = animation(ending, rgba(first), rgba((20, 90, 160, 255), painted=True), rgba((9, 9, 9, 255), painted=True))
    found = np.asarray(pictures.load(content).convert("RGB")).astype(int)
    assert np.abs(found[24, 24] - (200, 30, 60)).max() <= 8
    assert np.abs(found[2, 60] - (20, 90, 160)).max() <= 8


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_an_animation_of_flat_frames_gives_the_first_that_is_not_clear(ending: str) -> None:
    frames = [rgba((0, 0, 0, 0)), rgba((20, 90, 160, 255)), rgba((9, 90, 9, 255))]
    found = np.asarray(pictures.load(animation(ending, *frames)).convert("RGB")).astype(int)
    assert np.abs(found - (20, 90, 160)).max() <= 2


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_an_animation_that_is_clear_throughout_is_refused(ending: str) -> None:
    content = animation(ending, rgba((0, 0, 0, 0)), rgba((1, 0, 0, 0)).crop((0, 0, 64, 48)))
    with pytest.raises(ValueError, match="wholly transparent"):
        pictures.load(content)


def test_a_damaged_second_frame_leaves_the_first() -> None:
    content = animation("png", rgba((30, 40, 50, 255)), rgba((20, 90, 160, 255), painted=True))
    place = content.index(b"fdAT") + 12
    found = np.asarray(pictures.load(content[:place] + bytes(20) + content[place + 20 :]).convert("RGB"))
    assert (found == (30, 40, 50)).all()


def test_colours_of_an_animation_are_those_that_its_file_declares() -> None:
    content = animation("png", rgba((0, 0, 0, 0)), rgba((20, 90, 160, 255), painted=True))
    linear = content[:33] + chunk(b"cICP", bytes([1, 8, 0, 1])) + content[33:]
    plain, found = (np.asarray(pictures.load(source).convert("RGB"))[24, 24] for source in (content, linear))
    assert (found > plain + 10).all()


def test_pages_of_a_tiff_are_no_animation() -> None:
    buffer = io.BytesIO()
    rgba((30, 40, 50, 255)).save(buffer, "TIFF", save_all=True, append_images=[rgba((20, 90, 160, 255), painted=True)])
    assert (np.asarray(pictures.load(buffer.getvalue())) == (30, 40, 50)).all()
    assert pictures.animation_notice(buffer.getvalue()) is None


def test_a_run_says_that_one_frame_of_an_animation_is_used(photo: Image.Image, style: Image.Image) -> None:
    still, painted = png(picture=photo), png(picture=style)
    moving = animation("gif", photo.convert("RGBA"), rgba((9, 9, 9, 255)).resize(photo.size))
    settings = Settings(size=48, quality="draft", steps=1, pyramid=False)
    for content, styles, said in (
        (still, [painted], []),
        (moving, [painted], ["photo"]),
        (still, [moving, moving], ["style picture"]),
    ):
        events = stylise_events(content, styles, settings)
        reasons = [event.reason for event in events if isinstance(event, Degraded)]
        assert reasons == [f"The {name} is an animation; one frame of it is used." for name in said]
