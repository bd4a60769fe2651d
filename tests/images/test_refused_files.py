"""Files and sources without a usable picture are refused with a remedy, huge ones before they are decoded."""

import dataclasses
import struct
import warnings
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import AvifImagePlugin, Image, ImageFile

from nst.images import pictures
from nst.settings import LIMITS
from tests.images.files import flat, heic, png_header, saved, truncated_png


@pytest.mark.parametrize("side", [30_000, 13_000, 10_001])
def test_huge_declared_size_is_refused_from_the_header_alone(side: int, tmp_path: Path, monkeypatch) -> None:
    def decode(*_args):
        raise AssertionError("the picture was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(side, side))
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)  # our own error is enough
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
    declared = extent(64, 64) if ending == "heic" else extent(32, 24)  # HEVC encodes whole blocks; a box crops them
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
