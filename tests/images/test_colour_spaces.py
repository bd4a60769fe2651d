"""Colours that a file declares without an ICC profile are those that Chromium shows, within 3 grey levels."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from nst.images import containers, pictures
from nst.images.colour_spaces import PRIMARIES, SRGB, Space, to_srgb

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SWAPPED = PROFILE.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")
ADOBE = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
WIDE = (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)  # ProPhoto, whose white is D50
TOLERANCE = 3  # grey levels


def colours() -> Image.Image:
    """64 x 32 px: a grey ramp, a ramp of each primary colour, and random colours."""
    values = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    ramp = np.linspace(0, 255, 64).round().astype(np.uint8)
    values[:4] = ramp[:, None]
    for channel in range(3):
        values[4 * (channel + 1) : 4 * (channel + 2)] = 0
        values[4 * (channel + 1) : 4 * (channel + 2), :, channel] = ramp
    return Image.fromarray(values)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def gama(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def chrm(*chromaticities: float) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in chromaticities)))


def cicp(primaries: int, transfer: int, matrix: int = 0, full_range: int = 1) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, matrix, full_range]))


def iccp(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


def png(*extra: bytes, picture: Image.Image | None = None) -> bytes:
    buffer = io.BytesIO()
    (picture or colours()).save(buffer, "PNG")
    return buffer.getvalue()[:33] + b"".join(extra) + buffer.getvalue()[33:]


@cache
def container(ending: str) -> bytes:
    """AVIF or HEIC of 4:4:4, in blocks of 4 x 4 px, so that coding changes little."""
    picture, buffer = colours().resize((256, 128), Image.Resampling.NEAREST), io.BytesIO()
    if ending == "avif":
        picture.save(buffer, "AVIF", quality=100, subsampling="4:4:4", speed=9)
    else:
        pillow_heif.from_pillow(picture).save(buffer, quality=100, chroma=444)
    return buffer.getvalue()


def declaring(content: bytes, primaries: int, transfer: int) -> bytes:
    """The same file with these code points in its nclx box."""
    place = content.index(b"nclx") + 4
    return content[:place] + struct.pack(">HH", primaries, transfer) + content[place + 4 :]


def loaded(content: bytes) -> np.ndarray:
    return np.asarray(pictures.load(content).convert("RGB")).astype(int)


DECLARED = {
    "nothing": png(),
    "gamma of 1": png(gama(1)),
    "gamma of 1.25 in the file": png(gama(0.8)),
    "Macintosh gamma": png(gama(0.55556)),
    "steep gamma": png(gama(0.3)),
    "extreme gamma": png(gama(20)),
    "sRGB's gamma": png(gama(0.45455)),
    "nearly sRGB's gamma": png(gama(0.436)),
    "not quite sRGB's gamma": png(gama(0.43)),
    "gamma of 0": png(gama(0)),
    "gamma and sRGB's colours": png(gama(1), chrm(*SRGB)),
    "sRGB's gamma and colours": png(gama(0.45455), chrm(*SRGB)),
    "Adobe RGB": png(gama(0.45471), chrm(*ADOBE)),
    "ProPhoto": png(gama(0.55556), chrm(*WIDE)),
    "chromaticities alone": png(chrm(*ADOBE)),
    "impossible chromaticities": png(gama(1), chrm(*[0.3] * 8)),
    "chromaticities of 0": png(gama(1), chrm(*[0] * 8)),
    "sRGB over gamma": png(gama(1), chunk(b"sRGB", b"\0")),
    "no rendering intent, so gamma": png(gama(1), chunk(b"sRGB", b"\x09")),
    "profile over gamma": png(gama(1), iccp(SWAPPED)),
    "unusable profile, so gamma": png(gama(1), iccp(b"garbage")),
    "cICP over profile": png(cicp(12, 13), iccp(SWAPPED)),
    "cICP over gamma": png(gama(1), cicp(12, 13)),
    "cICP of sRGB over gamma": png(gama(1), cicp(1, 13)),
    "cICP of sRGB over profile": png(cicp(1, 13), iccp(SWAPPED)),
    "unspecified cICP, so gamma": png(cicp(2, 2), gama(1)),
    "unspecified cICP, so profile": png(cicp(2, 2), iccp(SWAPPED)),
    "cICP of narrow range": png(cicp(12, 13, 0, 0)),
    "gamma after the pixels": png()[:-12] + gama(1) + png()[-12:],
    "grey with a gamma": png(gama(1), picture=colours().convert("L")),
    "grey with chromaticities": png(gama(0.55556), chrm(*WIDE), picture=colours().convert("L")),
    "grey with cICP": png(cicp(9, 16), picture=colours().convert("L")),
    "palette with a gamma": png(gama(1), picture=colours().quantize(64)),
    **{f"cICP primaries {code}": png(cicp(code, 13)) for code in (0, 2, 3, *PRIMARIES, 23)},
    **{f"cICP transfer {code}": png(cicp(1, code)) for code in range(20)},
    "HDR as PQ": png(cicp(9, 16)),
    "HDR as HLG": png(cicp(9, 18)),
    "PQ in Display P3": png(cicp(12, 16)),
}


CODE_POINTS = [(1, 13), (12, 13), (9, 13), (1, 1), (9, 1), (9, 14), (6, 6), (2, 2), (9, 2), (2, 8), (1, 8), (12, 4)]
HDR = [(9, 16), (9, 18)]


@pytest.mark.parametrize("points", [*CODE_POINTS, *HDR], ids=str)
def test_a_heic_is_read_as_an_avif_that_declares_the_same(points: tuple[int, int]) -> None:
    """No browser for Linux shows HEIC."""
    plain = Image.fromarray(loaded(declaring(container("heic"), 1, 13)).astype(np.uint8))
    expected = to_srgb(plain, Space.of_code_points(*containers.normal_code_points(*points)))
    assert np.abs(loaded(declaring(container("heic"), *points)) - np.asarray(expected)).max() <= 1
    assert containers.avif_code_points(io.BytesIO(declaring(container("heic"), *points))) is not None


def test_a_profile_comes_before_nclx() -> None:
    """Files of both kinds may have both, though neither library writes them."""
    for ending in ("avif", "heic"):
        picture = pictures.opened(declaring(container(ending), 1, 8), "picture")
        picture.info["icc_profile"] = SWAPPED
        plain = loaded(declaring(container(ending), 1, 13))
        assert np.abs(loaded(picture) - plain[..., ::-1]).max() <= 2


def test_a_gamma_of_a_picture_that_the_caller_opened_counts() -> None:
    opened = Image.open(io.BytesIO(png(gama(1))))
    assert np.array_equal(loaded(opened), loaded(png(gama(1))))


@pytest.mark.parametrize("bits", [8, 16])
def test_alpha_is_kept_and_deep_grey_is_converted(bits: int) -> None:
    if bits == 16:
        deep = Image.fromarray(np.full((24, 40), 51 * 257, np.uint16))
        found = loaded(png(gama(1), picture=deep))
        assert np.abs(found - 255 * (1.055 * 0.2 ** (1 / 2.4) - 0.055)).max() <= 1
        return
    half = colours().convert("RGBA")
    half.putalpha(128)
    found = np.asarray(pictures.load(png(gama(1), picture=half))).astype(int)
    assert (found[..., 3] == 128).all()
    assert np.array_equal(found[..., :3], loaded(png(gama(1))))


def test_the_identity_changes_nothing_and_bands_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = colours()
    same = Space.of_code_points(1, 13)
    assert same.is_srgb
    assert np.array_equal(to_srgb(picture, same), picture)
    whole = to_srgb(picture, Space.of_code_points(9, 16))
    monkeypatch.setattr("nst.images.colour_spaces.BAND_PIXELS", 100)
    assert np.array_equal(to_srgb(picture, Space.of_code_points(9, 16)), whole)


@pytest.mark.parametrize("cut", [20, 60, 100, 200, 300])
def test_boxes_that_are_cut_off_or_nonsense_declare_nothing(cut: int) -> None:
    content = declaring(container("avif"), 9, 16)
    assert containers.avif_code_points(io.BytesIO(content[:cut])) in (None, (9, 16))
    nonsense = content[:cut] + np.random.default_rng(cut).bytes(400)
    containers.avif_code_points(io.BytesIO(nonsense))  # must not raise
    assert containers.avif_code_points(io.BytesIO(b"")) is None


@pytest.mark.parametrize("points", PRIMARIES)
def test_white_of_any_space_is_white(points: int) -> None:
    white = Image.new("RGB", (1, 1), "white")
    assert to_srgb(white, Space(np.sqrt, PRIMARIES[points])).getpixel((0, 0)) == pytest.approx((255,) * 3, abs=1)
