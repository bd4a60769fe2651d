"""The handlers of the tab *Clip*: limits, refused files, Stop, and what a film becomes."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from nst.film.clip import open_clip
from nst.ui.clip import handlers
from nst.ui.clip.handlers import GIVEN, ClipVisit, begin, keep, paint, show_expected
from nst.ui.server.limits import PageLimits
from tests.film.clips import pan, video


@pytest.fixture
def given(tmp_path: Path, photo: Image.Image, style: Image.Image, monkeypatch: pytest.MonkeyPatch) -> dict:
    """The controls of a small film of two frames, and a folder for uploads."""
    monkeypatch.setattr(handlers, "get_upload_folder", lambda: str(tmp_path / "uploads"))
    monkeypatch.setattr(handlers, "SIZES_PX", (32, 64))
    (tmp_path / "uploads").mkdir()
    style.save(tmp_path / "style.png")
    clip = video(tmp_path / "clip.mp4", pan(photo, 4), sound="aac")
    values = (str(clip), str(tmp_path / "style.png"), 50, 64, "sketch", 0, 0.17, handlers.OWN_RATE)
    return dict(zip(GIVEN, values, strict=True))


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch):
    """Sets limits of the page."""

    def set_limits(**values: int) -> None:
        monkeypatch.setattr(handlers, "page_limits", lambda: PageLimits(**values))

    return set_limits


def started(given: dict, **changes: object) -> ClipVisit:
    visit = ClipVisit()
    begin(visit, *{**given, **changes}.values())
    return visit


def test_a_clip_becomes_a_film_with_its_sound(given: dict) -> None:
    visit = started(given)
    updates = list(paint(visit))
    frames = [update["clip_frame"] for update in updates if isinstance(update.get("clip_frame"), Image.Image)]
    assert {frame.size for frame in frames} >= {(64, 48)}
    last = updates[-1]
    assert last["status"].startswith("Finished: 2 frames, 64 x 48 px, in ")
    clip = open_clip(last["clip_film"]["value"])
    assert (clip.count, clip.sound, last["clip_file"]["value"]) == (2, True, last["clip_film"]["value"])
    assert not visit.folder.exists()
    assert not visit.painting


def test_stop_keeps_the_film_so_far(given: dict) -> None:
    visit = started(given, clip_to=0)
    updates = paint(visit)
    for update in updates:
        if "Frame 2 of 4 is painted" in update["status"]:
            break
    updates.close()
    kept = keep(visit)
    assert kept["status"] == "The first 2 of 4 frames, 64 x 48 px: the film so far."
    assert open_clip(kept["clip_film"]["value"]).count == 2
    assert not visit.folder.exists()


def test_stop_before_anything_is_painted(given: dict) -> None:
    assert keep(ClipVisit()) == {}
    assert keep(started(given)) == {"status": "Stopped before the first frame was painted."}


def test_controls_that_move_during_a_run_change_nothing(given: dict) -> None:
    visit = started(given)
    values = dict(visit.given)
    given["clip_px"] = 32
    list(paint(visit))
    assert visit.given == values


def test_the_time_limit_keeps_the_film_so_far(given: dict, limits) -> None:
    limits(run_s=0)
    *_, last = paint(started(given))
    assert last["status"] == "The first 1 of 2 frames, 64 x 48 px: the film so far."


def refused(given: dict, **changes: object) -> str:
    """The sentence that the page shows, and that ends the run."""
    updates = []
    with pytest.raises(gr.Error) as raised:
        updates += paint(started(given, **changes))
    assert updates == [{"status": raised.value.message}]
    return raised.value.message


def _text(path: Path) -> Path:
    path.write_text("no video")
    return path


def _playlist(path: Path) -> Path:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
    return path


@pytest.mark.parametrize("make", [_text, _playlist])
def test_files_that_are_no_clips_are_refused(make, given: dict, tmp_path: Path) -> None:
    file = make(tmp_path / "other.mp4")
    assert "The clip 'other.mp4' cannot be opened" in refused(given, clip=str(file))
    assert "cannot be opened" in show_expected(*{**given, "clip": str(file)}.values())["clip_expected"]


def test_limits_are_kept_and_told(given: dict, limits, photo: Image.Image, tmp_path: Path) -> None:
    limits(clip_s=0.2)
    assert refused(given, clip_to=0).startswith("The clip has 0.3 s; this page paints 0.2 s, choose a part")
    limits(clip_megapixels=0.001)
    assert refused(given).startswith("The clip has 64 x 48 px; this page takes clips of 0.001 megapixels")
    limits(clip_px=48)
    assert refused(given) == "Size=64 px is outside 32 to 48 px for a clip; choose one inside."


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"clip": None}, "There is no clip yet; drop one, or choose one of the examples."),
        ({"clip_style": None}, "There is no style picture yet; drop one, or choose one of the examples."),
        ({"clip_from": 5}, "From 5 s to 0.17 s there is no frame"),
        ({"clip_fps": "1000"}, "Fps='1000' is none of as the clip, 8, 12, 24; choose one."),
        ({"clip_quality": "perfect"}, "Quality='perfect'"),
        ({"clip_px": None}, "Size=0 px is outside"),
    ],
    ids=str,
)
def test_mistakes_end_in_a_sentence(changes: dict, sentence: str, given: dict) -> None:
    assert refused(given, **changes).startswith(sentence)


def test_the_estimate_comes_before_the_start(given: dict, limits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "seconds", lambda *_: 75.0)
    assert show_expected(*given.values())["clip_expected"] == "2 frames of 64 x 48 px, about 75 s."
    limits(run_s=20)
    told = show_expected(*given.values())["clip_expected"]
    assert told.endswith("It is stopped after 20 s, with the film so far: shorten it, or choose a smaller size.")
    assert show_expected(*{**given, "clip": None}.values()) == {"clip_expected": ""}
