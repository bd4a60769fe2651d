"""Which channels fire together, in numbers: matrices of a layer, orders and pairs of its channels (Gatys et al. 2015).

A block is the activations of one layer for one picture, (1, C, H, W). Arrays for drawing are numpy's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from torch import Tensor

from nst import costs

# Kind of matrix -> what it holds, in words for the page.
KINDS: dict[str, str] = {
    "gram": "the style matrix of the lecture: products summed over all positions, nothing is subtracted, "
    "so channels that are bright everywhere stand out",
    "covariance": "each channel's mean is subtracted first: what is left is how channels vary together",
    "correlation": "covariance divided by both channels' spread: from -1 to 1, quiet channels count like loud ones",
}
# Order of channels -> what it does, in words for the page.
ORDERINGS: dict[str, str] = {
    "index": "as the network numbers them",
    "energy": "the strongest first",
    "similarity": "channels that fire together next to each other, so that blocks appear",
}
# Lowest correlation -> what it means for channels k and m.
RELATIONS: tuple[tuple[float, str], ...] = (
    (0.6, "Where channel {k} fires, channel {m} fires too"),
    (0.3, "Where channel {k} fires, channel {m} often fires too"),
    (0.1, "Channels {k} and {m} fire together a little more often than by chance"),
    (-0.1, "Channels {k} and {m} fire independently of each other"),
    (-0.3, "Channels {k} and {m} fire together a little less often than by chance"),
    (-math.inf, "Where channel {k} fires most, channel {m} fires least"),
)
ROUNDING = 1e-12  # a variance below this share of the mean square is float32's rounding of a constant
QUIET = 0.1  # share of the layer's mean variance below which a channel's correlations are left out of the strongest


@dataclass(frozen=True)
class Pair:
    """Two different channels and their entry of a matrix."""

    k: int
    m: int  # above k
    value: float


def matrix(block: Tensor, kind: str = "gram") -> np.ndarray:
    """Of a kind in `KINDS`: (1, C, H, W) -> (C, C). Covariance is the mean over positions, numpy's with `bias=True`.

    A channel that is the same at all positions has no correlation: its row and column are 0, the diagonal too.
    """
    found = costs.style_matrix(_factors(block, kind))[0].numpy()
    return found.clip(-1, 1) if kind == "correlation" else found


def product_map(block: Tensor, k: int, m: int, kind: str = "gram") -> np.ndarray:
    """a[.., k] * a[.., m], whose sum over positions is the matrix entry (k, m): (1, C, H, W) -> (H, W).

    For the covariance the channels' means are subtracted first and the product divided by the number of positions;
    for the correlation also by both standard deviations.
    """
    _check_channels(block, k, m)
    first, second = _factors(block[:, [k, m]], kind)[0]
    return (first * second).numpy()


def activation_map(block: Tensor, k: int) -> np.ndarray:
    """Where channel k fires, and how strongly: (1, C, H, W) -> (H, W)."""
    _check_channels(block, k)
    return block[0, k].numpy().copy()  # a copy: a view would keep the whole block alive


def order(block: Tensor, ordering: str = "index") -> np.ndarray:
    """Channel numbers in an order of `ORDERINGS`: (1, C, H, W) -> permutation (C)."""
    if ordering == "similarity":
        return order_by_similarity(matrix(block, "correlation"))
    if ordering == "energy":
        return order_by_energy(matrix(block))
    if ordering != "index":
        raise ValueError(f"ordering={ordering!r} is not known; choose from {', '.join(ORDERINGS)}")
    return np.arange(block.shape[1])


def order_by_energy(style_matrix: np.ndarray) -> np.ndarray:
    """The largest entry of the diagonal first: (C, C) -> permutation (C)."""
    return np.argsort(-np.diag(style_matrix), kind="stable")


def order_by_similarity(correlation: np.ndarray) -> np.ndarray:
    """Average linkage on 1 - r, its leaves so that neighbours differ least: (C, C) -> permutation (C).

    Bar-Joseph et al. 2001, a tenth of a second for 512 channels. Constant channels, which resemble none, come last.
    """
    lives = np.diag(correlation) > 0
    alive, dead = np.flatnonzero(lives), np.flatnonzero(~lives)
    if len(alive) > 2:
        among = correlation[np.ix_(alive, alive)].astype(np.float64)
        distance = np.clip(1 - (among + among.T) / 2, 0, 2)
        np.fill_diagonal(distance, 0)
        distances = squareform(distance, checks=False)
        tree = hierarchy.linkage(distances, "average", optimal_ordering=True)
        alive = alive[hierarchy.leaves_list(tree)]
    return np.concatenate([alive, dead])


def strongest_pairs(block: Tensor, kind: str = "gram", count: int = 10) -> tuple[Pair, ...]:
    """Pairs of different channels by the size of their entry, the largest first, whatever its sign.

    Correlations count among the channels with some variance only (`QUIET`): two that fire once, at the same spot,
    correlate perfectly and mean nothing.
    """
    entries = matrix(block, kind)
    size = np.triu(np.abs(entries), 1)
    if kind == "correlation":
        variance = _moments(block)[1].flatten().numpy()
        quiet = variance < QUIET * variance.mean()
        size[quiet] = size[:, quiet] = 0
    best = np.argsort(-size, axis=None, kind="stable")[:count]
    found = (np.unravel_index(index, size.shape) for index in best if size.flat[index] > 0)
    return tuple(Pair(int(k), int(m), float(entries[k, m])) for k, m in found)


def correlation(block: Tensor, k: int, m: int) -> float:
    """Of two channels, -1 to 1; 0 when one of them is the same everywhere."""
    return float(np.clip(product_map(block, k, m, "correlation").sum(dtype=np.float64), -1, 1))


def relation(block: Tensor, k: int, m: int) -> str:
    """A plain sentence on what two channels have to do with each other."""
    _check_channels(block, k, m)
    for channel in (k, m):
        if not block[0, channel].any():
            return f"Channel {channel} never fires in this picture."
    if k == m:
        return f"Channel {k} with itself: the entry on the diagonal is how much it fires altogether."
    variance = _moments(block[:, [k, m]])[1].flatten()
    for channel, spread in zip((k, m), variance, strict=True):
        if spread == 0:
            return f"Channel {channel} is the same everywhere in this picture: it goes along with no other."
    r = correlation(block, k, m)
    words = next(words for lowest, words in RELATIONS if r >= lowest)
    return f"{words.format(k=k, m=m)} (correlation {r:.2f})."


def _factors(block: Tensor, kind: str) -> Tensor:
    """Activations made such that their style matrix is the matrix of this kind: (1, C, H, W) -> same."""
    if kind == "gram":
        return block
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not known; choose from {', '.join(KINDS)}")
    mean, variance = _moments(block)
    positions = block.shape[-2] * block.shape[-1]
    if kind == "covariance":
        return (block - mean) / math.sqrt(positions)
    return (block - mean) * torch.where(variance > 0, 1 / (positions * variance).sqrt(), 0)


def _moments(block: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel over positions, (1, C, 1, 1); a variance that is only rounding is 0.

    Apart from `costs.mean_and_covariance`: the covariance of 512 channels would be 512 times the work.
    """
    mean = block.mean((2, 3), keepdim=True, dtype=torch.float64).to(block.dtype)
    variance = (block - mean).square().mean((2, 3), keepdim=True)
    return mean, torch.where(variance > ROUNDING * mean.square(), variance, 0)


def _check_channels(block: Tensor, *channels: int) -> None:
    for channel in channels:
        if not 0 <= channel < block.shape[1]:
            raise ValueError(f"channel {channel} is not there; choose from 0 to {block.shape[1] - 1}")
