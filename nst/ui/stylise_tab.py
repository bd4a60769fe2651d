"""The tab on which a photo is repainted: its layout, and which handler answers which event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from nst import timelapse
from nst.encode import FORMATS
from nst.ui import controls, examples, finish, handlers
from nst.ui.controls import AT_ONCE, DEFAULTS
from nst.ui.curve import COLUMNS, SERIES_COLOURS, curve_of_csv

JOBS_AT_ONCE = 1  # a run uses the whole device


def build() -> gr.Accordion:
    """Lay out the tab inside the current Blocks and connect it. Returns the panel that a phone folds."""
    with gr.Row(elem_id="stylise"):
        with gr.Column(scale=4, min_width=320, elem_id="inputs"):
            photo, style = _pictures()
            with gr.Column(elem_id="action"):
                strength = gr.Slider(
                    0, 100, controls.STRENGTH, step=1, label="Strength", elem_id="strength",
                    info="How much of a painting the photo becomes.",
                )  # fmt: skip
                stylise = gr.Button("Stylise", variant="primary", size="lg", elem_id="stylise-button")
                stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop-button")
            with gr.Column(elem_id="panels"):
                asked = {"photo": photo, "style": style, **controls.size_and_strokes()}
                weights_panel, weights, extremes = controls.weights()
                asked |= weights | controls.more_styles() | controls.colours() | controls.places(photo)
                asked |= controls.advanced()
                recipe = controls.recipe()
        with gr.Column(scale=7, min_width=320, elem_id="outputs"):
            shown = _outputs()
    kept = gr.State(None, time_to_live=3600)

    alpha, beta, init = asked["alpha"], asked["beta"], asked["init"]
    _couple(strength, alpha, beta)
    page = Page(asked, shown, stylise, stop, kept)
    extreme = [button.click(*_extreme(button, alpha, beta, init), **AT_ONCE) for button in extremes]
    runs = [page.connect(stylise.click, handlers.stylise, api_name="stylise")]
    runs += [page.connect(event.then, handlers.stylise) for event in extreme]
    runs += [page.connect(shown[name].click, handler, kept) for name, handler in MORE.items()]
    done = [kept, shown["format"]]
    stop.click(finish.show_stopped, done, [*page.afterwards, shown["status"]], cancels=runs, **AT_ONCE)
    _finish(asked, shown, kept)
    restored = [shown["status"], strength, *(asked[name] for name in finish.RESTORED)]
    recipe.upload(finish.restore, recipe, restored, **AT_ONCE)
    gr.on(None, finish.from_address, None, restored, **AT_ONCE)  # when the page opens
    return weights_panel


MORE = {"go_on": handlers.go_on, "bigger": handlers.paint_bigger}


@dataclass(frozen=True)
class Page:
    """The components that take part in a run."""

    asked: Mapping[str, Component]  # by the endpoint's parameters
    shown: Mapping[str, Component]
    stylise: gr.Button
    stop: gr.Button
    kept: gr.State

    @property
    def afterwards(self) -> list[Component]:
        """What changes when a run begins and ends, as `finish.show_done` gives it."""
        names = ("download", "go_on", "bigger", "compare")
        return [self.stylise, self.stop, *(self.shown[name] for name in names)]

    def connect(
        self, trigger: Callable, handler: Callable, *first: Component, api_name: str | None = None
    ) -> Dependency:
        """Let a trigger start a run; one with an `api_name` is the endpoint for programs. Returns the run."""
        shown = self.shown
        waiting = trigger(finish.show_waiting, None, [*self.afterwards, shown["status"]], **AT_ONCE)
        names = {"api_name": api_name} if api_name else {"api_visibility": "private"}
        run = waiting.then(
            handler,
            [*first, *(self.asked[name] for name in handlers.PARAMETERS)],
            [shown["picture"], shown["chart"], shown["status"], self.kept],
            show_progress="hidden",
            concurrency_limit=JOBS_AT_ONCE,
            concurrency_id="device",
            **names,
        )
        for outcome in (run.success, run.failure):
            outcome(finish.show_done, [self.kept, shown["format"]], self.afterwards, **AT_ONCE)
        return run


def _finish(asked: Mapping[str, Component], shown: Mapping[str, Component], kept: gr.State) -> None:
    """What can be done with a picture without a new run: format, colours, time-lapse."""
    format, download = shown["format"], shown["download"]
    format.input(finish.file_of, [kept, format], download, **AT_ONCE)
    film = [kept, shown["film_format"]]
    for event in (shown["film_tab"].select, shown["film_format"].input):
        event(finish.film_of, film, [shown["film"], shown["film_download"]], **AT_ONCE)
    colours = [asked[name] for name in ("colour", "colour_amount", "colour_when")]
    for component in colours:
        component.input(
            finish.recolour,
            [kept, *colours, format],
            [shown["picture"], kept, download, shown["compare"]],
            trigger_mode="always_last",
            **AT_ONCE,
        )


def _couple(strength: gr.Slider, alpha: gr.Slider, beta: gr.Slider) -> None:
    """Strength moves beta; alpha and beta move strength. `input` answers the visitor only: nothing runs in circles."""
    browser = {"api_visibility": "private", "queue": False}
    strength.input(None, [strength, alpha], beta, js=controls.BETA_OF_STRENGTH, **browser)
    for slider in (alpha, beta):
        slider.input(None, [alpha, beta], strength, js=controls.STRENGTH_OF_BETA, **browser)


def _extreme(button: gr.Button, alpha: gr.Slider, beta: gr.Slider, init: gr.Dropdown) -> tuple:
    """Pure texture, or the content rebuilt from its activations, both from noise."""
    values = (0, DEFAULTS.beta, "noise") if button.elem_id == "texture" else (DEFAULTS.alpha, 0, "noise")
    return lambda: values, None, [alpha, beta, init]


def _pictures() -> list[gr.Image]:
    """Photo and style, each with a row of examples below."""
    first_photo, first_style, _, _ = examples.first_sight()
    inputs = []
    for label, value, samples in (("Photo", first_photo, examples.photos()), ("Style", first_style, examples.styles())):
        with gr.Column(elem_classes="picture-input"):
            picture = controls.picture_input(label, value=value, height=180, elem_id=f"{label.lower()}-input")
            gr.Examples(samples, picture, cache_examples=False, examples_per_page=20, label=f"{label} examples")
        inputs.append(picture)
    return inputs


def _outputs() -> dict[str, Component]:
    """The picture and what else is shown of a run, by name."""
    photo, _, result, costs = examples.first_sight()
    shown: dict[str, Component] = {}
    with gr.Tabs(elem_id="views"):
        with gr.Tab("Picture"):
            shown["picture"] = gr.Image(
                result,
                format="jpeg",  # a frame encodes in 2 ms; webp and png take 40
                show_label=False,
                interactive=False,
                buttons=["fullscreen"],
                elem_id="picture",
                alt_text="The photo being repainted",
            )
        with gr.Tab("Compare", elem_id="compare-tab"):
            shown["compare"] = gr.ImageSlider(
                (photo, result), show_label=False, interactive=False, format="jpeg", buttons=[], elem_id="compare"
            )
        with gr.Tab("Time-lapse", elem_id="film-tab") as shown["film_tab"]:
            shown["film"] = gr.Image(
                show_label=False,
                interactive=False,
                type="filepath",
                buttons=[],
                elem_id="film",
                alt_text="The run again",
            )
            with gr.Row(elem_id="film-file"):
                formats = [(kind.words.split(":")[0], key) for key, kind in timelapse.FORMATS.items()]
                shown["film_format"] = gr.Dropdown(formats, value="webp", label="Animation", elem_id="film-format")
                shown["film_download"] = gr.DownloadButton("Download", interactive=False, elem_id="film-download")
    shown["status"] = gr.Markdown(
        "An example. Press Stylise to paint it yourself, or choose your own pictures.", elem_id="status"
    )
    shown["chart"] = gr.LinePlot(
        curve_of_csv(costs),
        x=COLUMNS[0],
        y=COLUMNS[1],
        color=COLUMNS[2],
        color_map=SERIES_COLOURS,
        color_title="cost",
        height=340,
        label="Cost",
        elem_id="curve",
        buttons=["export"],
    )
    with gr.Row(elem_id="take-away"):
        shown["go_on"] = gr.Button("Continue", interactive=False, elem_id="go-on")
        shown["bigger"] = gr.Button("Bigger", interactive=False, elem_id="bigger")
        formats = [(kind.words.split(":")[0], key) for key, kind in FORMATS.items()]
        shown["format"] = gr.Dropdown(formats, value="png", label="File format", elem_id="format")
        shown["download"] = gr.DownloadButton("Download", interactive=False, elem_id="download")
    return shown
