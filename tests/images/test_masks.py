import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nst.features.extractor import FeatureExtractor
from nst.images import masks
from nst.settings import layer_names


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def rectangle(height: int, width: int, top: int, bottom: int, left: int, right: int) -> Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[..., top:bottom, left:right] = 1
    return mask


@settings(max_examples=25, deadline=None)
@given(height=st.integers(16, 70), width=st.integers(16, 70), poolings=st.integers(0, 4))
def test_guide_is_the_mean_over_each_whole_cell(height: int, width: int, poolings: int) -> None:
    """Computed block by block in numpy; rows and columns that do not fill a cell are dropped."""
    stride, mask = 2**poolings, noise(1, 1, height, width, seed=height)
    grid = height // stride, width // stride
    expected = np.empty(grid)
    for row, column in np.ndindex(grid):
        cell = np.s_[row * stride : (row + 1) * stride, column * stride : (column + 1) * stride]
        expected[row, column] = mask[0, 0].double().numpy()[cell].mean()
    found = masks.guide(mask, grid, stride)
    assert found.shape == (1, 1, *grid)
    assert np.allclose(found[0, 0], expected, atol=1e-6)


def test_guide_has_the_grid_of_every_layer_at_odd_sizes() -> None:
    layers = layer_names()
    extractor = FeatureExtractor(layers)
    for size in ((33, 63), (47, 40)):
        activations = extractor(torch.zeros(1, 3, *size))
        for layer in layers:
            grid = activations[layer].shape[-2:]
            assert masks.guide(torch.ones(1, 1, *size), grid, extractor.strides[layer]).shape[-2:] == grid


def test_guide_counts_nothing_in_the_dropped_border() -> None:
    border = 1 - rectangle(37, 41, 0, 32, 0, 32)
    assert masks.guide(border, (2, 2), 16).eq(0).all()
    assert masks.guide(border, (9, 10), 4)[0, 0, :8, :8].eq(0).all()
    assert masks.guide(border, (9, 10), 4)[0, 0, 8].eq(1).all()


@pytest.mark.parametrize("size", [(24, 31), (10, 9), (96, 124), (48, 20)], ids=str)
def test_resized_mask_stays_in_range_and_is_zero_and_one_away_from_its_edge(size: tuple[int, int]) -> None:
    """Lanczos or bicubic would overshoot there and change the photo outside of the mask."""
    mask = masks.resize(rectangle(48, 62, 12, 36, 0, 31), size)
    assert mask.shape == (1, 1, *size)
    assert mask.min() == 0
    assert 1 - 1e-6 < mask.max() < 1 + 1e-6
    y, x = (torch.arange(side) + 0.5 for side in size)
    reach = [max(1, full / side) * side / full for full, side in zip((48, 62), size, strict=True)]  # in new pixels
    outside = (y < size[0] / 4 - reach[0]) | (y > size[0] * 3 / 4 + reach[0])
    assert mask[0, 0, outside].eq(0).all()
    assert mask[..., x > size[1] / 2 + reach[1]].eq(0).all()
    inside = (y > size[0] / 4 + reach[0]) & (y < size[0] * 3 / 4 - reach[0])
    assert torch.allclose(mask[0, 0, inside][:, x < size[1] / 2 - reach[1]], torch.ones(()), atol=1e-6)
    assert inside.any()
    assert outside.any()


def test_resized_mask_keeps_its_share_of_the_picture() -> None:
    mask = noise(1, 1, 60, 84)
    for size in ((30, 42), (13, 17), (7, 60)):
        assert masks.resize(mask, size).mean().item() == pytest.approx(mask.mean().item(), abs=0.01)


def test_union_is_the_sum_up_to_one() -> None:
    a, b, c = (noise(1, 1, 5, 7, seed=seed) for seed in range(3))
    found = masks.union([a, b, c])
    assert np.allclose(found, np.minimum(a.numpy() + b.numpy() + c.numpy(), 1), atol=1e-6)
    assert found.max() == 1
    assert torch.equal(masks.union([a]), a)


def test_both_is_the_product_and_none_is_everywhere() -> None:
    a, b = noise(1, 1, 5, 7), noise(1, 1, 5, 7, seed=1)
    assert np.allclose(masks.both(a, b), a.numpy() * b.numpy())
    assert masks.both(a, None) is a
    assert masks.both(None, b) is b
    assert masks.both(None, None) is None


@pytest.mark.parametrize("edge_px", [0.5, 2.0, 6.5, 30.0])
@pytest.mark.parametrize("size", [(40, 57), (17, 90)], ids=str)
def test_soft_edge_is_scipy_s_gaussian(edge_px: float, size: tuple[int, int]) -> None:
    mask = (noise(1, 1, *size) > 0.7).float()
    reach = int(np.ceil(3 * edge_px / 4))
    expected = scipy.ndimage.gaussian_filter(mask[0, 0].double().numpy(), edge_px / 4, mode="nearest", radius=reach)
    found = masks.soften(mask, edge_px)
    assert found.shape == mask.shape
    assert np.allclose(found[0, 0], expected, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 50), width=st.integers(1, 50), edge_px=st.floats(0, 60))
def test_softening_keeps_range_symmetry_and_what_is_flat(height: int, width: int, edge_px: float) -> None:
    mask = noise(1, 1, height, width).round()
    soft = masks.soften(mask, edge_px)
    assert soft.shape == mask.shape
    assert 0 <= soft.min() <= soft.max() <= 1
    for dims in ((-1,), (-2,), (-2, -1)):
        assert torch.allclose(masks.soften(mask.flip(dims), edge_px), soft.flip(dims), atol=1e-5)
    assert torch.allclose(masks.soften(mask.mT, edge_px), soft.mT, atol=1e-5)
    for value in (0.0, 0.4, 1.0):
        assert torch.allclose(masks.soften(torch.full_like(mask, value), edge_px), torch.tensor(value), atol=1e-5)


def test_softening_keeps_the_area_and_is_zero_far_away() -> None:
    mask = rectangle(60, 80, 20, 40, 30, 50)
    soft = masks.soften(mask, 8)  # reaches 6 px
    assert soft.sum().item() == pytest.approx(mask.sum().item(), rel=1e-5)
    assert (soft * (1 - rectangle(60, 80, 14, 46, 24, 56))).eq(0).all()
    assert soft[0, 0, 26:34, 36:44].min() > 1 - 1e-6


@pytest.mark.parametrize("edge_px", [4, 10, 24])
def test_edge_is_as_wide_as_asked(edge_px: int) -> None:
    """95 % of the change from 0 to 1 lies within `edge_px`."""
    row = masks.soften(rectangle(100, 100, 0, 100, 50, 100), edge_px)[0, 0, 50]
    assert (row.diff() >= 0).all()
    change = row[50 + edge_px // 2] - row[50 - edge_px // 2]
    assert 0.93 < change < 0.99
    assert row[49] + row[50] == pytest.approx(1, abs=1e-5)  # the edge stays where it was drawn


@pytest.mark.parametrize("edge_px", [0, 1e-300, 1e-30, 1e-3])
def test_no_edge_or_next_to_none_leaves_the_mask_alone(edge_px: float) -> None:
    mask = noise(1, 1, 9, 8)
    assert torch.equal(masks.soften(mask, edge_px), mask)


def test_composition_has_the_photo_s_very_numbers_where_the_mask_is_zero() -> None:
    painted, photo = noise(1, 3, 20, 30).sqrt(), noise(1, 3, 20, 30, seed=1).sqrt()  # with all bits of the mantissa
    mask = masks.soften(rectangle(20, 30, 5, 15, 8, 20), 3)
    found, zero = masks.compose(painted, photo, mask), (mask == 0).expand_as(photo)
    assert 0 < zero.sum() < zero.numel()
    assert torch.equal(found[zero], photo[zero])
    expected = mask.double() * painted + (1 - mask.double()) * photo
    assert np.allclose(found, expected, atol=1e-6)
    assert torch.equal(masks.compose(painted, photo, None), painted)
