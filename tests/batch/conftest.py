"""The folder that the tests of batches work in."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path: Path, photo: Image.Image, style: Image.Image, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with style.png and in `in` 12 photos: one corrupt, one far too long, one twice."""
    style.save(tmp_path / "style.png")
    place = tmp_path / "in"
    place.mkdir()
    for number in range(9):
        photo.rotate(40 * number).save(place / f"p{number}.png")
    (place / "p9 corrupt.jpg").write_bytes(b"\xff\xd8\xff" + bytes(500))
    photo.resize((16 * 51, 16)).save(place / "p10 long.png")
    (place / "p11 again.png").write_bytes((place / "p4.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path
