"""No command writes over what it reads, whatever the file is called, and what cannot be written is refused at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst import files

LINKS = {
    "itself": lambda old, new: None,
    "symbolic link": lambda old, new: new.symlink_to(old),
    "hard link": lambda old, new: os.link(old, new),
    "link to a link": lambda old, new: (
        new.with_name("between").symlink_to(old),
        new.symlink_to(new.parent / "between"),
    ),
}


def refusal(written: list, read: list) -> str:
    with pytest.raises(ValueError, match="overwritten") as caught:
        files.check_no_overwriting(written, read)
    return str(caught.value)


@pytest.mark.parametrize("link", LINKS)
def test_input_is_not_overwritten_under_any_of_its_names(link: str, tmp_path: Path) -> None:
    old, new = tmp_path / "photo.jpg", tmp_path / "other.png"
    old.write_bytes(b"photo")
    LINKS[link](old, new)
    target = old if link == "itself" else new
    assert "the photo" in refusal([(target, "the output")], [(old, "the photo")])
    assert "the photo" in refusal([(tmp_path / "." / target.name, "the output")], [(str(old), "the photo")])
    files.check_no_overwriting([(tmp_path / "third.png", "the output")], [(old, "the photo"), (None, "the start")])


@pytest.mark.parametrize("other", ["c.png", "C.PNG", "./c.png", "link/c.png", "e\u0301.png"])
def test_outputs_are_two_files(other: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    first = "\u00e9.png" if "\u0301" in other else "c.png"
    words = refusal([(tmp_path / first, "the output"), (os.path.join(tmp_path, other), "the costs")], [])
    assert "the output" in words
    assert "the costs" in words


def test_dangling_link_is_the_file_that_would_be_made(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(tmp_path / "new.png")
    refusal([(tmp_path / "link.png", "the output"), (tmp_path / "new.png", "the costs")], [])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("n" * 300 + ".png", "304 bytes"),
        ("\u7ed3" * 100 + ".png", "304 bytes"),
        ("loop.png", "cannot be written"),
        ("file/out.png", "cannot be written"),
        ("a\0b.png", "zero byte"),
        ("/".join(["d" * 200] * 25), "too long"),
    ],
)
def test_name_that_the_system_does_not_take_is_refused(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match=words) as caught:
        files.check_no_overwriting([(tmp_path / name, "the output")], [])
    assert len(str(caught.value)) < 300


@given(st.text(min_size=1, max_size=300), st.integers(1, 300))
def test_shortened_name_fits_and_is_the_beginning(name: str, most: int) -> None:
    short = files.shortened(name.replace("\ud800", ""), most)
    assert len(os.fsencode(short)) <= most
    assert name.startswith(short)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="bytes that are no text")
def test_longest_name_is_what_the_disk_takes(tmp_path: Path) -> None:
    most = files.longest_name(tmp_path / "not" / "yet" / "there")
    (tmp_path / ("n" * most)).write_bytes(b"")
    with pytest.raises(OSError, match="too long"):
        (tmp_path / ("n" * (most + 1))).write_bytes(b"")
