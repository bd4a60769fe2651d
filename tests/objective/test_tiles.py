"""Tiles are held to the whole picture: the same terms, the same gradient.

In float64 behind the first convolution, which is always float32: so exact that rounding does not decide which of two
nearly equal activations a max pooling takes, as it now and then does in float32.
"""

import dataclasses
import itertools
import math

import hypothesis
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from nst import Settings
from nst.features.extractor import FeatureExtractor
from nst.images import masks, pictures
from nst.objective import tiles
from nst.objective.objective import Objective
from nst.objective.statistics import STATISTICS
from nst.objective.targets import Targets
from nst.objective.tile_passes import TilePasses
from nst.objective.tiled import TiledObjective
from nst.objective.tiles import Stretch, spans, stretches
from nst.scaled_pictures import Inputs
from nst.schedule import Level
from nst.settings import layer_names

ODD = (69, 107)  # neither side a multiple of any stride
SMALL = 2e6  # bytes a tile may remember: several tiles in every stretch of a picture of this size
BOTH = pytest.mark.parametrize("statistic", list(STATISTICS))


def tensor(picture: Image.Image, size: tuple[int, int] = ODD) -> Tensor:
    return pictures.to_tensor(picture.convert("RGB").resize(size[::-1]))


def mixture(photo: Image.Image, style: Image.Image, size: tuple[int, int] = ODD) -> Tensor:
    """As far from both as a picture is on its way."""
    return 0.6 * tensor(photo, size).flip(-1) + 0.4 * tensor(style, size)


def rectangle(top: int, bottom: int, left: int, right: int, size: tuple[int, int] = ODD) -> Tensor:
    mask = torch.zeros(1, 1, *size)
    mask[..., top:bottom, left:right] = 1
    return mask


def pair(inputs: Inputs, tile_bytes: float = SMALL, dtype: torch.dtype = torch.float64, **given: object) -> tuple:
    """The whole objective, which is the oracle, and the tiled one, whose targets are measured in tiles too."""
    chosen = Settings(size=64, **given)
    extractor = FeatureExtractor(chosen.layers, pooling=chosen.pooling, dtype=dtype, replicate_edges=True)
    level = Level(1, *inputs.size, 1)
    whole = Objective(extractor, Targets.of(inputs, extractor, chosen, level), chosen)
    targets = Targets.of(inputs, extractor, chosen, level, tile_bytes)
    return whole, TiledObjective(extractor, targets, chosen, tile_bytes)


def errors(inputs: Inputs, image: Tensor, **given: object) -> tuple[float, float]:
    """Largest relative error of a term, and that of the gradient (norms)."""
    (terms, gradient), (found, found_gradient) = (objective(image) for objective in pair(inputs, **given))
    of_terms = (found - terms).abs() / terms.abs().clamp(min=1e-9)
    return of_terms.max().item(), ((found_gradient - gradient).norm() / gradient.norm()).item()


def tile_counts(size: tuple[int, int], layers: tuple[str, ...], tile_bytes: float, itemsize: int = 8) -> list[int]:
    path = FeatureExtractor(layers).path
    return [
        len(stretch.tiles([side // stretch.stride for side in size], tile_bytes, itemsize))
        for stretch in stretches(path)
    ]


@BOTH
def test_in_float32_too(statistic: str, photo, style) -> None:
    """All but the few places where rounding decides a max pooling; average pooling has none."""
    inputs, image, given = Inputs(tensor(photo), (tensor(style),)), mixture(photo, style), {"statistic": statistic}
    of_average = errors(inputs, image, dtype=torch.float32, pooling="average", **given)
    assert max(of_average) < (1e-5 if statistic == "gram" else 1e-4)
    whole, tiled = pair(inputs, dtype=torch.float32, **given)
    (terms, gradient), (found, found_gradient) = whole(image), tiled(image)
    assert torch.allclose(found, terms, rtol=1e-5 if statistic == "gram" else 1e-4)
    far = (found_gradient - gradient).abs().amax(1) > 1e-5 * gradient.abs().max()
    assert far.float().mean() < 0.02


@pytest.mark.parametrize("size", [ODD, (64, 80), (16, 150)], ids=str)
def test_terms_and_gradient_are_those_of_the_whole(size: tuple[int, int], photo, style) -> None:
    inputs = Inputs(tensor(photo, size), (tensor(style, size),))
    assert max(errors(inputs, mixture(photo, style, size))) < 1e-6


def test_every_stretch_had_tiles_in_these_tests() -> None:
    assert min(tile_counts(ODD, Settings().layers, SMALL)) >= 2


@pytest.mark.parametrize(
    "given",
    [
        {"statistic": "wasserstein"},
        {"pooling": "average"},
        {"balance": False, "total_variation": 30.0},
        {"style_layers": {"relu1_2": 1.0}, "content_layers": {"conv1_1": 1.0}},  # ends before the first cut
        {"style_layers": {"pool2": 1.0, "pool3": 1.0}, "content_layers": {"pool2": 1.0}},  # the cuts themselves
        {"style_layers": {"conv5_4": 1.0, "pool5": 1.0, "relu3_2": 1.0}, "content_layers": {"relu2_2": 1, "pool5": 2}},
        {"beta": 0, "style_layers": {}},
    ],
    ids=lambda given: " ".join(f"{name}={value}" for name, value in given.items())[:60],
)
def test_every_setting_gives_what_the_whole_gives(given: dict, photo, style) -> None:
    inputs = Inputs(tensor(photo), (tensor(style),))
    assert max(errors(inputs, mixture(photo, style), **given)) < 1e-6


@BOTH
def test_regions_styles_and_transparency_give_what_the_whole_gives(statistic: str, photo, style, other_style) -> None:
    drawn = (masks.soften(rectangle(4, 40, 4, 50), 9), rectangle(20, 69, 40, 91))
    inputs = Inputs(
        tensor(photo),
        (tensor(style), tensor(other_style, (80, 60))),
        rectangle(0, 60, 0, 84),
        (None, rectangle(10, 80, 0, 50, (80, 60))),
        drawn,
    )
    image = mixture(photo, style)
    assert max(errors(inputs, image, statistic=statistic, total_variation=1.0)) < 1e-6
    one_for_all = dataclasses.replace(inputs, masks=drawn[:1])
    assert max(errors(one_for_all, image, statistic=statistic, style_blend=(1, 3))) < 1e-6


def test_most_tiles_may_lie_outside_the_mask(photo, style) -> None:
    """The first has one layer's guide empty everywhere. A covariance needs more positions than channels."""
    both, image = (tensor(photo), (tensor(style),)), mixture(photo, style)
    assert max(errors(Inputs(*both, masks=(rectangle(64, 69, 0, 12),)), image)) < 1e-6
    given = {"statistic": "wasserstein", "style_layers": {"relu1_1": 1.0, "relu2_1": 1.0}}
    assert max(errors(Inputs(*both, masks=(rectangle(40, 69, 0, 50),)), image, **given)) < 1e-6


@pytest.mark.parametrize("tile_bytes", [0, 2e6, math.inf])
def test_every_tile_size_gives_the_same(tile_bytes: float, photo, style) -> None:
    """From tiles of one pooling cell to a single one, some stretches being whole and some not."""
    size = (49, 70)
    inputs = Inputs(tensor(photo, size), (tensor(style, size),))
    assert max(errors(inputs, tensor(style, size), tile_bytes=tile_bytes)) < 1e-6


def test_smaller_margin_would_show(photo, style, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each margin is as wide as needed, up to the pooling grid: one cell less and the gradient is another."""
    inputs = Inputs(tensor(photo), (tensor(style),))
    margin = Stretch.margin.fget
    for narrow in ("conv1_1", "conv3_1", "conv4_1"):

        def narrower(stretch: Stretch, narrow: str = narrow) -> int:
            return margin(stretch) - (stretch.ratios[stretch.names[-1]] if stretch.names[0] == narrow else 0)

        with monkeypatch.context() as patched:
            patched.setattr(Stretch, "margin", property(narrower))
            assert errors(inputs, mixture(photo, style))[1] > 1e-4


def test_bfloat16_tiles_are_as_close_as_bfloat16_is(photo, style) -> None:
    inputs = Inputs(tensor(photo), (tensor(style),))
    whole, tiled = pair(inputs, dtype=torch.bfloat16)
    exact, _ = pair(inputs, dtype=torch.float32)
    image = tensor(style).flip(-1)
    _, expected = exact(image)
    distance, rounding = ((objective(image)[1] - expected).norm() for objective in (tiled, whole))
    assert distance < 1.2 * rounding


def test_walk_shows_every_position_of_every_layer_once(photo) -> None:
    extractor = FeatureExtractor(layer_names(), replicate_edges=True)
    image = tensor(photo)
    expected = extractor(image)
    seen = {layer: torch.full_like(a, torch.nan) for layer, a in expected.items()}

    def see(layer: str, own: Tensor, place: tiles.Place) -> None:
        assert place.of(seen[layer]).isnan().all()
        place.of(seen[layer]).copy_(own)

    with torch.no_grad():
        TilePasses(extractor, SMALL).forward(image, see)
    for layer, whole in expected.items():
        assert torch.allclose(seen[layer], whole, rtol=1e-4, atol=1e-5 * whole.abs().max().item()), layer


def test_stretch_that_fits_is_computed_once(photo, style, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = Inputs(tensor(photo), (tensor(style),))
    _, tiled = pair(inputs, 4e6, torch.float32)
    counts = tile_counts(ODD, tiled.settings.layers, 4e6, itemsize=4)
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
    whole, tiled = pair(Inputs(tensor(photo), (tensor(style),)), dtype=torch.float32, pooling="average")
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


@given(st.integers(1, 700), st.integers(1, 300), st.integers(0, 90), st.sampled_from([1, 2, 4, 16]))
def test_spans_cover_a_side_once_with_their_margins(length: int, most: int, margin: int, align: int) -> None:
    found = spans(length, max(most, align), margin, align)
    assert [found[0].start, found[-1].end] == [0, length]
    assert all(one.end == next_one.start for one, next_one in itertools.pairwise(found))
    for span in found:
        assert span.first == 0 or span.first <= span.start - margin
        assert span.last == length or span.last >= span.end + margin
        assert span.first % align == 0
        assert span.last == length or span.last % align == 0
        assert span.end > span.start
        assert span.end - span.start < max(most, align) + 2 * align


@hypothesis.settings(deadline=None)
@given(st.integers(16, 3000), st.integers(16, 3000), st.floats(3e7, 1e9), st.sampled_from([2, 4]))
def test_tiles_remember_no_more_than_the_budget(height: int, width: int, budget: float, itemsize: int) -> None:
    for stretch in stretches(layer_names()):
        grid = height // stretch.stride, width // stretch.stride
        for tile in stretch.tiles(grid, budget, itemsize):
            seen = math.prod(span.last - span.first for span in (tile.down, tile.across))
            assert seen * stretch.bytes_per_px(itemsize) * stretch.stride**2 <= 1.3 * budget
