"""What a run minimises: the targets of a level, region by region, and J(G) with its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from nst import costs, images, masks, wasserstein
from nst.features import FeatureExtractor
from nst.inputs import Inputs
from nst.memo import Memo, digest
from nst.schedule import Level
from nst.settings import Settings


@dataclass(frozen=True)
class Statistic:
    """How style is measured at a layer, how several pictures make one target, and how far a picture is from it."""

    measure: Callable[[Tensor, Tensor | None], Any]  # activations (1, C, H, W), guide (1, 1, H, W)
    target: Callable[[Sequence[Any], Sequence[float]], Any]  # measures, their weights
    cost: Callable[[Any, Any], Tensor]  # target, measure -> scalar
    strength: float = 1.0  # beta is multiplied by this when costs are balanced, to paint as strongly with each


STATISTICS: dict[str, Statistic] = {
    "gram": Statistic(costs.mean_style_matrix, costs.blend, costs.style_matrix_cost),
    "wasserstein": Statistic(
        wasserstein.moments,
        lambda parts, weights: wasserstein.gaussian(wasserstein.blend(parts, weights)),
        wasserstein.wasserstein_cost,
        strength=0.5,  # by eye: at equal beta faces dissolve, at 0.3 it hardly paints
    ),
}


@dataclass(frozen=True)
class Region:
    """A part of the picture and the style that goes there."""

    share: float  # of J_style; all regions together make 1
    guides: Mapping[str, Tensor | None]  # layer -> (1, 1, h, w): how much each position belongs to the region
    targets: Mapping[str, Any]  # layer -> what the statistic measured on the style picture
    energies: Mapping[str, float]  # layer -> what the cost is divided by

    @classmethod
    def of(
        cls,
        styles: Sequence[Mapping[str, Any]],
        weights: Sequence[float],
        part: Tensor | None,
        share: float,
        activations: Mapping[str, Tensor],
        extractor: FeatureExtractor,
        settings: Settings,
    ) -> Region:
        """For one or more measured styles, by layer, in a part (1, 1, H, W) of a picture with these activations."""
        statistic = STATISTICS[settings.statistic]
        guides = _guides(part, activations, extractor, settings)
        targets, energies = {}, {}
        for layer in settings.style_layers:
            targets[layer] = statistic.target([style[layer] for style in styles], weights)
            energies[layer] = 1.0
            if settings.balance:
                nothing = statistic.measure(torch.zeros_like(activations[layer]), None)
                energies[layer] = _energy(statistic.cost(targets[layer], nothing))
        return cls(share, guides, targets, energies)


@dataclass(frozen=True)
class Targets:
    """What a level's picture is compared with, and the energies that its costs are divided by."""

    photo: Tensor  # (1, 3, H, W)
    mask: Tensor | None  # (1, 1, H, W): where anything is painted
    visible: Tensor | None  # (1, 1, H, W): the photo's alpha
    content: Mapping[str, Tensor]  # activations (1, C, H, W)
    content_energy: Mapping[str, float]
    regions: tuple[Region, ...]

    @classmethod
    @torch.inference_mode(False)
    @torch.no_grad()
    def of(
        cls, inputs: Inputs, extractor: FeatureExtractor, settings: Settings, level: Level, memo: Memo | None = None
    ) -> Targets:
        """`memo` keeps what was measured on style pictures for other runs, whose extractors have the same weights."""
        size = level.height, level.width
        scale = max(size) / max(inputs.size)
        photo = images.resize(inputs.photo, size)
        drawn = [masks.resize(mask, size) for mask in inputs.masks]
        visible = None if inputs.visible is None else masks.resize(inputs.visible, size)
        with _cudnn(photo):
            activations = extractor(photo)
            styles = [_remembered(*style, scale, extractor, settings, memo) for style in inputs.styles]
            regions = tuple(_regions(styles, drawn, visible, activations, extractor, settings))
        content = {layer: activations[layer] for layer in settings.content_layers}
        return cls(
            photo,
            masks.union(drawn) if drawn else None,
            visible,
            content,
            {
                layer: _energy(costs.content_cost(a, torch.zeros_like(a))) if settings.balance else 1.0
                for layer, a in content.items()
            },
            regions,
        )


def _regions(
    styles: Sequence[Mapping[str, Any]],
    drawn: Sequence[Tensor],
    visible: Tensor | None,
    activations: Mapping[str, Tensor],
    extractor: FeatureExtractor,
    settings: Settings,
) -> Iterator[Region]:
    """One region for all measured styles together, or one for each style where each has a mask."""
    blend = settings.style_blend or (1.0,) * len(styles)
    groups = [[index] for index in range(len(styles))] if len(drawn) > 1 else [list(range(len(styles)))]
    parts = [masks.both(mask, visible) for mask in drawn or [None]]
    amounts = [
        sum(blend[index] for index in group) * (1.0 if part is None else float(part.mean()))
        for group, part in zip(groups, parts, strict=True)
    ]
    for group, part, amount in zip(groups, parts, amounts, strict=True):
        if amount > 0:
            members, weights = [styles[index] for index in group], [blend[index] for index in group]
            yield Region.of(members, weights, part, amount / sum(amounts), activations, extractor, settings)


def _remembered(
    painting: Tensor,
    alpha: Tensor | None,
    scale: float,
    extractor: FeatureExtractor,
    settings: Settings,
    memo: Memo | None,
) -> dict[str, Any]:
    """What `_measured` gives, from the memo where it has that."""
    if memo is None:
        return _measured(painting, alpha, scale, extractor, settings)
    network = settings.backbone, settings.pooling, extractor.dtype, extractor.smallest_side, painting.device
    key = digest(painting), digest(alpha), scale, *network, settings.statistic, *settings.style_layers
    return memo.get(key, lambda: _measured(painting, alpha, scale, extractor, settings))


def _measured(
    painting: Tensor, alpha: Tensor | None, scale: float, extractor: FeatureExtractor, settings: Settings
) -> dict[str, Any]:
    """What the statistic measures on a style picture shrunk by `scale`, by layer. Transparent parts do not count."""
    size = images.shrunk_size(painting, scale, extractor.smallest_side)
    activations = extractor(images.resize(painting, size))
    guides = _guides(None if alpha is None else masks.resize(alpha, size), activations, extractor, settings)
    measure = STATISTICS[settings.statistic].measure
    return {layer: measure(activations[layer], guides[layer]) for layer in settings.style_layers}


def _guides(
    part: Tensor | None, activations: Mapping[str, Tensor], extractor: FeatureExtractor, settings: Settings
) -> dict[str, Tensor | None]:
    """A part of the picture (1, 1, H, W) on the grid of each style layer."""
    return {
        layer: None if part is None else masks.guide(part, activations[layer].shape[-2:], extractor.strides[layer])
        for layer in settings.style_layers
    }


def _energy(cost_of_nothing: Tensor) -> float:
    """What a balanced cost is divided by: the cost of a picture that excites nothing, which makes it 1 there.

    A target that is nothing itself, such as a style that shows only where poolings drop the border, cannot be balanced:
    an infinite energy leaves its layer out, where the plain cost would outweigh all others a million times.
    """
    return float(cost_of_nothing) or math.inf


def _cudnn(image: Tensor, benchmark: bool = False) -> AbstractContextManager:
    """Convolutions in true float32, not TF32, where float32 is meant; `benchmark` pays for sizes seen often."""
    if not image.is_cuda:
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=benchmark, allow_tf32=False)


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
        with torch.inference_mode(False), torch.enable_grad(), _cudnn(image, benchmark=True):
            pixels = image.clone().requires_grad_()  # a clone: the caller may be in inference mode
            terms = self.terms(pixels)
            (gradient,) = torch.autograd.grad(terms["total"], pixels)
        return torch.stack([terms[name].detach() for name in self.names]), gradient.contiguous()

    def terms(self, image: Tensor) -> dict[str, Tensor]:
        """The terms by name, as scalars."""
        settings, targets = self.settings, self.targets
        seen = self.shown(image)
        activations = self.extractor(seen)
        nothing = image.new_zeros(())
        content = nothing + sum(
            weight * costs.content_cost(targets.content[layer], activations[layer]) / targets.content_energy[layer]
            for layer, weight in settings.content_layers.items()
        )
        layers = {layer: self._style_layer(layer, activations[layer]) for layer in settings.style_layers}
        style = nothing + sum(weight * layers[layer] for layer, weight in settings.style_layers.items())
        # Reported always, but a weight of 0 needs no gradient.
        variation = costs.total_variation(seen if settings.total_variation else seen.detach())
        beta = settings.beta * (STATISTICS[settings.statistic].strength if settings.balance else 1.0)
        total = costs.total_cost(content, style, settings.alpha, beta) + settings.total_variation * variation
        return {"total": total, "content": content, "style": style, "total_variation": variation, **layers}

    def shown(self, image: Tensor) -> Tensor:
        """The picture with the photo where nothing is painted: (1, 3, H, W) -> same."""
        return masks.compose(image, self.targets.photo, self.targets.mask)

    def preview(self, image: Tensor) -> Image.Image:
        """What a viewer sees of the picture, transparent parts being white: (1, 3, H, W) -> PIL RGB."""
        return images.to_picture(masks.compose(self.shown(image), torch.ones_like(image), self.targets.visible))

    def _style_layer(self, layer: str, activations: Tensor) -> Tensor:
        """J_style[l] over all regions. Scalar."""
        statistic = STATISTICS[self.settings.statistic]
        return sum(
            region.share
            * statistic.cost(region.targets[layer], statistic.measure(activations, region.guides[layer]))
            / region.energies[layer]
            for region in self.targets.regions
        )
