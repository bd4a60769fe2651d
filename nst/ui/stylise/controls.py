"""The panels beside the picture: one component for each setting, with the words of `nst.settings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.events import Dependency

from nst.images import pictures
from nst.objective.recurrence import darkened
from nst.settings import CHOICES, LIMITS, STYLE_LAYER_WORDS, Settings, layer_names
from nst.ui.server import examples
from nst.ui.server.events import AT_ONCE, IN_BROWSER, SMALL_WORK, Components, Updates
from nst.ui.server.limits import page_limits
from nst.ui.server.uploads import brush_input, override, picture_input, show_canvas, stroke_input
from nst.ui.stylise.form import BRUSHES, DEFAULTS, SOFT_EDGE, STYLE_BRUSHES
from nst.ui.stylise.status_text import duration

HELP = {name: item.metadata["help"] for name, item in Settings.__dataclass_fields__.items()}
SMALLEST_PX, SIZE_STEP_PX = 128, 32
# Method -> its name on the page. Programs, the command line and recipes may also name the others of `CHOICES`.
PAGE_COLOURS = {"style": "style", "luminance": "luminance", "symmetric": "linear", "histogram": "histogram"}
# Button -> what it sets: the style alone, and the content alone, both from noise.
EXTREMES = {
    "texture": {"alpha": 0, "beta": DEFAULTS.beta, "init": "noise"},
    "rebuild": {"alpha": DEFAULTS.alpha, "beta": 0, "init": "noise"},
}


def choice_input(
    name: str, kind: type[gr.Radio] | type[gr.Dropdown], label: str | None = None
) -> gr.Radio | gr.Dropdown:
    """A radio or dropdown for one of the settings with fixed choices, with their words."""
    choices = [(f"{value}: {words}", value) for value, words in CHOICES[name].items()]
    return kind(choices, value=getattr(DEFAULTS, name), label=label or name.capitalize(), info=HELP[name])


def number_slider(name: str, low: float, high: float, step: float, label: str) -> gr.Slider:
    """A slider for one of the numeric settings."""
    return gr.Slider(low, high, getattr(DEFAULTS, name), step=step, label=label, info=HELP[name])


def picture_with_examples(
    label: str, samples: Mapping[str, str], status: gr.Markdown, begin: str = "Stylise", **options: Any
) -> gr.Image:
    """A picture to drop, with a row of examples below that scrolls sideways; the status says what was chosen.

    `begin` is the button that paints.
    """
    with gr.Column(min_width=140, elem_classes="picture-input"):
        picture = picture_input(label, height=150, **options)
        with gr.Row(elem_classes="samples"):
            for name, path in samples.items():
                button = gr.Button(name, icon=examples.thumbnail(path), size="sm", min_width=44, scale=0)
                chosen = f"A new {label.lower()}: {name.replace('_', ' ')}. Press {begin} to paint."
                updates = {picture: path, status: chosen}
                button.click(lambda updates=updates: updates, None, list(updates), **AT_ONCE)
    return picture


def size_and_strokes() -> Components:
    """Size, quality, style scale, time limit, and whether the result has the photo's own size."""
    with gr.Accordion("Size and strokes", open=False, elem_id="size"):
        most_px = page_limits().size
        size = number_slider("size", SMALLEST_PX, most_px, SIZE_STEP_PX, "Size")
        size.info = (
            f"Longer side of the result, {SMALLEST_PX} to {most_px} px here; more takes longer. Larger: see Print."
        )
        # half-typed numbers are no errors; `Settings` checks them
        override(size, preprocess=lambda _, px: None if px is None else float(px))
        quality = gr.Radio(list(CHOICES["quality"]), value=DEFAULTS.quality, label="Quality", info=HELP["quality"])
        scale = number_slider("style_scale", LIMITS.smallest_style_scale, LIMITS.style_scale, 0.05, "Stroke size")
        most_s = page_limits().run_s
        limit = f"Stop after this many seconds, with the picture so far; 0: this page's limit, {duration(most_s)}."
        budget = gr.Slider(0, most_s, 0, step=5, label="Time limit", info=limit)
        original = gr.Checkbox(DEFAULTS.original_size, label="Photo's own size", info=HELP["original_size"])
    return Components(size=size, quality=quality, style_scale=scale, max_seconds=budget, original_size=original)


def weights() -> tuple[gr.Accordion, Components, dict[str, gr.Button]]:
    """alpha, beta, a lambda for each style layer, the other layers, and buttons for style and content alone."""
    with gr.Accordion("Weights", open=True, elem_id="weights") as panel:
        alpha = number_slider("alpha", 0, 10, 0.1, "alpha: content")
        beta = number_slider("beta", 0, 100, 0.1, "beta: style")
        with gr.Row():
            words = {"texture": "Only style: alpha 0", "rebuild": "Only content: beta 0"}
            extremes = {name: gr.Button(words[name], size="sm", elem_id=name) for name in EXTREMES}
        lambdas = [
            gr.Slider(
                0, 1, DEFAULTS.style_layers[layer], step=0.01, label=f"lambda {layer}", info=f"{words}.".capitalize()
            )
            for layer, words in STYLE_LAYER_WORDS.items()
        ]
        equal = gr.Button("Reset lambdas to equal", size="sm")
        gr.Markdown("What one layer alone paints: [one lambda at a time](#one-lambda).")
        with gr.Accordion("More layers", open=False, elem_id="more-layers"):
            others = [layer for layer in layer_names(DEFAULTS.backbone) if layer not in STYLE_LAYER_WORDS]
            table = gr.Dataframe(
                [[layer, 0.0, 0.0] for layer in others],
                headers=["layer", "lambda (style)", "weight (content)"],
                datatype=["str", "number", "number"],
                type="array",
                static_columns=[0],
                max_height=320,
                label="All other layers of the network, the deeper the further down: 0 leaves a layer out",
            )
    named = {f"lambda_{layer}": slider for layer, slider in zip(STYLE_LAYER_WORDS, lambdas, strict=True)}
    return panel, Components(alpha=alpha, beta=beta, **named, equal_lambdas=equal, other_layers=table), extremes


def more_styles(status: gr.Markdown) -> Components:
    """Up to three further style pictures, and how much each of all counts."""
    with gr.Accordion("More styles", open=False, elem_id="more-styles"):
        gr.Markdown("Up to four style pictures are blended, or painted each in its own place: see *Where to paint*.")
        styles = Components(share_1=_share(1))
        for index in range(2, LIMITS.styles + 1):
            styles[f"style_{index}"] = picture_with_examples(
                f"Style {index}", examples.styles(), status, elem_id=f"style-{index}"
            )
            styles[f"share_{index}"] = _share(index)
    return styles


def style_parts(style: gr.Image) -> Components:
    """What of the style picture counts as style, and a brush on a picture of what recurs in it.

    A hidden picture holds the painted layer, so that programs can set it.
    """
    with gr.Accordion("What counts as style", open=False, elem_id="style-parts"):
        parts = choice_input("style_parts", gr.Radio, "In the style picture")
        show = gr.Button("Show what recurs", size="sm", elem_id="show-recurring")
        gr.Markdown(
            "Dark is what stands there once. Brush black over what should not count as a motif, and white over what "
            "should. The brush overrides both choices above."
        )
        canvas, editor = layer_brush("Style brush", STYLE_BRUSHES, "recurring")
        mask = picture_input("Brushed style", visible="hidden", elem_id="brushed-style")
    connect_brush(style, editor, mask)
    return Components(style_parts=parts, show_recurring=show, recurring=canvas, style_brush=editor, style_mask=mask)


def layer_brush(label: str, colours: Sequence[str], elem_id: str) -> tuple[gr.Image, gr.ImageEditor]:
    """A hidden picture, and an editor with brushes of these colours, which shows over it once `put_on_canvas` says so.

    An empty editor draws itself in every frame, which takes a whole core where there is no GPU.
    """
    canvas = gr.Image(visible="hidden", interactive=False)
    return canvas, brush_input(
        label=label,
        sources=[],
        transforms=[],
        layers=gr.LayerOptions(allow_additional_layers=False),
        brush=gr.Brush(default_size=40, colors=list(colours), color_mode="fixed"),
        buttons=[],
        canvas_size=(512, 512),
        visible=False,
        elem_id=elem_id,
    )


# What changes or reads an editor is JavaScript alone. When a handler has had a component as input or output, gradio
# (6.31) asks for its data at every later message of any handler, and an editor answers by uploading three pictures.
PUT_ON_CANVAS = """canvas => ({ value: { background: canvas, layers: [], composite: null }, visible: true,
    __type__: "update" })"""
HIDE_EDITOR = "() => [{ value: null, visible: false, __type__: 'update' }, null]"
STROKE = "value => ({ id: value?.id ?? null, path: value?.layers?.[0]?.path ?? null })"


def put_on_canvas(shown: Dependency, canvas: gr.Image, editor: gr.ImageEditor) -> None:
    """Show the editor with the picture that a handler put into `canvas`."""
    shown.success(None, canvas, editor, js=PUT_ON_CANVAS, **IN_BROWSER)


def connect_brush(picture: gr.Image, editor: gr.ImageEditor, layer: gr.Image) -> None:
    """Keep what is painted in an editor as the picture `layer`, until another `picture` is chosen to paint on."""
    stroke = stroke_input()
    picture.change(None, None, [editor, layer], js=HIDE_EDITOR, **IN_BROWSER)
    editor.change(None, editor, stroke, js=STROKE, **IN_BROWSER)
    parts = Components(stroke=stroke, layer=layer)
    parts.call(stroke.change, lambda painted: {"layer": painted}, ("stroke",), ("layer",), **SMALL_WORK)


def show_recurring(style: str | None, pooling: str) -> Updates:
    """The style picture with what stands there once darkened, as a run with this pooling measures it, to brush on."""
    if style is None:
        raise gr.Error("There is no style picture yet; drop one, or click one of the examples.", print_exception=False)
    try:
        # On the CPU, in half a second, so that no run has to wait for its GPU.
        seen = darkened(pictures.load(style, "style picture"), Settings(pooling=pooling, device="cpu"))
    except ValueError as error:
        raise gr.Error(f"{error}.", print_exception=False) from None
    return {"recurring": seen, "style_mask": None}


def _share(index: int) -> gr.Slider:
    return gr.Slider(0, 1, 1.0, step=0.05, label=f"How much style {index} counts")


def colours() -> Components:
    """Whose colours the result has; the amount also changes the finished picture."""
    with gr.Accordion("Colour", open=False, elem_id="colour"):
        colour = gr.Dropdown(_colour_choices(), value=DEFAULTS.colour, label="Colours", info=HELP["colour"])
        amount = number_slider("colour_amount", 0, 1, 0.05, "Amount")
        when = choice_input("colour_when", gr.Radio, "When")
        gr.Markdown("With *after*, both controls above change the finished picture at once, without a new run.")
    every = {"type": "string", "enum": list(CHOICES["colour"])}
    override(colour, preprocess=lambda _, method: method, api_info=lambda _: every)  # `Settings` refuses all others
    return Components(colour=colour, colour_when=when, colour_amount=amount)


def _colour_choices(*more: str) -> list[tuple[str, str]]:
    words = CHOICES["colour"]
    return [(f"{PAGE_COLOURS.get(method, method)}: {words[method]}", method) for method in (*PAGE_COLOURS, *more)]


def colour_update(method: str) -> Any:
    """The value for the colours of a recipe; a method that the page does not offer joins its choices."""
    return method if method in PAGE_COLOURS else gr.Dropdown(_colour_choices(method), value=method)


def places(photo: gr.Image) -> Components:
    """The brush for where the style goes. A hidden picture holds the painted layer, so that programs can set it."""
    with gr.Accordion("Where to paint", open=False, elem_id="places"):
        gr.Markdown(
            "Brush over the photo where the style goes; the rest stays as it is. With several styles, use the first "
            "colour alone to blend them there, or one colour for each style: " + ", ".join(BRUSHES) + "."
        )
        show = gr.Button("Show the photo here", size="sm", elem_id="brush-photo")
        canvas, editor = layer_brush("Brush", list(BRUSHES.values()), "brush")
        mask = picture_input("Painted layer", visible="hidden", elem_id="painted-layer")
        edge = gr.Slider(0, 0.2, SOFT_EDGE, step=0.005, label="Soft edge", info=HELP["mask_edge"])
    parts = Components(photo=photo, canvas=canvas, mask=mask)
    put_on_canvas(parts.call(show.click, show_canvas, ("photo",), ("canvas", "mask"), **SMALL_WORK), canvas, editor)
    connect_brush(photo, editor, mask)
    return Components(mask=mask, mask_edge=edge)


def advanced() -> Components:
    """Content layer, optimiser, start, statistic, pooling, smoothing and seed."""
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        layers = [layer for layer in layer_names(DEFAULTS.backbone) if layer.startswith("relu")]
        (first_layer,) = DEFAULTS.content_layers
        return Components(
            content_layer=gr.Dropdown(layers, value=first_layer, label="Content layer", info=HELP["content_layers"]),
            optimiser=choice_input("optimiser", gr.Dropdown),
            init=choice_input("init", gr.Dropdown, "Start from"),
            start=picture_input("Or start from this picture", height=140, elem_id="start"),
            statistic=choice_input("statistic", gr.Dropdown, "Style statistic"),
            pooling=choice_input("pooling", gr.Dropdown),
            total_variation=number_slider("total_variation", 0, 100, 1, "Total variation"),
            averaging=number_slider("averaging", 0, 0.95, 0.05, "Averaging"),
            seed=gr.Number(DEFAULTS.seed, precision=0, minimum=0, label="Seed", info=HELP["seed"]),
        )


def recipe() -> Components:
    """Where one of our PNGs sets the controls, and where the controls become a link."""
    with gr.Accordion("Restore and share settings", open=False, elem_id="recipe"):
        gr.Markdown("Each PNG from this page holds the settings it was painted with. Drop one to set all controls.")
        dropped = gr.File(label="One of our PNGs", file_types=[".png"], type="filepath", height=110)
        make = gr.Button("Make a link with these settings", size="sm", elem_id="make-link")
        link = gr.Textbox(
            label="Link", buttons=["copy"], interactive=False, elem_id="link", info="Opens this page with the settings."
        )
    return Components(dropped=dropped, make_link=make, link=link)
