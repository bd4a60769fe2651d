"""The handlers of the tab *Clip*: limits, refused files, Stop, and what a film becomes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import av
import gradio as gr
import numpy as np
import pytest
from PIL import Image

from nst.film.clip import open_clip
from nst.ui.clip import handlers, opening
from nst.ui.clip.handlers import GIVEN, NOTHING_PAINTED, begin, paint, show_expected, stop
from nst.ui.clip.opening import OWN_RATE
from nst.ui.server import disk
from nst.ui.server.events import Work
from nst.ui.server.limits import PageLimits
from tests.film.clips import pan, video


@pytest.fixture
def given(tmp_path: Path, photo: Image.Image, style: Image.Image, monkeypatch: pytest.MonkeyPatch) -> dict:
    """The controls of a small film of two frames, and a folder for uploads."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    monkeypatch.setattr(handlers, "SIZES_PX", (32, 64))
    (tmp_path / "uploads").mkdir()
    style.save(tmp_path / "style.png")
    clip = video(tmp_path / "clip.mp4", pan(photo, 4), sound="aac")
    values = (str(clip), str(tmp_path / "style.png"), 50, 64, "sketch", 0, 0.17, OWN_RATE)
    return dict(zip(GIVEN, values, strict=True))


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch):
    """Sets limits of the page."""

    def set_limits(**values: float) -> None:
        for module in (handlers, opening):
            monkeypatch.setattr(module, "page_limits", lambda: PageLimits(**values))

    return set_limits


def painted(given: dict, work: Work | None = None, **changes: object) -> Iterator[dict]:
    """The updates of a run, as the page asks for it."""
    work = work or Work()
    begin(work)
    return paint(work, *{**given, **changes}.values())


def test_a_clip_becomes_a_film_with_its_sound(given: dict) -> None:
    work = Work()
    first, *updates, last = painted(given, work)
    assert first["clip_frame"].size == (64, 48), "the clip's own frame is shown at once"
    frames = [update["clip_frame"] for update in updates if isinstance(update.get("clip_frame"), Image.Image)]
    assert {frame.size for frame in frames} >= {(64, 48)}
    assert any(update["status"].startswith("Frame 1 of 2, step ") for update in updates)
    assert last["status"].startswith("Finished: 2 frames, 64 x 48 px, in ")
    clip = open_clip(last["clip_film"]["value"])
    assert (clip.count, clip.sound, last["clip_file"]["value"]) == (2, True, last["clip_film"]["value"])
    assert not work.on
    assert left_over() == []


def left_over() -> list[str]:
    """Folders of runs that were not removed."""
    return [*disk.AT_WORK, *map(str, Path(handlers.get_upload_folder()).glob("nst-*"))]


def test_stop_keeps_the_film_so_far(given: dict) -> None:
    work = Work()
    updates = painted(given, work, clip_to=0)
    for update in updates:
        if "Frame 2 of 4 is painted" in update["status"]:
            break
    assert stop(work) == {"clip_stop": gr.update(value="Stopping ...", interactive=False)}
    (last,) = updates
    assert last["status"] == "The first 2 of 4 frames, 64 x 48 px: the film so far."
    assert open_clip(last["clip_film"]["value"]).count == 2
    assert left_over() == []


def test_stop_before_anything_is_painted(given: dict) -> None:
    work = Work()
    begin(work)
    told = stop(work)
    assert (told["status"], told["cancelled"]) == (NOTHING_PAINTED, 1), "gradio takes it out of the queue"
    updates = painted(given, work)
    next(updates)
    assert "cancelled" not in stop(work)
    assert list(updates) == [{"status": NOTHING_PAINTED}]


def test_a_closed_tab_leaves_nothing(given: dict) -> None:
    updates = painted(given)
    for update in updates:
        if "is painted" in update["status"]:
            break
    assert left_over() != []
    updates.close()
    assert left_over() == []


def test_no_sweep_touches_the_frames_of_a_run(given: dict) -> None:
    folder = handlers.get_upload_folder()
    page = SimpleNamespace(blocks={}, _queue=SimpleNamespace(event_ids_to_events={}))
    swept = disk.Disk(folder, 60, 10**9, lambda: disk.in_use(page), clock=lambda: time.time() + 3600)
    updates = painted(given)
    for update in updates:
        if "Frame 1 of 2 is painted" in update["status"]:
            swept.sweep()
    assert update["status"].startswith("Finished: 2 frames")
    swept.sweep()
    assert not Path(update["clip_film"]["value"]).exists(), "the film is kept as long as any file"


def test_the_time_limit_keeps_the_film_so_far(given: dict, limits) -> None:
    limits(run_s=1e-9)
    with pytest.raises(gr.Error, match="Reading the clip takes too long"):
        list(painted(given))
    limits(run_s=1000)
    updates = painted(given)
    for update in updates:
        if "Frame 1 of 2, step" in update["status"]:
            limits(run_s=0)
    assert update["status"] == "Your time was up. The first 1 of 2 frames, 64 x 48 px: the film so far."


def refused(given: dict, **changes: object) -> str:
    """The sentence that the page shows, and that ends the run."""
    updates = painted(given, **changes)
    told = next(updates)
    with pytest.raises(gr.Error) as raised:
        next(updates)
    assert told == {"status": raised.value.message}, "the status says it, too"
    assert left_over() == []
    return raised.value.message


def _text(path: Path) -> Path:
    path.write_text("no video")
    return path


def _playlist(path: Path) -> Path:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
    return path


def _animation(path: Path) -> Path:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])
    return path


def _broken(path: Path) -> Path:
    whole = video(path, [Image.effect_noise((64, 64), 90).convert("RGB")] * 4).read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    return path


@pytest.mark.parametrize("make", [_text, _playlist, _animation, _broken])
def test_files_that_are_no_clips_are_refused(make, given: dict, tmp_path: Path) -> None:
    file = make(tmp_path / "other.mp4")
    assert "The clip 'other.mp4' cannot be opened" in refused(given, clip=str(file))
    assert "cannot be opened" in show_expected(*{**given, "clip": str(file)}.values())["clip_expected"]


def test_sound_animations_folders_and_files_that_are_gone_are_refused(given: dict, tmp_path: Path) -> None:
    sound = tmp_path / "sound.mp4"
    with av.open(str(sound), "w") as out:
        stream = out.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    assert refused(given, clip=str(sound)) == "The clip has no picture, only sound; choose a video."
    assert refused(given, clip=str(_animation(tmp_path / "a.gif"))).startswith("This page paints videos, such as MP4")
    for path in (tmp_path, tmp_path / "gone.mp4"):
        assert refused(given, clip=str(path)).startswith("The clip is gone, because files are kept")


def test_limits_are_kept_and_told(given: dict, limits) -> None:
    limits(clip_s=0.2)
    assert refused(given, clip_to=0).startswith("The clip has 0.3 s; this page paints 0.2 s, choose a part")
    limits(clip_frames=3)
    assert refused(given, clip_to=0).startswith("The clip has 4 frames; this page paints 3, choose fewer")
    assert refused(given, clip_fps="24").startswith("The clip has 4 frames; this page paints 3, choose fewer")
    limits(clip_px=48)
    assert refused(given) == "Size=64 px is outside 32 to 48 px for a clip; choose one inside."


def test_a_huge_or_long_file_is_refused_before_a_frame_is_decoded(
    given: dict, limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "open_clip", lambda *_: pytest.fail("a frame was decoded"))
    limits(clip_megapixels=0.001)
    assert refused(given).startswith("The clip has 64 x 48 px; this page takes clips of 0.001 megapixels")
    limits()
    monkeypatch.setattr(opening, "MOST_IN_FILE", 3)
    assert refused(given).startswith("The clip has over 3 frames; cut it")


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
