"""Looks that are one click away, each shown as a card with the same cat painted that way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from nst import Settings
from nst.settings import STYLE_LAYER_WORDS
from nst.ui.server import examples
from nst.ui.server.events import AT_ONCE
from nst.ui.stylise.form import values

# The one slider of a newcomer: strength s, from 0 to 100, is beta on a logarithmic scale, beta = alpha * 10^(s / 50).
# In the browser, where the controls answer at once, and here, for settings that come from elsewhere.
DEFAULT_STRENGTH = 50  # of alpha 1 and beta 10
MOST_BETA = 100  # of the page's control
LEAST_ALPHA = 0.1  # below, strength would run away

BETA_OF_STRENGTH = "(s, alpha) => Math.round(10 * Math.min(100, Math.max(alpha, 0.1) * 10 ** (s / 50))) / 10"
STRENGTH_OF_BETA = """(alpha, beta) =>
    Math.round(Math.min(100, Math.max(0, 50 * Math.log10(Math.max(beta, 0.01) / Math.max(alpha, 0.1)))))"""


def beta_of(strength: float, alpha: float) -> float:
    """beta for a strength from 0 to 100, to one decimal."""
    return round(min(MOST_BETA, max(alpha, LEAST_ALPHA) * 10 ** (strength / 50)), 1)


def strength_of(alpha: float, beta: float) -> int:
    """Where the slider stands for these weights, from 0 to 100."""
    return round(min(100, max(0, 50 * math.log10(max(beta, 0.01) / max(alpha, LEAST_ALPHA)))))


@dataclass(frozen=True)
class Preset:
    """A named look: what it does in a few words, and the settings that make it."""

    words: str
    settings: Settings

    @property
    def values(self) -> tuple[Any, ...]:
        """Strength, and a value for each of `SET`."""
        given, _ = values(self.settings)
        return strength_of(self.settings.alpha, self.settings.beta), *(given[name] for name in SET)


PRESETS: dict[str, Preset] = {
    "Subtle": Preset("the photo, gently painted", Settings(beta=3)),
    "Classic": Preset("photo and style in balance", Settings()),
    "Bold": Preset("broad strokes lead", Settings(beta=50, style_scale=1.6)),
    "Fine strokes": Preset("small strokes, much detail", Settings(beta=20, style_scale=0.5)),
    "Photo's colours": Preset("the strokes, not the palette", Settings(beta=20, colour="luminance")),
    "Texture only": Preset("the style alone, from noise", Settings(alpha=0, init="noise")),
}
# What a card sets: the parameters of the endpoint in which the presets differ.
SET = ("alpha", "beta", *(f"lambda_{layer}" for layer in STYLE_LAYER_WORDS), "style_scale", "init", "colour")


def cards() -> dict[str, gr.Button]:
    """A row of cards, by preset."""
    with gr.Row(elem_id="presets"):
        return {
            name: gr.Button(name, icon=examples.preset(name), size="sm", min_width=80, elem_classes="card")
            for name in PRESETS
        }


def connect(buttons: dict[str, gr.Button], controls: Sequence[gr.components.Component]) -> None:
    """Let each card set strength and the controls of `SET`."""
    for name, button in buttons.items():
        button.click(lambda chosen=PRESETS[name]: chosen.values, None, controls, **AT_ONCE)
