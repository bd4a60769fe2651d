"""How style is measured at a layer: by style matrices, or by mean and covariance as Wasserstein's distance asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from nst import costs
from nst.objective import wasserstein
from nst.objective.tiles import Place


@dataclass(frozen=True)
class Statistic:
    """A way to measure style. What `measure` gives is a "measure": a tensor, or a dataclass of tensors."""

    measure: Callable[[Tensor, Tensor | None], Any]  # activations (1, C, H, W), guide (1, 1, H, W) -> measure
    mix: Callable[[Sequence[Any], Sequence[float]], Any]  # measures of parts, their weights -> that of the whole
    # Measures of a tile and of the whole picture -> the tile's, re-expressed relative to the whole picture's mean, so
    # that the weighted average over tiles is the whole picture's.
    relative_to_whole: Callable[[Any, Any], Any]
    target: Callable[[Any], Any]  # the style's measure -> what `cost` compares with
    cost: Callable[[Any, Any], Tensor]  # target, measure -> scalar
    strength: float = (
        1.0  # beta is multiplied by this when costs are balanced, so that all statistics paint as strongly
    )


STATISTICS: dict[str, Statistic] = {
    "gram": Statistic(
        measure=costs.mean_style_matrix,
        mix=costs.blend,
        relative_to_whole=lambda matrix, _: matrix,  # no mean is subtracted
        target=lambda matrix: matrix,
        cost=costs.style_matrix_cost,
    ),
    "wasserstein": Statistic(
        measure=wasserstein.moments,
        mix=wasserstein.blend,
        relative_to_whole=wasserstein.relative_to_whole,
        target=wasserstein.gaussian,
        cost=wasserstein.wasserstein_cost,
        strength=0.5,  # by eye: at equal beta faces dissolve, at 0.3 it hardly paints
    ),
}


@dataclass
class MeasureOverTiles:
    """The measures of all style layers of a picture, collected tile by tile."""

    statistic: Statistic
    guides: Mapping[str, Tensor | None]  # layer -> (1, 1, H, W), how much each position counts
    weigh: Callable[[str, Place, Tensor | None], float]  # as `tile_weight`
    measures: dict[str, Any] = field(default_factory=dict)  # layer -> measure of all tiles so far
    weights: dict[str, float] = field(default_factory=dict)  # layer -> sum of their weights

    def add(self, layer: str, own: Tensor, place: Place) -> None:
        """Count a tile's own activations (1, C, h, w)."""
        guide = guide_at(self.guides[layer], place)
        measure, weight = self.statistic.measure(own, guide), self.weigh(layer, place, guide)
        before = self.weights.get(layer, 0.0)
        if before and weight:
            measure = self.statistic.mix([self.measures[layer], measure], [before, weight])
        if weight or layer not in self.measures:
            self.measures[layer] = measure
        self.weights[layer] = before + weight


def guide_at(guide: Tensor | None, place: Place) -> Tensor | None:
    """A guide's values (1, 1, h, w) at this place; None, which counts all positions alike, stays None."""
    return None if guide is None else place.of(guide)


def tile_weight(layer: str, place: Place, guide: Tensor | None) -> float:
    """How much a tile counts in its picture's measure: its positions, each by its guide's square. Waits for the GPU."""
    return float(place.positions) if guide is None else float(guide.square().sum())
