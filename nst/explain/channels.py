"""Which channels of a layer are active together: its matrices, orders and pairs of channels (Gatys et al. 2015).

A block is the activations of one layer for one picture: float32 (1, C, H, W) on the CPU. Results are numpy arrays.
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

# Kind of matrix -> the page's description of it.
KINDS: dict[str, str] = {
    "gram": "the style matrix (Gram matrix): products of two channels, summed over all positions. No mean is "
    "subtracted, so channels that are active everywhere have the largest entries",
    "covariance": "each channel's mean is subtracted first, so the entry shows only how two channels vary together",
    "correlation": "the covariance divided by both standard deviations: from -1 to 1, so weak channels count as much "
    "as strong ones",
}
# Order of channels -> the page's description of it.
ORDERINGS: dict[str, str] = {
    "index": "the network's own numbers",
    "energy": "the strongest channel first",
    "similarity": "channels that fire together stand next to each other and form blocks",
}
# (lowest correlation, sentence about channels k and m), from high to low: the first that fits is used.
RELATIONS: tuple[tuple[float, str], ...] = (
    (0.6, "Where channel {k} fires, channel {m} fires too"),
    (0.3, "Where channel {k} fires, channel {m} often fires too"),
    (0.1, "Channels {k} and {m} rise together a little more often than by chance"),
    (-0.1, "Where channel {k} is above its mean, channel {m} is neither above nor below its own"),
    (-0.3, "Channels {k} and {m} rise together a little less often than by chance"),
    (-math.inf, "Where channel {k} fires most, channel {m} fires least"),
)
ROUNDING = 1e-12  # a variance below this share of the squared mean is the rounding error of a constant channel
QUIET = 0.1  # `strongest_pairs` ignores the correlations of channels below this share of the layer's mean variance


@dataclass(frozen=True)
class Pair:
    """Two different channels and the entry of a matrix for them."""

    k: int
    m: int  # m > k
    value: float


def matrix(block: Tensor, kind: str = "gram") -> np.ndarray:
    """The matrix of a layer, of a kind in `KINDS`: (1, C, H, W) -> (C, C). `ValueError` for an unknown kind.

    The covariance is divided by the number of positions, as `numpy.cov` does with `bias=True`. A channel that has the
    same value at all positions has no correlation: its row and column are 0, and so is its entry on the diagonal.
    """
    found = costs.style_matrix(_factors(block, kind))[0].numpy()
    return found.clip(-1, 1) if kind == "correlation" else found


def product_map(block: Tensor, k: int, m: int, kind: str = "gram") -> np.ndarray:
    """The product of channels k and m at each position; its sum is the matrix entry (k, m): (1, C, H, W) -> (H, W).

    For the covariance, both means are subtracted first and the product is divided by the number of positions. For the
    correlation, it is also divided by both standard deviations. `ValueError` for an unknown kind or channel.
    """
    _check_channels(block, k, m)
    first, second = _factors(block[:, [k, m]], kind)[0]
    return (first * second).numpy()


def activation_map(block: Tensor, k: int) -> np.ndarray:
    """The activations of channel k: (1, C, H, W) -> (H, W). `ValueError` for an unknown channel."""
    _check_channels(block, k)
    return block[0, k].numpy().copy()  # a copy: a view would keep the whole block alive


def order(block: Tensor, ordering: str = "index") -> np.ndarray:
    """Channel numbers in an order of `ORDERINGS`: (1, C, H, W) -> permutation (C,). `ValueError` for an unknown one."""
    if ordering == "similarity":
        return order_by_similarity(matrix(block, "correlation"))
    if ordering == "energy":
        return order_by_energy(matrix(block))
    if ordering != "index":
        raise ValueError(f"ordering={ordering!r} is not known; choose from {', '.join(ORDERINGS)}")
    return np.arange(block.shape[1])


def order_by_energy(style_matrix: np.ndarray) -> np.ndarray:
    """Channel numbers by their entry on the diagonal, the largest first: (C, C) -> permutation (C,)."""
    return np.argsort(-np.diag(style_matrix), kind="stable")


def order_by_similarity(correlation: np.ndarray) -> np.ndarray:
    """Channel numbers with similar channels next to each other: (C, C) -> permutation (C,).

    Hierarchical clustering with average linkage on the distance 1 - r, its leaves in the optimal order of Bar-Joseph
    et al. 2001. It takes 0.1 s for 512 channels. Constant channels have no correlation and come last.
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
    """At most `count` pairs of different channels by the absolute value of their matrix entry, the largest first.

    For the correlation, channels with little variance (`QUIET`) are left out: two channels that fire only once, at the
    same position, have a correlation of 1 by chance.
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
    """Correlation of two channels over positions, -1 to 1; 0 when one of them is constant."""
    return float(np.clip(product_map(block, k, m, "correlation").sum(dtype=np.float64), -1, 1))


def share_of_means(block: Tensor, k: int, m: int) -> float:
    """Share of the style matrix's entry (k, m) that the two means alone give: n_H n_W mean_k mean_m / G[k, m].

    No mean is subtracted, so the entry of two channels that vary independently is not 0. 0 for an entry of 0.
    """
    _check_channels(block, k, m)
    first, second = block[0, [k, m]].flatten(1).double()
    entry = float(first @ second)
    return float(first.mean() * second.mean() * len(first)) / entry if entry else 0.0


def least_correlated_pair(block: Tensor) -> tuple[int, int]:
    """The two channels of the layer that avoid each other most; quiet channels (`QUIET`) are left out."""
    among = matrix(block, "correlation")
    among[np.tril_indices(len(among))] = math.inf
    variance = _moments(block)[1].flatten().numpy()
    quiet = variance < QUIET * variance.mean()
    among[quiet] = among[:, quiet] = math.inf
    k, m = np.unravel_index(among.argmin(), among.shape)
    return int(k), int(m)


def relation(block: Tensor, k: int, m: int) -> str:
    """A sentence for the page that says how two channels are related. `ValueError` for an unknown channel."""
    _check_channels(block, k, m)
    for channel in (k, m):
        if not block[0, channel].any():
            return f"Channel {channel} never fires in this picture."
    if k == m:
        return f"Channel {k} with itself: the entry on the diagonal measures how strongly it fires in total."
    variance = _moments(block[:, [k, m]])[1].flatten()
    for channel, spread in zip((k, m), variance, strict=True):
        if spread == 0:
            return f"Channel {channel} is the same everywhere in this picture: it varies with no other channel."
    r = correlation(block, k, m)
    sentence = next(sentence for lowest, sentence in RELATIONS if r >= lowest)
    return f"{sentence.format(k=k, m=m)} (correlation {r:.2f})."


def _factors(block: Tensor, kind: str) -> Tensor:
    """Activations scaled so that their style matrix is the matrix of this kind: (1, C, H, W) -> same shape."""
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
    """Mean and variance of each channel over positions, (1, C, 1, 1); a variance that is only rounding is set to 0.

    `costs.mean_and_covariance` would compute all pairs of channels, 512 times the work for 512 channels.
    """
    mean = block.mean((2, 3), keepdim=True, dtype=torch.float64).to(block.dtype)
    variance = (block - mean).square().mean((2, 3), keepdim=True)
    return mean, torch.where(variance > ROUNDING * mean.square(), variance, 0)


def _check_channels(block: Tensor, *channels: int) -> None:
    for channel in channels:
        if not 0 <= channel < block.shape[1]:
            raise ValueError(f"channel {channel} is not there; choose from 0 to {block.shape[1] - 1}")
