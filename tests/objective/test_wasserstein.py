import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nst.features.extractor import FeatureExtractor
from nst.images import pictures
from nst.objective import wasserstein
from nst.objective.wasserstein import Moments, blend, gaussian, inverse_root, moments, overlap, wasserstein_cost

LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
OF_ENERGY = 3e-3  # share of the energy: largest error of the truncated matrix root and its iterations


def activations(*shape: int, seed: int = 0) -> Tensor:
    """Correlated, shifted, with uneven variances: similar to activations."""
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn(*shape, generator=generator, dtype=torch.float64)
    mixing = torch.randn(shape[1], shape[1], generator=generator, dtype=torch.float64)
    mixed = torch.einsum("bkhw,km->bmhw", white, mixing / torch.arange(1, shape[1] + 1))
    return mixed + torch.rand(shape[1], 1, 1, generator=generator, dtype=torch.float64)


def scipy_cost(a_style: Tensor, a_generated: Tensor) -> float:
    """The formula of Dowson & Landau in float64, by eigenvalues."""
    flat = [a[0].detach().double().flatten(1).numpy() for a in (a_style, a_generated)]
    m_s, m_g = (x.mean(1) for x in flat)
    c_s, c_g = (np.cov(x, bias=True) for x in flat)
    variances, axes = scipy.linalg.eigh(c_s)  # `sqrtm` takes seconds for the 512 channels of a deep layer
    root = axes * np.sqrt(variances.clip(0)) @ axes.T
    overlap = np.sqrt(scipy.linalg.eigvalsh(root @ c_g @ root).clip(0)).sum()
    return float(((m_s - m_g) ** 2).sum() + np.trace(c_s + c_g) - 2 * overlap)


def exact_gradient(a_style: Tensor, a_generated: Tensor) -> Tensor:
    """By autograd through eigenvalues: the trace of the root is the sum of singular values of the centred product."""
    style = a_style[0].double().flatten(1)
    a = a_generated.double().detach().requires_grad_()
    generated = a[0].flatten(1)
    s, g = (x - x.mean(1, keepdim=True) for x in (style, generated))
    values = torch.linalg.svdvals(s.T @ g) if min(s.shape[1], g.shape[1]) < 600 else _values_by_root(s, g)
    overlap = values.sum() / (s.shape[1] * g.shape[1]) ** 0.5
    shift = (style.mean(1) - generated.mean(1)).square().sum()
    return torch.autograd.grad(shift + g.square().sum() / g.shape[1] - 2 * overlap, a)[0]


def _values_by_root(s: Tensor, g: Tensor) -> Tensor:
    variances, axes = torch.linalg.eigh(s @ s.T)
    root = (axes * variances.clamp(min=0).sqrt()).T  # same s^T s up to a rotation
    return torch.linalg.svdvals(root @ g)


def cost(a_style: Tensor, a_generated: Tensor) -> Tensor:
    return wasserstein_cost(gaussian(moments(a_style)), moments(a_generated))


def energy(a: Tensor) -> float:
    return float(gaussian(moments(a)).energy)


@pytest.fixture(scope="module")
def real(photo: Image.Image, style: Image.Image) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Activations of style and photo at 64 px: 4 x 4 positions for the 512 channels of relu5_1."""
    extractor = FeatureExtractor(LAYERS, replicate_edges=True)
    both = (pictures.to_tensor(picture.resize((64, 64))) for picture in (style, photo))
    first, second = (extractor(picture) for picture in both)
    return first, second


def test_one_channel_is_the_closed_form() -> None:
    a, b = 3 + 2 * activations(1, 1, 8, 9, seed=1), activations(1, 1, 5, 6, seed=2)
    means, deviations = (a.mean() - b.mean()) ** 2, (a.std(correction=0) - b.std(correction=0)) ** 2
    assert cost(a, b).item() == pytest.approx((means + deviations).item(), rel=1e-5)


def test_commuting_covariances_are_the_closed_form() -> None:
    axes = torch.linalg.qr(activations(1, 1, 6, 6, seed=1)[0, 0]).Q
    s, g = (torch.tensor([values], dtype=torch.float64) for values in ([9, 4, 1, 1, 1, 2.0], [1, 4, 16, 1, 25, 3.0]))
    mean = torch.zeros(1, 6, dtype=torch.float64)
    target, generated = (Moments(mean, (axes * values) @ axes.T[None]) for values in (s, g))
    expected = (s.sqrt() - g.sqrt()).square().sum().item()
    assert wasserstein_cost(gaussian(target), generated).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("positions", "others"), [(40, 30), (40, 5), (5, 40), (3, 4), (1, 20), (20, 1)])
def test_cost_is_scipy_s_with_many_and_few_positions(positions: int, others: int) -> None:
    a, b = activations(1, 16, 2, positions, seed=1), activations(1, 16, 1, others, seed=2)
    expected, tolerance = scipy_cost(a, b), OF_ENERGY * energy(a)
    assert cost(a, b).item() == pytest.approx(expected, abs=tolerance)
    assert cost(a.float(), b.float()).item() == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("layer", LAYERS)
def test_cost_of_real_activations_is_scipy_s(layer: str, real) -> None:
    style, photo = (activations[layer] for activations in real)
    assert cost(style, photo).item() == pytest.approx(scipy_cost(style, photo), abs=OF_ENERGY * energy(style))
    narrow = cost(style.bfloat16(), photo.bfloat16())
    assert narrow.dtype == torch.float32
    assert narrow.item() == pytest.approx(scipy_cost(style, photo), rel=0.01)


@pytest.mark.parametrize("layer", LAYERS)
def test_gradient_for_real_activations_is_the_exact_one_s(layer: str, real) -> None:
    style, photo = (activations[layer] for activations in real)
    a = photo.clone().requires_grad_()
    (found,) = torch.autograd.grad(cost(style, a), a)
    expected = exact_gradient(style, photo)
    assert F.cosine_similarity(found.double().flatten(), expected.flatten(), dim=0) > 0.99
    assert found.norm().item() == pytest.approx(expected.norm().item(), rel=0.02)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cost_of_equal_pictures_is_under_a_thousandth_of_the_energy(layer: str, dtype: torch.dtype, real) -> None:
    style = real[0][layer].to(dtype)
    assert 0 <= cost(style, style).item() < 1e-3 * energy(style)


def test_cost_is_symmetric() -> None:
    a, b = activations(1, 12, 5, 6, seed=1), 2 * activations(1, 12, 4, 9, seed=2)
    assert cost(a, b).item() == pytest.approx(cost(b, a).item(), abs=OF_ENERGY * max(energy(a), energy(b)))
    assert cost(a, b) > 0.1 * energy(a)


def test_cost_ignores_the_order_and_the_number_of_positions() -> None:
    a, b = activations(1, 5, 6, 7, seed=1), activations(1, 5, 4, 4, seed=2)
    shuffled = b.flatten(2)[..., torch.randperm(16, generator=torch.Generator().manual_seed(0))].view_as(b)
    assert cost(a, shuffled.repeat(1, 1, 3, 2)).item() == pytest.approx(cost(a, b).item(), rel=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1e-2, 1e5])
def test_cost_scales_as_the_square_of_the_activations(scale: float) -> None:
    a, b = activations(1, 16, 5, 6, seed=1).float(), activations(1, 16, 4, 9, seed=2).float()
    assert cost(scale * a, scale * b).item() == pytest.approx(scale**2 * cost(a, b).item(), rel=1e-3)


def test_cost_of_a_batch_is_the_sum_of_its_pictures() -> None:
    a, b = activations(2, 6, 5, 6, seed=1), activations(2, 6, 4, 9, seed=2)
    apart = sum(cost(a[i : i + 1], b[i : i + 1]).item() for i in range(2))
    assert cost(a, b).item() == pytest.approx(apart, abs=OF_ENERGY * energy(a))


@pytest.mark.parametrize("layer", ["relu1_1", "relu5_1"])
def test_cost_of_no_activation_is_the_energy(layer: str, real) -> None:
    style = real[0][layer]
    a = torch.zeros_like(style).requires_grad_()
    found = cost(style, a)
    (gradient,) = torch.autograd.grad(found, a)
    assert found.item() == pytest.approx(energy(style), rel=0.005)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("style_value", [0.0, 0.7])
def test_flat_style_has_no_spread_to_match(style_value: float) -> None:
    style = torch.full((1, 4, 3, 3), style_value)
    a = activations(1, 4, 5, 5, seed=1).float().requires_grad_()
    found = cost(style, a)
    (gradient,) = torch.autograd.grad(found, a)
    assert found.item() == pytest.approx((a.detach() - style_value).square().sum(1).mean().item(), rel=1e-5)
    assert torch.allclose(gradient, 2 * (a.detach() - style_value) / 25, atol=1e-6)


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_large_mean_without_contrast_does_no_harm(dtype: torch.dtype, guided: bool) -> None:
    # Rounding of a mean square, or of guided activations, is larger than this variance.
    generator = torch.Generator().manual_seed(0)
    level = 1000 * torch.rand(1, 64, 1, 1, generator=generator)
    style = activations(1, 64, 9, 9, seed=1).float()
    a = (level + 1e-3 * torch.randn(1, 64, 96, 97, generator=generator)).to(dtype).requires_grad_()
    guide = 0.1 + 0.9 * torch.rand(1, 1, 96, 97, generator=generator) if guided else None
    target = gaussian(moments(style))
    found = wasserstein_cost(target, moments(a, guide))
    (gradient,) = torch.autograd.grad(found, a)
    apart = (target.mean - a.detach().double().mean((2, 3))).square().sum().item()
    assert found.item() == pytest.approx(apart, rel=1e-3)
    assert gradient.isfinite().all()


def test_generated_spread_across_the_style_s_directions_overlaps_nothing() -> None:
    a, b = torch.zeros(1, 8, 5, 6), torch.zeros(1, 8, 5, 6)
    a[:, :4], b[:, 4:] = (activations(1, 4, 5, 6, seed=seed).float() for seed in (1, 2))
    x = b.requires_grad_()
    found = cost(a, x)
    (gradient,) = torch.autograd.grad(found, x)
    assert found.item() == pytest.approx(scipy_cost(a, b), abs=OF_ENERGY * energy(a))
    assert gradient.isfinite().all()


@pytest.mark.parametrize("seed", range(8))
def test_products_that_are_all_rounding_have_a_root(seed: int) -> None:
    axes = torch.linalg.qr(activations(1, 1, 64, 64, seed=seed)[0, 0]).Q
    a, b = torch.zeros(1, 64, 5, 6), torch.zeros(1, 64, 2, 3)
    a[:, 1:], b[:, 0] = activations(1, 63, 5, 6, seed=1).float(), 100 * activations(1, 1, 2, 3, seed=2)[0].float()
    style, x = (torch.einsum("km,bmhw->bkhw", axes.float(), one) for one in (a, b))
    x.requires_grad_()
    found = cost(style, x)
    (gradient,) = torch.autograd.grad(found, x)
    assert found.item() == pytest.approx(scipy_cost(style, x), rel=OF_ENERGY)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradient_without_contrast_is_that_of_the_mean_alone(dtype: torch.dtype) -> None:
    target = gaussian(moments(activations(1, 16, 9, 9).float()))
    a = torch.full((1, 16, 96, 97), 0.7).to(dtype).requires_grad_()
    (gradient,) = torch.autograd.grad(wasserstein_cost(target, moments(a)), a)
    expected = 2 * (a.detach().float() - target.mean[..., None, None]) / (96 * 97)
    assert (gradient - expected).norm() < 0.01 * expected.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradient_summed_over_positions_moves_the_mean_alone(dtype: torch.dtype) -> None:
    target = gaussian(moments(10 * activations(1, 16, 9, 9).float()))
    a = (activations(1, 16, 20, 20, seed=1) + 40.3).to(dtype).requires_grad_()  # bfloat16 rounds that mean by 0.05
    (gradient,) = torch.autograd.grad(wasserstein_cost(target, moments(a)), a)
    expected = 2 * (a.detach().float().mean((2, 3)) - target.mean)
    assert (gradient.float().sum((2, 3)) - expected).norm() < 0.01 * expected.norm()


def test_gradient_equals_finite_differences() -> None:
    target = gaussian(moments(activations(1, 3, 5, 6, seed=1)))
    a = activations(2, 3, 4, 5, seed=2)[:1].requires_grad_()
    guide = torch.rand(1, 1, 4, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for given in (None, guide):
        # The steps leave a ripple of 1e-7 on the cost, whose slope the formula does not follow.
        assert torch.autograd.gradcheck(
            lambda x, given=given: wasserstein_cost(target, moments(x, given)), a, atol=3e-4
        )


def test_gradient_of_the_overlap_equals_finite_differences() -> None:
    m, ridge = moments(activations(1, 4, 5, 6, seed=1)), torch.zeros(1, dtype=torch.float64)
    root = gaussian(moments(activations(1, 4, 5, 6, seed=2))).root[..., :3]
    symmetric = (m.covariance / 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda half: overlap(root, half + half.mT, ridge), symmetric)


def test_gradient_of_the_moments_equals_finite_differences() -> None:
    a = activations(2, 3, 4, 5).requires_grad_()
    guide = torch.rand(1, 1, 4, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for given in (None, guide):
        assert torch.autograd.gradcheck(lambda x, given=given: tuple(vars(moments(x, given)).values()), a)


def test_inverse_root_is_scipy_s() -> None:
    matrix = moments(activations(2, 8, 9, 10)).covariance + 1e-3 * torch.eye(8)
    expected = [np.linalg.inv(scipy.linalg.sqrtm(one)) for one in matrix.numpy()]
    assert np.allclose(inverse_root(matrix), expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_inverse_root_of_a_singular_matrix_stays_below_its_bound() -> None:
    matrix = torch.diag(torch.tensor([4.0, 1.0, 1e-9, 0.0]))[None]
    found = inverse_root(matrix)[0].diagonal()
    assert found[:2].tolist() == pytest.approx([0.5, 1.0], rel=1e-4)
    assert 1 < found[2] < 1e9**0.5
    assert found[2] <= found[3] < 1e5
    assert inverse_root(torch.zeros(1, 3, 3)).isfinite().all()


def test_moments_are_numpy_s() -> None:
    a = activations(1, 5, 70, 80)  # more positions than are summed at once
    m, rows = moments(a), a[0].flatten(1).numpy()
    assert np.allclose(m.mean[0], rows.mean(1), rtol=1e-9)
    assert np.allclose(m.covariance[0], np.cov(rows, bias=True), rtol=1e-9)
    weights = np.random.default_rng(0).random((70, 80))
    guided = moments(a, torch.from_numpy(weights)[None, None])
    assert np.allclose(guided.mean[0], np.average(rows, axis=1, weights=weights.ravel() ** 2), rtol=1e-9)
    assert np.allclose(guided.covariance[0], np.cov(rows, aweights=weights.ravel() ** 2, bias=True), rtol=1e-9)


def test_covariance_of_bfloat16_is_positive_semi_definite() -> None:
    a = (activations(1, 48, 80, 80) + 30).bfloat16()
    eigenvalues = torch.linalg.eigvalsh(moments(a, torch.rand(1, 1, 80, 80)).covariance[0].double())
    assert eigenvalues[0] > -1e-7 * eigenvalues[-1]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_guide_of_ones_is_no_guide_and_of_zeros_and_ones_a_crop(dtype: torch.dtype) -> None:
    a = activations(2, 5, 6, 7).to(dtype)
    guide = torch.zeros(1, 1, 6, 7)
    guide[..., :4, 2:] = 1
    pairs = [(torch.ones_like(guide), a), (0.5 * guide, a[..., :4, 2:])]
    for given, part in pairs:
        found, expected = moments(a, given), moments(part)
        assert torch.allclose(found.mean, expected.mean, rtol=1e-5)
        assert torch.allclose(found.covariance, expected.covariance, rtol=1e-5, atol=1e-6)


def test_empty_guide_gives_zeros_and_no_gradient() -> None:
    a = activations(1, 5, 6, 7).float().requires_grad_()
    m = moments(a, torch.zeros(1, 1, 6, 7))
    (gradient,) = torch.autograd.grad(wasserstein_cost(gaussian(moments(a.detach())), m), a)
    assert not m.mean.any()
    assert not m.covariance.any()
    assert not gradient.any()


def test_blend_is_the_distribution_of_all_positions_together() -> None:
    a, b = activations(1, 5, 6, 10, seed=1), 3 + activations(1, 5, 6, 5, seed=2)
    found, expected = blend([moments(a), moments(b)], [4, 2]), moments(torch.cat([a, b], dim=-1))
    assert torch.allclose(found.mean, expected.mean, rtol=1e-9)
    assert torch.allclose(found.covariance, expected.covariance, rtol=1e-9)


def test_blend_with_one_weight_is_that_picture_to_the_bit() -> None:
    parts = [moments(activations(1, 5, 6, 7, seed=seed).float()) for seed in (1, 2)]
    for weights, part in (((3, 0), parts[0]), ((0, 0.1), parts[1])):
        found = blend(parts, weights)
        assert torch.equal(found.mean, part.mean)
        assert torch.equal(found.covariance, part.covariance)


def test_root_keeps_the_largest_directions_of_the_covariance(real) -> None:
    for layer in LAYERS:
        m = moments(real[0][layer])
        root = gaussian(m).root
        variance = torch.linalg.eigvalsh(m.covariance.double()).clamp(min=0).flip(-1)
        kept = root.square().sum()
        assert (kept / variance.sum()).item() + 1e-6 >= wasserstein.KEPT
        assert kept.item() == pytest.approx(variance[0, : root.shape[-1]].sum().item(), rel=1e-4)
        positions = real[0][layer].shape[-2] * real[0][layer].shape[-1]
        assert root.shape[-1] < min(positions, m.mean.shape[-1])
