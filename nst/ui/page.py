"""The page around the tabs: heading, explanation, theme and how it is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from nst.device import choose_device
from nst.ui.explain.layout import build as build_style_tab
from nst.ui.server import examples
from nst.ui.server.gate import Gate
from nst.ui.server.limits import PAGE_LIMITS
from nst.ui.stylise.curve import switches_css
from nst.ui.stylise.layout import build as build_stylise_tab

HERE = Path(__file__).parent
FORMULAS = [{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$", "display": False}]
KEEP_FILES_S = (PAGE_LIMITS.keep_s // 2, PAGE_LIMITS.keep_s)  # how often to look, and the age of what is deleted then

FOLD_ON_PHONE = "() => ({ open: window.innerWidth > 767, __type__: 'update' })"


def build() -> gr.Blocks:
    """The whole page, not yet served."""
    with gr.Blocks(title="Neural style transfer", analytics_enabled=False, delete_cache=KEEP_FILES_S) as page:
        with gr.Row(elem_id="heading"):
            gr.Markdown("# nst\nRepaint a photo in the style of another picture.")
            gr.Markdown(f"Computed on {choose_device()}", elem_id="device")
        with gr.Tabs(elem_id="pages"):
            with gr.Tab("Stylise"):
                weights_panel, parts = build_stylise_tab(page)
            build_style_tab(parts)
        gr.Markdown((HERE / "how_it_works.md").read_text(), latex_delimiters=FORMULAS, elem_id="how")
        page.load(None, None, weights_panel, js=FOLD_ON_PHONE)
    page.queue(
        max_size=PAGE_LIMITS.queue + 1, api_open=False
    )  # nobody passes the queue; the gate is the first to refuse
    return page


def launch_options() -> dict[str, Any]:
    """What `launch` needs for the look and for staying closed to the curious."""
    return {
        "theme": _theme(),
        "css": switches_css(),
        "css_paths": [HERE / "page.css"],
        "mcp_server": True,
        "allowed_paths": examples.folders(),
        "show_error": False,
        "enable_monitoring": False,
        "max_file_size": f"{PAGE_LIMITS.upload_mb}mb",
        "app_kwargs": {"middleware": [Middleware(Gate)]},
        "footer_links": ["api"],
    }


def _theme() -> gr.themes.Base:
    """Gradio's own, quiet, with one accent; what is written is dark enough for WCAG's contrast of 4.5."""
    fonts = ["system-ui", "sans-serif"]  # no web fonts: the page loads nothing from elsewhere
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
