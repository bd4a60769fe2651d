import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import png
import pytest
import torch
from PIL import Image, ImageCms, JpegImagePlugin

from nst.images import encode, pictures

LOSSLESS = {"png": 255, "png16": 65535}


def every_value(white: int, channels: int) -> np.ndarray:
    """Floats (H, W, channels) that hold each of 0..white divided by white, in another order for each channel."""
    values = np.arange(white + 1).reshape(-1, 256 if white > 255 else 16)
    return np.stack([np.roll(values, 7 * i) for i in range(channels)], -1)


@pytest.fixture(scope="module")
def painting() -> np.ndarray:
    """Floats (48, 64, 4) without any symmetry, with opaque, transparent and half transparent parts."""
    picture = np.random.default_rng(8).random((48, 64, 4), dtype=np.float32)
    picture[:16, :, 3], picture[16:32, :, 3] = 1, 0
    return picture


def numbers(content: bytes) -> tuple[np.ndarray, int]:
    """(H, W, channels) and the bits per channel of a PNG, by a reader that shares no code with ours."""
    width, height, rows, info = png.Reader(bytes=content).read()
    return np.vstack(list(rows)).reshape(height, width, info["planes"]), info["bitdepth"]


def opened(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("format", LOSSLESS)
def test_png_holds_every_value_exactly(format: str, channels: int) -> None:
    values = every_value(LOSSLESS[format], channels)
    found, bits = numbers(encode.encode((values / LOSSLESS[format]).astype(np.float32), format))
    assert bits == encode.FORMATS[format].bits
    assert np.array_equal(found, values)


@pytest.mark.parametrize("format", LOSSLESS)
def test_png_rounds_to_the_nearest_and_clamps(format: str) -> None:
    white = LOSSLESS[format]
    values = np.array([-0.5, 0.4 / white, 0.6 / white, 1.4 / white, (white - 0.6) / white, (white - 0.4) / white, 7])
    found, _ = numbers(encode.encode(values.astype(np.float32)[None, :, None].repeat(3, 2), format))
    assert found[0, :, 1].tolist() == [0, 0, 1, 1, white - 1, white, white]


def test_sixteen_bits_hold_what_eight_lose() -> None:
    image = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(2))
    found, _ = numbers(encode.encode(pictures.to_pixels(image), "png16"))
    assert np.abs(found / 65535 - image[0].permute(1, 2, 0).numpy()).max() <= 0.51 / 65535
    assert (found % 257 != 0).mean() > 0.9  # 8 bits spread over 16 are all multiples of 257


def test_eight_bits_from_floats_are_those_of_the_picture() -> None:
    image = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(2))
    assert encode.encode(pictures.to_pixels(image)) == encode.encode(pictures.to_picture(image))


def test_sixteen_bits_from_eight_are_refused() -> None:
    with pytest.raises(ValueError, match="needs the picture as floats"):
        encode.encode(Image.new("RGB", (8, 8)), "png16")


@pytest.mark.parametrize("format", encode.FORMATS)
def test_every_format_is_read_back_near_the_picture(format: str, photo: Image.Image) -> None:
    content = encode.encode(np.asarray(photo, dtype=np.float32) / 255, format)
    picture = opened(content)
    assert picture.size == photo.size
    assert picture.get_format_mimetype() == encode.FORMATS[format].mime
    limit = 0 if format in LOSSLESS else 3
    assert np.abs(np.asarray(picture).astype(int) - np.asarray(photo)).mean() <= limit


def test_jpeg_keeps_the_resolution_of_colour(photo: Image.Image) -> None:
    assert JpegImagePlugin.get_sampling(opened(encode.encode(photo, "jpeg"))) == 0  # 4:4:4


@pytest.mark.parametrize("format", [key for key, form in encode.FORMATS.items() if form.keeps_alpha])
def test_alpha_comes_back_unchanged(format: str, painting: np.ndarray) -> None:
    expected = np.rint(painting[..., 3] * 255)
    found = np.asarray(opened(encode.encode(painting, format)).convert("RGBA"))[..., 3]
    assert np.abs(found - expected).max() <= (1 if encode.FORMATS[format].bits == 16 else 0)  # Pillow cuts 16 bits to 8


@pytest.mark.parametrize("as_picture", [False, True])
def test_transparency_meets_white_where_the_format_has_none(as_picture: bool) -> None:
    pixels = np.empty((32, 48, 4), np.float32)
    pixels[:, :16], pixels[:, 16:32], pixels[:, 32:] = (1, 0, 0, 0), (0, 0, 0, 0.2), (0, 0, 1, 1)
    picture = Image.fromarray(np.rint(pixels * 255).astype(np.uint8)) if as_picture else pixels
    found = np.asarray(opened(encode.encode(picture, "jpeg"))).astype(int)
    for columns, colour in ((slice(0, 16), (255,) * 3), (slice(16, 32), (204,) * 3), (slice(32, 48), (0, 0, 255))):
        assert np.abs(found[:, columns] - colour).max() <= 3


@pytest.mark.parametrize("format", encode.FORMATS)
def test_profile_is_srgb(format: str, painting: np.ndarray) -> None:
    embedded = opened(encode.encode(painting, format)).info["icc_profile"]
    profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
    assert ImageCms.getProfileDescription(profile).startswith("sRGB")
    for intent in ImageCms.Intent:
        colours = Image.fromarray(np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8))
        colours.paste("white", (0, 0, 32, 4))
        converted = ImageCms.profileToProfile(colours, profile, ImageCms.createProfile("sRGB"), intent)
        assert (np.asarray(converted)[:4] == 255).all()
        assert np.abs(np.asarray(converted).astype(int) - colours).max() <= 1


def test_equal_pictures_make_equal_files_on_another_day() -> None:
    dates = [profile[24:36] for profile in (encode.SRGB_PROFILE, encode._srgb_profile())]
    assert dates == [bytes([7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0])] * 2


def jpeg_with_a_place(folder: Path) -> Path:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "secret garden", 1
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 22.0, 12.0), 29: "secret date"})
    path = folder / "place.jpg"
    Image.new("RGB", (32, 24), "teal").save(path, exif=exif, comment="secret note", xmp=b"<x>secret</x>", dpi=(72, 72))
    return path


def png_with_words(folder: Path) -> Path:
    words = png_info = encode.PngInfo()
    words.add_text("Author", "secret name")
    path = folder / "words.png"
    Image.new("RGB", (32, 24), "teal").save(path, pnginfo=png_info, transparency=(1, 2, 3), dpi=(72, 72))
    return path


@pytest.mark.parametrize("make", [jpeg_with_a_place, png_with_words], ids=lambda f: f.__name__)
@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_nothing_of_the_upload_s_metadata_is_written(format: str, make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    assert b"secret" in path.read_bytes()
    for picture in (pictures.load(path), opened(path.read_bytes())):
        content = encode.encode(picture, format)
        assert not any(word in content for word in (b"secret", b"Exif", b"EXIF", b"XMP", b"http://ns.adobe.com"))
        left = opened(content)
        assert dict(left.getexif()) == {}
        assert set(left.info) <= {"icc_profile", "jfif", "jfif_version", "jfif_unit", "jfif_density"} | (
            {"loop", "background", "timestamp", "duration"} if format == "webp" else set()
        )


@pytest.mark.parametrize("format", LOSSLESS)
def test_png_has_the_profile_and_nothing_else(format: str, painting: np.ndarray) -> None:
    kinds = [kind for kind, _ in png.Reader(bytes=encode.encode(painting, format)).chunks()]
    assert list(dict.fromkeys(kinds)) == [b"IHDR", b"iCCP", b"IDAT", b"IEND"]


@pytest.mark.parametrize("format", LOSSLESS)
def test_text_round_trips_through_png(format: str, painting: np.ndarray) -> None:
    text = {"nst": '{"alpha": 1.0}', "Title": "Été à l'étang", "Comment": "水辺 🎨\nsecond line"}
    assert opened(encode.encode(painting, format, text)).text == text
    chunks = png.Reader(bytes=encode.encode(painting, format, text)).chunks()
    assert (b"tEXt", b'nst\0{"alpha": 1.0}') in list(chunks)


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_text_is_refused_where_it_would_be_lost(format: str, painting: np.ndarray) -> None:
    with pytest.raises(ValueError, match=f"'{format}' keeps no text; choose png"):
        encode.encode(painting, format, {"nst": "recipe"})


@pytest.mark.parametrize("keyword", ["", "x" * 80, "a\0b", "日本"])
def test_keyword_that_png_forbids_is_refused(keyword: str, painting: np.ndarray) -> None:
    with pytest.raises(ValueError, match="1 to 79 plain characters"):
        encode.encode(painting, "png", {keyword: "x"})


def test_unknown_format_is_refused_with_the_choices(painting: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"'gif' is not known; choose from png, png16, jpeg, webp"):
        encode.encode(painting, "gif")


@pytest.mark.parametrize(
    ("name", "bits", "expected"),
    [
        ("a.png", 8, "png"),
        ("a.b/c.PNG", 16, "png16"),
        ("a.jpg", 8, "jpeg"),
        ("a.JPEG", 8, "jpeg"),
        ("a.webp", 8, "webp"),
    ],
)
def test_suffix_and_bits_decide_the_format(name: str, bits: int, expected: str) -> None:
    assert encode.format_of(name, bits) == expected
    assert encode.format_of(Path(name), bits) == expected


@pytest.mark.parametrize("name", ["out", "out.gif", "png", ".png", "out.png.txt"])
def test_unknown_suffix_is_refused_with_those_known(name: str) -> None:
    with pytest.raises(ValueError, match=r"no ending of a format .*use \.png, \.jpg, \.jpeg, \.webp, \.tif, \.tiff$"):
        encode.format_of(name)


@pytest.mark.parametrize(
    ("name", "bits", "remedy"), [("a.jpg", 16, "choose 8, or name a .png"), ("a.png", 12, "choose 8 or 16")]
)
def test_bits_that_a_format_lacks_are_refused(name: str, bits: int, remedy: str) -> None:
    with pytest.raises(ValueError, match=rf"bits={bits} per channel.*{remedy}"):
        encode.format_of(name, bits)


def test_saved_file_holds_what_was_encoded(painting: np.ndarray, tmp_path: Path) -> None:
    encode.save(painting, tmp_path / "a.png", bits=16, text={"nst": "recipe"})
    assert (tmp_path / "a.png").read_bytes() == encode.encode(painting, "png16", {"nst": "recipe"})
    assert os.listdir(tmp_path) == ["a.png"]


def test_saved_file_may_be_read_by_whom_any_new_file_may(painting: np.ndarray, tmp_path: Path) -> None:
    encode.save(painting, str(tmp_path / "a.webp"))
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.webp").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("moment", ["writing", "replacing"])
def test_interrupt_leaves_the_old_file_and_nothing_else(
    moment: str, painting: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    class Half(io.FileIO):
        def write(self, content: bytes) -> int:
            super().write(content[: len(content) // 2])
            raise KeyboardInterrupt

    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    if moment == "writing":
        monkeypatch.setattr(Path, "open", lambda self, mode: Half(self, mode.replace("b", "")))
    else:
        monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encode.save(painting, path)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.png"]


def test_link_keeps_pointing_where_it_did(painting: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "a.png").symlink_to(tmp_path / "there" / "b.png")
    encode.save(painting, tmp_path / "a.png")
    assert (tmp_path / "a.png").is_symlink()
    assert opened((tmp_path / "there" / "b.png").read_bytes()).size == (64, 48)


def test_missing_folder_is_an_error_of_the_system(painting: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        encode.save(painting, tmp_path / "missing" / "a.png")


def numbers_of_tiff(content: bytes) -> tuple[np.ndarray, dict[int, object]]:
    """(H, W, channels) and the tags of a TIFF: Pillow reads the tags, and strips are decoded as TIFF 6.0 says."""
    with Image.open(io.BytesIO(content)) as picture:
        tags = dict(picture.tag_v2)
        width, height = picture.size
    assert (tags[259], tags[317], tags[284]) == (8, 2, 1), "deflate, horizontal differences, channels beside each other"
    strips = zip(tags[273], tags[279], strict=True)
    decoded = b"".join(zlib.decompress(content[offset : offset + count]) for offset, count in strips)
    kind = {8: np.uint8, 16: np.dtype((content[:2] == b"II" and "<u2") or ">u2")}[tags[258][0]]
    differences = np.frombuffer(decoded, kind).reshape(height, width, len(tags[258]))
    return np.cumsum(differences, axis=1, dtype=kind), tags


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(("format", "white"), [("tiff", 255), ("tiff16", 65535)])
def test_tiff_holds_every_value_exactly(format: str, white: int, channels: int) -> None:
    values = every_value(white, channels)
    content = encode.encode((values / white).astype(np.float32), format)
    found, tags = numbers_of_tiff(content)
    assert np.array_equal(found, values)
    assert tags.get(338, ()) == ((2,) if channels == 4 else ()), "alpha that is not multiplied into the colours"
    assert tags[34675] == encode.SRGB_PROFILE
    assert not {270, 305, 306, 315} & set(tags), "description, software, date, artist"


@pytest.mark.parametrize("dpi", [150, 200, 300])
@pytest.mark.parametrize("format", ["png", "png16", "jpeg", "tiff"])
def test_the_resolution_of_a_print_is_in_the_file(format: str, dpi: int, painting: np.ndarray) -> None:
    assert opened(encode.encode(painting, format, dpi=dpi)).info["dpi"] == pytest.approx((dpi, dpi), abs=0.02)
    assert "dpi" not in opened(encode.encode(painting, "png")).info


def test_the_resolution_of_png_is_read_by_another_reader(painting: np.ndarray) -> None:
    for format in LOSSLESS:
        reader = png.Reader(bytes=encode.encode(painting, format, dpi=300))
        reader.preamble()
        assert (reader.x_pixels_per_unit, reader.y_pixels_per_unit, reader.unit_is_meter) == (11811, 11811, True)
