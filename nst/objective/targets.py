"""What a level's picture is compared with: the content and, region by region, the style statistics."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nst import costs
from nst.cache import BoundedCache
from nst.device import true_float32
from nst.features.extractor import FeatureExtractor
from nst.images import masks, pictures
from nst.objective import tile_passes, tiles
from nst.objective.statistics import STATISTICS, Gathered, weight_of
from nst.objective.tiles import Place
from nst.scaled_pictures import Inputs
from nst.schedule import Level
from nst.settings import Settings

MOST_STYLES_KEPT = 32  # style pictures at one size; the style matrices of the five layers take 2.3 MB


class StyleCache(BoundedCache):
    """What was measured on style pictures, for runs that share some: in a batch all photos often have one style."""

    def __init__(self) -> None:
        super().__init__(MOST_STYLES_KEPT)


def digest(values: Tensor | None) -> str:
    """SHA-256 of a tensor's shape and values, empty for None."""
    if values is None:
        return ""
    return hashlib.sha256(str(tuple(values.shape)).encode() + values.cpu().numpy().tobytes()).hexdigest()


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
        silence: Mapping[str, Tensor],
        extractor: FeatureExtractor,
        settings: Settings,
    ) -> Region:
        """For one or more measured styles, by layer, in a part (1, 1, H, W). `silence`: activations that are zero."""
        statistic = STATISTICS[settings.statistic]
        targets, energies = {}, {}
        for layer in settings.style_layers:
            targets[layer] = statistic.target(statistic.mix([style[layer] for style in styles], weights))
            energies[layer] = 1.0
            if settings.balance:
                energies[layer] = _energy(statistic.cost(targets[layer], statistic.measure(silence[layer], None)))
        return cls(share, _guides(part, extractor, settings), targets, energies)


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
        cls,
        inputs: Inputs,
        extractor: FeatureExtractor,
        settings: Settings,
        level: Level,
        tile_bytes: float | None = None,
        memo: StyleCache | None = None,
    ) -> Targets:
        """Measure the pictures at the level's size, whole or in tiles that remember no more than `tile_bytes`.

        `memo` keeps what was measured on style pictures for other runs, whose extractors have the same weights.
        """
        size = level.height, level.width
        photo = pictures.resize(inputs.photo, size)
        drawn = [masks.resize(mask, size) for mask in inputs.masks]
        visible = None if inputs.visible is None else masks.resize(inputs.visible, size)
        measuring = _Measuring(extractor, settings, tile_bytes, memo)
        with true_float32(photo):
            content, energies, silence = measuring.content(photo)
            regions = tuple(_regions(inputs, drawn, visible, size, silence, measuring))
        return cls(photo, masks.union(drawn) if drawn else None, visible, content, energies, regions)


@dataclass(frozen=True)
class _Measuring:
    """Looks at pictures, whole or in tiles."""

    extractor: FeatureExtractor
    settings: Settings
    tile_bytes: float | None
    memo: StyleCache | None

    def look(self, picture: Tensor, see: tile_passes.OnTile) -> None:
        """Show every activation of every layer to `see`: (1, 3, H, W)."""
        if self.tile_bytes is not None:
            tile_passes.TilePasses(self.extractor, self.tile_bytes).forward(picture, see)
            return
        self.extractor.show(picture, lambda layer, all_of_it: see(layer, all_of_it, tiles.everywhere(all_of_it)))

    def content(self, photo: Tensor) -> tuple[dict[str, Tensor], dict[str, float], dict[str, Tensor]]:
        """The content layers' activations, what their costs are divided by, and one silent position of each layer."""
        content, silence = {}, {}
        energies = dict.fromkeys(self.settings.content_layers, 0.0)

        def see(layer: str, own: Tensor, place: Place) -> None:
            silence.setdefault(layer, own.new_zeros(1, own.shape[1], 1, 1))
            if layer not in energies:
                return
            grid = [side // self.extractor.strides[layer] for side in photo.shape[-2:]]
            if place.positions == math.prod(grid):
                content[layer] = own
            else:
                if layer not in content:
                    content[layer] = tile_passes.grid_like(own, *grid)
                place.of(content[layer]).copy_(own)
            if self.settings.balance:
                share = place.positions / math.prod(grid)
                energies[layer] += share * float(costs.content_cost(own, torch.zeros_like(own)))

        self.look(photo, see)
        return content, {k: _or_leave_out(e) if self.settings.balance else 1.0 for k, e in energies.items()}, silence

    def style(self, painting: Tensor, alpha: Tensor | None, scale: float) -> dict[str, Any]:
        """What the statistic measures on a style picture shrunk by `scale`, from the memo where it has that."""
        if self.memo is None:
            return self._style(painting, alpha, scale)
        settings, extractor = self.settings, self.extractor
        network = settings.backbone, settings.pooling, extractor.dtype, extractor.smallest_side, painting.device
        seen = digest(painting), digest(alpha), scale, self.tile_bytes
        key = *seen, *network, settings.statistic, *settings.style_layers
        return self.memo.get(key, lambda: self._style(painting, alpha, scale))

    def _style(self, painting: Tensor, alpha: Tensor | None, scale: float) -> dict[str, Any]:
        """The same, measured. Transparent parts do not count."""
        size = pictures.shrunk_size(painting, scale, self.extractor.smallest_side)
        guides = _guides(None if alpha is None else masks.resize(alpha, size), self.extractor, self.settings)
        gathered = Gathered(STATISTICS[self.settings.statistic], guides, weight_of)

        def see(layer: str, own: Tensor, place: Place) -> None:
            if layer in self.settings.style_layers:
                gathered.see(layer, own, place)

        self.look(pictures.resize(painting, size), see)
        return gathered.measures


def _regions(
    inputs: Inputs,
    drawn: Sequence[Tensor],
    visible: Tensor | None,
    size: tuple[int, int],
    silence: Mapping[str, Tensor],
    measuring: _Measuring,
) -> Iterator[Region]:
    """One region for all styles together, or one for each style where each has a mask, for a level of this size."""
    extractor, settings = measuring.extractor, measuring.settings
    scale = max(size) / max(inputs.size)
    styles = [measuring.style(*style, scale) for style in inputs.styles]
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
            yield Region.of(members, weights, part, amount / sum(amounts), silence, extractor, settings)


def _guides(part: Tensor | None, extractor: FeatureExtractor, settings: Settings) -> dict[str, Tensor | None]:
    """A part of the picture (1, 1, H, W) on the grid of each style layer."""
    if part is None:
        return dict.fromkeys(settings.style_layers)
    strides = {layer: extractor.strides[layer] for layer in settings.style_layers}
    return {
        layer: masks.guide(part, [side // stride for side in part.shape[-2:]], stride)
        for layer, stride in strides.items()
    }


def _energy(cost_of_nothing: Tensor) -> float:
    """What a balanced cost is divided by: the cost of a picture that excites nothing, which makes it 1 there."""
    return _or_leave_out(float(cost_of_nothing))


def _or_leave_out(energy: float) -> float:
    """A target that is nothing itself, such as a style that shows only where poolings drop the border, cannot be
    balanced: an infinite energy leaves its layer out, where the plain cost would outweigh all others a million times.
    """
    return energy or math.inf
