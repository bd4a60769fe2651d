"""What a level's picture is compared with: the content and, region by region, the style statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from nst import costs
from nst.cache import BoundedCache, digest
from nst.device import true_float32
from nst.features.extractor import FeatureExtractor
from nst.images import masks, pictures
from nst.objective import recurrence, tile_passes, tiles
from nst.objective.statistics import STATISTICS, MeasureOverTiles, tile_weight
from nst.objective.tiles import Place
from nst.scaled_pictures import Inputs
from nst.schedule import Level
from nst.settings import Settings

# A photo with a smaller share of the style's content energy has next to no content. Real photos have 0.15 and more at
# 384 px, 0.07 at any layer. A flat one has 0.005: divided by that, any stroke would cost more than it is worth.
LEAST_CONTENT = 1 / 16
TRUSTED_WHOLE = 0.99  # share of the positions under one of a smaller level that must be trusted
STYLES_BYTES = 2**26  # a style picture at one size takes 2.3 MB, the style matrices of the five layers


@dataclass(frozen=True)
class StyleMeasures:
    """What is measured on a style picture at one size."""

    statistics: Mapping[str, Any]  # style layer -> measure
    content_energy: Mapping[str, float]  # content layer -> J_content(S, 0); 0 without `balance`

    @property
    def bytes(self) -> int:
        """Memory of the statistics."""
        return sum(_bytes(measure) for measure in self.statistics.values())


class StyleCache(BoundedCache):
    """What was measured on style pictures, for runs that share some: in a batch all photos often have one style."""

    def __init__(self) -> None:
        super().__init__(STYLES_BYTES, lambda measures: measures.bytes)


@cache
def kept_styles() -> StyleCache:
    """What this process has measured on style pictures, for its next runs."""
    return StyleCache()


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
        zeros: Mapping[str, Tensor],
        extractor: FeatureExtractor,
        settings: Settings,
    ) -> Region:
        """For the measures of one or more styles by layer, with their weights, in a part (1, 1, H, W) of the picture.

        `zeros` are activations (1, C, 1, 1) of a position that excites nothing, by layer.
        """
        statistic = STATISTICS[settings.statistic]
        targets, energies = {}, {}
        for layer in settings.style_layers:
            targets[layer] = statistic.target(statistic.mix([style[layer] for style in styles], weights))
            energies[layer] = 1.0
            if settings.balance:
                energies[layer] = _energy(statistic.cost(targets[layer], statistic.measure(zeros[layer], None)))
        return cls(share, _guides(part, extractor, settings), targets, energies)

    def within(self, part: Mapping[str, Tensor]) -> Region | None:
        """What of the region is in a part of the picture, given as guides; None where they share nothing."""
        guides = {layer: guide if (own := self.guides[layer]) is None else own * guide for layer, guide in part.items()}
        finest = max(guides, key=lambda layer: guides[layer].numel())
        whole = self.guides[finest]
        share = float(guides[finest].mean() / (1.0 if whole is None else whole.mean()))
        return replace(self, share=self.share * share, guides=guides) if share > 0 else None


@dataclass(frozen=True)
class Temporal:
    """What a frame of a clip is compared with besides its own content and the style (Ruder et al. 2016)."""

    expected: Tensor  # sRGB (1, 3, H, W): the last frame's result, moved along the optical flow
    trust: Tensor  # (1, 1, H, W) in [0, 1]: where the flow can be trusted
    new: Tensor | None  # (1, 1, H, W) in [0, 1]: what is painted for the first time; None: nothing of note
    gamma: float  # weight of J_temporal

    def at_size(self, size: tuple[int, int]) -> Temporal:
        """The same for a level of this size. What is trusted in part is not trusted."""
        if self.expected.shape[-2:] == size:
            return self
        trust = (masks.resize(self.trust, size) > TRUSTED_WHOLE).to(self.trust)
        new = None if self.new is None else masks.resize(self.new, size)
        return Temporal(pictures.resize(self.expected, size), trust, new, self.gamma)


@dataclass(frozen=True)
class Targets:
    """What a level's picture is compared with, and the energies that its content costs are divided by."""

    photo: Tensor  # (1, 3, H, W)
    mask: Tensor | None  # (1, 1, H, W): where anything is painted; None: everywhere
    visible: Tensor | None  # (1, 1, H, W): the photo's alpha; None: all of it shows
    grey: Tensor | None  # (1, 1, H or 1, W or 1): how far the picture is painted in grey; None: not at all
    content: Mapping[str, Tensor]  # content layer -> activations (1, C, H, W)
    content_energy: Mapping[str, float]  # content layer -> what its cost is divided by
    regions: tuple[Region, ...]
    temporal: Temporal | None = None  # None: a single picture

    def in_clip(self, temporal: Temporal, extractor: FeatureExtractor, settings: Settings) -> Targets:
        """The targets of a frame. What is new in it has a style cost of its own.

        The style matrix of the whole frame is nearly right once the rest is painted: it alone leaves new parts as they
        are in the clip (seen).
        """
        regions = self.regions
        if temporal.new is not None:
            new, rest = (_guides(part, extractor, settings) for part in (temporal.new, 1 - temporal.new))
            regions = tuple(part for region in regions for part in (region.within(new), region.within(rest)) if part)
        return replace(self, temporal=temporal, regions=regions)

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

        `memo` keeps what was measured on style pictures, for other runs.
        """
        size = level.height, level.width
        photo = pictures.resize(inputs.photo, size)
        drawn = [masks.resize(mask, size) for mask in inputs.masks]
        visible = None if inputs.visible is None else masks.resize(inputs.visible, size)
        measurer = _Measurer(extractor, settings, tile_bytes, memo)
        with true_float32(photo):
            content, energy, zeros = measurer.content(photo)
            pairs = zip_longest(inputs.styles, inputs.style_masks)
            styles = [measurer.style(*style, by_hand, max(size) / max(inputs.size)) for style, by_hand in pairs]
            regions = tuple(_regions(styles, drawn, visible, zeros, measurer))
        energies = _content_energies(energy, styles, settings)
        grey = masks.share_of(inputs.grey_styles(settings), drawn)
        return cls(
            photo,
            masks.union(drawn) if drawn else None,
            visible,
            grey if grey is None else grey.to(photo),
            content,
            energies,
            regions,
        )


@dataclass(frozen=True)
class _Measurer:
    """Measures pictures, which the network sees whole or in tiles."""

    extractor: FeatureExtractor
    settings: Settings
    tile_bytes: float | None
    memo: StyleCache | None

    def show(self, picture: Tensor, on_tile: tile_passes.OnTile) -> None:
        """Call `on_tile` with every activation of every layer asked for: sRGB (1, 3, H, W) in [0, 1]."""
        if self.tile_bytes is not None:
            tile_passes.TilePasses(self.extractor, self.tile_bytes).forward(picture, on_tile)
            return
        self.extractor.show(picture, lambda layer, whole: on_tile(layer, whole, tiles.whole_grid(whole)))

    def content(self, photo: Tensor) -> tuple[dict[str, Tensor], dict[str, float], dict[str, Tensor]]:
        """The content layers' activations and energies, and zeros (1, C, 1, 1) for each layer."""
        content, zeros = {}, {}
        energies = dict.fromkeys(self.settings.content_layers, 0.0)

        def keep(layer: str, own: Tensor, place: Place) -> None:
            zeros.setdefault(layer, own.new_zeros(1, own.shape[1], 1, 1))
            if layer not in energies:
                return
            grid = self._grid(layer, photo)
            if place.positions == math.prod(grid):
                content[layer] = own
            else:
                if layer not in content:
                    content[layer] = tile_passes.grid_like(own, *grid)
                place.of(content[layer]).copy_(own)
            energies[layer] += self._energy_of_tile(layer, own, place, photo)

        self.show(photo, keep)
        return content, energies, zeros

    def _grid(self, layer: str, picture: Tensor) -> list[int]:
        return [side // self.extractor.strides[layer] for side in picture.shape[-2:]]

    def _energy_of_tile(self, layer: str, own: Tensor, place: Place, picture: Tensor) -> float:
        """A tile's part of J_content(C, 0), which only `balance` needs. Waits for the device."""
        if not self.settings.balance:
            return 0.0
        share = place.positions / math.prod(self._grid(layer, picture))
        return share * float(costs.content_cost(own, torch.zeros_like(own)))

    def style(self, painting: Tensor, alpha: Tensor | None, by_hand: Tensor | None, scale: float) -> StyleMeasures:
        """The measures of a style picture (1, 3, H, W) shrunk by `scale`, from the memo where that has them.

        `by_hand` is its style mask, as in `Inputs`.
        """
        if self.memo is None:
            return self._measure_style(painting, alpha, by_hand, scale)
        settings, extractor = self.settings, self.extractor
        network = settings.backbone, settings.pooling, extractor.dtype, extractor.smallest_side, painting.device
        picture = digest(painting), digest(alpha), digest(by_hand), scale, self.tile_bytes
        layers = *settings.style_layers, "content", *settings.content_layers, settings.balance
        key = *picture, *network, settings.statistic, settings.style_parts, *layers
        return self.memo.get(key, lambda: self._measure_style(painting, alpha, by_hand, scale))

    def _measure_style(
        self, painting: Tensor, alpha: Tensor | None, by_hand: Tensor | None, scale: float
    ) -> StyleMeasures:
        """Transparent parts do not count, but in the energy."""
        size = pictures.shrunk_size(painting, scale, self.extractor.smallest_side)
        guides = self._style_guides(painting, alpha, by_hand, size)
        collected = MeasureOverTiles(STATISTICS[self.settings.statistic], guides, tile_weight)
        energies = dict.fromkeys(self.settings.content_layers, 0.0)
        shrunk = pictures.resize(painting, size)

        def measure_tile(layer: str, own: Tensor, place: Place) -> None:
            if layer in self.settings.style_layers:
                collected.add(layer, own, place)
            if layer in energies:
                energies[layer] += self._energy_of_tile(layer, own, place, shrunk)

        self.show(shrunk, measure_tile)
        return StyleMeasures(collected.measures, energies)

    def _style_guides(
        self, painting: Tensor, alpha: Tensor | None, by_hand: Tensor | None, size: tuple[int, int]
    ) -> dict[str, Tensor | None]:
        """Style layer -> how much each position of the style picture at this size counts; None: all alike.

        The guide, and with it the style mask, is for the deep layers, from which ghosts come. The shallow ones hold
        colours and strokes, which are style wherever they stand.
        """
        extractor, settings = self.extractor, self.settings
        visible = None if alpha is None else masks.resize(alpha, size)
        guides = _guides(visible, extractor, settings)
        deep = [layer for layer in guides if extractor.strides[layer] >= recurrence.FROM_STRIDE]
        if not deep or (settings.style_parts == "all" and by_hand is None):
            return guides
        guide = recurrence.guide(painting, alpha, by_hand, settings, extractor.dtype)
        if guide is None:
            return guides  # the plain style matrices, to the last bit
        guided = _guides(masks.both(masks.resize(guide, size), visible), extractor, settings)
        return guides | {layer: guided[layer] for layer in deep}


def _regions(
    styles: Sequence[StyleMeasures],
    drawn: Sequence[Tensor],
    visible: Tensor | None,
    zeros: Mapping[str, Tensor],
    measurer: _Measurer,
) -> Iterator[Region]:
    """One region for all styles together, or one for each style where each has a mask."""
    extractor, settings = measurer.extractor, measurer.settings
    blend = _blend(settings, len(styles))
    groups = [[index] for index in range(len(styles))] if len(drawn) > 1 else [list(range(len(styles)))]
    parts = [masks.both(mask, visible) for mask in drawn or [None]]
    amounts = [
        sum(blend[index] for index in group) * (1.0 if part is None else float(part.mean()))
        for group, part in zip(groups, parts, strict=True)
    ]
    for group, part, amount in zip(groups, parts, amounts, strict=True):
        if amount > 0:
            members, weights = [styles[index].statistics for index in group], [blend[index] for index in group]
            yield Region.of(members, weights, part, amount / sum(amounts), zeros, extractor, settings)


def _bytes(measure: Any) -> int:
    """Memory of a measure: a tensor, or a dataclass of tensors."""
    parts = [measure] if isinstance(measure, Tensor) else [getattr(measure, part.name) for part in fields(measure)]
    return sum(part.nbytes for part in parts)


def _blend(settings: Settings, styles: int) -> tuple[float, ...]:
    return settings.style_blend or (1.0,) * styles


def _content_energies(
    of_photo: Mapping[str, float], styles: Sequence[StyleMeasures], settings: Settings
) -> dict[str, float]:
    """Content layer -> what its cost is divided by."""
    if not settings.balance:
        return dict.fromkeys(of_photo, 1.0)
    blend, energies = _blend(settings, len(styles)), {}
    for layer, energy in of_photo.items():
        of_styles = sum(w * style.content_energy[layer] for w, style in zip(blend, styles, strict=True)) / sum(blend)
        energies[layer] = _or_leave_out(content_divisor(energy, LEAST_CONTENT * of_styles))
    return energies


def content_divisor(energy: float, least: float) -> float:
    """What a content cost is divided by: the photo's energy, and the more above `least` the more that is below it.

    The less content there is, the less it counts. At twice `least` even a flat photo is painted.
    """
    return energy if energy >= least else least**2 / max(energy, least / 2)


def _guides(part: Tensor | None, extractor: FeatureExtractor, settings: Settings) -> dict[str, Tensor | None]:
    """Style layer -> a part of the picture (1, 1, H, W) on the layer's grid, None where the part is everything."""
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
    """An energy to divide a cost by: infinite instead of 0, which leaves the layer out.

    A target of zeros cannot be balanced, and its plain cost would outweigh all others a million times. A style that
    shows only at the border, which poolings drop, gives one.
    """
    return energy or math.inf
