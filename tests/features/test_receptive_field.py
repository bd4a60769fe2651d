import math

import pytest
import torch
from torch import Tensor

from nst.features import winograd
from nst.features.extractor import FeatureExtractor, kept_kernels
from nst.features.receptive_field import Box, receptive_field
from nst.settings import layer_names

SIZE = 288, 64  # tall enough for a whole field of pool5, and so narrow that fields are cut off at the sides


@pytest.fixture(scope="module")
def graph() -> tuple[Tensor, dict[str, Tensor]]:
    """A random picture, and all activations with their gradients; average pooling, because max pooling selects.

    All convolutions are direct: in tiles, what cancels leaves rounding errors where the gradient is zero.
    """
    image = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "FEWEST_PAIRS", math.inf)
        kept_kernels.clear()
        extractor = FeatureExtractor(layer_names(), pooling="average", replicate_edges=True)
        kept_kernels.clear()
    return image, extractor(image)


def support(a: Tensor, image: Tensor, row: int, column: int) -> Tensor:
    """Pixels (H, W) on which the activations at one position depend."""
    (gradient,) = torch.autograd.grad(a[..., row, column].square().sum(), image, retain_graph=True)
    return gradient.abs().amax((0, 1)) > 0


def inside(box: Box, size: tuple[int, int] = SIZE) -> Tensor:
    left, top, right, bottom = box
    mask = torch.zeros(size, dtype=torch.bool)
    mask[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    return mask


@pytest.mark.parametrize("layer", [name for name in layer_names() if not name.startswith("conv")])
def test_field_is_the_support_of_the_gradient(layer: str, graph) -> None:
    image, activations = graph
    field, a = receptive_field(layer), activations[layer]
    middle = (SIZE[0] // 2 - 1) // field.stride
    left, top, right, bottom = field.box(middle, 1)
    assert top >= 0  # whole from top to bottom, so that both of its ends are seen
    assert bottom <= SIZE[0]
    assert right - left == bottom - top == field.side
    for row, column in ((middle, 1), (a.shape[-2] - 1, 0)):
        assert torch.equal(support(a, image, row, column), inside(field.box(row, column)))


def test_union_of_gradients_under_max_pooling_fills_the_field() -> None:
    images = torch.rand(48, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    # In float64, where all convolutions are direct.
    a = FeatureExtractor(["relu2_1"], dtype=torch.float64, replicate_edges=True)(images)["relu2_1"]
    assert torch.equal(support(a, images, 7, 5), inside(receptive_field("relu2_1").box(7, 5), (32, 32)))


def test_a_convolution_sees_what_its_relu_sees() -> None:
    for name in layer_names():
        if name.startswith("conv"):
            assert receptive_field(name) == receptive_field(name.replace("conv", "relu"))


def test_fields_by_hand() -> None:
    assert receptive_field("conv1_1").box(4, 7) == (6, 3, 9, 6)
    assert receptive_field("pool1").box(0, 0) == (-2, -2, 4, 4)
    assert receptive_field("relu5_1").side == 156
    assert receptive_field("relu5_1", "vgg16-torchvision").side == 132


def test_strides_are_the_extractor_s() -> None:
    extractor = FeatureExtractor(layer_names())
    assert {layer: receptive_field(layer).stride for layer in layer_names()} == extractor.strides


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"layer 'relu9_1' is not in vgg19; choose from conv1_1"):
        receptive_field("relu9_1")
