"""The command `nst film`: whole, interrupted, continued, refused."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from PIL import Image

from nst.command_line import main
from nst.film import film as films
from nst.film.clip import open_clip, read_comment
from nst.film.film import PLAN, Film
from nst.film.painting import Painted
from nst.recipe import read_film
from tests.film.clips import difference, pan, video

QUICK = ["--size", "64", "--steps", "1", "--no-pyramid", "--device", "cpu", "--precision", "float32"]
QUICK += ["--lambda", "none", "--lambda", "relu1_1=1", "--lambda", "relu2_1=1", "--content-layer", "relu2_2"]


@pytest.fixture
def folder(tmp_path: Path, photo: Image.Image, style: Image.Image, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with style.png and clip.mp4 of two shots of three frames."""
    monkeypatch.chdir(tmp_path)
    style.save("style.png")
    other = Image.eval(photo.rotate(180), lambda value: 255 - value)
    video(Path("clip.mp4"), [*pan(photo, 3), *pan(other, 3)], sound="aac")
    return tmp_path


def film(*more: str) -> list[str]:
    return ["film", "clip.mp4", "style.png", "-o", "out.mp4", *QUICK, *more]


def frames(path: str = "out.mp4") -> list[Image.Image]:
    clip = open_clip(path)
    return list(clip.frames((clip.height, clip.width)))


def test_a_clip_becomes_a_film(folder: Path, capsys) -> None:
    assert main(film()) == 0
    assert "out.mp4: 64 x 48 px, 6 of 6 frames at 12 per second" in capsys.readouterr().out
    clip = open_clip("out.mp4")
    assert (clip.count, clip.sound, (clip.width, clip.height)) == (6, True, (64, 48))
    assert not Path("out.mp4.frames").exists()
    settings, facts = read_film(read_comment(Path("out.mp4")))
    assert (settings.size, settings.steps, facts["frames"], facts["gamma"]) == (64, 1, 6, films.GAMMA)


def test_a_recipe_of_a_film_gives_its_settings(folder: Path) -> None:
    assert main(film("--beta", "3")) == 0
    assert main(["film", "clip.mp4", "style.png", "-o", "again.mkv", "--recipe", "out.mp4", "--to", "0.2"]) == 0
    settings, facts = read_film(read_comment(Path("again.mkv")))
    assert (settings.beta, settings.steps, facts["frames"]) == (3, 1, 2)


class Interrupt:
    """Sends SIGINT to this process when a number of frames is painted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self.painted, keep = 0, Film.keep

        def counted(film: Film, number: int, painted: Painted) -> None:
            keep(film, number, painted)
            self.painted += 1
            if self.painted == after:
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(Film, "keep", counted)


@pytest.mark.parametrize("after", [2, 3, 4])
def test_an_interrupted_film_is_playable_and_goes_on(after: int, folder: Path, monkeypatch, capsys) -> None:
    assert main(film()) == 0
    whole = [frame.tobytes() for frame in frames()]
    Path("out.mp4").unlink()
    interrupt = Interrupt(monkeypatch, after)
    assert main(film()) == 130
    assert f"goes on from frame {after + 1}" in capsys.readouterr().err
    assert len(frames()) == after
    assert main(film()) == 0
    assert interrupt.painted == 6
    assert [frame.tobytes() for frame in frames()] == whole


def test_other_settings_begin_anew(folder: Path, monkeypatch) -> None:
    interrupt = Interrupt(monkeypatch, 2)
    assert main(film()) == 130
    assert main(film("--beta", "3")) == 0
    assert interrupt.painted == 2 + 6


def test_a_folder_with_other_files_is_left_alone(folder: Path, capsys) -> None:
    Path("out.mp4.frames").mkdir()
    Path("out.mp4.frames/letter.txt").write_text("mine")
    assert main(film()) == 2
    assert "'out.mp4.frames' holds other files; move it away" in capsys.readouterr().err
    assert Path("out.mp4.frames/letter.txt").read_text() == "mine"


def test_shots_are_found_and_begin_from_their_own_photo(folder: Path) -> None:
    clip = open_clip("clip.mp4")
    from nst import Settings

    made = Film.of(clip, ["style.png"], Settings(size=64), folder / "work")
    assert list(made.prepare()) == [1, 2, 3, 4, 5, 6]
    assert (made.shots, made.count) == ([0, 3], 6)
    assert json.loads((folder / "work" / PLAN).read_text())["shots"] == [0, 3]


@pytest.mark.parametrize("name", ["out.gif", "out.webp", "out.webm", "out"])
def test_every_output_has_all_frames(name: str, folder: Path) -> None:
    arguments = film("--to", "0.25")
    arguments[arguments.index("out.mp4")] = name
    assert main(arguments) == 0
    assert len(frames(name)) == 3


@pytest.mark.parametrize("source", ["gif", "folder"])
def test_animations_and_folders_are_painted(source: str, folder: Path, photo: Image.Image) -> None:
    first, *rest = pan(photo, 3)
    if source == "gif":
        first.save("clip.gif", save_all=True, append_images=rest, duration=100)
    else:
        Path("clip").mkdir()
        for number, frame in enumerate([first, *rest]):
            frame.save(f"clip/{number}.png")
    assert main(["film", "clip.gif" if source == "gif" else "clip", "style.png", "-o", "out.mp4", *QUICK]) == 0
    assert len(frames()) == 3


def test_odd_sizes_become_even_for_videos(folder: Path) -> None:
    assert main(film("--size", "67", "--to", "0.1")) == 0
    assert frames()[0].size == (66, 50)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gamma", "-1"], "gamma=-1 is outside 0 to 1e+06"),
        (["--from", "9"], "there is no frame"),
        (["--fps", "x"], "'x' is no number of frames per second"),
        (["--start", "style.png"], "a film has no start picture"),
        (["--original-size"], "a film is as large as --size says"),
        (["--workers", "0"], "workers=0 is under the limit of 1"),
        (["-o", "clip.mp4"], "'clip.mp4', the clip, would be overwritten by the film"),
        (["-o", "out.xyz"], "a film cannot be written as .xyz"),
        (["-o", "none/out.mp4"], "the folder 'none' does not exist"),
        (["--recipe", "clip.mp4"], "the recipe is damaged or was edited"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_refused_before_anything_is_painted(arguments, message: str, folder: Path, capsys) -> None:
    assert main(film(*arguments)) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["clip.mp4", "style.png"]


def test_frames_differ_from_the_clip_and_follow_it(folder: Path) -> None:
    assert main(film("--steps", "4")) == 0
    for painted, own in zip(frames(), frames("clip.mp4"), strict=True):
        assert 2 < difference(painted, own) < 90
