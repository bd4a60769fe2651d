"""The tab "What is style?": a lesson in six steps with the visitor's own pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import gradio as gr

from nst.explain import look
from nst.ui.explain import studies, views
from nst.ui.server.events import IN_BROWSER, SMALL_WORK, Components
from nst.ui.stylise.zerogpu import on_zerogpu

HERE = Path(__file__).parent
SCRIPTS = ("shared", "channels", "matrices", "trials")  # in this order
FORMULAS = [{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$", "display": False}]
# Handlers that look at a picture: of several quick changes only the last is answered.
LOOKS_AT_PICTURE = {**SMALL_WORK, "trigger_mode": "always_last"}
FROM_FIRST_TAB = ("photo", "style", "visit")  # components that hold the pictures
ASKED = ("source", "layer", "kind", "k", "m", *FROM_FIRST_TAB)  # the arguments of `views.Asked.of`

# A view in the browser; what a visitor clicks there arrives as the event "input".
MOUNT = "(window.nstWaiting ||= []).push([element.firstElementChild, '{kind}', asked => trigger('input', asked)])"
RECEIVE = """const give = () => window.nstLesson.receive(props.value);
watch("value", give);
give();"""
LOOKING = "() => {{ document.querySelector('#steps').setAttribute('aria-busy', '{busy}'); }}"  # CSS shows it
# `#one-lambda` in the address of a link opens that trial, from anywhere on the page.
LINKS = """document.addEventListener("click", event => {
    if (!event.target.closest?.("a[href$='#one-lambda']")) return;
    event.preventDefault();
    const open = id => document.querySelector(`#${id}-button`)?.click();
    open("style-tab");
    setTimeout(() => open("step-try"), 100);
    setTimeout(() => open("try-lambda"), 200);
});"""


def build(first_tab: Components) -> None:
    """Lay out the tab and connect it. Its pictures are those of the first tab."""
    tab = Components({name: first_tab[name] for name in FROM_FIRST_TAB})
    steps: dict[str, gr.Tab] = {}
    with gr.Tab("What is style?", id="style-tab", elem_id="style-tab") as opened:
        tab.update(_choices())
        with gr.Tabs(elem_id="steps", overflow_behavior="wrap"):
            for number, (step, (title, fill)) in enumerate(STEPS.items(), start=1):
                with gr.Tab(f"{number} {title}", id=step, elem_id=f"step-{step}") as steps[step]:
                    fill(tab)
    _connect(tab, opened, steps)


def _connect(tab: Components, opened: gr.Tab, steps: dict[str, gr.Tab]) -> None:
    shown = ("step", "data")
    _connect_look(tab, opened.select, views.show_step, ("step", *ASKED), shown)
    for step, part in steps.items():
        _connect_look(tab, part.select, partial(views.show_step, step), ASKED, shown)
    for name in ("source", "layer"):
        _connect_look(tab, tab[name].input, views.show_layer, ("step", *ASKED), (*shown, "k", "m"))
    for name in ("channel_view", "pair_view", "matrix_view"):
        _connect_look(tab, tab[name].input, views.choose, ("step", *ASKED), ("data", "kind", "k", "m"))
    tab.call(steps["know"].select, studies.show_shipped, ("photo", "style"), ("textures", "contents"), **SMALL_WORK)
    tab.call(tab["make_file"].click, views.make_file, ASKED, ("file",), **LOOKS_AT_PICTURE)
    script = "\n".join((HERE / "lesson" / f"{name}.js").read_text() for name in SCRIPTS)
    gr.on(None, None, None, js=f"() => {{ {script} {LINKS} }}", **IN_BROWSER)


def _connect_look(
    tab: Components, trigger: Callable, handler: Callable, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """Call a handler that looks at a picture; the steps say so when it takes longer than a moment."""
    trigger(None, js=LOOKING.format(busy="true"), **IN_BROWSER)
    over = tab.call(trigger, handler, inputs, outputs, **LOOKS_AT_PICTURE)
    over.then(None, js=LOOKING.format(busy="false"), **IN_BROWSER)


def _choices() -> Components:
    """Which picture and which layer all steps look at, and the data for the views in the browser."""
    sources = [(label, value) for value, label in views.SOURCES.items()]
    with gr.Row(elem_id="look"):
        chosen = Components(
            source=gr.Radio(sources, value="style", label="Picture", show_label=False, container=False,
                            elem_id="look-at", scale=0, min_width=300),
            layer=gr.Dropdown(list(look.relu_layers()), value=views.FIRST_LAYER, label="Layer l", show_label=False,
                              container=False, elem_id="look-layer", scale=0, min_width=140),
        )  # fmt: skip
    chosen["data"] = gr.HTML(None, html_template="", js_on_load=RECEIVE, elem_id="lesson-data", visible="hidden")
    k, m = views.first_pair()
    asked = {"step": "channels", "kind": "gram", "k": k, "m": m}
    return chosen | Components({name: gr.State(value) for name, value in asked.items()})


def _view(kind: str) -> gr.HTML:
    return gr.HTML(
        None, html_template=f'<div class="lesson {kind}"></div>', js_on_load=MOUNT.format(kind=kind),
        apply_default_css=False, elem_id=f"view-{kind}",
    )  # fmt: skip


def _text(text: str) -> None:
    gr.Markdown(text, latex_delimiters=FORMULAS, elem_classes="caption")


def _channels(tab: Components) -> None:
    _text(
        r"For a picture, layer $l$ of the network computes a block of numbers, the activations $a^{[l]}_{ijk}$: how "
        r"strongly channel $k$ responds (*fires*) at position $i, j$; there are $n_H \times n_W$ positions and $n_C$ "
        r"channels. **Point at the picture**, or use the arrow keys on it."
    )
    tab["channel_view"] = _view("channel")


def _pair(tab: Components) -> None:
    _text(
        r"$G^{[l]}_{kk'} = \sum_{i,j} a^{[l]}_{ijk}\, a^{[l]}_{ijk'}$: a product is large only where **both** channels "
        r"fire, and the sum says how much of that the whole picture has. **Drag a rectangle** and see the sum grow."
    )
    tab["pair_view"] = _view("pair")


def _matrix(tab: Components) -> None:
    _text(
        r"The **style matrix** (Gram matrix) $G^{[l]}$ holds one such sum for each pair of the $n_C$ channels. "
        r"**Choose a cell** of the matrix or of the magnifying glass: where do its two channels fire?"
    )
    tab["matrix_view"] = _view("matrix")


def _cost(tab: Components) -> None:
    _text(
        r"$J_{style}^{[l]}(S, G) = \frac{1}{(2\, n_H n_W n_C)^2} \sum_{k,k'} "
        r"\left(G^{[l](S)}_{kk'} - G^{[l](G)}_{kk'}\right)^2$, each matrix divided by its number of positions, and the "
        r"cost by $J_{style}^{[l]}(S, 0)$: 1 is a picture on which nothing fires, 0 the style's own matrix. "
        r"**Point at a cell**."
    )
    _view("cost")


def _know(tab: Components) -> None:
    _text(
        r"From noise, by the style cost of one layer alone, $J(G) = J_{style}^{[l]}(S, G)$: places are lost, the look "
        r"is kept, from grain to motifs. **Compare the rows**: a content cost keeps places, and deeper layers forget "
        r"detail."
    )
    rows = {
        "textures": ("Paint them for my style", on_zerogpu(studies.paint_textures), ("style",)),
        "contents": ("Paint them for my photo", on_zerogpu(studies.paint_contents), ("photo",)),
    }
    for name, (action, paint, pictures) in rows.items():
        tab[name] = _study(tab, name, action, paint, pictures)


def _study(tab: Components, name: str, action: str, paint: object, inputs: tuple[str, ...], value: object = None,
           columns: int = 5) -> gr.Gallery:  # fmt: skip
    """A row of small pictures that a button paints on the device."""
    with gr.Row(elem_classes="study-row"):
        begin = gr.Button(action, size="sm", elem_id=f"paint-{name}", scale=0, min_width=220)
        end = gr.Button("Stop", size="sm", variant="stop", visible=False, elem_id=f"stop-{name}", scale=0)
        status = gr.Markdown(container=False, elem_id=f"{name}-status")
    gallery = gr.Gallery(
        value, show_label=False, columns=columns, height="auto", allow_preview=False, format="jpeg", buttons=[],
        interactive=False, object_fit="contain", elem_id=name, elem_classes="study", visible=bool(value),
    )  # fmt: skip
    row = Components({given: tab[given] for given in inputs}, study=gallery, begin=begin, end=end, status=status)
    row.call_on_device("begin", "end", paint, inputs, ("study", "status"))
    return gallery


def _try(tab: Components) -> None:
    with gr.Tabs(elem_id="trials", overflow_behavior="wrap"):
        with gr.Tab("By hand", elem_id="try-hand"):
            _text(r"$3 \times 3$ positions, two channels: $G_{kk'} = \sum_{i,j} a_{ijk}\, a_{ijk'}$.")
            _view("toy")
        with gr.Tab("Positions forgotten", elem_id="try-shuffle"):
            _text(
                r"$G^{[l]}$ sums over $i, j$, so it cannot know where anything was; $J_{content}$ compares place "
                r"by place. **Shuffle the positions**."
            )
            _view("shuffle")
        with gr.Tab("Paint an entry", elem_id="try-entry"):
            _text(
                r"What would one entry alone paint? From noise, $G^{[l]}_{kk'}$ of the pair of step 2 is made as large "
                r"as a picture of fixed energy allows (Nikulin & Novak 2016)."
            )
            _study(tab, "entries", "Paint this entry", studies.paint_entries, ASKED, studies.shipped_entries(), 4)
        with gr.Tab("Guess first", elem_id="try-guess"):
            _view("guess")
        with gr.Tab("One lambda at a time", elem_id="try-lambda"):
            _text(r"$J_{style} = \sum_l \lambda^{[l]} J_{style}^{[l]}$ with one $\lambda^{[l]} = 1$ and all others 0.")
            both = ("photo", "style")
            _study(tab, "playground", "Paint them for my two pictures", on_zerogpu(studies.paint_playground), both,
                   studies.shipped_lambdas())  # fmt: skip
        with gr.Tab("To your notebook", elem_id="try-notebook"):
            _text((HERE / "to_your_notebook.md").read_text())
            with gr.Row():
                tab["make_file"] = gr.Button(
                    "Compute a_C, a_S, a_G of this layer", size="sm", elem_id="make-activations"
                )
                tab["file"] = gr.DownloadButton("Not computed yet", size="sm", interactive=False, elem_id="activations")


# Step -> its title, and what fills it. "matrix" comes after "pair", whose numbers it sets.
STEPS = {
    "channels": ("Channels", _channels),
    "pair": ("A pair", _pair),
    "matrix": ("Style matrix", _matrix),
    "cost": ("Style cost", _cost),
    "know": ("What layers know", _know),
    "try": ("Try it", _try),
}
