"""Live: while it is on, a change of a control repaints the picture on the page at once, small and in a few steps.

- The change goes to the visit outside the queue (`ask`). A call of `paint` takes it from there: it waits in the queue
  of all runs, on the same devices, and paints every change that comes while it works. A newer change ends the present
  one within a step.
- A run of Live is `stylise_events` with small settings, and starts from the picture that the page shows, which is
  reduced to the run's size: so its first step is gentle (`nst.job.GENTLE_RMS`). With another photo or style picture it
  starts from the photo in the style's colours (J after 1, 2, 4 steps: 4, 3, 2; from the painted picture 17, 10, 4).
- It gives way to any run that is asked for while it works (`Devices.starts`), says so, and joins the queue again. The
  gate counts it apart (`NST_LIVE_PER_MINUTE`).
- What it shows is a preview, the state "live" of the visit: not in the strip, no file, and no start for Stylise, which
  paints from the controls alone. The box Live is its Stop: when it is off, the visitor's last picture is shown again.
"""

from __future__ import annotations

import dataclasses
import filecmp
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import gradio as gr
from gradio.events import Dependency
from PIL import Image

from nst import Settings, estimate
from nst.device import choose_device
from nst.images import pictures
from nst.images.pictures import Source
from nst.settings import STYLE_LAYER_WORDS
from nst.ui.server import examples
from nst.ui.server.devices import devices, may_measure
from nst.ui.server.events import AT_ONCE, IN_BROWSER, SMALL_WORK, Components, Updates, on_device
from nst.ui.server.limits import page_limits
from nst.ui.stylise import after_run
from nst.ui.stylise.form import RunRequest, run_request, settings_of
from nst.ui.stylise.handlers import PARAMETERS, run_events, sentence_for
from nst.ui.stylise.picture import Run
from nst.ui.stylise.visit import Change, Preview, Visit
from nst.ui.stylise.zerogpu import is_active

EXPECTED_S = 1.5  # a preview on a CPU is as small as it must be to be expected within this time
CPU_PX = (128, 160, 192, 224, 256)  # its longer side
MILLISECONDS = re.compile("[0-9]{1,16}")  # the time at which a change was sent
MOST_S = 1.5  # then a preview is left as it is
STEPS = {"cpu": 8, "cuda": 40}
PICTURES = ("photo", "style", "style_2", "style_3", "style_4")
SLIDERS = ("alpha", "beta", *(f"lambda_{layer}" for layer in STYLE_LAYER_WORDS), "style_scale")
COLOURS = ("colour", "colour_amount", "colour_when")
WAITS = "Live waits: another picture is being painted."
PAUSES = "Live pauses: another picture comes first. It goes on after that."
# Note a change to send, if Live is on. On a CPU a slider is followed when it is let go, on a GPU also while it moves.
NOTE = "(live, noted) => window.noteForLive(live, '{what}') ?? noted"


def ask(visit: Visit, live: bool, noted: str | None, *values: Any) -> Updates:
    """A control was changed; `noted` says when, and of which kind. A call of `paint` begins if it is to be painted."""
    given = dict(zip(PARAMETERS, values, strict=True))
    sent_ms, _, what = (noted or "").partition(" ")
    if not (live and is_offered() and MILLISECONDS.fullmatch(sent_ms)) or None in (given["photo"], given["style"]):
        return {}
    change = Change(values, int(sent_ms), devices().starts)
    return {} if _is_shown(what, visit, given) or not visit.changes(change) else _begin(visit)


def _is_shown(what: str, visit: Visit, given: Mapping[str, Any]) -> bool:
    """Whether the page shows a change without Live: colours of a finished picture, pictures of an earlier one."""
    picture = visit.usable()
    if picture is None or visit.shows_live:
        return False
    if what == "pictures":
        styles = tuple(path for name in PICTURES[1:] if (path := given[name]) is not None)
        return (picture.request.photo, picture.request.styles) == (given["photo"], styles)
    return what == "colours" and given["colour_when"] == "after"


def _begin(visit: Visit) -> Updates:
    """A new call of `paint`, if one is needed to paint the newest change."""
    call = visit.call_live()
    if call is None:
        return {}
    return {"live_call": call, **({"status": WAITS} if devices().at_work >= devices().size else {})}


def paint(visit: Visit, call: float) -> Iterator[Updates]:
    """Paint the newest change, and those that come meanwhile."""
    try:
        while (change := visit.take_change(call)) is not None:
            yield from _painted(visit, call, change)
            if visit.live_paused:
                return
        if visit.state != "live" and not visit.running:  # in the stream of the previews, so that none is later
            yield after_run.show(visit)
    finally:
        visit.live_is_over(call)


paint.gives_way = True  # for the gate


def _painted(visit: Visit, call: float, change: Change) -> Iterator[Updates]:
    """The previews of one change, until a newer one comes or a run is asked for."""
    try:
        request = request_of(visit, dict(zip(PARAMETERS, change.values, strict=True)))
        run, made_from = Run(request), (request.photo, request.styles)
        with closing(run_events(request)) as events:
            for event in events:
                if devices().is_wanted(change.starts):
                    visit.pause_live(call, dataclasses.replace(change, starts=devices().starts))
                    yield {"status": PAUSES}
                    return
                if not visit.live_goes_on(call):
                    return
                updates = run.take(event)
                if updates and run.preview and visit.show_live(call, Preview(*made_from, run.preview)):
                    yield {**updates, **dict.fromkeys(after_run.ACTING, gr.update(interactive=False)),
                           "status": _status(run, change)}  # fmt: skip
    except Exception as error:
        if visit.end_live():
            visit.said = sentence_for(error)


def _status(run: Run, change: Change) -> str:
    width, height = run.preview.size
    size = f"Live: a preview of {width} x {height} px"
    if run.result is None:
        return f"{size}, step {len(run.history)} of {run.started.steps}."
    wanted = dict(zip(PARAMETERS, change.values, strict=True))["size"]
    return f"{size}. Press Stylise to paint it at {wanted:g} px."


def over(visit: Visit, call: float) -> Updates:
    """gradio reports the end of a call. One that gave way joins the queue again; one that was refused is forgotten."""
    if isinstance(call, (int, float)) and call > visit.live_begun:  # a request may send anything
        visit.live_is_over(call)
    return _begin(visit) if visit.live_paused else {}


def request_of(visit: Visit, given: Mapping[str, Any]) -> RunRequest:
    """A small run that goes on from the picture on the page. `ValueError` says what is wrong with the controls."""
    small = {"pyramid": False, "original_size": False, "steps": STEPS[_device_type()], "max_seconds": MOST_S}
    request = run_request(given, **small)
    if _device_type() == "cpu":
        px = _px(given["photo"], request.settings) or CPU_PX[0]
        request = dataclasses.replace(request, settings=dataclasses.replace(request.settings, size=px))
    start = _shown(visit, request.photo, request.styles)
    if start is not None:
        with pictures.header(request.photo, "photo") as photo:
            size = pictures.painting_size(pictures.result_size(photo, request.settings.size))
        return dataclasses.replace(request, start=pictures.scaled(start, size))
    if request.settings.init != "content":
        return request
    return dataclasses.replace(request, settings=dataclasses.replace(request.settings, init="coloured"))


def _shown(visit: Visit, photo: Source, styles: Sequence[Source]) -> Image.Image | None:
    """The picture on the page, before it was given other colours; None where it was made from other pictures."""
    preview, present = visit.preview, visit.usable()
    if preview is not None:
        made_from = preview.photo, *preview.styles
    elif present is not None:
        made_from = present.request.photo, *present.request.styles
    else:
        made_from, example = examples.first_sight()[:2], examples.first_sight()[2]
    given = photo, *styles
    if len(given) != len(made_from) or not all(map(_is_same, given, made_from)):
        return None
    if preview is not None:
        return preview.image
    return present.uncoloured() if present is not None else pictures.load(example, "picture")


def _is_same(one: Source, other: Source) -> bool:
    """Whether two pictures are the same; gradio copies files."""
    return one == other or (isinstance(one, str) and isinstance(other, str) and filecmp.cmp(one, other, shallow=False))


def _device_type() -> str:
    return choose_device().device.type


def _px(photo: Source, settings: Settings, watch: estimate.Watch = lambda: None) -> int | None:
    """Longer side of a preview that is expected within `EXPECTED_S`; None where none is, or the time is not known."""
    sizes = [px for px in CPU_PX if px <= settings.size]
    with pictures.header(photo, "photo") as picture:
        return estimate.largest_size(picture, settings, EXPECTED_S, sizes, watch=watch)


def is_offered() -> bool:
    """Whether this page has Live. ZeroGPU has not: a run there takes seconds of a visitor's two minutes to begin."""
    return page_limits().live > 0 and not is_active()


def show_default(*values: Any) -> Updates:
    """Turn Live on, when the page opens, where a preview is expected within `EXPECTED_S`.

    Where it is not, nothing changes: a visitor may have turned it on meanwhile.
    """
    given = dict(zip(PARAMETERS, values, strict=True))
    if not is_offered() or given["photo"] is None:
        return {}
    if _device_type() != "cpu":
        return {"live": True}
    small = settings_of({**given, "max_seconds": None}, None, pyramid=False, steps=STEPS["cpu"])
    return {"live": True} if _px(given["photo"], small, may_measure) else {}


def switch(visit: Visit, live: bool) -> Updates:
    """The box was clicked. Without Live, the visitor's last picture is shown again."""
    return after_run.show(visit) if not live and visit.end_live() else {}


def build() -> Components:
    """The box, and hidden: the newest change that the browser noted, and the number of the newest call of `paint`."""
    hidden = {"visible": "hidden", "container": False}
    box = gr.Checkbox(
        False, label="Live", container=False, min_width=70, scale=0, interactive=is_offered(), elem_id="live",
        elem_classes=[] if _device_type() == "cpu" else ["while-moving"],
    )  # fmt: skip
    return Components(live=box, noted=gr.Textbox("", **hidden), live_call=gr.Number(0, **hidden))


def connect(page: gr.Blocks, tab: Components, coupled: Dependency, set_by: Sequence[Dependency]) -> None:
    """Let every control that Live follows ask for a preview.

    `coupled` is the event in which Strength moves beta, `set_by` are those that set several controls at once.
    """

    def follow(trigger: Callable, what: str = "") -> None:
        trigger(None, [tab["live"], tab["noted"]], tab["noted"], js=NOTE.replace("{what}", what), **IN_BROWSER)

    for name in PICTURES:
        follow(tab[name].change, "pictures")
    for name in SLIDERS:
        follow(tab[name].input, "moving")
    follow(coupled.then, "moving")
    for name in (*SLIDERS, "strength"):
        follow(tab[name].release)
    for name in COLOURS:
        follow(tab[name].input, "colours")
    for event in set_by:
        follow(event.then)
    inputs = ("visit", "live", "noted", *PARAMETERS)
    tab.call(tab["noted"].change, ask, inputs, ("live_call", "status"), trigger_mode="multiple", **AT_ONCE)
    run = tab.call(tab["live_call"].change, paint, ("visit", "live_call"), after_run.DISPLAY,
                   api_visibility="private", trigger_mode="multiple", **on_device())  # fmt: skip
    for outcome in (run.success, run.failure):
        tab.call(outcome, over, ("visit", "live_call"), ("live_call", "status"), **AT_ONCE)
    tab.call(tab["live"].input, switch, ("visit", "live"), after_run.DISPLAY, **SMALL_WORK)
    tab.call(page.load, show_default, PARAMETERS, ("live",), **SMALL_WORK)
