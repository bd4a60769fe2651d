"""Settings in few words: what differs from the defaults, or between two pictures; and names for their files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nst import Settings
from nst.images.pictures import Source
from nst.settings import KINDS, STYLE_LAYER_WORDS, write_value

# Of the machine or of the page, which nobody chose by looking at a picture.
UNINTERESTING = {"device", "precision", "tile_px", "max_seconds", "mask_edge"}
LONGEST_NAME = 40  # characters of a file's name that stay in the names of results


def in_words(settings: Settings) -> dict[str, str]:
    """Each setting as text, by its name; the lambdas one by one."""
    shown = [name for name in KINDS if name not in UNINTERESTING and name != "style_layers"]
    words = {name.replace("_", " "): _as_text(name, getattr(settings, name)) for name in shown}
    layers = {**dict.fromkeys(STYLE_LAYER_WORDS, 0.0), **settings.style_layers}
    return words | {f"lambda {layer}": f"{weight:g}" for layer, weight in layers.items()}


def _as_text(name: str, value: Any) -> str:
    if value is None:
        return ""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else write_value(name, value)


def differing(one: Settings, other: Settings) -> dict[str, tuple[str, str]]:
    """The settings in which two runs differ, with the words for both."""
    left, right = in_words(one), in_words(other)
    names = [*left, *(name for name in right if name not in left)]
    return {name: (a, b) for name in names if (a := left.get(name, "0")) != (b := right.get(name, "0"))}


def caption(styles: Iterable[Source], settings: Settings, usual: Settings) -> str:
    """The style's name and what differs from the usual settings."""
    changed = {name: words[1] for name, words in differing(usual, settings).items() if name != "style blend"}
    continued = "pyramid" in changed  # all its steps at one size, from the picture before it: Continue, Bigger or Print
    said = [f"{name} {word}" for name, word in changed.items() if not (continued and name in ("pyramid", "steps"))]
    said += [f"{settings.steps} steps more"] if continued else []
    return ", ".join([" + ".join(map(name_of, styles)), *said])


def name_of(source: Source) -> str:
    """A picture's name without its folder and suffix, in characters that every file system takes."""
    stem = Path(source).stem if isinstance(source, (str, Path)) else "picture"
    return re.sub(r"[^\w-]+", "_", stem).strip("_")[:LONGEST_NAME] or "picture"
