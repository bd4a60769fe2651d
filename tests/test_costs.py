import numpy as np
import pytest
import torch
from torch import Tensor

from nst import costs


def activations(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_style_matrix_by_hand() -> None:
    a = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, -1.0]]]])
    assert costs.style_matrix(a).tolist() == [[[30.0, -2.0], [-2.0, 2.0]]]


def test_style_matrix_is_the_sum_of_the_formula() -> None:
    a = activations(2, 3, 4, 5)
    expected = np.zeros((2, 3, 3))
    for b, k, m, i, j in np.ndindex(2, 3, 3, 4, 5):
        expected[b, k, m] += a[b, k, i, j] * a[b, m, i, j]
    assert np.allclose(costs.style_matrix(a), expected, rtol=1e-12)


def test_style_matrix_subtracts_no_mean() -> None:
    assert costs.style_matrix(torch.ones(1, 2, 3, 3)).tolist() == [[[9.0, 9.0], [9.0, 9.0]]]


def test_style_matrix_ignores_pixel_order() -> None:
    a = activations(1, 5, 6, 7)
    order = torch.randperm(42, generator=torch.Generator().manual_seed(1))
    shuffled = a.flatten(2)[..., order].unflatten(2, (6, 7))
    assert torch.allclose(costs.style_matrix(shuffled), costs.style_matrix(a), rtol=1e-12)


def test_style_matrix_is_symmetric_and_positive_semi_definite() -> None:
    matrix = costs.style_matrix(activations(1, 12, 3, 2))[0]  # 12 channels, 6 positions: rank 6
    assert torch.equal(matrix, matrix.T)
    eigenvalues = torch.linalg.eigvalsh(matrix)
    assert eigenvalues.min() > -1e-10
    assert (eigenvalues > 1e-8).sum() == 6


def test_style_matrix_of_a_channels_last_tensor_is_the_same() -> None:
    a = activations(1, 5, 6, 7)
    striding = a.contiguous(memory_format=torch.channels_last)
    assert torch.allclose(costs.style_matrix(striding), costs.style_matrix(a), rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_sums_of_thousands_of_narrow_products_are_float32(dtype: torch.dtype) -> None:
    a = (activations(1, 4, 96, 96) * 30).to(dtype)  # the sums are past the largest float16
    matrix = costs.style_matrix(a)
    assert matrix.dtype == torch.float32
    assert torch.allclose(matrix.double(), costs.style_matrix(a.double()), rtol=1e-4, atol=1)


def test_bfloat16_style_matrix_is_float32_and_off_by_a_rounding_at_most() -> None:
    a = (activations(1, 4, 96, 96) * 30).bfloat16()
    matrix, exact = costs.style_matrix(a), costs.style_matrix(a.double())
    assert matrix.dtype == torch.float32
    assert (matrix - exact).abs().max() < 2**-8 * exact.max()  # products are exact: only their sum may be rounded


@pytest.mark.parametrize("cost", [costs.style_layer_cost, costs.content_cost])
def test_cost_of_bfloat16_activations_is_float32_and_close(cost) -> None:
    a, b = activations(1, 4, 20, 20, seed=1).bfloat16(), (2 * activations(1, 4, 20, 20, seed=2)).bfloat16()
    assert cost(a, b).dtype == torch.float32
    assert cost(a, b).item() == pytest.approx(cost(a.double(), b.double()).item(), rel=0.02)


def test_style_layer_cost_by_hand() -> None:
    a_style = torch.tensor([[[[1.0, 2.0]]]])  # one channel, two positions: G = 5
    a_generated = torch.tensor([[[[3.0, 1.0]]]])  # G = 10
    assert costs.style_layer_cost(a_style, a_generated).item() == pytest.approx((5 - 10) ** 2 / (2 * 1 * 2 * 1) ** 2)


def test_style_layer_cost_is_the_formula() -> None:
    a_style, a_generated = activations(1, 3, 4, 5, seed=1), activations(1, 3, 4, 5, seed=2)
    g_style, g_generated = (np.einsum("kij,mij->km", a[0], a[0]) for a in (a_style, a_generated))
    expected = ((g_style - g_generated) ** 2).sum() / (2 * 4 * 5 * 3) ** 2
    assert costs.style_layer_cost(a_style, a_generated).item() == pytest.approx(expected, rel=1e-12)


def test_style_layer_cost_divides_each_matrix_by_its_own_positions() -> None:
    a_style, a_generated = activations(1, 3, 8, 2, seed=1), activations(1, 3, 5, 7, seed=2)
    g_style, g_generated = (np.einsum("kij,mij->km", a[0], a[0]) for a in (a_style, a_generated))
    expected = ((g_style / 16 - g_generated / 35) ** 2).sum() / (2 * 3) ** 2
    assert costs.style_layer_cost(a_style, a_generated).item() == pytest.approx(expected, rel=1e-12)


def test_style_layer_cost_of_a_tiled_activation_is_zero() -> None:
    a = activations(1, 6, 4, 5)
    assert costs.style_layer_cost(a, a.repeat(1, 1, 3, 2)).item() < 1e-25


@pytest.mark.parametrize("cost", [costs.style_layer_cost, costs.content_cost])
def test_cost_is_symmetric_and_zero_for_equal_input(cost) -> None:
    a, b = activations(1, 3, 4, 5, seed=1), activations(1, 3, 4, 5, seed=2)
    assert cost(a, b).item() == pytest.approx(cost(b, a).item(), rel=1e-12)
    assert cost(a, b) > 0
    assert cost(a, a.clone()) == 0


def test_style_cost_is_the_weighted_sum_over_its_layers() -> None:
    style = {"relu1_1": activations(1, 3, 8, 8, seed=1), "relu2_1": activations(1, 5, 4, 4, seed=2)}
    generated = {"relu1_1": activations(1, 3, 6, 6, seed=3), "relu2_1": activations(1, 5, 3, 3, seed=4)}
    generated["pool5"] = activations(1, 1, 1, 1)  # computed, but not asked for
    lambdas = {"relu1_1": 0.25, "relu2_1": 3.0}
    expected = sum(x * costs.style_layer_cost(style[layer], generated[layer]).item() for layer, x in lambdas.items())
    assert costs.style_cost(style, generated, lambdas).item() == pytest.approx(expected, rel=1e-12)


def test_style_cost_of_no_layer_is_zero() -> None:
    assert costs.style_cost({}, {}, {}) == 0


def test_content_cost_by_hand() -> None:
    a_content, a_generated = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[4.0, 0.0]]]])
    assert costs.content_cost(a_content, a_generated).item() == pytest.approx((9 + 4) / (4 * 1 * 2 * 1))


def test_content_cost_is_the_formula() -> None:
    a_content, a_generated = activations(1, 3, 4, 5, seed=1), activations(1, 3, 4, 5, seed=2)
    expected = sum((a_content[i] - a_generated[i]).item() ** 2 for i in np.ndindex(1, 3, 4, 5)) / (4 * 4 * 5 * 3)
    assert costs.content_cost(a_content, a_generated).item() == pytest.approx(expected, rel=1e-12)


def test_total_cost_by_hand() -> None:
    assert costs.total_cost(2.0, 3.0, alpha=5.0, beta=7.0) == 31.0
    assert costs.total_cost(torch.tensor(2.0), torch.tensor(3.0), 5.0, 7.0).item() == 31.0


def test_total_variation_by_hand() -> None:
    image = torch.tensor([[[[0.0, 1.0], [0.5, 0.5]]]]).expand(1, 3, 2, 2)
    assert costs.total_variation(image).item() == pytest.approx((0.25 + 0.25) / 2 + (1 + 0) / 2)


def test_total_variation_is_numpy_s_and_zero_for_a_flat_picture() -> None:
    image = activations(1, 3, 7, 9)
    down, across = np.diff(image.numpy(), axis=2), np.diff(image.numpy(), axis=3)
    assert costs.total_variation(image).item() == pytest.approx((down**2).mean() + (across**2).mean(), rel=1e-12)
    assert costs.total_variation(torch.full((1, 3, 4, 4), 0.3)) == 0


@pytest.mark.parametrize(
    "cost",
    [
        lambda a: costs.style_matrix(a),
        lambda a: costs.style_layer_cost(activations(1, 3, 5, 2, seed=9), a),
        lambda a: costs.content_cost(activations(1, 3, 3, 4, seed=9), a),
        lambda a: costs.style_cost({"l": activations(1, 3, 2, 2, seed=9)}, {"l": a}, {"l": 0.7}),
        costs.total_variation,
    ],
    ids=["style_matrix", "style_layer_cost", "content_cost", "style_cost", "total_variation"],
)
def test_gradient_equals_finite_differences(cost) -> None:
    a = activations(1, 3, 3, 4, seed=8).requires_grad_()
    assert torch.autograd.gradcheck(cost, a)


def test_content_cost_has_both_gradients() -> None:
    a, b = (activations(1, 3, 3, 4, seed=seed).requires_grad_() for seed in (8, 9))
    assert torch.autograd.gradcheck(costs.content_cost, (a, b))


@pytest.mark.parametrize("size", [(6, 7), (1, 1), (5, 3)], ids=str)
def test_guided_style_matrix_with_a_mask_of_ones_is_the_plain_one(size: tuple[int, int]) -> None:
    a = activations(1, 5, *size)
    plain = costs.mean_style_matrix(a)
    assert torch.equal(costs.mean_style_matrix(a, torch.ones(1, 1, *size, dtype=a.dtype)), plain)
    assert torch.allclose(costs.mean_style_matrix(a, torch.full((1, 1, *size), 0.3)), plain, rtol=1e-6)


def test_guided_style_matrix_of_a_zero_one_mask_is_that_of_the_selected_positions() -> None:
    a = activations(1, 5, 9, 11)
    selected = activations(9, 11, seed=1) > 0.5
    columns = a[0].numpy()[:, selected.numpy()]  # (C, P)
    found = costs.mean_style_matrix(a, selected.double().view(1, 1, 9, 11))[0]
    assert np.allclose(found, columns @ columns.T / columns.shape[1], rtol=1e-12)


def test_guided_style_matrix_counts_positions_by_the_square_of_the_guide() -> None:
    """Gatys et al. 2017, eq. 5: sum of T^2 F F^T / sum of T^2."""
    a, guide = activations(1, 4, 6, 7), activations(1, 1, 6, 7, seed=1).sigmoid()
    weights = (guide[0, 0] ** 2 / (guide**2).sum()).numpy()
    expected = np.einsum("ij,kij,mij->km", weights, a[0], a[0])
    assert np.allclose(costs.mean_style_matrix(a, guide)[0], expected, rtol=1e-12)


def test_guided_style_matrix_of_nothing_is_zero() -> None:
    matrix = costs.mean_style_matrix(activations(1, 4, 6, 7).float(), torch.zeros(1, 1, 6, 7))
    assert torch.equal(matrix, torch.zeros(1, 4, 4))


def test_guided_style_matrix_in_bfloat16_is_float32_and_close() -> None:
    a, guide = activations(1, 6, 24, 24), activations(1, 1, 24, 24, seed=1).sigmoid().float()
    found, exact = costs.mean_style_matrix(a.bfloat16(), guide), costs.mean_style_matrix(a, guide.double())
    assert found.dtype == torch.float32
    assert (found - exact).abs().max() < 2**-6 * exact.max()


def test_gradient_through_a_guide_equals_finite_differences_and_stays_inside_it() -> None:
    guide = torch.tensor([[1.0, 0.5, 0.0, 0.2], [0.0, 0.0, 1.0, 0.0], [0.3, 0.0, 0.0, 0.7]], dtype=torch.float64)
    target = costs.mean_style_matrix(activations(1, 3, 5, 2, seed=9))
    a = activations(1, 3, 3, 4, seed=8).requires_grad_()

    def cost(a: Tensor) -> Tensor:
        return costs.style_matrix_cost(target, costs.mean_style_matrix(a, guide.view(1, 1, 3, 4)))

    assert torch.autograd.gradcheck(cost, a)
    (gradient,) = torch.autograd.grad(cost(a), a)
    assert torch.equal(gradient[0].abs().sum(0) > 0, guide > 0)


def test_style_matrix_cost_is_the_formula() -> None:
    a, b = activations(1, 4, 4, seed=1), activations(1, 4, 4, seed=2)
    assert costs.style_matrix_cost(a, b).item() == pytest.approx(((a - b) ** 2).sum().item() / (2 * 4) ** 2, rel=1e-12)


def test_blend_of_one_and_nothing_is_the_first_bit_for_bit() -> None:
    a, b = activations(1, 5, 5).float(), activations(1, 5, 5, seed=1).float()
    assert torch.equal(costs.blend([a, b], (1, 0)), a)
    assert torch.equal(costs.blend([b, a], (0, 0.3)), a)
    assert torch.equal(costs.blend([a, a], (0.5, 0.5)), a)
    assert torch.equal(costs.blend([a], (7,)), a)


def test_blend_is_numpy_s_weighted_average() -> None:
    matrices = [activations(1, 5, 5, seed=seed) for seed in range(3)]
    for weights in ((1, 2, 3), (0.1, 0.2, 0.3), (0, 5e-9, 1e-8)):
        expected = np.average(np.stack(matrices), axis=0, weights=weights)
        assert np.allclose(costs.blend(matrices, weights), expected, rtol=1e-12)


AT_ONCE = pytest.mark.parametrize("rows_at_once", [7, 1000])


def far_rows(dtype: torch.dtype = torch.float64) -> Tensor:
    """150 positions of 4 correlated channels, far from 0."""
    random = torch.Generator().manual_seed(0)
    mixed = torch.randn(1, 150, 4, generator=random, dtype=torch.float64) @ torch.randn(4, 4, generator=random).double()
    return (mixed + 300).to(dtype)


@AT_ONCE
def test_mean_and_covariance_are_numpy_s(rows_at_once: int) -> None:
    mean, covariance = costs.mean_and_covariance(far_rows(), None, torch.float64, rows_at_once)
    assert mean.shape == (1, 1, 4)
    assert np.allclose(mean[0, 0], far_rows()[0].mean(0))
    assert np.allclose(covariance[0], np.cov(far_rows()[0].numpy().T, bias=True))


@AT_ONCE
def test_shares_weigh_the_positions_of_mean_and_covariance(rows_at_once: int) -> None:
    weights = torch.rand(1, 150, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mean, covariance = costs.mean_and_covariance(far_rows(), weights / weights.sum(), torch.float64, rows_at_once)
    assert np.allclose(mean[0, 0], np.average(far_rows()[0], axis=0, weights=weights[0, :, 0]))
    assert np.allclose(covariance[0], np.cov(far_rows()[0].numpy().T, bias=True, aweights=weights[0, :, 0]))


def test_narrow_rows_far_from_zero_keep_their_variance() -> None:
    narrow = far_rows(torch.bfloat16)
    mean, covariance = costs.mean_and_covariance(narrow, None, torch.float32, 64)
    assert mean.dtype == covariance.dtype == torch.float32
    assert np.allclose(covariance[0], np.cov(narrow[0].double().numpy().T, bias=True), rtol=1e-3, atol=1e-3)


def test_style_matrix_of_bfloat16_sums_its_chunks_in_float32() -> None:
    """64 equal chunks: a sum of rounded sums would lose every one after the first few hundred."""
    rows = torch.rand(1, 8, 64, costs._SumOfOuterProducts.CHUNK, generator=torch.Generator().manual_seed(0)).bfloat16()
    exact = costs.style_matrix(rows.double())
    assert ((costs.style_matrix(rows) - exact).norm() / exact.norm()).item() < 1e-3
