"""The textbook loop: style transfer as the classic scripts compute it (Gatys et al. 2016, neural-style).

float32, contiguous memory, autograd, `torch.optim.LBFGS` with history 100, one scale, grey start, weights 5 (content)
and 100 (style) on mean squared differences; pixels are clamped only when they are saved. Only the benchmark uses it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from nst.device import true_float32
from nst.features import weights
from nst.features.extractor import BACKBONES
from nst.scaled_pictures import Inputs
from nst.settings import Settings, layer_names

CHANNELS = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "relu5_1": 512}
CONTENT_WEIGHT, STYLE_WEIGHT = 5.0, 100.0


class Textbook:
    """The classic loop on one pair of pictures."""

    def __init__(self, inputs: Inputs) -> None:
        device = inputs.photo.device
        stored = weights.load("vgg19").items()
        self.weights = {name: (weight.contiguous().to(device), bias.to(device)) for name, (weight, bias) in stored}
        names = layer_names()
        self.path = names[: names.index("relu5_1") + 1]
        self.mean = torch.tensor(BACKBONES["vgg19"].shift, device=device).view(1, 3, 1, 1)
        self.size = inputs.size
        with torch.no_grad(), true_float32(inputs.photo):
            self.content = self.features(self.network_input(inputs.photo))["relu4_2"]
            style = self.features(self.network_input(inputs.paintings[0]))
            self.style = {layer: self.gram(style[layer]) for layer in CHANNELS}

    def network_input(self, image: Tensor) -> Tensor:
        """sRGB (1, 3, H, W) in [0, 1] -> BGR in 0..255 minus the mean."""
        return (image * 255 - self.mean).flip(1)

    def picture(self, x: Tensor) -> Tensor:
        return ((x.detach().flip(1) + self.mean) / 255).clamp(0, 1)

    def features(self, x: Tensor) -> dict[str, Tensor]:
        found = {}
        for name in self.path:
            if name.startswith("conv"):
                x = F.conv2d(x, *self.weights[name], padding=1)
            else:
                x = F.relu(x) if name.startswith("relu") else F.max_pool2d(x, 2)
            found[name] = x
        return found

    @staticmethod
    def gram(a: Tensor) -> Tensor:
        flat = a.flatten(2)[0]
        return flat @ flat.T / a.numel()

    def cost(self, x: Tensor) -> Tensor:
        """5 * mean squared difference of relu4_2 + 100 * that of the five Gram matrices / (C H W). Scalar."""
        found = self.features(x)
        style = sum(F.mse_loss(self.gram(found[layer]), target) for layer, target in self.style.items())
        return CONTENT_WEIGHT * F.mse_loss(found["relu4_2"], self.content) + STYLE_WEIGHT * style

    @torch.no_grad()
    def clamped_cost(self, image: Tensor) -> float:
        """The cost of an sRGB picture (1, 3, H, W) in [0, 1], in float32; the loop may use TF32, torch's default."""
        with true_float32(image):
            return float(self.cost(self.network_input(image)))

    def step(self, x: Tensor) -> Tensor:
        """The gradient of one step of the loop, same shape as x."""
        x = x.detach().requires_grad_()
        self.cost(x).backward()
        return x.grad

    def run(self, steps: int) -> Iterator[tuple[int, float, Tensor]]:
        """Yield (step, seconds, clamped picture) after each step. Only the time of the optimiser's steps is counted."""
        generator = torch.Generator().manual_seed(0)
        x = (0.001 * torch.randn(1, 3, *self.size, generator=generator)).to(self.mean.device).requires_grad_()
        optimiser = torch.optim.LBFGS([x], max_iter=1, history_size=100, tolerance_grad=0, tolerance_change=0)

        def closure() -> Tensor:
            optimiser.zero_grad()
            cost = self.cost(x)
            cost.backward()
            return cost

        seconds = 0.0
        for step in range(1, steps + 1):
            started = time.perf_counter()
            optimiser.step(closure)
            seconds += time.perf_counter() - started
            yield step, seconds, self.picture(x)


def same_cost_settings() -> Settings:
    """Settings whose cost equals the textbook's: alpha, beta and lambdas turn our sums into its means."""
    lambdas = {layer: channels**-2.0 for layer, channels in CHANNELS.items()}
    return Settings(balance=False, alpha=4 * CONTENT_WEIGHT, beta=4 * STYLE_WEIGHT, style_layers=lambdas)
