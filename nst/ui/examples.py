"""The pictures that come with the program, as rows to click and as the page's first sight."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "examples"
FIRST_PHOTO, FIRST_STYLE = "chelsea", "impasto"


def photos() -> list[str]:
    """Paths of the example photos."""
    return [str(path) for path in sorted((FOLDER / "photos").glob("*.jpg"))]


def styles() -> list[str]:
    """Paths of the style pictures, painted by `examples/make_styles.py`."""
    return [str(path) for path in sorted((FOLDER / "styles").glob("*.jpg"))]


def first_sight() -> tuple[str, str, str]:
    """Photo, style and finished result that the page opens with."""
    names = f"photos/{FIRST_PHOTO}.jpg", f"styles/{FIRST_STYLE}.jpg", f"results/{FIRST_PHOTO}_{FIRST_STYLE}.jpg"
    return tuple(str(FOLDER / name) for name in names)
