"""The animation is compared with what Pillow reads from it, the choice of frames with the pictures' numbers."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from nst.images import timelapse
from nst.images.timelapse import ANIMATION_FORMATS, Timelapse, durations


def numbered(number: int, size: tuple[int, int] = (32, 24)) -> Image.Image:
    """A plain picture whose colour is its number."""
    return Image.new("RGB", size, (number % 256, number // 256, 0))


def numbers(recorder: Timelapse) -> list[int]:
    colours = [frame.getpixel((0, 0)) for frame in recorder.frames()]
    return [red + 256 * green for red, green, _ in colours]


def recorded(count: int, most_frames: int = 48) -> Timelapse:
    recorder = Timelapse(most_frames)
    for number in range(count):
        recorder.add(numbered(number))
    return recorder


def opened(content: bytes) -> tuple[list[np.ndarray], list[int], Image.Image]:
    """Frames (H, W, 3), how long each is shown in ms, and the file's picture."""
    picture = Image.open(io.BytesIO(content))
    frames, times = [], []
    for index in range(picture.n_frames):
        picture.seek(index)
        frames.append(np.asarray(picture.convert("RGB")).astype(int))
        times.append(picture.info["duration"])
    return frames, times, picture


@pytest.fixture(scope="module")
def run(photo: Image.Image, style: Image.Image) -> list[Image.Image]:
    """The photo, then blends towards the style picture: two levels, small and full size."""
    blends = [Image.blend(photo, style, share) for share in np.linspace(0.1, 1, 20)]
    return [photo, *(blend.resize((40, 30)) for blend in blends[:6]), *blends[6:]]


@pytest.fixture(scope="module")
def recorder(run: list[Image.Image]) -> Timelapse:
    filled = Timelapse()
    for picture in run:
        filled.add(picture)
    return filled


@pytest.mark.parametrize("most_frames", [2, 3, 7, 48])
def test_chosen_pictures_are_even_with_first_and_last(most_frames: int) -> None:
    filled = Timelapse(most_frames)
    for count in range(1, 301):
        filled.add(numbered(count - 1))
        chosen = numbers(filled)
        assert (chosen[0], chosen[-1]) == (0, count - 1)
        assert min(count, most_frames // 2) <= len(chosen) <= most_frames
        *gaps, last_gap = np.diff(chosen).tolist() or [1]
        assert len(set(gaps)) <= 1
        assert last_gap <= min(gaps, default=last_gap)


def test_all_pictures_are_kept_until_there_are_too_many() -> None:
    assert numbers(recorded(48)) == list(range(48))
    assert len(numbers(recorded(49))) < 48


def test_memory_is_bounded() -> None:
    filled = Timelapse(most_frames=8, longer_px=64)
    for number in range(200):
        filled.add(numbered(number, (500, 400)))
        assert len(filled.kept) <= 8
        assert {frame.size for frame in (*filled.kept, filled.last)} == {(64, 51)}


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ((400, 300), (384, 288)),
        ((300, 400), (288, 384)),
        ((90, 61), (90, 61)),
        ((1000, 20), (384, 8)),
        ((37, 1), (37, 1)),
    ],
)
def test_frames_are_all_as_large_as_the_last_and_no_larger_than_allowed(
    last: tuple[int, int], expected: tuple[int, int]
) -> None:
    filled = Timelapse()
    for number, scale in enumerate((1.0, 0.25, 0.5, 1.0)):
        filled.add(numbered(number, tuple(max(1, round(side * scale)) for side in last)))
    assert {frame.size for frame in filled.frames()} == {expected}
    for format in ANIMATION_FORMATS:
        assert opened(filled.encode(format))[2].size == expected


@pytest.mark.parametrize("format", ANIMATION_FORMATS)
def test_file_holds_every_frame_and_repeats_for_ever(format: str, recorder: Timelapse, run: list[Image.Image]) -> None:
    frames, times, picture = opened(recorder.encode(format))
    assert picture.get_format_mimetype() == ANIMATION_FORMATS[format].mime
    assert len(frames) == len(run)
    assert times == durations(len(run))
    assert (times[0], times[-1], sum(times)) == (500, 1500, 4500)
    assert picture.info["loop"] == 0


@pytest.mark.parametrize("format", ANIMATION_FORMATS)
def test_first_frame_is_the_photo_and_last_the_painting(
    format: str, recorder: Timelapse, run: list[Image.Image]
) -> None:
    frames, _, _ = opened(recorder.encode(format))
    for index in (0, -1):
        assert np.abs(luminance(frames[index]) - luminance(np.asarray(run[index]))).mean() <= 4


@pytest.mark.parametrize("format", ANIMATION_FORMATS)
def test_every_frame_is_nearest_to_its_own_picture(format: str, recorder: Timelapse) -> None:
    frames, _, _ = opened(recorder.encode(format))
    given = np.stack([np.asarray(frame).astype(int) for frame in recorder.frames()])
    nearest = [int(np.abs(given - shown).mean((1, 2, 3)).argmin()) for shown in frames]
    assert nearest == list(range(len(given)))


def luminance(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, W): WebP of this kind keeps colour at half the resolution."""
    return pixels @ (0.299, 0.587, 0.114)


def test_every_length_of_run_has_sensible_times() -> None:
    for count in range(1, timelapse.MOST_FRAMES + 1):
        times = durations(count)
        assert len(times) == count
        assert times[-1] == 1500
        assert all(time % 10 == 0 and time >= 20 for time in times)  # a GIF's unit; the least that browsers respect
        between = times[1:-1]
        assert max(between, default=0) <= min(between, default=0) + 10
        assert max(between, default=0) <= 250
        assert sum(times) == 4500 or (count < 12 and sum(times) < 4500)


@pytest.mark.parametrize("format", ANIMATION_FORMATS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_short_runs_make_short_animations(format: str, count: int) -> None:
    filled = Timelapse()
    for number in range(count):
        filled.add(numbered(70 * number))
    picture = Image.open(io.BytesIO(filled.encode(format)))
    assert picture.n_frames == count
    assert abs(int(np.asarray(picture.convert("RGB"))[0, 0, 0])) <= 2


@pytest.mark.parametrize("format", ANIMATION_FORMATS)
def test_neighbours_that_look_the_same_do_not_change_the_time(format: str) -> None:
    filled = Timelapse()
    for number in (0, 100, 101, 100, 101, 200):
        filled.add(numbered(number))
    assert len(filled.frames()) == 6
    assert sum(opened(filled.encode(format))[1]) == sum(durations(6))


def test_the_same_picture_again_adds_nothing() -> None:
    filled = Timelapse()
    for number in (0, 1, 1, 2, 2, 2):
        filled.add(numbered(number))
    assert numbers(filled) == [0, 1, 2]


def test_later_changes_to_a_picture_do_not_reach_the_recorder() -> None:
    filled, picture = Timelapse(), numbered(7)
    filled.add(picture)
    picture.paste("white", (0, 0, 32, 24))
    assert numbers(filled) == [7]


def test_transparency_meets_white() -> None:
    filled = Timelapse()
    filled.add(Image.new("RGBA", (32, 24), (255, 0, 0, 0)))
    filled.add(Image.new("LA", (32, 24), (0, 204)))
    assert [frame.getpixel((5, 5)) for frame in filled.frames()] == [(255, 255, 255), (51, 51, 51)]


@pytest.mark.parametrize("format", ANIMATION_FORMATS)
def test_no_metadata_of_a_picture_is_written(format: str) -> None:
    filled = Timelapse()
    for number in range(2):
        picture = numbered(number * 90)
        picture.info = {"comment": b"secret", "exif": b"Exif\0\0secret", "xmp": b"secret", "icc_profile": b"secret"}
        filled.add(picture)
    assert b"secret" not in filled.encode(format)


def test_webp_says_that_it_is_srgb(recorder: Timelapse) -> None:
    embedded = io.BytesIO(opened(recorder.encode())[2].info["icc_profile"])
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(embedded)).startswith("sRGB")


def test_gif_keeps_plain_areas_plain(run: list[Image.Image]) -> None:
    """Dots of two colours in place of a third would crawl from frame to frame, and fill the file."""
    filled = Timelapse()
    for picture in (run[0], Image.new("RGB", run[0].size, (3, 250, 201)), run[-1]):
        filled.add(picture)
    assert len(np.unique(opened(filled.encode("gif"))[0][1].reshape(-1, 3), axis=0)) == 1


def test_gif_has_one_palette(recorder: Timelapse) -> None:
    """Each frame's colours are among the 256 of the whole."""
    frames, _, _ = opened(recorder.encode("gif"))
    assert len(np.unique(np.concatenate([frame.reshape(-1, 3) for frame in frames]), axis=0)) <= 256


@pytest.mark.parametrize("format", ANIMATION_FORMATS)
def test_equal_runs_make_equal_files(format: str) -> None:
    assert recorded(5).encode(format) == recorded(5).encode(format)


def test_encoding_leaves_the_recorder_open() -> None:
    filled = recorded(3)
    filled.encode("gif")
    filled.add(numbered(3))
    assert numbers(filled) == [0, 1, 2, 3]


def test_nothing_recorded_is_an_error() -> None:
    assert Timelapse().frames() == []
    with pytest.raises(ValueError, match="0 pictures make no time-lapse; add 1"):
        Timelapse().encode()


def test_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format='mp4' is not known; choose from webp, gif"):
        recorded(2).encode("mp4")


@pytest.mark.parametrize(
    ("limits", "match"), [((1, 384), "most_frames=1 .* 2 to 127"), ((128, 384), "=128"), ((48, 0), "longer_px=0")]
)
def test_limits_without_sense_are_refused(limits: tuple[int, int], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Timelapse(*limits)
