"""Looks that are one click away, each a card with the same cat painted that way; and the scale of Strength."""

from __future__ import annotations

import math
from collections.abc import Mapping

import gradio as gr
from gradio.events import Dependency

from nst import Settings
from nst.settings import STYLE_LAYER_WORDS
from nst.ui.server import examples
from nst.ui.server.events import AT_ONCE, Components
from nst.ui.stylise.form import parameters_of

# Strength s, from 0 to 100, is beta on a logarithmic scale: beta = alpha * 10^(s / 50). It is computed in the browser,
# where the controls answer at once, and here, for settings that come from elsewhere.
DEFAULT_STRENGTH = 50  # of alpha 1 and beta 10
MOST_BETA = 100  # of the page's control
LEAST_ALPHA = 0.1  # smaller ones count as this, because beta / alpha has no bound

BETA_OF_STRENGTH = "(s, alpha) => Math.round(10 * Math.min(100, Math.max(alpha, 0.1) * 10 ** (s / 50))) / 10"
STRENGTH_OF_BETA = """(alpha, beta) =>
    Math.round(Math.min(100, Math.max(0, 50 * Math.log10(Math.max(beta, 0.01) / Math.max(alpha, 0.1)))))"""


def beta_of(strength: float, alpha: float) -> float:
    """beta for a strength from 0 to 100, to one decimal."""
    return round(min(MOST_BETA, max(alpha, LEAST_ALPHA) * 10 ** (strength / 50)), 1)


def strength_of(alpha: float, beta: float) -> int:
    """The strength that says these weights, from 0 to 100."""
    return round(min(100, max(0, 50 * math.log10(max(beta, 0.01) / max(alpha, LEAST_ALPHA)))))


PRESETS: dict[str, Settings] = {
    "Subtle": Settings(beta=3),
    "Classic": Settings(),
    "Bold": Settings(beta=50, style_scale=1.6),
    "Fine strokes": Settings(beta=20, style_scale=0.5),
    "Photo's colours": Settings(beta=20, colour="luminance"),
    "Texture only": Settings(alpha=0, init="noise"),
}
# The parameters in which the presets differ.
DIFFERING = ("alpha", "beta", *(f"lambda_{layer}" for layer in STYLE_LAYER_WORDS), "style_scale", "init", "colour")


def cards() -> dict[str, gr.Button]:
    """A row of cards, by preset."""
    with gr.Row(elem_id="presets"):
        return {
            name: gr.Button(name, icon=examples.preset(name), size="sm", min_width=80, elem_classes="card")
            for name in PRESETS
        }


def connect(buttons: Mapping[str, gr.Button], tab: Components) -> list[Dependency]:
    """Let each card set the controls in which the presets differ."""
    events = []
    for name, button in buttons.items():
        settings = PRESETS[name]
        given, _ = parameters_of(settings)
        updates = {name: given[name] for name in DIFFERING}
        updates["strength"] = strength_of(settings.alpha, settings.beta)
        events.append(tab.call(button.click, lambda updates=updates: updates, (), updates, **AT_ONCE))
    return events
