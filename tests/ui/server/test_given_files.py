"""Two runs of the same pictures write the same files: a visitor who is loading one gets it whole."""

from __future__ import annotations

import os
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from nst.ui import build
from nst.ui.server import given_files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gradio's folder."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def test_equal_content_has_one_file_of_its_name(folder: Path) -> None:
    one, again = (Path(given_files.give(b"film", "film.mp4")) for _ in range(2))
    other, named = Path(given_files.give(b"another", "film.mp4")), Path(given_files.give(b"film", "other.mp4"))
    assert one == again
    assert len({one, other, named}) == 3
    assert [path.read_bytes() for path in (one, other, named)] == [b"film", b"another", b"film"]
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"film.mp4", "other.mp4"}, "no half one"


def test_a_file_that_is_there_is_touched_and_not_written(folder: Path) -> None:
    path = Path(given_files.give(b"film", "film.mp4"))
    path.write_bytes(b"mark")
    os.utime(path, (1, 1))
    assert given_files.give(b"film", "film.mp4") == str(path)
    assert path.read_bytes() == b"mark"
    assert path.stat().st_mtime > 1


def test_who_reads_a_file_keeps_it_when_it_is_replaced(folder: Path) -> None:
    path = Path(given_files.give(b"film", "film.mp4"))
    path.write_bytes(b"damaged")
    with path.open("rb") as reader:
        given_files.give(b"film", "film.mp4")
        assert reader.read() == b"damaged"
    assert path.read_bytes() == b"film"


def test_pictures_of_a_page_are_not_written_again(folder: Path) -> None:
    build()
    noise, component = Image.effect_noise((64, 48), 90).convert("RGB"), gr.Image(format="jpeg")
    path = Path(component.postprocess(noise).path)
    assert folder in path.parents
    mark = bytes(path.stat().st_size)
    path.write_bytes(mark)
    assert component.postprocess(noise).path == str(path)
    assert path.read_bytes() == mark
