"""Tiles cover the picture once, respect their budget and show every position. Costs: test_tiled_costs.py."""

import itertools
import math

import hypothesis
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nst import Settings
from nst.features.extractor import FeatureExtractor
from nst.images import pictures
from nst.objective import tiles
from nst.objective.tile_passes import TilePasses
from nst.objective.tiles import spans, stretches
from nst.settings import layer_names

ODD = (33, 75)  # neither side a multiple of any stride; pool5 needs 32 px, several tiles in the last stretch 64 px
SMALL = 2.5e5  # bytes a tile may remember: several tiles in every stretch of a picture of this size


def tile_counts(size: tuple[int, int], layers: tuple[str, ...], tile_bytes: float, itemsize: int = 8) -> list[int]:
    path = FeatureExtractor(layers).path
    return [
        len(stretch.tiles([side // stretch.stride for side in size], tile_bytes, itemsize))
        for stretch in stretches(path)
    ]


def test_every_stretch_had_tiles_in_these_tests() -> None:
    assert min(tile_counts(ODD, Settings().layers, SMALL)) >= 2


def test_walk_shows_every_position_of_every_layer_once(photo) -> None:
    extractor = FeatureExtractor(layer_names(), replicate_edges=True)
    image = pictures.to_tensor(photo.resize(ODD[::-1]))
    expected = extractor(image)
    seen = {layer: torch.full_like(a, torch.nan) for layer, a in expected.items()}

    def see(layer: str, own: Tensor, place: tiles.Place) -> None:
        assert place.of(seen[layer]).isnan().all()
        place.of(seen[layer]).copy_(own)

    with torch.no_grad():
        TilePasses(extractor, SMALL).forward(image, see)
    for layer, whole in expected.items():
        assert torch.allclose(seen[layer], whole, rtol=1e-4, atol=1e-5 * whole.abs().max().item()), layer


@given(st.integers(1, 700), st.integers(1, 300), st.integers(0, 90), st.sampled_from([1, 2, 4, 16]))
def test_spans_cover_a_side_once_with_their_margins(length: int, most: int, margin: int, align: int) -> None:
    found = spans(length, max(most, align), margin, align)
    assert [found[0].start, found[-1].end] == [0, length]
    assert all(one.end == next_one.start for one, next_one in itertools.pairwise(found))
    for span in found:
        assert span.first == 0 or span.first <= span.start - margin
        assert span.last == length or span.last >= span.end + margin
        assert span.first % align == 0
        assert span.last == length or span.last % align == 0
        assert span.end > span.start
        assert span.end - span.start < max(most, align) + 2 * align


@hypothesis.settings(deadline=None)
@given(st.integers(16, 3000), st.integers(16, 3000), st.floats(3e7, 1e9), st.sampled_from([2, 4]))
def test_tiles_remember_no_more_than_the_budget(height: int, width: int, budget: float, itemsize: int) -> None:
    for stretch in stretches(layer_names()):
        grid = height // stretch.stride, width // stretch.stride
        for tile in stretch.tiles(grid, budget, itemsize):
            seen = math.prod(span.last - span.first for span in (tile.down, tile.across))
            assert seen * stretch.bytes_per_px(itemsize) * stretch.stride**2 <= 1.3 * budget
