"""Films are written with their rate, colours, sound and recipe, whole or not at all."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from nst.film import writing
from nst.film.clip import open_clip, read_comment
from tests.film.clips import SIZE, difference, pan, video


@pytest.fixture
def frames(photo: Image.Image) -> list[Image.Image]:
    return pan(photo, 6, 4)


@pytest.mark.parametrize("form", ["mp4", "mov", "mkv", "webm"])
def test_a_video_has_its_frames_rate_and_comment(form: str, frames, tmp_path: Path) -> None:
    clip = open_clip(video(tmp_path / "clip.mp4", frames, rate=Fraction(30000, 1001)))
    writing.write(tmp_path / f"film.{form}", frames, clip, "the recipe")
    film = open_clip(tmp_path / f"film.{form}")
    assert (film.width, film.height, film.rate) == (*SIZE, Fraction(30000, 1001))
    found = list(film.frames(SIZE[::-1]))
    assert [difference(*pair) < 8 for pair in zip(found, frames, strict=True)] == [True] * 6
    assert read_comment(tmp_path / f"film.{form}") == "the recipe"


def test_players_see_the_colours_of_the_frames(tmp_path: Path) -> None:
    colours = [(200, 30, 40), (30, 160, 60), (40, 60, 190), (128, 128, 128)]
    frames = [Image.new("RGB", SIZE, colour) for colour in colours]
    clip = open_clip(video(tmp_path / "clip.mp4", frames))
    writing.write(tmp_path / "film.mp4", frames, clip)
    for frame, colour in zip(open_clip(tmp_path / "film.mp4").frames(SIZE[::-1]), colours, strict=True):
        assert max(abs(a - b) for a, b in zip(frame.getpixel((20, 20)), colour, strict=True)) <= 3
    with av.open(str(tmp_path / "film.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.pix_fmt) == (1, 1, 1, "yuv420p")


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def heard_s(path: Path) -> float:
    with av.open(str(path)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def test_sound_is_copied(photo: Image.Image, tmp_path: Path) -> None:
    clip = open_clip(video(tmp_path / "clip.mp4", pan(photo, 12), sound="aac"))
    writing.write(tmp_path / "film.mp4", pan(photo, 12), clip)
    assert packets(tmp_path / "film.mp4") == packets(tmp_path / "clip.mp4")


@pytest.mark.parametrize(("form", "codec"), [("mp4", "aac"), ("webm", "opus")])
def test_sound_that_the_container_cannot_take_is_encoded(form: str, codec: str, photo, tmp_path: Path) -> None:
    clip = open_clip(video(tmp_path / "clip.mkv", pan(photo, 12), sound="pcm_s16le"))
    writing.write(tmp_path / f"film.{form}", pan(photo, 12), clip)
    with av.open(str(tmp_path / f"film.{form}")) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == codec
    assert heard_s(tmp_path / f"film.{form}") == pytest.approx(1, abs=0.1)


def test_sound_is_cut_with_the_clip_and_where_a_film_stops(photo: Image.Image, tmp_path: Path) -> None:
    path = video(tmp_path / "clip.mp4", pan(photo, 24), sound="aac")
    writing.write(tmp_path / "film.mp4", pan(photo, 12), open_clip(path, 0.5, 1.5))
    assert heard_s(tmp_path / "film.mp4") == pytest.approx(1, abs=0.1)
    writing.write(tmp_path / "film.mp4", pan(photo, 6), open_clip(path, 0.5, 1.5), stopped_s=0.5)
    assert heard_s(tmp_path / "film.mp4") == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("form", ["gif", "webp"])
def test_animations_keep_rate_and_comment(form: str, frames, tmp_path: Path) -> None:
    clip = open_clip(video(tmp_path / "clip.mp4", frames, rate=10))
    writing.write(tmp_path / f"film.{form}", frames, clip, "the recipe")
    film = open_clip(tmp_path / f"film.{form}")
    assert (film.rate, film.count) == (10, 6)
    with Image.open(tmp_path / f"film.{form}") as picture:
        assert "the recipe" in (picture.info.get("comment", b"").decode() or str(dict(picture.getexif())))


def test_a_folder_gets_numbered_pictures(frames, tmp_path: Path) -> None:
    clip = open_clip(video(tmp_path / "clip.mp4", frames))
    writing.write(tmp_path / "film", frames, clip)
    assert sorted(file.name for file in (tmp_path / "film").iterdir()) == [f"{n:06d}.png" for n in range(1, 7)]
    assert Image.open(tmp_path / "film" / "000003.png").tobytes() == frames[2].tobytes()


def test_an_error_leaves_the_old_file_and_no_part(frames, tmp_path: Path) -> None:
    clip = open_clip(video(tmp_path / "clip.mp4", frames))
    writing.write(tmp_path / "film.mp4", frames, clip)
    old = (tmp_path / "film.mp4").read_bytes()

    def broken():
        yield frames[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        writing.write(tmp_path / "film.mp4", broken(), clip)
    assert (tmp_path / "film.mp4").read_bytes() == old
    assert sorted(file.name for file in tmp_path.iterdir()) == ["clip.mp4", "film.mp4"]


def test_an_unknown_ending_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cannot be written as .xyz; use .gif .mkv .mov .mp4 .webm .webp"):
        writing.format_of("film.xyz")
