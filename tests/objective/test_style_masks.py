"""A style mask says by hand what of a style picture counts in the deep style layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from nst import Settings
from nst.cache import BoundedCache
from nst.images import masks
from nst.objective import recurrence
from nst.objective.recurrence import corrected
from nst.objective.targets import StyleCache, Targets
from nst.scaled_pictures import kept_and_left_out
from nst.schedule import Level
from tests.objective.test_recurrence import DEEP, SETTINGS, SHALLOW, inputs_and_targets, wall

WHITE, BLACK, CLEAR = (255, 255, 255, 255), (0, 0, 0, 255), (0, 0, 0, 0)
FACES = [(x, y) for x in (44, 128, 212) for y in (50, 128, 206)]  # they recur


def layer(colour: tuple[int, ...], box: tuple[int, ...] = (0, 0, 256, 256), rest: tuple[int, ...] = CLEAR):
    """A layer of 256 x 256 px, as the brush gives it."""
    painted = Image.new("RGBA", (256, 256), rest)
    ImageDraw.Draw(painted).rectangle(box, fill=colour)
    return painted


def targets(photo: Image.Image, style_masks: list[Image.Image], parts: str = "recurring", faces=FACES, **given):
    chosen = Settings(**{**vars(SETTINGS), "style_parts": parts, **given})
    return inputs_and_targets(photo, [wall(faces)], chosen, style_masks=style_masks)[2].regions[0].targets


def test_black_leaves_out_what_recurring_kept(photo) -> None:
    """In the deep layers as if that half had no weight; the shallow layers still see all of the picture."""
    left_out = targets(photo, [layer(BLACK, (0, 0, 127, 255), rest=WHITE)], "all")
    plain = targets(photo, [], "all")
    chosen = Settings(**{**vars(SETTINGS), "style_parts": "all"})
    inputs, extractor, _ = inputs_and_targets(photo, [wall(FACES)], chosen)
    painting = inputs.paintings[0]
    with torch.no_grad():
        activations = extractor(painting)
    right = torch.zeros_like(painting[:, :1])
    right[..., painting.shape[-1] // 2 :] = 1
    for name in DEEP:
        a = activations[name][0].double().numpy()
        weights = masks.guide(right, a.shape[1:], extractor.strides[name])[0, 0].double().numpy() ** 2
        wanted = np.einsum("khw,lhw,hw->kl", a, a, weights) / weights.sum()
        assert np.allclose(left_out[name][0], wanted, rtol=0.02, atol=0.01 * np.abs(wanted).max())
    assert all(torch.equal(left_out[name], plain[name]) for name in SHALLOW)


def test_white_everywhere_gives_the_plain_style_matrices_to_the_last_bit(photo) -> None:
    once = [(128, 128)]
    plain, kept, guided = (
        targets(photo, given, parts, once)["relu5_1"]
        for given, parts in (([], "all"), ([Image.new("L", (9, 9), 255)], "recurring"), ([], "recurring"))
    )
    assert torch.equal(kept, plain)
    assert not torch.allclose(guided, plain, rtol=0.05)


@pytest.mark.parametrize("parts", ["all", "recurring"])
def test_black_everywhere_and_nothing_painted_fall_back(parts: str, photo) -> None:
    """No guide is ever empty: black everywhere is no guide. A dot of paint in a corner changes next to nothing."""
    everything = targets(photo, [layer(BLACK)], parts)["relu5_1"]
    assert torch.equal(everything, targets(photo, [], "all")["relu5_1"])
    dot = targets(photo, [layer(BLACK, (0, 0, 1, 1))], parts)["relu5_1"]
    assert torch.allclose(dot, targets(photo, [], parts)["relu5_1"], rtol=0.02, atol=1e-4)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_a_corrected_guide_is_in_range_and_keeps_something(
    measured: float, painted: float, white: float, half_hidden: bool
) -> None:
    by_hand = torch.tensor([white * painted, (1 - white) * painted]).view(1, 2, 1, 1).expand(1, 2, 6, 8)
    alpha = torch.ones(1, 1, 12, 16)
    alpha[..., 8:] = 0
    t = corrected(torch.full((1, 1, 3, 4), measured), alpha if half_hidden else None, by_hand)
    assert 0 <= t.min() <= t.max() <= 1
    assert t.mean() >= recurrence.LEAST_BY_HAND - 1e-6
    kept = measured * (1 - painted) + white * painted
    if kept >= recurrence.LEAST_BY_HAND:
        assert t.mean().item() == pytest.approx(kept, abs=1e-5)


def test_shares_of_a_layer_and_of_a_picture_without_transparency() -> None:
    kept, left_out = kept_and_left_out(layer(BLACK, (0, 0, 127, 255)), (4, 4))[0]
    assert kept.max() == 0
    assert left_out[:, 0].min() == 1
    assert left_out[:, 3].max() == 0
    kept, left_out = kept_and_left_out(Image.linear_gradient("L").convert("RGB"), (64, 64))[0]
    assert torch.allclose(kept + left_out, torch.ones(64, 64))
    assert kept[0].max() < 0.05
    assert kept[-1].min() > 0.95


@pytest.mark.parametrize("statistic", ["gram", "wasserstein"])
def test_tiles_levels_and_the_cache_know_the_style_mask(statistic: str, photo, monkeypatch) -> None:
    monkeypatch.setattr(recurrence, "kept_guides", BoundedCache(4))
    chosen = Settings(**{**vars(SETTINGS), "size": 96, "statistic": statistic})
    inputs, extractor, whole = inputs_and_targets(photo, [wall([(128, 128)])], chosen, style_masks=[layer(WHITE)])
    level, memo = Level(1, *inputs.size, 1), StyleCache()
    tiled = Targets.of(inputs, extractor, chosen, level, 2**22, memo)
    assert tiled.regions[0].energies == pytest.approx(whole.regions[0].energies, rel=1e-4)
    without = inputs_and_targets(photo, [wall([(128, 128)])], chosen)[0]
    other = Targets.of(without, extractor, chosen, level, 2**22, memo)
    assert other.regions[0].energies["relu5_1"] != tiled.regions[0].energies["relu5_1"]
    small = Targets.of(inputs, extractor, chosen, Level(1, 32, 42, 1), None, memo)
    assert small.regions[0].energies.keys() == whole.regions[0].energies.keys()


def test_a_mask_is_for_the_style_of_its_place_in_the_order(photo, style) -> None:
    """With two styles, one mask is for the first of them; the second has its own guide."""
    chosen = Settings(**{**vars(SETTINGS), "style_parts": "all", "style_blend": (0, 1)})
    half = layer(BLACK, (0, 0, 127, 255))
    plain, first, both = (
        inputs_and_targets(photo, [wall(FACES), style], chosen, style_masks=given)[2].regions[0].targets["relu5_1"]
        for given in ([], [half], [half, half])
    )
    assert torch.equal(first, plain)  # only the second counts in the blend
    assert not torch.allclose(both, plain, rtol=0.05)
