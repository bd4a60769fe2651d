"""Clips are read at a constant rate, upright and in the right colours; files that are none are refused in words."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from nst.film import clip as reading
from nst.film.clip import open_clip
from tests.film.clips import SIZE, difference, pan, video

UPRIGHT = SIZE[::-1]  # height and width


@pytest.fixture
def frames(photo: Image.Image) -> list[Image.Image]:
    return pan(photo, 8, 5)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.webm", "clip.avi"])
def test_every_frame_of_a_video_is_read_once_in_order(name: str, frames, tmp_path: Path) -> None:
    codec = {"clip.webm": "libvpx-vp9", "clip.avi": "mpeg4"}.get(name, "libx264")
    clip = open_clip(video(tmp_path / name, frames, codec=codec))
    found = list(clip.frames(UPRIGHT))
    assert (clip.width, clip.height, clip.rate, len(found)) == (*SIZE, 12, 8)
    nearest = [min(range(8), key=lambda t, one=one: difference(one, frames[t])) for one in found]
    assert nearest == list(range(8))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"start_s": 2 / 12}, [2, 3, 4, 5, 6, 7]),
        ({"start_s": 2 / 12, "end_s": 5 / 12}, [2, 3, 4]),
        ({"rate": Fraction(6)}, [0, 2, 4, 6]),
        ({"rate": Fraction(24), "end_s": 2 / 12}, [0, 0, 1, 1]),
    ],
    ids=str,
)
def test_a_clip_is_cut_and_its_rate_changed(given, expected, frames, tmp_path: Path) -> None:
    found = list(open_clip(video(tmp_path / "clip.mp4", frames), **given).frames(UPRIGHT))
    assert [min(range(8), key=lambda t, one=one: difference(one, frames[t])) for one in found] == expected


def test_frames_since_one_are_the_rest_of_the_clip(frames, tmp_path: Path) -> None:
    clip = open_clip(video(tmp_path / "clip.mp4", frames))
    whole = [frame.tobytes() for frame in clip.frames(UPRIGHT)]
    for number in (1, 5, 7):
        assert [frame.tobytes() for frame in clip.since(number).frames(UPRIGHT)] == whole[number:]


def test_a_variable_rate_becomes_constant(frames, tmp_path: Path) -> None:
    """A frame that is shown for three times as long is read three times."""
    times = [0, 1 / 12, 4 / 12, 5 / 12]
    clip = open_clip(video(tmp_path / "clip.mkv", frames[:4], times_s=times), rate=Fraction(12), end_s=6 / 12)
    found = [min(range(4), key=lambda t, one=one: difference(one, frames[t])) for one in clip.frames(UPRIGHT)]
    assert found == [0, 1, 1, 1, 2, 3]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_video_is_upright(degrees: int, frames, tmp_path: Path) -> None:
    """A player turns the frames by the angle that the file gives, counter-clockwise."""
    clip = open_clip(video(tmp_path / "clip.mp4", frames[:2], rotation=degrees))
    expected = frames[0].rotate(degrees, expand=True)
    assert (clip.width, clip.height) == expected.size
    first = next(clip.frames(expected.size[::-1]))
    assert difference(first, expected) < 6 < difference(first.rotate(180), expected)


def test_a_rate_that_no_camera_has_must_be_chosen(frames, tmp_path: Path) -> None:
    path = video(tmp_path / "clip.mkv", frames, rate=500)
    with pytest.raises(ValueError, match="500 frames per second; the limit is 120, choose a rate such as 25"):
        open_clip(path)
    assert len(list(open_clip(path, rate=Fraction(100)).frames(UPRIGHT))) == 2


def test_pixels_that_are_not_square_are_stretched(frames, tmp_path: Path) -> None:
    clip = open_clip(video(tmp_path / "clip.mp4", frames[:2], aspect=Fraction(2)))
    assert (clip.width, clip.height) == (2 * SIZE[0], SIZE[1])


@pytest.mark.parametrize("matrix", [1, 5], ids=["BT.709", "BT.601"])
def test_colours_are_those_that_the_file_declares(matrix: int, tmp_path: Path) -> None:
    colours = [(200, 30, 40), (30, 160, 60), (40, 60, 190)]
    frames = [Image.new("RGB", SIZE, colour) for colour in colours]
    found = open_clip(video(tmp_path / "clip.mp4", frames, colours=matrix)).frames(UPRIGHT)
    for frame, colour in zip(found, colours, strict=True):
        assert max(abs(a - b) for a, b in zip(frame.getpixel((20, 20)), colour, strict=True)) <= 3


def test_animations_keep_their_times(frames, tmp_path: Path) -> None:
    first, *rest = frames[:4]
    for name in ("clip.gif", "clip.webp"):
        first.save(tmp_path / name, save_all=True, append_images=rest, duration=[100, 300, 100, 100], loop=0)
        clip = open_clip(tmp_path / name)
        assert (clip.rate, clip.seconds) == (10, pytest.approx(0.6))
        found = [min(range(4), key=lambda t, one=one: difference(one, frames[t])) for one in clip.frames(UPRIGHT)]
        assert found == [0, 1, 1, 1, 2, 3], name


def test_a_folder_of_pictures_is_a_clip(frames, tmp_path: Path) -> None:
    for number, frame in enumerate(frames):
        frame.save(tmp_path / f"{number:03d}.png")
    (tmp_path / "003.png").write_bytes(b"no picture")
    clip = open_clip(tmp_path, rate=Fraction(10))
    found = [frames.index(frame) for frame in clip.frames(UPRIGHT)]
    assert (found, clip.broken) == ([0, 1, 2, 2, 4, 5, 6, 7], 1)


def test_broken_frames_are_repeated_and_counted(frames, tmp_path: Path) -> None:
    path = video(tmp_path / "clip.avi", frames, codec="mpeg4")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = bytes(300)
    path.write_bytes(content)
    clip = open_clip(path)
    found = list(clip.frames(UPRIGHT))
    assert len(found) == 8


def _text(path: Path) -> None:
    path.write_text("no video\n" * 100)


def _playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")


def _concat(path: Path) -> None:
    path.write_text("ffconcat version 1.0\nfile '/etc/passwd'\n")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("make", [_text, _playlist, _concat, _empty])
def test_what_is_no_video_is_refused(make, tmp_path: Path) -> None:
    make(tmp_path / "clip.mp4")
    with pytest.raises(ValueError, match=r"the clip 'clip.mp4' cannot be opened .*; use MP4"):
        open_clip(tmp_path / "clip.mp4")


def test_a_frame_over_the_limit_is_refused_and_never_decoded(frames, tmp_path: Path, monkeypatch) -> None:
    path = video(tmp_path / "clip.mp4", frames)
    monkeypatch.setattr(reading, "LIMITS", dataclasses.replace(reading.LIMITS, megapixels=0.003))
    with pytest.raises(ValueError, match=r"the clip has 64 x 48 px; the limit is 0\.003 megapixels, save it smaller"):
        open_clip(path)
    with reading.opened_video(path) as container, pytest.raises(av.error.FFmpegError):
        next(container.decode(video=0))


def test_other_mistakes_are_named(frames, tmp_path: Path) -> None:
    path = video(tmp_path / "clip.mp4", frames)
    with pytest.raises(ValueError, match="does not exist; check the path"):
        open_clip(tmp_path / "none.mp4")
    with pytest.raises(ValueError, match=r"from 3 s to 0.666016 s there is no frame; the clip has 0.67 s"):
        open_clip(path, start_s=3)
    with pytest.raises(ValueError, match="fps=0 is outside 0 to 120"):
        open_clip(path, rate=Fraction(0))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no pictures"):
        open_clip(tmp_path / "empty")
    frames[0].save(tmp_path / "single.gif")
    with pytest.raises(ValueError, match="is a single picture"):
        open_clip(tmp_path / "single.gif")
    with pytest.raises(ValueError, match="both sides need 16 px"):
        open_clip(video(tmp_path / "thin.mp4", [frame.resize((64, 8)) for frame in frames]))
