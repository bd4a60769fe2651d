"""Every format and mode is read as upright sRGB with its transparency."""

import warnings
from pathlib import Path

import numpy as np
import png
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from nst.images import decode, pictures
from tests.images.files import flat, heic, pixels, rgba, saved


def test_rgb_path_and_picture_load_unchanged(colours: np.ndarray, tmp_path: Path) -> None:
    picture = Image.fromarray(colours)
    path = saved(tmp_path, picture)
    for source in (picture, path, str(path)):
        assert np.array_equal(pixels(source), colours)


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
    assert np.abs(pixels(path) - expected).mean() < 3  # a wrong orientation differs by over 30


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
