import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from nst import costs
from nst.explain import channels, look
from nst.explain.channels import KINDS, ORDERINGS

ALL_KINDS = pytest.mark.parametrize("kind", list(KINDS))
EVERY_LAYER = pytest.mark.parametrize("layer", [*look.relu_layers(), "conv1_1", "conv3_3", "pool4"])


@pytest.fixture(scope="module")
def seen(style) -> look.Look:
    return look.look_at(style, [*look.relu_layers(), "conv1_1", "conv3_3", "pool4"], longer_px=96)


def random_block(count: int, height: int = 9, width: int = 7, seed: int = 0) -> Tensor:
    return torch.randn(1, count, height, width, generator=torch.Generator().manual_seed(seed)).relu()


def rows(block: Tensor) -> np.ndarray:
    """Activations as a matrix: (1, C, H, W) -> (C, HW), float64."""
    return block[0].flatten(1).double().numpy()


def oracle(block: Tensor, kind: str) -> np.ndarray:
    """The oracle, in numpy and float64; a constant channel has no correlation."""
    a = rows(block)
    if kind == "gram":
        return a @ a.T
    if kind == "covariance":
        return np.cov(a, bias=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.corrcoef(a))


@ALL_KINDS
@EVERY_LAYER
def test_matrix_is_numpy_s(kind: str, layer: str, seen) -> None:
    expected = oracle(seen.block(layer), kind)
    assert np.allclose(channels.matrix(seen.block(layer), kind), expected, rtol=1e-4, atol=1e-5 * expected.max())


@EVERY_LAYER
def test_style_matrix_is_the_one_of_the_costs(layer: str, seen) -> None:
    assert np.array_equal(channels.matrix(seen.block(layer)), costs.style_matrix(seen.block(layer))[0])


@ALL_KINDS
@EVERY_LAYER
def test_product_map_sums_to_the_entry(kind: str, layer: str, seen) -> None:
    block = seen.block(layer)
    entries = channels.matrix(block, kind)
    strongest = [(pair.k, pair.m) for pair in channels.strongest_pairs(block, kind, 20)]
    assert len(strongest) == 20
    some = np.random.default_rng(0).integers(len(entries), size=(20, 2)).tolist()
    for k, m in [*strongest, *some, (3, 3)]:
        product = channels.product_map(block, k, m, kind).astype(np.float64)
        assert product.shape == block.shape[-2:]
        # Negative and positive parts may cancel: relative to what is summed, which for a pair of relus is the sum.
        assert abs(product.sum() - entries[k, m]) <= 1e-4 * np.abs(product).sum()
    for k, m in strongest:
        product = channels.product_map(block, k, m, kind).sum(dtype=np.float64)
        assert product == pytest.approx(entries[k, m], rel=1e-4)


def test_product_map_of_the_style_matrix_is_the_product_of_the_activation_maps(seen) -> None:
    block = seen.block("relu3_1")
    expected = channels.activation_map(block, 12) * channels.activation_map(block, 40)
    assert np.array_equal(channels.product_map(block, 12, 40), expected)


@ALL_KINDS
def test_dead_and_constant_channels_have_no_correlation_and_no_warning(kind: str) -> None:
    block = random_block(6)
    block[:, 1], block[:, 4] = 0, 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = channels.matrix(block, kind)
        pairs = channels.strongest_pairs(block, kind, 100)
        orders = [channels.order(block, ordering) for ordering in ORDERINGS]
    assert np.isfinite(found).all()
    assert not found[1].any()
    if kind != "gram":
        assert not found[4].any()
        assert not found[:, 4].any()
        assert not channels.product_map(block, 4, 0, kind).any()
        assert all(4 not in (pair.k, pair.m) for pair in pairs)
    assert all(1 not in (pair.k, pair.m) for pair in pairs)
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert orders[-1][-2:].tolist() == [1, 4]


def test_correlation_of_a_large_constant_with_rounding_is_nothing() -> None:
    block = random_block(3)
    block[:, 2] = 12345.678
    block[0, 2, 0, 0] += 0.001  # the next float32
    assert not channels.matrix(block, "correlation")[2].any()


@ALL_KINDS
@pytest.mark.parametrize("ordering", list(ORDERINGS))
def test_layer_of_one_position(kind: str, ordering: str) -> None:
    block = random_block(5, 1, 1)
    assert np.isfinite(channels.matrix(block, kind)).all()
    assert channels.product_map(block, 0, 1, kind).shape == (1, 1)
    assert sorted(channels.order(block, ordering)) == [0, 1, 2, 3, 4]
    assert not channels.matrix(block, "covariance").any()
    assert not channels.matrix(block, "correlation").any()
    assert channels.strongest_pairs(block, "correlation") == ()


@EVERY_LAYER
@pytest.mark.parametrize("ordering", list(ORDERINGS))
def test_orders_are_permutations(ordering: str, layer: str, seen) -> None:
    found = channels.order(seen.block(layer), ordering)
    assert sorted(found) == list(range(seen.block(layer).shape[1]))


def test_order_by_energy_is_descending(seen) -> None:
    energies = np.square(rows(seen.block("relu4_1"))).sum(1)
    assert (np.diff(energies[channels.order(seen.block("relu4_1"), "energy")]) <= 1e-6 * energies.max()).all()


def test_similarity_finds_planted_groups() -> None:
    """Three groups of channels, each a common map and some noise of its own, shuffled, with two dead ones."""
    generator = torch.Generator().manual_seed(3)
    common = torch.randn(3, 1, 12, 12, generator=generator).expand(3, 8, 12, 12).flatten(0, 1)
    block = (common + 0.4 * torch.randn(24, 12, 12, generator=generator) + 3) * torch.linspace(0.1, 9, 24)[
        :, None, None
    ]
    shuffle = torch.randperm(26, generator=generator)
    block = torch.cat([block, torch.zeros(2, 12, 12)])[shuffle][None]
    group = (shuffle // 8)[torch.from_numpy(channels.order(block, "similarity"))]
    assert group[-2:].tolist() == [3, 3]
    assert (group.diff() != 0).sum() == 3  # each group in one piece


def test_similarity_puts_a_chain_of_channels_in_its_order() -> None:
    """Bumps that move across the grid: clustering alone does not decide the direction of each branch."""
    places = torch.randperm(16, generator=torch.Generator().manual_seed(2))
    block = torch.exp(-((torch.arange(48) - 3.0 * places[:, None]) ** 2) / 50).view(1, 16, 6, 8)
    steps = np.diff(places[torch.from_numpy(channels.order(block, "similarity"))])
    assert (steps == 1).all() or (steps == -1).all()


def test_similarity_brings_like_channels_closer_than_the_index_does(seen) -> None:
    block = seen.block("relu3_1")
    correlation = channels.matrix(block, "correlation")

    def neighbours(order: np.ndarray) -> float:
        return correlation[order[:-1], order[1:]].mean()

    by_index, by_similarity = (neighbours(channels.order(block, name)) for name in ("index", "similarity"))
    assert by_similarity > by_index + 0.2


@ALL_KINDS
@pytest.mark.parametrize("layer", ["relu1_1", "conv3_3", "relu5_1"])
def test_strongest_pairs_are_those_of_brute_force(kind: str, layer: str, seen) -> None:
    block = seen.block(layer)
    expected, variance = oracle(block, kind), rows(block).var(1)
    loud = np.flatnonzero((variance >= channels.QUIET * variance.mean()) | (kind != "correlation"))
    brute = sorted(((abs(expected[k, m]), k, m) for k in loud for m in loud if k < m), reverse=True)[:15]
    found = channels.strongest_pairs(block, kind, 15)
    assert [abs(pair.value) for pair in found] == pytest.approx([size for size, _, _ in brute], rel=1e-4)
    assert [pair.value for pair in found] == pytest.approx([expected[p.k, p.m] for p in found], rel=1e-4)
    assert len({(pair.k, pair.m) for pair in found if pair.k < pair.m}) == 15


def test_quiet_channels_are_not_among_the_strongest_correlations() -> None:
    block = random_block(6)
    block[:, 0] = block[:, 1] = 0
    block[0, :2, 3, 3] = 0.01  # fire once, at the same spot: correlation 1
    assert channels.matrix(block, "correlation")[0, 1] == pytest.approx(1)
    assert all(pair.k > 1 for pair in channels.strongest_pairs(block, "correlation", 100))


@pytest.mark.parametrize(
    ("r", "words"),
    [
        (0.9, "Where channel 0 fires, channel 1 fires too (correlation 0.90)."),
        (0.4, "Where channel 0 fires, channel 1 often fires too (correlation 0.40)."),
        (0.2, "Channels 0 and 1 rise together a little more often than by chance (correlation 0.20)."),
        (0.02, "Where channel 0 is above its mean, channel 1 is neither above nor below its own (correlation 0.02)."),
        (-0.2, "Channels 0 and 1 rise together a little less often than by chance (correlation -0.20)."),
        (-0.7, "Where channel 0 fires most, channel 1 fires least (correlation -0.70)."),
    ],
)
def test_sentence_about_a_pair(r: float, words: str) -> None:
    noise = np.random.default_rng(0).normal(size=(2, 400))
    white = np.linalg.solve(np.linalg.cholesky(np.cov(noise, bias=True)), noise)
    pair = np.stack([white[0], r * white[0] + np.sqrt(1 - r**2) * white[1]])
    pair -= pair.mean(1, keepdims=True)
    block = torch.from_numpy(7 + 2 * pair).float().view(1, 2, 20, 20)
    assert channels.relation(block, 0, 1) == words
    assert channels.correlation(block, 0, 1) == pytest.approx(np.corrcoef(rows(block))[0, 1], abs=1e-6)


def test_sentence_about_channels_that_say_nothing() -> None:
    block = random_block(4)
    block[:, 1], block[:, 2] = 0, 3
    assert channels.relation(block, 0, 1) == channels.relation(block, 1, 2) == "Channel 1 never fires in this picture."
    assert "Channel 2 is the same everywhere" in channels.relation(block, 2, 3)
    assert "Channel 3 with itself" in channels.relation(block, 3, 3)


def test_what_is_not_there_is_refused() -> None:
    block = random_block(4)
    for ask in (channels.matrix, channels.strongest_pairs):
        with pytest.raises(ValueError, match="kind='cosine' is not known; choose from gram, covariance, correlation"):
            ask(block, "cosine")
    with pytest.raises(ValueError, match="ordering='colour' is not known; choose from index"):
        channels.order(block, "colour")
    for ask in (channels.product_map, channels.relation, channels.correlation):
        for k, m in ((4, 0), (0, 4), (-1, 0)):
            with pytest.raises(ValueError, match=r"channel (4|-1) is not there; choose from 0 to 3"):
                ask(block, k, m)
    with pytest.raises(ValueError, match="channel 4 is not there"):
        channels.activation_map(block, 4)


def test_the_means_alone_give_their_share_of_an_entry(seen) -> None:
    block = seen.block("relu3_1")
    a = rows(block)
    for k, m in ((231, 237), (3, 40)):
        expected = a.shape[1] * a[k].mean() * a[m].mean() / (a[k] @ a[m])
        assert channels.share_of_means(block, k, m) == pytest.approx(expected, rel=1e-6)
    silent = random_block(3)
    silent[:, 1] = 0
    assert channels.share_of_means(silent, 0, 1) == 0


def test_the_least_correlated_pair_is_that_of_all_loud_channels(seen) -> None:
    block = seen.block("relu2_1")
    k, m = channels.least_correlated_pair(block)
    variance = rows(block).var(1)
    loud = np.flatnonzero(variance >= channels.QUIET * variance.mean())
    assert {k, m} <= set(loud)
    assert oracle(block, "correlation")[k, m] == pytest.approx(oracle(block[:, loud], "correlation").min(), abs=1e-6)
