"""Embedded colour profiles are applied where they can be used, and ignored otherwise."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from nst.images import pictures
from tests.images.files import SRGB, flat, heic, pixels, rgba, saved


def with_red_and_blue_swapped(profile: bytes) -> bytes:
    return profile.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")


def with_linear_curves(profile: bytes) -> bytes:
    """sRGB's parametric curve replaced by the identity: type 0 with an exponent of 1."""
    start = profile.index(b"para")
    return profile[: start + 8] + struct.pack(">HHI", 0, 0, 1 << 16) + profile[start + 16 :]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_embedded_profile_with_red_and_blue_swapped_is_converted(mode: str, tmp_path: Path) -> None:
    picture = flat("RGB", (200, 120, 30))
    path = saved(
        tmp_path,
        picture.quantize(4) if mode == "P" else picture.convert(mode),
        icc_profile=with_red_and_blue_swapped(SRGB),
    )
    assert np.abs(pixels(path).astype(int) - (30, 120, 200)).max() <= 2


def test_embedded_linear_profile_is_converted(tmp_path: Path) -> None:
    path = saved(tmp_path, flat("RGB", (51, 128, 230)), icc_profile=with_linear_curves(SRGB))
    expected = 255 * (1.055 * (np.array([51, 128, 230]) / 255) ** (1 / 2.4) - 0.055)
    assert np.abs(pixels(path) - expected).max() <= 2


def test_profile_of_a_transparent_picture_is_converted_and_its_alpha_kept(tmp_path: Path) -> None:
    path = saved(tmp_path, flat("RGBA", (200, 120, 30, 51)), icc_profile=with_red_and_blue_swapped(SRGB))
    found = rgba(path).astype(int)
    assert np.abs(found[..., :3] - (30, 120, 200)).max() <= 2
    assert (found[..., 3] == 51).all()


def linear_grey_profile() -> bytes:
    """A minimal ICC profile for greyscale, version 2, with light in proportion to the values."""

    def words(kind: bytes, text: bytes) -> bytes:
        return kind + bytes(4) + text

    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags = [
        (b"desc", words(b"desc", struct.pack(">I", 5) + b"grey\0" + bytes(79))),
        (b"cprt", words(b"text", b"none\0\0\0\0")),
        (b"wtpt", white),
        (b"kTRC", b"curv" + bytes(8)),
    ]
    table, data = struct.pack(">I", len(tags)), b""
    for name, content in tags:
        table += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    header = bytes(4) + struct.pack(">I", 0x02100000) + b"mntrGRAYXYZ " + struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    header = (b"\0\0\0\0" + header + b"acsp").ljust(68, b"\0") + white[8:]
    profile = header.ljust(128, b"\0") + table + data
    return struct.pack(">I", len(profile)) + profile[4:]


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_profile_for_grey_is_converted(mode: str, tmp_path: Path) -> None:
    picture = {"L": flat("L", 51), "LA": flat("LA", (51, 128)), "I;16": flat("I;16", 51 * 257)}[mode]
    found = np.asarray(pictures.load(saved(tmp_path, picture, icc_profile=linear_grey_profile())))
    assert np.abs(found[..., :3] - 255 * (1.055 * 0.2 ** (1 / 2.4) - 0.055)).max() <= 2
    assert mode != "LA" or (found[..., 3] == 128).all()


def test_grey_picture_with_a_profile_for_colours_is_converted(tmp_path: Path) -> None:
    path = saved(tmp_path, flat("L", 51), "jpg", quality=100, icc_profile=with_linear_curves(SRGB))
    assert np.abs(pixels(path) - 255 * (1.055 * 0.2 ** (1 / 2.4) - 0.055)).max() <= 3


def test_coloured_picture_with_a_profile_for_grey_keeps_its_colours(tmp_path: Path) -> None:
    path = saved(tmp_path, flat("RGB", (200, 120, 30)), icc_profile=linear_grey_profile())
    assert (pixels(path) == (200, 120, 30)).all()


def test_profile_of_a_heic_picture_is_converted(tmp_path: Path) -> None:
    path = heic(tmp_path, flat("RGB", (200, 120, 30)), icc_profile=with_red_and_blue_swapped(SRGB))
    assert np.abs(pixels(path).astype(int) - (30, 120, 200)).max() <= 4


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_nothing_of_the_metadata_is_loaded(ending: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "seen from my window"
    path = saved(tmp_path, flat("RGB", (200, 120, 30)), ending, exif=exif, icc_profile=SRGB, dpi=(72, 72))
    loaded = pictures.load(path)
    assert loaded.info == {}
    assert dict(loaded.getexif()) == {}


def test_srgb_profile_changes_nothing(colours: np.ndarray, tmp_path: Path) -> None:
    found = pixels(saved(tmp_path, Image.fromarray(colours), icc_profile=SRGB))
    assert np.abs(found.astype(int) - colours).max() <= 1


@pytest.mark.parametrize("profile", [b"garbage", SRGB[:200], b"\0" * 300], ids=["words", "truncated", "zeros"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK"])
def test_unusable_profile_is_ignored(mode: str, profile: bytes, tmp_path: Path) -> None:
    picture = flat("RGB", (200, 120, 30)).convert(mode)
    ending = "tiff" if mode == "CMYK" else "png"
    plain = pixels(saved(tmp_path, picture, ending))
    assert np.array_equal(pixels(saved(tmp_path, picture, ending, icc_profile=profile)), plain)


def test_profile_of_another_colour_space_is_ignored(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert (pixels(saved(tmp_path, flat("RGB", (200, 120, 30)), icc_profile=lab)) == (200, 120, 30)).all()
