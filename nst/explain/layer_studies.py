"""Settings of small runs that show which part of a picture one layer keeps (Gatys et al. 2015; 2016, figure 1)."""

from __future__ import annotations

from dataclasses import replace

from nst.settings import STYLE_LAYER_WORDS, Settings

TEXTURE_LAYERS = tuple(STYLE_LAYER_WORDS)
CONTENT_LAYERS = ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2")
# Average pooling, as in Gatys et al. 2015: with max pooling, textures of deep layers have specks of wrong colours.
_FROM_NOISE = {"init": "noise", "pooling": "average", "quality": "balanced"}


def texture_settings(layer: str, size: int = 256) -> Settings:
    """Paint the style picture anew from noise by the style matrix of one layer: lambda = 1, alpha = 0.

    `size` is the longer side, px. Pass the style picture as the photo too; it then decides only the shape.
    """
    return Settings(alpha=0.0, content_layers={}, style_layers={layer: 1.0}, size=size, **_FROM_NOISE)


def content_settings(layer: str, size: int = 192) -> Settings:
    """Rebuild the photo from noise by one content layer: beta = 0. `size` is the longer side, px.

    Pass the photo as the style picture too, because a run needs one; it is not used.
    """
    return Settings(beta=0.0, content_layers={layer: 1.0}, style_layers={}, size=size, **_FROM_NOISE)


def playground_settings(layer: str, settings: Settings | None = None) -> Settings:
    """The same settings for a run at 192 px with the lambda of one layer at 1 and the others at 0."""
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
