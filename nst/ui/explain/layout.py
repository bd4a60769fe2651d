"""The tab "What is style?": the style matrix of one's own pictures, to look into."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from nst.explain import channels, look
from nst.ui.explain import views
from nst.ui.explain.heatmaps import SCALES
from nst.ui.server.events import AT_ONCE, IN_BROWSER, stoppable
from nst.ui.stylise.wiring import Tab
from nst.ui.stylise.zerogpu import on_zerogpu

HERE = Path(__file__).parent
FORMULAS = [{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$", "display": False}]
FIRST_LAYER = "relu3_1"  # strokes: 256 channels, quick and telling
LOOKING = {**AT_ONCE, "trigger_mode": "always_last"}  # no run: a visitor may look as often as they like

# A cell of Plotly's heat map that is clicked becomes the two numbers below it.
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
        Each matrix is divided by its own number of positions, and each bar by $J_{style}^{[l]}(S, 0)$: 1 is a picture
        that excites nothing.""",
    "textures": r"""From noise, by the style cost of one layer alone: $J(G) = J_{style}^{[l]}(S, G)$. Where things are
        is lost, how they look is kept, from grain to motifs.""",
    "contents": r"""From noise, by the content cost of one layer alone:
        $J(G) = \frac{1}{4\, n_H n_W n_C} \sum (a^{[l](C)} - a^{[l](G)})^2$. Deeper layers forget detail.""",
    "playground": r"$J_{style} = \sum_l \lambda^{[l]} J_{style}^{[l]}$ with one $\lambda^{[l]} = 1$ and all others 0.",
}


def build(tab: Tab) -> gr.Tab:
    """Lay out the tab and connect it; it looks at the pictures of the first one."""
    pictures = [tab.asked["photo"], tab.asked["style"], tab.kept]
    with gr.Tab("What is style?", id="style-tab", elem_id="style-tab") as page:
        gr.Markdown((HERE / "what_is_style.md").read_text(), latex_delimiters=FORMULAS)
        with gr.Row():
            with gr.Column(scale=3, min_width=300):
                source = gr.Radio(_labelled(views.SOURCES), value="style", label="Picture", elem_id="look-at")
                layer = gr.Dropdown(list(look.relu_layers()), value=FIRST_LAYER, label="Layer", elem_id="look-layer",
                                    info="The five style layers first, then all others.")  # fmt: skip
                kind = gr.Radio(list(channels.KINDS), value="gram", label="Matrix", elem_id="look-kind")
                order = gr.Radio(list(channels.ORDERINGS), value="similarity", label="Order of channels",
                                 elem_id="look-order")  # fmt: skip
                scale = gr.Radio(list(SCALES), value="square root", label="Colour scale", elem_id="look-scale")
                words = gr.Markdown(elem_id="matrix-words", container=False)
            with gr.Column(scale=5, min_width=320):
                heat = gr.Plot(label="Style matrix", show_label=False, elem_id="matrix")
                _caption("matrix")
        chosen = [source, layer, kind]
        pairs, k, m, shown = _pair()
        _compare(layer, kind, order, scale, pictures)
        studied = _studies(tab)

    matrix_of = [*chosen, order, scale, *pictures]
    seen = [heat, words, pairs]
    page.select(views.show_matrix, matrix_of, seen, **LOOKING)
    page.select(views.shipped_studies, pictures[:2], studied, **AT_ONCE)
    for control in (source, layer, kind, order, scale):
        control.input(views.show_matrix, matrix_of, seen, **LOOKING)
    pairs.change(views.pair_of, pairs, [k, m], **AT_ONCE)
    for control in (k, m, source, layer, kind):
        control.change(views.show_pair, [*chosen, k, m, *pictures], shown, **LOOKING)
    gr.on(None, None, None, js=CLICKS, **IN_BROWSER)
    return page


def _labelled(choices: dict[str, str]) -> list[tuple[str, str]]:
    return [(label, value) for value, label in choices.items()]


def _caption(name: str) -> None:
    gr.Markdown(CAPTIONS[name], latex_delimiters=FORMULAS, elem_classes="caption")


def _picture(label: str, name: str) -> gr.Image:
    return gr.Image(label=label, interactive=False, format="jpeg", buttons=[], elem_id=name, alt_text=label, height=190)


def _pair() -> tuple[gr.Radio, gr.Number, gr.Number, list[gr.components.Component]]:
    """Two channels -> (strongest pairs, k, k', what `looking.show_pair` fills)."""
    gr.Markdown("### Two channels\nClick a cell of the matrix, choose one of the strongest pairs, or type two numbers.")
    with gr.Row():
        pairs = gr.Radio([], label="Strongest pairs", elem_id="pairs", scale=4)
        k = gr.Number(0, precision=0, minimum=0, label="Channel k", elem_id="channel-k", min_width=90)
        m = gr.Number(1, precision=0, minimum=0, label="Channel k'", elem_id="channel-m", min_width=90)
    sentence = gr.Markdown(elem_id="relation", container=False)
    shown = []
    with gr.Row(elem_id="channels"):
        for name, label in (("k", "channel k"), ("m", "channel k'")):
            shown.append(_picture(f"Where {label} fires", f"map-{name}"))
            shown.append(_picture(f"What excites {label} most", f"patches-{name}"))
        product = _picture("Both together: the product", "product")
    number = gr.Markdown(elem_id="entry", container=False)
    _caption("pair")
    return pairs, k, m, [sentence, number, *shown, product]


def _compare(
    layer: gr.Dropdown, kind: gr.Radio, order: gr.Radio, scale: gr.Radio, pictures: list[gr.components.Component]
) -> None:
    gr.Markdown("### Photo, style and result\nDoes the result have the style's matrix? For the layer chosen above.")
    button = gr.Button("Compare", size="sm", elem_id="compare-matrices")
    words = gr.Markdown(elem_id="compare-words", container=False)
    matrices = gr.Plot(show_label=False, label="Matrices", elem_id="compared")
    bars = gr.Plot(show_label=False, label="Style cost per layer", elem_id="bars")
    _caption("compare")
    button.click(views.show_comparison, [layer, kind, order, scale, *pictures], [matrices, bars, words], **LOOKING)


def _studies(tab: Tab) -> list[gr.Gallery]:
    """What each layer knows, and the playground of lambdas -> the two galleries that examples fill."""
    photo, style = tab.asked["photo"], tab.asked["style"]
    rows = {
        "textures": ("What each layer knows of the style", "Paint them for my style", views.paint_textures, [style]),
        "contents": ("What each layer knows of the photo", "Paint them for my photo", views.paint_contents, [photo]),
        "playground": ("One lambda at a time", "Paint my two pictures so", views.paint_playground, [photo, style]),
    }
    galleries = []
    for name, (title, action, paint, inputs) in rows.items():
        gr.Markdown(f"### {title}")
        _caption(name)
        gallery = gr.Gallery(
            show_label=False, columns=5, height="auto", allow_preview=False, format="jpeg", buttons=[],
            interactive=False, object_fit="contain", elem_id=name, elem_classes="study",
        )  # fmt: skip
        begin = gr.Button(action, size="sm", elem_id=f"paint-{name}")
        stop = gr.Button("Stop", size="sm", variant="stop", visible=False, elem_id=f"stop-{name}")
        status = gr.Markdown(container=False, elem_id=f"{name}-status")
        stoppable(begin, stop, on_zerogpu(paint), inputs, [gallery, status])
        galleries.append(gallery)
    return galleries[:2]
