"""The tab *Clip*: a video becomes a film in the style of a picture."""

from __future__ import annotations

from functools import partial

import gradio as gr

from nst.ui.clip import handlers
from nst.ui.server import examples
from nst.ui.server.events import AT_ONCE, IN_BROWSER, SMALL_WORK, Components, Work, on_device
from nst.ui.server.limits import page_limits
from nst.ui.server.uploads import clip_input
from nst.ui.stylise import presets
from nst.ui.stylise.controls import picture_with_examples
from nst.ui.stylise.wiring import KEEP_FOCUS

PAINT = "Paint the clip"
FIRST = "Choose a clip, or take the example. Each frame is shown here as it is painted, and then the film."
WORDS = (
    "Each frame starts from the last painted one, moved along with what is filmed, so that the paint does not flicker "
    "(Ruder, Dosovitskiy & Brox 2016)."
)


def build() -> None:
    """Lay out the tab and connect it."""
    tab = Components(status=gr.Markdown(FIRST, container=False, elem_id="clip-status", render=False))
    # In the order in which a phone shows them; wide, a grid puts the panels to the left, as on the first tab.
    with gr.Tab("Clip", id="clip-tab", elem_id="clip-tab"), gr.Row(elem_id="clip-page"):
        with gr.Column(elem_id="clip-inputs"):
            tab.update(_pictures(tab["status"]) | _action())
        with gr.Column(elem_id="clip-outputs"):
            tab.update(_outputs())
            tab["status"].render()
            tab["clip_file"].render()
        with gr.Column(elem_id="clip-panels"):
            tab.update(_panels())
            # It changes when a run is to be taken out of the queue.
            tab["cancelled"] = gr.Number(0, visible="hidden", container=False)
    tab["work"] = gr.State(Work())
    _connect(tab)


def _pictures(status: gr.Markdown) -> Components:
    """The clip and the style."""
    _, first_style, _, _ = examples.first_sight()
    with gr.Row(elem_id="clip-pictures"):
        with gr.Column(min_width=140, elem_classes="picture-input"):
            clip = clip_input("Clip", height=192, elem_id="clip-input")
            sample = gr.Button("Take the example clip", size="sm", elem_id="clip-example")
        style = picture_with_examples(
            "Style", examples.styles(), status, begin=PAINT, value=first_style, elem_id="clip-style"
        )
    path = examples.clip()
    sample.click(lambda: path, None, clip, **AT_ONCE)
    return Components(clip=clip, clip_style=style)


def _action() -> Components:
    """Strength, the buttons, and what a film will take."""
    strength = gr.Slider(
        0, 100, presets.DEFAULT_STRENGTH, step=1, label="Strength", elem_id="clip-strength",
        info="How much of a painting the clip becomes.",
    )  # fmt: skip
    with gr.Column(elem_id="clip-action"):
        return Components(
            clip_strength=strength,
            clip_paint=gr.Button(PAINT, variant="primary", size="lg", elem_id="clip-paint"),
            clip_stop=gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="clip-stop"),
            clip_expected=gr.Markdown("", container=False, elem_id="clip-expected"),
        )


def _panels() -> Components:
    """Size, quality, frames per second, and the part of the clip."""
    limits = page_limits()
    sizes = [(str(px), px) for px in handlers.SIZES_PX if px <= limits.clip_px]
    usual_px = min(256, sizes[-1][1])
    with gr.Row():
        chosen = Components(
            clip_px=gr.Dropdown(sizes, value=usual_px, label="Side, px", min_width=90, elem_id="clip-size"),
            clip_quality=gr.Dropdown(list(handlers.QUALITIES), value="draft", label="Quality", min_width=90),
            clip_fps=gr.Dropdown(list(handlers.RATES), value="12", label="Frames/s", min_width=90),
        )
    with gr.Row():
        chosen["clip_from"] = gr.Number(0, minimum=0, label="From, s", min_width=90, elem_id="clip-from")
        chosen["clip_to"] = gr.Number(0, minimum=0, label="To, s (0: the end)", min_width=90, elem_id="clip-to")
    most = f"At most {limits.clip_s} s and {limits.clip_frames} frames of a clip are painted here."
    gr.Markdown(f"{most} {WORDS}", elem_classes="caption")
    return chosen


def _outputs() -> Components:
    """The frame that is painted last, the film in its place, and not yet rendered the film's button."""
    frame = gr.Image(
        label="The frame that was painted last", interactive=False, format="jpeg", buttons=[],
        elem_id="clip-frame",
    )  # fmt: skip
    film = gr.Video(
        label="The film",
        interactive=False,
        buttons=[],
        loop=True,
        autoplay=True,
        visible=False,
        elem_id="clip-film",
    )
    file = gr.DownloadButton("Download the film", size="sm", interactive=False, elem_id="clip-download", render=False)
    return Components(clip_frame=frame, clip_film=film, clip_file=file)


def _connect(tab: Components) -> None:
    """The run, Stop, and the estimate before them."""
    buttons, results = tuple(handlers.READY), ("clip_frame", "clip_film", "clip_file", "status")
    waiting = tab.call(tab["clip_paint"].click, handlers.begin, ("work",), (*buttons, *results), **AT_ONCE)
    inputs = ("work", *handlers.GIVEN)
    run = tab.call(waiting.then, handlers.paint, inputs, results, api_visibility="private", **on_device())
    waiting.then(None, js=KEEP_FOCUS, **IN_BROWSER)
    for outcome in (run.success, run.failure):
        over = tab.call(outcome, lambda: handlers.READY, (), buttons, **AT_ONCE)
        over.then(None, js=KEEP_FOCUS, **IN_BROWSER)
    # A run that paints ends itself with its film; gradio cancels one that waits.
    tab.call(tab["clip_stop"].click, handlers.stop, ("work",), (*buttons, "status", "cancelled"), **AT_ONCE)
    tab["cancelled"].change(None, cancels=[run], **IN_BROWSER)
    beginnings = partial(gr.on, [tab[name].change for name in handlers.GIVEN if name != "clip_strength"])
    asked = {"trigger_mode": "always_last", **SMALL_WORK}
    tab.call(beginnings, handlers.show_expected, handlers.GIVEN, ("clip_expected",), **asked)
