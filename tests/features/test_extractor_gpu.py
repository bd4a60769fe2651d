"""Activations on a GPU, held to those of the plain network."""

import pytest
import torch
from torch import Tensor

from nst.features.extractor import FeatureExtractor
from nst.settings import layer_names
from tests.features.test_extractor import cosine, plain_vgg19


@pytest.mark.parametrize(("dtype", "least"), [(torch.float32, 0.9999), (torch.bfloat16, 0.999)], ids=str)
def test_gpu_activations_are_the_original_network_s(dtype: torch.dtype, least: float, picture: Tensor) -> None:
    found = FeatureExtractor(layer_names(), device="cuda", dtype=dtype)(picture.cuda())
    expected = plain_vgg19(picture)
    assert min(cosine(found[name].cpu(), expected[name]) for name in expected) > least
