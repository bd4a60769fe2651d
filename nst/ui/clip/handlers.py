"""The handlers of the tab *Clip*: they turn its controls into a film, and the events of the film into what it shows."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from nst import Degraded, Settings, Step
from nst.film.film import Film, seconds
from nst.film.painting import Painted
from nst.objective.targets import kept_styles
from nst.settings import read_value
from nst.ui.clip.opening import OWN_RATE, clip_within_limits
from nst.ui.server import given_files
from nst.ui.server.devices import may_measure, on_free_device
from nst.ui.server.disk import folder_at_work
from nst.ui.server.events import Updates, Work
from nst.ui.server.limits import page_limits
from nst.ui.stylise import zerogpu
from nst.ui.stylise.handlers import sentence_for, with_sentences
from nst.ui.stylise.presets import beta_of
from nst.ui.stylise.status_text import duration
from nst.ui.stylise.zerogpu import on_zerogpu

# Components whose values decide a film, in the order in which handlers take them.
GIVEN = ("clip", "clip_style", "clip_strength", "clip_px", "clip_quality", "clip_from", "clip_to", "clip_fps")
RATES = (OWN_RATE, "8", "12", "24")  # frames per second
SIZES_PX = (128, 192, 256, 384, 512)
QUALITIES = ("sketch", "draft", "balanced")
TOLD_S = 0.5  # between two messages while the clip is read
READY = {"clip_paint": gr.update(visible=True), "clip_stop": gr.update(visible=False)}
NOTHING_PAINTED = "Stopped before the first frame was painted."


def begin(work: Work) -> Updates:
    """A film is asked for, and waits for its turn."""
    work.begin()
    return {
        "clip_paint": gr.update(visible=False),
        "clip_stop": gr.update(value="Stop", visible=True, interactive=True),
        "status": "Waiting for your turn: one picture or clip is painted at a time ...",
        "clip_frame": gr.update(value=None, visible=True),
        "clip_film": gr.update(value=None, visible=False),
        "clip_file": gr.update(value=None, interactive=False),
    }


def stop(work: Work) -> Updates:
    """Stop was pressed. A run that paints ends itself, with its film; one that waits is taken out of the queue."""
    if work.stop():
        return {**READY, "status": NOTHING_PAINTED, "cancelled": work.cancelled}
    return {"clip_stop": gr.update(value="Stopping ...", interactive=False)}


def paint(work: Work, *values: Any) -> Iterator[Updates]:
    """Paint a film, show each frame, and at the end the film; `values` are those of `GIVEN`."""
    with work.turn():
        yield from with_sentences(_painted(work, dict(zip(GIVEN, values, strict=True))))


def _painted(work: Work, given: Mapping[str, Any]) -> Iterator[Updates]:
    with folder_at_work(get_upload_folder()) as folder:
        film, began_s = _film(given, folder), time.monotonic()
        yield {"clip_frame": next(film.clip.frames(film.size)), "status": "Reading the clip ..."}
        yield from _read(work, film, began_s)
        yield from _frames(work, film, began_s)
        yield _finished(film, time.monotonic() - began_s)


def _read(work: Work, film: Film, began_s: float) -> Iterator[Updates]:
    """Read the clip once, to find its shots."""
    told_s = began_s
    for number in film.prepare():
        if work.stopped:
            return
        now_s = time.monotonic()
        if now_s - began_s > page_limits().run_s:
            raise ValueError("reading the clip takes too long; cut it, or save it with fewer pixels")
        if now_s - told_s > TOLD_S:
            told_s = now_s
            yield {"status": f"Reading the clip: frame {number} of about {film.clip.count}."}


def _frames(work: Work, film: Film, began_s: float) -> Iterator[Updates]:
    """Each painted frame, and of the first one of a shot the steps, until the end, Stop or the time limit."""
    expected_s, painted, notes = seconds(film, watch=lambda: None), 0, ""
    first_s: float | None = None  # when the first frame was painted
    if work.stopped:
        return
    with closing(film_events(film)) as events:
        for event in events:
            now_s = time.monotonic()
            if isinstance(event, Step) and event.preview is not None:
                left = f", about {duration(expected_s)} in all" if expected_s and not painted else ""
                told = f"Frame {painted + 1} of {film.count}, step {event.costs.step}{left}.{notes}"
                yield {"clip_frame": event.preview, "status": told}
            elif isinstance(event, Painted):
                painted += 1
                first_s = first_s or now_s
                # The first frame takes several times as long as the others.
                left_s = (now_s - first_s) / (painted - 1) * (film.count - painted) if painted > 1 else None
                yield {"clip_frame": event.picture, "status": _progress(painted, film.count, left_s) + notes}
            elif isinstance(event, Degraded):
                notes += f" {event.reason}"
            if work.stopped or (painted and now_s - began_s > page_limits().run_s):
                return


def needed_s(film: Film) -> int:
    """Seconds of a ZeroGPU to ask for."""
    most_s = page_limits().run_s
    return zerogpu.START_S + min(round(seconds(film, zerogpu.PACE) or most_s), most_s)


@partial(on_zerogpu, seconds=needed_s)
@on_free_device
def film_events(device: str, film: Film) -> Iterator[Step | Degraded | Painted]:
    """The events of a prepared film, on a device. In a forked process where there is ZeroGPU."""
    placed = dataclasses.replace(film, settings=dataclasses.replace(film.settings, device=device))
    yield from placed.paint(kept_styles())


def _progress(painted: int, count: int, left_s: float | None) -> str:
    if painted == count:
        return "Writing the film."
    left = f", about {duration(left_s)} left" if left_s else ""
    return f"Frame {painted} of {count} is painted{left}."


def _finished(film: Film, took_s: float) -> Updates:
    """The film that is painted so far, to be seen and downloaded."""
    done = film.done()
    if not done:
        return {"status": NOTHING_PAINTED}
    path = film.folder.parent / "film.mp4"
    film.write(path)
    kept = given_files.give(path.read_bytes(), "film.mp4")
    size = f"{film.size[1]} x {film.size[0]} px"
    if done < film.count:
        up = "Your time was up. " if took_s > page_limits().run_s else ""
        told = f"{up}The first {done} of {film.count} frames, {size}: the film so far."
    else:
        told = f"Finished: {done} frames, {size}, in {duration(took_s)}."
    if film.broken:
        told += f" {film.broken} frames of the clip were broken; the frame before each is shown instead."
    shown = {"clip_frame": gr.update(visible=False), "clip_film": gr.update(value=kept, visible=True)}
    return {**shown, "clip_file": gr.update(value=kept, interactive=True), "status": told}


def show_expected(*values: Any) -> Updates:
    """What a film with these values is, and how long it takes."""
    given = dict(zip(GIVEN, values, strict=True))
    if given["clip"] is None:
        return {"clip_expected": ""}
    try:
        film = _film(given, Path(get_upload_folder()))
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


def _film(given: Mapping[str, Any], folder: Path) -> Film:
    """The film that is asked for, within the page's limits. `ValueError` says what is wrong."""
    if given["clip"] is None or given["clip_style"] is None:
        missing = "clip" if given["clip"] is None else "style picture"
        raise ValueError(f"there is no {missing} yet; drop one, or choose one of the examples")
    px, most_px = int(given["clip_px"] or 0), page_limits().clip_px
    if not SIZES_PX[0] <= px <= most_px:
        raise ValueError(f"size={px} px is outside {SIZES_PX[0]} to {most_px} px for a clip; choose one inside")
    if given["clip_fps"] not in RATES:
        raise ValueError(f"fps={given['clip_fps']!r:.20} is none of {', '.join(RATES)}; choose one")
    begin_s, end_s = float(given["clip_from"] or 0), float(given["clip_to"] or 0)
    clip = clip_within_limits(given["clip"], begin_s, end_s or None, given["clip_fps"])
    quality = read_value("quality", given["clip_quality"])
    settings = Settings(size=px, quality=quality, beta=beta_of(float(given["clip_strength"] or 0), 1))
    return Film.of(clip, [given["clip_style"]], settings, folder / "frames")
