"""Fingerprints of a run's pictures depend on what the run sees, not on names and metadata."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst import recipe
from tests.recipes import made


def test_fingerprint_is_the_sha256_of_size_and_pixels() -> None:
    picture = Image.new("RGB", (20, 16), (1, 2, 3))
    assert recipe.fingerprint(picture) == hashlib.sha256(b"RGB 20 16 " + bytes([1, 2, 3]) * 320).hexdigest()


@pytest.mark.parametrize("format", ["png", "webp", "bmp", "tiff"])
def test_saving_losslessly_keeps_the_fingerprint(format: str, photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / f"other.{format}"
    photo.save(path, lossless=True)
    assert recipe.fingerprint(path) == recipe.fingerprint(photo)


def test_fingerprint_is_of_the_upright_picture_without_its_metadata(photo: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "secret garden"
    photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    assert recipe.fingerprint(tmp_path / "turned.png") == recipe.fingerprint(photo)


def test_other_pixels_have_another_fingerprint(photo: Image.Image) -> None:
    dot, cut = photo.copy(), photo.crop((0, 0, 159, 120))
    dot.putpixel((80, 60), (0, 0, 1))
    turned = Image.frombytes("RGB", photo.size[::-1], photo.tobytes())
    pictures = (photo, dot, cut, turned, photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT), photo.convert("L"))
    assert len({recipe.fingerprint(picture) for picture in pictures}) == len(pictures)


def test_only_visible_colours_count(photo: Image.Image) -> None:
    alpha = Image.new("L", photo.size, 255)
    alpha.paste(0, (0, 0, 50, 50))
    alpha.paste(100, (50, 0, 60, 50))
    first, hidden, shown, fainter, opaque = (photo.convert("RGBA") for _ in range(5))
    hidden.paste((9, 9, 9), (0, 0, 40, 40))
    shown.paste((9, 9, 9), (52, 0, 58, 40))
    for picture in (first, hidden, shown, fainter):
        picture.putalpha(alpha)
    fainter.putpixel((55, 5), (*fainter.getpixel((55, 5))[:3], 99))
    before = hidden.tobytes()
    prints = [recipe.fingerprint(picture) for picture in (first, hidden, shown, fainter)]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3
    assert hidden.tobytes() == before  # the picture itself is left alone
    assert recipe.fingerprint(opaque) == recipe.fingerprint(photo)
    seen = np.array(first) * (np.asarray(alpha) > 0)[..., None].astype(np.uint8)
    assert prints[0] == hashlib.sha256(b"RGBA 160 120 " + seen.tobytes()).hexdigest()  # hidden colours as zeros


def test_mask_counts_as_the_run_sees_it(photo: Image.Image, style: Image.Image) -> None:
    grey = Image.new("L", (160, 120))
    grey.paste(255, (0, 0, 80, 120))
    red, blue = Image.new("RGBA", grey.size, "red"), Image.new("RGBA", grey.size, "blue")
    red.putalpha(grey), blue.putalpha(grey)
    found = [recipe.fingerprints(photo, [style], [mask])["mask 1"] for mask in (grey, red, blue, grey.convert("RGB"))]
    assert len(set(found)) == 1
    assert found[0] != recipe.fingerprints(photo, [style], [grey.point(lambda value: 255 - value)])["mask 1"]


def test_each_input_has_a_fingerprint_under_its_name(photo: Image.Image, style: Image.Image, other_style) -> None:
    mask = Image.new("L", (160, 120), 255)
    found = recipe.fingerprints(photo, [style, other_style], [mask], style, [mask.convert("RGB")])
    assert list(found) == ["photo", "style 1", "style 2", "mask 1", "start", "style mask 1"]
    assert found == recipe.fingerprints(photo, [style, other_style], [mask], style, [mask.convert("RGB")])
    assert found["style 1"] == found["start"] != found["style 2"]
    assert found["mask 1"] == found["style mask 1"]  # both white
    assert len(set(found.values())) == 4


def test_no_name_path_or_metadata_of_an_upload_is_kept(photo: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret garden"
    path = tmp_path / "secret.png"
    photo.save(path, exif=exif)
    text = json.dumps(recipe.text(made(inputs=recipe.fingerprints(path, [path], [], path))))
    assert "secret" not in text
    assert tmp_path.name not in text


def test_unreadable_input_is_named(photo: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"words")
    with pytest.raises(ValueError, match="the style 2 is not a picture"):
        recipe.fingerprints(photo, [photo, tmp_path / "a.png"])
