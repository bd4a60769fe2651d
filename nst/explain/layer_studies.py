"""Settings of small runs that show what one layer alone knows of a picture (Gatys et al. 2015, 2016, figure 1)."""

from __future__ import annotations

from dataclasses import replace

from nst.settings import STYLE_LAYER_WORDS, Settings

TEXTURE_LAYERS = tuple(STYLE_LAYER_WORDS)
CONTENT_LAYERS = ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2")
# Average pooling, as Gatys et al. 2015 did for textures: max pooling leaves coloured dust in those of deep layers.
_FROM_NOISE = {"init": "noise", "pooling": "average", "quality": "balanced"}


def texture_settings(layer: str, size: int = 256) -> Settings:
    """The style picture painted anew from noise by one layer's style matrix: lambda = 1 there, alpha = 0.

    Give the style picture as photo too, which then decides the shape only.
    """
    return Settings(alpha=0.0, content_layers={}, style_layers={layer: 1.0}, size=size, **_FROM_NOISE)


def content_settings(layer: str, size: int = 192) -> Settings:
    """The photo rebuilt from noise by one content layer: beta = 0. Give the photo as style picture too, unused."""
    return Settings(beta=0.0, content_layers={layer: 1.0}, style_layers={}, size=size, **_FROM_NOISE)


def playground_settings(layer: str, settings: Settings | None = None) -> Settings:
    """A thumbnail of the run that the settings ask for with one layer's lambda at 1 and the others at 0."""
    return replace(
        settings or Settings(),
        style_layers={layer: 1.0},  # layers left out have lambda 0
        size=192,
        quality="draft",
        steps=14,
        pyramid=True,
        original_size=False,
        max_seconds=None,
    )
