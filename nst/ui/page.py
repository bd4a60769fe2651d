"""The page around the tabs: heading, explanation, theme, and how it is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from nst.device import choose_device
from nst.ui.clip.layout import build as build_clip_tab
from nst.ui.explain.layout import FORMULAS
from nst.ui.explain.layout import build as build_style_tab
from nst.ui.server import examples, given_files
from nst.ui.server.gate import Gate
from nst.ui.server.limits import page_limits
from nst.ui.server.uploads import refuse_wrong_kinds
from nst.ui.stylise.curve import switches_css
from nst.ui.stylise.handlers import PARAMETERS
from nst.ui.stylise.layout import build as build_stylise_tab

HERE = Path(__file__).parent

FOLD_ON_PHONE = "() => ({ open: window.innerWidth > 767, __type__: 'update' })"


def build() -> gr.Blocks:
    """The whole page, not yet served. `ValueError` when a variable of the environment holds no legal limit."""
    given_files.give_pictures_whole()
    page_limits.cache_clear()  # read the environment of this page
    limits = page_limits()
    with gr.Blocks(title="Neural style transfer", analytics_enabled=False) as page:
        gr.HTML('<a class="skip" href="#stylise-button">To the button Stylise</a>', elem_id="skip")
        with gr.Row(elem_id="heading"):
            gr.Markdown("# Neural style transfer\nRepaint a photo in the style of another picture.", elem_id="title")
            gr.Markdown(f"Computed on {choose_device()}", elem_id="device")
        with gr.Tabs(elem_id="pages"):
            with gr.Tab("Stylise"):
                weights_panel, stylise_tab = build_stylise_tab(page)
                gr.Markdown((HERE / "how_it_works.md").read_text(), latex_delimiters=FORMULAS, elem_id="how")
            build_style_tab(stylise_tab)
            if limits.clip_s:
                build_clip_tab()
        page.load(None, None, weights_panel, js=FOLD_ON_PHONE)
    named = {stylise_tab[name] for name in PARAMETERS}  # they refuse by their name
    others = {block for function in page.fns.values() for block in function.inputs} - named
    for block in others:
        refuse_wrong_kinds(block, getattr(block, "label", None) or "A value")
    # `api_open=False` refuses calls past the queue. One place more than the limit, so that the gate refuses first.
    page.queue(max_size=limits.queue + 1, api_open=False)
    return page


def launch_options() -> dict[str, Any]:
    """Arguments of `launch`: the look, and what a public address keeps closed."""
    return {
        "theme": _theme(),
        "css": switches_css(),
        "css_paths": [HERE / "page.css", HERE / "explain" / "lesson.css"],
        "js": (HERE / "page.js").read_text(),
        "mcp_server": True,
        "allowed_paths": examples.folders(),
        "show_error": False,
        "enable_monitoring": False,
        "run_history": False,  # it would write to accounts elsewhere; the page shows the pictures of a visit itself
        "max_file_size": f"{page_limits().upload_mb}mb",
        "app_kwargs": {"middleware": [Middleware(Gate)]},
        "footer_links": ["api"],
    }


def _theme() -> gr.themes.Base:
    """Gradio's quiet theme with one accent; text is dark enough for WCAG's contrast of 4.5."""
    fonts = ["system-ui", "sans-serif"]  # no web fonts: the page loads nothing from other servers
    theme = gr.themes.Default(
        primary_hue="orange", neutral_hue="stone", font=fonts, font_mono=["ui-monospace", "monospace"]
    )
    return theme.set(
        body_text_color_subdued="*neutral_500",
        block_info_text_color="*neutral_500",
        button_cancel_background_fill="#b91c1c",
        button_cancel_background_fill_dark="#b91c1c",
        button_cancel_background_fill_hover="#991b1b",
        button_cancel_background_fill_hover_dark="#991b1b",
        button_cancel_text_color="white",
        button_cancel_text_color_dark="white",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
    )
