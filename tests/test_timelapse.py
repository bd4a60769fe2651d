"""The animation begins with the photo, ends with the painting, and stays small however long the run was."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from nst import timelapse
from nst.timelapse import Timelapse

BOTH = pytest.mark.parametrize("format", list(timelapse.FORMATS))


def grey(value: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.new("RGB", size, (value, value, value))


def filled(values: range, **options: int) -> Timelapse:
    film = Timelapse(**options)
    for value in values:
        film.add(grey(value))
    return film


def shown(content: bytes) -> list[tuple[float, int]]:
    """Mean brightness and duration of every frame, as an independent reader sees them."""
    film = Image.open(io.BytesIO(content))
    found = []
    for index in range(film.n_frames):
        film.seek(index)
        film.load()
        found.append((float(np.asarray(film.convert("RGB")).mean()), film.info["duration"]))
    return found


@BOTH
def test_it_runs_from_the_first_to_the_last_and_stays_there(format: str) -> None:
    film = Timelapse()
    ramp = Image.linear_gradient("L").resize((60, 40))
    for value in range(0, 250, 10):
        film.add(ramp.point(lambda brightness, value=value: brightness * value // 255).convert("RGB"))
    frames = shown(film.encode(format))
    assert frames[0][0] == pytest.approx(0, abs=4)
    assert frames[-1][0] == pytest.approx(119, abs=4)
    assert [brightness for brightness, _ in frames] == sorted(brightness for brightness, _ in frames)
    assert frames[-1][1] == timelapse.LAST_MS
    assert sum(duration for _, duration in frames) == timelapse.FIRST_MS + timelapse.MOTION_MS + timelapse.LAST_MS


@BOTH
def test_it_repeats_for_ever(format: str) -> None:
    assert Image.open(io.BytesIO(filled(range(0, 100, 20)).encode(format))).info["loop"] == 0


@pytest.mark.parametrize("count", [2, 7, 8, 9, 17, 100, 256])
def test_memory_is_bounded_and_frames_stay_evenly_spread(count: int) -> None:
    film = filled(range(count), most_frames=8)
    values = [frame.getpixel((0, 0))[0] for frame in film.frames()]
    assert len(values) <= 8
    assert (values[0], values[-1]) == (0, count - 1)
    gaps = np.diff(values[:-1])
    assert len(set(gaps)) <= 1, "the same stride everywhere, but for the last"
    if count > 8:
        assert len(values) >= 4


def test_frames_of_all_levels_have_the_size_of_the_last_within_the_limit() -> None:
    film = Timelapse(longer_px=96)
    for longer in (50, 100, 200, 400):
        film.add(grey(longer // 2, (longer, longer // 2)))
    assert {frame.size for frame in film.frames()} == {(96, 48)}


def test_transparency_is_white_and_metadata_stays_behind() -> None:
    picture = Image.new("RGBA", (30, 20), (0, 0, 0, 0))
    picture.info["comment"] = b"where I live"
    film = Timelapse()
    film.add(grey(9, (30, 20)))
    film.add(picture)
    assert shown(film.encode("gif"))[-1][0] == pytest.approx(255, abs=2)
    assert b"where I live" not in film.encode("gif") + film.encode("webp")


def test_the_same_picture_again_adds_nothing() -> None:
    film = Timelapse()
    for _ in range(5):
        film.add(grey(7))
    assert len(film.frames()) == 1


def test_a_recorded_frame_is_a_copy() -> None:
    film, picture = Timelapse(), grey(10)
    film.add(picture)
    picture.paste((200, 200, 200), (0, 0, 60, 40))
    assert film.frames()[0].getpixel((0, 0)) == (10, 10, 10)


def test_without_pictures_or_with_an_unknown_format_there_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="0 pictures make no time-lapse"):
        Timelapse().encode()
    with pytest.raises(ValueError, match="format='mp4' is not known; choose from webp, gif"):
        filled(range(3)).encode("mp4")
    with pytest.raises(ValueError, match="choose 2 frames"):
        Timelapse(most_frames=1)
