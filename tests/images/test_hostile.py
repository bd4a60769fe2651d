"""Harmful files are refused with a message, and nothing about a photo's owner is kept."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import tifffile
from PIL import Image, PngImagePlugin

from nst import Settings, recipe, stylise_events
from nst.events import Finished, Started, Step
from nst.images import pictures
from nst.images.decode import on_white
from nst.images.encode import FORMATS, encode
from nst.images.timelapse import ANIMATION_FORMATS, Timelapse
from tests.images.hostile import harmless, saved, tiff

ROOT = Path(__file__).resolve().parents[2]


def test_what_hides_in_a_picture_is_refused_or_left_behind() -> None:
    for name, file in harmless().items():
        try:
            picture = pictures.load(file)
        except ValueError as error:
            assert "bomb" in name, error  # noqa: PT017
            continue
        for form in FORMATS:
            if form not in ("png16", "tiff16"):  # these take floats
                content = encode(picture, form)
                assert b"SECRET" not in content, name
                assert b"PK\3\4" not in content, name


def test_a_tiff_may_have_tiles_larger_than_itself() -> None:
    assert pictures.load(tiff(64, 48, 256)).size == (64, 48)


def test_ghostscript_and_other_programs_are_out_of_reach() -> None:
    assert not {"EPS", "WMF", "PSD", "FITS", "GRIB", "HDF5", "MPEG", "SPIDER"} & set(pictures.READABLE_FORMATS)
    eps = io.BytesIO()
    Image.new("RGB", (40, 40)).save(eps, "EPS")
    with pytest.raises(ValueError, match="not a picture this program reads"):
        pictures.load(eps.getvalue())


def with_secrets(form: str) -> bytes:
    """A photo with place and author in its metadata, in every way that its format has."""
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = "SECRET"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.5), 29: "SECRET"})
    options: dict[str, object] = {"exif": exif, "xmp": b"<x:xmpmeta>SECRET</x:xmpmeta>"}
    if form == "JPEG":
        options["comment"] = b"SECRET"
    if form == "PNG":
        options = {"exif": exif, "pnginfo": PngImagePlugin.PngInfo()}
        options["pnginfo"].add_text("Author", "SECRET")
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", "SECRET")
    return saved(form, **options)


# How pixels are stored, the resolution and the profile: https://www.loc.gov/preservation/digital/formats/content/tiff_tags.shtml
TIFF_STRUCTURE = {256, 257, 258, 259, 262, 273, 277, 278, 279, 282, 283, 284, 296, 317, 338, 339, 34675}


def tells(content: bytes) -> bool:
    """Whether a file contains any metadata of `with_secrets`, compressed or not."""
    if content.startswith(b"II*"):  # Pillow reads no TIFF of 16 bits per channel, and counts all its tags as EXIF
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            return b"SECRET" in content or not {tag.code for tag in file.pages[0].tags} <= TIFF_STRUCTURE
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        packed = {key: value for key, value in picture.info.items() if key in ("exif", "xmp", "comment")}
        exif = dict(picture.getexif())
        words = str(picture.info.values()) + str(exif)
    # GPSLatitude, GPSDOP and all other tags; three letters alone are now and then among packed pixels.
    named = re.search(rb"GPS[A-Z][A-Za-z]{2}", content) or "GPS" in words
    return bool(packed or exif or named) or "SECRET" in words or b"SECRET" in content


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_no_file_that_is_made_tells_where_the_photo_was_taken(form: str) -> None:
    photo = with_secrets(form) if form != "TIFF" else saved("TIFF", description="SECRET", artist="SECRET")
    assert tells(photo)
    film = Timelapse()
    for event in stylise_events(photo, photo, Settings(size=48, quality="draft", steps=2, pyramid=False)):
        match event:
            case Started(preview=preview) | Step(preview=Image.Image() as preview):
                film.add(preview)
            case Finished(result=result):
                film.add(on_white(result.image))
    text = recipe.text(recipe.Recipe.of(result, recipe.fingerprints(photo, [photo])))
    for name, kind in FORMATS.items():
        made = encode(result.painting.pixels(), name, text if kind.keeps_text else None)
        assert not tells(made), name
    for name in ANIMATION_FORMATS:
        assert not tells(film.encode(name)), name


def test_the_test_sees_what_a_careless_program_would_keep() -> None:
    careless: list[Callable[[Image.Image], dict[str, object]]] = [
        lambda picture: {"exif": picture.info["exif"]},
        lambda picture: {"comment": picture.info["comment"]},
        lambda picture: {"xmp": picture.info["xmp"]},
    ]
    with Image.open(io.BytesIO(with_secrets("JPEG"))) as picture:
        for keep in careless:
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", **keep(picture))
            assert tells(buffer.getvalue())


def test_a_huge_tile_is_refused_by_the_header_alone() -> None:
    """libtiff would allocate it."""
    with pytest.raises(ValueError, match="the picture is damaged or incomplete"):
        pictures.header(tiff(64, 64, 32_768))
    pictures.header(tiff(64, 64, 64)).close()
