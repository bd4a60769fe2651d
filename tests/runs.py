"""Shared by tests of whole runs: settings for short runs, and measures for comparing pictures."""

from PIL import Image

from nst import Result, Settings, costs
from nst.features.extractor import FeatureExtractor
from nst.images import pictures

LAMBDAS = Settings().style_layers


STYLE_LAYERS = list(LAMBDAS)


def quick(**given: object) -> Settings:
    """A few steps at 64 px, where the real network takes a twentieth of a second a step."""
    return Settings(**{"size": 64, "steps": 4, "pyramid": False, "device": "cpu", **given})


def balanced_costs(picture: Image.Image, photo: Image.Image, style: Image.Image) -> tuple[float, float]:
    """Content and style cost of a picture in float32, each divided by the cost of a picture that excites nothing."""
    extractor = FeatureExtractor(["relu4_2", *STYLE_LAYERS], replicate_edges=True)
    scaled = style.resize(
        [round(side * max(picture.size) / max(style.size)) for side in style.size], Image.Resampling.LANCZOS
    )
    a, a_content, a_style = (
        extractor(pictures.to_tensor(p))
        for p in (picture, photo.resize(picture.size, Image.Resampling.LANCZOS), scaled)
    )
    content = costs.content_cost(a_content["relu4_2"], a["relu4_2"]) / costs.content_cost(
        a_content["relu4_2"], 0 * a["relu4_2"]
    )
    layers = (
        costs.style_layer_cost(a_style[layer], a[layer]) / costs.style_layer_cost(a_style[layer], 0 * a[layer])
        for layer in STYLE_LAYERS
    )
    return content.item(), sum(LAMBDAS[layer] * cost.item() for layer, cost in zip(STYLE_LAYERS, layers, strict=True))


def all_numbers(result: Result) -> list[float]:
    return [
        number
        for c in result.history
        for number in (c.total, c.content, c.style, c.total_variation, c.seconds, *c.style_layers.values())
    ]


def same_picture(a: Result, b: Result) -> bool:
    return a.image.tobytes() == b.image.tobytes()


def part(photo: Image.Image, *box: float) -> Image.Image:
    """A mask of the photo's size, white inside (left, top, right, bottom) given as shares of it."""
    mask = Image.new("L", photo.size)
    mask.paste(255, tuple(round(share * side) for share, side in zip(box, photo.size * 2, strict=True)))
    return mask


def with_alpha(picture: Image.Image, alpha: Image.Image) -> Image.Image:
    clear = picture.convert("RGB")
    clear.putalpha(alpha.resize(picture.size))
    return clear
