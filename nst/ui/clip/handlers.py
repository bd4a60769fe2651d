"""The handlers of the tab *Clip*: they turn its controls into a film, and the events of the film into what it shows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from nst import Settings, Step
from nst.film.clip import Clip, open_clip
from nst.film.film import Film, seconds
from nst.film.painting import Painted
from nst.objective.targets import kept_styles
from nst.settings import read_value
from nst.ui.server import files
from nst.ui.server.devices import may_measure, on_free_device
from nst.ui.server.events import Updates
from nst.ui.server.limits import page_limits
from nst.ui.stylise import zerogpu
from nst.ui.stylise.handlers import sentence_for, with_sentences
from nst.ui.stylise.presets import beta_of
from nst.ui.stylise.status_text import duration

# Components whose values decide a film, in the order in which handlers take them.
GIVEN = ("clip", "clip_style", "clip_strength", "clip_px", "clip_quality", "clip_from", "clip_to", "clip_fps")
OWN_RATE = "as the clip"
RATES = (OWN_RATE, "8", "12", "24")  # frames per second
SIZES_PX = (128, 192, 256, 384, 512)
QUALITIES = ("sketch", "draft", "balanced")
LAST_STEP_S = 15.0  # most that Stop waits for the step that is being taken
READING_S = 0.5  # between two messages while the clip is read


@dataclass
class ClipVisit:
    """What a visitor has asked for last, and the folder of its frames."""

    given: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    painting: bool = False  # whether the run is at work on the folder


def begin(visit: ClipVisit, *values: Any) -> Updates:
    """Keep what is asked for: controls that are moved during the run do not change it."""
    visit.given = dict(zip(GIVEN, values, strict=True))
    visit.folder = Path(files.new_folder(get_upload_folder())) / "frames"
    return {
        "clip_paint": gr.update(interactive=False),
        "clip_stop": gr.update(visible=True),
        "status": "Waiting for its turn.",
        "clip_frame": gr.update(value=None, visible=True),
        "clip_film": gr.update(value=None, visible=False),
        "clip_file": gr.update(value=None, interactive=False),
    }


def needed_s(visit: ClipVisit) -> int:
    """Seconds of a ZeroGPU to ask for."""
    try:
        film = _film(visit)
        return min(zerogpu.START_S + round(seconds(film, zerogpu.PACE) or 0), zerogpu.START_S + page_limits().run_s)
    except ValueError:
        return zerogpu.UNKNOWN_S  # it will be refused


def paint(visit: ClipVisit) -> Iterator[Updates]:
    """Paint what `begin` has kept. Closing it leaves the frames so far, for `keep`."""
    visit.painting = True
    try:
        yield from with_sentences(_painted(visit))
    finally:
        visit.painting = False


@on_free_device
def _painted(device: str, visit: ClipVisit) -> Iterator[Updates]:
    film, most_s = _film(visit, device), page_limits().run_s
    began_s = told_s = first_s = time.monotonic()
    for number in film.prepare():
        if time.monotonic() - told_s > READING_S:
            told_s = time.monotonic()
            yield {"status": f"Reading the clip: frame {number} of about {film.clip.count}."}
    expected_s, painted = seconds(film, watch=may_measure), 0
    with closing(film.paint(kept_styles())) as events:
        for event in events:
            if isinstance(event, Step) and event.preview is not None:
                left = f", about {duration(expected_s)} in all" if expected_s else ""
                yield {"clip_frame": event.preview, "status": f"Frame {painted + 1} of {film.count}{left}."}
            elif isinstance(event, Painted):
                painted += 1
                now_s = time.monotonic()
                if painted == 1:  # it takes several times as long as the others
                    first_s, left_s = now_s, max(0.0, (expected_s or 0) - (now_s - began_s))
                else:
                    left_s = (now_s - first_s) / (painted - 1) * (film.count - painted)
                yield {"clip_frame": event.picture, "status": _progress(painted, film.count, left_s)}
                if now_s - began_s > most_s:
                    break
    yield _finished(film, time.monotonic() - began_s)


def _progress(painted: int, count: int, left_s: float) -> str:
    if painted == count:
        return "Writing the film."
    left = f", {duration(left_s)} left" if left_s else ""
    return f"Frame {painted} of {count} is painted{left}."


def keep(visit: ClipVisit) -> Updates:
    """After Stop: the film as far as it is painted."""
    if visit.folder is None or not visit.given:
        return {}
    waited_s = 0.0
    while visit.painting and waited_s < LAST_STEP_S:
        time.sleep(0.1)
        waited_s += 0.1
    try:
        film = _film(visit)
        list(film.prepare())
        return _finished(film)
    except Exception as error:
        return {"status": f"Stopped. {sentence_for(error)}"}


def _finished(film: Film, took_s: float | None = None) -> Updates:
    """The film that is painted so far, to be seen and downloaded. Its frames are no longer needed."""
    done, path = film.done(), film.folder.parent / "film.mp4"
    if not done:
        return {"status": "Stopped before the first frame was painted."}
    film.write(path)
    content = path.read_bytes()
    path.unlink()
    film.remove()
    kept = save_bytes_to_cache(content, "film.mp4", get_upload_folder())
    size = f"{film.size[1]} x {film.size[0]} px"
    if done < film.count:
        told = f"The first {done} of {film.count} frames, {size}: the film so far."
    else:
        told = f"Finished: {done} frames, {size}, in {duration(took_s or 0)}."
    if film.broken:
        told += f" {film.broken} frames of the clip were broken; the frame before each is shown instead."
    button = gr.update(value=kept, interactive=True)
    shown = {"clip_frame": gr.update(visible=False), "clip_film": gr.update(value=kept, visible=True)}
    return {**shown, "clip_file": button, "status": told}


def show_expected(*values: Any) -> Updates:
    """What a film with these values is, and how long it takes."""
    given = dict(zip(GIVEN, values, strict=True))
    if given["clip"] is None:
        return {"clip_expected": ""}
    try:
        film = _film(ClipVisit(given, Path(get_upload_folder())))
        expected_s = seconds(film, zerogpu.PACE if zerogpu.is_active() else None, may_measure)
    except ValueError as error:
        return {"clip_expected": sentence_for(error)}
    takes = f"about {duration(expected_s)}" if expected_s else "the time is measured when nothing is painted"
    frames, (height, width) = film.clip.count, film.size
    told = f"{frames} frames of {width} x {height} px, {takes}."
    most_s = page_limits().run_s
    if expected_s and expected_s > most_s:
        told += f" It is stopped after {duration(most_s)}, with the film so far: shorten it, or choose a smaller size."
    return {"clip_expected": told}


def _film(visit: ClipVisit, device: str = "auto") -> Film:
    """The film that is asked for, within the page's limits. `ValueError` says what is wrong."""
    given = visit.given
    if given["clip"] is None or given["clip_style"] is None:
        missing = "clip" if given["clip"] is None else "style picture"
        raise ValueError(f"there is no {missing} yet; drop one, or choose one of the examples")
    clip = _clip(given)
    px = int(given["clip_px"] or 0)
    limits = page_limits()
    if not SIZES_PX[0] <= px <= limits.clip_px:
        raise ValueError(f"size={px} px is outside {SIZES_PX[0]} to {limits.clip_px} px for a clip; choose one inside")
    quality = read_value("quality", given["clip_quality"])
    settings = Settings(size=px, quality=quality, beta=beta_of(float(given["clip_strength"] or 0), 1), device=device)
    return Film.of(clip, [given["clip_style"]], settings, visit.folder)


def _clip(given: dict[str, Any]) -> Clip:
    """The clip, cut as asked. `ValueError` when it is too long, too large, or no clip."""
    limits = page_limits()
    begin_s, end_s = float(given["clip_from"] or 0), float(given["clip_to"] or 0)
    rate = None if given["clip_fps"] == OWN_RATE else Fraction(read_rate(given["clip_fps"]))
    clip = open_clip(given["clip"], begin_s, end_s or None, rate)
    if clip.width * clip.height > limits.clip_megapixels * 1e6:
        raise ValueError(
            f"the clip has {clip.width} x {clip.height} px; this page takes clips of {limits.clip_megapixels} "
            "megapixels, save it smaller"
        )
    if clip.seconds > limits.clip_s:
        raise ValueError(
            f"the clip has {clip.seconds:.1f} s; this page paints {limits.clip_s} s, choose a part with From and To"
        )
    return clip


def read_rate(text: Any) -> int:
    """Frames per second, of `RATES`."""
    if text not in RATES:
        raise ValueError(f"fps={text!r:.20} is none of {', '.join(RATES)}; choose one")
    return int(text)
