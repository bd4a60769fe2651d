import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageFile

from nst import images
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
    loaded = images.load(source)
    assert loaded.mode == "RGB"
    return np.asarray(loaded)


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
    assert np.array_equal(pixels(images.load(path)), UPRIGHT[orientation](colours))  # and only once


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
def test_transparent_palette_entry_is_white(ending: str, tmp_path: Path) -> None:
    picture = flat("P", 1)
    picture.putpalette([200, 40, 90, 10, 20, 30])
    picture.paste(0, (0, 0, 16, 24))
    found = pixels(saved(tmp_path, picture, ending, transparency=0))
    assert (found[:, :16] == 255).all()
    assert (found[:, 16:] == (10, 20, 30)).all()


def test_transparent_colour_of_an_rgb_png_is_white(tmp_path: Path) -> None:
    picture = flat("RGB", (1, 2, 3))
    picture.paste((50, 60, 70), (0, 0, 16, 24))
    found = pixels(saved(tmp_path, picture, transparency=(1, 2, 3)))
    assert (found[:, :16] == (50, 60, 70)).all()
    assert (found[:, 16:] == 255).all()


@pytest.mark.parametrize("ending", ["png", "webp", "tiff"])
def test_alpha_is_composited_on_white(ending: str, tmp_path: Path) -> None:
    options = {"lossless": True, "exact": True} if ending == "webp" else {}
    found = pixels(saved(tmp_path, flat("RGBA", (200, 100, 0, 51)), ending, **options))
    assert np.abs(found.astype(int) - (244, 224, 204)).max() <= 1  # 0.2 of the colour and 0.8 of white


def test_hidden_colour_does_not_bleed(tmp_path: Path) -> None:
    hidden = np.zeros((24, 40, 4), np.uint8)
    hidden[:, :20] = 255, 0, 0, 0  # red that nobody sees
    hidden[:, 20:] = 0, 0, 255, 255
    found = pixels(saved(tmp_path, Image.fromarray(hidden)))
    assert (found[:, :20] == 255).all()
    assert (found[:, 20:] == (0, 0, 255)).all()


def test_grey_with_alpha_is_composited_on_white(tmp_path: Path) -> None:
    found = pixels(saved(tmp_path, flat("LA", (0, 51))))
    assert np.abs(found.astype(int) - 204).max() <= 1


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


def test_jpeg_and_webp_are_near_the_original(photo: Image.Image, tmp_path: Path) -> None:
    for ending in ("jpg", "webp"):
        found = pixels(saved(tmp_path, photo, ending, quality=98))
        assert np.abs(found.astype(int) - np.asarray(photo)).mean() < 3


def test_animated_gif_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [flat("RGB", colour) for colour in ("red", "lime", "blue")]
    path = saved(tmp_path, frames[0], "gif", save_all=True, append_images=frames[1:], duration=50)
    assert Image.open(path).n_frames == 3
    assert (pixels(path) == (255, 0, 0)).all()


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


def test_profile_of_a_transparent_picture_is_converted_before_it_meets_white(tmp_path: Path) -> None:
    path = saved(tmp_path, flat("RGBA", (200, 120, 30, 51)), icc_profile=with_red_and_blue_swapped(SRGB))
    assert np.abs(pixels(path).astype(int) - (210, 228, 244)).max() <= 2


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
            images.load(path)


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
        images.load(make(tmp_path), "photo")
    assert "\n" not in str(caught.value)


def test_damaged_picture_that_the_caller_opened_is_refused(tmp_path: Path) -> None:
    with Image.open(truncated_jpeg(tmp_path)) as opened, pytest.raises(ValueError, match="damaged"):
        images.load(opened)


@pytest.mark.parametrize("path", ["missing.png", "missing/a.png", ""])
def test_path_that_is_not_there_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the photo .*check the path"):
        images.load(tmp_path / path, "photo")


@pytest.mark.parametrize(
    "source", [None, 3, b"\x89PNG", [1, 2], np.zeros((32, 32, 3), np.uint8)], ids=lambda s: type(s).__name__
)
def test_source_of_the_wrong_type_is_refused(source: object) -> None:
    with pytest.raises(ValueError, match=r"the style picture is .*give a PIL image or the path"):
        images.load(source, "style picture")


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15)])
def test_tiny_picture_is_refused_with_the_least_size(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"{size[0]} x {size[1]} px.*16 px"):
        images.load(Image.new("RGB", size))


def test_smallest_picture_is_accepted() -> None:
    assert images.load(Image.new("RGB", (16, 16))).size == (16, 16)


def test_loading_leaves_the_caller_s_picture_as_it_was() -> None:
    picture = flat("RGBA", (200, 100, 0, 51))
    before = picture.tobytes()
    images.load(picture)
    assert (picture.mode, picture.tobytes()) == ("RGBA", before)


def test_tensor_and_picture_round_trip_is_exact_for_every_value() -> None:
    values = np.stack([np.arange(256), np.arange(256)[::-1], np.roll(np.arange(256), 9)], -1).reshape(16, 16, 3)
    picture = Image.fromarray(values.astype(np.uint8))
    tensor = images.to_tensor(picture)
    assert (tensor.shape, tensor.dtype) == ((1, 3, 16, 16), torch.float32)
    assert torch.equal(tensor[0, :, 2, 3], torch.from_numpy(values[2, 3]) / 255)
    assert images.to_picture(tensor).tobytes() == picture.tobytes()


def test_to_picture_rounds_and_clamps() -> None:
    image = torch.tensor([-0.5, 0.4 / 255, 0.6 / 255, 254.6 / 255, 7.0]).view(1, 1, 1, 5).expand(1, 3, 2, 5)
    assert np.asarray(images.to_picture(image))[0, :, 0].tolist() == [0, 0, 1, 255, 255]


@pytest.mark.parametrize("size", [(17, 90), (48, 32), (200, 300)], ids=str)
def test_resize_stays_in_range_although_bicubic_overshoots(size: tuple[int, int]) -> None:
    stripes = (torch.arange(64) // 8 % 2).float().expand(1, 3, 48, 64)
    resized = images.resize(stripes, size)
    assert resized.shape == (1, 3, *size)
    assert resized.min() >= 0
    assert resized.max() <= 1
    assert resized.mean().item() == pytest.approx(0.5, abs=0.02)


def test_resize_keeps_a_flat_colour_and_a_ramp() -> None:
    flat_colour = torch.full((1, 3, 48, 64), 0.3)
    assert torch.allclose(images.resize(flat_colour, (31, 100)), torch.tensor(0.3), atol=1e-6)
    ramp = torch.linspace(0.1, 0.9, 64).expand(1, 3, 48, 64)
    smaller = images.resize(ramp, (24, 32))
    assert torch.allclose(smaller[..., 2:-2], ramp.unflatten(-1, (32, 2)).mean(-1)[..., :24, 2:-2], atol=1e-4)


def test_resize_to_the_same_size_is_an_equal_copy() -> None:
    image = torch.rand(1, 3, 20, 30)
    same = images.resize(image, (20, 30))
    assert torch.equal(same, image)
    assert same.data_ptr() != image.data_ptr()


@pytest.mark.parametrize("given", [(40, 40), (16, 90), (90, 16), (33, 47)], ids=str)
@pytest.mark.parametrize("size", [(64, 64), (17, 80), (80, 17)], ids=str)
def test_cover_gives_the_size_from_any_shape(given: tuple[int, int], size: tuple[int, int]) -> None:
    covered = images.cover(torch.rand(1, 3, *given), size)
    assert covered.shape == (1, 3, *size)
    assert covered.is_contiguous()


def test_cover_keeps_the_middle_undistorted() -> None:
    thirds = torch.zeros(1, 3, 30, 90)
    thirds[..., 30:60] = 0.8
    covered = images.cover(thirds, (60, 60))
    assert torch.allclose(covered[..., 3:-3], torch.tensor(0.8), atol=0.02)


SHAPES = [(640, 480), (480, 640), (500, 500), (4032, 3024), (1000, 17), (17, 40), (333, 777), (1920, 1079)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_result_size_keeps_the_aspect_within_half_a_pixel(shape: tuple[int, int]) -> None:
    picture = Image.new("L", shape)
    for longer in (32, 64, 100, 384, 1023, 2048):
        exact = sorted(longer * side / max(shape) for side in shape)
        if exact[0] < LIMITS.smallest_side:
            continue
        height, width = images.result_size(picture, longer)
        assert max(height, width) == longer
        assert abs(min(height, width) - exact[0]) <= 0.5
        assert (width >= height) == (shape[0] >= shape[1]) or height == width


def test_result_too_thin_for_the_network_is_refused_with_a_size_that_works() -> None:
    picture = Image.new("L", (1000, 40))
    with pytest.raises(ValueError, match=r"1000 x 40.*size of 400 px or more.*crop"):
        images.result_size(picture, 384)
    assert images.result_size(picture, 400) == (16, 400)


def test_result_size_never_proposes_a_size_that_settings_refuse() -> None:
    with pytest.raises(ValueError, match="crop the photo") as caught:
        images.result_size(Image.new("L", (5000, 20)), 384)
    assert "4000" not in str(caught.value)


def test_a_strip_longer_than_the_limit_is_refused_and_one_at_the_limit_is_not() -> None:
    with pytest.raises(ValueError, match=r"16 x 817 px, longer than 50 to 1; crop it"):
        images.load(Image.new("RGB", (16, 817)), "style picture")
    assert images.load(Image.new("RGB", (16, 800))).size == (16, 800)
