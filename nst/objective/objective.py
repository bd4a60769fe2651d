"""What a run minimises: J(G) with its gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from nst import costs
from nst.device import true_float32
from nst.features.extractor import FeatureExtractor
from nst.images import colour, masks, pictures
from nst.objective.statistics import STATISTICS
from nst.objective.targets import Targets
from nst.settings import Settings


@dataclass(frozen=True)
class Objective:
    """J(G) = alpha * J_content(C, G) + beta * J_style(S, G) + total variation, with its gradient.

    In a frame of a clip also + gamma * J_temporal(expected, G).
    """

    extractor: FeatureExtractor
    targets: Targets
    settings: Settings
    content_gain: float = field(default=1.0, kw_only=True)  # factor of J_content in the gradient, not in the terms

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the terms in the order of a call: `total`, `content`, `style`, the pixels' terms, style layers.

        The pixels' terms are `total_variation`, and `temporal` in a frame of a clip.
        """
        temporal = () if self.targets.temporal is None else ("temporal",)
        return "total", "content", "style", "total_variation", *temporal, *self.settings.style_layers

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """sRGB (1, 3, H, W) in [0, 1] -> terms (K), J first, and the gradient of J. Does not wait for the device.

        In the gradient J_content counts `content_gain` times.
        """
        with torch.inference_mode(False), torch.enable_grad(), true_float32(image):
            pixels = image.clone().requires_grad_()  # a clone: the caller may be in inference mode
            terms = self.terms(pixels)
            (gradient,) = torch.autograd.grad(terms["total"], pixels)
        return torch.stack([terms[name].detach() for name in self.names]), gradient.contiguous()

    @torch.inference_mode(False)
    @torch.no_grad()
    def costs(self, image: Tensor) -> Tensor:
        """The terms of a call alone, in a third of its time: sRGB (1, 3, H, W) in [0, 1] -> (K)."""
        with true_float32(image):
            terms = self._terms_without_gradient(image.clone())  # a clone: as in a call
        return torch.stack([terms[name] for name in self.names])

    def _terms_without_gradient(self, image: Tensor) -> dict[str, Tensor]:
        return self.terms(image)

    def terms(self, image: Tensor) -> dict[str, Tensor]:
        """sRGB (1, 3, H, W) in [0, 1] -> the terms by name, as scalars."""
        composed, targets = self.composed(image), self.targets
        measure = STATISTICS[self.settings.statistic].measure
        contents: dict[str, Tensor] = {}
        measures: dict[str, list[Any]] = {}

        def measure_layer(layer: str, activations: Tensor) -> None:
            if layer in self.settings.content_layers:
                contents[layer] = costs.content_cost(targets.content[layer], activations)
            if layer in self.settings.style_layers:
                measures[layer] = [measure(activations, region.guides[layer]) for region in targets.regions]

        self.extractor.show(composed, measure_layer)
        return self.weighted_terms(contents, measures, self.pixel_terms(composed))

    @property
    def pixels_count(self) -> bool:
        """Whether J depends on the pixels directly, and not through activations alone."""
        return bool(self.settings.total_variation) or self.targets.temporal is not None

    def pixel_terms(self, composed: Tensor) -> dict[str, Tensor]:
        """The unweighted costs that need no network, as scalars: the picture as the network sees it (1, 3, H, W)."""
        # Total variation is always reported, but with a weight of 0 it needs no gradient.
        smoothed = composed if self.settings.total_variation else composed.detach()
        terms = {"total_variation": costs.total_variation(smoothed)}
        if temporal := self.targets.temporal:
            terms["temporal"] = costs.temporal_cost(composed, temporal.expected, temporal.trust)
        return terms

    def weighted_terms(
        self,
        contents: Mapping[str, Tensor],
        measures: Mapping[str, Sequence[Any]],
        of_pixels: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """The terms by name, as scalars, from content costs (by layer), measures (by layer and region), `pixel_terms`.

        The formulas are those of `nst.costs`; each layer's cost is divided by the energy of its target.
        """
        settings, targets, variation = self.settings, self.targets, of_pixels["total_variation"]
        shares = {layer: weight / targets.content_energy[layer] for layer, weight in settings.content_layers.items()}
        content = sum((share * contents[layer] for layer, share in shares.items()), torch.zeros_like(variation))
        shares_of_regions, lambdas = self._shares_and_lambdas
        layers = self._style_layers(measures, shares_of_regions) if measures else variation.new_zeros(0)
        style = costs.sum_of_layers(layers, lambdas)
        beta = settings.beta * (STATISTICS[settings.statistic].strength if settings.balance else 1.0)
        followed = content.detach().lerp(content, self.content_gain)  # the same value, another gradient
        total = costs.total_cost(followed, style, settings.alpha, beta)
        if settings.total_variation:
            total = total + settings.total_variation * variation
        if targets.temporal:
            total = total + targets.temporal.gamma * of_pixels["temporal"]
        terms = {"total": total, "content": content, "style": style, **of_pixels}
        return terms | dict(zip(settings.style_layers, layers, strict=True))

    def begun(self, image: Tensor) -> Tensor:
        """What the steps start from for a picture (1, 3, H, W): its luminance where grey is painted."""
        grey = self.targets.grey
        return image if grey is None else image.lerp(colour.luminance(image).expand_as(image), grey.to(image))

    def painted(self, image: Tensor) -> Tensor:
        """The picture without colours where grey is painted: (1, 3, H, W) -> same."""
        return colour.greyed(image, self.targets.grey)

    def composed(self, image: Tensor) -> Tensor:
        """The picture with the photo where nothing is painted, as the network sees it: (1, 3, H, W) -> same."""
        return masks.compose(self.painted(image), self.targets.photo, self.targets.mask)

    def preview(self, image: Tensor) -> Image.Image:
        """The picture as people see it, transparent parts white: sRGB (1, 3, H, W) in [0, 1] -> PIL RGB."""
        return pictures.to_picture(masks.compose(self.composed(image), torch.ones_like(image), self.targets.visible))

    def _style_layers(self, measures: Mapping[str, Sequence[Any]], shares: Tensor) -> Tensor:
        """J_style[l] of all layers (L), from each region's measure and its share of the layer's cost (L, R)."""
        cost, regions = STATISTICS[self.settings.statistic].cost, self.targets.regions
        found = [
            cost(region.targets[layer], measure)
            for layer in self.settings.style_layers
            for region, measure in zip(regions, measures[layer], strict=True)
        ]
        return (torch.stack(found).view(-1, len(regions)) * shares).sum(1)

    @cached_property
    def _shares_and_lambdas(self) -> tuple[Tensor, Tensor]:
        """Each region's share of its layer's cost, divided by its energy (L, R), and the lambdas (L).

        On the device, because a recorded step cannot copy from the host; as tensors, because on a GPU each operation on
        scalars is a kernel, with another for its gradient.
        """
        targets, settings = self.targets, self.settings
        shares = [
            [region.share / region.energies[layer] for region in targets.regions] for layer in settings.style_layers
        ]
        with torch.inference_mode(False):
            return tuple(
                torch.tensor(numbers, dtype=torch.float32, device=targets.photo.device)
                for numbers in (shares, list(settings.style_layers.values()))
            )
