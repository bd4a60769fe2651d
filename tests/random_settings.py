"""Random legal settings, and one other value for every field, for properties that hold for all of them."""

from __future__ import annotations

import dataclasses

from hypothesis import assume
from hypothesis import strategies as st

from nst import Settings
from nst.settings import BLOCKS, CHOICES, LIMITS, layer_names

FIELDS = {field.name: field for field in dataclasses.fields(Settings)}


OTHER = {  # a legal value for each field that is not its default
    "alpha": 0.1,
    "beta": 1 / 3,
    "content_layers": {"conv4_2": 0.7, "relu3_1": 1e-9},
    "style_layers": {"relu5_1": 0.3, "relu1_1": 0.1, "pool2": 0},
    "style_blend": (0.7, 0.3),
    "style_scale": 0.5,
    "statistic": "wasserstein",
    "style_parts": "recurring",
    "colour": "luminance",
    "colour_when": "before",
    "colour_amount": 0.25,
    "mask_edge": 0.0125,
    "size": 513,
    "original_size": True,
    "quality": "fine",
    "steps": 77,
    "pyramid": False,
    "optimiser": "adam",
    "init": "noise",
    "pooling": "average",
    "total_variation": 1e-7,
    "averaging": 0.9,
    "plateau": 0.001,
    "balance": False,
    "backbone": "vgg16-torchvision",
    "seed": 2**63 - 1,
    "device": "cuda:3",
    "precision": "bfloat16",
    "tile_px": 320,
    "max_seconds": 12.5,
}


@st.composite
def all_settings(draw: st.DrawFn) -> Settings:
    """Legal settings with any of their fields set."""
    backbone = draw(st.sampled_from(list(BLOCKS)))
    weight = st.one_of(st.floats(0, LIMITS.weight), st.integers(0, 100))
    layers = st.dictionaries(st.sampled_from(layer_names(backbone)), weight, max_size=6)
    share = st.floats(0, 1)
    parts: dict[str, st.SearchStrategy] = {name: st.sampled_from(list(words)) for name, words in CHOICES.items()}
    parts |= dict.fromkeys(("alpha", "beta", "total_variation"), weight)
    parts |= dict.fromkeys(("content_layers", "style_layers"), layers)
    parts |= dict.fromkeys(("colour_amount", "mask_edge", "plateau"), share)
    parts |= dict.fromkeys(("original_size", "pyramid", "balance"), st.booleans())
    parts |= {
        "style_blend": st.none() | st.lists(weight, min_size=1, max_size=LIMITS.styles).map(tuple),
        "style_scale": st.floats(LIMITS.smallest_style_scale, LIMITS.style_scale),
        "size": st.integers(LIMITS.smallest_size, LIMITS.size),
        "steps": st.none() | st.integers(1, LIMITS.steps),
        "averaging": st.floats(0, LIMITS.averaging),
        "backbone": st.just(backbone),
        "seed": st.integers(0, 2**63 - 1),
        "device": st.sampled_from(["auto", "cpu", "cuda", "cuda:12"]),
        "tile_px": st.none() | st.integers(LIMITS.smallest_tile, LIMITS.size),
        "max_seconds": st.none() | st.floats(0, 86_400),
    }
    assert set(parts) == set(FIELDS)
    try:
        return Settings(**draw(st.fixed_dictionaries({}, optional=parts)))
    except ValueError:  # such as all weights 0
        assume(False)
