"""The tab "What is style?": the style matrices of the visitor's own pictures, to look into."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from nst.explain import channels, look
from nst.ui.explain import views
from nst.ui.explain.heatmaps import SCALES
from nst.ui.server.events import AT_ONCE, IN_BROWSER, SMALL_WORK, Components
from nst.ui.stylise.zerogpu import on_zerogpu

HERE = Path(__file__).parent
FORMULAS = [{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$", "display": False}]
FIRST_LAYER = "relu3_1"  # strokes: 256 channels, quick to compute and easy to understand
LAST_CHANGE = {**SMALL_WORK, "trigger_mode": "always_last"}  # of several quick changes only the last is answered
FROM_FIRST_TAB = ("photo", "style", "visit")  # components that hold the pictures

# A click on a cell of Plotly's heat map sets the two numbers below it.
CLICKS = """() => setInterval(() => {
    const plot = document.querySelector("#matrix .js-plotly-plot");
    if (!plot?.on || plot.dataset.listens) return;
    plot.dataset.listens = "yes";
    plot.on("plotly_click", ({ points: [cell] }) => {
        for (const [name, value] of [["k", cell.y], ["m", cell.x]]) {
            const box = document.querySelector(`#channel-${name} input`);
            box.value = value;
            box.dispatchEvent(new Event("input", { bubbles: true }));
        }
    });
}, 300)"""

CAPTIONS = {
    "matrix": r"$$G^{[l]}_{kk'} = \sum_{i=1}^{n_H} \sum_{j=1}^{n_W} a^{[l]}_{ijk}\, a^{[l]}_{ijk'}$$",
    "pair": r"$$G^{[l]}_{kk'} = \sum_{i,j} \underbrace{a^{[l]}_{ijk}\, a^{[l]}_{ijk'}}_{\text{the last map}}$$",
    "compare": r"""$$J_{style}^{[l]}(S, G) = \frac{1}{(2\, n_H n_W n_C)^2}
        \sum_{k,k'} \left(G^{[l](S)}_{kk'} - G^{[l](G)}_{kk'}\right)^2$$
        Each matrix is divided by its own number of positions, and each bar by $J_{style}^{[l]}(S, 0)$: 1 stands for a
        picture on which no channel fires.""",
    "textures": r"""From noise, by the style cost of one layer alone: $J(G) = J_{style}^{[l]}(S, G)$. The place of
        things is lost; their look is kept, from grain to motifs.""",
    "contents": r"""From noise, by the content cost of one layer alone:
        $J(G) = \frac{1}{4\, n_H n_W n_C} \sum (a^{[l](C)} - a^{[l](G)})^2$. Deeper layers forget detail.""",
    "playground": r"$J_{style} = \sum_l \lambda^{[l]} J_{style}^{[l]}$ with one $\lambda^{[l]} = 1$ and all others 0.",
}


def build(first_tab: Components) -> None:
    """Lay out the tab and connect it. Its pictures are those of the first tab."""
    tab = Components({name: first_tab[name] for name in FROM_FIRST_TAB})
    with gr.Tab("What is style?", id="style-tab", elem_id="style-tab") as opened:
        gr.Markdown((HERE / "what_is_style.md").read_text(), latex_delimiters=FORMULAS)
        with gr.Row():
            with gr.Column(scale=3, min_width=300):
                tab.update(_choices())
                tab["matrix_words"] = gr.Markdown(elem_id="matrix-words", container=False)
            with gr.Column(scale=5, min_width=320):
                tab["matrix"] = gr.Plot(label="Style matrix", show_label=False, elem_id="matrix")
                _caption("matrix")
        tab.update(_pair())
        tab.update(_comparison())
        tab.update(_studies(tab))
    _connect(tab, opened)


def _connect(tab: Components, opened: gr.Tab) -> None:
    what, how = ("source", "layer", "kind"), ("ordering", "scale")
    drawn = ("matrix", "matrix_words", "pairs")
    for trigger in (opened.select, *(tab[name].input for name in (*what, *how))):
        tab.call(trigger, views.show_matrix, (*what, *how, *FROM_FIRST_TAB), drawn, **LAST_CHANGE)
    tab.call(opened.select, views.show_shipped_studies, ("photo", "style"), ("textures", "contents"), **AT_ONCE)
    tab.call(tab["pairs"].change, views.choose_pair, ("pairs",), ("k", "m"), **AT_ONCE)
    shown = ("relation", "entry", "map_k", "patches_k", "map_m", "patches_m", "product")
    for name in ("k", "m", *what):
        tab.call(tab[name].change, views.show_pair, (*what, "k", "m", *FROM_FIRST_TAB), shown, **LAST_CHANGE)
    compared = ("matrices", "bars", "compare_words")
    inputs = ("layer", "kind", *how, *FROM_FIRST_TAB)
    tab.call(tab["compare"].click, views.show_comparison, inputs, compared, **LAST_CHANGE)
    gr.on(None, None, None, js=CLICKS, **IN_BROWSER)


def _choices() -> Components:
    """Which matrix is shown, and how."""
    sources = [(label, value) for value, label in views.SOURCES.items()]
    return Components(
        source=gr.Radio(sources, value="style", label="Picture", elem_id="look-at"),
        layer=gr.Dropdown(list(look.relu_layers()), value=FIRST_LAYER, label="Layer", elem_id="look-layer",
                          info="The five style layers first, then all others."),
        kind=gr.Radio(list(channels.KINDS), value="gram", label="Matrix", elem_id="look-kind"),
        ordering=gr.Radio(list(channels.ORDERINGS), value="similarity", label="Order of channels",
                          elem_id="look-order"),
        scale=gr.Radio(list(SCALES), value="square root", label="Colour scale", elem_id="look-scale"),
    )  # fmt: skip


def _caption(name: str) -> None:
    gr.Markdown(CAPTIONS[name], latex_delimiters=FORMULAS, elem_classes="caption")


def _picture(label: str, name: str) -> gr.Image:
    return gr.Image(label=label, interactive=False, format="jpeg", buttons=[], elem_id=name, alt_text=label, height=190)


def _pair() -> Components:
    """The choice of two channels, and what `views.show_pair` shows of them."""
    gr.Markdown("### Two channels\nClick a cell of the matrix, choose one of the strongest pairs, or type two numbers.")
    with gr.Row():
        pair = Components(
            pairs=gr.Radio([], label="Strongest pairs", elem_id="pairs", scale=4),
            k=gr.Number(0, precision=0, minimum=0, label="Channel k", elem_id="channel-k", min_width=90),
            m=gr.Number(1, precision=0, minimum=0, label="Channel k'", elem_id="channel-m", min_width=90),
        )
    pair["relation"] = gr.Markdown(elem_id="relation", container=False)
    with gr.Row(elem_id="channels"):
        for name, label in (("k", "channel k"), ("m", "channel k'")):
            pair[f"map_{name}"] = _picture(f"Where {label} fires", f"map-{name}")
            pair[f"patches_{name}"] = _picture(f"What excites {label} most", f"patches-{name}")
        pair["product"] = _picture("Both together: the product", "product")
    pair["entry"] = gr.Markdown(elem_id="entry", container=False)
    _caption("pair")
    return pair


def _comparison() -> Components:
    """The matrices of photo, style and result, and the style cost of each layer."""
    gr.Markdown("### Photo, style and result\nDoes the result have the style's matrix? For the layer chosen above.")
    comparison = Components(
        compare=gr.Button("Compare", size="sm", elem_id="compare-matrices"),
        compare_words=gr.Markdown(elem_id="compare-words", container=False),
        matrices=gr.Plot(show_label=False, label="Matrices", elem_id="compared"),
        bars=gr.Plot(show_label=False, label="Style cost per layer", elem_id="bars"),
    )
    _caption("compare")
    return comparison


def _studies(tab: Components) -> Components:
    """What each layer knows, and one lambda at a time: the galleries by name, connected."""
    rows = {
        "textures": ("What each layer knows of the style", "Paint them for my style", views.paint_textures, ("style",)),
        "contents": ("What each layer knows of the photo", "Paint them for my photo", views.paint_contents, ("photo",)),
        "playground": (
            "One lambda at a time",
            "Paint them for my two pictures",
            views.paint_playground,
            ("photo", "style"),
        ),
    }
    galleries = Components()
    for name, (title, action, paint, pictures) in rows.items():
        gr.Markdown(f"### {title}")
        _caption(name)
        galleries[name] = gr.Gallery(
            show_label=False, columns=5, height="auto", allow_preview=False, format="jpeg", buttons=[],
            interactive=False, object_fit="contain", elem_id=name, elem_classes="study",
        )  # fmt: skip
        row = Components(
            {picture: tab[picture] for picture in pictures},
            study=galleries[name],
            begin=gr.Button(action, size="sm", elem_id=f"paint-{name}"),
            end=gr.Button("Stop", size="sm", variant="stop", visible=False, elem_id=f"stop-{name}"),
            status=gr.Markdown(container=False, elem_id=f"{name}-status"),
        )
        row.call_on_device("begin", "end", on_zerogpu(paint), pictures, ("study", "status"))
    return galleries
