"""The objective of a picture that the network sees in tiles: the same terms and gradient as `nst.objective` gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nst import costs, malloc
from nst.device import true_float32
from nst.objective.objective import Objective
from nst.objective.statistics import STATISTICS, MeasureOverTiles, guide_at, tile_weight
from nst.objective.tile_passes import TilePasses
from nst.objective.tiles import Place
from nst.objective.wasserstein import Moments


@dataclass(frozen=True)
class TiledObjective(Objective):
    """J(G) with its gradient in two passes over tiles, each of which remembers no more than `tile_bytes`."""

    tile_bytes: float = 0.0  # 0: the smallest tiles there are
    # (region, layer, row, column) -> weight of the tile there, from the first call.
    weights: dict[tuple, float] = field(default_factory=dict, repr=False)

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """As of the whole picture. Only the first call waits for the device."""
        with torch.inference_mode(False), torch.enable_grad(), true_float32(image):
            composed, passes = self.composed(image), TilePasses(self.extractor, self.tile_bytes)
            sums = _SumsOverTiles(self)
            entered = passes.forward(composed, sums.add, differentiable=True)
            malloc.trim()  # tiles of changing sizes leave gaps
            pixels = composed.clone().requires_grad_() if self.pixels_count else composed
            terms = sums.terms(self.pixel_terms(pixels))
            terms["total"].backward()  # to the sums, and no further
            gradient = passes.backward(entered, sums.loss).contiguous()
            malloc.trim()
            if pixels.grad is not None:
                gradient += pixels.grad
            if self.targets.mask is not None:
                gradient *= self.targets.mask  # as `composed` multiplies the picture
            gradient = self.painted(gradient)  # a projection is its own adjoint
        return torch.stack([terms[name].detach() for name in self.names]), gradient

    def _terms_without_gradient(self, image: Tensor) -> dict[str, Tensor]:
        composed, sums = self.composed(image), _SumsOverTiles(self)
        TilePasses(self.extractor, self.tile_bytes).forward(composed, sums.add)
        malloc.trim()
        return sums.terms(self.pixel_terms(composed))


class _SumsOverTiles:
    """What the forward pass adds up, and what the backward pass sends back: the derivatives of J by these sums."""

    def __init__(self, objective: TiledObjective) -> None:
        self.objective = objective
        self.statistic = STATISTICS[objective.settings.statistic]
        self.contents: dict[str, Tensor] = {}  # content layer -> its cost
        self.regions = [
            MeasureOverTiles(self.statistic, region.guides, self._weigher(number))
            for number, region in enumerate(objective.targets.regions)
        ]

    def add(self, layer: str, own: Tensor, place: Place) -> None:
        """Count a tile's own activations (1, C, h, w)."""
        settings = self.objective.settings
        if layer in settings.content_layers:
            self.contents[layer] = self.contents.get(layer, 0) + self._content_cost(layer, own, place)
        if layer in settings.style_layers:
            for region in self.regions:
                region.add(layer, own, place)

    def terms(self, of_pixels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The terms by name, as functions of the sums and of `Objective.pixel_terms`."""
        layers = self.objective.settings.style_layers
        measures = {layer: [region.measures[layer] for region in self.regions] for layer in layers}
        for leaf in self.contents.values():
            leaf.requires_grad_()
        for of_regions in measures.values():
            for leaf in (leaf for measure in of_regions for leaf in _tensors(measure)):
                leaf.requires_grad_()
        return self.objective.weighted_terms(self.contents, measures, of_pixels)

    def loss(self, layer: str, own: Tensor, place: Place) -> Tensor | None:
        """A scalar with the gradient of J by a tile's own activations (1, C, h, w); None where that is 0."""
        settings, parts = self.objective.settings, []
        if layer in settings.content_layers:
            parts.append(self.contents[layer].grad * self._content_cost(layer, own, place))
        if layer in settings.style_layers:
            losses = (self._style_loss(region, layer, own, place) for region in self.regions)
            parts += [loss for loss in losses if loss is not None]
        return sum(parts) if parts else None

    def _style_loss(self, region: MeasureOverTiles, layer: str, own: Tensor, place: Place) -> Tensor | None:
        """`loss` of one style layer in one region."""
        guide, whole = guide_at(region.guides[layer], place), region.measures[layer]
        weight = region.weigh(layer, place, guide)
        if weight == 0:
            return None
        part = self.statistic.relative_to_whole(self.statistic.measure(own, guide), whole)
        slopes = ((leaf.grad * tensor).sum() for leaf, tensor in zip(_tensors(whole), _tensors(part), strict=True))
        return weight / region.weights[layer] * sum(slopes)

    def _content_cost(self, layer: str, own: Tensor, place: Place) -> Tensor:
        """A tile's part of a layer's content cost. Scalar."""
        whole = self.objective.targets.content[layer]
        share = place.positions / (whole.shape[-2] * whole.shape[-1])
        return share * costs.content_cost(place.of(whole), own)

    def _weigher(self, region: int) -> Callable[[str, Place, Tensor | None], float]:
        """`tile_weight` for one region, kept from the first call on, because it waits for the device."""
        known = self.objective.weights

        def weigh(layer: str, place: Place, guide: Tensor | None) -> float:
            key = region, layer, place.rows.start, place.columns.start
            if key not in known:
                known[key] = tile_weight(layer, place, guide)
            return known[key]

        return weigh


def _tensors(measure: Tensor | Moments) -> tuple[Tensor, ...]:
    """The tensors of a statistic's measure."""
    return (measure,) if isinstance(measure, Tensor) else (measure.mean, measure.covariance)
