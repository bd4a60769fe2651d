"""Costs in tiles are held to the whole picture: the same terms, the same gradient.

In float64 behind the first convolution, which is always float32: so exact that rounding does not decide which of two
nearly equal activations a max pooling takes, or whether one near 0 passes a relu, as it now and then does in float32.
"""

import dataclasses
import math

import pytest
import torch
from PIL import Image
from torch import Tensor

from nst import Settings
from nst.features.extractor import FeatureExtractor
from nst.images import masks, pictures
from nst.objective.objective import Objective
from nst.objective.statistics import STATISTICS
from nst.objective.targets import Targets
from nst.objective.tiled import TiledObjective
from nst.objective.tiles import Stretch
from nst.scaled_pictures import Inputs
from nst.schedule import Level
from tests.objective.test_tiles import ODD, SMALL, tile_counts

BOTH = pytest.mark.parametrize("statistic", list(STATISTICS))


def tensor(picture: Image.Image, size: tuple[int, int] = ODD) -> Tensor:
    return pictures.to_tensor(picture.convert("RGB").resize(size[::-1]))


def mixture(photo: Image.Image, style: Image.Image, size: tuple[int, int] = ODD) -> Tensor:
    """A picture about as far from both as during a run."""
    return 0.6 * tensor(photo, size).flip(-1) + 0.4 * tensor(style, size)


def rectangle(top: int, bottom: int, left: int, right: int, size: tuple[int, int] = ODD) -> Tensor:
    mask = torch.zeros(1, 1, *size)
    mask[..., top:bottom, left:right] = 1
    return mask


def whole_of(inputs: Inputs, dtype: torch.dtype = torch.float64, **given: object) -> Objective:
    chosen = Settings(size=64, **given)
    extractor = FeatureExtractor(chosen.layers, pooling=chosen.pooling, dtype=dtype, replicate_edges=True)
    return Objective(extractor, Targets.of(inputs, extractor, chosen, Level(1, *inputs.size, 1)), chosen)


def pair(inputs: Inputs, tile_bytes: float = SMALL, dtype: torch.dtype = torch.float64, **given: object) -> tuple:
    """The whole objective, which is the oracle, and the tiled one, whose targets are measured in tiles too."""
    whole = whole_of(inputs, dtype, **given)
    targets = Targets.of(inputs, whole.extractor, whole.settings, Level(1, *inputs.size, 1), tile_bytes)
    return whole, TiledObjective(whole.extractor, targets, whole.settings, tile_bytes)


def errors(inputs: Inputs, image: Tensor, **given: object) -> tuple[float, float]:
    """Largest relative error of a term, and that of the gradient (norms)."""
    return difference(*(objective(image) for objective in pair(inputs, **given)))


def difference(expected: tuple[Tensor, Tensor], found: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """`errors` of terms with a gradient."""
    (terms, gradient), (found, found_gradient) = expected, found
    of_terms = (found - terms).abs() / terms.abs().clamp(min=1e-9)
    return of_terms.max().item(), ((found_gradient - gradient).norm() / gradient.norm()).item()


@pytest.mark.parametrize(("statistic", "pooling", "share"), [("gram", "max", 0.02), ("wasserstein", "average", 0.1)])
def test_in_float32_too(statistic: str, pooling: str, share: float, photo, style) -> None:
    """Rounding decides some relus and max poolings, and so the gradient of the pixels that such a position sees."""
    whole, tiled = pair(
        Inputs(tensor(photo), (tensor(style),)), dtype=torch.float32, statistic=statistic, pooling=pooling
    )
    image = mixture(photo, style)
    (terms, gradient), (found, found_gradient) = whole(image), tiled(image)
    assert torch.allclose(found, terms, rtol=1e-5 if statistic == "gram" else 1e-4)
    assert (found_gradient - gradient).norm() < 0.01 * gradient.norm()
    far = (found_gradient - gradient).abs().amax(1) > 1e-5 * gradient.abs().max()
    assert far.float().mean() < share


@BOTH
def test_terms_gradient_and_costs_alone_are_those_of_the_whole(statistic: str, photo, style) -> None:
    """The costs without a gradient are computed another way."""
    objectives = pair(Inputs(tensor(photo), (tensor(style),)), statistic=statistic, total_variation=3.0)
    image = mixture(photo, style)
    expected, found = (objective(image) for objective in objectives)
    assert max(difference(expected, found)) < 1e-6
    with torch.inference_mode():
        for objective in objectives:
            assert torch.allclose(objective.costs(image), expected[0], rtol=1e-6)


@pytest.mark.parametrize("size", [(32, 48), (16, 150)], ids=str)
def test_even_and_thin_pictures_give_what_the_whole_gives(size: tuple[int, int], photo, style) -> None:
    inputs = Inputs(tensor(photo, size), (tensor(style, size),))
    assert max(errors(inputs, mixture(photo, style, size))) < 1e-6


@pytest.mark.parametrize(
    "given",
    [
        {"pooling": "average", "balance": False},
        {"style_layers": {"relu1_2": 1.0}, "content_layers": {"conv1_1": 1.0}},  # ends before the first cut
        {"style_layers": {"pool2": 1.0, "pool3": 1.0}, "content_layers": {"pool2": 1.0}},  # the cuts themselves
        {"style_layers": {"conv5_4": 1.0, "pool5": 1.0, "relu3_2": 1.0}, "content_layers": {"relu2_2": 1, "pool5": 2}},
        {"beta": 0, "style_layers": {}, "content_layers": {"conv3_2": 1.0}},
    ],
    ids=lambda given: " ".join(f"{name}={value}" for name, value in given.items())[:60],
)
def test_every_setting_gives_what_the_whole_gives(given: dict, photo, style) -> None:
    inputs = Inputs(tensor(photo), (tensor(style),))
    assert max(errors(inputs, mixture(photo, style), **given)) < 1e-6


@BOTH
def test_regions_styles_and_transparency_give_what_the_whole_gives(statistic: str, photo, style, other_style) -> None:
    drawn = (masks.soften(rectangle(3, 20, 3, 35), 6), rectangle(9, 33, 28, 64))
    inputs = Inputs(
        tensor(photo),
        (tensor(style, (32, 48)), tensor(other_style, (60, 29))),
        rectangle(0, 25, 0, 59),
        (None, rectangle(8, 60, 0, 23, (60, 29))),
        drawn,
    )
    image = mixture(photo, style)
    assert max(errors(inputs, image, statistic=statistic, total_variation=1.0)) < 1e-6
    one_for_all = dataclasses.replace(inputs, masks=drawn[:1])
    shallow = {"style_layers": {"relu1_1": 1.0, "relu3_1": 1.0}, "content_layers": {"relu2_2": 1.0}}
    assert max(errors(one_for_all, image, statistic=statistic, style_blend=(1, 3), **shallow)) < 1e-6


def test_most_tiles_may_lie_outside_the_mask(photo, style) -> None:
    """The first has the guide of relu5_1 empty everywhere. A covariance needs more positions than channels."""
    both, image = (tensor(photo), (tensor(style),)), mixture(photo, style)
    assert max(errors(Inputs(*both, masks=(rectangle(24, 33, 67, 75),)), image)) < 1e-6
    shallow = {"style_layers": {"relu1_1": 1.0, "relu2_1": 1.0}, "content_layers": {"relu2_1": 1.0}}
    inputs = Inputs(*both, masks=(rectangle(13, 33, 0, 36),))
    assert max(errors(inputs, image, statistic="wasserstein", **shallow)) < 1e-6


@pytest.mark.parametrize("tile_bytes", [0, 1e6, math.inf])
def test_every_tile_size_gives_the_same(tile_bytes: float, photo, style) -> None:
    """From tiles of one pooling cell to a single tile; some rows or columns are whole and some are not."""
    size = (33, 48)
    inputs = Inputs(tensor(photo, size), (tensor(style, size),))
    assert max(errors(inputs, tensor(style, size), tile_bytes=tile_bytes)) < 1e-6


def test_smaller_margin_would_show(photo, style, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each margin is as small as possible on the pooling grid: with one cell less the gradient changes."""
    size, tile_bytes = (21, 107), 4e5  # the third stretch needs the width
    assert tile_counts(size, Settings().layers, tile_bytes)[-1] > 1
    image, margin = mixture(photo, style, size), Stretch.margin.fget
    whole = whole_of(Inputs(tensor(photo, size), (tensor(style, size),)))
    tiled = TiledObjective(whole.extractor, whole.targets, whole.settings, tile_bytes)
    _, gradient = whole(image)
    for narrow in ("conv1_1", "conv3_1", "conv4_1"):

        def narrower(stretch: Stretch, narrow: str = narrow) -> int:
            return margin(stretch) - (stretch.ratios[stretch.names[-1]] if stretch.names[0] == narrow else 0)

        with monkeypatch.context() as patched:
            patched.setattr(Stretch, "margin", property(narrower))
            _, found = tiled(image)
            assert (found - gradient).norm() / gradient.norm() > 1e-4


def test_bfloat16_tiles_are_as_close_as_bfloat16_is(photo, style) -> None:
    inputs = Inputs(tensor(photo), (tensor(style),))
    whole, tiled = pair(inputs, dtype=torch.bfloat16)
    exact = whole_of(inputs, torch.float32)
    image = tensor(style).flip(-1)
    _, expected = exact(image)
    distance, rounding = ((objective(image)[1] - expected).norm() for objective in (tiled, whole))
    assert distance < 1.2 * rounding


def test_stretch_that_fits_is_computed_once(photo, style, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = Inputs(tensor(photo), (tensor(style),))
    _, tiled = pair(inputs, 1.5e6, torch.float32)
    counts = tile_counts(ODD, tiled.settings.layers, 1.5e6, itemsize=4)
    assert counts[0] > 1
    assert counts[-1] == 1
    ends = []
    through = FeatureExtractor.through
    monkeypatch.setattr(
        FeatureExtractor,
        "through",
        lambda self, x, names, see: (ends.append(names[-1]), through(self, x, names, see))[1],
    )
    tiled(tensor(style))
    assert ends.count("pool2") == 2 * counts[0]
    assert ends.count("relu5_1") == 1


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_is_called_in_any_mode_and_leaves_the_picture_alone(mode, photo, style) -> None:
    two_stretches = {"style_layers": {"relu3_1": 1.0}, "content_layers": {"relu2_2": 1.0}, "pooling": "average"}
    whole, tiled = pair(Inputs(tensor(photo), (tensor(style),)), dtype=torch.float32, **two_stretches)
    expected = whole(tensor(style))[1]
    with mode():
        image = tensor(style)
        before = image.clone()
        _, gradient = tiled(image)
        _, again = tiled(image)
    assert torch.equal(image, before)
    assert torch.equal(gradient, again)
    assert torch.allclose(gradient, expected, atol=1e-5 * expected.abs().max().item())
    assert not image.requires_grad
