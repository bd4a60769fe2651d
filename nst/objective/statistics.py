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
    """How style is measured at a layer, how several pictures make one target, and how far a picture is from it."""

    measure: Callable[[Tensor, Tensor | None], Any]  # activations (1, C, H, W), guide (1, 1, H, W)
    mix: Callable[[Sequence[Any], Sequence[float]], Any]  # measures of parts, their weights -> that of the whole
    about: Callable[[Any, Any], Any]  # of a part and of its whole -> what makes the whole when parts are averaged
    target: Callable[[Any], Any]  # measure -> what others are compared with
    cost: Callable[[Any, Any], Tensor]  # target, measure -> scalar
    strength: float = 1.0  # beta is multiplied by this when costs are balanced, to paint as strongly with each


STATISTICS: dict[str, Statistic] = {
    "gram": Statistic(
        costs.mean_style_matrix, costs.blend, lambda part, _: part, lambda matrix: matrix, costs.style_matrix_cost
    ),
    "wasserstein": Statistic(
        wasserstein.moments,
        wasserstein.blend,
        wasserstein.about,
        wasserstein.gaussian,
        wasserstein.wasserstein_cost,
        strength=0.5,  # by eye: at equal beta faces dissolve, at 0.3 it hardly paints
    ),
}


@dataclass
class Gathered:
    """What a statistic measures on a whole picture whose activations come in parts."""

    statistic: Statistic
    guides: Mapping[str, Tensor | None]
    weigh: Callable[[str, Place, Tensor | None], float]
    measures: dict[str, Any] = field(default_factory=dict)  # by layer, of all parts so far
    weights: dict[str, float] = field(default_factory=dict)

    def see(self, layer: str, own: Tensor, place: Place) -> None:
        """Take a part's activations (1, C, h, w) into account."""
        guide = part_of(self.guides[layer], place)
        measure, weight = self.statistic.measure(own, guide), self.weigh(layer, place, guide)
        before = self.weights.get(layer, 0.0)
        if before and weight:
            measure = self.statistic.mix([self.measures[layer], measure], [before, weight])
        if weight or layer not in self.measures:
            self.measures[layer] = measure
        self.weights[layer] = before + weight


def part_of(guide: Tensor | None, place: Place) -> Tensor | None:
    """A guide's values at this place."""
    return None if guide is None else place.of(guide)


def weight_of(layer: str, place: Place, guide: Tensor | None) -> float:
    """How much a part counts in the mean over its picture. Waits for the device."""
    return float(place.positions) if guide is None else float(guide.square().sum())
