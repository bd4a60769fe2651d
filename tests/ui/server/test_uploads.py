"""Uploads that a browser cannot show are shown as PNGs, from which a run reads the very same pixels."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from nst.images import pictures
from nst.ui.server.uploads import CANVAS_PX, painted_layer, show_canvas, show_upload


def tiff(folder: Path, photo: Image.Image) -> Path:
    path = folder / "scan.tif"
    photo.convert("CMYK").save(path)
    return path


def transparent_tiff(folder: Path, photo: Image.Image) -> Path:
    path = folder / "cut out.tiff"
    layer = photo.convert("RGBA")
    layer.paste((255, 0, 0, 0), (0, 0, 40, 40))
    layer.save(path)
    return path


def turned_heic(folder: Path, photo: Image.Image) -> Path:
    path = folder / "phone.heic"
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    pillow_heif.from_pillow(photo).save(path, exif=exif.tobytes())
    return path


@pytest.mark.parametrize("make", [tiff, transparent_tiff, turned_heic])
def test_what_is_shown_instead_has_the_pixels_of_the_upload(make, tmp_path: Path, photo, monkeypatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    path = make(tmp_path, photo)
    shown = show_upload("photo", str(path))["photo"]
    with Image.open(shown) as file:
        assert file.format == "PNG"
    assert Path(shown).stem == path.stem
    assert np.array_equal(np.asarray(pictures.load(shown)), np.asarray(pictures.load(path)))


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "gif", "bmp"])
def test_what_a_browser_shows_stays(ending: str, tmp_path: Path, photo) -> None:
    path = tmp_path / f"photo.{ending}"
    photo.save(path)
    said = show_upload("photo", str(path))
    assert list(said) == ["status"], "the picture is not replaced"
    assert said["status"].startswith("A new photo of ")


def test_what_cannot_be_read_is_said_at_once(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0" + bytes(100))
    assert show_upload("photo", None) == {}
    assert show_upload("style_2", str(broken)) == {
        "status": "The style 2 is not a picture this program reads; save it as PNG or JPEG."
    }


def test_a_new_photo_on_the_canvas_forgets_what_was_painted(tmp_path: Path, photo: Image.Image) -> None:
    photo.resize((900, 600)).save(tmp_path / "photo.png")
    shown = show_canvas(str(tmp_path / "photo.png"))
    assert shown.pop("canvas").size == (CANVAS_PX, round(CANVAS_PX * 2 / 3))
    assert shown == {"mask": None}


def test_a_painted_layer_that_was_not_uploaded_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    Image.new("RGBA", (20, 20), "red").save(path)
    with pytest.raises(gr.Error, match="only be used after it was uploaded"):
        painted_layer({"id": None, "path": str(path)})
