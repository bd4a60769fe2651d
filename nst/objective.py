"""What a run minimises: J(G) with its gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from nst import costs, images, masks
from nst.features import FeatureExtractor
from nst.settings import Settings
from nst.targets import STATISTICS, Targets, true_float32


@dataclass(frozen=True)
class Objective:
    """J(G) = alpha * J_content(C, G) + beta * J_style(S, G) + total variation, with its gradient."""

    extractor: FeatureExtractor
    targets: Targets
    settings: Settings

    @property
    def names(self) -> tuple[str, ...]:
        """Of the terms that a call gives: `total`, `content`, `style`, `total_variation` and each style layer."""
        return "total", "content", "style", "total_variation", *self.settings.style_layers

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """sRGB (1, 3, H, W) in [0, 1] -> terms (K), J first, and the gradient of J. Does not wait for the device."""
        with torch.inference_mode(False), torch.enable_grad(), true_float32(image, benchmark=True):
            pixels = image.clone().requires_grad_()  # a clone: the caller may be in inference mode
            terms = self.terms(pixels)
            (gradient,) = torch.autograd.grad(terms["total"], pixels)
        return torch.stack([terms[name].detach() for name in self.names]), gradient.contiguous()

    def terms(self, image: Tensor) -> dict[str, Tensor]:
        """The terms by name, as scalars."""
        seen, targets = self.shown(image), self.targets
        measure = STATISTICS[self.settings.statistic].measure
        contents: dict[str, Tensor] = {}
        styles: dict[str, list[Any]] = {}

        def see(layer: str, activations: Tensor) -> None:
            if layer in self.settings.content_layers:
                contents[layer] = costs.content_cost(targets.content[layer], activations)
            if layer in self.settings.style_layers:
                styles[layer] = [measure(activations, region.guides[layer]) for region in targets.regions]

        self.extractor.show(seen, see)
        # Reported always, but a weight of 0 needs no gradient.
        variation = costs.total_variation(seen if self.settings.total_variation else seen.detach())
        return self.weighed(contents, styles, variation)

    def weighed(
        self, contents: Mapping[str, Tensor], styles: Mapping[str, Sequence[Any]], variation: Tensor
    ) -> dict[str, Tensor]:
        """The terms from the content costs by layer, what the statistic measures by layer and region, and variation."""
        settings, targets = self.settings, self.targets
        content = torch.zeros_like(variation) + sum(
            weight * contents[layer] / targets.content_energy[layer]
            for layer, weight in settings.content_layers.items()
        )
        layers = {layer: self._style_layer(layer, styles[layer]) for layer in settings.style_layers}
        style = torch.zeros_like(variation) + sum(
            weight * layers[layer] for layer, weight in settings.style_layers.items()
        )
        beta = settings.beta * (STATISTICS[settings.statistic].strength if settings.balance else 1.0)
        total = costs.total_cost(content, style, settings.alpha, beta) + settings.total_variation * variation
        return {"total": total, "content": content, "style": style, "total_variation": variation, **layers}

    def shown(self, image: Tensor) -> Tensor:
        """The picture with the photo where nothing is painted: (1, 3, H, W) -> same."""
        return masks.compose(image, self.targets.photo, self.targets.mask)

    def preview(self, image: Tensor) -> Image.Image:
        """What a viewer sees of the picture, transparent parts being white: (1, 3, H, W) -> PIL RGB."""
        return images.to_picture(masks.compose(self.shown(image), torch.ones_like(image), self.targets.visible))

    def _style_layer(self, layer: str, measures: Sequence[Any]) -> Tensor:
        """J_style[l] from what the statistic measures in each region. Scalar."""
        cost = STATISTICS[self.settings.statistic].cost
        return sum(
            region.share * cost(region.targets[layer], measure) / region.energies[layer]
            for region, measure in zip(self.targets.regions, measures, strict=True)
        )
