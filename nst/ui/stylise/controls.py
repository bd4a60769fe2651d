"""The panels beside the picture: one widget for each setting, with the words of `nst.settings`."""

from __future__ import annotations

import gradio as gr
from gradio.components import Component

from nst.settings import CHOICES, LIMITS, STYLE_LAYER_WORDS, Settings, layer_names
from nst.ui.server import limits, uploads
from nst.ui.server.events import AT_ONCE
from nst.ui.stylise.form import BRUSHES

DEFAULTS = Settings()
HELP = {name: item.metadata["help"] for name, item in Settings.__dataclass_fields__.items()}
SMALLEST_PX, SIZE_STEP_PX = 128, 32


def picture_input(label: str, **options: object) -> gr.Image:
    """A picture to drop, which reaches the handler as the path of the file and is opened by `nst.images` alone."""
    picture = gr.Image(
        label=label, type="filepath", sources=["upload", "webcam", "clipboard"], buttons=[], alt_text=label, **options
    )
    picture.preprocess = uploads.path_of_upload
    return picture


def choice_widget(
    name: str, widget: type[gr.Radio] | type[gr.Dropdown], label: str | None = None
) -> gr.Radio | gr.Dropdown:
    """A widget for one of the settings that have fixed choices, with their words."""
    choices = [(f"{value}: {words}", value) for value, words in CHOICES[name].items()]
    return widget(choices, value=getattr(DEFAULTS, name), label=label or name.capitalize(), info=HELP[name])


def number_slider(name: str, low: float, high: float, step: float, label: str) -> gr.Slider:
    """A slider for one of the settings that are numbers."""
    return gr.Slider(low, high, getattr(DEFAULTS, name), step=step, label=label, info=HELP[name])


def size_and_strokes() -> dict[str, Component]:
    """Size, quality, style scale, time budget, and whether the result takes the photo's own size."""
    with gr.Accordion("Size and strokes", open=False, elem_id="size"):
        size = number_slider("size", SMALLEST_PX, limits.PAGE_LIMITS.size, SIZE_STEP_PX, "Size")
        quality = gr.Radio(list(CHOICES["quality"]), value=DEFAULTS.quality, label="Quality", info=HELP["quality"])
        scale = number_slider("style_scale", LIMITS.smallest_style_scale, LIMITS.style_scale, 0.05, "Stroke size")
        budget = gr.Slider(
            0,
            limits.PAGE_LIMITS.run_s,
            0,
            step=5,
            label="Time budget",
            info="Stop after so many seconds; 0 for no limit.",
        )
        original = gr.Checkbox(DEFAULTS.original_size, label="Photo's own size", info=HELP["original_size"])
    return {"size": size, "quality": quality, "style_scale": scale, "max_seconds": budget, "original_size": original}


def weights() -> tuple[gr.Accordion, dict[str, Component], list[gr.Button]]:
    """alpha and beta, a lambda for each style layer, the other layers, and the two extremes that students ask for."""
    with gr.Accordion("Weights", open=True, elem_id="weights") as panel:
        alpha = number_slider("alpha", 0, 10, 0.1, "alpha: content")
        beta = number_slider("beta", 0, 100, 0.1, "beta: style")
        with gr.Row():
            texture = gr.Button("Only style: alpha 0", size="sm", elem_id="texture")
            rebuild = gr.Button("Only content: beta 0", size="sm", elem_id="rebuild")
        lambdas = [
            gr.Slider(
                0, 1, DEFAULTS.style_layers[layer], step=0.01, label=f"lambda {layer}", info=f"{words}.".capitalize()
            )
            for layer, words in STYLE_LAYER_WORDS.items()
        ]
        equal = gr.Button("Reset lambdas to equal", size="sm")
        equal.click(lambda: list(DEFAULTS.style_layers.values()), None, lambdas, **AT_ONCE)
        with gr.Accordion("More layers", open=False, elem_id="more-layers"):
            others = [layer for layer in layer_names(DEFAULTS.backbone) if layer not in STYLE_LAYER_WORDS]
            table = gr.Dataframe(
                [[layer, 0.0, 0.0] for layer in others],
                headers=["layer", "lambda (style)", "weight (content)"],
                datatype=["str", "number", "number"],
                type="array",
                static_columns=[0],
                max_height=320,
                label="Any other layer of the network, deeper ones further down: 0 leaves it out",
            )
    named = {f"lambda_{layer}": slider for layer, slider in zip(STYLE_LAYER_WORDS, lambdas, strict=True)}
    return panel, {"alpha": alpha, "beta": beta, **named, "other_layers": table}, [texture, rebuild]


def more_styles() -> dict[str, Component]:
    """Up to three further style pictures, and how much each of all counts."""
    with gr.Accordion("More styles", open=False, elem_id="more-styles"):
        gr.Markdown("Up to four style pictures are blended, or painted each in its own place: see *Where to paint*.")
        asked: dict[str, Component] = {"share_1": _share(1)}
        for index in range(2, LIMITS.styles + 1):
            asked[f"style_{index}"] = picture_input(f"Style {index}", height=140, elem_id=f"style-{index}")
            asked[f"share_{index}"] = _share(index)
    return asked


def _share(index: int) -> gr.Slider:
    return gr.Slider(0, 1, 1.0, step=0.05, label=f"How much style {index} counts")


def colours() -> dict[str, Component]:
    """Whose colours the result has; the amount also changes the finished picture."""
    with gr.Accordion("Colour", open=False, elem_id="colour"):
        colour = choice_widget("colour", gr.Dropdown, "Colours")
        amount = number_slider("colour_amount", 0, 1, 0.05, "Amount")
        when = choice_widget("colour_when", gr.Radio, "When")
        gr.Markdown("With *after*, both controls above change the finished picture at once, without a new run.")
    return {"colour": colour, "colour_when": when, "colour_amount": amount}


def places(photo: gr.Image) -> dict[str, Component]:
    """Paint where the style goes. The painted layer is kept in a picture of its own, which programs can give, too."""
    with gr.Accordion("Where to paint", open=False, elem_id="places"):
        gr.Markdown(
            "Brush over the photo where the style goes; the rest stays as it is. With several styles the first colour "
            "alone blends them there, or each colour stands for one style: " + ", ".join(BRUSHES) + "."
        )
        editor = gr.ImageEditor(
            type="filepath",
            label="Brush",
            sources=[],
            transforms=[],
            layers=gr.LayerOptions(allow_additional_layers=False),
            brush=gr.Brush(default_size=40, colors=list(BRUSHES.values()), color_mode="fixed"),
            buttons=[],
            canvas_size=(512, 512),
            elem_id="brush",
        )
        show = gr.Button("Show the photo here", size="sm", elem_id="brush-photo")
        mask = picture_input("Painted layer", visible="hidden", elem_id="painted-layer")
        edge = number_slider("mask_edge", 0, 0.2, 0.005, "Soft edge")
    editor.preprocess = uploads.layer_of_editor(editor)
    show.click(uploads.show_canvas, photo, [editor, mask], **AT_ONCE)
    photo.change(lambda: (None, None), None, [editor, mask], **AT_ONCE)  # another photo: what was painted is void
    editor.change(lambda layer: layer, editor, mask, **AT_ONCE)
    return {"mask": mask, "mask_edge": edge}


def advanced() -> dict[str, Component]:
    """Content layer, optimiser, start, statistic, pooling, smoothing and seed."""
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        layers = [layer for layer in layer_names(DEFAULTS.backbone) if layer.startswith("relu")]
        (first_layer,) = DEFAULTS.content_layers
        return {
            "content_layer": gr.Dropdown(layers, value=first_layer, label="Content layer", info=HELP["content_layers"]),
            "optimiser": choice_widget("optimiser", gr.Dropdown),
            "init": choice_widget("init", gr.Dropdown, "Start from"),
            "start": picture_input("Or start from this picture", height=140, elem_id="start"),
            "statistic": choice_widget("statistic", gr.Dropdown, "Style statistic"),
            "pooling": choice_widget("pooling", gr.Dropdown),
            "total_variation": number_slider("total_variation", 0, 100, 1, "Total variation"),
            "averaging": number_slider("averaging", 0, 0.95, 0.05, "Averaging"),
            "seed": gr.Number(DEFAULTS.seed, precision=0, minimum=0, label="Seed", info=HELP["seed"]),
        }


def recipe() -> tuple[gr.File, gr.Button, gr.Textbox]:
    """Where one of our PNGs gives its settings back, and where they become a link."""
    with gr.Accordion("Restore and share settings", open=False, elem_id="recipe"):
        gr.Markdown("Each PNG from this page holds the settings it was painted with. Drop one to set all controls.")
        dropped = gr.File(label="One of our PNGs", file_types=[".png"], type="filepath", height=110)
        make = gr.Button("Make a link with these settings", size="sm", elem_id="make-link")
        link = gr.Textbox(
            label="Link", buttons=["copy"], interactive=False, elem_id="link", info="Opens this page with the settings."
        )
    return dropped, make, link
