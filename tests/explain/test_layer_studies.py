import dataclasses

import pytest
from PIL import Image

from nst import Settings, stylise
from nst.explain import layer_studies
from nst.settings import layer_names

SMALL = {"size": 48, "quality": "draft", "steps": 12, "device": "cpu"}


@pytest.mark.parametrize("layer", layer_studies.TEXTURE_LAYERS)
def test_texture_lowers_the_cost_of_its_layer_and_knows_no_content(layer: str, style) -> None:
    settings = layer_studies.texture_settings(layer)
    assert (settings.alpha, settings.layers, settings.init) == (0, (layer,), "noise")
    result = stylise(style, style, dataclasses.replace(settings, **SMALL))
    assert result.history[-1].style_layers[layer] < 0.25 * result.history[0].style_layers[layer]
    assert result.history[-1].content == 0
    assert result.image.size == (48, 36)


def test_texture_depends_on_the_photo_s_shape_only(photo, style) -> None:
    settings = dataclasses.replace(layer_studies.texture_settings("relu2_1"), **SMALL)
    own, other = (stylise(content, style, settings).image for content in (style, photo))
    assert own.tobytes() == other.tobytes()


@pytest.mark.parametrize("layer", layer_studies.CONTENT_LAYERS)
def test_content_is_rebuilt_without_style(layer: str, photo, style) -> None:
    settings = layer_studies.content_settings(layer)
    assert (settings.beta, settings.layers, settings.init) == (0, (layer,), "noise")
    result = stylise(photo, style, dataclasses.replace(settings, **SMALL))
    assert result.history[-1].content < 0.5 * result.history[0].content
    own = stylise(photo, photo, dataclasses.replace(settings, **SMALL))
    assert own.image.tobytes() == result.image.tobytes()


def test_content_layers_are_one_of_each_block() -> None:
    assert [name[4] for name in layer_studies.CONTENT_LAYERS] == list("12345")
    assert set(layer_studies.CONTENT_LAYERS) <= set(layer_names())


def test_playground_changes_the_lambdas_and_the_effort_only() -> None:
    given = Settings(alpha=2.0, beta=30.0, style_scale=1.5, colour="luminance", seed=7, size=512, pyramid=False)
    for layer in layer_studies.TEXTURE_LAYERS:
        found = layer_studies.playground_settings(layer, given)
        assert found.style_layers == {layer: 1.0}
        effort = {name: getattr(given, name) for name in ("style_layers", "size", "quality", "steps", "pyramid")}
        assert dataclasses.replace(found, **effort) == given
    assert layer_studies.playground_settings("relu3_1") == layer_studies.playground_settings("relu3_1", Settings())


def test_playground_runs(photo, style) -> None:
    settings = dataclasses.replace(layer_studies.playground_settings("relu3_1"), **SMALL)
    result = stylise(photo, style, settings)
    assert isinstance(result.image, Image.Image)
    assert result.history[-1].style < result.history[0].style
