"""Films on several worker processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from nst import Settings
from nst.batch.workers import local
from nst.film import segments
from nst.film.clip import open_clip
from nst.film.film import Film
from nst.film.painting import Painted
from nst.film.segments import paint_on
from tests.film.clips import pan, video

SETTINGS = Settings(
    size=64, steps=1, pyramid=False, device="cpu", precision="float32",
    content_layers={"relu2_2": 1.0}, style_layers={"relu1_1": 1.0, "relu2_1": 1.0},
)  # fmt: skip


@pytest.fixture
def film(tmp_path: Path, photo: Image.Image, style: Image.Image, monkeypatch: pytest.MonkeyPatch) -> Film:
    """Two shots, of five and three frames; a segment has two."""
    monkeypatch.setattr(segments, "FRAMES", 2)
    other = Image.eval(photo.rotate(180), lambda value: 255 - value)
    clip = open_clip(video(tmp_path / "clip.mp4", [*pan(photo, 5, 1), *pan(other, 3)]))
    made = Film.of(clip, [style], SETTINGS, tmp_path / "frames")
    list(made.prepare())
    assert made.shots == [0, 5]
    return made


def test_workers_paint_the_frames_of_a_single_process(film: Film, tmp_path: Path) -> None:
    painted = [event for event in paint_on(film, local("cpu", 2)) if isinstance(event, Painted)]
    assert len(painted) == film.done() == 8
    alone = Film.of(film.clip, film.styles, film.settings, tmp_path / "alone")
    list(alone.prepare())
    assert sum(isinstance(event, Painted) for event in alone.paint()) == 8
    assert [one.tobytes() for one in film.pictures()] == [one.tobytes() for one in alone.pictures()]


def test_a_film_goes_on_where_its_workers_were_stopped(film: Film) -> None:
    events = paint_on(film, local("cpu", 2))
    assert isinstance(next(events), Painted)
    events.close()
    before = sum(map(film.is_painted, range(film.count)))
    assert 0 < before < 8
    rest = [event for event in paint_on(film, local("cpu", 2)) if isinstance(event, Painted)]
    assert (before + len(rest), film.done()) == (8, 8)
