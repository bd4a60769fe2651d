"""Paths of the pictures that come with the program: example photos and styles, thumbnails, and the first result."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
FOLDER = PACKAGE / "examples"  # where a wheel puts them
if not FOLDER.is_dir():
    FOLDER = PACKAGE.parent / "examples"  # in the repository
SHOWN = ("clips", "photos", "styles", "studies", "lesson")  # what a click brings onto the page
FIRST_PHOTO, FIRST_STYLE = "chelsea", "impasto"


def folders() -> list[str]:
    """What gradio must be allowed to show: when installed, these are not below the folder the page is started in."""
    return [str(FOLDER / name) for name in SHOWN]


def photos() -> dict[str, str]:
    """Paths of the example photos, by name."""
    return _named("photos")


def styles() -> dict[str, str]:
    """Paths of the example style pictures, by name; `examples/make_styles.py` paints them."""
    return _named("styles")


def _named(folder: str) -> dict[str, str]:
    return {path.stem.replace("_", " "): str(path) for path in sorted((FOLDER / folder).glob("*.jpg"))}


def thumbnail(path: str) -> str:
    """A small copy of an example, made by `examples/make_thumbnails.py`: fifteen full pictures would be 4 MB."""
    original = Path(path)
    return str(FOLDER / "thumbnails" / original.parent.name / original.name)


def clip() -> str:
    """The example clip, made by `examples/make_clip.py`."""
    return str(FOLDER / "clips" / "coffee.mp4")


def preset(name: str) -> str:
    """The picture on a preset's card."""
    return str(FOLDER / "thumbnails" / "presets" / f"{name.lower().replace(' ', '_').replace(chr(39), '')}.jpg")


def study(path: str, layer: str) -> str:
    """An example reconstructed from one layer alone, painted by `examples/make_studies.py`."""
    original = Path(path)
    return str(FOLDER / "studies" / original.stem / f"{layer}.jpg")


def lesson(name: str) -> Path:
    """A file of the lesson about the first pictures: data as JSON, or a picture; made by `examples/make_lesson.py`."""
    return FOLDER / "lesson" / name


def first_sight() -> tuple[str, str, str, str]:
    """Paths of the photo, the style, the result and its costs (CSV) that the page opens with."""
    result = FOLDER / "results" / f"{FIRST_PHOTO}_{FIRST_STYLE}.jpg"
    pictures = FOLDER / "photos" / f"{FIRST_PHOTO}.jpg", FOLDER / "styles" / f"{FIRST_STYLE}.jpg", result
    return *map(str, pictures), str(result.with_suffix(".csv"))
