import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nst import Settings, costs
from nst.features.extractor import FeatureExtractor, OnLayer
from nst.images import colour, masks, pictures
from nst.objective.objective import Objective, Targets
from nst.objective.statistics import STATISTICS
from nst.objective.tiled import TiledObjective
from nst.scaled_pictures import Inputs
from nst.schedule import Level
from nst.settings import LIMITS

CPU = torch.device("cpu")
BOTH = pytest.mark.parametrize("statistic", list(STATISTICS))


def tensor(picture: Image.Image, size: tuple[int, int] = (48, 64)) -> Tensor:
    return pictures.to_tensor(picture.convert("RGB").resize(size[::-1]))


def rectangle(top: int, bottom: int, left: int, right: int, size: tuple[int, int] = (48, 64)) -> Tensor:
    mask = torch.zeros(1, 1, *size)
    mask[..., top:bottom, left:right] = 1
    return mask


def objective_of(inputs: Inputs, dtype: torch.dtype = torch.float32, **given: object) -> Objective:
    """At the size of the inputs, where they are."""
    chosen = Settings(size=64, **given)
    extractor = FeatureExtractor(chosen.layers, device=inputs.photo.device, dtype=dtype, replicate_edges=True)
    return Objective(extractor, Targets.of(inputs, extractor, chosen, Level(1, *inputs.size, 1)), chosen)


def terms_of(objective: Objective, image: Tensor) -> dict[str, float]:
    return dict(zip(objective.names, objective(image)[0].tolist(), strict=True))


def columns(a: Tensor, selected: np.ndarray | None = None) -> np.ndarray:
    """Activations (1, C, H, W), all or those of the selected positions, as (C, P)."""
    values = a[0].double().numpy()
    return values.reshape(len(values), -1) if selected is None else values[:, selected]


def test_terms_of_a_run_are_the_lecture_s_formulas_on_its_activations(photo, style) -> None:
    """Without balance, on style and photo of different sizes."""
    inputs, image = Inputs(tensor(photo), (tensor(style, (64, 40)),)), tensor(photo).flip(-1)
    objective = objective_of(inputs, balance=False, alpha=3.0, beta=7.0)
    of_photo, of_style, of_image = map(objective.extractor, (inputs.photo, inputs.paintings[0], image))
    content = costs.content_cost(of_photo["relu4_2"], of_image["relu4_2"])
    style_cost = costs.style_cost(of_style, of_image, objective.settings.style_layers)
    terms = terms_of(objective, image)
    assert terms["content"] == pytest.approx(content.item(), rel=1e-5)
    assert terms["style"] == pytest.approx(style_cost.item(), rel=1e-5)
    assert terms["total"] == pytest.approx(costs.total_cost(content, style_cost, 3.0, 7.0).item(), rel=1e-5)
    for layer in objective.settings.style_layers:
        expected = costs.style_layer_cost(of_style[layer], of_image[layer]).item()
        assert terms[layer] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("tile_bytes", [None, 1e6])
def test_a_content_gain_changes_the_gradient_and_no_term(tile_bytes: float | None, photo, style) -> None:
    plain = objective_of(Inputs(tensor(photo), (tensor(style),)), alpha=30.0)
    stronger = dataclasses.replace(plain, settings=dataclasses.replace(plain.settings, alpha=75.0))
    gained = Objective(plain.extractor, plain.targets, plain.settings, content_gain=2.5)
    if tile_bytes is not None:
        gained = TiledObjective(plain.extractor, plain.targets, plain.settings, tile_bytes, content_gain=2.5)
    (terms, gradient), (_, expected), (found, found_gradient) = (
        objective(tensor(photo).flip(-1)) for objective in (plain, stronger, gained)
    )
    assert torch.allclose(found, terms, rtol=1e-4)
    assert (found_gradient - expected).norm() < 0.02 * expected.norm()
    assert (gradient - expected).norm() > 0.2 * expected.norm()


@BOTH
def test_mask_of_ones_changes_nothing(statistic: str, photo, style) -> None:
    image, plain = tensor(style), Inputs(tensor(photo), (tensor(style),))
    masked = dataclasses.replace(plain, masks=(torch.ones(1, 1, 48, 64),))
    (terms, gradient), (found, found_gradient) = (
        objective_of(inputs, statistic=statistic)(image.flip(-1)) for inputs in (plain, masked)
    )
    assert torch.allclose(found, terms, rtol=1e-4)
    assert torch.allclose(found_gradient, gradient, rtol=1e-3, atol=1e-3 * gradient.abs().max().item())


def test_style_cost_of_a_region_is_the_formula_on_its_positions(photo, style) -> None:
    """The mask fills whole cells of relu3_1 (4 px), so that numpy can select the positions that belong to it."""
    layer, image = "relu3_1", tensor(photo).flip(-1)
    inputs = Inputs(tensor(photo), (tensor(style),), masks=(rectangle(8, 32, 20, 64),))
    objective = objective_of(inputs, style_layers={layer: 1.0}, balance=False)
    selected = np.zeros((12, 16), bool)
    selected[2:8, 5:16] = True
    f = columns(objective.extractor(objective.composed(image))[layer], selected)
    s = columns(objective.extractor(tensor(style))[layer])
    expected = ((f @ f.T / f.shape[1] - s @ s.T / s.shape[1]) ** 2).sum() / (2 * len(f)) ** 2
    assert terms_of(objective, image)["style"] == pytest.approx(expected, rel=1e-4)


def test_wasserstein_cost_of_a_region_is_the_formula_on_its_positions(photo, style) -> None:
    layer, image = "relu1_1", tensor(photo).flip(-1)
    inputs = Inputs(tensor(photo), (tensor(style),), masks=(rectangle(8, 32, 20, 64),))
    chosen = {"style_layers": {layer: 1.0}, "balance": False, "statistic": "wasserstein"}
    objective = objective_of(inputs, **chosen)
    selected = np.zeros((48, 64), bool)
    selected[8:32, 20:64] = True
    f = columns(objective.extractor(objective.composed(image))[layer], selected)
    s = columns(objective.extractor(tensor(style))[layer])
    (f_mean, f_cov), (s_mean, s_cov) = ((x.mean(1), np.cov(x, bias=True)) for x in (f, s))
    values, axes = np.linalg.eigh(s_cov)
    root = axes * np.sqrt(values.clip(0)) @ axes.T
    overlap = np.sqrt(np.linalg.eigvalsh(root @ f_cov @ root).clip(0)).sum()
    expected = ((f_mean - s_mean) ** 2).sum() + np.trace(f_cov) + np.trace(s_cov) - 2 * overlap
    assert terms_of(objective, image)["style"] == pytest.approx(expected, rel=0.01)


@BOTH
@pytest.mark.parametrize("masked", [False, True])
def test_balanced_cost_of_a_picture_that_excites_nothing_is_one(statistic, masked: bool, photo, style) -> None:
    drawn = (rectangle(0, 30, 0, 40), rectangle(30, 48, 0, 64)) if masked else ()
    inputs = Inputs(tensor(photo), (tensor(style), tensor(style).flip(-1)), masks=drawn)
    objective = objective_of(inputs, statistic=statistic, alpha=2.0, beta=7.0)

    class Silent:
        def show(self, image: Tensor, see: OnLayer) -> None:
            objective.extractor.show(image, lambda layer, a: see(layer, 0 * a))

    dead = dataclasses.replace(objective, extractor=Silent())
    terms = {name: value.item() for name, value in dead.terms(tensor(photo)).items()}
    assert [terms[layer] for layer in objective.settings.style_layers] == pytest.approx([1] * 5, rel=1e-3)
    assert terms["style"] == pytest.approx(1, rel=1e-3)
    assert terms["content"] == pytest.approx(1, rel=1e-5)
    assert terms["total"] == pytest.approx(2 + 7 * STATISTICS[statistic].strength, rel=1e-3)


def test_content_is_summed_with_its_layers_weights(photo, style) -> None:
    inputs = Inputs(tensor(photo), (tensor(style),))
    first, second, both = (
        terms_of(objective_of(inputs, content_layers=layers, balance=False), tensor(style))["content"]
        for layers in ({"relu2_2": 1.0}, {"conv4_2": 1.0}, {"relu2_2": 0.5, "conv4_2": 3.0})
    )
    assert both == pytest.approx(0.5 * first + 3.0 * second, rel=1e-4)


def test_content_cost_of_the_photo_is_zero_and_of_the_style_s_statistics_too(photo, style) -> None:
    terms = terms_of(objective_of(Inputs(tensor(photo), (tensor(photo),))), tensor(photo))
    assert terms["content"] == 0
    assert terms["style"] < 1e-9
    assert terms_of(objective_of(Inputs(tensor(photo), (tensor(style),))), tensor(photo))["style"] > 0.01


@BOTH
def test_gradient_is_zero_outside_the_masks(statistic: str, photo, style) -> None:
    inputs = Inputs(tensor(photo), (tensor(style), tensor(style).flip(-1)))
    drawn = (masks.soften(rectangle(8, 20, 8, 24), 3), rectangle(30, 40, 30, 60))
    objective = objective_of(dataclasses.replace(inputs, masks=drawn), statistic=statistic)
    _, gradient = objective(tensor(style))
    painted = (masks.union(drawn) > 0).expand_as(gradient)
    assert gradient[~painted].eq(0).all()
    assert gradient[painted].ne(0).float().mean() > 0.99
    assert torch.equal(objective.composed(tensor(style))[~painted], tensor(photo)[~painted])


def test_style_of_a_region_reaches_no_farther_than_its_layer_sees(photo, style) -> None:
    """relu2_1 sees 4 px beyond the two of its cell; the composition is off, as if all were painted.

    In float64, where all convolutions are direct: what cancels in Winograd's tiles leaves rounding errors, not zeros.
    """
    chosen = {"alpha": 0, "content_layers": {}, "style_layers": {"relu2_1": 1.0}}
    drawn = (rectangle(0, 48, 0, 20), rectangle(10, 30, 40, 64))
    inputs = Inputs(tensor(photo), (tensor(style), tensor(style).flip(-2)), masks=drawn)
    objective = objective_of(inputs, torch.float64, **chosen)
    assert len(objective.targets.regions) == 2
    for region, mask in zip(objective.targets.regions, drawn, strict=True):
        alone = dataclasses.replace(objective.targets, mask=None, regions=(region,))
        _, gradient = dataclasses.replace(objective, targets=alone)(tensor(photo))
        seen = torch.nn.functional.max_pool2d(mask, 9, stride=1, padding=4)[0, 0] > 0
        found = gradient[0].abs().amax(0)
        assert found[~seen].eq(0).all()
        assert (found[mask[0, 0] > 0] > 0).float().mean() > 0.99


def test_each_region_is_compared_with_its_own_style(photo, style, other_style) -> None:
    """A picture made of two styles has a low cost with the masks the right way round, and a high one otherwise."""
    left, right = rectangle(0, 48, 0, 32), rectangle(0, 48, 32, 64)
    paintings = tensor(style), tensor(other_style)
    image = left * paintings[0] + right * paintings[1]

    def cost(*drawn: Tensor) -> float:
        return terms_of(objective_of(Inputs(tensor(photo), paintings, masks=drawn)), image)["style"]

    assert cost(left, right) < 0.2 * cost(right, left)


def test_shares_of_regions_follow_area_and_blend(photo, style) -> None:
    drawn = (rectangle(0, 48, 0, 16), rectangle(0, 24, 16, 64), 0.5 * rectangle(24, 48, 32, 64))
    inputs = Inputs(tensor(photo), (tensor(style),) * 3, masks=drawn)
    regions = objective_of(inputs, style_blend=(2, 1, 3)).targets.regions
    amounts = np.array([2 * 48 * 16, 1 * 24 * 48, 3 * 0.5 * 24 * 32])
    assert [region.share for region in regions] == pytest.approx(list(amounts / amounts.sum()))
    visible = rectangle(0, 48, 0, 24)
    regions = objective_of(dataclasses.replace(inputs, visible=visible), style_blend=(0, 1, 3)).targets.regions
    assert [region.share for region in regions] == [1]  # no weight for the first, nothing to see of the third
    terms = terms_of(objective_of(inputs, style_blend=(2, 1, 3)), tensor(style))
    parts = []
    for mask in drawn:
        alone = dataclasses.replace(inputs, paintings=inputs.paintings[:1], masks=(mask,))
        objective = objective_of(alone)
        unhidden = dataclasses.replace(
            objective, targets=dataclasses.replace(objective.targets, mask=masks.union(drawn))
        )
        parts.append(terms_of(unhidden, tensor(style))["style"])
    assert terms["style"] == pytest.approx(np.average(parts, weights=amounts), rel=1e-4)


@BOTH
def test_blend_of_one_and_nothing_and_of_one_picture_twice_is_the_single_style(statistic, photo, style, other_style):
    image, single = tensor(photo).flip(-1), Inputs(tensor(photo), (tensor(style),))
    expected = objective_of(single, statistic=statistic)(image)
    for paintings, blend in (((style, other_style), (1, 0)), ((other_style, style), (0, 3)), ((style, style), (1, 1))):
        inputs = dataclasses.replace(single, paintings=tuple(map(tensor, paintings)))
        found = objective_of(inputs, statistic=statistic, style_blend=blend)(image)
        assert all(map(torch.equal, found, expected))


def test_blend_means_the_style_matrices(photo, style, other_style) -> None:
    image, paintings = tensor(photo).flip(-1), (tensor(style), tensor(other_style))
    objective = objective_of(Inputs(tensor(photo), paintings), style_blend=(1, 3), balance=False)
    s, t, f = (objective.extractor(picture)["relu2_1"] for picture in (*paintings, image))
    target = sum(w * x @ x.T / x.shape[1] for w, x in ((0.25, columns(s)), (0.75, columns(t))))
    x = columns(f)
    expected = ((target - x @ x.T / x.shape[1]) ** 2).sum() / (2 * len(x)) ** 2
    assert terms_of(objective, image)["relu2_1"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("scale", [0.25, 0.6, 1.0, 2.5, 4.0])
def test_style_scale_is_the_style_s_size_beside_the_result(scale: float, photo, style, other_style) -> None:
    chosen = Settings(size=100, style_scale=scale)
    inputs = Inputs.of(photo, [style, other_style], chosen, CPU)
    assert inputs.size == (75, 100)
    wide, tall = inputs.paintings
    assert tuple(wide.shape[-2:]) == (round(75 * scale), round(100 * scale))
    assert tuple(tall.shape[-2:]) == (round(100 * scale), round(75 * scale))


def test_style_scale_keeps_its_proportion_on_every_level(photo, style) -> None:
    """What the extractor sees on a level of half the size is half of the style picture."""
    chosen = Settings(size=128, style_scale=2.0)
    inputs = Inputs.of(photo, [style], chosen, CPU)
    seen: list[tuple[int, int]] = []
    extractor = FeatureExtractor(chosen.layers, replicate_edges=True)

    class Watched:
        strides, smallest_side = extractor.strides, extractor.smallest_side

        def show(self, image: Tensor, see: OnLayer) -> None:
            seen.append(tuple(image.shape[-2:]))
            extractor.show(image, see)

    for size in ((96, 128), (48, 64)):
        Targets.of(inputs, Watched(), chosen, Level(1, *size, 1))
    assert seen == [(96, 128), (192, 256), (48, 64), (96, 128)]


def test_style_is_never_scaled_beyond_the_limit_nor_below_what_the_network_sees(photo, style) -> None:
    strip, thin = photo.resize((400, 40)), style.resize((160, 20))
    (large,) = Inputs.of(strip, [thin], Settings(size=1200, style_scale=4.0), CPU).paintings
    assert max(large.shape) == LIMITS.style_size
    (larger,) = Inputs.of(strip, [thin], Settings(size=5000, style_scale=2.0), CPU).paintings
    assert max(larger.shape) == 5000
    (small,) = Inputs.of(photo, [thin], Settings(size=32, style_scale=0.25), CPU).paintings
    assert tuple(small.shape[-2:]) == (16, 128)


def test_mask_of_another_size_is_stretched_over_the_photo(photo, style) -> None:
    small = Image.new("L", (30, 18))
    small.paste(255, (0, 0, 15, 18))
    (mask,) = Inputs.of(photo, [style], Settings(size=64), CPU, [small]).masks
    assert mask.shape == (1, 1, 48, 64)
    assert mask[..., :30].eq(1).all()
    assert mask[..., 34:].eq(0).all()


def test_soft_edge_is_a_share_of_the_longer_side(photo, style) -> None:
    drawn = Image.new("L", photo.size)
    drawn.paste(255, (80, 0, 160, 120))
    for size in (64, 128):
        (mask,) = Inputs.of(photo, [style], Settings(size=size, mask_edge=0.25), CPU, [drawn]).masks
        row = mask[0, 0, size // 3]
        change = row[size // 2 + size // 8] - row[size // 2 - size // 8]
        assert 0.92 < change < 0.99
        assert row.diff().min() >= -1e-6


@pytest.mark.parametrize("method", ["symmetric", "cholesky", "pca", "histogram", "luminance"])
def test_colours_before_the_run_are_those_of_the_photo(method: str, photo, style) -> None:
    photo = photo.point(lambda value: 90 + value // 4)  # pale: no colour has to be clipped
    plain = Inputs.of(photo, [style], Settings(size=64), CPU)
    chosen = Settings(size=64, colour=method, colour_when="before")
    (painting,) = Inputs.of(photo, [style], chosen, CPU).paintings
    mean, covariance = colour.mean_and_covariance(painting)
    if method == "luminance":
        assert (painting.amax(1) - painting.amin(1)).max() < 1e-5  # grey
        assert mean[0] == pytest.approx(colour.luminance(plain.photo).mean().item(), abs=0.01)
    else:
        goal_mean, goal = colour.mean_and_covariance(plain.photo)
        assert torch.allclose(mean, goal_mean, atol=1e-3)
        assert torch.allclose(covariance, goal, atol=(0.1 if method == "histogram" else 1e-3) * goal.max().item())
    (half,) = Inputs.of(photo, [style], dataclasses.replace(chosen, colour_amount=0.5), CPU).paintings
    assert torch.allclose(half, (plain.paintings[0] + painting) / 2, atol=1e-5)
    (none,) = Inputs.of(photo, [style], dataclasses.replace(chosen, colour_amount=0.0), CPU).paintings
    assert torch.equal(none, plain.paintings[0])
    (after,) = Inputs.of(photo, [style], dataclasses.replace(chosen, colour_when="after"), CPU).paintings
    assert torch.equal(after, plain.paintings[0])


def test_colours_before_the_run_are_finite_without_colours_to_match(photo, style) -> None:
    grey, drawn = (picture.convert("L").convert("RGB") for picture in (photo, style))
    flat = Image.new("RGB", photo.size, "blue")
    for method in colour.METHODS:
        chosen = Settings(size=64, colour=method, colour_when="before")
        for content, painted in (
            (grey, style),
            (photo, drawn),
            (flat, style),
            (photo, flat),
            (flat, flat),
        ):
            (painting,) = Inputs.of(content, [painted], chosen, CPU).paintings
            assert ((painting >= 0) & (painting <= 1)).all()  # false for NaN


def half_hidden(left: Image.Image, right: Image.Image) -> Image.Image:
    """160 x 120 px, the right half transparent."""
    picture = left.copy()
    picture.paste(right.resize((80, 120)), (80, 0))
    picture.putalpha(Image.fromarray(np.repeat([[255] * 80 + [0] * 80], 120, axis=0).astype(np.uint8)))
    return picture


@BOTH
def test_transparent_part_of_a_style_does_not_count(statistic: str, photo, style, other_style) -> None:
    """Near its edge, activations still see across; in shallow layers that is little."""
    layers = {"relu1_1": 1.0, "relu2_1": 1.0}
    picture = half_hidden(style, other_style)
    whole, cropped = picture.convert("RGB"), picture.convert("RGB").crop((0, 0, 80, 120))

    def measured(painting: Image.Image) -> dict[str, np.ndarray]:
        colours, alpha = pictures.split(painting)
        visible = None if alpha is None else pictures.to_tensor(alpha)
        inputs = Inputs(tensor(photo), (pictures.to_tensor(colours),), paintings_visible=(visible,))
        (region,) = objective_of(inputs, style_layers=layers, statistic=statistic).targets.regions
        targets = region.targets.values()
        return [t.numpy() if statistic == "gram" else (t.root @ t.root.mT).numpy() for t in targets]

    for shown, expected, both_halves in zip(*map(measured, (picture, cropped, whole)), strict=True):
        error = np.abs(shown - expected).max() / np.abs(expected).max()
        assert error < 0.1
        assert error < 0.3 * np.abs(both_halves - expected).max() / np.abs(expected).max()


def test_style_that_shows_only_where_poolings_drop_the_border_leaves_that_layer_out(photo, style) -> None:
    visible = rectangle(33, 40, 0, 64, (40, 64))  # below the two whole cells of relu5_1
    inputs = Inputs(tensor(photo), (tensor(style, (40, 64)),), paintings_visible=(visible,))
    for statistic in STATISTICS:
        terms = terms_of(objective_of(inputs, statistic=statistic), tensor(photo))
        assert terms["relu5_1"] == 0
        assert 0 < terms["relu1_1"] < 10


def test_hidden_part_of_the_photo_has_no_style(photo, style) -> None:
    """Colours under transparency may change: the style cost stays the same, except for what layers see at the edge."""
    visible = rectangle(0, 48, 0, 32)
    inputs = Inputs(tensor(photo), (tensor(style),), visible)
    chosen = {"alpha": 0, "content_layers": {}, "style_layers": {"relu2_1": 1.0}}
    _, gradient = objective_of(inputs, **chosen)(tensor(photo))
    assert gradient[..., 37:].eq(0).all()
    assert gradient[..., :32].ne(0).float().mean() > 0.9


def test_preview_is_the_composition_on_white(photo, style) -> None:
    visible = rectangle(0, 24, 0, 64)
    inputs = Inputs(tensor(photo), (tensor(style),), visible, masks=(rectangle(0, 48, 0, 32),))
    shown = np.asarray(objective_of(inputs).preview(tensor(style)))
    assert np.array_equal(shown[:24, :32], np.asarray(pictures.to_picture(tensor(style)))[:24, :32])
    assert np.array_equal(shown[:24, 32:], np.asarray(pictures.to_picture(tensor(photo)))[:24, 32:])
    assert (shown[24:] == 255).all()


def test_variation_is_that_of_what_is_shown(photo, style) -> None:
    inputs = Inputs(tensor(photo), (tensor(style),), masks=(rectangle(0, 48, 0, 32),))
    objective = objective_of(inputs, total_variation=5.0)
    terms, shown = terms_of(objective, tensor(style)), tensor(photo)
    shown[..., :32] = tensor(style)[..., :32]
    assert terms["total_variation"] == pytest.approx(costs.total_variation(shown).item(), rel=1e-5)
    assert terms["total"] == pytest.approx(terms["content"] + 10 * terms["style"] + 5 * terms["total_variation"])


@BOTH
def test_gradient_is_the_cost_s_slope(statistic: str, photo, style) -> None:
    """Along one smooth direction, by a central difference: regions, masks and transparency included."""
    drawn = (masks.soften(rectangle(4, 30, 4, 40), 4), rectangle(20, 48, 30, 64))
    inputs = Inputs(tensor(photo), (tensor(style), tensor(style).flip(-1)), rectangle(0, 44, 0, 60), masks=drawn)
    objective = objective_of(inputs, statistic=statistic, total_variation=1.0, pooling="average")
    image = 0.5 + 0.3 * (tensor(photo) - 0.5)
    along = tensor(style) - 0.5
    step = 2e-3
    ahead, behind = (objective(image + side * step * along)[0][0].item() for side in (1, -1))
    _, gradient = objective(image)
    assert (ahead - behind) / (2 * step) == pytest.approx((gradient * along).sum().item(), rel=0.02)


def test_style_layers_are_measured_as_they_come(photo, style) -> None:
    """In the backward pass, the gradient by a style matrix is computed when its layer is reached, not kept before."""
    objective = objective_of(Inputs(tensor(photo), (tensor(style),)))
    made: list[str] = []
    pixels = tensor(style).requires_grad_()
    total = objective.terms(pixels)["total"]

    def watch(node, deep: set) -> None:
        if node is None or node in deep:
            return
        deep.add(node)
        node.register_hook(lambda *_: made.append(type(node).__name__))
        for before, _ in node.next_functions:
            watch(before, deep)

    watch(total.grad_fn, set())
    torch.autograd.grad(total, pixels)
    kinds = [name for name in made if name in ("_SumOfOuterProductsBackward", "_ConvolutionBackward")]
    at = [index for index, name in enumerate(kinds) if name == "_SumOfOuterProductsBackward"]
    assert at == [0, 5, 10, 13, 16]  # before relu5_1, 4_1, 3_1, 2_1 and 1_1: 4, 4, 2 and 2 convolutions lie between
