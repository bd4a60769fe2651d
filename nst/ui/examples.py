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


def first_sight() -> tuple[str, str, str, str]:
    """Photo, style, finished result and its costs (CSV) that the page opens with."""
    result = FOLDER / "results" / f"{FIRST_PHOTO}_{FIRST_STYLE}.jpg"
    pictures = FOLDER / "photos" / f"{FIRST_PHOTO}.jpg", FOLDER / "styles" / f"{FIRST_STYLE}.jpg", result
    return *map(str, pictures), str(result.with_suffix(".csv"))
