import dataclasses
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import png
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import AvifImagePlugin, Image, ImageCms, ImageFile

from nst.images import decode, pictures
from nst.settings import LIMITS

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="module")
def colours() -> np.ndarray:
    """40 x 24 px without any symmetry: (24, 40, 3) uint8."""
    return np.random.default_rng(5).integers(0, 256, (24, 40, 3), dtype=np.uint8)


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


def test_rgb_path_and_picture_load_unchanged(colours: np.ndarray, tmp_path: Path) -> None:
    picture = Image.fromarray(colours)
    path = saved(tmp_path, picture)
    for source in (picture, path, str(path)):
        assert np.array_equal(pixels(source), colours)


def rgba(source: object) -> np.ndarray:
    loaded = pictures.load(source)
    assert loaded.mode == "RGBA"
    return np.asarray(loaded)


def heic(folder: Path, picture: Image.Image, **options) -> Path:
    path = folder / "picture.heic"
    pillow_heif.from_pillow(picture).save(path, quality=100, chroma=444, **options)
    return path


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_undone(orientation: int, colours: np.ndarray, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(colours), exif=exif)
    assert np.array_equal(pixels(path), UPRIGHT[orientation](colours))
    assert np.array_equal(pixels(pictures.load(path)), UPRIGHT[orientation](colours))  # and only once


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("ending", ["avif", "heic"])
def test_container_that_turns_its_picture_itself_is_not_turned_twice(
    ending: str, orientation: int, photo: Image.Image, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if ending == "heic":
        path = heic(tmp_path, photo, exif=exif.tobytes())
    else:
        path = saved(tmp_path, photo, ending, quality=100, subsampling="4:4:4", exif=exif)
    expected = UPRIGHT[orientation](np.asarray(photo)).astype(int)
    assert pictures.load(path).size == expected.shape[1::-1]
    assert np.abs(pixels(path) - expected).mean() < 3  # turned wrongly: over 30


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_nonsense_in_exif_is_ignored(colours: np.ndarray, tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(colours), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert np.array_equal(pixels(path), colours)


def test_greyscale_gives_three_equal_channels(colours: np.ndarray, tmp_path: Path) -> None:
    grey = colours[..., 0]
    assert np.array_equal(pixels(saved(tmp_path, Image.fromarray(grey))), np.repeat(grey[..., None], 3, -1))


def test_one_bit_gives_black_and_white(tmp_path: Path) -> None:
    chequer = np.indices((24, 40)).sum(0) % 2 == 0
    path = saved(tmp_path, Image.fromarray(chequer))
    assert np.array_equal(pixels(path), np.repeat(chequer[..., None], 3, -1) * np.uint8(255))


def test_palette_gives_its_colours(tmp_path: Path) -> None:
    picture = flat("P", 1)
    picture.putpalette([0, 0, 0, 200, 40, 90])
    assert np.unique(pixels(saved(tmp_path, picture)).reshape(-1, 3), axis=0).tolist() == [[200, 40, 90]]


@pytest.mark.parametrize("ending", ["png", "gif"])
def test_transparent_palette_entry_is_kept_transparent(ending: str, tmp_path: Path) -> None:
    picture = flat("P", 1)
    picture.putpalette([200, 40, 90, 10, 20, 30])
    picture.paste(0, (0, 0, 16, 24))
    found = rgba(saved(tmp_path, picture, ending, transparency=0))
    assert (found[:, :16] == (10, 20, 30, 0)).all()
    assert (found[:, 16:] == (10, 20, 30, 255)).all()


def test_transparent_colour_of_an_rgb_png_is_kept_transparent(tmp_path: Path) -> None:
    picture = flat("RGB", (1, 2, 3))
    picture.paste((50, 60, 70), (0, 0, 16, 24))
    found = rgba(saved(tmp_path, picture, transparency=(1, 2, 3)))
    assert (found[:, :16] == (50, 60, 70, 255)).all()
    assert (found[:, 16:] == (50, 60, 70, 0)).all()


def test_transparent_grey_of_a_16_bit_png_is_kept_transparent(tmp_path: Path) -> None:
    rows = [[30_000] * 16 + [51 * 257] * 16] * 24
    with (tmp_path / "grey.png").open("wb") as file:
        png.Writer(32, 24, greyscale=True, bitdepth=16, transparent=30_000).write(file, rows)
    found = rgba(tmp_path / "grey.png")
    assert (found[:, :16] == (51, 51, 51, 0)).all()
    assert (found[:, 16:] == (51, 51, 51, 255)).all()


@pytest.mark.parametrize("ending", ["png", "webp", "tiff", "avif"])
def test_partly_transparent_colour_and_its_alpha_are_kept(ending: str, tmp_path: Path) -> None:
    options = {"webp": {"lossless": True, "exact": True}, "avif": {"quality": 100, "subsampling": "4:4:4"}}
    found = rgba(saved(tmp_path, flat("RGBA", (200, 100, 0, 51)), ending, **options.get(ending, {})))
    assert np.abs(found.astype(int) - (200, 100, 0, 51)).max() <= (2 if ending == "avif" else 0)


def test_grey_with_alpha_keeps_both(tmp_path: Path) -> None:
    assert (rgba(saved(tmp_path, flat("LA", (40, 51)))) == (40, 40, 40, 51)).all()


@pytest.mark.parametrize("picture", [flat("RGBA", (9, 8, 7, 255)), flat("LA", (9, 255))], ids=lambda p: p.mode)
def test_opaque_alpha_is_dropped(picture: Image.Image, tmp_path: Path) -> None:
    assert np.array_equal(pixels(saved(tmp_path, picture)), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_wholly_transparent_picture_is_refused(mode: str) -> None:
    with pytest.raises(ValueError, match=r"the photo is wholly transparent; choose one"):
        pictures.load(Image.new("RGBA", (32, 24), (200, 0, 0, 0)).convert(mode), "photo")


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(16, 50), st.integers(16, 50), st.sampled_from([0.05, 0.5, 0.97]))
def test_files_that_differ_in_hidden_colours_only_load_identically(
    seed: int, height: int, width: int, share: float
) -> None:
    random = np.random.default_rng(seed)
    first, second = random.integers(0, 256, (2, height, width, 4), dtype=np.uint8)
    holes = random.random((height, width)) < share
    holes[0, :2] = True, False
    first[..., 3] = np.where(holes, 0, first[..., 3].clip(1))
    second[~holes] = first[~holes]
    second[holes, 3] = 0
    found = rgba(Image.fromarray(first))
    assert np.array_equal(found, rgba(Image.fromarray(second)))
    assert np.array_equal(found[~holes], first[~holes])
    seen = first[~holes, :3]
    assert (found[holes, :3] >= seen.min(0)).all()
    assert (found[holes, :3] <= seen.max(0)).all()


@pytest.mark.parametrize("cells", [1e6, 100], ids=["fine", "coarse"])
def test_one_visible_colour_runs_on_everywhere(cells: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "_EXTENSION_CELLS", cells)
    picture = Image.new("RGBA", (301, 97), (255, 0, 0, 0))
    picture.putpixel((300, 96), (7, 130, 251, 1))
    assert (rgba(picture)[..., :3] == (7, 130, 251)).all()


def test_colours_run_on_from_their_own_side() -> None:
    picture = Image.new("RGBA", (200, 40), (0, 255, 0, 0))
    picture.paste((200, 0, 0, 255), (0, 0, 50, 40))
    picture.paste((0, 0, 200, 255), (150, 0, 200, 40))
    red, green, blue, _ = np.moveaxis(rgba(picture).astype(int), -1, 0)
    assert (green == 0).all()
    assert (red[:, 50:56] > 150).all()
    assert (blue[:, 144:150] > 150).all()
    assert (np.diff(red, axis=1) <= 0).all()


def test_hidden_half_of_a_ramp_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "_EXTENSION_CELLS", 100)
    ramp = np.repeat(np.linspace(0, 255, 97).round().astype(np.uint8)[:, None], 301, 1)
    alpha = np.where(np.indices(ramp.shape).sum(0) % 2, 0, 255).astype(np.uint8)
    found = rgba(Image.fromarray(np.stack([ramp, ramp, ramp, alpha], -1)))
    assert np.abs(found[20:70, :, 0].astype(int) - ramp[20:70]).max() <= 3


@pytest.mark.parametrize("mode", ["La", "RGBa", "HSV", "YCbCr", "RGBX", "LAB", "I;16L", "I;16N"])
def test_rare_modes_have_their_colours(mode: str) -> None:
    colour, alpha = (40, 120, 200, 255), 255
    if mode in ("La", "RGBa"):
        colour, alpha = ((120, 120, 120, 128) if mode == "La" else (40, 120, 200, 128)), 128
        picture = flat("RGBA", colour).convert("LA" if mode == "La" else "RGBA").convert(mode)
    elif mode == "LAB":
        profiles = (ImageCms.createProfile(space) for space in ("sRGB", "LAB"))
        picture = ImageCms.profileToProfile(flat("RGB", colour[:3]), *profiles, outputMode="LAB")
        picture.info.clear()
    elif mode.startswith("I;16"):
        colour = (120, 120, 120, 255)
        picture = flat(mode, 120 * 257)
    else:
        picture = flat("RGB", colour[:3]).convert(mode)
    assert picture.mode == mode
    found = rgba(picture) if alpha < 255 else pixels(picture)
    assert np.abs(found.astype(int) - colour[: found.shape[-1]]).max() <= 3


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_16_bit_png_is_read_to_the_nearest_steps(grey: bool, alpha: bool, tmp_path: Path) -> None:
    planes = (1 if grey else 3) + alpha
    values = np.random.default_rng(6).integers(0, 65536, (24, 40, planes))
    with (tmp_path / "deep.png").open("wb") as file:
        png.Writer(40, 24, greyscale=grey, alpha=alpha, bitdepth=16).write(file, values.reshape(24, -1).tolist())
    found = np.asarray(pictures.load(tmp_path / "deep.png")).astype(int)
    expected = np.repeat(values, (3, 1)[:planes], -1) if grey else values
    seen = found[..., 3] > 0 if alpha else np.ones((24, 40), bool)
    assert np.abs(found - expected / 257)[seen].max() <= 1


@pytest.mark.parametrize("ending", ["png", "tiff"])
@pytest.mark.parametrize("top", [65535, 900], ids=["bright", "dark"])
def test_sixteen_bit_greyscale_keeps_its_scale(ending: str, top: int, tmp_path: Path) -> None:
    values = np.linspace(0, top, 24 * 40).reshape(24, 40).astype(np.uint16)
    found = pixels(saved(tmp_path, Image.fromarray(values), ending))
    expected = np.rint(values / 257).astype(np.uint8)
    assert np.array_equal(found, np.repeat(expected[..., None], 3, -1))


def test_big_endian_sixteen_bit_tiff_keeps_its_scale(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 24 * 40).reshape(24, 40).astype(">u2")
    found = pixels(saved(tmp_path, Image.frombytes("I;16B", (40, 24), values.tobytes()), "tiff"))
    assert np.array_equal(found[..., 1], np.rint(values / 257).astype(np.uint8))


@pytest.mark.parametrize(
    ("dtype", "white"), [(np.int32, 65535), (np.int32, 255), (np.float32, 1.0), (np.float32, 255.0)], ids=str
)
def test_32_bit_tiff_is_scaled_to_white(dtype: type, white: float, tmp_path: Path) -> None:
    values = (np.linspace(0, 1, 24 * 40).reshape(24, 40) * white).astype(dtype)
    found = pixels(saved(tmp_path, Image.fromarray(values), "tiff"))
    assert np.abs(found[..., 0] - np.linspace(0, 255, 24 * 40).reshape(24, 40)).max() <= 1.01


def test_float_tiff_with_holes_is_readable(tmp_path: Path) -> None:
    values = np.full((24, 40), 0.5, np.float32)
    values[:, :10], values[:, 10:20], values[:, 20:30] = np.nan, np.inf, -1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pixels(saved(tmp_path, Image.fromarray(values), "tiff"))
    assert np.abs(found[:, 30:].astype(int) - 128).max() <= 1
    assert (found[:, 20:30] == 0).all()


def test_cmyk_jpeg_has_its_colours(tmp_path: Path) -> None:
    found = pixels(saved(tmp_path, flat("CMYK", (0, 255, 255, 0)), "jpg", quality=100))
    assert np.abs(found.astype(int) - (255, 0, 0)).max() <= 8


def test_lossy_formats_are_near_the_original(photo: Image.Image, tmp_path: Path) -> None:
    for ending in ("jpg", "webp", "avif"):
        found = pixels(saved(tmp_path, photo, ending, quality=98))
        assert np.abs(found.astype(int) - np.asarray(photo)).mean() < 3


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "avif"])
def test_animation_gives_its_first_frame(ending: str, tmp_path: Path) -> None:
    frames = [flat("RGB", colour) for colour in ("red", "lime", "blue")]
    path = saved(tmp_path, frames[0], ending, save_all=True, append_images=frames[1:], duration=50)
    assert Image.open(path).n_frames == 3
    assert np.abs(pixels(path).astype(int) - (255, 0, 0)).max() <= 3


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
    """The least that ICC asks of a profile for greyscale, version 2, with light in proportion to the values."""

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


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [30_000, 13_000, 10_001])
def test_huge_declared_size_is_refused_from_the_header_alone(side: int, tmp_path: Path, monkeypatch) -> None:
    def decode(*_args):
        raise AssertionError("the picture was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(side, side))
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)  # our sentence is enough
        with pytest.raises(ValueError, match=r"megapixels.*smaller"):
            pictures.load(path)


@pytest.mark.parametrize("ending", ["avif", "heic"])
@pytest.mark.parametrize("side", [30_000, 16_000, 10_001])
def test_huge_declared_size_of_a_container_is_refused_before_decoding(
    ending: str, side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = flat("RGB", (200, 120, 30))
    path = heic(tmp_path, picture) if ending == "heic" else saved(tmp_path, picture, ending)
    pictures.load(path)

    def extent(width: int, height: int) -> bytes:
        return b"ispe" + struct.pack(">III", 0, width, height)

    content = path.read_bytes()
    declared = extent(64, 64) if ending == "heic" else extent(32, 24)  # HEVC codes blocks, cropped by another box
    assert declared in content
    path.write_bytes(content.replace(declared, extent(side, side)).replace(b"clap", b"free"))
    for plugin in (AvifImagePlugin.AvifImageFile, pillow_heif.HeifImageFile):
        monkeypatch.setattr(plugin, "load", lambda *_: pytest.fail("the picture was decoded"))
    refusal = "not a picture this program reads" if (ending, side) == ("avif", 30_000) else "megapixels.*smaller"
    with pytest.raises(ValueError, match=refusal):  # libavif itself stops at 16384 x 16384
        pictures.load(path)


def test_picture_that_grows_while_it_is_decoded_is_refused(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "LIMITS", dataclasses.replace(LIMITS, megapixels=0.02))
    pictures.load(photo)
    monkeypatch.setattr(pictures.ImageOps, "exif_transpose", lambda picture: picture.resize((200, 200)))
    with pytest.raises(ValueError, match="megapixels"):
        pictures.load(photo)


def test_heic_is_optional_and_registered_on_first_use_only(tmp_path: Path) -> None:
    path = heic(tmp_path, flat("RGB", (200, 120, 30)))
    program = f"""
import sys
import nst.images.pictures
from PIL import Image
assert "pillow_heif" not in sys.modules
assert "HEIF" not in Image.OPEN
sys.modules["pillow_heif"] = None
nst.images.pictures.load({str(path)!r}, "photo")
"""
    end = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert end.stderr.endswith("ValueError: the photo is not a picture this program reads; save it as PNG or JPEG\n")


def text_file(folder: Path) -> Path:
    path = folder / "words.jpg"
    path.write_text("not a picture at all " * 50)
    return path


def empty_file(folder: Path) -> Path:
    path = folder / "empty.png"
    path.touch()
    return path


def truncated_jpeg(folder: Path) -> Path:
    content = saved(folder, Image.effect_noise((200, 200), 80), "jpg").read_bytes()
    path = folder / "half.jpg"
    path.write_bytes(content[: len(content) // 2])
    return path


def truncated_png(folder: Path) -> Path:
    content = saved(folder, Image.effect_noise((200, 200), 80)).read_bytes()
    path = folder / "half.png"
    path.write_bytes(content[: len(content) // 2])
    return path


def corrupt_png(folder: Path) -> Path:
    content = bytearray(saved(folder, Image.effect_noise((200, 200), 80)).read_bytes())
    content[1000:1100] = b"\0" * 100
    path = folder / "corrupt.png"
    path.write_bytes(content)
    return path


def header_only_png(folder: Path) -> Path:
    path = folder / "header.png"
    path.write_bytes(png_header(100, 100))
    return path


@pytest.mark.parametrize(
    "make",
    [text_file, empty_file, truncated_jpeg, truncated_png, corrupt_png, header_only_png],
    ids=lambda f: f.__name__,
)
def test_damaged_file_is_refused_with_a_remedy(make, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the photo .*save it (anew )?as PNG or JPEG") as caught:
        pictures.load(make(tmp_path), "photo")
    assert "\n" not in str(caught.value)


def test_damaged_picture_that_the_caller_opened_is_refused(tmp_path: Path) -> None:
    with Image.open(truncated_jpeg(tmp_path)) as opened, pytest.raises(ValueError, match="damaged"):
        pictures.load(opened)


@pytest.mark.parametrize("path", ["missing.png", "missing/a.png", ""])
def test_path_that_is_not_there_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the photo .*check the path"):
        pictures.load(tmp_path / path, "photo")


@pytest.mark.parametrize("source", [None, 3, [1, 2], np.zeros((32, 32, 3), np.uint8)], ids=lambda s: type(s).__name__)
def test_source_of_the_wrong_type_is_refused(source: object) -> None:
    with pytest.raises(ValueError, match=r"the style picture is .*give a PIL image or the path"):
        pictures.load(source, "style picture")


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15)])
def test_tiny_picture_is_refused_with_the_least_size(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"{size[0]} x {size[1]} px.*16 px"):
        pictures.load(Image.new("RGB", size))


def test_smallest_picture_is_accepted() -> None:
    assert pictures.load(Image.new("RGB", (16, 16))).size == (16, 16)


def test_loading_leaves_the_caller_s_picture_as_it_was() -> None:
    picture = flat("RGBA", (200, 100, 0, 51))
    before = picture.tobytes()
    pictures.load(picture)
    assert (picture.mode, picture.tobytes()) == ("RGBA", before)


def test_tensor_and_picture_round_trip_is_exact_for_every_value() -> None:
    values = np.stack([np.arange(256), np.arange(256)[::-1], np.roll(np.arange(256), 9)], -1).reshape(16, 16, 3)
    picture = Image.fromarray(values.astype(np.uint8))
    tensor = pictures.to_tensor(picture)
    assert (tensor.shape, tensor.dtype) == ((1, 3, 16, 16), torch.float32)
    assert torch.equal(tensor[0, :, 2, 3], torch.from_numpy(values[2, 3]) / 255)
    assert pictures.to_picture(tensor).tobytes() == picture.tobytes()


def test_to_picture_rounds_and_clamps() -> None:
    image = torch.tensor([-0.5, 0.4 / 255, 0.6 / 255, 254.6 / 255, 7.0]).view(1, 1, 1, 5).expand(1, 3, 2, 5)
    assert np.asarray(pictures.to_picture(image))[0, :, 0].tolist() == [0, 0, 1, 255, 255]


@pytest.mark.parametrize("size", [(17, 90), (48, 32), (200, 300)], ids=str)
def test_resize_stays_in_range_although_bicubic_overshoots(size: tuple[int, int]) -> None:
    stripes = (torch.arange(64) // 8 % 2).float().expand(1, 3, 48, 64)
    resized = pictures.resize(stripes, size)
    assert resized.shape == (1, 3, *size)
    assert resized.min() >= 0
    assert resized.max() <= 1
    assert resized.mean().item() == pytest.approx(0.5, abs=0.02)


def test_resize_keeps_a_flat_colour_and_a_ramp() -> None:
    flat_colour = torch.full((1, 3, 48, 64), 0.3)
    assert torch.allclose(pictures.resize(flat_colour, (31, 100)), torch.tensor(0.3), atol=1e-6)
    ramp = torch.linspace(0.1, 0.9, 64).expand(1, 3, 48, 64)
    smaller = pictures.resize(ramp, (24, 32))
    assert torch.allclose(smaller[..., 2:-2], ramp.unflatten(-1, (32, 2)).mean(-1)[..., :24, 2:-2], atol=1e-4)


def test_resize_to_the_same_size_copies_nothing() -> None:
    image = torch.rand(1, 3, 20, 30)
    assert pictures.resize(image, (20, 30)) is image


@pytest.mark.parametrize(("small", "large"), [((20, 30), (40, 60)), ((21, 33), (43, 65))], ids=str)
def test_enlarge_brings_back_what_the_smaller_size_could_not_hold(small: tuple, large: tuple) -> None:
    photo = torch.rand(1, 3, 80, 120, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    untouched = pictures.enlarge(pictures.resize(photo, small), large, photo)
    assert torch.allclose(untouched, pictures.resize(photo, large), atol=1e-6)
    painted = torch.rand(1, 3, *small, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.4
    detail = pictures.enlarge(painted, large, photo) - pictures.resize(painted, large)
    assert torch.allclose(
        pictures.enlarge(painted, large, torch.full_like(photo, 0.3)), pictures.resize(painted, large)
    )
    assert detail.std() > 0.01
    assert detail.mean().abs() < 1e-3


def test_enlarge_stays_in_range_and_leaves_the_right_size_alone() -> None:
    photo, painted = torch.rand(1, 3, 64, 64).round(), torch.rand(1, 3, 32, 32).round()
    large = pictures.enlarge(painted, (64, 64), photo)
    assert large.min() == 0
    assert large.max() == 1
    assert pictures.enlarge(large, (64, 64), photo) is large


@pytest.mark.parametrize("given", [(40, 40), (16, 90), (90, 16), (33, 47)], ids=str)
@pytest.mark.parametrize("size", [(64, 64), (17, 80), (80, 17)], ids=str)
def test_cover_gives_the_size_from_any_shape(given: tuple[int, int], size: tuple[int, int]) -> None:
    covered = pictures.cover(torch.rand(1, 3, *given), size)
    assert covered.shape == (1, 3, *size)
    assert covered.is_contiguous()


def test_cover_keeps_the_middle_undistorted() -> None:
    thirds = torch.zeros(1, 3, 30, 90)
    thirds[..., 30:60] = 0.8
    covered = pictures.cover(thirds, (60, 60))
    assert torch.allclose(covered[..., 3:-3], torch.tensor(0.8), atol=0.02)


SHAPES = [(640, 480), (480, 640), (500, 500), (4032, 3024), (1000, 20), (17, 40), (333, 777), (1920, 1079), (16, 800)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_result_size_keeps_the_aspect_within_half_a_pixel(shape: tuple[int, int]) -> None:
    picture = Image.new("L", shape)
    for longer in (32, 64, 100, 384, 1023, 2048):
        exact = longer * min(shape) / max(shape)
        height, width = pictures.result_size(picture, longer)
        assert max(height, width) == longer
        assert abs(min(height, width) - exact) <= 0.5
        assert (width >= height) == (shape[0] >= shape[1]) or height == width


def test_result_size_is_never_empty() -> None:
    assert pictures.result_size(Image.new("L", (5000, 40)), 32) == (1, 32)


@settings(deadline=None)
@given(st.integers(16, 300), st.floats(1, LIMITS.aspect), st.integers(LIMITS.smallest_size, LIMITS.size), st.booleans())
def test_every_accepted_shape_can_be_painted_at_every_size(side: int, aspect: float, longer: int, tall: bool) -> None:
    shape = side, int(side * aspect)
    picture = Image.new("1", shape if tall else shape[::-1])
    size = pictures.result_size(picture, longer)
    painted = pictures.painting_size(size)
    assert max(size) == longer
    assert min(size) >= 1
    assert min(painted) >= LIMITS.smallest_side
    assert max(painted) <= max(longer, 1.5 * LIMITS.aspect * LIMITS.smallest_side)
    if min(size) >= LIMITS.smallest_side:
        assert painted == size
    else:
        assert min(painted) == LIMITS.smallest_side
        assert abs(max(painted) - longer * LIMITS.smallest_side / min(size)) <= 0.5
        assert (painted[0] > painted[1]) == (size[0] > size[1])


def test_a_strip_longer_than_the_limit_is_refused_and_one_at_the_limit_is_not() -> None:
    with pytest.raises(ValueError, match=r"16 x 817 px, longer than 50 to 1; crop it"):
        pictures.load(Image.new("RGB", (16, 817)), "style picture")
    assert pictures.load(Image.new("RGB", (16, 800))).size == (16, 800)


def test_scaling_keeps_colours_under_transparency() -> None:
    picture = flat("RGBA", (200, 120, 30, 0))
    picture.paste((200, 120, 30, 255), (0, 0, 16, 24))
    scaled = pictures.scaled(picture, (50, 70))
    assert (scaled.mode, scaled.size) == ("RGBA", (70, 50))
    assert (np.asarray(scaled)[..., :3] == (200, 120, 30)).all()
    assert set(np.unique(np.asarray(scaled)[:, [0, -1], 3])) == {0, 255}


def test_split_gives_colours_and_alpha_back(colours: np.ndarray) -> None:
    alpha = colours[..., :1]
    rgb, mask = pictures.split(Image.fromarray(np.concatenate([colours, alpha], -1)))
    assert (rgb.mode, mask.mode) == ("RGB", "L")
    assert np.array_equal(rgb, colours)
    assert np.array_equal(mask, alpha[..., 0])
    opaque, nothing = pictures.split(Image.fromarray(colours))
    assert np.array_equal(opaque, colours)
    assert nothing is None


def test_to_pixels_keeps_what_eight_bits_would_lose() -> None:
    image = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(3)) * 1.2 - 0.1
    found = pictures.to_pixels(image.requires_grad_())
    assert (found.shape, found.dtype) == ((5, 7, 3), np.float32)
    assert np.array_equal(found[4, 2], image[0, :, 4, 2].detach().clamp(0, 1).numpy())


def test_mask_of_an_opaque_picture_is_its_luminance(colours: np.ndarray, tmp_path: Path) -> None:
    assert np.array_equal(pictures.to_mask(saved(tmp_path, Image.fromarray(colours[..., 0]))), colours[..., 0])
    mask = pictures.to_mask(Image.fromarray(colours))
    assert mask.mode == "L"
    assert np.abs(np.asarray(mask) - colours @ (0.299, 0.587, 0.114)).max() <= 1


@pytest.mark.parametrize("colour", ["black", "white", "red"])
def test_mask_of_a_painted_layer_is_its_alpha(colour: str, colours: np.ndarray) -> None:
    layer = Image.new("RGB", (40, 24), colour)
    layer.putalpha(Image.fromarray(colours[..., 1]))
    assert np.array_equal(pictures.to_mask(layer), colours[..., 1])


def test_mask_of_an_evenly_transparent_picture_is_its_luminance() -> None:
    assert (np.asarray(pictures.to_mask(flat("LA", (70, 128)))) == 70).all()


def test_mask_of_an_empty_layer_is_empty() -> None:
    assert not np.asarray(pictures.to_mask(flat("RGBA", (255, 255, 255, 0)))).any()


def test_mask_is_upright_and_its_errors_name_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert pictures.to_mask(saved(tmp_path, Image.new("L", (40, 24)), exif=exif)).size == (24, 40)
    with pytest.raises(ValueError, match="the mask is damaged"):
        pictures.to_mask(truncated_png(tmp_path))
