"""The network as a function from a picture to named activations (VGG of Simonyan & Zisserman 2014)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from nst.cache import BoundedCache
from nst.features import weights
from nst.features.layers import Kernel, average_pool, convolve, kernel_bytes, kernel_for, max_pool
from nst.settings import layer_names


@dataclass(frozen=True)
class Backbone:
    """A network's input, `x * scale - shift` per sRGB channel with x in [0, 1], and how it pools."""

    scale: tuple[float, float, float]
    shift: tuple[float, float, float]
    reads_bgr: bool
    # Factors of average pooling, pool1 to pool5, that keep activations as large as max pooling, with which the network
    # was trained: ratio of RMS, geometric mean over our fifteen example pictures at 256 px.
    average_gains: tuple[float, ...] = (1.0,) * 5


_TORCHVISION = Backbone(
    scale=(1 / 0.229, 1 / 0.224, 1 / 0.225), shift=(0.485 / 0.229, 0.456 / 0.224, 0.406 / 0.225), reads_bgr=False
)
BACKBONES: dict[str, Backbone] = {
    "vgg19": Backbone(
        scale=(255.0, 255.0, 255.0),
        shift=(123.68, 116.779, 103.939),
        reads_bgr=True,
        average_gains=(1.33, 1.48, 1.36, 1.93, 1.66),
    ),
    "vgg19-torchvision": _TORCHVISION,
    "vgg16-torchvision": _TORCHVISION,
}
OnLayer = Callable[[str, Tensor], object]  # a layer and its activations (B, C, H, W)
KINDS = ("conv", "relu", "pool")
POOLINGS = {"max": max_pool, "average": average_pool}


def smallest_side(layers: Iterable[str], backbone: str) -> int:
    """The shorter side of a picture, px, with which the deepest of these layers has one position at least."""
    names = layer_names(backbone)
    path = names[: 1 + max(map(names.index, layers))]
    return 2 ** sum(name.startswith("pool") for name in path)


class FeatureExtractor:
    """sRGB (B, 3, H, W) in [0, 1] -> {layer name: activations (B, C, H', W')}, computed no deeper than asked for.

    Activations are the network's own, not rescaled, and have the dtype given here; gradients flow to the picture
    only. A layer asked for by its `conv` name is the convolution's output before the relu. The picture is padded with
    the network's mean colour; with `replicate_edges` it is padded with its outermost pixels, which avoids a pale rim
    and changes only activations near the edges. Average pooling is scaled, see `Backbone`.

    Raises `ValueError` for an unknown layer or none, and `nst.features.weights.WeightsError` without weights.
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        layers: Iterable[str],
        backbone: str = "vgg19",
        pooling: str = "max",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        replicate_edges: bool = False,
    ) -> None:
        names = layer_names(backbone)
        self.layers = frozenset(layers)
        if unknown := sorted(self.layers - set(names)):
            raise ValueError(f"layer {unknown[0]!r} is not in {backbone}; choose from {' '.join(names)}")
        if not self.layers:
            raise ValueError("no layers asked for; name at least one, such as relu4_2")
        self.path = names[: 1 + max(map(names.index, self.layers))]
        self.smallest_side = smallest_side(self.layers, backbone)
        self.strides = {layer: smallest_side([layer], backbone) for layer in self.layers}  # px between positions
        self.replicate_edges = replicate_edges
        self.pool = POOLINGS[pooling]
        self.backbone = BACKBONES[backbone]
        self.gains = self.backbone.average_gains if pooling == "average" else (1.0,) * 5
        self.scale = torch.tensor(self.backbone.scale, device=device).view(1, 3, 1, 1)
        self.shift = torch.tensor(self.backbone.shift, device=device).view(1, 3, 1, 1)
        self.dtype = dtype
        self.kernels = _kernels(backbone, self.path, device, dtype)

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """Activations of the layers asked for. `ValueError` if the picture is too small for the deepest of them."""
        found: dict[str, Tensor] = {}
        self.show(image, found.__setitem__)
        return found

    def show(self, image: Tensor, on_layer: OnLayer) -> None:
        """Call `on_layer` with each layer asked for and its activations as soon as they are computed. Errors as above.

        A caller that measures them at once need not keep them. In the backward pass, the gradient by such a measure is
        then computed when its layer is reached. Measured after the last layer, all these gradients would be computed
        first and kept in memory.
        """
        if min(image.shape[-2:]) < self.smallest_side:
            height, width = image.shape[-2:]
            raise ValueError(
                f"{height} x {width} px is too small for {self.path[-1]}: {self.smallest_side} px at least"
            )
        self.through(image, self.path, on_layer)

    def through(self, x: Tensor, names: Iterable[str], on_layer: OnLayer) -> Tensor:
        """Compute a stretch of the path, and call `on_layer` with the layers asked for on it -> the last one's output.

        `x` is the picture if the stretch begins with `conv1_1`, else the activations of the layer before it.
        """
        for unit in self._units(names):
            x = self._pass(x, unit)
            if unit[-1] in self.layers:
                on_layer(unit[-1], x)
        return x

    def _units(self, names: Iterable[str]) -> list[list[str]]:
        """Layers that are computed together: a convolution, its relu and max pooling, up to a layer asked for."""
        units: list[list[str]] = []
        for name in names:
            joins = name.startswith("relu") or (name.startswith("pool") and self.pool is max_pool)
            if joins and units and units[-1][-1] not in self.layers:
                units[-1].append(name)
            else:
                units.append([name])
        return units

    def _pass(self, x: Tensor, unit: Sequence[str]) -> Tensor:
        """Compute one of the `_units`."""
        conv, relu, pool = (next((name for name in unit if name.startswith(kind)), "") for kind in KINDS)
        if conv == "conv1_1":
            x = self._framed(x)
        if conv:
            x = convolve(x, self.kernels[conv], rectify=bool(relu), pooled=bool(pool))
        if pool and self.pool is max_pool:
            return max_pool(x, rectify=bool(relu))  # relu and maximum commute: a fourth of the work
        if pool:
            return self.pool(x) * self.gains[int(pool.removeprefix("pool")) - 1]
        return x if conv else F.relu(x)

    def _framed(self, image: Tensor) -> Tensor:
        """The first convolution's input: scaled, and padded by a pixel on every side."""
        x = (image * self.scale - self.shift).contiguous(memory_format=torch.channels_last)
        return F.pad(x, (1, 1, 1, 1), mode="replicate" if self.replicate_edges else "constant")


# Kernels stay for the next run, by backbone, layer, device and dtype, so that paths of any length share them. Those on
# the path to relu5_1 take 197 MiB in float32 on a CPU (all sixteen 305), 49 MiB in bfloat16: the bound has room for two
# such networks. To make them takes 0.2 to 0.5 s on two CPU cores; on a GPU as long as twenty steps.
KERNELS_BYTES = 2**29
kept_kernels = BoundedCache(KERNELS_BYTES, kernel_bytes)


def _kernels(
    backbone: str, path: Sequence[str], device: torch.device | str, dtype: torch.dtype
) -> Mapping[str, Kernel]:
    """The convolutions along a path, by name, ready for pictures in RGB."""
    stored = weights.load(backbone)
    return {
        name: kept_kernels.get(
            (backbone, name, str(device), dtype), partial(_kernel, backbone, name, *stored[name], device, dtype)
        )
        for name in path
        if name.startswith("conv")
    }


def _kernel(
    backbone: str, name: str, weight: Tensor, bias: Tensor, device: torch.device | str, dtype: torch.dtype
) -> Kernel:
    """One convolution from its stored weights."""
    first = name == "conv1_1"
    if first and BACKBONES[backbone].reads_bgr:
        weight = weight.flip(1)
    # The first convolution stays float32: bfloat16 would round its input to half a grey level in 255. Its padding is
    # done by `_framed`.
    wide = torch.float32 if first else dtype
    return kernel_for(weight.to(device, wide), bias.to(device, wide), dtype, 0 if first else 1)
