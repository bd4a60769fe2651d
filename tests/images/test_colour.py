import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.linalg import sqrtm
from scipy.stats import wasserstein_distance
from torch import Tensor

from nst.images import colour

METHODS = list(colour.METHODS)
FORMS = list(colour.LINEAR_FORMS)
STATISTICAL = [method for method in METHODS if method != "luminance"]  # the pictures' sizes may differ


def picture(height: int, width: int, seed: int, spread: float = 0.5) -> Tensor:
    """Skewed, correlated colours around a random one, `spread` wide at most and well inside the gamut."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(3, height * width, generator=generator, dtype=torch.float64) ** 2 - 1 / 3
    mixing = torch.eye(3) + 0.8 * torch.rand(3, 3, generator=generator, dtype=torch.float64)
    centre = 0.45 + 0.1 * torch.rand(3, 1, generator=generator, dtype=torch.float64)
    colours = centre + spread * (mixing / mixing.abs().sum(1, keepdim=True)) @ values
    return colours.view(1, 3, height, width).float()


def noise(height: int, width: int, seed: int) -> Tensor:
    """Colours anywhere in the gamut, also on its faces."""
    values = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return (1.4 * values - 0.2).clamp(0, 1)


def flat(height: int, width: int, *rgb: float) -> Tensor:
    return torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1).expand(1, 3, height, width).contiguous()


def ramp(height: int, width: int) -> Tensor:
    return torch.linspace(0.2, 0.8, height * width).view(1, 1, height, width).repeat(1, 3, 1, 1)


def pixels(image: Tensor) -> np.ndarray:
    return image[0].flatten(1).double().numpy()  # (3, P)


def numpy_statistics(image: Tensor) -> tuple[np.ndarray, np.ndarray]:
    return pixels(image).mean(1), np.cov(pixels(image), bias=True)


def mapped(image: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    return torch.einsum("ij,bjhw->bihw", matrix, image.double()) + offset.view(1, 3, 1, 1)


def as_uint8(image: Tensor) -> np.ndarray:
    return (image[0].movedim(0, -1) * 255).round().byte().numpy()


# Luminance


def test_luminance_is_pillow_s() -> None:
    image = (noise(9, 11, seed=1) * 255).round() / 255
    grey = np.asarray(Image.fromarray(as_uint8(image)).convert("L"), dtype=float)
    assert np.abs(colour.luminance(image)[0, 0].numpy() * 255 - grey).max() <= 0.51  # Pillow rounds


@pytest.mark.parametrize("seed", range(3))
def test_kept_luminance_is_the_picture_s_also_at_the_gamut_s_edge(seed: int) -> None:
    image, photo = noise(20, 30, seed), noise(20, 30, seed + 100)
    result = colour.keep_luminance(image, photo)
    assert (colour.luminance(result) - colour.luminance(image)).abs().max() < 1e-4
    unlimited = photo + colour.luminance(image) - colour.luminance(photo)
    assert (unlimited.clamp(0, 1) - unlimited).abs().max() > 0.1  # some colours were outside of the gamut


def test_kept_luminance_has_the_photo_s_i_and_q_inside_the_gamut_and_its_hue_outside() -> None:
    i_and_q = np.array([[0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    image, photo = noise(40, 40, seed=1), noise(40, 40, seed=2)
    result = colour.keep_luminance(image, photo)
    wanted, got = i_and_q @ pixels(photo), i_and_q @ pixels(result)
    unlimited = pixels(photo) + pixels(colour.luminance(image)) - pixels(colour.luminance(photo))
    inside = ((unlimited >= 0) & (unlimited <= 1)).all(0)
    assert 100 < inside.sum() < 1500
    assert np.abs(got - wanted)[:, inside].max() < 1e-5
    share = np.linalg.norm(got, axis=0) / np.linalg.norm(wanted, axis=0).clip(1e-9)
    assert np.abs(got - share * wanted).max() < 1e-5
    assert share[~inside].max() < 1
    at_the_edge = np.minimum(pixels(result), 1 - pixels(result)).min(0)
    assert at_the_edge[~inside].max() < 1e-5  # no greyer than necessary


def test_luminance_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="5 x 4 px and 7 x 6 px"):
        colour.recolour(noise(4, 5, 1), noise(6, 7, 2), "luminance")


def test_luminance_style_is_grey_with_the_photo_s_mean_and_deviation() -> None:
    style, photo = picture(30, 20, seed=1), picture(25, 35, seed=2)
    result = colour.luminance_style(style, photo)
    assert result.shape == style.shape
    assert torch.equal(result[:, 0], result[:, 1])
    assert torch.equal(result[:, 0], result[:, 2])
    grey, wanted = result[:, 0].double(), colour.luminance(photo).double()
    assert grey.mean().item() == pytest.approx(wanted.mean().item(), abs=1e-5)
    assert grey.std(correction=0).item() == pytest.approx(wanted.std(correction=0).item(), abs=1e-5)


def test_luminance_style_of_one_colour_is_the_photo_s_mean() -> None:
    photo = picture(25, 35, seed=2)
    result = colour.luminance_style(flat(4, 5, 0.1, 0.9, 0.3), photo)
    assert torch.allclose(result, colour.luminance(photo).mean().expand_as(result), atol=1e-5)
    for level in np.linspace(0, 1, 20):  # rounding leaves the variance of some of these below zero
        level_style = colour.luminance_style(photo, flat(17, 13, level, level, level))
        assert torch.allclose(level_style, torch.tensor(float(level)), atol=1e-4)


# Linear matching


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_and_covariance_are_numpy_s(weighted: bool) -> None:
    image = noise(300, 301, seed=1)  # more than one chunk
    weights = torch.rand(1, 1, 300, 301, generator=torch.Generator().manual_seed(2)) if weighted else None
    share = weights.flatten().double().numpy() if weighted else None
    mean, covariance = colour.mean_and_covariance(image, weights)
    assert np.allclose(mean, np.average(pixels(image), axis=1, weights=share), atol=1e-12)
    assert np.allclose(covariance, np.cov(pixels(image), aweights=share, bias=True), atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", FORMS)
def test_linear_map_gives_the_photo_s_mean_and_covariance(form: str, seed: int) -> None:
    image, photo = picture(40, 50, seed), picture(30, 20, seed + 100)
    mean, covariance = numpy_statistics(mapped(image, *colour.linear_map(image, photo, form)))
    wanted_mean, wanted_covariance = numpy_statistics(photo)
    assert np.abs(mean - wanted_mean).max() < 1e-6
    assert np.abs(covariance - wanted_covariance).max() < 1e-6
    assert np.abs(covariance - numpy_statistics(image)[1]).max() > 1e-3  # the colours differed before


@pytest.mark.parametrize("form", FORMS)
def test_linear_map_is_exact_for_pale_pictures_too(form: str) -> None:
    image, photo = (ramp(40, 50) + 0.005 * seed * (noise(40, 50, seed) - 0.5) for seed in (1, 2))
    _, covariance = numpy_statistics(mapped(image, *colour.linear_map(image, photo, form)))
    _, wanted = numpy_statistics(photo)
    assert np.linalg.eigvalsh(wanted)[0] < 0.005**2  # a deviation of about one 8-bit step
    assert np.abs(covariance - wanted).max() < 1e-8


@pytest.mark.parametrize("form", FORMS)
def test_recoloured_picture_has_the_photo_s_mean_and_covariance_when_nothing_is_clipped(form: str) -> None:
    image, photo = picture(40, 50, seed=1), picture(30, 20, seed=2, spread=0.25)
    mean, covariance = numpy_statistics(colour.recolour(image, photo, form))
    wanted_mean, wanted_covariance = numpy_statistics(photo)
    assert np.abs(mean - wanted_mean).max() < 1e-4
    assert np.abs(covariance - wanted_covariance).max() < 1e-4


def test_linear_forms_are_scipy_s_and_numpy_s() -> None:
    image, photo = picture(40, 50, seed=3), picture(30, 20, seed=4)
    source, target = numpy_statistics(image)[1], numpy_statistics(photo)[1]
    root = sqrtm(source)
    inverse_root = np.linalg.inv(root)
    oracles = {
        "cholesky": np.linalg.cholesky(target) @ np.linalg.inv(np.linalg.cholesky(source)),
        "pca": sqrtm(target) @ inverse_root,
        "symmetric": inverse_root @ sqrtm(root @ target @ root) @ inverse_root,
    }
    assert set(oracles) == set(FORMS)
    for form, matrix in oracles.items():
        assert np.allclose(colour.linear_map(image, photo, form)[0], matrix, atol=1e-5), form


def test_symmetric_form_is_symmetric_and_moves_colours_least() -> None:
    image, photo = picture(40, 50, seed=5), picture(30, 20, seed=6)
    matrix, _ = colour.linear_map(image, photo, "symmetric")
    assert torch.allclose(matrix, matrix.T, atol=1e-12)
    maps = {form: colour.linear_map(image, photo, form) for form in FORMS}
    moved = {form: (mapped(image, *maps[form]) - image).square().mean().item() for form in FORMS}
    assert moved["symmetric"] < min(moved["cholesky"], moved["pca"])


@pytest.mark.parametrize("method", STATISTICAL)
def test_noise_of_a_nearly_grey_picture_is_amplified_no_more_than_the_limit(method: str) -> None:
    grain = 0.004 * (noise(64, 64, seed=1) - 0.5)
    for image in (flat(64, 64, 0.5, 0.5, 0.5) + grain, ramp(64, 64) + grain):
        result = colour.recolour(image, noise(50, 40, seed=2), method)
        rise, result_rise = (x.double().diff(dim=-1).square().sum(1).sqrt() for x in (image, result))
        assert (result_rise / rise).max() < 1.01 * np.sqrt(3) * colour.MAX_GAIN  # a curve on each of three axes
        assert result_rise.square().mean().sqrt() < 1.01 * colour.MAX_GAIN * rise.square().mean().sqrt()


@pytest.mark.parametrize("form", FORMS)
def test_gain_is_limited_for_every_form_and_reached_only_where_needed(form: str) -> None:
    pale = ramp(64, 64) + 0.01 * (noise(64, 64, seed=1) - 0.5)
    matrix, _ = colour.linear_map(pale, noise(50, 40, seed=2), form)
    assert colour.MAX_GAIN / 2 < torch.linalg.matrix_norm(matrix, 2) <= colour.MAX_GAIN


def test_grey_ramp_takes_the_photo_s_main_colours() -> None:
    photo = torch.cat([flat(5, 5, 0.1, 0.2, 0.5), flat(5, 5, 0.9, 0.7, 0.4)], dim=-1)  # dark blue, light orange
    result = colour.recolour(ramp(8, 8), photo, "symmetric")
    dark, light = result[0, :, 0, 0], result[0, :, -1, -1]
    assert dark[2] > dark[0] + 0.1
    assert light[0] > light[2] + 0.1


@pytest.mark.parametrize("method", ["symmetric", "histogram"])
def test_two_colours_become_the_other_two(method: str) -> None:
    image = torch.cat([flat(4, 4, 0.3, 0.3, 0.4), flat(4, 4, 0.6, 0.7, 0.5)], dim=-1)
    photo = torch.cat([flat(6, 3, 0.1, 0.2, 0.5), flat(6, 3, 0.9, 0.7, 0.4)], dim=-1)
    result = colour.recolour(image, photo, method)
    wanted = torch.cat([flat(4, 4, 0.1, 0.2, 0.5), flat(4, 4, 0.9, 0.7, 0.4)], dim=-1)
    assert torch.allclose(result, wanted, atol=2e-3)


# Histograms


@pytest.mark.parametrize("positions", [(1, 1), (30, 40)], ids=["one size", "another size"])
def test_quantile_curve_is_numpy_s_quantiles(positions: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    source = torch.rand(1, 90, 100, generator=generator) ** 1.5
    target = 0.2 + 0.7 * torch.rand(1, 89 + positions[0], 99 + positions[1], generator=generator) ** 1.2
    x, y = colour.quantile_curve(source, target, steepest=1e3)
    levels = np.linspace(0.01, 0.99, 50)
    got = np.interp(np.quantile(source.numpy(), levels), x.numpy(), y.numpy())
    assert np.abs(got - np.quantile(target.numpy(), levels)).max() < 2e-3
    assert (y.diff() >= 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_histogram_gives_the_photo_s_distribution_along_its_axes(seed: int) -> None:
    image, photo = picture(80, 90, seed), picture(100, 70, seed + 100)
    linear, result = (colour.recolour(image, photo, method) for method in ("symmetric", "histogram"))
    _, axes = np.linalg.eigh(numpy_statistics(photo)[1])
    for axis in axes.T:
        deviation = (axis @ pixels(photo)).std()
        far, near = (wasserstein_distance(axis @ pixels(x), axis @ pixels(photo)) for x in (linear, result))
        assert near < 0.02 * deviation
        assert near < far


def test_gap_in_the_photo_s_histogram_does_not_posterise() -> None:
    photo = torch.cat([ramp(40, 40) * 0.2, 0.8 + ramp(40, 40) * 0.2], dim=-1)  # black and white, nothing between
    result = colour.recolour(ramp(64, 64), photo, "histogram")
    steps = result[0, 0].flatten().diff()
    assert steps.min() >= -1e-6
    assert steps.max() <= 1.01 * colour.MAX_GAIN * ramp(64, 64)[0, 0].flatten().diff().max()
    assert ((result > 0.3) & (result < 0.7)).any()


def test_curve_treats_dark_and_light_alike() -> None:
    source, gap = torch.linspace(0, 1, 6000)[None, None], torch.linspace(0, 0.4, 600)[None, None]
    target = torch.where(gap < 0.3, gap, gap + 0.6)
    x, y = colour.quantile_curve(source, target, steepest=3)
    negative_x, negative_y = colour.quantile_curve(-source, -target, steepest=3)
    assert np.abs(np.interp(x, -negative_x.flip(0), -negative_y.flip(0)) - y.numpy()).max() < 5e-3
    free = colour.quantile_curve(source, target, steepest=1e6)[1]
    assert (y - free).abs().max() > 0.1  # the limit was reached


def test_curve_no_steeper_than_the_limit_is_kept_as_it_is() -> None:
    source = torch.linspace(0, 1, 20000).view(1, 100, 200)
    _, free = colour.quantile_curve(source, 3 * source, steepest=1e6)
    x, y = colour.quantile_curve(source, 3 * source, steepest=3.2)
    assert torch.allclose(y, free, atol=2e-3)
    assert (y.diff() / x.diff()).max() < 3.2 + 1e-9


# The entry point


@pytest.mark.parametrize("method", METHODS)
def test_amount_blends(method: str) -> None:
    image, photo = noise(20, 30, seed=1), picture(20, 30, seed=2)
    none, half, full = (colour.recolour(image, photo, method, amount) for amount in (0, 0.5, 1))
    assert none is image  # no work, no copy
    assert torch.equal(full, colour.recolour(image, photo, method))
    assert torch.allclose(half, (image + full) / 2, atol=1e-6)
    assert (full - image).abs().max() > 0.1


@pytest.mark.parametrize("amount", [-0.1, 1.1, float("nan")])
def test_amount_outside_the_range_is_refused(amount: float) -> None:
    with pytest.raises(ValueError, match="is outside 0 to 1"):
        colour.recolour(noise(4, 4, 1), noise(4, 4, 2), "pca", amount)


def test_unknown_method_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="'sepia' is unknown; choose one of luminance, cholesky, pca, symmetric, hist"):
        colour.recolour(noise(4, 4, 1), noise(4, 4, 2), "sepia", amount=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "image",
    [
        picture(30, 40, seed=1),
        (noise(30, 40, seed=2) * 255).round() / 255,
        (ramp(30, 40) * 255).round() / 255,
        torch.cat([flat(4, 4, 0.1, 0.2, 0.5), flat(4, 4, 0.9, 0.7, 0.4)], dim=-1),
        flat(5, 4, 0.2, 0.9, 0.4),
        flat(5, 4, 0, 0, 0),
        flat(5, 4, 1, 1, 1),
        flat(1, 1, 0.3, 0.2, 0.1),
    ],
    ids=["colours", "8 bits", "grey", "two colours", "one colour", "black", "white", "one pixel"],
)
def test_own_colours_change_nothing(image: Tensor, method: str) -> None:
    assert (colour.recolour(image, image.clone(), method) - image).abs().max() < 1e-4


@pytest.mark.parametrize("method", STATISTICAL)
def test_one_colour_becomes_the_photo_s_mean_and_the_other_way_round(method: str) -> None:
    photo = picture(20, 30, seed=1)
    mean = photo.mean((-2, -1), keepdim=True)
    for one in (flat(6, 5, 0.2, 0.9, 0.4), flat(6, 5, 0, 0, 0), flat(1, 1, 1, 1, 1)):
        assert torch.allclose(colour.recolour(one, photo, method), mean.expand_as(one), atol=1e-4)
        assert torch.allclose(colour.recolour(photo, one, method), one[..., :1, :1].expand_as(photo), atol=1e-3)


@pytest.mark.parametrize("method", STATISTICAL)
def test_hidden_pixels_count_neither_in_the_picture_nor_in_the_photo(method: str) -> None:
    image, photo = noise(20, 30, seed=1), picture(25, 35, seed=2)
    wide, tall = torch.cat([image, noise(20, 9, seed=3)], dim=-1), torch.cat([flat(7, 35, 0, 1, 0), photo], dim=-2)
    weights = torch.ones(1, 1, 20, 39), torch.ones(1, 1, 32, 35)
    weights[0][..., 30:] = weights[1][..., :7, :] = 0
    visible = colour.recolour(image, photo, method)
    assert torch.allclose(colour.recolour(wide, tall, method, 1.0, *weights)[..., :30], visible, atol=1e-4)
    assert not torch.allclose(colour.recolour(wide, tall, method)[..., :30], visible, atol=1e-2)


@pytest.mark.parametrize("method", STATISTICAL)
def test_weights_of_zero_count_as_none(method: str) -> None:
    image, photo = noise(20, 30, seed=1), picture(25, 35, seed=2)
    zeros = torch.zeros(1, 1, 20, 30), torch.zeros(1, 1, 25, 35)
    assert torch.equal(colour.recolour(image, photo, method, 1.0, *zeros), colour.recolour(image, photo, method))


@pytest.mark.parametrize("method", METHODS)
def test_inputs_are_left_alone_and_precision_is_kept(method: str) -> None:
    for dtype in (torch.float32, torch.float64):
        image, photo = noise(8, 9, seed=1).to(dtype), noise(8, 9, seed=2).to(dtype)
        result = colour.recolour(image, photo, method)
        assert result.dtype == dtype
        assert torch.equal(image, noise(8, 9, seed=1).to(dtype))
        assert torch.equal(photo, noise(8, 9, seed=2).to(dtype))


@st.composite
def odd_pictures(draw: st.DrawFn, height: int | None = None, width: int | None = None) -> Tensor:
    """Pictures of a few colours, of any size from one pixel on, with constant or equal channels."""
    height, width = height or draw(st.integers(1, 9)), width or draw(st.integers(1, 9))
    levels = draw(st.sampled_from([1, 2, 5, 255]))
    image = (noise(height, width, draw(st.integers(0, 99))) * levels).round() / levels
    for channel in range(3):
        constant = draw(st.sampled_from([None, None, 0.0, 1.0, 0.4, "first"]))
        if constant is not None:
            image[:, channel] = image[:, 0] if constant == "first" else constant
    return image


@settings(max_examples=150, deadline=None)
@given(image=odd_pictures(), other=odd_pictures(), method=st.sampled_from(STATISTICAL), data=st.data())
def test_odd_pictures_stay_finite_in_range_and_in_shape(image: Tensor, other: Tensor, method: str, data) -> None:
    weights = torch.full_like(image[:, :1], data.draw(st.sampled_from([0.0, 0.5, 1.0])))
    weights[..., 0, 0] = data.draw(st.sampled_from([0.0, 1.0]))
    for picture_weights in (None, weights):
        result = colour.recolour(image, other, method, 1.0, picture_weights)
        assert result.shape == image.shape
        assert ((result >= 0) & (result <= 1)).all()  # false for NaN


@settings(max_examples=50, deadline=None)
@given(data=st.data(), image=odd_pictures())
def test_odd_pictures_keep_their_luminance(image: Tensor, data) -> None:
    photo = data.draw(odd_pictures(*image.shape[-2:]))
    result = colour.recolour(image, photo, "luminance")
    assert ((result >= 0) & (result <= 1)).all()
    assert (colour.luminance(result) - colour.luminance(image)).abs().max() < 1e-4
    assert torch.isfinite(colour.luminance_style(image, photo)).all()
