import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from nst import Settings, costs, stylise
from nst.explain import channels, compare, look
from nst.features.extractor import FeatureExtractor
from nst.images import pictures
from nst.objective.objective import Objective, Targets
from nst.scaled_pictures import Inputs
from nst.schedule import Level

LAYERS = tuple(Settings().style_layers)
CPU = torch.device("cpu")


def bars_of_a_run(photo: Image.Image, style: Image.Image, image: torch.Tensor, settings: Settings) -> list[float]:
    """J_style[l] of the picture, from the objective of a run."""
    inputs = Inputs.of(photo, [style], settings, CPU)
    extractor = FeatureExtractor(settings.layers, settings.backbone, settings.pooling, replicate_edges=True)
    objective = Objective(extractor, Targets.of(inputs, extractor, settings, Level(1, *inputs.size, 1)), settings)
    terms = dict(zip(objective.names, objective(image)[0].tolist(), strict=True))
    return [terms[layer] for layer in LAYERS]


@pytest.mark.parametrize("change", [{}, {"style_scale": 1.6}, {"pooling": "average"}, {"colour": "cholesky"}], ids=str)
def test_bars_are_what_the_run_s_objective_reports(change: dict, photo, other_style) -> None:
    """With a style picture of another shape, and settings that change what it is measured as."""
    settings = Settings(size=80, colour_when="before", **change)
    result = pictures.scaled(photo.transpose(Image.Transpose.FLIP_TOP_BOTTOM), (60, 80))
    found = compare.compare(photo, other_style, result, settings, longer_px=80).layers
    assert tuple(found) == LAYERS
    before, after = (
        bars_of_a_run(photo, other_style, pictures.to_tensor(picture), settings)
        for picture in (pictures.scaled(photo, (60, 80)), result)
    )
    assert [layer.before for layer in found.values()] == pytest.approx(before, rel=1e-4)
    assert [layer.after for layer in found.values()] == pytest.approx(after, rel=1e-4)


def test_bars_after_a_run_are_its_last_costs(photo, style) -> None:
    """Equal except for the rounding of the finished picture to 8 bits."""
    settings = Settings(size=64, steps=8, pyramid=False, precision="float32", device="cpu")
    result = stylise(photo, style, settings)
    found = compare.compare(photo, style, result.image, settings, longer_px=64).layers
    for layer, cost in result.history[-1].style_layers.items():
        assert found[layer].after == pytest.approx(cost, rel=0.03, abs=2e-5)
        assert found[layer].after < found[layer].before


def test_the_style_picture_as_result_has_no_cost_and_no_difference(photo, style) -> None:
    for layer in compare.compare(photo, style, style, longer_px=64).layers.values():
        assert layer.after == 0
        assert all(np.array_equal(layer.result[kind], layer.style[kind]) for kind in channels.KINDS)
        assert layer.before > 0.01


def test_a_layer_in_which_the_style_excites_nothing_has_no_bars() -> None:
    something, nothing = ({"gram": np.full((3, 3), value, np.float32)} for value in (2, 0))
    found = compare._layer(something, nothing, something)
    assert (found.before, found.after) == (0, 0)


def test_matrices_are_those_of_a_look_and_the_style_matrix_is_per_position(photo, other_style) -> None:
    found = compare.compare(photo, other_style, photo, layers=["relu2_2", "relu3_1"], longer_px=64)
    seen = look.look_at(other_style, ["relu2_2", "relu3_1"], longer_px=64)
    for layer, part in found.layers.items():
        block = seen.block(layer)
        assert np.array_equal(part.style["gram"], costs.mean_style_matrix(block)[0].numpy())
        for kind in ("covariance", "correlation"):
            assert np.array_equal(part.style[kind], channels.matrix(block, kind))
        assert all(np.array_equal(part.result[kind], part.content[kind]) for kind in channels.KINDS)
    assert found.nbytes == 3 * 3 * 4 * (128**2 + 256**2)


def test_a_result_of_another_size_is_scaled(photo, style) -> None:
    large = pictures.scaled(photo, (240, 320))
    found, same = (compare.compare(photo, style, picture, longer_px=64).layers["relu2_1"] for picture in (large, photo))
    assert found.after == pytest.approx(found.before, rel=0.05)
    assert same.after == same.before


def test_the_settings_of_the_caller_stay(photo, style) -> None:
    settings = Settings(size=256)
    compare.compare(photo, style, photo, settings, longer_px=32)
    assert settings == dataclasses.replace(settings, size=256)
